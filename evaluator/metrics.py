"""Every metric as a pure function of arrays, gathered in `METRICS`; what cannot be computed is null with a reason.

Notation: y [n] true classes 0/1, p [n] predicted classes 0/1, s [n] scores, higher = more polyreactive; n1 positives,
n0 negatives; tn, fp, fn, tp the four counts of the confusion matrix.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Classes = npt.NDArray[np.int8]

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

    @property
    def n1(self) -> int:
        """Number of positives."""
        return int(np.count_nonzero(self.truth == 1))

    @property
    def n0(self) -> int:
        """Number of negatives."""
        return len(self.truth) - self.n1


def _ratio(numerator: float, denominator: float, reason: str) -> Estimate:
    return Estimate(numerator / denominator) if denominator else Estimate(None, reason=reason)


NO_POSITIVE = "no row is positive"
NO_NEGATIVE = "no row is negative"
ONE_CLASS = "only one class is present"


def accuracy(x: Scored) -> Estimate:
    """(tp + tn) / n."""
    c = x.confusion
    return _ratio(c.tp + c.tn, c.n, "there are no rows")


def precision(x: Scored) -> Estimate:
    """tp / (tp + fp), also called positive predictive value."""
    c = x.confusion
    return _ratio(c.tp, c.tp + c.fp, "no row was predicted positive")


def recall(x: Scored) -> Estimate:
    """tp / (tp + fn), also called sensitivity or true positive rate."""
    c = x.confusion
    return _ratio(c.tp, c.tp + c.fn, NO_POSITIVE)


def specificity(x: Scored) -> Estimate:
    """tn / (tn + fp), also called true negative rate."""
    c = x.confusion
    return _ratio(c.tn, c.tn + c.fp, NO_NEGATIVE)


def f1(x: Scored) -> Estimate:
    """2 tp / (2 tp + fp + fn), the harmonic mean of precision and recall."""
    c = x.confusion
    return _ratio(2 * c.tp, 2 * c.tp + c.fp + c.fn, "no row is positive and none was predicted positive")


def mcc(x: Scored) -> Estimate:
    """Matthews correlation coefficient (Matthews 1975), the Pearson correlation of y and p.

    With both classes present but one predicted class, 0/0 is taken as its limit 0 (Chicco and Jurman 2020).
    """
    c = x.confusion
    if not (c.tp + c.fn and c.tn + c.fp):
        return Estimate(None, reason=ONE_CLASS)
    product = (c.tp + c.fp) * (c.tp + c.fn) * (c.tn + c.fp) * (c.tn + c.fn)  # Python integers: no overflow
    return Estimate((c.tp * c.tn - c.fp * c.fn) / math.sqrt(product) if product else 0.0)


def balanced_accuracy(x: Scored) -> Estimate:
    """(recall + specificity) / 2."""
    c = x.confusion
    if not (c.tp + c.fn and c.tn + c.fp):
        return Estimate(None, reason=ONE_CLASS)
    return Estimate((c.tp / (c.tp + c.fn) + c.tn / (c.tn + c.fp)) / 2)


def roc_auc(x: Scored) -> Estimate:
    """Area under the ROC curve: the chance that a positive outscores a negative, ties counting half.

    Hanley and McNeil 1982, Radiology 143:29. Counted in integers as half-pairs, so that it is exact:
    2 n1 n0 AUC = sum of (2 tp_before + d_tp) d_fp.
    """
    if not x.n1 or not x.n0:
        return Estimate(None, reason=ONE_CLASS)
    fp, tp = x.thresholds
    d_fp, d_tp = np.diff(fp, prepend=0), np.diff(tp, prepend=0)
    return Estimate(int(np.sum((2 * tp - d_tp) * d_fp)) / (2 * x.n1 * x.n0))


def average_precision(x: Scored) -> Estimate:
    """Sum over thresholds of (recall step) x precision, without interpolation (as scikit-learn defines it)."""
    if not x.n1:
        return Estimate(None, reason=NO_POSITIVE)
    fp, tp = x.thresholds
    return Estimate(float(np.sum(np.diff(tp, prepend=0) * (tp / (tp + fp))) / x.n1))


def brier(x: Scored) -> Estimate:
    """Mean squared difference of score and class (Brier 1950); lower is better."""
    if not len(x.score):
        return Estimate(None, reason="there are no rows")
    return Estimate(float(np.mean((x.score - x.truth) ** 2)))


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
    """Spearman's rank correlation: Pearson's, of average ranks (Spearman 1904)."""
    if len(x.truth) < 2:
        return Estimate(None, reason="there are fewer than two rows")
    a, b = average_ranks(x.truth.astype(np.float64)), average_ranks(x.score)
    a, b = a - a.mean(), b - b.mean()
    spread = math.sqrt(float(a @ a) * float(b @ b))
    return _ratio(float(a @ b), spread, "all targets or all scores are the same")


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


def score(truth: Classes | Floats, scores: Floats, predictions: Classes | None) -> Scores:
    """Every metric of the task; `predictions` is None on a regression track.

    Args:
        truth: [n] classes 0/1, or targets.
        scores: [n] finite.
        predictions: [n] classes 0/1.
    """
    task = "regression" if predictions is None else "classification"
    scored = Scored(truth, scores, predictions)
    values = {name: metric.compute(scored) for name, metric in METRICS.items() if metric.task == task}
    return Scores(len(truth), values, scored.confusion if task == "classification" else None)


def curves(x: Scored, points: int) -> dict[str, dict[str, list[float]]] | None:
    """ROC and precision-recall curves for drawing, thinned to at most `points` vertices; None with one class only."""
    if not x.n1 or not x.n0:
        return None
    fp, tp = x.thresholds
    keep = np.unique(np.linspace(0, len(tp) - 1, min(points - 1, len(tp))).round().astype(int))
    keep[-1] = len(tp) - 1
    fpr, tpr = fp[keep] / x.n0, tp[keep] / x.n1
    ppv = tp[keep] / (tp[keep] + fp[keep])
    return {
        "roc": {"fpr": _short([0.0, *fpr]), "tpr": _short([0.0, *tpr])},
        "pr": {"recall": _short([0.0, *tpr]), "precision": _short([float(ppv[0]), *ppv])},
    }


def coarse_curves(x: Scored) -> dict[str, dict[str, list[float]]] | None:
    """ROC and precision-recall curves on a fixed grid of eleven points, to 3 decimals; None with one class only.

    A full curve of a small set gives away its labels to whoever knows their own scores (docs/hidden-tracks.md). Between
    vertices the ROC curve is linear; precision at recall r is the best at any recall of r or more.
    """
    if not x.n1 or not x.n0:
        return None
    fp, tp = x.thresholds
    grid = np.linspace(0, 1, 11)
    tpr = np.interp(grid, np.append(0, fp / x.n0), np.append(0, tp / x.n1))
    reached, precision_there = tp / x.n1, tp / (tp + fp)
    best = [float(precision_there[reached >= r - 1e-12].max()) for r in grid]
    return {
        "roc": {"fpr": _short(grid, 1), "tpr": _short(tpr, 3)},
        "pr": {"recall": _short(grid, 1), "precision": _short(best, 3)},
    }


def _short(values: Iterable[float], decimals: int = 5) -> list[float]:
    return [round(float(v), decimals) for v in values]
