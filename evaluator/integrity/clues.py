"""How well something that is no sequence tells of labels, and how likely that is if labels were shuffled.

Each statistic is of r [n], the truth's ranks less their mean, ties sharing theirs, S = sum of r^2:

- a number x:      |sum r * rank(x)|, shown as ROC-AUC or Spearman
- the row before:  |sum r_k * r_(k+1) + S / n|, which is the distance from its mean (Wald and Wolfowitz 1943)
- groups:          sum over groups of (sum of r)^2 / size, shown as correlation ratio (Kruskal and Wallis 1952)

A number that some rows lack has rank 0, the mean, in these.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from evaluator.contract.arrays import Floats, IntArray
from evaluator.integrity.findings import Clue, Measure
from evaluator.scoring.influence import average_ranks, rank_correlation
from evaluator.scoring.ranking import holm

ALPHA = 0.01
"""Of all clues of one kind about one column of labels together, by Holm: orders and ids are one kind, what may tell of
an antibody (lengths, further columns) is the other, so that many columns do not hide a sorted file."""
KINDS = ((True, False, ALPHA / 2), (True, True, ALPHA / 2), (False, False, ALPHA))
"""`fault` and `detail` of each kind, and its share: the many parts of ids have a half of that of orders and ids."""
MOST_GROUPS = 20
"""A column with more different values groups nothing."""
SHUFFLES, SEED = 9_999, 20
FOR_EACH = 400
"""Shuffles for each clue of a kind: with fewer the least possible p, times their number, would come near ALPHA."""
MOST_SHUFFLES = 200_000
RARE = 10
"""How often shuffled labels tell as much where more of them are looked at."""
SHUFFLED_ROWS = 5_000
"""Rows up to which labels are really shuffled; with more of them the limits of the statistics are good enough."""
CELLS = 2_000_000


@dataclass(frozen=True, eq=False)
class Candidate:
    """One thing that may tell of the labels.

    Attributes:
        fault: whether it ought to say nothing.
        detail: a part of an id, of which there are many.
        of: [B, n] ranks of shuffled truths -> [B] statistics, the larger the more telling.
        limit: a statistic -> its p-value with many rows.
    """

    name: str
    fault: bool
    detail: bool
    measure: Measure
    value: float
    of: Callable[[Floats], Floats]
    limit: Callable[[float], float]


def of_number(
    name: str, column: Floats, truth: Floats, *, classes: bool, fault: bool, detail: bool = False
) -> Candidate | None:
    """A number of each row, NaN where it has none; None where it, or the truth, is the same in all others. [n], [n]."""
    there = np.isfinite(column)
    rho = rank_correlation(truth[there], column[there]) if there.any() else None
    if rho is None:
        return None
    ranks, about = np.zeros(len(column)), centred(truth)
    ranks[there] = centred(column[there])
    spread = math.sqrt(float(ranks @ ranks) * float(about @ about) / (len(truth) - 1))
    return Candidate(
        name,
        fault,
        detail,
        *_shown(column[there], truth[there], rho, classes=classes),
        lambda shuffled: np.abs(shuffled @ ranks),
        lambda found: math.erfc(found / spread / math.sqrt(2)),
    )


def of_neighbours(name: str, order: IntArray, truth: Floats, *, classes: bool) -> Candidate | None:
    """The truth of the row before, in some order of the rows; None where it is the same in every row."""
    before, here = truth[order[:-1]], truth[order[1:]]
    rho = rank_correlation(here, before)
    if rho is None:
        return None
    squares = float(centred(truth) @ centred(truth))
    n = len(truth)

    def of(shuffled: Floats) -> Floats:
        placed = shuffled[:, order]
        return np.asarray(np.abs(np.einsum("bk,bk->b", placed[:, :-1], placed[:, 1:]) + squares / n))

    measure, value = _shown(before, here, rho, classes=classes)
    return Candidate(name, True, False, measure, value, of, lambda found: math.erfc(found / squares * math.sqrt(n / 2)))


def most_groups(n: int) -> int:
    """Groups of so many rows, above which they would be too small."""
    return min(MOST_GROUPS, n // 5)


def of_groups(name: str, words: Sequence[str], truth: Floats, *, fault: bool, detail: bool = False) -> Candidate | None:
    """Groups of rows; None where there are none, too many of them, or nothing to tell."""
    sizes = Counter(words)
    n = len(truth)
    if not 2 <= len(sizes) <= most_groups(n) or np.ptp(truth) == 0:
        return None
    number = {word: k for k, word in enumerate(sizes)}
    member = np.zeros((n, len(sizes)))
    member[np.arange(n), [number[word] for word in words]] = 1 / np.sqrt([sizes[word] for word in words])
    about = centred(truth)
    squares = float(about @ about)

    def limit(found: float) -> float:
        from scipy.special import chdtrc

        return float(chdtrc(len(sizes) - 1, (n - 1) * found / squares))

    def of(shuffled: Floats) -> Floats:
        return np.asarray(np.square(shuffled @ member).sum(axis=1))

    share = float(of(about[None])[0]) / squares
    return Candidate(name, fault, detail, "correlation_ratio", math.sqrt(min(share, 1.0)), of, limit)


def centred(values: Floats) -> Floats:
    """Ranks less their mean, [n]."""
    ranks = average_ranks(values)
    return np.asarray(ranks - ranks.mean())


def _shown(column: Floats, truth: Floats, rho: float, *, classes: bool) -> tuple[Measure, float]:
    if not classes:
        return "spearman", rho
    positive = truth == 1
    n, n1 = len(truth), int(positive.sum())
    return "roc_auc", (float(average_ranks(column)[positive].sum()) - n1 * (n1 + 1) / 2) / (n1 * (n - n1))


def judged(found: Sequence[Candidate], truth: Floats) -> tuple[Clue, ...]:
    """Each with its p-value, the same every time: by shuffled labels, or by the statistics' limits for many rows."""
    about = centred(truth)
    told: dict[int, Clue] = {}
    for fault, detail, alpha in KINDS:
        kind = [k for k, one in enumerate(found) if (one.fault, one.detail) == (fault, detail)]
        told |= zip(kind, _of_kind([found[k] for k in kind], about, alpha), strict=True)
    return tuple(told[k] for k in range(len(found)))


