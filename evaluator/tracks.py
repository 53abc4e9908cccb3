"""A track: its public description in `test_data/tracks/<id>.yaml`, and its hidden CSVs, checked against each other."""

from __future__ import annotations

import hashlib
import hmac
import io
import math
import random
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd
import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from evaluator.errors import EvaluatorError
from evaluator.metrics import METRICS

Task = Literal["classification", "regression"]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
KEY_FILE = "labels.key"
AMINO_ACIDS = frozenset("ACDEFGHIKLMNPQRSTVWYXBZUO")
PRIMARY: dict[Task, tuple[str, ...]] = {"classification": ("roc_auc", "accuracy"), "regression": ("spearman",)}
"""What a track may be ranked by: that for which there is a paired test."""


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Source(_Model):
    """Where the data come from."""

    citation: str
    doi: str | None = None
    url: str | None = None


class Classes(_Model):
    """How many rows of each class."""

    negative: int = Field(ge=0)
    positive: int = Field(ge=0)


class Hashes(_Model):
    """sha256 of the two CSVs; null while the data are not at hand."""

    sequences: Sha256 | None = None
    labels: Sha256 | None = None


class Track(_Model):
    """What everyone may know of a track."""

    id: str = Field(pattern=r"^[a-z0-9][a-z0-9-]{2,63}$")
    title: str
    summary: str
    purpose: Literal["benchmark", "practice"] = "benchmark"
    assay: str
    species: str
    chains: Literal["VH", "VH+VL", "VHH"]
    task: Task
    n: int = Field(gt=0)
    classes: Classes | None = None
    label_rule: str
    source: Source
    licence: str
    disclosure: Literal["open", "hidden"]
    primary_metric: str
    secondary_metric: str
    ranked: Literal["tiers", "intervals"]
    timeout_minutes: float = Field(default=60, gt=0)
    audit_rows: int = Field(default=40, ge=0)
    """How many rows an entry is run on again to see whether it is consistent; 0 for no audit."""
    known_problems: tuple[str, ...] = ()
    families: str | None = None
    """How the sequence families in the labels' column `family` were made; without it rows count as independent."""
    same_labels: tuple[str, ...] = ()
    """Training sets that contain this track's labels; an entry trained on one gets no rank here."""
    sha256: Hashes = Hashes()
    labels_hmac_sha256: Sha256 | None = None
    """In place of the labels' sha256 where they are hidden: a plain hash would confirm a guessed labelling."""

    @model_validator(mode="after")
    def _counts_agree(self) -> Track:
        if (self.task == "classification") != (self.classes is not None):
            raise ValueError("a classification track states its classes, a regression track has none")
        if self.classes and self.classes.negative + self.classes.positive != self.n:
            raise ValueError("the classes do not add up to n")
        if self.disclosure == "hidden" and self.sha256.labels:
            raise ValueError("a hidden track states labels_hmac_sha256, never the plain sha256 of its labels")
        if self.primary_metric not in PRIMARY[self.task]:
            raise ValueError(f"a {self.task} track is ranked by {' or '.join(PRIMARY[self.task])}")
        if self.secondary_metric not in METRICS or METRICS[self.secondary_metric].task != self.task:
            raise ValueError(f"{self.secondary_metric} is no metric of a {self.task} track")
        return self


def load_all(folder: Path) -> dict[str, Track]:
    """Every track of the benchmark, by id, benchmark tracks first.

    Raises:
        EvaluatorError: a track file is missing or wrong.
    """
    tracks = [_load(path) for path in sorted(folder.glob("*.yaml"))]
    if not tracks:
        raise EvaluatorError(f"{folder} holds no track.", "Name the benchmark's clone with --root.")
    return {t.id: t for t in sorted(tracks, key=lambda t: (t.purpose, t.id))}


def _load(path: Path) -> Track:
    try:
        track = Track.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except (yaml.YAMLError, ValidationError, UnicodeDecodeError) as error:
        raise EvaluatorError(f"{path} is not a valid track: {error}", "Correct the file.") from error
    if track.id != path.stem:
        raise EvaluatorError(f"{path} says id: {track.id}.", "A track's id is its file's stem.")
    return track


