"""Every metric as a pure function of arrays, gathered in `METRICS`; what cannot be computed is null with a reason.

Notation: y [n] true classes 0/1, p [n] predicted classes 0/1, s [n] scores, higher = more polyreactive; n1 positives,
n0 negatives; tn, fp, fn, tp the four counts of the confusion matrix.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from evaluator import intervals

Floats = npt.NDArray[np.float64]
Classes = npt.NDArray[np.int8]
Counts = npt.NDArray[np.int64]

SCORER_VERSION = "1"
"""Changes whenever a number that this module gives could change; kept predictions are then scored again."""


@dataclass(frozen=True)
class Estimate:
    """A metric's value with its interval; where `value` is None, `reason` says why."""

    value: float | None
    low: float | None = None
    high: float | None = None
    reason: str | None = None


@dataclass(frozen=True)
class Confusion:
    """Counts of true and false negatives and positives."""

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
    """One entry's predictions beside the truth; what several metrics share is computed once."""

    truth: Classes | Floats
    score: Floats
    prediction: Classes | None = None
    level: float = 0.95

    @cached_property
    def confusion(self) -> Confusion:
        """The four counts at the entrant's own threshold."""
        assert self.prediction is not None
        tn, fp, fn, tp = np.bincount(2 * self.truth.astype(np.int64) + self.prediction, minlength=4).tolist()
        return Confusion(tn, fp, fn, tp)

    @cached_property
    def thresholds(self) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Cumulative (fp, tp) at each distinct score, highest first: the vertices of the ROC curve but (0, 0)."""
        order = np.argsort(-self.score, kind="stable")
        ranked = self.score[order]
        last = np.append(np.flatnonzero(ranked[1:] != ranked[:-1]), len(ranked) - 1)
        tp = np.cumsum(self.truth[order] == 1, dtype=np.int64)[last]
        return last + 1 - tp, tp

    @cached_property
    def steps(self) -> tuple[Counts, Counts, Counts, Counts]:
        """Cumulative fp and tp at each distinct score, highest first, and what each adds: (fp, tp, d_fp, d_tp)."""
        fp, tp = self.thresholds
        return fp, tp, np.diff(fp, prepend=0), np.diff(tp, prepend=0)

    @cached_property
    def n1(self) -> int:
        """Number of positives."""
        return int(np.count_nonzero(self.truth == 1))

    @cached_property
    def n0(self) -> int:
        """Number of negatives."""
        return len(self.truth) - self.n1


NO_ROW = "there are no rows"
NO_POSITIVE = "no row is positive"
NO_NEGATIVE = "no row is negative"
ONE_CLASS = "only one class is present"


def _proportion(successes: int, n: int, level: float, reason: str) -> Estimate:
    return Estimate(successes / n, *intervals.wilson(successes, n, level)) if n else Estimate(None, reason=reason)


def _of_rates(x: Scored, value: float, function: Callable[[Floats, Floats], Floats]) -> Estimate:
    """A value with the interval of a function of sensitivity and specificity; with one class only, without."""
    c = x.confusion
    if not x.n1 or not x.n0:
        return Estimate(value)
    low, high = intervals.of_two_rates(function, (c.tp, x.n1), (c.tn, x.n0), x.level)
    return Estimate(value, min(low, value), max(high, value))


def accuracy(x: Scored) -> Estimate:
    """(tp + tn) / n; Wilson interval."""
    return _proportion(x.confusion.tp + x.confusion.tn, x.confusion.n, x.level, NO_ROW)


def precision(x: Scored) -> Estimate:
    """tp / (tp + fp), also called positive predictive value; interval from the two rates, at these class counts."""
    c, n1, n0 = x.confusion, x.n1, x.n0
    if not c.tp + c.fp:
        return Estimate(None, reason="no row was predicted positive")
    return _of_rates(x, c.tp / (c.tp + c.fp), lambda se, sp: n1 * se / (n1 * se + n0 * (1 - sp)))


def recall(x: Scored) -> Estimate:
    """tp / (tp + fn), also called sensitivity or true positive rate; Wilson interval."""
    return _proportion(x.confusion.tp, x.n1, x.level, NO_POSITIVE)


def specificity(x: Scored) -> Estimate:
    """tn / (tn + fp), also called true negative rate; Wilson interval."""
    return _proportion(x.confusion.tn, x.n0, x.level, NO_NEGATIVE)


def f1(x: Scored) -> Estimate:
    """2 tp / (2 tp + fp + fn), the harmonic mean of precision and recall; interval from the two rates."""
    c, n1, n0 = x.confusion, x.n1, x.n0
    if not 2 * c.tp + c.fp + c.fn:
        return Estimate(None, reason="no row is positive and none was predicted positive")
    value = 2 * c.tp / (2 * c.tp + c.fp + c.fn)
    return _of_rates(x, value, lambda se, sp: 2 * n1 * se / (n1 * se + n0 * (1 - sp) + n1))


def mcc(x: Scored) -> Estimate:
    """Matthews correlation coefficient (Matthews 1975), the Pearson correlation of y and p.

    With both classes present but one predicted class, 0/0 is taken as its limit 0 (Chicco and Jurman 2020). Interval
    from the two rates.
    """
    c, n1, n0 = x.confusion, x.n1, x.n0
    if not n1 or not n0:
        return Estimate(None, reason=ONE_CLASS)
    product = (c.tp + c.fp) * (c.tp + c.fn) * (c.tn + c.fp) * (c.tn + c.fn)  # Python integers: no overflow
    value = (c.tp * c.tn - c.fp * c.fn) / math.sqrt(product) if product else 0.0

    def of_rates(se: Floats, sp: Floats) -> Floats:
        predicted = n1 * se + n0 * (1 - sp)
        return math.sqrt(n1 * n0) * (se + sp - 1) / np.sqrt(predicted * (n1 + n0 - predicted))

    return _of_rates(x, value, of_rates)


def balanced_accuracy(x: Scored) -> Estimate:
    """(recall + specificity) / 2; interval from the two rates."""
    c = x.confusion
    if not x.n1 or not x.n0:
        return Estimate(None, reason=ONE_CLASS)
    return _of_rates(x, (c.tp / x.n1 + c.tn / x.n0) / 2, lambda se, sp: (se + sp) / 2)


def roc_auc(x: Scored) -> Estimate:
    """Area under the ROC curve: the chance that a positive outscores a negative, ties counting half.

    Hanley and McNeil 1982, Radiology 143:29. Counted in integers as half-pairs, so that it is exact:
    2 n1 n0 AUC = sum of (2 tp_before + d_tp) d_fp. Interval: see `intervals.roc_auc`.
    """
    if not x.n1 or not x.n0:
        return Estimate(None, reason=ONE_CLASS)
    fp, tp, d_fp, d_tp = x.steps
    value = int(np.sum((2 * tp - d_tp) * d_fp)) / (2 * x.n1 * x.n0)
    above, below = (tp - d_tp / 2) / x.n1, 1 - (fp - d_fp / 2) / x.n0  # placements of negatives and positives
    s10 = float(d_tp @ (below - value) ** 2) / max(x.n1 - 1, 1)
    s01 = float(d_fp @ (above - value) ** 2) / max(x.n0 - 1, 1)
    return Estimate(value, *intervals.roc_auc(value, s10, x.n1, s01, x.n0, x.level))


def average_precision(x: Scored) -> Estimate:
    """Sum over thresholds of (recall step) x precision, without interpolation (as scikit-learn defines it).

    The interval uses the variance of its influence function: with A(t), B(t) the shares of positives and negatives
    scoring t or more, it is the mean over positives of g = n1 A / (n1 A + n0 B), a function of two empirical
    distributions, so each row's influence follows by the delta method (van der Vaart 1998, chapter 20).
    """
    if not x.n1:
        return Estimate(None, reason=NO_POSITIVE)
    fp, tp, d_fp, d_tp = x.steps
    m = tp + fp
    g = tp / m
    value = float(d_tp @ g) / x.n1
    if not x.n0 or x.n1 < 2:
        return Estimate(value)
    by_a, by_b = d_tp * fp / m**2, -d_tp * tp / m**2 * (x.n0 / x.n1)  # dg/dA and dg/dB, weighted by d_tp / n1
    of_positive = g - value + _tail(by_a) - float(by_a @ tp) / x.n1
    of_negative = _tail(by_b) - float(by_b @ fp) / x.n0
    s1 = float(d_tp @ of_positive**2) / (x.n1 - 1)
    s0 = float(d_fp @ of_negative**2) / max(x.n0 - 1, 1)
    variance, freedom = intervals.stratified_variance(s1, x.n1, s0, x.n0)
    return Estimate(value, *intervals.on_logit(value, variance, freedom, x.level))


def _tail(values: Floats) -> Floats:
    """Sum from each place to the end."""
    return np.cumsum(values[::-1])[::-1]


def brier(x: Scored) -> Estimate:
    """Mean squared difference of score and class (Brier 1950); lower is better. Student's t interval, by class."""
    n = len(x.score)
    if not n:
        return Estimate(None, reason=NO_ROW)
    squares = (x.score - x.truth) ** 2
    value = float(np.mean(squares))
    if min(x.n1, x.n0) < 2:
        return Estimate(value)
    positive = x.truth == 1
    s1, s0 = float(np.var(squares[positive], ddof=1)), float(np.var(squares[~positive], ddof=1))
    variance, freedom = intervals.stratified_variance(s1 * (x.n1 / n) ** 2, x.n1, s0 * (x.n0 / n) ** 2, x.n0)
    return Estimate(value, *intervals.mean(value, variance, freedom, x.level, (0.0, 1.0)))


