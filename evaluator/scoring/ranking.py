"""Who is better than whom on one track, beyond chance: paired tests, tiers and rank intervals.

All entries were scored on the same rows, so they are compared in pairs, and the covariance of all of them is one matrix
product of their rows' influences. For areas under the ROC curve that is DeLong's (DeLong, DeLong and Clarke-Pearson
1988, Biometrics 44:837); where rows come in families, Obuchowski's (1997, Biometrics 53:567).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt
import scipy

from evaluator.contract.arrays import Floats, IntArray
from evaluator.contract.task_types import FEW_SHOT_METRICS
from evaluator.scoring import edges, few_shot, influence, intervals, permutation
from evaluator.scoring.scored import Scored

ALPHA = 0.05
POWER = 0.8


@dataclass(frozen=True, eq=False)
class Paired:
    """A metric of m entries on the same rows, and how they vary together; higher is better.

    Attributes:
        value: [m].
        covariance: [m, m] of `value`.
        freedom: degrees of freedom of Student's t. For an area, one less than the smaller class: with 7 positives the
            normal distribution would find differences that are not there.
        exact: [m, m] two-sided p-values where there is an exact test, in place of Student's t.
        least: [m, m] what the standard error of a pair's difference is at least, where the covariance says nothing.
    """

    value: Floats
    covariance: Floats
    freedom: int
    exact: Floats | None = None
    least: Floats | None = None

    def deviation(self) -> Floats:
        """Standard error of each pair's difference, [m, m]; 0 where two entries are alike on every row."""
        estimated = edges.estimated(self.covariance)
        return estimated if self.least is None else np.maximum(estimated, self.least)

    def against(self, other: int, alpha: float) -> tuple[Floats, Floats, Floats]:
        """Differences of all to one entry, [m], with their paired intervals, not adjusted: value, low, high."""
        difference = self.value - self.value[other]
        half = float(scipy.special.stdtrit(self.freedom, 1 - alpha / 2)) * self.deviation()[:, other]
        return difference, difference - half, difference + half

    def p_values(self) -> Floats:
        """Two-sided p of each pair's difference, [m, m]; 1 where there is no difference."""
        if self.exact is not None:
            return self.exact
        difference, deviation = np.abs(self.value[:, None] - self.value[None, :]), self.deviation()
        t = np.divide(difference, deviation, out=np.zeros_like(difference), where=deviation > 0)
        return np.asarray(2 * scipy.special.stdtr(self.freedom, -t))


def compare(truth: npt.NDArray[np.int8], scores: Floats, families: IntArray | None = None) -> Paired:
    """Paired comparison of the areas under the ROC curve.

    Args:
        truth: [n] classes 0/1, both present.
        scores: [m, n].
        families: [n] which rows belong together, from 0; None where all are independent.
    """
    positive = truth == 1
    n1, n0 = int(positive.sum()), int((~positive).sum())
    of_positives, of_negatives = np.empty((len(scores), n1)), np.empty((len(scores), n0))
    for k, row in enumerate(scores):
        of_positives[k], of_negatives[k] = _placements(row[positive], row[~positive])
    auc = of_positives.mean(axis=1)
    of_positives -= auc[:, None]
    of_negatives -= of_negatives.mean(axis=1)[:, None]
    if families is None:
        covariance = of_positives @ of_positives.T / (max(n1 - 1, 1) * n1)
        covariance += of_negatives @ of_negatives.T / (max(n0 - 1, 1) * n0)
        freedom, worth = max(min(n1, n0) - 1, 1), 1.0
    else:
        rows = np.concatenate([families[positive], families[~positive]])
        sums = [
            influence.family_sums(np.concatenate([a / n1, b / n0]), rows)
            for a, b in zip(of_positives, of_negatives, strict=True)
        ]
        fewest = min(len(np.unique(families[positive])), len(np.unique(families[~positive])))
        covariance, freedom, worth = _products(sums), max(fewest - 1, 1), len(truth) / (int(families.max()) + 1)

    def contribution(k: int) -> Floats:  # of each row to the area, whose sum is the area
        of_rows = np.empty(len(truth))
        of_rows[positive], of_rows[~positive] = (of_positives[k] + auc[k]) / n1, (of_negatives[k] + auc[k]) / n0
        return of_rows / 2

    def half(k: int) -> float:
        low, high = intervals.roc_auc(float(auc[k]), 0.0, n1 / worth, 0.0, n0 / worth, 1 - ALPHA)
        return (high - low) / 2

    labels = truth.astype(np.float64)
    return Paired(
        auc,
        covariance,
        freedom,
        least=edges.least(auc, covariance, freedom, labels, scores, contribution, half, families, ALPHA),
    )


