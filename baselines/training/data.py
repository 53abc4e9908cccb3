"""Data to train and to test on: fetched from where it is published, held against its hash, brought into one form."""

from __future__ import annotations

import hashlib
import io
import re
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from baselines.errors import DataError
from baselines.predicting import tables
from baselines.predicting.features import folder_name

SHOWN = 5
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
    """Sequences with classes, and what they are called on the leaderboard.

    Attributes:
        notes: what its owner should know before training on it.
        light: light chains, where it has them.
        families: where each antibody comes from, such as a donor group or a species; empty where that is not known.
        flags: ordered labels to learn from in place of the two classes; empty where there are none.
    """

    name: str
    sequences: tuple[str, ...]
    labels: tuple[int, ...]
    sha256: str
    notes: tuple[str, ...] = ()
    light: tuple[str, ...] = ()
    families: tuple[str, ...] = ()
    flags: tuple[int, ...] = ()

    def told(self) -> list[str]:
        """The first notes, and how many more there are."""
        more = [f"and {len(self.notes) - SHOWN} more such pairs"] if len(self.notes) > SHOWN else []
        return [f"note: {note}" for note in [*self.notes[:SHOWN], *more]]


def read_training_set(path: Path, origin: Path | None = None, flags: str | None = None) -> TrainingSet:
    """A CSV with `sequence,label`; its name is `boughter` where the hash is that set's, else `other`.

    Args:
        origin: a CSV with `sequence_id,family` for each of its rows; default its own column `family`, if any.
        flags: the column of ordered labels, there or here, if they are to be learned from.

    Raises:
        DataError: it is not that; a value that is no class is not made one.
    """
    table = tables.read(path)
    table.require("sequence", "label")
    sequences, labels, ids = table.sequences(), table.labels(), table.ids()
    if set(labels) != {0, 1}:
        raise DataError(f"{path} needs rows of both labels, 0 and 1; all are {labels[0]}.")
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    name = next((n for n, source in SOURCES.items() if source.sha256 == digest), "other")
    name = "synthetic" if any(i.startswith("synthetic_") for i in ids) else name
    notes = tuple(tables.contradictions(sequences, labels))
    families, ordered = _families(table, origin), _flags(table, labels, origin, flags)
    return TrainingSet(name, sequences, labels, digest, notes, table.light(), families, ordered)


def _flags(table: tables.Table, labels: Sequence[int], origin: Path | None, column: str | None) -> tuple[int, ...]:
    """Ordered labels, which must go the way of the classes.

    Raises:
        DataError: they are not there, are no whole numbers, or one of label 0 is as high as one of label 1.
    """
    if column is None:
        return ()
    known = tables.read(origin) if origin else table
    if column not in known.columns:
        raise DataError(f"{origin or 'the training CSV'} has no column {column}: data.origin=FILE names what has it.")
    known.require("sequence_id", column)
    by_id = dict(zip(known.ids(), known.columns[column], strict=True))
    found = []
    for row, name in enumerate(table.ids()):
        if not re.fullmatch(r"\d{1,6}", by_id.get(name, "")):
            raise table.fault(row, f"{column} is {by_id.get(name, 'not there')!r}; it must be a whole number.")
        found.append(int(by_id[name]))
    of_class = [[f for f, y in zip(found, labels, strict=True) if y == label] for label in (0, 1)]
    if max(of_class[0]) >= min(of_class[1]):
        raise DataError(f"{column} is as high for a row of label 0 as for one of label 1: it does not order them.")
    return tuple(found)


def _families(table: tables.Table, origin: Path | None) -> tuple[str, ...]:
    if origin is None:
        return table.columns.get("family", ())
    known = tables.read(origin)
    known.require("sequence_id", "family")
    family = dict(zip(known.ids(), known.columns["family"], strict=True))
    for row, name in enumerate(table.ids()):
        if not family.get(name):
            raise table.fault(row, f"{origin} names no family of it.")
    return tuple(family[name] for name in table.ids())


@dataclass(frozen=True, eq=False)
class Dataset:
    """Sequences to test on: `label` 0/1 or `target`, or neither.

    Attributes:
        name: of its folder or file.
        kind: `label`, `target` or empty.
        truth: [n]; empty where there is none.
        light: light chains, where it has them.
    """

    name: str
    ids: tuple[str, ...]
    sequences: tuple[str, ...]
    kind: str
    truth: npt.NDArray[np.float64]
    sha256: str
    light: tuple[str, ...] = ()


def read_dataset(path: Path) -> Dataset:
    """A folder with sequences.csv and labels.csv, or a file with `sequence`, perhaps `sequence_id`, `label`, `target`.

    Raises:
        DataError: it is neither.
    """
    files = [_in(path, "sequences"), _in(path, "labels")] if path.is_dir() else [path]
    table = tables.read(files[0])
    truths = tables.read(files[-1])
    ids, sequences = table.ids(), table.sequences()
    kind = next((k for k in ("label", "target") if k in truths.columns), "")
    values = {"label": truths.labels, "target": truths.targets, "": tuple}[kind]()
    if len(files) == 2:
        table.require("sequence_id", "sequence")
        truths.require("sequence_id")
        place = {name: k for k, name in enumerate(truths.ids())}
        if set(place) != set(ids):
            raise DataError(f"{files[0]} and {files[1]} do not hold the same ids.")
        values = tuple(values[place[name]] for name in ids) if kind else ()
    stem = re.sub(rf"({'|'.join(map(re.escape, tables.SUFFIXES))})$", "", path.resolve().name)
    digest = hashlib.sha256(b"".join(f.read_bytes() for f in files)).hexdigest()
    truth = np.array(values, dtype=np.float64)
    return Dataset(folder_name(stem), ids, sequences, kind, truth, digest, table.light())


def _in(folder: Path, name: str) -> Path:
    """A table in a folder, plain or gzipped."""
    packed = folder / f"{name}.csv.gz"
    return packed if packed.is_file() and not (folder / f"{name}.csv").is_file() else folder / f"{name}.csv"