def average_ranks(values: Floats) -> Floats:
    """Ranks from 1, ties sharing their mean rank; [n] -> [n]."""
    order = np.argsort(values, kind="stable")
    ranked = values[order]
    last = np.append(np.flatnonzero(ranked[1:] != ranked[:-1]), len(ranked) - 1)
    sizes = np.diff(last, prepend=-1)
    ranks = np.empty(len(values))
    ranks[order] = np.repeat(last + 1 - (sizes - 1) / 2, sizes)
    return ranks


def spearman(x: Scored) -> Estimate:
    """Spearman's rank correlation: Pearson's, of average ranks (Spearman 1904). Interval: see `intervals.spearman`."""
    n = len(x.truth)
    if n < 2:
        return Estimate(None, reason="there are fewer than two rows")
    a, b = average_ranks(x.truth.astype(np.float64)), average_ranks(x.score)
    a, b = a - a.mean(), b - b.mean()
    spread = math.sqrt(float(a @ a) * float(b @ b))
    if not spread:
        return Estimate(None, reason="all targets or all scores are the same")
    value = max(-1.0, min(1.0, float(a @ b) / spread))
    return Estimate(value, *(intervals.spearman(value, n, x.level) or (None, None)))


@dataclass(frozen=True)
class Metric:
    """One metric: what it is called, how it is computed, which way is better, and the tasks it is for."""

    title: str
    compute: Callable[[Scored], Estimate]
    task: str = "classification"
    higher_is_better: bool = True


