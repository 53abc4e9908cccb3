"""YAML, hostile or our own, read without tricks: no aliases, no tags, no duplicate keys, bounded size and depth."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from evaluator.contract.formats import foreign
from evaluator.errors import EvaluatorError, Problem, SubmissionError
from evaluator.text import printable
from evaluator.validation import faults

MAX_BYTES = 16 * 1024
MAX_DEPTH = 8
Keys = tuple[str | int, ...]
"""The way to a value of a document."""


class _Loader(yaml.CSafeLoader):
    """PyYAML's safe loader without timestamps, so that `name: 2024-01-01` is the text that it looks like.

    By libyaml, which is several times faster: a board may have thousands of entries.
    """


_Loader.yaml_implicit_resolvers = {
    first: [(tag, regexp) for tag, regexp in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


_NO_YAML = ("this cannot be read as YAML", "Look at quotes, brackets and indentation here and in the line above.")
_SYNTAX = (
    ("mapping values are not allowed", "there is a second ': ' in the line, or its indentation does not fit",
     "Put a text that holds ': ' in quotes."),
    ("cannot start any token", "a value begins with a character that YAML keeps for itself, or a line with a tab",
     "Put the value in quotes; indent with spaces."),
    ("while scanning a quoted scalar", "a quote is opened and not closed, or holds an unknown escape",
     "Close it; in double quotes write \\\\ for \\."),
    ("another document", "another document begins", "Keep one, without a line '---' between."),
    ("control characters are not allowed", "there is an invisible control character", "Remove it."),
    ("special characters are not allowed", "there is an invisible control character", "Remove it."),
    ("while parsing a flow", "a bracket is opened and not closed, or a comma is missing", "Close it."),
    ("did not find expected key", "the indentation does not fit, or a ': ' is missing",
     "Indent what belongs together alike, with spaces."),
    ("could not find expected ':'", "a ': ' is missing behind a key", "Write 'key: value'."),
    ("found a tab character", "there is a tab in the indentation", "Indent with spaces."),
    ("character that cannot start", "a value begins with a character that YAML keeps for itself", "Use quotes."),
)  # fmt: skip
"""What libyaml and PyYAML say, by a part of it, and what it means to who wrote the file."""
_DECIMAL = re.compile(r"[-+]?(0|[1-9][0-9]*)")
_MARKED = re.compile(r"\s#(?:\S|\s*\d)")


def read_yaml(data: bytes) -> tuple[Any, dict[Keys, int]]:
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
    if name := foreign(data):
        raise SubmissionError("YAML_ENCODING", f"The file is {name}.", "Save it as plain text in UTF-8.")
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise SubmissionError("YAML_ENCODING", f"Byte {error.start + 1} is not UTF-8.", "Save it as UTF-8.") from error
    try:
        _screen(text)
        loader = _Loader(text)
        node = loader.get_single_node()
        lines: dict[Keys, int] = {}
        _walk(node, (), lines)
        return loader.construct_document(node) if node else None, lines
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = mark.line + 1 if mark else text.count("\n", 0, getattr(error, "position", 0)) + 1
        told = f"{getattr(error, 'context', '')} {getattr(error, 'problem', '')}"
        reason, remedy = next((words for sign, *words in _SYNTAX if sign in told), _NO_YAML)
        raise _at(line, "YAML_SYNTAX", f"{reason}.", f"{remedy} Correct the YAML there.".lstrip()) from error
    except (ValueError, OverflowError) as error:  # e.g. half of a surrogate pair
        raise SubmissionError(
            "YAML_SYNTAX", "A value cannot be read.", "Write plain text and plain numbers."
        ) from error


T = TypeVar("T", bound=BaseModel)


def load_ours(path: Path, model: type[T]) -> T:
    """One of our own files: by the same rules as a stranger's, but what is wrong with it is our fault.

    Raises:
        EvaluatorError: it cannot be read or does not fit the model; each fault with its line.
    """
    try:
        document, lines = read_yaml(path.read_bytes())
        return model.model_validate({} if document is None else document)
    except OSError as error:
        raise EvaluatorError(f"{path} cannot be read: {error.strerror}.", "Is it there, and yours to read?") from error
    except SubmissionError as error:
        raise EvaluatorError(f"{path} is not valid. {error.what}", error.remedy or "Correct it.") from error
    except ValidationError as error:
        told = [f"Line {_line(fault.path, lines)}: {fault}" for fault in faults(error, model)]
        raise EvaluatorError(f"{path} is not valid.\n" + "\n".join(told), "Correct the file.") from error


def _line(path: Keys, lines: dict[Keys, int]) -> int:
    """Where a value stands, or what holds it."""
    while path and path not in lines:
        path = path[:-1]  # pydantic adds steps for unions and tuples that the file does not have
    return lines.get(path, 1)


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


def _walk(node: yaml.Node | None, path: Keys, lines: dict[Keys, int]) -> None:
    """Note each value's line, and refuse duplicate and non-text keys."""
    if node is None:
        return
    lines.setdefault(path, node.start_mark.line + 1)
    if isinstance(node, yaml.ScalarNode):
        _refuse_other_numbers(node)
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


def _refuse_other_numbers(node: yaml.ScalarNode) -> None:
    """Refuse a number that YAML 1.1 reads by a rule that few have in mind: 010 is 8 to it, 1:30 is 90."""
    kind, value, line = node.tag.rpartition(":")[2], node.value, node.start_mark.line + 1
    if kind not in ("int", "float"):
        return
    if len(value) > 30 and kind == "int":
        raise _at(line, "YAML_NUMBER", "the whole number is too long.", "Write it as text.")
    if _DECIMAL.fullmatch(value) if kind == "int" else not set(value) & set("_:"):
        return
    if len(value) > 60:
        raise _at(line, "YAML_NUMBER", "the number is too long.", "Write it as text.")
    read = yaml.SafeLoader("").construct_object(node)
    plain = value.replace("0", "", 1) if value.lstrip("+-").isdigit() else ""
    octal = f", or {int(plain)} if that is meant" if plain else ""
    what = f"'{printable(value, 60)}' is no plain number; YAML reads it as {read}."
    raise _at(line, "YAML_NUMBER", what, f"Write {read}{octal}; put it in quotes if it is text.")


def cut_by_comments(data: bytes) -> dict[Keys, tuple[str, str]]:
    """Values of a valid file that a comment may have cut by mistake: of `Model #2` YAML reads `Model`.

    Returns:
        By path: what was read, and what was taken for a comment.
    """
    text = data.decode("utf-8-sig")
    rows = text.splitlines()
    found: dict[Keys, tuple[str, str]] = {}

    def look(node: yaml.Node | None, path: Keys) -> None:
        if isinstance(node, yaml.MappingNode):
            for key, child in node.value:
                look(child, (*path, key.value))
        elif isinstance(node, yaml.SequenceNode):
            for index, child in enumerate(node.value):
                look(child, (*path, index))
        elif isinstance(node, yaml.ScalarNode) and not node.style and node.end_mark.line < len(rows):
            rest = rows[node.end_mark.line][node.end_mark.column :]
            if node.value and _MARKED.match(rest):
                found[path] = (node.value, rest.strip())

    look(_Loader(text).get_single_node(), ())
    return found
