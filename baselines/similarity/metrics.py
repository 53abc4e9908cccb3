"""How well similar vectors mean the same task: retrieval by query, intervals by task, and how clusters lie."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import stats
from sklearn.metrics import davies_bouldin_score, silhouette_score

from baselines.similarity.tasks import Floats, Ints

AT = (1, 5, 10)
CURVE = 20
"""Up to which k curves are drawn."""
SHUFFLES = 2000
LEVEL = 0.95


@dataclass(frozen=True, eq=False)
class Found:
    """What queries find.

    Attributes:
        hits: [queries, gallery] whether each network is of the query's task, the most similar first; of a query that
            stands in the gallery itself, never a hit, at the end.
        relevant: [queries] how many there are.
        task: [queries].
    """

    hits: npt.NDArray[np.bool_]
    relevant: Ints
    task: Ints

    def precision(self, k: int) -> Floats:
        """[queries] hits among the first k, over k."""
        return np.asarray(self.hits[:, :k].sum(1) / k)

    def recall(self, k: int) -> Floats:
        """[queries] hits among the first k, over all that there are."""
        return np.asarray(self.hits[:, :k].sum(1) / self.relevant)

    def f1(self, k: int) -> Floats:
        """[queries] the harmonic mean of both."""
        return np.asarray(2 * self.hits[:, :k].sum(1) / (k + self.relevant))

    def r_precision(self) -> Floats:
        """[queries] precision among as many as there are."""
        return np.array([row[:n].mean() for row, n in zip(self.hits, self.relevant, strict=True)])

    def average_precision(self) -> Floats:
        """[queries] the mean, over all networks of the task, of the precision where each stands."""
        precisions = self.hits.cumsum(1) / np.arange(1, self.hits.shape[1] + 1)
        return np.asarray((precisions * self.hits).sum(1) / self.relevant)

    def ceiling(self, k: int) -> float:
        """The highest mean precision that there can be."""
        return float(np.minimum(1.0, self.relevant / k).mean())

    def measured(self) -> dict[str, Floats]:
        """Every metric of the tables by its name."""
        found = {f"precision@{k}": self.precision(k) for k in AT}
        found |= {f"recall@{k}": self.recall(k) for k in AT} | {f"f1@{k}": self.f1(k) for k in AT}
        return found | {"r_precision": self.r_precision(), "mAP": self.average_precision()}


def retrieved(vectors: Floats, task: Ints, queries: Ints, gallery: Ints) -> Found:
    """Each query's gallery by cosine, itself left out.

    Args:
        vectors: [networks, width] of norm 1.
        task: [networks].
        queries, gallery: rows.
    """
    itself = queries[:, None] == gallery[None]
    likeness = np.where(itself, -np.inf, vectors[queries] @ vectors[gallery].T)
    order = np.argsort(-likeness, axis=1, kind="stable")
    same = (task[queries][:, None] == task[gallery][None]) & ~itself
    return Found(np.take_along_axis(same, order, 1), same.sum(1), task[queries])


def interval(values: Floats, clusters: Ints, within: tuple[float, float] = (0.0, 1.0)) -> tuple[float, float]:
    """Ends of the interval at 95 % of a mean, by what clusters add to its variance, of Student's t.

    Cameron and Miller 2015, J. Hum. Resour. 50:317, with as many degrees of freedom as clusters less one: with ten of
    them, drawing clusters anew gives intervals that are too narrow.

    Args:
        values, clusters: [n], of two clusters at least.
        within: what the mean lies between.
    """
    _, place = np.unique(clusters, return_inverse=True)
    sums, counts = np.bincount(place, values), np.bincount(place)
    mean, free = values.mean(), len(sums) - 1
    spread = np.sqrt((free + 1) / free * ((sums - mean * counts) ** 2).sum()) / counts.sum()
    half = stats.t.ppf((1 + LEVEL) / 2, free) * spread
    return max(within[0], float(mean - half)), min(within[1], float(mean + half))


def by_chance(
    vectors: Floats, task: Ints, rows: Ints, rows_of_table: int, seed: int = 0
) -> dict[str, tuple[float, float]]:
    """Between what precision@1 and mAP lie where tasks are dealt to the same vectors at random.

    Args:
        rows_of_table: how many intervals are to hold together at 95 % (Bonferroni).
    """
    rng = np.random.default_rng(seed)
    likeness = vectors[rows] @ vectors[rows].T
    np.fill_diagonal(likeness, -np.inf)
    order = np.argsort(-likeness, axis=1, kind="stable")[:, :-1]
    ranks = np.arange(1, len(rows))
    values = np.zeros((SHUFFLES, 2))
    for draw in values:
        dealt = rng.permutation(task[rows])
        hits = dealt[order] == dealt[:, None]
        draw[:] = hits[:, 0].mean(), ((hits.cumsum(1) / ranks * hits).sum(1) / hits.sum(1)).mean()
    z = float(stats.norm.ppf(1 - (1 - LEVEL) / 2 / rows_of_table))
    means, spreads = values.mean(0), values.std(0)
    return {
        name: (float(means[k] - z * spreads[k]), float(means[k] + z * spreads[k]))
        for k, name in enumerate(("precision@1", "mAP"))
    }


def clustering(vectors: Floats, task: Ints) -> dict[str, float]:
    """How tasks lie as clusters: silhouette by cosine (higher is better), and Davies and Bouldin (lower is better)."""
    return {
        "silhouette": float(silhouette_score(vectors, task, metric="cosine")),
        "davies_bouldin": float(davies_bouldin_score(vectors, task)),
    }
