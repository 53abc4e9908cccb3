"""Intervals at 95 % for what is said of a trained model; the benchmark's own scorer is another package's."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import stats

Z = float(stats.norm.ppf(0.975))
Interval = tuple[float, float, float] | None
"""Value, low end, high end; None where there is no value."""


def roc_auc(truth: npt.NDArray[np.int64], score: npt.NDArray[np.float64]) -> Interval:
    """The area under the ROC curve, with DeLong's variance (DeLong et al. 1988, Biometrics 44:837) on the logit scale.

    Args:
        truth: [n] 0/1.
        score: [n], higher for 1.
    """
    positive, negative = score[truth == 1], score[truth == 0]
    if not len(positive) or not len(negative):
        return None
    ordered = np.sort(negative)
    below, upto = np.searchsorted(ordered, positive, "left"), np.searchsorted(ordered, positive, "right")
    of_positives = (below + upto) / 2 / len(negative)
    ordered = np.sort(positive)
    below, upto = np.searchsorted(ordered, negative, "left"), np.searchsorted(ordered, negative, "right")
    of_negatives = 1 - (below + upto) / 2 / len(positive)
    area = float(of_positives.mean())
    variance = sum(float(v.var(ddof=1)) / len(v) for v in (of_positives, of_negatives) if len(v) > 1)
    # One row and a half is added to each class's wrong side: without it a perfect area would have no width.
    shrunk = (area * len(truth) + 0.75) / (len(truth) + 1.5)
    floor = shrunk * (1 - shrunk) / min(len(positive), len(negative)) / 4
    half = Z * float(np.sqrt(max(variance, floor))) / (shrunk * (1 - shrunk))
    centre = float(np.log(shrunk / (1 - shrunk)))
    low, high = (1 / (1 + np.exp(-(centre + sign * half))) for sign in (-1, 1))
    return area, min(float(low), area), max(float(high), area)


def spearman(truth: npt.NDArray[np.float64], score: npt.NDArray[np.float64]) -> Interval:
    """Spearman's rank correlation by Fisher's transformation (Bonett and Wright 2000, Psychometrika 65:23).

    Args:
        truth, score: [n].
    """
    if len(truth) < 4 or len(np.unique(truth)) < 2 or len(np.unique(score)) < 2:
        return None
    rank = float(stats.spearmanr(truth, score).statistic)
    half = Z * float(np.sqrt((1 + rank**2 / 2) / (len(truth) - 3)))
    centre = float(np.arctanh(np.clip(rank, -1 + 1e-9, 1 - 1e-9)))
    return rank, min(float(np.tanh(centre - half)), rank), max(float(np.tanh(centre + half)), rank)
