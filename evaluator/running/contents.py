"""What an image's file system holds: its Python packages and single files, read through the engine; nothing of it runs.

The engine packs the file system as its layers come to, so that what a later layer has removed is not there, and no
header of the archive is the image's own. How much of it is read, and for how long, is bounded.
"""

from __future__ import annotations

import hashlib
import io
import re
import tarfile
import time
from collections.abc import Collection, Iterator
from email.parser import BytesHeaderParser
from pathlib import PurePosixPath
from typing import IO

import docker
import docker.models.images
import requests.exceptions
from packaging.utils import canonicalize_name

from evaluator.contract.observed import Contents, File
from evaluator.running.covered import MOUNTED, unstarted, volumes
from evaluator.running.engine import answering

CHUNK = 1024 * 1024
HEAD = 1024 * 1024
"""Of a file that was asked for; its sha256 is of the whole."""
METADATA = 64 * 1024
SECONDS = 120.0
MAX_PACKAGES = 5000
_PACKAGE = re.compile(
    r"(?:.*/)?(?:[^/]+\.dist-info/METADATA|(?:[^/]+\.egg-info|EGG-INFO)/PKG-INFO)"
    r"|(?!(?:.*/)?lib/python3/dist-packages/)(?:.*/)?[^/]+\.egg-info"
)
"""Of an installed package, as importlib.metadata finds it. Plain files of Debian's own folder are left out: they belong
to its system, such as mercurial to python:3.12, and no pip of the image would list them."""
_VENDORED = re.compile(r"(?:.*/)?(?:site|dist)-packages/[^/]+/_vendor/[^/]+(?:/[^/]+)?")
"""What a package carries within itself is not installed."""
_OF_PYTHON = re.compile(r"(?:.*/)?lib(?:64)?/python(\d\.\d{1,2})/.*")
_LIBRARY = re.compile(_OF_PYTHON.pattern.removesuffix(".*") + r"os\.py")
_VALUE = re.compile(r"[\x21-\x7e]{1,100}")
_COVERED = "it is in a folder that runs do not see as it is in the image"
_LINK = "there is a link, and links are not followed"


class _TooMuchError(Exception):
    """The file system is larger, or its reading takes longer, than what is read of it."""


class _Stream(io.RawIOBase):
    """The engine's answer as a file, up to a size and a time."""

    def __init__(self, chunks: Iterator[bytes], size: float) -> None:
        self._chunks, self._left, self._rest = chunks, size, b""
        self._until = time.monotonic() + SECONDS

    def read(self, size: int = -1) -> bytes:
        while len(self._rest) < size:
            chunk = next(self._chunks, b"")
            if not chunk:
                break
            self._left -= len(chunk)
            if self._left < 0 or time.monotonic() > self._until:
                raise _TooMuchError
            self._rest += chunk
        found, self._rest = self._rest[:size], self._rest[size:]
        return found


def contents(
    engine: docker.DockerClient, image: docker.models.images.Image, wanted: Collection[str], *, largest: float
) -> Contents | str:
    """The packages that an image has installed, and the files that are asked for.

    Args:
        wanted: whole paths in the image; links are not followed.
        largest: bytes that are read at most.

    Returns:
        In place of the contents, why they could not be had.

    Raises:
        EngineError: the engine does not answer.
    """
    hidden = tuple(f"{folder.lstrip('/')}/" for folder in (*MOUNTED, *volumes(image)))
    api = engine.api
    with answering("The Docker engine could not pack the image"):
        try:
            with unstarted(engine, image) as container:
                url = f"{api.base_url}/v{api.api_version}/containers/{container.id}/export"
                with api.get(url, stream=True, timeout=api.timeout) as answer:
                    answer.raise_for_status()
                    return _read(_Stream(answer.iter_content(CHUNK), largest), wanted, hidden)
        except requests.exceptions.HTTPError:
            return "the engine cannot look into the image"
        except (_TooMuchError, tarfile.TarError):
            return f"the image is too large to be read within {SECONDS:.0f} s"


def _read(stream: _Stream, wanted: Collection[str], hidden: tuple[str, ...]) -> Contents:
    packages: dict[str, set[str]] = {}
    files: dict[str, File | None] = dict.fromkeys(wanted)
    unread = {path: _COVERED for path in wanted if path.lstrip("/").startswith(hidden)}
    ways = {str(way).lstrip("/") for path in map(PurePosixPath, wanted) for way in (path, *path.parents)}
    libraries: set[str] = set()
    of_packages: set[str | None] = set()
    with tarfile.open(fileobj=stream, mode="r|", bufsize=CHUNK) as archive:
        for member in archive:
            archive.members = []  # type: ignore[attr-defined] # else every name of the file system is kept
            name = member.name.removeprefix("./")
            if name in ways and (member.issym() or member.islnk()):
                unread |= {path: _LINK for path in wanted if path == f"/{name}" or path.startswith(f"/{name}/")}
            if not member.isreg() or name.startswith(hidden):
                continue
            if library := _LIBRARY.fullmatch(name):
                libraries.add(library[1])
            if f"/{name}" in files:
                files[f"/{name}"] = _file(archive, member)
            elif _is_package(name) and len(packages) < MAX_PACKAGES:
                found = _named(_opened(archive, member).read(METADATA))
                if found:
                    packages.setdefault(canonicalize_name(found[0]), set()).add(found[1])
                    of_python = _OF_PYTHON.fullmatch(name)
                    of_packages.add(of_python[1] if of_python else None)
    plain = {one for one in of_packages if one is not None}
    return Contents(
        {name: frozenset(versions) for name, versions in packages.items()},
        files,
        unread,
        # interpreters without packages do not matter, where it is clear whose the packages are
        frozenset(plain if plain and None not in of_packages and plain <= libraries else plain | libraries),
    )


def _is_package(name: str) -> bool:
    return bool(_PACKAGE.fullmatch(name)) and not _VENDORED.fullmatch(name)


def _named(metadata: bytes) -> tuple[str, str] | None:
    """Name and version as importlib.metadata reads them: of several lines the first; None where there are none."""
    fields = BytesHeaderParser().parsebytes(metadata)
    name, version = (str(fields.get(field, "")).strip() for field in ("Name", "Version"))
    return (name, version) if _VALUE.fullmatch(name) and _VALUE.fullmatch(version) else None


def _file(archive: tarfile.TarFile, member: tarfile.TarInfo) -> File:
    source, digest = _opened(archive, member), hashlib.sha256()
    head = source.read(HEAD)
    digest.update(head)
    while chunk := source.read(CHUNK):
        digest.update(chunk)
    return File(digest.hexdigest(), head, member.size > len(head))


def _opened(archive: tarfile.TarFile, member: tarfile.TarInfo) -> IO[bytes]:
    found = archive.extractfile(member)
    assert found is not None  # it is a plain file
    return found
