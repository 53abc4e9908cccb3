"""Differences whose estimated variance says nothing: p-values from what chance alone would do with the same rows.

A perfect entry, a constant one and an inverted one have no variance that could be estimated, though nobody doubts that
they differ. If neither of two entries knew anything of the truth, every assignment of the true values to the rows would
be as likely as the one there is; the p-value is the share of assignments with a difference as large.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import scipy

from evaluator.contract.arrays import Floats


def p_value(truth: Floats, apart: Floats) -> float:
    """Two-sided p of the sum of truth x apart, over all assignments of the true values to the rows.

    Exact where no assignment gives a more extreme sum; else by Pitman's approximation (1937, J. R. Stat. Soc. Suppl.
    4:225), for which the correlation is distributed as that of normal rows.

    Args:
        truth: [n] classes, or ranks of targets.
        apart: [n] difference of the two entries' ranks.

    Returns:
        1 where all rows are apart by the same, or all true values are the same.
    """
    a, b = truth - truth.mean(), apart - apart.mean()
    spread = math.sqrt(float(a @ a) * float(b @ b))
    if not spread:
        return 1.0
    b = b if a @ b >= 0 else -b
    order, least = np.lexsort((truth, b)), _extreme(truth, b)
    if np.array_equal(np.sort(truth), truth[order]):
        return least
    r = min(float(a @ b) / spread, 1.0)
    n = len(truth)
    if n < 3 or r == 1.0:
        return least
    return max(least, 2 * float(scipy.special.stdtr(n - 2, -r * math.sqrt((n - 2) / (1 - r * r)))))


def _extreme(truth: Floats, apart: Floats) -> float:
    """Twice the share of distinct assignments whose sum is the largest of all."""
    ascending, groups = np.sort(truth), np.unique(apart, return_counts=True)[1]
    inside = -_arrangements(truth)
    start = 0
    for size in groups.tolist():
        inside += _arrangements(ascending[start : start + size])
        start += size
    return min(1.0, 2 * math.exp(inside))


def _arrangements(values: npt.NDArray[np.floating]) -> float:
    """Logarithm of the number of distinct orders of these values."""
    counts = np.unique(values, return_counts=True)[1]
    return float(scipy.special.gammaln(len(values) + 1) - scipy.special.gammaln(counts + 1).sum())


def of_families(sums: Floats) -> float:
    """Two-sided p of a sum over families, if in each of them the two entries might as well change places; [g].

    Exact, 2^(1 - g), where all families agree; else by Student's t, as for the same sum of normal values.
    """
    g = len(sums)
    least = min(1.0, 2.0 ** (1 - np.count_nonzero(sums)))
    total, squares = float(sums.sum()), float(sums @ sums)
    if not squares or g < 2 or abs(total) ** 2 >= g * squares * (1 - 1e-12):
        return least
    t = abs(total) * math.sqrt((g - 1) / (g * squares - total**2))
    return max(least, 2 * float(scipy.special.stdtr(g - 1, -t)))
