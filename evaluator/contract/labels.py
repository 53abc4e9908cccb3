"""A track's rows with their labels, checked against what its public description says: the only reader of labels."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from evaluator.contract import tables
from evaluator.contract.arrays import IntArray, Truth
from evaluator.contract.episodes import Splits
from evaluator.contract.families import RULES, families
from evaluator.contract.few_shot import FewShot
from evaluator.contract.sequences import Sequences
from evaluator.contract.strict_yaml import load_ours
from evaluator.contract.task_types import TaskType
from evaluator.contract.tracks import Track
from evaluator.errors import EvaluatorError

KEY_FILE = "labels.key"


@dataclass(frozen=True, eq=False)
class TrackData:
    """A track's rows, in the order of its sequences.csv.

    Attributes:
        track: the public description.
        ids: n sequence ids.
        columns: `sequence`, and `light_sequence` on a paired track; n strings each. Empty where labels alone are at
            hand; rows are then in their order.
        truth: [n] 0/1 as int8 (classification) or finite float64 (regression); of a few-shot track that of each query
            of each run, [N], in the order of `splits.rows`.
        sequences_sha256: of the file; None where labels alone are at hand.
        labels_hash: sha256 of the file; of a hidden track its HMAC-SHA256 under the maintainer's key.
        families: [n] which rows belong together, from 0; None where the track declares no families, or names a rule for
            sequences that are not at hand.
        splits: the runs of a few-shot track, and None for others.
    """

    track: Track
    ids: tuple[str, ...]
    columns: dict[str, tuple[str, ...]]
    truth: Truth
    sequences_sha256: str | None
    labels_hash: str
    families: IntArray | None = None
    splits: Splits | None = None

    @cached_property
    def n(self) -> int:
        """Number of rows."""
        return len(self.ids)

    @property
    def family_count(self) -> int | None:
        """Number of families; None where there are none."""
        return None if self.families is None else int(self.families.max()) + 1

    @cached_property
    def sequences(self) -> Sequences:
        """The rows without their labels."""
        return Sequences(self.columns, self.track.task, self.track.audit_rows)

    def run(self, number: int, *, together: bool) -> Sequences:
        """What one run of a few-shot track is about; `together` as in `Splits.sequences`."""
        assert self.splits is not None
        return self.splits.sequences(number, self.track.audit_rows, together=together)

    def runs(self, *, together: bool) -> list[Sequences]:
        """What each run of an entry on the track is about: one, but on a few-shot track."""
        if self.splits is None:
            return [self.sequences]
        return [self.run(k, together=together) for k in range(len(self.splits.episodes))]


@dataclass(frozen=True, eq=False)
class TrackFiles:
    """A track's two CSVs, known to be those that its description names, and not parsed until rows are asked for.

    Attributes:
        sequences: None where labels alone are at hand: archived predictions can be scored, and no image be run.
    """

    track: Track
    sequences: bytes | None
    labels: bytes
    sequences_sha256: str | None
    labels_hash: str
    folder: Path

    @cached_property
    def data(self) -> TrackData:
        """The rows.

        Raises:
            EvaluatorError: they do not fit the track's description.
        """

        track, sequences_csv, labels_csv = self.track, self.folder / "sequences.csv", self.folder / "labels.csv"
        columns, ids = dict[str, tuple[str, ...]](), tuple[str, ...]()
        if self.sequences is not None:
            sequences = tables.parse(self.sequences, sequences_csv)
            single = track.chains == "mixed"
            chains = ("sequence", "light_sequence") if track.chains in {"VH+VL", "mixed"} else ("sequence",)
            columns = tables.sequence_columns(sequences, sequences_csv, chains, optional=chains[1:] if single else ())
            ids = tables.id_column(sequences, sequences_csv)
        if track.purpose == "panel":
            self._require_count(len(ids))
            return TrackData(track, ids, columns, np.empty(0), self.sequences_sha256, self.labels_hash)
        labels = tables.parse(self.labels, labels_csv)
        if self.sequences is None:
            ids = tables.id_column(labels, labels_csv)
        if track.few_shot is not None:
            if self.sequences is not None:
                tables.require_distinct(columns, ids, sequences_csv, sequences.lines)
            return self._few_shot(track.few_shot, labels, labels_csv, ids, columns)
        order = tables.row_order(labels, ids, labels_csv)
        truth = _truth(track, tables.truth_column(labels, labels_csv), labels_csv)[order]
        self._require_count(len(ids))
        groups = self._families(columns, labels, labels_csv, order)
        return TrackData(track, ids, columns, truth, self.sequences_sha256, self.labels_hash, groups)

    def _families(
        self, columns: dict[str, tuple[str, ...]], labels: tables.Table, path: Path, order: list[int]
    ) -> IntArray | None:
        """By the track's rule from its sequences, else as its labels say: [n], or None."""
        if rule := RULES.get(self.track.families or ""):
            return families(columns["sequence"], rule)[1] if columns else None
        return tables.family_column(labels, path)[order] if self.track.families else None

    def _few_shot(
        self,
        few_shot: FewShot,
        labels: tables.Table,
        path: Path,
        ids: tuple[str, ...],
        columns: dict[str, tuple[str, ...]],
    ) -> TrackData:
        """The rows of a few-shot track, whose labels have a line for each antibody and assay."""
        targets = tables.assay_columns(labels, path, ids, few_shot.assays)
        self._require_count(len(ids))
        splits = Splits(few_shot, ids, columns, targets)
        for task in few_shot.tasks:
            if task.split_sha256 not in {None, splits.sha256(task)}:
                raise EvaluatorError(
                    f"{self.folder}: {task.id} is divided otherwise than its track file says ({task.split_sha256}).",
                    "Sizes, replicates, seed and assays of a track stay as they were; another division is a new track.",
                )
        return TrackData(self.track, ids, columns, splits.truth, self.sequences_sha256, self.labels_hash, splits=splits)

    def _require_count(self, n: int) -> None:
        if n != self.track.n:
            raise EvaluatorError(
                f"{self.folder} has {n:,} rows, its track file says {self.track.n:,}.", "Correct either."
            )

    @property
    def given_sha256(self) -> str | None:
        """Of all that runs are given: the sequences, and on a few-shot track measurements and how they are divided."""
        if self.track.few_shot is None or self.sequences_sha256 is None:
            return self.sequences_sha256
        parts = [self.sequences_sha256, self.labels_hash, self.track.few_shot.decides_runs()]
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def find_data(track: Track, hidden: Path) -> TrackFiles | None:
    """`<hidden>/<track>/{sequences,labels}.csv`, held against their hashes; None where the folder is not there.

    A track whose file names no hash of sequences may have labels alone.

    Raises:
        EvaluatorError: a file is missing or changed.
    """
    folder = hidden / track.id
    if not folder.is_dir():
        return None
    sequences = sequences_hash = None
    if track.sha256.sequences or (folder / "sequences.csv").exists():
        sequences, sequences_hash = _read(folder / "sequences.csv", track.sha256.sequences)
    key = _key(hidden) if track.disclosure == "hidden" else None
    labels, labels_hash = _read(folder / "labels.csv", track.labels_hash, key)
    return TrackFiles(track, sequences, labels, sequences_hash, labels_hash, folder)


