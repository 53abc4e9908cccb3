"""Spearman's rank correlations of few-shot tasks: by task and support size, their means, and how far these are known.

A value is the mean over replicates of a task's correlations, and of a track the mean over its tasks. Two things vary:
which antibodies an assay has measured (each one's influence is summed over all runs that ask for it, so that replicates
do not pass for new data) and which of them the supports happened to hold (the spread of replicates). That is an
interval for these assays, with the degrees of freedom of both together (Satterthwaite 1946, Biometrics Bulletin 2:110),
since draws of supports can be few. For other assays clusters of tasks are left out in turn (the delete-one jackknife,
Efron and Stein 1981, Annals of Statistics 9:586), which takes at least `MIN_CLUSTERS` of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import scipy

from evaluator.contract.arrays import Floats
from evaluator.contract.episodes import Splits, pieces
from evaluator.scoring import influence

MIN_CLUSTERS = 5
GAIN = "support_gain"
Block = tuple[int, bool]
"""A support size, and whether the support's targets were shuffled; then 0 stands for the largest size of each run."""


def _block(size: int, shuffled: bool) -> Block:
    return (0, True) if shuffled else (size, False)


@dataclass(frozen=True, eq=False)
class Mean:
    """A mean over tasks, and what its variance is made of.

    Attributes:
        value: of the tasks that have the size.
        influence: [n] of each antibody.
        replicates: [r] the same mean in each replicate.
        left_out: [c] the same mean without each cluster of tasks; empty where there are fewer than `MIN_CLUSTERS`.
        clusters: how many there are.
        bound: how far from 0 the mean can be: 2 where it is a difference of correlations.
    """

    value: float
    influence: Floats
    replicates: Floats
    left_out: Floats
    clusters: int
    bound: float = 1.0

    @property
    def scope(self) -> str | None:
        """What the interval does not speak of; None where it speaks of other assays too."""
        if len(self.left_out):
            return None
        if len(self.replicates) == 1:
            return "a single draw of supports carries no interval"
        what = "1 cluster" if self.clusters == 1 else f"{self.clusters} clusters"
        return f"for these assays alone: {what} of tasks carry no interval for others"

    def interval(self, level: float) -> tuple[float, float]:
        """Student's, cut to what the mean can be."""
        if len(self.replicates) == 1 and not len(self.left_out):
            return -self.bound, self.bound
        variances, freedom = covariance([self])
        half = float(scipy.special.stdtrit(freedom, 0.5 + level / 2) * np.sqrt(float(variances[0, 0])))
        return max(-self.bound, self.value - half), min(self.bound, self.value + half)


def covariance(means: Sequence[Mean]) -> tuple[Floats, int]:
    """[m, m] of the means of m entries on the same tasks, and degrees of freedom for them and for their differences."""
    if len(means[0].left_out):
        apart = np.array([mean.left_out - mean.left_out.mean() for mean in means])
        clusters = apart.shape[1]
        return np.asarray(apart @ apart.T * (clusters - 1) / clusters), clusters - 1
    moved = np.array([mean.influence for mean in means])
    n = max(int(np.count_nonzero(np.any(moved, axis=0))), 2)
    of_antibodies = moved @ moved.T * n / (n - 1)
    replicates = np.array([mean.replicates for mean in means])
    r = replicates.shape[1]
    apart = replicates - replicates.mean(axis=1, keepdims=True)
    of_draws = apart @ apart.T / (max(r - 1, 1) * r)
    return np.asarray(of_antibodies + of_draws), _freedom(of_antibodies, of_draws, max(n - 2, 1), max(r - 1, 1))


def _freedom(first: Floats, second: Floats, of_first: int, of_second: int) -> int:
    """The fewest degrees of freedom that two estimated variances have together, of any difference; rounded down.

    Args:
        first, second: [m, m] independent parts of a covariance.
        of_first, of_second: degrees of freedom of each.
    """
    one, other = (_of_differences(part) for part in (first, second))
    both = one + other
    with np.errstate(divide="ignore", invalid="ignore"):
        found = both**2 / (one**2 / of_first + other**2 / of_second)
    return max(1, int(np.min(found, where=both > 0, initial=of_first + of_second)))


def _of_differences(covariance: Floats) -> Floats:
    """[m, m] variances of differences, and of the entry itself where there is one alone."""
    own = np.diag(covariance)
    found = np.asarray(np.maximum(own[:, None] + own - 2 * covariance, 0.0))
    return covariance if len(own) == 1 else found


