"""Published source files of tracks, downloaded where their licence allows that; else where to ask for them."""

from __future__ import annotations

import hashlib
from pathlib import Path

from evaluator.errors import EvaluatorError, UsageError
from evaluator.files import write_bytes
from evaluator.preparing.download import download
from evaluator.preparing.published import SOURCES, File


def fetch(track: str, target: Path, mirror: str = "") -> list[Path]:
    """Download a track's published files into a folder, each held against its hash; one already there is kept.

    Args:
        mirror: another address of the folder with these files.

    Raises:
        UsageError: the track is not known, or its licence does not allow it; the message says where to ask.
        EngineError: the download fails.
        EvaluatorError: what came is not the file.
    """
    if track not in SOURCES:
        raise UsageError(f"There is no public source of {track}. Known are: {', '.join(SOURCES)}.")
    source, done = SOURCES[track], []
    if not source.files:
        raise UsageError(f"No licence allows {track} to be passed on. Ask for it: {source.ask}")
    for file in source.files:
        path = target / file.name
        if not (path.is_file() and _is(path.read_bytes(), file)):
            data = download((mirror.rstrip("/") + "/" if mirror else source.address) + file.name)
            if not _is(data, file):
                found = hashlib.sha256(data).hexdigest()
                raise EvaluatorError(f"{file.name} (sha256 {found}) is not the published file.", "Nothing was written.")
            write_bytes(path, data)
        done.append(path)
    return done


def _is(data: bytes, file: File) -> bool:
    # git names a blob by the sha1 of its length and content
    blob = hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()
    return hashlib.sha256(data).hexdigest().startswith(file.sha256) and blob.startswith(file.blob)
