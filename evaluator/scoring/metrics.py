"""Every metric as a pure function of arrays, gathered in `COMPUTE`; what cannot be computed is null with a reason.

Notation: y [n] true classes 0/1, p [n] predicted classes 0/1, s [n] scores, higher = more polyreactive; n1 positives,
n0 negatives; tn, fp, fn, tp the four counts of the confusion matrix.
"""

from __future__ import annotations

import importlib
import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial

import numpy as np

from evaluator.contract.arrays import Floats, IntArray, LabelArray
from evaluator.contract.task_types import FEW_SHOT_METRICS
from evaluator.scoring import influence, intervals
from evaluator.scoring.scored import Confusion, Estimate, Scored


def prepare() -> None:
    """Load what the intervals are made with, which takes a fifth of a second, before they are asked for."""
    for part in ("special", "optimize"):
        importlib.import_module(f"scipy.{part}")


NO_ROW = "there are no rows"
NO_POSITIVE = "no row is positive"
NO_NEGATIVE = "no row is negative"
ONE_CLASS = "only one class is present"


def _proportion(x: Scored, hit: Callable[[], Floats], successes: int, n: int, reason: str) -> Estimate:
    """A share with its Wilson interval. `hit` gives each row's success 0/1, NaN where the row does not count."""
    if not n:
        return Estimate(None, reason=reason)
    value = successes / n

    def of_rows() -> Floats:
        return np.nan_to_num(hit() - value) / n

    worth = x.design_effect(of_rows)
    return Estimate(value, *intervals.wilson(successes / worth, n / worth, x.level), influence=of_rows)


def _of_rates(x: Scored, value: float, function: Callable[[Floats, Floats], Floats]) -> Estimate:
    """A value with the interval of a function of sensitivity and specificity; with one class only, without."""
    c, n1, n0 = x.confusion, x.n1, x.n0
    if not n1 or not n0:
        return Estimate(value)

    def of_rows() -> Floats:
        positive, step = x.truth == 1, 1e-6
        se, sp = np.array([(c.tp + 0.5) / (n1 + 1)]), np.array([(c.tn + 0.5) / (n0 + 1)])  # away from 0 and 1
        by_se = float((function(se + step, sp) - function(se - step, sp))[0]) / (2 * step)
        by_sp = float((function(se, sp + step) - function(se, sp - step))[0]) / (2 * step)
        return np.asarray(np.where(positive, by_se * (x.right - c.tp / n1) / n1, by_sp * (x.right - c.tn / n0) / n0))

    worth = x.design_effect(of_rows)
    low, high = intervals.of_two_rates(function, (c.tp / worth, n1 / worth), (c.tn / worth, n0 / worth), x.level)
    return Estimate(value, min(low, value), max(high, value), influence=of_rows)


def accuracy(x: Scored) -> Estimate:
    """(tp + tn) / n; Wilson interval."""
    c = x.confusion
    return _proportion(x, lambda: x.right, c.tp + c.tn, c.n, NO_ROW)


def precision(x: Scored) -> Estimate:
    """tp / (tp + fp), also called positive predictive value; interval from the two rates, at these class counts."""
    c, n1, n0 = x.confusion, x.n1, x.n0
    if not c.tp + c.fp:
        return Estimate(None, reason="no row was predicted positive")
    return _of_rates(x, c.tp / (c.tp + c.fp), lambda se, sp: n1 * se / (n1 * se + n0 * (1 - sp)))


def recall(x: Scored) -> Estimate:
    """tp / (tp + fn), also called sensitivity or true positive rate; Wilson interval."""
    return _proportion(x, lambda: np.where(x.truth == 1, x.prediction == 1, np.nan), x.confusion.tp, x.n1, NO_POSITIVE)


def specificity(x: Scored) -> Estimate:
    """tn / (tn + fp), also called true negative rate; Wilson interval."""
    return _proportion(x, lambda: np.where(x.truth == 0, x.prediction == 0, np.nan), x.confusion.tn, x.n0, NO_NEGATIVE)


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

    def of_rows() -> Floats:
        return x.by_row(below - value, above - value)

    worth = x.design_effect(of_rows)
    ends = intervals.roc_auc(value, s10, x.n1 / worth, s01, x.n0 / worth, x.level)
    return Estimate(value, *ends, influence=of_rows)


