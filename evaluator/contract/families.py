"""Which rows of a track belong together, by a rule with a version: the same families whatever the order of the rows."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from evaluator.contract.arrays import IntArray
from evaluator.contract.identity import TOLERANCE, cdr_h3, identities
from evaluator.contract.linkage import complete_linkage

LIBRARY_ROWS = 5_000
"""More rows than these are a library: there all pairs are too many, and all frameworks alike."""
RELATED = 0.90


@dataclass(frozen=True)
class Rule:
    """How families are made.

    Attributes:
        version: changes with the rule: the same version gives the same families.
        text: what a track's page says.
        make: heavy chains, different and in alphabetical order, [m], into family numbers, [m].
    """

    version: str
    text: str
    make: Callable[[Sequence[str]], IntArray]


def by_identity(heavy: Sequence[str]) -> IntArray:
    """Complete linkage: in a family any two heavy chains have an identity of at least .90."""
    far = np.ones((len(heavy), len(heavy)))
    for rows, found in identities(heavy, heavy, RELATED):
        far[rows] = 1 - found
    return complete_linkage(far, 1 - RELATED + TOLERANCE)


def by_loop(heavy: Sequence[str]) -> IntArray:
    """Single linkage: CDR-H3 of the same length with at most one substitution; what has no CDR-H3 stands alone.

    Two loops of one length differ in at most one place if they agree when the same place is left out of both. With the
    place in the key nothing is left to verify; without it, a shared key would allow two substitutions.
    """
    parent = list(range(len(heavy)))

    def root(k: int) -> int:
        while parent[k] != k:
            parent[k] = parent[parent[k]]
            k = parent[k]
        return k

    loops: dict[str, int] = {}
    seen: dict[tuple[int, str], int] = {}
    for k, sequence in enumerate(heavy):
        loop = cdr_h3(sequence)
        if loop is None:
            continue
        first = loops.setdefault(loop, k)
        if first != k:
            parent[root(k)] = root(first)
            continue
        for place in range(len(loop)):
            other = seen.setdefault((place, loop[:place] + loop[place + 1 :]), k)
            if other != k:
                parent[root(k)] = root(other)
    return np.unique([root(k) for k in range(len(heavy))], return_inverse=True)[1]


PANEL = Rule(
    "vh-complete-linkage-0.90 v1",
    "Complete linkage of the heavy chains: in a family any two have an identity, 1 - edits / length of the longer one, "
    "of at least .90.",
    by_identity,
)
LIBRARY = Rule(
    "cdr-h3-one-substitution v2",
    "Single linkage of the CDR-H3: of the same length, with at most one substitution from one to the next. It lies "
    "between the last cysteine of framework 3 and framework 4, which starts with the last W-G-x-G or, where there is "
    "none, the last W-x-x-G. A chain whose CDR-H3 is not found stands alone.",
    by_loop,
)


RULES = {rule.version: rule for rule in (PANEL, LIBRARY)}
"""By what a track's file calls them."""


def rule_for(rows: int) -> Rule:
    """Panels by the whole heavy chain, libraries by its third loop."""
    return LIBRARY if rows > LIBRARY_ROWS else PANEL


def families(heavy: Sequence[str], rule: Rule | None = None) -> tuple[Rule, IntArray]:
    """The rule (by default that for so many rows) and each row's family, [n], from 0 in the order of sorted chains."""
    rule = rule or rule_for(len(heavy))
    different = sorted(set(heavy))
    made = rule.make(different)
    order = {family: number for number, family in enumerate(dict.fromkeys(made.tolist()))}
    of = {sequence: order[family] for sequence, family in zip(different, made.tolist(), strict=True)}
    return rule, np.array([of[sequence] for sequence in heavy], dtype=np.int64)


def as_csv(ids: Sequence[str], found: IntArray) -> bytes:
    """`sequence_id,family` in the order of the rows."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["sequence_id", "family"])
    writer.writerows(zip(ids, (f"f{number + 1}" for number in found.tolist()), strict=True))
    return text.getvalue().encode()