def _of_kind(found: Sequence[Candidate], about: Floats, alpha: float) -> list[Clue]:
    observed = np.array([float(one.of(about[None])[0]) for one in found])
    if len(about) > SHUFFLED_ROWS:
        p = np.array([one.limit(value) for one, value in zip(found, observed.tolist(), strict=True)])
    else:
        p = _shuffled(found, about, observed)
    return [
        Clue(name=c.name, measure=c.measure, value=round(c.value, 6), p=q, telling=bool(told), fault=c.fault)
        for c, q, told in zip(found, p.tolist(), holm(p) < alpha, strict=True)
    ]


def _shuffled(found: Sequence[Candidate], about: Floats, observed: Floats) -> Floats:
    """How often shuffled labels tell as much, the true ones counted too (Phipson and Smyth 2010), [k].

    Of many clues those that are rare are held against more shuffles: else the least possible p would be too large for
    Holm's correction. The others stop at a p of about .001, which of so many is not beyond chance.
    """
    rng = np.random.default_rng(SEED)
    at_least = observed * (1 - 1e-12)  # the same sum in another order
    hits, of = np.ones(len(found)), np.ones(len(found))
    height, drawn = max(CELLS // max(len(about), 1), 1), 0
    for total in (SHUFFLES, min(FOR_EACH * len(found), MOST_SHUFFLES)):
        rare = np.flatnonzero(hits <= RARE).tolist()
        while rare and drawn < total:
            rows = np.tile(about, (min(height, total - drawn), 1))
            rng.permuted(rows, axis=1, out=rows)
            hits[rare] += [np.count_nonzero(found[k].of(rows) >= at_least[k]) for k in rare]
            drawn += len(rows)
        of[rare] = drawn + 1
    return hits / of
