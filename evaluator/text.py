"""Text from strangers, made inert before it is shown."""

from __future__ import annotations

import unicodedata

# Cc control, Cf format (bidirectional overrides, zero width), Cs surrogate, Co private, Cn unassigned, Zl/Zp separators
_HOSTILE = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})


def is_inert(text: str) -> bool:
    """Whether every character is visible or a plain space: no escapes, no direction overrides, no line breaks."""
    return all(unicodedata.category(c) not in _HOSTILE for c in text)


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