def average_precision(x: Scored) -> Estimate:
    """Sum over thresholds of (recall step) x precision, without interpolation (as scikit-learn defines it).

    The interval (`intervals.average_precision`) uses the variance of its influence function: with A(t), B(t) the shares
    of positives and negatives scoring t or more, it is the mean over positives of g = n1 A / (n1 A + n0 B), a function
    of two empirical distributions, so each row's influence follows by the delta method (van der Vaart 1998, ch. 20).
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

    def of_rows() -> Floats:
        return x.by_row(of_positive, of_negative)

    worth = x.design_effect(of_rows)
    in_positives, in_negatives = of_positive**2 / (x.n1 - 1) / x.n1, of_negative**2 / max(x.n0 - 1, 1) / x.n0
    rows = intervals.carrying((d_tp, in_positives), (d_fp, in_negatives)) / worth
    ends = intervals.average_precision(value, s1, x.n1 / worth, s0, x.n0 / worth, rows, x.level)
    return Estimate(value, *ends, influence=of_rows)


def _tail(values: Floats) -> Floats:
    """Sum from each place to the end."""
    return np.cumsum(values[::-1])[::-1]


def brier(x: Scored) -> Estimate:
    """Mean squared difference of score and class (Brier 1950); lower is better. See `intervals.bounded_mean`."""
    n = len(x.score)
    if not n:
        return Estimate(None, reason=NO_ROW)
    squares = (x.score - x.truth) ** 2
    value = float(np.mean(squares))
    if min(x.n1, x.n0) < 2:
        return Estimate(value)
    positive = x.truth == 1
    s1, s0 = float(np.var(squares[positive], ddof=1)), float(np.var(squares[~positive], ddof=1))
    means = (float(squares[~positive].mean()), float(squares[positive].mean()))

    def of_rows() -> Floats:
        return np.asarray((squares - np.where(positive, means[1], means[0])) / n)

    worth = x.design_effect(of_rows)
    s1, s0 = s1 * (x.n1 / n) ** 2, s0 * (x.n0 / n) ** 2
    variance, freedom = intervals.stratified_variance(s1, x.n1 / worth, s0, x.n0 / worth)
    rows = intervals.carrying((np.ones(n), (squares - np.where(positive, means[1], means[0])) ** 2)) / worth
    ends = intervals.bounded_mean(value, variance, n / worth, freedom, rows, x.level)
    return Estimate(value, *ends, influence=of_rows)


def spearman(x: Scored) -> Estimate:
    """Spearman's rank correlation: Pearson's, of average ranks (Spearman 1904). Interval: see `intervals.spearman`."""
    n = len(x.truth)
    if n < 2:
        return Estimate(None, reason="there are fewer than two rows")
    truth = x.truth.astype(np.float64)
    value = influence.rank_correlation(truth, x.score)
    if value is None:
        return Estimate(None, reason="all targets or all scores are the same")

    def of_rows() -> Floats:
        return influence.spearman(truth, x.score)

    ends = intervals.spearman(value, n / x.design_effect(of_rows), x.level)
    return Estimate(value, *ends, influence=of_rows) if ends else Estimate(value, influence=of_rows)


def _of_tasks(x: Scored, name: str) -> Estimate:
    """A mean over few-shot tasks with its interval; where that says nothing of other assays, a reason says so."""
    mean = x.few_shot.named(name)
    return Estimate(mean.value, *mean.interval(x.level), reason=mean.scope)


COMPUTE: dict[str, Callable[[Scored], Estimate]] = {
    "roc_auc": roc_auc,
    "average_precision": average_precision,
    "mcc": mcc,
    "balanced_accuracy": balanced_accuracy,
    "accuracy": accuracy,
    "precision": precision,
    "recall": recall,
    "specificity": specificity,
    "f1": f1,
    "brier": brier,
    "spearman": spearman,
    **{name: partial(_of_tasks, name=name) for name in FEW_SHOT_METRICS},
}
"""How each metric of `contract.task_types` is computed."""


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
    """`{value, low, high}`, with `reason` where there is one."""
    return {name: v for name, v in estimate.as_dict().items() if name != "reason" or v is not None}


def score(
    truth: LabelArray | Floats,
    scores: Floats,
    predictions: LabelArray | None,
    level: float = 0.95,
    families: IntArray | None = None,
) -> Scores:
    """Every metric of the task.

    Args:
        truth: [n] classes 0/1, or targets.
        scores: [n] finite.
        predictions: [n] classes 0/1; None where the task has no classes.
        level: of the intervals.
        families: [n] which rows belong together, from 0; None where all are independent.
    """
    return measure(Scored(truth, scores, predictions, level, families))


def measure(scored: Scored) -> Scores:
    """Every metric that can be had of an entry's predictions: the one recipe for records, checks and comparisons."""
    values = {name: COMPUTE[name](scored) for name in scored.metrics}
    return Scores(len(scored.truth), values, scored.confusion if scored.prediction is not None else None)
