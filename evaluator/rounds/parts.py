"""A large task in parts, run on several workers at once and joined again.

An entry whose scores depend on nothing but their own sequence predicts the same whether it sees all rows or some of
them. So every part is audited like a whole run, and the parts are joined only where each audit found the same scores to
the last bit; whatever else happens, the task is run again in one piece, and that run counts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from evaluator.contract.predictions import Predictions
from evaluator.contract.work import Finished, Run
from evaluator.rounds.task import Task


def split(task: Task, parts: int) -> list[Task]:
    """So many tasks of about equally many rows each: every k-th row, since neighbours may be of like length."""
    return [replace(task, rows=range(k, task.track.n, parts)) for k in range(parts)]


def sure(part: Finished) -> bool:
    """Whether a part predicted what the run in one piece would have, as far as its audit can tell."""
    return part.failure is None and not part.flags and part.exact


def join(task: Task, done: Mapping[Task, Finished]) -> Finished | None:
    """What the run in one piece would have given; None where that cannot be said for sure.

    Its seconds are those of all parts together, and so is the memory that must suffice: limits hold for the work, not
    for how it is spread.

    Args:
        done: every part, each of them `sure`.
    """
    parts = sorted(done.items(), key=lambda item: item[0].rows.start if item[0].rows else 0)
    runs = [finished.run for _, finished in parts]
    seconds = sum(run.seconds for run in runs)
    if seconds > task.limits.seconds or _memory([finished for _, finished in parts]) > task.limits.memory:
        return None
    score = np.empty(task.track.n, dtype=np.float64)
    prediction = np.empty(task.track.n, dtype=np.int8)
    for part, finished in parts:
        assert finished.table is not None
        score[part.rows] = finished.table.score
        if finished.table.prediction is not None:
            prediction[part.rows] = finished.table.prediction
    first = parts[0][1]
    assert first.table is not None
    run = Run(
        seconds=seconds,
        peak_memory=max(run.peak_memory or 0 for run in runs) or None,
        log=b"".join(f"---- {part.name}\n".encode() + finished.run.log for part, finished in parts),
    )
    table = Predictions(score, None if first.table.prediction is None else prediction)
    hosts = ", ".join(dict.fromkeys(finished.host for _, finished in parts))
    return replace(first, seed=None, joined=True, run=run, table=table, host=hosts)


def _memory(parts: Sequence[Finished]) -> int:
    """Bytes that the run in one piece would have used: what some rows take, and what each part took beyond."""
    floor = min(finished.few_rows_memory or 0 for finished in parts)
    return floor + sum(max((finished.run.peak_memory or 0) - floor, 0) for finished in parts)
