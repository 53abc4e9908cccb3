"""Published source files of tracks, downloaded where their licence allows that; else where to ask for them."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import requests

from evaluator.errors import EngineError, EvaluatorError, UsageError
from evaluator.files import write_bytes

TIMEOUT = (10, 60)
MAX_BYTES = 200 * 1024 * 1024
HARVEY = (
    "https://raw.githubusercontent.com/debbiemarkslab/nanobody-polyreactivity/"
    "e0f0a31943564bf43a3c62164eaf0837775d0f04/backend/app/experiments/"
)


@dataclass(frozen=True)
class File:
    """One published file: the beginning of its sha256, or of its id as a git blob."""

    name: str
    sha256: str = ""
    blob: str = ""


@dataclass(frozen=True)
class Source:
    """Where a track's files are."""

    folder: str
    files: tuple[File, ...]
    licence: str


SOURCES = {
    "vhh48": Source(
        HARVEY,
        (
            File(
                "low_throughput_polyspecificity_scores_w_exp.csv",
                sha256="dace0c41e6b51f54bd4ebb77d581950aff2ccda9f044a72d681a42a724f8e395",
            ),
        ),
        "MIT",
    ),
    "harvey": Source(
        HARVEY,
        (
            File("high_polyreactivity_high_throughput.csv", blob="0d56825e"),
            File("low_polyreactivity_high_throughput.csv", blob="6532c700"),
        ),
        "MIT",
    ),
}
ASK = {
    "jain": (
        "Jain et al. 2017, PNAS 114:944, doi 10.1073/pnas.1616408114: the supplement, or its authors. The subset of 86 "
        "antibodies comes as a table id,vh_sequence,vl_sequence,label, named jain_86*.csv."
    ),
    "shehata": (
        "Shehata et al. 2019, Cell Reports 28:3300, doi 10.1016/j.celrep.2019.08.056: the supplement, or its authors. "
        "It comes as VH_only_shehata.csv and VL_only_shehata.csv, each id,sequence,label."
    ),
}


def fetch(track: str, target: Path, mirror: str = "") -> list[Path]:
    """Download a track's published files into a folder, each held against its hash; one already there is kept.

    Args:
        mirror: another address of the folder with these files.

    Raises:
        UsageError: the track is not known, or its licence does not allow it; the message says where to ask.
        EngineError: the download fails.
        EvaluatorError: what came is not the file.
    """
    if track in ASK:
        raise UsageError(f"No licence allows {track} to be passed on. Ask for it: {ASK[track]}")
    if track not in SOURCES:
        raise UsageError(f"There is no public source of {track}. Known are: {', '.join([*SOURCES, *ASK])}.")
    source, done = SOURCES[track], []
    for file in source.files:
        path = target / file.name
        if not (path.is_file() and _is(path.read_bytes(), file)):
            data = _download((mirror.rstrip("/") + "/" if mirror else source.folder) + file.name)
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


def _download(url: str) -> bytes:
    try:
        with requests.get(url, timeout=TIMEOUT, stream=True) as response:
            response.raise_for_status()
            data = b""
            for chunk in response.iter_content(1024 * 1024):
                data += chunk
                if len(data) > MAX_BYTES:
                    raise EvaluatorError(f"{url} is larger than {MAX_BYTES:,} bytes.")
            return data
    except requests.RequestException as error:
        raise EngineError(f"{url} cannot be downloaded: {type(error).__name__}.", "Try again later.") from error
