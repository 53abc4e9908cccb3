"""How long the full job will take and how much memory, judged by public runs of different length.

Starting up takes as long for few rows as for many, and what rows add to the memory may be hidden below what the start
took: both are told apart by runs whose lengths differ as much as half a minute allows.
"""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import dataclass

from evaluator.contract.sequences import Sequences

SECONDS = 30.0
"""How long the longest run may take."""
TOGETHER = 3
"""All runs may take so many times as long; then no further one is begun."""
ENOUGH = 5
"""A track of at most so many times as many rows needs no longer run."""
FAR = 100
"""To foretell more than so many times as many rows as were run is a guess."""
WIDE = 3
"""So is a range whose ends differ by more than this factor."""
RESIDUES = "ACDEFGHIKLMNPQRSTVWY"


@dataclass(frozen=True)
class Measured:
    """One run, or what several of the same length come to."""

    rows: int
    seconds: float
    memory: int | None


@dataclass(frozen=True)
class Range:
    """What is expected, and between which values it may well be."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Foretold:
    """What one track will take.

    Attributes:
        memory: bytes; None where no run's memory could be had.
        thin: it rests on too little to rely on.
    """

    seconds: Range
    memory: Range | None
    thin: bool


def merged(runs: Iterable[Measured]) -> list[Measured]:
    """One point for each length, shortest first: the quickest time, since the first run finds nothing in the machine's
    caches, and the largest memory.
    """
    found: dict[int, Measured] = {}
    for run in runs:
        known = found.get(run.rows, run)
        memory = max((m for m in (known.memory, run.memory) if m is not None), default=None)
        found[run.rows] = Measured(run.rows, min(known.seconds, run.seconds), memory)
    return [found[rows] for rows in sorted(found)]


def rows_for(runs: Iterable[Measured], largest: int, seconds: float = SECONDS) -> int:
    """How many rows the next run should have; 0 where those so far say enough, or where more would take too long.

    Args:
        largest: rows of the largest track that is to be foretold.
        seconds: how long a run may take.
    """
    made = list(runs)
    points = merged(made)
    first, last = points[0], points[-1]
    if sum(run.seconds for run in made) > TOGETHER * seconds:
        return 0
    alone = last.rows < 2 * first.rows  # nothing but the practice track and its audit was run
    if last.rows >= largest or (alone and largest <= ENOUGH * last.rows):
        return 0
    if alone and last.seconds > seconds / 2:  # no time for more rows: fewer tell what starting up takes
        few = max(first.rows // 10, 1)
        return few if few < first.rows else 0
    each = last.seconds / last.rows if alone else _slope(first, last, up=True)
    affordable = last.rows + int((seconds - last.seconds) / max(each, 1e-7))
    return 0 if affordable < min(2 * last.rows, largest) else min(affordable, largest)


def foretold(runs: Iterable[Measured], rows: int) -> Foretold:
    """What so many rows will take: a straight line through the shortest and the longest run, never falling."""
    points = merged(runs)
    first, last = points[0], points[-1]
    more = rows - last.rows
    if first is last:  # whether starting up took all of the time or none of it is not known
        least, most = sorted((last.seconds, last.seconds * rows / last.rows))
        seconds = Range((least + most) / 2, least, most)
    elif more > 0:
        value = last.seconds + more * _slope(first, last)
        low = last.seconds - _scatter(last.seconds) + more * _slope(first, last, up=False)
        seconds = Range(value, low, last.seconds + _scatter(last.seconds) + more * _slope(first, last, up=True))
    else:
        value = max(last.seconds + more * _slope(first, last), 0.0)
        seconds = Range(value, max(value - _scatter(value), 0.0), value + _scatter(value))
    memory, hidden = _memory(points, rows)
    wide = seconds.high > WIDE * max(seconds.low, 1.0)
    far = rows > 2 * last.rows
    return Foretold(seconds, memory, thin=far and (rows > FAR * last.rows or wide or hidden))


def _scatter(seconds: float) -> float:
    """By how much the time of an equal run may differ, on a machine that does little else."""
    return 0.1 * seconds + 0.1


def _slope(first: Measured, last: Measured, *, up: bool | None = None) -> float:
    """Seconds a row; the most or the least that the times' scatter allows."""
    scatter = 0.0 if up is None else (1 if up else -1) * (_scatter(first.seconds) + _scatter(last.seconds))
    return max(last.seconds - first.seconds + scatter, 0.0) / (last.rows - first.rows)


def _memory(points: list[Measured], rows: int) -> tuple[Range | None, bool]:
    """What memory so many rows take, and whether what they add may still be hidden by what starting up took."""
    seen = [(p.rows, float(p.memory)) for p in points if p.memory is not None]
    if not seen:
        return None, False
    (few, least), (many, most) = seen[0], seen[-1]
    scatter, more = 0.03 * most + 4e6, max(rows - many, 0)
    if many == few:
        return Range(most, most - scatter, most / many * max(rows, many)), True
    grown, lengths = max(most - least, 0.0), many - few
    low = most - scatter + more * max(grown - scatter, 0.0) / lengths
    high = most + scatter + more * (grown + scatter) / lengths
    return Range(most + more * grown / lengths, low, high), grown <= scatter


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