def find_panel(folder: Path) -> TrackFiles | None:
    """The panel on which entries are compared, `<folder>/{panel.yaml,sequences.csv}`; None where there is none.

    Raises:
        EvaluatorError: a file is wrong, or not the one that panel.yaml names.
    """
    path = folder / "panel.yaml"
    if not path.is_file():
        return None
    track = load_ours(path, Track)
    content, found = _read(folder / "sequences.csv", track.sha256.sequences)
    return TrackFiles(track, content, b"", found, "", folder)


def load_data(track: Track, hidden: Path) -> TrackData | None:
    """The rows of `find_data`; None where the folder is not there.

    Raises:
        EvaluatorError: a file is missing, changed, or does not fit the track's description.
    """
    found = find_data(track, hidden)
    return found.data if found else None


def open_to_others(hidden: Path, files: Iterable[TrackFiles]) -> list[Path]:
    """The key, and labels of hidden tracks, that other users of this machine can read.

    Args:
        files: of the tracks to look at.
    """
    secret = [one.folder / "labels.csv" for one in files if one.track.disclosure == "hidden"]
    found = [path for path in [hidden / KEY_FILE, *secret] if path.is_file()]
    return [path for path in found if path.stat().st_mode & 0o077 and path.parent.stat().st_mode & 0o077]


def _key(hidden: Path) -> bytes:
    """The maintainer's key for the hashes of hidden labels.

    Raises:
        EvaluatorError: it is missing or too short to be secret.
    """
    path = hidden / KEY_FILE
    key = path.read_bytes().strip() if path.is_file() else b""
    if len(key) < 32:
        raise EvaluatorError(
            f"{path}, the key of the hidden labels' hashes, is missing or too short; the labels may be well.",
            "Put it back from a backup. Without one, docs/maintaining.md says how a new key is made; the files of all "
            "hidden tracks must then name new hashes.",
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
            "Restore the file from your copy. Where it was meant to change: corrected labels get their new hash in the "
            "track file, other rows are a new track (docs/maintaining.md, Runbook).",
        )
    return data, found


def _truth(track: Track, found: tuple[TaskType, Truth], path: Path) -> Truth:
    task, truth = found
    if task != track.task:
        raise EvaluatorError(f"{path} is for {task}, its track says {track.task}.", "Correct either.")
    if track.classes and int(truth.sum()) != track.classes.positive:
        raise EvaluatorError(
            f"{path} has {int(truth.sum())} positives, not {track.classes.positive}.", "Correct either."
        )
    return truth
