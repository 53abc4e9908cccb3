"""Clusters by complete linkage: in a cluster any two members are near each other, not only one to the next."""

from __future__ import annotations

import numpy as np

from evaluator.contract.arrays import Floats, IntArray


def complete_linkage(far: Floats, limit: float) -> IntArray:
    """Clusters of which no two members are farther apart than the limit, [m], numbered by their first members.

    The two clusters whose farthest members are nearest are joined first (Defays 1977); of several, those that come
    first. Each cluster remembers its nearest later one, so that m rows take about m^2 steps.

    Args:
        far: [m, m] distances, symmetric; it is used up.
    """
    count = len(far)
    cluster = np.arange(count)
    if count < 2:
        return cluster
    far[np.tril_indices(count)] = np.inf  # each pair once: the lower number first
    next_one = far.argmin(axis=1)
    nearest = far[np.arange(count), next_one]
    while True:
        first = int(nearest.argmin())
        if not nearest[first] <= limit:
            return np.unique(cluster, return_inverse=True)[1]
        second = int(next_one[first])
        cluster[cluster == second] = first
        to_first = np.fmax(_all_to(far, first), _all_to(far, second))
        far[:first, first], far[first, first + 1 :] = to_first[:first], to_first[first + 1 :]
        far[second], far[:, second] = np.inf, np.inf
        nearest[second] = np.inf
        stale = np.flatnonzero((next_one == first) | (next_one == second) | (np.arange(count) == first))
        stale = stale[np.isfinite(nearest[stale])]
        next_one[stale] = far[stale].argmin(axis=1)
        nearest[stale] = far[stale, next_one[stale]]


def _all_to(far: Floats, one: int) -> Floats:
    """Distances of one cluster to every other, [m]; infinite to itself and to those that were joined."""
    return np.concatenate([far[:one, one], far[one, one:]])