def compare_accuracy(
    truth: npt.NDArray[np.int8], predictions: npt.NDArray[np.int8], families: IntArray | None = None
) -> Paired:
    """Paired comparison of accuracies: exact McNemar tests, or Student's t over families where there are any.

    Args:
        truth: [n] classes 0/1.
        predictions: [m, n] classes 0/1.
        families: [n] which rows belong together, from 0; None where all are independent.
    """
    right = (predictions == truth).astype(np.float64)
    n, accuracy = right.shape[1], right.mean(axis=1)
    apart = right - accuracy[:, None]
    if families is not None:
        sums = [influence.family_sums(row / n, families) for row in apart]
        covariance, freedom = _products(sums), max(int(families.max()), 1)
        p = np.ones_like(covariance)
        for i, j in edges.unreliable(accuracy, covariance, right):
            p[i, j] = p[j, i] = permutation.of_families(edges.by_family(right[i] - right[j], families))
        return Paired(accuracy, covariance, freedom, least=edges.as_likely(accuracy, covariance, freedom, p))
    only_first = right @ (1 - right).T
    p = mcnemar(only_first, only_first.T)
    covariance, freedom = apart @ apart.T / n / max(n - 1, 1), max(n - 1, 1)
    return Paired(accuracy, covariance, freedom, p, edges.as_likely(accuracy, covariance, freedom, p))


def compare_ranks(truth: Floats, scores: Floats, families: IntArray | None = None) -> Paired:
    """Paired comparison of Spearman's rank correlations with the target, by their rows' influences.

    Args:
        truth: [n] targets.
        scores: [m, n]; one that is constant has no correlation, and counts as 0.
        families: [n] which rows belong together, from 0; None where all are independent.
    """
    n = len(truth)
    groups = np.arange(n) if families is None else families
    value = np.array([influence.rank_correlation(truth, row) or 0.0 for row in scores])
    sums = [influence.family_sums(influence.spearman(truth, row), groups) for row in scores]
    covariance, freedom = _products(sums), max(int(groups.max(initial=0)) - 1, 1)
    ranks = influence.average_ranks(truth)

    def contribution(k: int) -> Floats:
        a, b = ranks - ranks.mean(), influence.average_ranks(scores[k])
        b = b - b.mean()
        spread = np.sqrt((a @ a) * (b @ b))
        return np.asarray(a * b / spread) if spread else np.zeros(n)

    def half(k: int) -> float:
        ends = intervals.spearman(float(value[k]), float(len(np.unique(groups))), 1 - ALPHA)
        return (ends[1] - ends[0]) / 2 if ends else 1.0

    return Paired(
        value,
        covariance,
        freedom,
        least=edges.least(value, covariance, freedom, ranks, scores, contribution, half, families, ALPHA),
    )


def compare_few_shot(entries: Sequence[Scored], metric: str) -> Paired:
    """Paired comparison of mean rank correlations over few-shot tasks, by antibodies, or by clusters of many tasks."""
    means = [entry.few_shot.named(metric) for entry in entries]
    return Paired(np.array([mean.value for mean in means]), *few_shot.covariance(means))


def _scores(entries: Sequence[Scored]) -> Floats:
    return np.array([entry.score for entry in entries])


PAIRED: dict[str, Callable[[Sequence[Scored]], Paired]] = {
    "roc_auc": lambda x: compare(x[0].truth.astype(np.int8), _scores(x), x[0].families),
    "accuracy": lambda x: compare_accuracy(
        x[0].truth.astype(np.int8), np.array([entry.prediction for entry in x], dtype=np.int8), x[0].families
    ),
    "spearman": lambda x: compare_ranks(x[0].truth.astype(np.float64), _scores(x), x[0].families),
    **{name: partial(compare_few_shot, metric=name) for name in FEW_SHOT_METRICS},
}
"""For each metric that has one, the comparison of m entries on the same rows; m is at least 1."""


