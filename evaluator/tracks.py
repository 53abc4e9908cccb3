"""A track: its public description in `test_data/tracks/<id>.yaml`, and its hidden CSVs, checked against each other."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import numpy.typing as npt
import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from evaluator.errors import EvaluatorError
from evaluator.metrics import METRICS, Task
from evaluator.sequences import Sequences

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
KEY_FILE = "labels.key"
Truth = npt.NDArray[np.int8] | npt.NDArray[np.float64]
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
    shards: int = Field(default=1, ge=1, le=64)
    """In how many parts a run may be split over several workers, where an entry is known to be consistent."""
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
    truth: Truth
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

    @cached_property
    def sequences(self) -> Sequences:
        """The rows without their labels."""
        return Sequences(self.columns, self.track.task, self.track.audit_rows)


@dataclass(frozen=True, eq=False)
class TrackFiles:
    """A track's two CSVs, known to be those that its description names, and not parsed until rows are asked for."""

    track: Track
    sequences: bytes
    labels: bytes
    sequences_sha256: str
    labels_hash: str
    folder: Path

    @cached_property
    def data(self) -> TrackData:
        """The rows.

        Raises:
            EvaluatorError: they do not fit the track's description.
        """
        from evaluator import tables

        track, sequences_csv, labels_csv = self.track, self.folder / "sequences.csv", self.folder / "labels.csv"
        sequences, labels = tables.parse(self.sequences, sequences_csv), tables.parse(self.labels, labels_csv)
        chains = ("sequence", "light_sequence") if track.chains == "VH+VL" else ("sequence",)
        columns = tables.sequence_columns(sequences, sequences_csv, chains)
        ids = tables.id_column(sequences, sequences_csv)
        order = tables.row_order(labels, ids, labels_csv)
        truth = _truth(track, tables.truth_column(labels, labels_csv), labels_csv)[order]
        families = tables.family_column(labels, labels_csv)[order] if track.families else None
        if len(ids) != track.n:
            raise EvaluatorError(
                f"{self.folder} has {len(ids):,} rows, its track file says {track.n:,}.", "Correct either."
            )
        return TrackData(track, ids, columns, truth, self.sequences_sha256, self.labels_hash, families)


def find_data(track: Track, hidden: Path) -> TrackFiles | None:
    """`<hidden>/<track>/{sequences,labels}.csv`, held against their hashes; None where the folder is not there.

    Raises:
        EvaluatorError: a file is missing or changed.
    """
    folder = hidden / track.id
    if not folder.is_dir():
        return None
    sequences, sequences_hash = _read(folder / "sequences.csv", track.sha256.sequences)
    if track.disclosure == "hidden":
        labels, labels_hash = _read(folder / "labels.csv", track.labels_hmac_sha256, key=_key(hidden))
    else:
        labels, labels_hash = _read(folder / "labels.csv", track.sha256.labels)
    return TrackFiles(track, sequences, labels, sequences_hash, labels_hash, folder)


def load_data(track: Track, hidden: Path) -> TrackData | None:
    """The rows of `find_data`; None where the folder is not there.

    Raises:
        EvaluatorError: a file is missing, changed, or does not fit the track's description.
    """
    found = find_data(track, hidden)
    return found.data if found else None


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


def _read(path: Path, expected: str | None, key: bytes | None = None) -> tuple[bytes, str]:
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
    return data, found


def _truth(track: Track, found: tuple[Task, Truth], path: Path) -> Truth:
    task, truth = found
    if task != track.task:
        raise EvaluatorError(f"{path} is for {task}, its track says {track.task}.", "Correct either.")
    if track.classes and int(truth.sum()) != track.classes.positive:
        raise EvaluatorError(
            f"{path} has {int(truth.sum())} positives, not {track.classes.positive}.", "Correct either."
        )
    return truth
