"""What may be told of a track: everything where its labels are open, little where they are hidden.

Every number that is published of a hidden track says something about its labels (docs/hidden-tracks.md). What is
recorded, ranked or drawn is cut here and nowhere else.
"""

from __future__ import annotations

from evaluator.contract.tracks import Track
from evaluator.scoring import curves
from evaluator.scoring.scored import Scored
from evaluator.store.schemas import TaskValue, Value

DECIMALS = 3
"""Of what is published of a hidden track."""
EXACT_DECIMALS = 12
ROUNDING = 0.51 * 10**-DECIMALS
"""How far a published value of a hidden track may lie from the true one."""
CURVE_POINTS = 200


def is_hidden(track: Track) -> bool:
    """Whether the track's labels are known to the maintainers alone."""
    return track.disclosure == "hidden"


def rounded(value: float | None, track: Track) -> float | None:
    """A number about the track's entries, as finely as may be told."""
    return None if value is None else round(float(value), DECIMALS if is_hidden(track) else EXACT_DECIMALS)


def told_value(value: Value, track: Track) -> Value:
    """A metric as it is recorded: on a hidden track with three decimals, so that it says less about single labels."""
    if not is_hidden(track):
        return value
    return value.model_copy(update={k: round(v, DECIMALS) for k, v in vars(value).items() if isinstance(v, float)})


def told_tasks(scored: Scored, track: Track) -> tuple[TaskValue, ...] | None:
    """Each task of a few-shot track at each of its sizes, as it is recorded; None of other and of hidden tracks."""
    if track.few_shot is None or is_hidden(track):
        return None
    found = []
    for number, task in enumerate(track.few_shot.tasks):
        for size in track.few_shot.sizes_of(task):
            mean = scored.few_shot.of_task(number, size)
            low, high = mean.interval(scored.level)
            value = told_value(Value(value=mean.value, low=low, high=high), track)
            found.append(TaskValue(task=task.id, size=size, **value.model_dump(exclude={"reason"})))
    return tuple(found)


def told_curves(scored: Scored, track: Track) -> dict[str, dict[str, list[float]]] | None:
    """ROC and precision-recall curves as they are recorded: coarse on a hidden track; None without classes."""
    if scored.prediction is None:
        return None
    return curves.coarse(scored) if is_hidden(track) else curves.full(scored, CURVE_POINTS)


def tells_pairs(track: Track) -> bool:
    """Whether differences between any two entries are published: each would tell of hidden labels."""
    return not is_hidden(track)


def tolerance(track: Track) -> float:
    """How far a recorded metric may lie from the one computed again."""
    return ROUNDING if is_hidden(track) else 1e-12
