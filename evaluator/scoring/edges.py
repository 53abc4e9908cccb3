"""Pairs of entries whose difference has no variance that could be estimated: what its standard error is at least."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import scipy

from evaluator.contract.arrays import Floats, IntArray
from evaluator.scoring import influence, permutation

FEW = 1000
"""Rows up to which a difference of many standard errors is held against what chance alone would do."""
MANY_ERRORS = 10.0


def estimated(covariance: Floats) -> Floats:
    """Standard errors of differences, [m, m]; what is left by rounding is 0."""
    own = np.diag(covariance)
    variance = own[:, None] + own[None, :] - 2 * covariance
    return np.sqrt(np.where(variance > np.maximum(1e-12 * (own[:, None] + own[None, :]), 1e-26), variance, 0.0))


def unreliable(value: Floats, covariance: Floats, rows: Floats) -> list[tuple[int, int]]:
    """Pairs whose difference has no standard error, or, on few rows, one that is tiny beside it or of one entry alone.

    Args:
        rows: [m, n] scores or classes.
    """
    errors = estimated(covariance)
    difference = np.abs(value[:, None] - value[None, :])
    found = errors == 0
    if rows.shape[1] <= FEW:
        constant = np.ptp(rows, axis=1) == 0  # whether another knows more than that is a question of chance alone
        found |= (difference > MANY_ERRORS * errors) | (constant[:, None] ^ constant[None, :])
    return [(int(i), int(j)) for i, j in np.argwhere(np.triu(found, 1))]


def by_family(of_rows: Floats, families: IntArray) -> Floats:
    """Sums within families, [n] -> [g]."""
    return np.bincount(families, weights=of_rows).astype(np.float64)


def as_likely(value: Floats, covariance: Floats, freedom: int, p: Floats) -> Floats | None:
    """Standard errors with which Student's t finds these p-values, for pairs that differ but have no variance.

    So that intervals and tests agree, and a difference of which nothing varied is not told as if it were certain.
    """
    difference, errors = np.abs(value[:, None] - value[None, :]), estimated(covariance)
    where = (difference > 0) & (p < 1) & (errors == 0)
    t = -scipy.special.stdtrit(freedom, np.maximum(p, 1e-300) / 2)
    return np.divide(difference, t, out=np.zeros_like(difference), where=where & (t > 0)) if where.any() else None


def least(
    value: Floats,
    covariance: Floats,
    freedom: int,
    truth: Floats,
    scores: Floats,
    contribution: Callable[[int], Floats],
    half: Callable[[int], float],
    families: IntArray | None,
    alpha: float,
) -> Floats | None:
    """For pairs whose covariance says nothing, the standard error with which Student's t gives their permutation's p.

    Pairs that do not differ but order the rows differently, such as two perfect entries, have the standard errors that
    their own intervals suggest (Zou 2007, Psychol. Methods 12:399, without a correlation).

    Args:
        truth: [n] classes or ranks.
        contribution: of each row to one entry's value, [n].
        half: half of an entry's own interval at its value, without any estimated variance.
        families: [n], or None.
        alpha: one less the level of those intervals.
    """
    pairs = unreliable(value, covariance, scores)
    ranks = {k: influence.average_ranks(scores[k]) for k in {k for pair in pairs for k in pair}}
    least, t_own = np.zeros_like(covariance), float(scipy.special.stdtrit(freedom, 1 - alpha / 2))
    for i, j in pairs:
        apart = ranks[i] - ranks[j]
        if not apart.any():
            continue
        difference = abs(float(value[i] - value[j]))
        if difference <= 1e-12:
            error = float(np.hypot(half(i), half(j))) / t_own
        else:
            if families is None:
                p = permutation.p_value(truth, apart)
            else:
                p = permutation.of_families(by_family(contribution(i) - contribution(j), families))
            t = -float(scipy.special.stdtrit(freedom, max(p, 1e-300) / 2))
            error = difference / t if t > 0 else 1.0
        least[i, j] = least[j, i] = error
    return least if pairs else None
