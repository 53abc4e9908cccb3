"""How long the full job will take and how much memory, judged by two public runs of different length."""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import dataclass

from evaluator.contract.sequences import Sequences
from evaluator.contract.tracks import Track

ROWS = 2000
SECONDS = 30.0
"""A further run has so many rows, or as many as take at most about so long."""
CLEAR = 1.5
RESIDUES = "ACDEFGHIKLMNPQRSTVWY"


@dataclass(frozen=True)
class Measured:
    """One run."""

    rows: int
    seconds: float
    memory: int | None


def rows_for(first: Measured, last: Measured, tracks: Iterable[Track]) -> int:
    """How many rows the next run should have; 0 where those so far say enough of these tracks.

    A run that took hardly longer than the first one tells of starting up, not of rows.
    """
    largest = max((t.n for t in tracks), default=0)
    told = last.rows > first.rows and (last.seconds > CLEAR * first.seconds or last.rows >= min(ROWS, largest))
    if told or largest <= 5 * first.rows or last.seconds > SECONDS:
        return 0
    affordable = int(SECONDS / max(last.seconds / last.rows, 1e-6))
    return min(ROWS, largest, max(affordable, 2 * last.rows))


def enlarged(sequences: Sequences, rows: int, seed: int = 0) -> Sequences:
    """So many rows, made of a track's own: each further copy has some residues exchanged, so that no two are alike."""
    rng = random.Random(seed)  # noqa: S311 - public data
    n, columns = sequences.n, {}
    for name, chains in sequences.columns.items():
        columns[name] = tuple(chains[k % n] if k < n else _changed(chains[k % n], rng) for k in range(rows))
    return Sequences(columns, sequences.task, sequences.audit_rows)


def _changed(chain: str, rng: random.Random) -> str:
    residues = list(chain)
    for place in rng.sample(range(len(residues)), min(6, len(residues))):
        residues[place] = rng.choice(RESIDUES)
    return "".join(residues)


def extrapolated(first: Measured, second: Measured, rows: int) -> Measured:
    """A straight line through two runs, never falling; after one run, in proportion to the rows."""
    if second.rows == first.rows:
        return Measured(rows, first.seconds * max(rows / first.rows, 1.0), first.memory)
    share = (rows - first.rows) / (second.rows - first.rows)
    seconds = first.seconds + max(second.seconds - first.seconds, 0.0) * share
    if first.memory is None or second.memory is None:
        return Measured(rows, max(seconds, 0.0), second.memory)
    memory = first.memory + max(second.memory - first.memory, 0) * share
    return Measured(rows, max(seconds, 0.0), max(int(memory), 0))
