"""Every record's scores again: from predictions and labels, or as far as the record's own counts go."""

from __future__ import annotations

from typing import Any

import numpy as np

from evaluator.contract.labels import TrackData
from evaluator.integrity import disclosure
from evaluator.scoring import metrics
from evaluator.scoring.scored import Scored
from evaluator.store.schemas import Counts, Result, Value
from evaluator.store.state import Kept
from scripts.rebuilding.board import Board
from scripts.rebuilding.found import EXACT, Found, numbers

MEASURED = {"n", "families", "confusion", "metrics", "curves", "tasks"}
"""What of a record follows from predictions and labels."""
RATES = ("accuracy", "balanced_accuracy", "f1", "mcc", "precision", "recall", "specificity")
"""What follows from a confusion matrix alone."""


def of_records(board: Board) -> Found:
    """Every metric, interval and curve: from predictions and labels, or as far as a record's own counts go."""
    found = Found("scores, intervals and curves")
    for record in board.records:
        told = record.model_dump(mode="json", include=MEASURED)
        data, kept, where = board.data(record.track), board.kept.get(record.run_key), _place(record)
        why = _why_not(board, record, data, kept)
        if why:
            found.leave(why, len(numbers(told)) - _from_counts(board, record, found))
        elif data and kept:
            found.compare(where, told, measured(data, kept, record.level))
    return found


def measured(data: TrackData, kept: Kept, level: float) -> dict[str, Any]:
    """What a record tells of predictions."""
    track, scored = data.track, Scored.on(data, kept.score, kept.prediction, level)
    scores = metrics.measure(scored)
    return {
        "n": data.n,
        "families": data.family_count,
        "confusion": Counts.of(scores.confusion).model_dump() if scores.confusion else None,
        "metrics": {n: disclosure.told_value(Value.of(e), track).model_dump() for n, e in scores.metrics.items()},
        "curves": disclosure.told_curves(scored, track),
        "tasks": [task.model_dump() for task in disclosure.told_tasks(scored, track) or ()],
    }


def _place(record: Result) -> str:
    return f"{record.submission} on {record.track}"


def _why_not(board: Board, record: Result, data: TrackData | None, kept: Kept | None) -> str:
    if data is None:
        track = board.tracks.get(record.track)
        sealed = track is not None and disclosure.is_hidden(track)
        return "the labels are sealed" if sealed else "the labels are not here: HIDDEN=dir or PUBLISHED=dir names them"
    if data.labels_hash != record.labels_hash:
        return "scored on other labels than the track file names now"
    if kept is None and record.sandbox == "archived":
        return "the published predictions are not here: PUBLISHED=dir names them"
    return "" if kept else "the image must run again: make board HIDDEN=dir, or STATE=dir with kept predictions"


def _from_counts(board: Board, record: Result, found: Found) -> int:
    """Hold what follows from a record's own confusion matrix against it; returns how many numbers these are."""
    c, track = record.confusion, board.tracks.get(record.track)
    if c is None or track is None or record.families is not None:
        return 0
    truth = np.repeat([0, 0, 1, 1], [c.tn, c.fp, c.fn, c.tp]).astype(np.int8)
    predicted = np.repeat([0, 1, 0, 1], [c.tn, c.fp, c.fn, c.tp]).astype(np.int8)
    scored = Scored(truth, predicted.astype(np.float64), predicted, record.level)
    told = {name: record.metrics[name].model_dump() for name in RATES if name in record.metrics}
    again = {n: disclosure.told_value(Value.of(metrics.COMPUTE[n](scored)), track).model_dump() for n in told}
    near = disclosure.tolerance(track) if disclosure.is_hidden(track) else EXACT
    return found.compare(_place(record), told, again, near)


def of_history(board: Board) -> Found:
    """What the history says that each record came to."""
    found = Found("values that the history tells")
    last: dict[tuple[str, str], dict[str, float | None]] = {}
    for change in board.results.history():
        after = {name: new for name, (_, new) in change.metrics.items()}
        last[change.submission, change.track] = {**last.get((change.submission, change.track), {}), **after}
    for record in board.records:
        told = last.get((record.submission, record.track), {})
        recorded = {name: value.value for name, value in record.metrics.items()}
        found.compare(f"the history of {_place(record)}", told, {name: recorded.get(name) for name in told})
    return found
