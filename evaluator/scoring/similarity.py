"""How alike entries behave: on the panel, whose labels nobody has, and by their errors on tracks with open labels.

Order decides a track's metrics, so that two entries of one order are near copies, whatever the scale of their scores.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from statistics import NormalDist

import numpy as np

from evaluator.contract.arrays import Floats, IntArray
from evaluator.contract.linkage import complete_linkage
from evaluator.scoring import influence

NEAR_COPY = 0.999
"""Of Spearman's correlation: above it two entries are told to be near copies."""
CUT = 0.9
"""Of the cosine: in a cluster any two entries are at least so alike."""
_EDGE = 1e-6
"""Scores nearer to 0 or 1 have the logit of this one: what a program writes as 0 or 1 is rounded there."""


@dataclass(frozen=True)
class Neighbour:
    """Another entry, and how alike it behaves; intervals are over sequences like those of the panel."""

    id: str
    cosine: float
    low: float
    high: float
    spearman: float
    spearman_low: float
    spearman_high: float

    @property
    def near_copy(self) -> bool:
        """Whether the two put the panel into the same order, but for a few places."""
        return self.spearman > NEAR_COPY


def logits(scores: Floats) -> Floats:
    """[n] log odds of scores in [0, 1]; scores of another range as they are."""
    if scores.min(initial=0.0) < 0 or scores.max(initial=0.0) > 1:
        return scores
    within = np.clip(scores, _EDGE, 1 - _EDGE)
    return np.asarray(np.log(within / (1 - within)))


@dataclass(frozen=True, eq=False)
class Behaviours:
    """What entries said of the same sequences.

    Attributes:
        ids: N entries.
        scores: [N, n].
        level: of intervals.
    """

    ids: tuple[str, ...]
    scores: Floats
    level: float = 0.95

    @classmethod
    def of(cls, scores: Mapping[str, Sequence[float]], level: float = 0.95) -> Behaviours:
        """Of entries by their ids; those with one score for all sequences are left out: nothing can be said of them."""
        told = {i: np.asarray(s, dtype=np.float64) for i, s in sorted(scores.items()) if len(set(s)) > 1}
        size = len(next(iter(told.values()), ()))
        return cls(tuple(told), np.array([*told.values()]).reshape(len(told), size), level)

    @cached_property
    def cosine(self) -> Floats:
        """[N, N] of z-scored logits, which is Pearson's correlation."""
        z = self._standardised
        return _bounded(z @ z.T / max(z.shape[1], 1))

    @cached_property
    def spearman(self) -> Floats:
        """[N, N], ties sharing their mean rank."""
        ranks = np.array([influence.average_ranks(row) for row in self.scores]).reshape(self.scores.shape)
        z = _standardised(ranks)
        return _bounded(z @ z.T / max(self.scores.shape[1], 1))

    @cached_property
    def ends(self) -> tuple[Floats, Floats]:
        """[N, N] twice: the intervals of `cosine`, by the influence of each sequence on Fisher's z.

        The influence on a correlation r is xy - r (x^2 + y^2) / 2 (Devlin, Gnanadesikan and Kettenring 1975,
        Biometrika 62:531); its mean square is written out, so that all pairs are three products of matrices.
        """
        z, r = self._standardised, self.cosine
        n = max(z.shape[1], 1)
        squares, cubed = (z**2) @ (z**2).T / n, (z**3) @ z.T / n
        fourth = np.diag(squares)
        of_squares = fourth[:, None] + fourth + 2 * squares
        variance = np.maximum(squares - r * (cubed + cubed.T) + r**2 / 4 * of_squares, 0.0) / n
        return _fisher(r, np.sqrt(variance), self.level)

    @cached_property
    def clusters(self) -> IntArray:
        """[N] by complete linkage at `CUT`, numbered from 0 by their first members."""
        return complete_linkage(1 - self.cosine, 1 - CUT + 1e-12)

    @cached_property
    def map(self) -> tuple[Floats, float]:
        """[N, 2] places, and the share of all distances that two dimensions show, in squares.

        Classical scaling (Torgerson 1952, Psychometrika 17:401) of the distances sqrt(2 (1 - cosine)).
        """
        count = len(self.ids)
        if count < 2:
            return np.zeros((count, 2)), 1.0
        centre = np.eye(count) - 1 / count
        values, vectors = np.linalg.eigh(centre @ self.cosine @ centre)
        largest = np.argsort(-values, kind="stable")[:2]
        found = np.zeros((count, 2))
        found[:, : len(largest)] = vectors[:, largest] * np.sqrt(np.maximum(values[largest], 0.0))
        farthest = np.abs(found).round(9).argmax(axis=0)
        found *= np.where(found[farthest, [0, 1]] < 0, -1.0, 1.0)  # a mirror image is the same map
        total = float(np.maximum(values, 0).sum())
        return found.round(6) + 0.0, float(np.maximum(values[largest], 0).sum()) / total if total else 1.0

    def neighbours(self, entry: str, count: int | None = None) -> list[Neighbour]:
        """The other entries, the most alike first; none where the entry is not among these."""
        if entry not in self.ids:
            return []
        mine = self.ids.index(entry)
        order = np.lexsort((np.arange(len(self.ids)), -self.spearman[mine], -self.cosine[mine]))
        return [self._pair(mine, k) for k in order.tolist() if k != mine][:count]

    def near_copies(self) -> list[tuple[str, str]]:
        """Every two entries that are told to be near copies."""
        rows, columns = np.nonzero(np.triu(self.spearman > NEAR_COPY, 1))
        return [(self.ids[a], self.ids[b]) for a, b in zip(rows.tolist(), columns.tolist(), strict=True)]

    def _pair(self, mine: int, other: int) -> Neighbour:
        low, high = (float(end[mine, other]) for end in self.ends)
        moved = influence.spearman(self.scores[mine], self.scores[other])
        spearman = self.spearman[mine, other]
        around = _fisher(spearman, np.sqrt(moved @ moved), self.level)
        return Neighbour(
            self.ids[other], float(self.cosine[mine, other]), low, high, float(spearman), *map(float, around)
        )

    @cached_property
    def _standardised(self) -> Floats:
        return _standardised(np.array([logits(row) for row in self.scores]).reshape(self.scores.shape))


