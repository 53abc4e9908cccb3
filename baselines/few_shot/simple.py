"""The simple references: net charge without any measurement, ridge regression, and a Gaussian process.

Hyper-parameters are chosen on the support alone. A support that does not tell antibodies apart leaves net charge.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.linalg import cho_factor, cho_solve, solve_triangular
from scipy.spatial.distance import cdist
from sklearn.linear_model import RidgeCV

from baselines.few_shot.episodes import Antibody, Floats, Task
from baselines.few_shot.features import Embeddings, descriptors, hamming, one_hot, standardised
from baselines.predicting.composition import net_charge

ALPHAS = tuple(10.0 ** np.arange(-2, 4.5, 0.5))
LENGTHS = (0.5, 1.0, 2.0, 4.0, 8.0, 16.0)
"""Length scales of the kernels: in mutations, and in the typical distance of two antibodies of the support."""
NOISES = (0.01, 0.1, 0.3, 1.0, 3.0, 10.0)
"""Variance of the noise relative to that of the signal."""


def zero_shot(task: Task) -> Floats:
    """[n] net charge of all chains of each query, in e."""
    return np.array([net_charge(q.heavy) + net_charge(q.light) for q in task.queries], dtype=np.float64)


@dataclass(frozen=True)
class Simple:
    """A regression on the support.

    Attributes:
        kind: `ridge` or `gp`.
        backbone: weights of a language model whose mean embeddings stand for an antibody; default one-hot positions on
            landscapes, composition, length and charge on panels.
    """

    kind: str
    backbone: str = ""

    def scores(self, task: Task) -> Floats:
        """[n] predictions in the units of the targets, or net charge."""
        if not task.queries or not task.teaches:
            return zero_shot(task)
        if task.wild_type and not self.backbone:
            return self._on_landscape([a.heavy for a in task.support], task.targets, [a.heavy for a in task.queries])
        support, queries = standardised(self._seen(task.support), self._seen(task.queries))
        if not support.any():
            return zero_shot(task)
        if self.kind == "ridge":
            return ridge(support, task.targets, queries)
        between = cdist(support, support, "sqeuclidean")
        typical = float(between.sum() / max((between > 0).sum(), 1))
        across = cdist(queries, support, "sqeuclidean")
        return gaussian_process(-between / (2 * typical), -across / (2 * typical), task.targets, power=2)

    def _on_landscape(self, support: list[str], targets: Floats, queries: list[str]) -> Floats:
        if self.kind == "ridge":
            return ridge(one_hot(support), targets, one_hot(queries))
        return gaussian_process(-hamming(support, support), -hamming(queries, support), targets)

    def _seen(self, antibodies: tuple[Antibody, ...]) -> Floats:
        return self._embeddings.of(antibodies) if self.backbone else descriptors(antibodies)

    @cached_property
    def _embeddings(self) -> Embeddings:
        return Embeddings(self.backbone)


def ridge(support: Floats, targets: Floats, queries: Floats) -> Floats:
    """[n] predictions of ridge regression, its penalty by leave-one-out on the support.

    Args:
        support: [k, width]; targets: [k]; queries: [n, width].
    """
    if not len(queries):
        return np.empty(0)
    spread = float(targets.std())
    fitted = RidgeCV(alphas=ALPHAS).fit(support, (targets - targets.mean()) / spread)
    found: Floats = np.asarray(fitted.predict(queries), dtype=np.float64)
    return found * spread + float(targets.mean())


def gaussian_process(between: Floats, across: Floats, targets: Floats, power: int = 1) -> Floats:
    """[n] posterior means with the kernel exp(x / length^power), by the highest marginal likelihood on a small grid.

    Rasmussen and Williams 2006, Gaussian Processes for Machine Learning, algorithm 2.1 and equation 2.30; the variance
    of the signal has its best value in closed form, y' K^-1 y / k.

    Args:
        between: [k, k] x of the support's pairs, 0 on the diagonal.
        across: [n, k] x of queries and support.
        targets: [k].
    """
    spread, mean = float(targets.std()), float(targets.mean())
    y = (targets - mean) / spread
    best, found = -np.inf, np.zeros(len(across))
    for length in LENGTHS:
        signal = np.exp(between / length**power)
        for noise in NOISES:
            factor, lower = cho_factor(signal + noise * np.eye(len(y)), lower=True)
            fit = solve_triangular(factor, y, lower=lower)
            likelihood = -len(y) / 2 * np.log(fit @ fit / len(y)) - np.log(np.diag(factor)).sum()
            if likelihood > best:
                best = float(likelihood)
                found = np.exp(across / length**power) @ cho_solve((factor, lower), y)
    return found * spread + mean
