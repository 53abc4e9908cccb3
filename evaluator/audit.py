"""The consistency audit: does a prediction depend on its own sequence alone?

An entry is run again on some of the rows in another order. Where its scores differ, one file is run twice more: if
they differ again the entry is not deterministic, if not it looks at the other rows.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable

import numpy as np

from evaluator import predictions
from evaluator.errors import SubmissionError
from evaluator.predictions import Predictions
from evaluator.tracks import BlindedInput, TrackData

TOLERANCE = 1e-4
OTHER_ROWS = "depends on the other rows"
NOT_DETERMINISTIC = "not deterministic"
FAILS_ON_FEWER = "fails on fewer rows"

RunOn = Callable[[BlindedInput], bytes]


def audit(data: TrackData, first: Predictions, run: RunOn, seed: int) -> tuple[str, ...]:
    """Flags of an entry, empty if it is consistent.

    Args:
        first: its predictions for all rows.
        run: runs it on an input and returns the bytes that it wrote; raises SubmissionError where it fails.
        seed: decides which rows are taken, and their order.
    """
    if not data.track.audit_rows:
        return ()
    rng = random.Random(seed)  # noqa: S311 - the seed itself comes from `secrets`
    size = min(data.track.audit_rows, max(data.n - data.n // 3, 1))
    rows = rng.sample(range(data.n), size)
    again = data.blinded(rng.getrandbits(64), rows)
    try:
        spread = _spread(first.score[rows], _scores(run, again, data))
        if spread <= TOLERANCE:
            return ()
        if _spread(_scores(run, again, data), _scores(run, again, data)) > TOLERANCE:
            return (f"{NOT_DETERMINISTIC}, scores differ by up to {_shown(spread)}",)
    except SubmissionError:
        return (FAILS_ON_FEWER,)
    return (f"{OTHER_ROWS}, scores differ by up to {_shown(spread)}",)


def _scores(run: RunOn, given: BlindedInput, data: TrackData) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    return predictions.read(run(given), given.ids, data.track.task).score


def _spread(a: np.ndarray[tuple[int], np.dtype[np.float64]], b: np.ndarray[tuple[int], np.dtype[np.float64]]) -> float:
    """Largest difference, in the scale of the scores where these are large, as they may be on a regression track."""
    with np.errstate(over="ignore"):
        scale = np.maximum(1.0, np.maximum(np.abs(a), np.abs(b)))
        return float(np.abs(a / scale - b / scale).max(initial=0.0))


def _shown(spread: float) -> str:
    """One significant digit: enough to judge, too little to carry a message."""
    return f"{round(spread, -math.floor(math.log10(spread))):g}" if spread else "0"