@dataclass(frozen=True, eq=False)
class TrackData:
    """A track's rows, in the order of its sequences.csv.

    Attributes:
        track: the public description.
        ids: n sequence ids.
        columns: `sequence`, and `light_sequence` on a paired track; n strings each.
        truth: [n] 0/1 as int8 (classification) or finite float64 (regression).
        sequences_sha256: of the file.
        labels_hash: sha256 of the file; of a hidden track its HMAC-SHA256 under the maintainer's key.
        families: [n] which rows belong together, from 0; None where the track declares no families.
    """

    track: Track
    ids: tuple[str, ...]
    columns: dict[str, tuple[str, ...]]
    truth: npt.NDArray[np.int8] | npt.NDArray[np.float64]
    sequences_sha256: str
    labels_hash: str
    families: npt.NDArray[np.int64] | None = None

    @cached_property
    def n(self) -> int:
        """Number of rows."""
        return len(self.ids)

    @property
    def family_count(self) -> int | None:
        """Number of families; None where the track declares none."""
        return None if self.families is None else int(self.families.max()) + 1

    def blinded(self, seed: int, rows: Sequence[int] | None = None) -> BlindedInput:
        """The input of one run: fresh opaque ids, shuffled rows; the same seed gives the same file.

        Args:
            rows: only these rows of the track; default all.
        """
        rng = random.Random(seed)  # noqa: S311 - the seed itself comes from `secrets`
        n = self.n if rows is None else len(rows)
        opaque = [f"{value:012x}" for value in rng.sample(range(16**12), n)]
        table = pd.DataFrame(self.columns)
        table = table if rows is None else table.iloc[list(rows)]
        table.insert(0, "sequence_id", opaque)
        table = table.iloc[rng.sample(range(n), n)]
        return BlindedInput(csv=table.to_csv(index=False, lineterminator="\n").encode(), ids=tuple(opaque))


@dataclass(frozen=True)
class BlindedInput:
    """What a container sees of a track: `csv`, and (kept here) the opaque id of each row."""

    csv: bytes
    ids: tuple[str, ...]


def load_data(track: Track, hidden: Path) -> TrackData | None:
    """Read `<hidden>/<track>/{sequences,labels}.csv`; None where the folder is not there.

    Raises:
        EvaluatorError: a file is missing, changed, or does not fit the track's description.
    """
    folder = hidden / track.id
    if not folder.is_dir():
        return None
    sequences, sequences_hash = _read(folder / "sequences.csv", track.sha256.sequences)
    if track.disclosure == "hidden":
        labels, labels_hash = _read(folder / "labels.csv", track.labels_hmac_sha256, key=_key(hidden))
    else:
        labels, labels_hash = _read(folder / "labels.csv", track.sha256.labels)
    columns = _sequence_columns(track, sequences, folder / "sequences.csv")
    ids = _ids(sequences, folder / "sequences.csv")
    order = _rows(labels, ids, folder / "labels.csv")
    truth = _truth(track, labels, folder / "labels.csv")[order]
    families = family_column(labels, folder / "labels.csv")[order] if track.families else None
    if len(ids) != track.n:
        raise EvaluatorError(f"{folder} has {len(ids):,} rows, its track file says {track.n:,}.", "Correct either.")
    return TrackData(track, ids, columns, truth, sequences_hash, labels_hash, families)


def read_csv(path: Path) -> pd.DataFrame:
    """One of our own CSVs (`.csv` or `.csv.gz`) as text: an id of `NA` stays `NA`.

    Raises:
        EvaluatorError: it cannot be read.
    """
    try:
        return pd.read_csv(path, dtype=str, keep_default_na=False, na_filter=False)
    except (OSError, EOFError, ValueError, zlib.error) as error:
        raise EvaluatorError(f"{path} cannot be read: {error}", "Name a CSV file (.csv or .csv.gz).") from error


def _key(hidden: Path) -> bytes:
    """The maintainer's key for the hashes of hidden labels.

    Raises:
        EvaluatorError: it is missing or too short to be secret.
    """
    path = hidden / KEY_FILE
    key = path.read_bytes().strip() if path.is_file() else b""
    if len(key) < 32:
        raise EvaluatorError(
            f"{path} must hold the key of the hidden labels' hashes, at least 32 characters.",
            f"Make one with: openssl rand -hex 32 > {path}",
        )
    return key


