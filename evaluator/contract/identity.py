"""How alike two variable domains are: identity by edits, and where the third loop of the heavy chain lies.

identity = 1 - edits / length of the longer one, with edits by Levenshtein 1966: insertions, deletions, substitutions.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from string import ascii_uppercase
from typing import Self

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
ALIKE = 1.1
"""How much longer than its shortest chain the longest of a part may be, whose chains are compared with one cutoff."""
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


@dataclass(frozen=True, eq=False)
class _Chains:
    """Chains from the shortest to the longest.

    Attributes:
        rows: where each stood, [n].
        length: [n].
        letters: how often each letter stands in each, and how long it is, [n, 27]; None where they are not counted.
    """

    rows: Rows
    chains: tuple[str, ...]
    length: IntArray
    letters: Floats | None

    @classmethod
    def of(cls, chains: Sequence[str], *, counted: bool) -> Self:
        """Sorted, those of one length in the order in which they stood."""
        length = np.array([len(one) for one in chains], dtype=np.int64)
        rows = np.argsort(length, kind="stable")
        in_order = tuple(chains[k] for k in rows.tolist())
        letters = None
        if counted:
            counts = [[*(one.count(letter) for letter in ascii_uppercase), len(one)] for one in in_order]
            letters = np.array(counts, dtype=np.float64)
        return cls(rows, in_order, length[rows], letters)

    def cut(self, first: int, end: int) -> _Chains:
        """Some that follow each other."""
        letters = None if self.letters is None else self.letters[first:end]
        return _Chains(self.rows[first:end], self.chains[first:end], self.length[first:end], letters)

    def alike(self) -> Iterator[_Chains]:
        """All of them in parts, in each of which the longest is little longer than the shortest."""
        first = 0
        while first < len(self.rows):
            end = int(np.searchsorted(self.length, ALIKE * self.length[first], side="right"))
            yield self.cut(first, end)
            first = end

    def within_reach(self, some: _Chains, floor: float) -> _Chains:
        """Those with which one of some may reach the floor: edits are at least the difference of lengths."""
        least = floor - TOLERANCE
        if least <= 0:
            return self
        first = np.searchsorted(self.length, least * some.length[0])
        return self.cut(int(first), int(np.searchsorted(self.length, some.length[-1] / least, side="right")))


def identities(some: Sequence[str], others: Sequence[str], floor: float = 0.0) -> Iterator[tuple[IntArray, Floats]]:
    """Identities of every pair in blocks: (rows of `some`, [rows, len(others)]); 0 where they are below the floor.

    How many edits are looked for follows from the lengths of those that are held against each other: one long chain
    among thousands makes the others take no longer.
    """
    counted = len(some) * len(others) > FEW
    every = _Chains.of(others, counted=counted)
    height = max(CELLS // max(len(others), 1), 1)
    for start in range(0, len(some), height):
        block = _Chains.of(some[start : start + height], counted=counted)
        found = np.zeros((len(block.rows), len(others)))
        for part in block.alike():
            _compare(part, every.within_reach(part, floor), floor, found)
        yield np.arange(start, start + len(found)), found


def _compare(some: _Chains, others: _Chains, floor: float, found: Floats) -> None:
    """Put the identities that reach the floor where they belong in [rows, others]."""
    if not len(others.rows):
        return
    allowed = int((1 - floor) * max(some.length[-1], others.length[-1]) + TOLERANCE)
    near = _may_be_near(some.letters, others.letters, allowed)
    if near is None or len(near[0]) > MANY * len(some.rows) * len(others.rows):
        edits = cdist(
            some.chains, others.chains, scorer=Levenshtein.distance, score_cutoff=allowed, dtype=np.uint32, workers=-1
        )
        identity = 1 - edits / np.maximum(np.maximum.outer(some.length, others.length), 1)
        cells = np.ix_(some.rows, others.rows)
    else:
        a, b = near
        pairs = [some.chains[k] for k in a.tolist()], [others.chains[k] for k in b.tolist()]
        edits = cpdist(*pairs, scorer=Levenshtein.distance, score_cutoff=allowed, dtype=np.uint32, workers=-1)
        identity = 1 - edits / np.maximum(np.maximum(some.length[a], others.length[b]), 1)
        cells = some.rows[a], others.rows[b]
    found[cells] = np.where((edits > allowed) | (identity < floor - TOLERANCE), 0, identity)


def _may_be_near(counts: Floats | None, others: Floats | None, allowed: int) -> tuple[Rows, Rows] | None:
    """The pairs that may be within so many edits; None where letters are not counted.

    A substitution changes two counts by one and no length; an insertion or deletion one count and the length. So the
    sum of all these differences is at most twice the edits.
    """
    from scipy.spatial.distance import cdist as differences

    if counts is None or others is None:
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