def error_agreement(wrong: Floats) -> tuple[Floats, Floats]:
    """[N, N] twice: on which share of rows two entries are both right or both wrong, and by how much more than chance.

    The second is Cohen's kappa, called error consistency by Geirhos, Meding and Wichmann 2020 (NeurIPS 33:13890); NaN
    where both are always right, or always wrong.

    Args:
        wrong: [N, n], 1 where an entry's prediction is not the label, else 0.
    """
    n, share = wrong.shape[1], wrong.mean(axis=1)
    observed = (wrong @ wrong.T + (1 - wrong) @ (1 - wrong).T) / n
    expected = np.outer(share, share) + np.outer(1 - share, 1 - share)
    with np.errstate(divide="ignore", invalid="ignore"):
        kappa = (observed - expected) / (1 - expected)
    return observed, np.where(expected < 1 - 1e-12, kappa, np.nan)


def _standardised(values: Floats) -> Floats:
    """Rows of mean 0 and variance 1; zeros for a row that does not vary."""
    if not values.size:
        return values
    centred = values - values.mean(axis=1, keepdims=True)
    spread = np.sqrt((centred**2).mean(axis=1, keepdims=True))
    return np.asarray(centred / np.where(spread > 0, spread, np.inf))


def _bounded(correlations: Floats) -> Floats:
    """Within [-1, 1] in spite of rounding, exactly symmetric, and exactly 1 where it is."""
    return np.asarray(np.clip((correlations + correlations.T) / 2, -1.0, 1.0).round(12))


def _fisher(r: Floats, deviation: Floats, level: float) -> tuple[Floats, Floats]:
    """Ends of an interval of correlations; one of 1 or -1 has no width."""
    r = np.asarray(r, dtype=np.float64)
    inside = np.clip(r, -1 + 1e-12, 1 - 1e-12)
    half = NormalDist().inv_cdf(0.5 + level / 2) * deviation / (1 - inside**2)
    low, high = (np.tanh(np.arctanh(inside) + sign * half) for sign in (-1, 1))
    exact = np.abs(r) >= 1 - 1e-12
    return np.where(exact, r, low), np.where(exact, r, high)