METRICS: dict[str, Metric] = {
    "roc_auc": Metric("ROC-AUC", roc_auc),
    "average_precision": Metric("Average precision", average_precision),
    "mcc": Metric("MCC", mcc),
    "balanced_accuracy": Metric("Balanced accuracy", balanced_accuracy),
    "accuracy": Metric("Accuracy", accuracy),
    "precision": Metric("Precision", precision),
    "recall": Metric("Recall", recall),
    "specificity": Metric("Specificity", specificity),
    "f1": Metric("F1", f1),
    "brier": Metric("Brier score", brier, higher_is_better=False),
    "spearman": Metric("Spearman", spearman, task="regression"),
}


@dataclass(frozen=True)
class Scores:
    """All metrics of one entry on one track, with the counts they come from."""

    n: int
    metrics: dict[str, Estimate]
    confusion: Confusion | None = None

    def as_json(self) -> dict[str, object]:
        """Plain JSON values, null for what is missing."""
        record: dict[str, object] = {"n": self.n}
        if self.confusion:
            record["confusion"] = asdict(self.confusion)
        return {**record, "metrics": {name: estimate_json(e) for name, e in self.metrics.items()}}


def estimate_json(estimate: Estimate) -> dict[str, float | str | None]:
    """`{value, low, high}`, with `reason` where the value is null."""
    fields = asdict(estimate)
    return fields if estimate.value is None else {k: v for k, v in fields.items() if k != "reason"}


def score(truth: Classes | Floats, scores: Floats, predictions: Classes | None, level: float = 0.95) -> Scores:
    """Every metric of the task; `predictions` is None on a regression track.

    Args:
        truth: [n] classes 0/1, or targets.
        scores: [n] finite.
        predictions: [n] classes 0/1.
        level: of the intervals.
    """
    task = "regression" if predictions is None else "classification"
    scored = Scored(truth, scores, predictions, level)
    values = {name: metric.compute(scored) for name, metric in METRICS.items() if metric.task == task}
    return Scores(len(truth), values, scored.confusion if task == "classification" else None)
