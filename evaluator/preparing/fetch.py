"""Published source files of tracks, downloaded where their licence allows that; else where to ask for them."""

from __future__ import annotations

import hashlib
import time
from pathlib import Path

import requests

from evaluator.errors import EngineError, EvaluatorError, UsageError
from evaluator.files import write_bytes
from evaluator.preparing.public_web import REFUSED
from evaluator.preparing.published import SOURCES, File

TIMEOUT = (10, 60)
LONGEST = 1800
"""Seconds that a whole file may take."""
MAX_BYTES = 200 * 1024 * 1024


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


def download(url: str, most: int = MAX_BYTES, web: requests.Session | None = None) -> bytes:
    """What an address has.

    Args:
        most: bytes that are taken.
        web: asks for it; for what a stranger named, the public web alone.

    Raises:
        EngineError: nothing comes, or too slowly.
        EvaluatorError: it is larger, or is none that may be asked.
    """
    until = time.monotonic() + LONGEST
    try:
        with (web or requests.Session()).get(url, timeout=TIMEOUT, stream=True) as response:
            response.raise_for_status()
            data = b""
            for chunk in response.iter_content(1024 * 1024):
                data += chunk
                if len(data) > most:
                    raise EvaluatorError(f"{url} is larger than {most:,} bytes.")
                if time.monotonic() > until:
                    raise EngineError(f"{url} takes longer than {LONGEST} s.", "Try again later.")
            return data
    except REFUSED as error:
        raise EvaluatorError(f"{url} is not asked: {error}.") from error
    except requests.RequestException as error:
        raise EngineError(f"{url} cannot be downloaded: {type(error).__name__}.", "Try again later.") from error
