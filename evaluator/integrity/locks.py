"""Whether the packages of an image are those that a lock file names, version by version.

A lock file is what pip reads: `name==version`, one a line, hashes and markers beside it
(https://pip.pypa.io/en/stable/reference/requirements-file-format/).
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from packaging.markers import Marker, UndefinedComparison, UndefinedEnvironmentName
from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from evaluator.text import printable

INSTALLERS = frozenset({"pip", "setuptools", "wheel"})
"""They come with a base image; a lock file need not name them."""
MAX_LINES, MAX_LINE = 20_000, 1000
MAX_PYTHONS = 3
SHOWN = 3
_UNTOLD = "and whether it should be its marker does not tell here"
_COMMENT = re.compile(r"(^|\s)#.*$")
_OPTION = re.compile(r"\s--[a-z].*$")
_PYTHON = re.compile(r"\b(python_version|python_full_version|implementation_version)\b")
_KERNEL = re.compile(r"\bplatform_(release|version)\b")
_PLATFORM = {
    "implementation_name": "cpython",
    "os_name": "posix",
    "platform_machine": "x86_64",
    "platform_python_implementation": "CPython",
    "platform_release": "",
    "platform_system": "Linux",
    "platform_version": "",
    "sys_platform": "linux",
}
"""All that markers know beside Python's version: images are for linux/amd64, and CPython is what they have."""


class NoLockError(ValueError):
    """It is no lock file; the message says why, and is safe to print."""


@dataclass(frozen=True)
class Locked:
    """What a lock file names.

    Attributes:
        packages: lines by normalised name; several of one name differ in their markers.
        folders: how many lines install a folder, whose package they do not name.
    """

    packages: Mapping[str, list[Requirement]]
    folders: int = 0


@dataclass(frozen=True)
class Compared:
    """What came of holding an image against a lock file.

    Attributes:
        wrong: what is not as it says.
        unsure: what cannot be told.
        same: how many packages are as it says, without those that install others.
    """

    wrong: list[str]
    unsure: list[str]
    same: int


def read(content: bytes) -> Locked:
    """What a lock file names.

    Raises:
        NoLockError: a line names no single version, or the file is none that pip reads.
    """
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise NoLockError("it is no text in UTF-8") from None
    lines = text.replace("\\\r\n", " ").replace("\\\n", " ").splitlines()
    if len(lines) > MAX_LINES:
        raise NoLockError(f"it has more than {MAX_LINES:,} lines")
    found: dict[str, list[Requirement]] = {}
    folders = 0
    for line in lines:
        plain = _OPTION.sub("", _COMMENT.sub("", line)).strip()
        if plain.startswith(("-r", "-c", "--requirement", "--constraint")):
            raise NoLockError("it names other files")
        if not plain or plain.startswith("-"):
            folders += plain.startswith(("-e", "--editable"))
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
    return Locked(found, folders)


def compare(locked: Locked, installed: Mapping[str, frozenset[str]], pythons: Collection[str] = ()) -> Compared:
    """Hold what an image has against what its lock file says, in words.

    A package that the lock file names under a marker, such as another system's, need not be there.

    Args:
        installed: versions by normalised name.
        pythons: versions of Python that the packages may be for, such as 3.12; none where that is unknown.
    """
    wrong, unsure, same = [], [], 0
    for name, lines in locked.packages.items():
        there = sorted(installed.get(name, ()))
        applies = [(one.specifier, _applies(one.marker, pythons)) for one in lines]
        sure = [version for version, does in applies if does]
        possible = [version for version, does in applies if does is not False]
        said = " or ".join(sorted({str(version) for version in possible}))
        if len({str(version) for version in sure}) > 1:
            wrong.append(f"{name} is locked to {said} at once")
        elif sure and not there:
            wrong.append(f"{name} is locked and not in the image")
        elif possible and not there:
            unsure.append(f"{name} is not in the image, {_UNTOLD}")
        for version in there:
            if any(_fits(one, version) for one in sure):
                same += name not in INSTALLERS
            elif any(_fits(one, version) for one in possible):
                unsure.append(f"{name} is {version} in the image, {_UNTOLD}")
            elif possible:
                wrong.append(f"{name} is {version} in the image and {said} in the lock file")
            else:
                wrong.append(f"{name} is {version} in the image, and the lock file names it for other systems alone")
    extra = sorted(installed.keys() - locked.packages.keys() - INSTALLERS)
    told = [f"{name} {', '.join(sorted(installed[name]))} is in the image and not locked" for name in extra]
    if len(extra) <= locked.folders:  # it may be what these lines have installed
        unsure += told
    else:
        wrong += told
    return Compared([printable(line, 150) for line in wrong], [printable(line, 150) for line in unsure], same)


def first(lines: list[str]) -> list[str]:
    """A few of them, and how many more there are."""
    more = [f"and {len(lines) - SHOWN} more"] if len(lines) > SHOWN else []
    return [*lines[:SHOWN], *more]


def _applies(marker: Marker | None, pythons: Collection[str]) -> bool | None:
    """Whether a line is for an image of ours; None where that depends on what is not known of it."""
    if marker is None:
        return True
    text = str(marker)
    if _KERNEL.search(text) or (_PYTHON.search(text) and not 0 < len(pythons) <= MAX_PYTHONS):
        return None
    answers = set()
    for python in pythons or ("3",):
        for whole in (f"{python}.0", f"{python}.99"):  # which of them it is nobody sees
            about = {"python_version": python, "python_full_version": whole, "implementation_version": whole}
            try:
                answers.add(marker.evaluate({**_PLATFORM, **about}))
            except (UndefinedComparison, UndefinedEnvironmentName, InvalidVersion, KeyError):
                return None
    return answers.pop() if len(answers) == 1 else None


def _fits(specifier: SpecifierSet, version: str) -> bool:
    try:
        return specifier.contains(Version(version), prereleases=True)
    except InvalidVersion:
        return False