def mcnemar(only_first: npt.ArrayLike, only_second: npt.ArrayLike) -> Floats:
    """Exact two-sided p that two classifiers err equally often (McNemar 1947, Psychometrika 12:153).

    Args:
        only_first: rows that only the first has right; any shape.
        only_second: rows that only the second has right; the same shape.
    """
    b, c = np.asarray(only_first, dtype=np.float64), np.asarray(only_second, dtype=np.float64)
    return np.asarray(np.minimum(1.0, 2 * scipy.special.bdtr(np.minimum(b, c), (b + c).astype(np.int64), 0.5)))


def _products(sums: list[Floats]) -> Floats:
    table = np.array(sums) if sums else np.empty((0, 1))
    return table @ table.T


def _placements(positives: Floats, negatives: Floats) -> tuple[Floats, Floats]:
    """For each positive the share of negatives below it, for each negative the share of positives above; ties half."""
    n1, n0 = len(positives), len(negatives)
    order = np.argsort(np.concatenate([positives, negatives]), kind="stable")
    ranked = np.concatenate([positives, negatives])[order]
    is_positive = order < n1
    start = np.concatenate([[True], ranked[1:] != ranked[:-1]])
    group = np.cumsum(start) - 1
    size_1 = np.bincount(group, weights=is_positive)
    size_0 = np.bincount(group) - size_1
    below_0, below_1 = np.cumsum(size_0) - size_0, np.cumsum(size_1) - size_1
    share = np.where(is_positive, (below_0 + size_0 / 2)[group] / n0, 1 - (below_1 + size_1 / 2)[group] / n1)
    placed = np.empty(n1 + n0)
    placed[order] = share
    return placed[:n1], placed[n1:]


def holm(p: Floats) -> Floats:
    """Holm's adjusted p-values (Holm 1979, Scand. J. Stat. 6:65), in the order given; [k] -> [k]."""
    order = np.argsort(p, kind="stable")
    stepped = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1))
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(stepped, 1.0)
    return adjusted


@dataclass(frozen=True, eq=False)
class Ranking:
    """What can be said of m entries on one track, in the order given.

    Attributes:
        tier: [m] from 1. A tier holds its leader and every later entry that is not distinguishable from that leader
            (paired tests against the leader, Holm over the entries still unplaced).
        rank_low, rank_high: [m] the ranks that an entry may have, given every pair that differs (Holm over all pairs).
        to_best: [m] difference to the leader.
        to_best_low, to_best_high: [m] its paired interval, not adjusted.
        detectable: the difference to the leader that this track would find with 80 % power; None where there is nothing
            but the leader and its copies.
    """

    tier: npt.NDArray[np.int64]
    rank_low: npt.NDArray[np.int64]
    rank_high: npt.NDArray[np.int64]
    to_best: Floats
    to_best_low: Floats
    to_best_high: Floats
    detectable: float | None


def rank(paired: Paired, alpha: float = ALPHA) -> Ranking:
    """Tiers and rank intervals from all pairs."""
    m, p = len(paired.value), paired.p_values()
    upper = np.triu_indices(m, 1)
    differs = np.zeros((m, m), dtype=bool)
    differs[upper] = holm(p[upper]) < alpha
    differs |= differs.T
    better = differs & (paired.value[None, :] > paired.value[:, None])
    worse = differs & (paired.value[None, :] < paired.value[:, None])
    best = int(np.argmax(paired.value)) if m else 0
    deviation = paired.deviation()[:, best] if m else np.empty(0)
    t = float(scipy.special.stdtrit(paired.freedom, 1 - alpha / 2))
    difference, low, high = paired.against(best, alpha) if m else (np.empty(0),) * 3
    others = deviation[deviation > 0]  # copies of the leader say nothing of what could be told apart from it
    detectable = float((t + scipy.special.stdtrit(paired.freedom, POWER)) * np.median(others)) if len(others) else None
    return Ranking(
        tier=_tiers(paired.value, p, alpha),
        rank_low=1 + better.sum(axis=1),
        rank_high=m - worse.sum(axis=1),
        to_best=difference,
        to_best_low=low,
        to_best_high=high,
        detectable=detectable,
    )


def _tiers(value: Floats, p: Floats, alpha: float) -> npt.NDArray[np.int64]:
    tier = np.zeros(len(value), dtype=np.int64)
    left = np.argsort(-value, kind="stable")
    number = 0
    while len(left):
        number += 1
        leader, rest = left[0], left[1:]
        lower = holm(p[leader, rest]) < alpha
        tier[leader] = tier[rest[~lower]] = number
        left = rest[lower]
    return tier
