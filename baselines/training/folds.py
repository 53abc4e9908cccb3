"""Which training sequences belong together: near copies must not stand on both sides of a fold.

Identity of two sequences is 1 - edits / length of the longer (Levenshtein 1966, Soviet Physics Doklady 10:707);
clusters are connected by identities of at least 95 %.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from baselines.errors import DataError

FOLDS = 10
IDENTITY = 0.95
PAIRS_AT_ONCE = 100_000
_LETTERS = 128
Ints = npt.NDArray[np.int64]


def require_enough(labels: Ints, groups: Ints | None = None) -> None:
    """Refuse a training set that cannot be split.

    Args:
        labels: [n] 0/1.
        groups: [n] clusters that stay on one side.

    Raises:
        DataError: there are fewer rows of a class, or clusters, than folds.
    """
    counts = {"rows of label 0": int((labels == 0).sum()), "rows of label 1": int((labels == 1).sum())}
    if groups is not None:
        counts["clusters of near copies"] = int(groups.max()) + 1
    what, fewest = min(counts.items(), key=lambda item: item[1])
    if fewest < FOLDS:
        raise DataError(
            f"{FOLDS} folds need as many rows of each class and as many clusters; there are {fewest} {what}."
        )


def clusters(sequences: Sequence[str], identity: float = IDENTITY) -> Ints:
    """The cluster of each sequence, [n] from 0."""
    n = len(sequences)
    lengths = np.array([len(s) for s in sequences], dtype=np.int64)
    counts = np.array([np.bincount(np.frombuffer(s.encode("ascii"), np.uint8), minlength=_LETTERS) for s in sequences])
    rows, columns = [], []
    for i in range(n - 1):
        allowed = np.floor((1 - identity) * np.maximum(lengths[i], lengths[i + 1 :]) + 1e-9).astype(np.int64)
        # An edit changes the composition by at most two letters: most pairs need no alignment.
        near = np.abs(counts[i + 1 :] - counts[i]).sum(1) <= 2 * allowed
        near &= np.abs(lengths[i + 1 :] - lengths[i]) <= allowed
        for at in np.flatnonzero(near):
            rows.append(i)
            columns.append(i + 1 + int(at))
    close = _within(sequences, np.array(rows, dtype=np.int64), np.array(columns, dtype=np.int64), identity)
    links = coo_matrix((np.ones(int(close.sum())), (np.array(rows)[close], np.array(columns)[close])), shape=(n, n))
    return np.asarray(connected_components(links, directed=False)[1], dtype=np.int64)


def _within(sequences: Sequence[str], rows: Ints, columns: Ints, identity: float) -> npt.NDArray[np.bool_]:
    """Whether each pair is as alike as that: edit distances in a band, for many pairs at a time."""
    found = np.zeros(len(rows), dtype=bool)
    longest = max((len(s) for s in sequences), default=0)
    table = np.zeros((len(sequences), longest), dtype=np.uint8)
    lengths = np.array([len(s) for s in sequences], dtype=np.int64)
    for k, s in enumerate(sequences):
        table[k, : len(s)] = np.frombuffer(s.encode("ascii"), np.uint8)
    band = int((1 - identity) * longest + 1e-9)
    for at in range(0, len(rows), PAIRS_AT_ONCE):
        i, j = rows[at : at + PAIRS_AT_ONCE], columns[at : at + PAIRS_AT_ONCE]
        edits = _edits(table[i], table[j], lengths[i], lengths[j], band)
        found[at : at + PAIRS_AT_ONCE] = edits <= (1 - identity) * np.maximum(lengths[i], lengths[j]) + 1e-9
    return found


def _edits(a: npt.NDArray[np.uint8], b: npt.NDArray[np.uint8], na: Ints, nb: Ints, band: int) -> Ints:
    """Edit distances, [pairs], exact up to `band`, more than `band` beyond it."""
    pairs, width = a.shape
    far = np.int64(band + 1)
    offsets = np.arange(-band, band + 1)
    # row[p, o] is the distance of a[:x] to b[:x + offsets[o]]
    row = np.where(offsets >= 0, offsets, far)[None, :].repeat(pairs, 0)
    result = np.where(na == 0, np.minimum(nb, far), far)
    padded = np.zeros((pairs, width + 2 * band + 1), dtype=np.uint8)
    padded[:, band : band + width] = b
    for x in range(1, width + 1):
        y = x + offsets
        same = padded[:, x - 1 : x + 2 * band] == a[:, x - 1 : x]
        step = np.where(same, row, row + 1)  # replaced or kept
        step[:, :-1] = np.minimum(step[:, :-1], row[:, 1:] + 1)  # a letter of a has no partner
        step = np.where(y >= 0, np.where(y == 0, x, step), far)
        for o in range(1, len(offsets)):  # a letter of b has no partner
            step[:, o] = np.minimum(step[:, o], step[:, o - 1] + 1)
        row = np.minimum(step, far)
        done = na == x
        if done.any():
            at = (nb - x + band)[done]
            inside = (at >= 0) & (at <= 2 * band)
            result[np.flatnonzero(done)[inside]] = row[np.flatnonzero(done)[inside], at[inside]]
    return np.minimum(result, far)
