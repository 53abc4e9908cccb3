"""How alike two variable domains are: identity by edits, and where the third loop of the heavy chain lies.

identity = 1 - edits / length of the longer one, with edits by Levenshtein 1966: insertions, deletions, substitutions.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from string import ascii_uppercase

import numpy as np
import numpy.typing as npt
from rapidfuzz.distance import Levenshtein
from rapidfuzz.process import cdist, cpdist

from evaluator.contract.arrays import Floats, IntArray

CELLS = 4_000_000
"""Pairs that are held in memory at once."""
Rows = npt.NDArray[np.intp]
FEW = 5_000_000
"""Pairs up to which it does not pay to count letters first."""
MANY = 0.3
"""Share of pairs that may be near above which all of them are compared at once, which is quicker for each."""
TOLERANCE = 1e-9
"""So that 12 edits in 120 letters are an identity of .90, whatever 1 - 12 / 120 is in binary."""
# After framework 3, which ends with a cysteine near an aromatic residue; before framework 4, which starts with WGxG, in
# a few chains with another residue for the first glycine. Loops may hold such a motif too: the last one counts.
_CDR_H3 = [
    re.compile(rf"^[A-Z]{{60,}}?(?:[FHWY][A-Z]|[A-Z][FHWY])C([A-Z]{{1,45}}){start}")
    for start in ("WG[A-Z]G", "W[A-Z]{2}G")
]


def cdr_h3(heavy: str) -> str | None:
    """What lies between the last cysteine of framework 3 and the tryptophan of framework 4; None where not found.

    Framework 4 starts with the last W-G-x-G that follows or, where there is none, the last W-x-x-G. A plain pattern,
    which needs no numbering of the whole domain: it misses chains that have lost either residue, and finds the same
    loop as IMGT's CDR3 in the others.
    """
    found = next((loop for pattern in _CDR_H3 if (loop := pattern.match(heavy))), None)
    return found[1] if found else None


def identities(some: Sequence[str], others: Sequence[str], floor: float = 0.0) -> Iterator[tuple[IntArray, Floats]]:
    """Identities of every pair in blocks: (rows of `some`, [rows, len(others)]); 0 where they are below the floor."""
    length, other_length = (np.array([len(s) for s in each], dtype=np.int64) for each in (some, others))
    counts, other_counts = (_letters(each) if len(some) * len(others) > FEW else None for each in (some, others))
    height = max(CELLS // max(len(others), 1), 1)
    for start in range(0, len(some), height):
        rows = np.arange(start, min(start + height, len(some)))
        block = some[start : start + height]
        longest = max(int(length[rows].max()), int(other_length.max(initial=1)))
        allowed = int((1 - floor) * longest + TOLERANCE)
        near = None if counts is None else _may_be_near(counts[rows], other_counts, allowed)
        if near is None or len(near[0]) > MANY * len(rows) * len(others):
            edits = cdist(block, others, scorer=Levenshtein.distance, score_cutoff=allowed, dtype=np.uint32, workers=-1)
            found = 1 - edits / np.maximum(np.maximum.outer(length[rows], other_length), 1)
            found[(edits > allowed) | (found < floor - TOLERANCE)] = 0
        else:
            found = np.zeros((len(rows), len(others)))
            a, b = near
            pairs = [block[k] for k in a.tolist()], [others[k] for k in b.tolist()]
            edits = cpdist(*pairs, scorer=Levenshtein.distance, score_cutoff=allowed, dtype=np.uint32, workers=-1)
            identity = 1 - edits / np.maximum(np.maximum(length[rows[a]], other_length[b]), 1)
            found[a, b] = np.where((edits > allowed) | (identity < floor - TOLERANCE), 0, identity)
        yield rows, found


def _letters(sequences: Sequence[str]) -> Floats:
    """How often each letter stands in each sequence, and how long it is, [n, 27]."""
    return np.array([[*(s.count(letter) for letter in ascii_uppercase), len(s)] for s in sequences], dtype=np.float64)


def _may_be_near(counts: Floats, others: Floats | None, allowed: int) -> tuple[Rows, Rows] | None:
    """The pairs that may be within so many edits.

    A substitution changes two counts by one and no length; an insertion or deletion one count and the length. So the
    sum of all these differences is at most twice the edits.
    """
    from scipy.spatial.distance import cdist as differences

    if others is None or not len(others):
        return None
    some_rows, other_rows = np.nonzero(differences(counts, others, "cityblock") <= 2 * allowed)
    return some_rows, other_rows


def nearest(some: Sequence[str], others: Sequence[str], floor: float = 0.0, *, itself: bool = True) -> Floats:
    """The identity of each of `some` with the most similar of `others`, [n]; 0 where that is below the floor.

    Args:
        itself: whether the k-th of `some` may be found as the k-th of `others`.
    """
    best = np.zeros(len(some))
    if not others or not len(some):
        return best
    if itself and len(others) > len(some):  # long blocks of few columns are quicker
        for _, found in identities(others, some, floor):
            np.maximum(best, found.max(axis=0), out=best)
        return best
    for rows, found in identities(some, others, floor):
        if not itself:
            found[np.arange(len(rows)), rows] = 0
        best[rows] = found.max(axis=1)
    return best
