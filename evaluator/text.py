"""Text from strangers, made inert before it is shown."""

from __future__ import annotations

import posixpath
import re
import unicodedata

# Cc control, Cf format (bidirectional overrides, zero width), Cs surrogate, Co private, Cn unassigned, Zl/Zp separators
_HOSTILE = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
_BLANK = frozenset("\u115f\u1160\u2800\u3164\uffa0")
_MARKUP = frozenset("\\`*_{}[]()<>#+!|~@&:$\n\r\t")
_STOP = "\u200b"
_STACKED_MARKS = re.compile(r"[\u0300-\u036f\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff]{4}")


def is_inert(text: str) -> bool:
    """Whether every character is visible or a plain space: no escapes, no direction overrides, no line breaks."""
    visible = all(unicodedata.category(c) not in _HOSTILE and c not in _BLANK for c in text)
    return visible and not _STACKED_MARKS.search(text)


def printable(text: str, limit: int = 500, keep: str = "") -> str:
    """Escape every invisible character as `\\uXXXX` (but those in `keep`) and cut to `limit` characters."""
    cut = text[:limit]
    shown = "".join(
        c
        if c in keep or unicodedata.category(c) not in _HOSTILE
        else c.encode("unicode_escape").decode("ascii")
        if unicodedata.category(c) != "Cs"
        else f"\\u{ord(c):04x}"
        for c in cut
    )
    return shown + ("…" if len(text) > limit else "")


def clean_path(path: str) -> str:
    """A container path as the engine itself normalises it (Go's path.Clean)."""
    plain = posixpath.normpath(path)
    return "/" + plain.lstrip("/") if plain.startswith("/") else plain


def markdown(text: str, limit: int = 300) -> str:
    """A stranger's text as markdown that shows just these characters: no link, mention, image, tag or table cell.

    GitHub looks for mentions, issue numbers and addresses after entities are read; a space of no width stops it.
    """
    broken = re.sub(r"(?i)(www)(?=\.)|(https?|ftp|mailto)(?=:)", lambda m: m[0] + _STOP, printable(text, limit))
    return "".join(f"&#{ord(c)};{_STOP if c in '@#' else ''}" if c in _MARKUP else c for c in broken)


def whole_lines(text: str, limit: int) -> str:
    """The first lines of a text, as many as fit into `limit` characters, and how many more there are."""
    if len(text) <= limit:
        return text
    head = text[:limit].rpartition("\n")[0]
    left = text.count("\n", len(head), len(text.rstrip("\n")))
    return f"{head}\n\n... and {left:,} more lines; `apb check` on your own machine prints them all.\n"


def preformatted(text: str, limit: int = 4000) -> str:
    """A stranger's lines as a block of markdown that shows just these characters."""
    shown = printable(text, limit, keep="\n\t")
    return "<pre>\n" + "".join(f"&#{ord(c)};" if c in "&<>@" else c for c in shown) + "\n</pre>"
