"""Hostile YAML, read without tricks: no aliases, no tags, no duplicate keys, bounded size and depth."""

from __future__ import annotations

from typing import Any

import yaml

from evaluator.errors import Problem, SubmissionError
from evaluator.text import printable

MAX_BYTES = 16 * 1024
MAX_DEPTH = 8


class _Loader(yaml.CSafeLoader):
    """PyYAML's safe loader without timestamps, so that `name: 2024-01-01` is the text that it looks like.

    By libyaml, which is several times faster: a board may have thousands of entries.
    """


_Loader.yaml_implicit_resolvers = {
    first: [(tag, regexp) for tag, regexp in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def read_yaml(data: bytes) -> tuple[Any, dict[tuple[str | int, ...], int]]:
    """Parse hostile YAML: no aliases, no tags, no duplicate keys, bounded size and depth.

    Returns:
        The document, and the line (from 1) of each value by its path.

    Raises:
        SubmissionError: `YAML_...`, with the line.
    """
    if len(data) > MAX_BYTES:
        raise SubmissionError(
            "YAML_TOO_LARGE", f"The file has {len(data):,} bytes.", f"At most {MAX_BYTES:,} are read."
        )
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise SubmissionError("YAML_ENCODING", f"Byte {error.start + 1} is not UTF-8.", "Save it as UTF-8.") from error
    try:
        _screen(text)
        loader = _Loader(text)
        node = loader.get_single_node()
        lines: dict[tuple[str | int, ...], int] = {}
        _walk(node, (), lines)
        return loader.construct_document(node) if node else None, lines
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = mark.line + 1 if mark else text.count("\n", 0, getattr(error, "position", 0)) + 1
        reason = printable(str(getattr(error, "problem", None) or "the text is not YAML"), 200)
        raise _at(line, "YAML_SYNTAX", f"{reason}.", "Correct the YAML there.") from error
    except (ValueError, OverflowError) as error:  # e.g. an integer of thousands of digits
        raise SubmissionError("YAML_SYNTAX", f"A value cannot be read: {printable(str(error), 200)}.") from error


def _at(line: int, code: str, what: str, remedy: str) -> SubmissionError:
    return SubmissionError(code, f"Line {line}: {what}", remedy, [Problem(code, what, remedy, f"line {line}")])


def _screen(text: str) -> None:
    """Look at the event stream before anything is built of it.

    libyaml reads ahead and, by its version, gives up at a nesting depth of its own before it has told of ours. What it
    cannot read is asked of PyYAML's own parser too, which tells of each level as it comes: our limit is the one meant.
    """
    try:
        _refuse_tricks(text, _Loader)
    except yaml.YAMLError:
        _refuse_tricks(text, yaml.SafeLoader)
        raise


def _refuse_tricks(text: str, loader: type[yaml.CSafeLoader | yaml.SafeLoader]) -> None:
    """Refuse all but plain values, a few levels deep; read lazily and without recursion, so a bomb costs nothing."""
    depth = 0
    for event in yaml.parse(text, loader):
        line = event.start_mark.line + 1 if event.start_mark else 1
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
            raise _at(line, "YAML_ALIAS", "anchors and aliases are not allowed.", "Write it out.")
        if getattr(event, "tag", None):
            raise _at(line, "YAML_TAG", "tags (!) are not allowed.", "Write a plain value.")
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > MAX_DEPTH:
                raise _at(line, "YAML_DEPTH", f"nested over {MAX_DEPTH} deep.", "Flatten it.")
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1


def _walk(node: yaml.Node | None, path: tuple[str | int, ...], lines: dict[tuple[str | int, ...], int]) -> None:
    """Note each value's line, and refuse duplicate and non-text keys."""
    if node is None:
        return
    lines.setdefault(path, node.start_mark.line + 1)
    if isinstance(node, yaml.ScalarNode) and node.tag == "tag:yaml.org,2002:int" and len(node.value) > 30:
        raise _at(node.start_mark.line + 1, "YAML_NUMBER", "the whole number is too long.", "Write it as text.")
    if isinstance(node, yaml.SequenceNode):
        for index, child in enumerate(node.value):
            _walk(child, (*path, index), lines)
    elif isinstance(node, yaml.MappingNode):
        for key, child in node.value:
            line = key.start_mark.line + 1
            if not isinstance(key, yaml.ScalarNode) or key.tag != "tag:yaml.org,2002:str":
                raise _at(line, "YAML_KEY", "a key must be plain text.", "Put it in quotes.")
            if (*path, key.value) in lines:
                name = printable(key.value, 60)
                raise _at(line, "YAML_DUPLICATE_KEY", f"'{name}' is given twice.", "Keep one.")
            lines[(*path, key.value)] = line
            _walk(child, (*path, key.value), lines)
