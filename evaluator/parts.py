"""A large task in parts, run on several workers at once and joined again.

An entry whose scores depend on nothing but their own sequence predicts the same whether it sees all rows or some of
them. So every part is audited like a whole run, and the parts are joined only where each audit found the same scores to
the last bit; whatever else happens, the task is run again in one piece, and that run counts.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from evaluator.plan import Task
from evaluator.predictions import Predictions
from evaluator.sandbox import Run
from evaluator.work import Finished


def split(task: Task, parts: int) -> list[Task]:
    """So many tasks of about equally many rows each: every k-th row, since neighbours may be of like length."""
    return [replace(task, rows=range(k, task.track.n, parts)) for k in range(parts)]


def join(task: Task, done: Mapping[Task, Finished]) -> Finished | None:
    """What the run in one piece would have given; None where that cannot be said for sure.

    Its seconds are those of all parts together: time limits hold for the work, not for how it is spread.
    """
    done = dict(sorted(done.items(), key=lambda item: item[0].name))
    seconds = sum(f.run.seconds for f in done.values())
    if any(f.failure or f.flags or not f.exact for f in done.values()) or seconds > task.limits.seconds:
        return None
    score = np.empty(task.track.n, dtype=np.float64)
    prediction = np.empty(task.track.n, dtype=np.int8)
    classes = False
    for part, finished in done.items():
        assert finished.table is not None
        assert part.rows is not None
        score[part.rows] = finished.table.score
        if finished.table.prediction is not None:
            prediction[part.rows], classes = finished.table.prediction, True
    first = next(iter(done.values()))
    run = Run(
        seconds=seconds, peak_memory=max(f.run.peak_memory or 0 for f in done.values()) or None,
        log=b"".join(f"---- {part.name}\n".encode() + f.run.log for part, f in done.items()),
    )  # fmt: skip
    hosts = ", ".join(dict.fromkeys(f.host for f in done.values()))
    return replace(first, seed=None, run=run, table=Predictions(score, prediction if classes else None), host=hosts)
