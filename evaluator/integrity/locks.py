"""Whether the packages of an image are those that a lock file names, version by version.

A lock file is what pip reads: `name==version`, one a line, hashes and markers beside it
(https://pip.pypa.io/en/stable/reference/requirements-file-format/).
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from evaluator.text import printable

INSTALLERS = frozenset({"pip", "setuptools", "wheel"})
"""They come with a base image; a lock file need not name them."""
MAX_LINES, MAX_LINE = 20_000, 1000
SHOWN = 3
_COMMENT = re.compile(r"(^|\s)#.*$")
_OPTION = re.compile(r"\s--[a-z].*$")


class NoLockError(ValueError):
    """It is no lock file; the message says why, and is safe to print."""


def read(content: bytes) -> dict[str, list[Requirement]]:
    """What a lock file names, by normalised name; several lines of one name differ in their markers.

    Raises:
        NoLockError: a line names no single version, or the file is none that pip reads.
    """
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError:
        raise NoLockError("it is no text in UTF-8") from None
    lines = text.replace("\\\r\n", " ").replace("\\\n", " ").splitlines()
    if len(lines) > MAX_LINES:
        raise NoLockError(f"it has more than {MAX_LINES:,} lines")
    found: dict[str, list[Requirement]] = {}
    for line in lines:
        plain = _OPTION.sub("", _COMMENT.sub("", line)).strip()
        if plain.startswith(("-r", "-c", "--requirement", "--constraint")):
            raise NoLockError("it names other files")
        if not plain or plain.startswith("--"):
            continue
        try:
            named = Requirement(plain[: MAX_LINE + 1]) if len(plain) <= MAX_LINE else None
        except InvalidRequirement:
            named = None
        versions = list(named.specifier) if named else []
        if named is None or len(versions) != 1 or versions[0].operator not in ("==", "===") or "*" in str(versions[0]):
            raise NoLockError(f"'{printable(plain, 60)}' names no single version")
        found.setdefault(canonicalize_name(named.name), []).append(named)
    if not found:
        raise NoLockError("it names no package")
    return found


def differences(locked: Mapping[str, list[Requirement]], installed: Mapping[str, frozenset[str]]) -> list[str]:
    """What of an image is not as its lock file says, in words.

    A package that the lock file names under a marker, such as another system's, need not be there.

    Args:
        locked: as `read` has it.
        installed: versions by normalised name.
    """
    found = []
    for name, lines in locked.items():
        there = installed.get(name, frozenset())
        if not there and any(one.marker is None for one in lines):
            found.append(f"{name} is locked and not in the image")
        for version in sorted(there):
            if not any(_fits(one.specifier, version) for one in lines):
                said = " or ".join(sorted({str(one.specifier) for one in lines}))
                found.append(f"{name} is {version} in the image and {said} in the lock file")
    extra = sorted(installed.keys() - locked.keys() - INSTALLERS)
    found += [f"{name} {', '.join(sorted(installed[name]))} is in the image and not locked" for name in extra]
    return [printable(line, 150) for line in found]


def _fits(specifier: SpecifierSet, version: str) -> bool:
    try:
        return specifier.contains(Version(version), prereleases=True)
    except InvalidVersion:
        return False
