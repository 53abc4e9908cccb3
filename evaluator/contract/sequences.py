"""A track's rows without their labels: all that ever leaves the maintainer's process, but for few-shot supports."""

from __future__ import annotations

import csv
import io
import random
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from evaluator.contract.task_types import TaskType

AMINO_ACIDS = frozenset("ACDEFGHIKLMNPQRSTVWYXBZUO")
"""One-letter codes, with those of unknown, ambiguous and rare residues."""


@dataclass(frozen=True)
class BlindedInput:
    """What a container sees of a track: the files in /data by name, and (kept here) the opaque id of each row."""

    files: dict[str, bytes]
    ids: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Sequences:
    """Rows in the order of the track's sequences.csv.

    Attributes:
        columns: `sequence`, and `light_sequence` on a paired track; n strings each.
        task: what is to be predicted of them.
        audit_rows: how many rows an entry is run on again to see whether it is consistent; 0 for no audit.
        together: what is predicted of a row may depend on the others: then it is run again on all of them.
    """

    columns: dict[str, tuple[str, ...]]
    task: TaskType
    audit_rows: int
    together: bool = False

    @cached_property
    def n(self) -> int:
        """Number of rows."""
        return len(self.columns["sequence"])

    def take(self, rows: Sequence[int]) -> Sequences:
        """These rows alone, in this order."""
        columns = {name: tuple(chains[row] for row in rows) for name, chains in self.columns.items()}
        return Sequences(columns, self.task, self.audit_rows)

    def blinded(self, seed: int) -> BlindedInput:
        """The input of one run: fresh opaque ids, shuffled rows; the same seed gives the same file."""
        rng = random.Random(seed)  # noqa: S311 - the seed itself comes from `secrets`
        opaque = [f"{value:012x}" for value in rng.sample(range(16**12), self.n)]
        rows = list(zip(opaque, *self.columns.values(), strict=True))
        text = io.StringIO(newline="")
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(["sequence_id", *self.columns])
        writer.writerows(rows[k] for k in rng.sample(range(self.n), self.n))
        return BlindedInput({"sequences.csv": text.getvalue().encode()}, ids=tuple(opaque))


def rows_of(sequences: Sequences, rows: range | None) -> Sequences:
    """The rows that a task is about; None for all."""
    return sequences if rows is None else sequences.take(rows)
