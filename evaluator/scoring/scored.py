"""One entry's predictions beside the truth, and what a metric makes of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from evaluator.contract.arrays import Floats, IntArray, LabelArray
from evaluator.contract.episodes import Splits
from evaluator.contract.labels import TrackData
from evaluator.contract.task_types import KINDS, kind_of_rows
from evaluator.scoring import few_shot, influence
from evaluator.scoring.few_shot import FewShotScores


@dataclass(frozen=True)
class Estimate:
    """A metric's value with its interval; where `value` is None, `reason` says why, else what the interval leaves out.

    Attributes:
        influence: gives how far each row moves the value, [n]; their squares add up to its variance.
    """

    value: float | None
    low: float | None = None
    high: float | None = None
    reason: str | None = None
    influence: Callable[[], Floats] | None = field(default=None, repr=False, compare=False)

    def as_dict(self) -> dict[str, float | str | None]:
        """What is recorded of it."""
        return {"value": self.value, "low": self.low, "high": self.high, "reason": self.reason}


@dataclass(frozen=True)
class Confusion:
    """IntArray of true and false negatives and positives."""

    tn: int
    fp: int
    fn: int
    tp: int

    @property
    def n(self) -> int:
        """Number of rows."""
        return self.tn + self.fp + self.fn + self.tp


@dataclass(frozen=True, eq=False)
class Scored:
    """One entry's predictions beside the truth; what several metrics share is computed once.

    Attributes:
        families: [n] which rows belong together, from 0; None where all are independent.
        splits: the runs that the rows come from, on a few-shot track.
    """

    truth: LabelArray | Floats
    score: Floats
    prediction: LabelArray | None = None
    level: float = 0.95
    families: IntArray | None = None
    splits: Splits | None = None

    @classmethod
    def on(cls, data: TrackData, score: Floats, prediction: LabelArray | None, level: float = 0.95) -> Scored:
        """Predictions on a track, with classes only where its task has any, and with the families that it declares.

        Args:
            score: [n] in the order of the track's rows.
            prediction: [n] classes 0/1 in the same order, if any.
        """
        classes = prediction if KINDS[data.track.task].has_classes else None
        return cls(data.truth, score, classes, level, data.families, data.splits)

    @property
    def metrics(self) -> tuple[str, ...]:
        """Those that can be had of such rows."""
        return (
            self.splits.few_shot.metrics if self.splits else kind_of_rows(classes=self.prediction is not None).metrics
        )

    @cached_property
    def few_shot(self) -> FewShotScores:
        """What is known of each task at each support size."""
        assert self.splits is not None
        return few_shot.of_scores(self.splits, self.score)

    @cached_property
    def confusion(self) -> Confusion:
        """The four counts at the entrant's own threshold."""
        assert self.prediction is not None
        tn, fp, fn, tp = np.bincount(2 * self.truth.astype(np.int64) + self.prediction, minlength=4).tolist()
        return Confusion(tn, fp, fn, tp)

    @property
    def right(self) -> Floats:
        """[n] 1 where the prediction is right, else 0."""
        assert self.prediction is not None
        return np.asarray(self.prediction == self.truth, dtype=np.float64)

    @cached_property
    def thresholds(self) -> tuple[IntArray, IntArray]:
        """Cumulative (fp, tp) at each distinct score, highest first: the vertices of the ROC curve but (0, 0)."""
        order = np.argsort(self.score)[::-1]  # not stable, which is faster, and ties make one threshold anyway
        ranked = self.score[order]
        last = np.append(np.flatnonzero(ranked[1:] != ranked[:-1]), len(ranked) - 1)
        tp = np.cumsum(self.truth[order] == 1, dtype=np.int64)[last]
        return last + 1 - tp, tp

    @cached_property
    def steps(self) -> tuple[IntArray, IntArray, IntArray, IntArray]:
        """Cumulative fp and tp at each distinct score, highest first, and what each adds: (fp, tp, d_fp, d_tp)."""
        fp, tp = self.thresholds
        return fp, tp, np.diff(fp, prepend=0), np.diff(tp, prepend=0)

    def design_effect(self, of_rows: Callable[[], Floats]) -> float:
        """How many rows of a family are worth one that stands alone, for the statistic with these influences [n]."""
        return 1.0 if self.families is None else influence.design_effect(of_rows(), self.families, self.level)

    def by_row(self, of_positive: Floats, of_negative: Floats) -> Floats:
        """What holds at each of the `thresholds`, for the rows of either class: [k], [k] -> [n], weighted by class."""
        at = len(of_positive) - 1 - np.searchsorted(np.unique(self.score), self.score)
        return np.where(self.truth == 1, of_positive[at] / max(self.n1, 1), of_negative[at] / max(self.n0, 1))

    @cached_property
    def n1(self) -> int:
        """Number of positives."""
        return int(np.count_nonzero(self.truth == 1))

    @cached_property
    def n0(self) -> int:
        """Number of negatives."""
        return len(self.truth) - self.n1
