"""The container contract of few-shot tracks: the tasks of a run in, a score for each query out."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from baselines.backbones.processor import allowed_cpus
from baselines.errors import DataError
from baselines.few_shot import episodes, store

AT_ONCE = 4096
"""Queries whose features are in memory at once; a score does not depend on the others."""


def predict(model: Path, source: Path, target: Path) -> int:
    """Answer all tasks of a run; returns how many.

    Args:
        model: folder of a few-shot model.
        source: the queries, with support.csv and tasks.csv beside them.

    Raises:
        DataError: the model or a file is not what it should be.
    """
    answering = store.load(model)
    tasks = episodes.read(source)
    scores: dict[str, float] = {}
    for part in (part for task in tasks for part in task.parts(AT_ONCE)):
        found = answering.scores(part)
        if not np.isfinite(found).all():
            raise DataError(f"Task {ascii(part.task_id)[:60]}: a score is not finite.")
        scores.update(zip(part.query_ids, found.tolist(), strict=True))
    episodes.write(target, scores)
    return len(tasks)


def main() -> None:
    """Answer what the container contract mounts; an image starts this."""
    model = Path(os.environ.get("MODEL", "/app/model"))
    source = Path(os.environ.get("INPUT", "/data/sequences.csv"))
    target = Path(os.environ.get("OUTPUT", "/output/predictions.csv"))
    allowed = allowed_cpus()
    if allowed:  # for what is loaded later
        os.environ["OMP_NUM_THREADS"] = str(allowed)
    try:
        with threadpool_limits(allowed or None):
            predict(model, source, target)
    except DataError as error:
        raise SystemExit(str(error)) from error


if __name__ == "__main__":
    main()
