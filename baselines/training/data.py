"""Data to train and to test on: fetched from where it is published, held against its hash, brought into one form."""

from __future__ import annotations

import hashlib
import io
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from baselines.errors import DataError
from baselines.predicting.features import folder_name

MAX_BYTES = 64 * 1024 * 1024


@dataclass(frozen=True)
class Source:
    """A published training set.

    Attributes:
        url: of the published file, at a fixed commit.
        published_sha256: of that file.
        sha256: of the file that `convert` makes of it: `sequence_id,sequence,label`.
        citation: whom to cite.
    """

    url: str
    published_sha256: str
    sha256: str
    citation: str
    convert: Callable[[bytes], bytes]


def _boughter(published: bytes) -> bytes:
    table = pd.read_csv(io.BytesIO(published))
    table.insert(0, "sequence_id", [f"boughter_{i:04d}" for i in range(1, len(table) + 1)])
    return table.astype({"label": int}).to_csv(index=False, lineterminator="\n").encode()


SOURCES = {
    "boughter": Source(
        url="https://raw.githubusercontent.com/The-Obstacle-Is-The-Way/antibody_training_pipeline_ESM/"
        "940a5c0dca3c02174fdef50f73decf17f8788c92/data/train/boughter/canonical/VH_only_boughter_training.csv",
        published_sha256="cd67d699c613db646d57c6f46def0bcdad482f1f88bddb1b611f305b9248cdb0",
        sha256="5aefa72ea3974bc96d2ddc538d425767f53b4312f1455ced5d897ba1e5166b8c",
        citation="Boughter et al. 2020, eLife 9:e61393",
        convert=_boughter,
    ),
}


def fetch(name: str, target: Path, local: Path | None = None) -> Path:
    """Write a training set to `target`, from its source or from a local copy of either form.

    Raises:
        DataError: it cannot be had, or is not the file that its hash names.
    """
    source = SOURCES[name]
    data = local.read_bytes() if local else _download(source.url)
    found = hashlib.sha256(data).hexdigest()
    if found == source.published_sha256:
        data = source.convert(data)
    if (made := hashlib.sha256(data).hexdigest()) != source.sha256:
        raise DataError(
            f"{local or source.url} (sha256 {found}) is not {name}: expected {source.published_sha256} as published or "
            f"{source.sha256} as converted{'' if made == found else f', the conversion gave {made}'}."
        )
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(data)
    return target


def _download(url: str) -> bytes:
    try:
        with urllib.request.urlopen(url, timeout=60) as answer:  # noqa: S310 - only the https addresses above
            data: bytes = answer.read(MAX_BYTES)
    except (urllib.error.URLError, TimeoutError) as error:
        raise DataError(f"{url} cannot be fetched: {error}. Give a copy of it with --from FILE.") from error
    return data


@dataclass(frozen=True)
class TrainingSet:
    """Sequences with classes, and what they are called on the leaderboard."""

    name: str
    sequences: tuple[str, ...]
    labels: tuple[int, ...]
    sha256: str


def read_training_set(path: Path) -> TrainingSet:
    """A CSV with `sequence,label`; its name is `boughter` where the hash is that set's, else `other`.

    Raises:
        DataError: it cannot be read.
    """
    try:
        data = path.read_bytes()
        table = pd.read_csv(io.BytesIO(data), dtype=str, keep_default_na=False)
        labels = tuple(int(float(label)) for label in table["label"])
        sequences = tuple(table["sequence"].str.upper())
    except (OSError, ValueError, KeyError) as error:
        raise DataError(f"{path} is not a CSV with the columns sequence and label: {error}") from error
    if set(labels) != {0, 1} or "" in sequences:
        raise DataError(f"{path} needs labels 0 and 1, both present, and no empty sequence.")
    digest = hashlib.sha256(data).hexdigest()
    name = next((n for n, source in SOURCES.items() if source.sha256 == digest), "other")
    name = "synthetic" if table.get("sequence_id", pd.Series(dtype=str)).str.startswith("synthetic_").any() else name
    return TrainingSet(name, sequences, labels, digest)


@dataclass(frozen=True, eq=False)
class Dataset:
    """Sequences to test on: `label` 0/1 or `target`, or neither.

    Attributes:
        name: of its folder or file.
        kind: `label`, `target` or empty.
        truth: [n]; empty where there is none.
    """

    name: str
    ids: tuple[str, ...]
    sequences: tuple[str, ...]
    kind: str
    truth: npt.NDArray[np.float64]
    sha256: str


def read_dataset(path: Path) -> Dataset:
    """A folder with sequences.csv and labels.csv, or a CSV with `sequence`, perhaps `sequence_id`, `label`, `target`.

    Raises:
        DataError: it is neither.
    """
    files = [path / "sequences.csv", path / "labels.csv"] if path.is_dir() else [path]
    try:
        tables = [pd.read_csv(f, dtype=str, keep_default_na=False) for f in files]
        table = tables[0]
        if len(tables) == 2:
            if set(table["sequence_id"]) != set(tables[1]["sequence_id"]):
                raise ValueError("sequences.csv and labels.csv do not hold the same ids")
            table = table.merge(tables[1], on="sequence_id", validate="1:1")
        kind = next((k for k in ("label", "target") if k in table), "")
        truth: npt.NDArray[np.float64] = np.asarray(table[kind] if kind else [], dtype=np.float64)
        ids = table["sequence_id"] if "sequence_id" in table else pd.Series(map(str, range(1, len(table) + 1)))
        sequences = tuple(table["sequence"].str.upper())
    except (OSError, ValueError, KeyError) as error:
        raise DataError(f"{path} is no dataset: {error}") from error
    if not len(table) or (kind == "label" and not set(truth.tolist()) <= {0.0, 1.0}):
        raise DataError(f"{path} has no rows, or a label that is neither 0 nor 1.")
    name = folder_name(path.resolve().name.removesuffix(".csv"))
    digest = hashlib.sha256(b"".join(f.read_bytes() for f in files)).hexdigest()
    return Dataset(name, tuple(ids), sequences, kind, truth, digest)