def _read(path: Path, expected: str | None, key: bytes | None = None) -> tuple[pd.DataFrame, str]:
    if not path.is_file():
        raise EvaluatorError(f"{path} is missing.", "Put it there, or take the folder away to leave the track out.")
    data = path.read_bytes()
    found = hmac.new(key, data, hashlib.sha256).hexdigest() if key else hashlib.sha256(data).hexdigest()
    if found != expected:
        state = (
            "has no hash in its track file"
            if expected is None
            else f"is not the file that its track names ({expected})"
        )
        raise EvaluatorError(
            f"{path} ({'hmac-' if key else ''}sha256 {found}) {state}; scores on other data would not be comparable.",
            "Restore the file, or declare a new version of the track.",
        )
    try:
        return pd.read_csv(io.BytesIO(data), dtype=str, keep_default_na=False, na_filter=False), found
    except ValueError as error:
        raise EvaluatorError(f"{path} cannot be read: {error}") from error


def _ids(table: pd.DataFrame, path: Path) -> tuple[str, ...]:
    if "sequence_id" not in table:
        raise EvaluatorError(f"{path} has no column sequence_id.", "Its header names the columns.")
    ids = tuple(table["sequence_id"])
    if len(set(ids)) != len(ids) or "" in ids:
        raise EvaluatorError(f"{path} has an empty or repeated sequence_id.", "Each row needs an id of its own.")
    return ids


def _sequence_columns(track: Track, table: pd.DataFrame, path: Path) -> dict[str, tuple[str, ...]]:
    names = ["sequence", "light_sequence"] if track.chains == "VH+VL" else ["sequence"]
    missing = [name for name in names if name not in table]
    if missing:
        raise EvaluatorError(f"{path} has no column {', '.join(missing)}.", f"{track.chains} tracks need {names}.")
    for name in names:
        bad = [row for row, value in enumerate(table[name], start=2) if not value or not AMINO_ACIDS.issuperset(value)]
        if bad:
            raise EvaluatorError(f"{path} line {bad[0]}: {name} is not a protein sequence.", "Use one-letter codes.")
    return {name: tuple(table[name]) for name in names}


def truth_column(table: pd.DataFrame, path: Path) -> tuple[Task, npt.NDArray[np.int8] | npt.NDArray[np.float64]]:
    """The `label` (0/1, int8) or `target` (finite float64) column of a labels file, [n], and the task it implies.

    Raises:
        EvaluatorError: neither column is there, or a value is not of its kind.
    """
    if "label" in table:
        bad = [row for row, value in enumerate(table["label"], start=2) if value not in {"0", "1"}]
        if bad:
            raise EvaluatorError(f"{path} line {bad[0]}: a label is 0 or 1.", "Correct the labels.")
        return "classification", table["label"].to_numpy(dtype=np.int8)
    if "target" not in table:
        raise EvaluatorError(f"{path} has neither a column label nor a column target.", "Add one.")
    try:
        values = np.array([float(v) for v in table["target"]], dtype=np.float64)
    except ValueError as error:
        raise EvaluatorError(f"{path}: {error}.", "Every target is a number.") from error
    if not all(math.isfinite(v) for v in values):
        raise EvaluatorError(f"{path} has a target that is not finite.", "Correct it.")
    return "regression", values


def family_column(table: pd.DataFrame, path: Path) -> npt.NDArray[np.int64]:
    """Which rows of a labels file belong together, by its column `family`: [n] from 0.

    Raises:
        EvaluatorError: there is no such column, or a row names no family.
    """
    if "family" not in table or (table["family"] == "").any():
        raise EvaluatorError(f"{path} needs a column family with a value in every row.", "Add it.")
    return np.asarray(pd.factorize(table["family"])[0], dtype=np.int64)


def _rows(labels: pd.DataFrame, ids: tuple[str, ...], path: Path) -> list[int]:
    """For each row of sequences.csv its row in labels.csv."""
    label_ids = _ids(labels, path)
    if set(label_ids) != set(ids):
        raise EvaluatorError(f"{path} and sequences.csv beside it do not hold the same ids.", "Correct either.")
    row = {label_id: index for index, label_id in enumerate(label_ids)}
    return [row[i] for i in ids]


def _truth(track: Track, labels: pd.DataFrame, path: Path) -> npt.NDArray[np.int8] | npt.NDArray[np.float64]:
    task, truth = truth_column(labels, path)
    if task != track.task:
        raise EvaluatorError(f"{path} is for {task}, its track says {track.task}.", "Correct either.")
    if track.classes and int(truth.sum()) != track.classes.positive:
        raise EvaluatorError(
            f"{path} has {int(truth.sum())} positives, not {track.classes.positive}.", "Correct either."
        )
    return truth