@dataclass(frozen=True, eq=False)
class FewShotScores:
    """The correlations of one entry.

    Attributes:
        of_runs: by block, [r, tasks] of each replicate; NaN where a task has not that size. A constant score counts 0.
        influences: by block, [tasks, n] of each antibody on the mean over replicates.
        first_draws: by task, [n] the same on the mean over those draws that have a shuffled run beside them.
        largest: by task, the size whose targets are shuffled.
    """

    splits: Splits
    of_runs: dict[Block, Floats]
    influences: dict[Block, Floats]
    first_draws: dict[int, Floats]
    largest: dict[int, int]

    def named(self, metric: str) -> Mean:
        """One of the track's metrics: over tasks, at one size or over all above 0, or with shuffled supports."""
        sizes = self.splits.few_shot.sizes
        if metric in (GAIN, "spearman_shuffled"):
            return self._mean([(0, True)]) if metric != GAIN else self._gain()
        if metric == "spearman_few":
            return self._mean([(k, False) for k in sizes if k])
        size = next(k for k in sizes if metric == f"spearman_k{k}")
        return self._mean([(size, False)], self._of_every_size or None)

    @cached_property
    def _of_every_size(self) -> list[int]:
        """Tasks that have all of the track's sizes, so that means at different sizes can be compared."""
        has = [~np.isnan(self.of_runs[k, False][0]) for k in self.splits.few_shot.sizes]
        return [int(t) for t in np.flatnonzero(np.all(has, axis=0))]

    def _gain(self) -> Mean:
        """What the largest support of each task is worth beyond the same with its targets shuffled, draw by draw."""
        with_it, without = self.beside_shuffled, self._mean([(0, True)])
        left_out = with_it.left_out - without.left_out if len(without.left_out) else without.left_out
        return Mean(
            with_it.value - without.value,
            with_it.influence - without.influence,
            with_it.replicates - without.replicates,
            left_out,
            without.clusters,
            bound=2.0,
        )

    @cached_property
    def beside_shuffled(self) -> Mean:
        """The same tasks, draws and sizes as those with shuffled supports, with their supports as they are."""
        shuffled = self.of_runs[0, True]
        draws = len(shuffled)
        of_runs, influences = np.full_like(shuffled, np.nan), np.zeros_like(self.influences[0, True])
        for task in np.flatnonzero(~np.isnan(shuffled[0])).tolist():
            size = self.largest[task]
            of_runs[:, task] = self.of_runs[size, False][:draws, task]
            influences[task] = self.first_draws[task]
        both = FewShotScores(self.splits, {(0, True): of_runs}, {(0, True): influences}, {}, self.largest)
        return both._mean([(0, True)])

    def of_task(self, number: int, size: int) -> Mean:
        """Of one task at one size that it has."""
        return self._mean([(size, False)], [number])

    def _mean(self, blocks: Sequence[Block], only: Sequence[int] | None = None) -> Mean:
        there = {block: self._there(block, only) for block in blocks}
        replicates = np.mean([self.of_runs[b][:, t].mean(axis=1) for b, t in there.items()], axis=0)
        of_antibodies = np.mean([self.influences[b][t].mean(axis=0) for b, t in there.items()], axis=0)
        cluster = np.array([task.cluster for task in self.splits.few_shot.tasks])
        fewest = min(len(set(cluster[t].tolist())) for t in there.values())
        left_out = []
        if fewest >= MIN_CLUSTERS:
            names = dict.fromkeys(cluster[np.unique(np.concatenate(list(there.values())))].tolist())
            means = {b: self.of_runs[b].mean(axis=0) for b in blocks}
            left_out = [
                float(np.mean([means[b][t[cluster[t] != name]].mean() for b, t in there.items()])) for name in names
            ]
        return Mean(float(replicates.mean()), of_antibodies, replicates, np.array(left_out), fewest)

    def _there(self, block: Block, only: Sequence[int] | None) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
        has = np.flatnonzero(~np.isnan(self.of_runs[block][0]))
        return has if only is None else np.intersect1d(has, only)


def ranks_within(splits: Splits, scores: Floats) -> Floats:
    """[N] ranks within each task of each run, of mean 0 and variance 1; zeros where all scores of one are equal.

    The mean product of two entries' is the mean of their rank correlations over tasks and runs, by queries.
    """
    parts = []
    for _, _, mine in pieces(splits, scores):
        ranks = influence.average_ranks(mine)
        spread = float(ranks.std())
        parts.append((ranks - ranks.mean()) / spread if spread else np.zeros(len(mine)))
    return np.concatenate(parts)


def of_scores(splits: Splits, scores: Floats) -> FewShotScores:
    """What an entry's scores of all runs are worth.

    Args:
        scores: [N] in the order of `splits.rows`.
    """
    few, n = splits.few_shot, len(splits.ids)
    runs = {_block(size, shuffled): few.replicates_of(shuffled=shuffled) for _, size, shuffled in few.blocks}
    of_runs = {block: np.full((r, len(few.tasks)), np.nan) for block, r in runs.items()}
    influences = {block: np.zeros((len(few.tasks), n)) for block in runs}
    sizes = {run: size for run, size, shuffled in few.blocks if shuffled}
    largest = {k: sizes[task.run] for k, task in enumerate(few.tasks) if task.run in sizes}
    first_draws = {task: np.zeros(n) for task in largest}
    for episode, asked, mine in pieces(splits, scores):
        block, truth = (
            _block(episode.size, episode.shuffled),
            splits.targets[few.tasks[asked.task].queries][asked.queries],
        )
        of_runs[block][episode.replicate, asked.task] = influence.rank_correlation(truth, mine) or 0.0
        moved = influence.spearman(truth, mine)
        influences[block][asked.task, asked.queries] += moved / runs[block]
        if not episode.shuffled and episode.size == largest.get(asked.task) and episode.replicate < few.canaries:
            first_draws[asked.task][asked.queries] += moved / few.canaries
    return FewShotScores(splits, of_runs, influences, first_draws, largest)
