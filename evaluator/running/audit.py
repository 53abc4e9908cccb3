"""The consistency audit: does a prediction depend on its own sequence alone?

An entry is run again on some of the rows in another order. Where its scores differ, one file is run twice more: if
they differ again the entry is not deterministic, if not it looks at the other rows.
"""

from __future__ import annotations

import math
import random
import secrets
import socket
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from evaluator.contract import predictions
from evaluator.contract.predictions import Predictions
from evaluator.contract.sequences import BlindedInput, Sequences
from evaluator.contract.work import NOT_DETERMINISTIC, UNKNOWN, Finished, Hardware, Run
from evaluator.errors import SubmissionError

TOLERANCE = 1e-4
OTHER_ROWS = "depends on the other rows"
FAILS_ON_FEWER = "fails on fewer rows"

RunOn = Callable[[BlindedInput], bytes]
RunOnce = Callable[[BlindedInput], Run]


class Audit(NamedTuple):
    """What an audit found: flags, none if the entry is consistent, and whether scores were the same to the last bit."""

    flags: tuple[str, ...] = ()
    exact: bool = False


def audit(given: Sequences, first: Predictions, run: RunOn, seed: int) -> Audit:
    """Run an entry again on some of the rows.

    Args:
        first: its predictions for all rows.
        run: runs it on an input and returns the bytes that it wrote; raises SubmissionError where it fails.
        seed: decides which rows are taken, and their order.
    """
    if not given.audit_rows:
        return Audit()
    rng = random.Random(seed)  # noqa: S311 - the seed itself comes from `secrets`
    size = given.n if given.together else min(given.audit_rows, max(given.n - given.n // 3, 1))
    rows = rng.sample(range(given.n), size)
    again = given.take(rows).blinded(rng.getrandbits(64))
    try:
        spread = _spread(first.score[rows], _scores(run, again, given))
        if spread <= TOLERANCE:
            return Audit(exact=spread == 0)
        if _spread(_scores(run, again, given), _scores(run, again, given)) > TOLERANCE:
            return Audit((f"{NOT_DETERMINISTIC}, scores differ by up to {_shown(spread)}",))
    except SubmissionError:
        return Audit((FAILS_ON_FEWER,))
    return Audit((f"{OTHER_ROWS}, scores differ by up to {_shown(spread)}",))


def _scores(run: RunOn, blinded: BlindedInput, given: Sequences) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    return predictions.read(run(blinded), blinded.ids, given.task).score


def _spread(a: np.ndarray[tuple[int], np.dtype[np.float64]], b: np.ndarray[tuple[int], np.dtype[np.float64]]) -> float:
    """Largest difference, in the scale of the scores where these are large, as they may be on a regression track."""
    with np.errstate(over="ignore"):
        scale = np.maximum(1.0, np.maximum(np.abs(a), np.abs(b)))
        return float(np.abs(a / scale - b / scale).max(initial=0.0))


def _shown(spread: float) -> str:
    """One significant digit: enough to judge, too little to carry a message."""
    return f"{round(spread, -math.floor(math.log10(spread))):g}" if spread else "0"


def run_and_audit(
    sequences: Sequences,
    run: RunOnce,
    *,
    image_bytes: int | None = None,
    hardware: Hardware = UNKNOWN,
) -> Finished:
    """One run on all rows, its output checked; if all is well, the consistency audit."""
    seed = secrets.randbits(64)
    given = sequences.blinded(seed)
    first = run(given)
    done = Finished(
        seed, replace(first, output=None), image_bytes=image_bytes, hardware=hardware, host=socket.gethostname()
    )

    def output_of(done: Run) -> bytes:
        if done.failure:
            raise done.failure
        assert done.output is not None
        return done.output

    try:
        table = predictions.read(output_of(first), given.ids, sequences.task)
    except SubmissionError as error:
        return replace(done, failure=error)
    few: list[int | None] = []

    def run_again(again: BlindedInput) -> bytes:
        run_done = run(again)
        few.append(run_done.peak_memory)
        return output_of(run_done)

    found = audit(sequences, table, run_again, seed)
    few_rows_memory = max(filter(None, few), default=None)
    return replace(done, table=table, flags=found.flags, exact=found.exact, few_rows_memory=few_rows_memory)


def run_all(runs: Sequence[Sequences], run: RunOnce) -> Finished:
    """Every run of a track, one after the other, up to one that fails; their scores together, in this order."""
    done: list[Finished] = []
    for sequences in runs:
        done.append(run_and_audit(sequences, run))
        if done[-1].failure:
            return done[-1]
    tables = [one.table for one in done if one.table is not None]
    if len(tables) == 1:
        return done[0]
    memory = max(filter(None, (one.run.peak_memory for one in done)), default=None)
    return replace(
        done[0],
        seed=None,
        run=replace(done[0].run, seconds=sum(one.run.seconds for one in done), peak_memory=memory),
        table=Predictions(np.concatenate([table.score for table in tables]), None, tables[0].notes),
        flags=tuple(dict.fromkeys(flag for one in done for flag in one.flags)),
        exact=all(one.exact for one, given in zip(done, runs, strict=True) if given.audit_rows),
    )
