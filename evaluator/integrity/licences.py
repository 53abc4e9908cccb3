"""Which licence a repository's licence file has the text of, as far as a few phrases tell it.

A label of an image says what its author has written on it; the file at the commit says what whoever takes the code
gets.
"""

from __future__ import annotations

import re

FILES = ("LICENSE", "LICENSE.txt", "LICENSE.md", "COPYING")
"""Where it is looked for, in the root of the repository."""
_BSD = "redistribution and use in source and binary forms with or without modification are permitted"
_CC = "attribution{} 4.0 international"
_PHRASES: dict[str, tuple[str, ...]] = {
    "MIT": (
        "permission is hereby granted free of charge to any person obtaining a copy of this software",
        "the above copyright notice and this permission notice",
    ),
    "Apache-2.0": ("apache license version 2.0 january 2004",),
    "BSD-3-Clause": (_BSD, "may be used to endorse or promote products"),
    "BSD-2-Clause": (_BSD,),
    "GPL-2.0": ("gnu general public license version 2 june 1991",),
    "GPL-3.0": ("gnu general public license version 3 29 june 2007",),
    "AGPL-3.0": ("gnu affero general public license version 3 19 november 2007",),
    "LGPL-2.1": ("gnu lesser general public license version 2.1 february 1999",),
    "LGPL-3.0": ("gnu lesser general public license version 3 29 june 2007",),
    "MPL-2.0": ("mozilla public license version 2.0", "covered software"),
    **{
        f"CC-BY{ending}-4.0": (_CC.format(words), "creative commons")
        for ending, words in {
            "": "",
            "-SA": " sharealike",
            "-ND": " noderivatives",
            "-NC": " noncommercial",
            "-NC-SA": " noncommercial sharealike",
            "-NC-ND": " noncommercial noderivatives",
        }.items()
    },
}
"""By SPDX's name without `-only` and `-or-later`, which the text does not tell: what it says, in plain words."""


def named(expression: str) -> frozenset[str]:
    """The licences that an SPDX expression names, without `-only`, `-or-later` and exceptions."""
    plain = re.sub(r"\bWITH\s+\S+", " ", expression)
    words = (word for word in re.split(r"[\s()]+", plain) if word and word not in ("AND", "OR"))
    return frozenset(re.sub(r"(-only|-or-later|\+)$", "", word) for word in words)


def recognised(content: bytes) -> frozenset[str]:
    """The licences whose text is in a file; empty where there is none that is known here."""
    text = " ".join(re.findall(r"[a-z0-9]+(?:\.[0-9]+)*", content.decode("utf-8", "replace").casefold()))
    found = {name for name, phrases in _PHRASES.items() if all(phrase in text for phrase in phrases)}
    if "BSD-3-Clause" in found:
        found.discard("BSD-2-Clause")
    if _BSD in text and "all advertising materials mentioning" in text:  # the four clauses of old
        found -= {"BSD-2-Clause", "BSD-3-Clause"}
    return frozenset(found)


def says(content: bytes, expression: str) -> bool | None:
    """Whether a licence file says what an SPDX expression names; None where that cannot be told.

    It cannot where the file has the texts of several, or where the text of what is named is not known here.
    """
    said, found = named(expression), recognised(content)
    if not found or said == found:
        return True if found else None
    lesser = all(name.startswith("LGPL-") for name in said) and all(name.startswith("GPL-") for name in found)
    if said & found or not said <= _PHRASES.keys() or lesser:  # lesser: GNU's way is COPYING and COPYING.LESSER
        return None
    return False
