"""How long runs take: what has been measured, and what may be expected of the others."""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Iterable, Sequence
from statistics import median
from typing import NamedTuple

from evaluator.store.schemas import Timing

START, PER_ROW = 5.0, 0.01
"""Seconds to begin and per row, where nothing at all is known."""


class Expected(NamedTuple):
    """Seconds, and what they are taken from."""

    seconds: float
    source: str


class Durations:
    """What runs have taken, by submission and track; on a few-shot track each of the many."""

    def __init__(self) -> None:
        self._own: defaultdict[str, dict[str, tuple[int, float]]] = defaultdict(dict)
        self._track: defaultdict[str, list[float]] = defaultdict(list)
        self._rates: list[float] = []

    @classmethod
    def of(cls, timings: Iterable[Timing]) -> Durations:
        """What every recorded run has taken."""
        found = cls()
        for timing in timings:
            if timing.runtime.seconds:
                seconds = timing.runtime.seconds / timing.runtime.runs
                found.learn(timing.submission, timing.track, timing.n, seconds)
        return found

    def learn(self, submission: str, track: str, rows: int, seconds: float) -> None:
        """One run has been measured."""
        self._own[submission][track] = rows, seconds
        self._track[track].append(seconds)
        self._rates.append(seconds / rows)

    def expected(self, submission: str, track: str, rows: int) -> Expected:
        """What a run may take: as the entry took here, or elsewhere by rows; as others took here, or elsewhere."""
        own = self._own.get(submission, {})
        if track in own:
            return Expected(own[track][1], "its last run")
        if own:
            most, seconds = max(own.values())
            return Expected(seconds * max(rows / most, 1.0), "its runs on other tracks, by rows")
        return self.typical(track, rows)

    def typical(self, track: str, rows: int) -> Expected:
        """What a run of an unknown entry may take."""
        if track in self._track:
            return Expected(median(self._track[track]), f"the median of {len(self._track[track])} runs")
        if self._rates:
            return Expected(median(self._rates) * rows, "the median of runs on other tracks, by rows")
        return Expected(START + PER_ROW * rows, "a guess: nothing has been measured yet")


def makespan(waiting: Iterable[float], places: int, running: Sequence[float] = ()) -> float:
    """Seconds until all is done, if a free place always takes the longest task that is left.

    At most 4/3 of the best possible (Graham 1969, SIAM Journal on Applied Mathematics 17:416).

    Args:
        waiting: seconds of each task that has not begun.
        places: how many there are, at least 1.
        running: seconds that each running task still needs, one a place.
    """
    free = [max(seconds, 0.0) for seconds in running] + [0.0] * max(places - len(running), 0)
    heapq.heapify(free)
    for seconds in sorted(waiting, reverse=True):
        heapq.heapreplace(free, free[0] + seconds)
    return max(free)
