"""How much each row moves a statistic, and what it means for its variance that rows come in families.

The influence of row i on a statistic T is, to first order, how much T changes when the row weighs a little more; the
variance of T is the sum of squared influences (van der Vaart 1998, Asymptotic Statistics, chapter 20). Where rows come
in families, the influences are first summed within each family (Liang and Zeger 1986, Biometrika 73:13; for the area
under the ROC curve Obuchowski 1997, Biometrics 53:567).
"""

from __future__ import annotations

import math

import numpy as np

from evaluator.contract.arrays import Floats, IntArray


def family_sums(influence: Floats, families: IntArray) -> Floats:
    """Influences summed within families and scaled so that their squares add up to the variance; [n] -> [g].

    Args:
        influence: [n], of each row, summing to about 0.
        families: [n], from 0 to g - 1.
    """
    sums = np.bincount(families, weights=influence)
    return np.asarray(sums * np.sqrt(len(sums) / max(len(sums) - 1, 1)))


def design_effect(influence: Floats, families: IntArray, level: float) -> float:
    """How many times larger a variance is to be taken because rows come in families; at least 1.

    An estimate from n rows is worth as much as one from n / (design effect) independent rows (Kish 1965; used so for
    proportions by Rao and Scott 1992, Biometrics 48:577). A value below 1 is chance more often than fact, and would
    claim more than independent rows could show. Few families make the effect itself uncertain, for which it is raised
    by the squared ratio of Student's t to the normal quantile (Korn and Graubard 1998, Surv. Methodol. 24:193), with
    the degrees of freedom that the families' own squares suggest.
    """
    n = len(influence)
    single = float(influence @ influence) * n / max(n - 1, 1)
    if not single:
        return 1.0
    import scipy  # not for a site, which has no families to allow for

    sums = family_sums(influence, families)
    if len(sums) < 2:
        return float(n)
    squares = sums**2
    total, spread = float(squares.sum()), float(np.sum((squares - squares.mean()) ** 2))
    freedom = min(max(2 * total**2 / spread, 1.0), len(sums) - 1.0) if spread else len(sums) - 1.0
    wider = float(scipy.special.stdtrit(freedom, 0.5 + level / 2) / scipy.special.ndtri(0.5 + level / 2))
    return max(1.0, total / single * wider**2)


def average_ranks(values: Floats) -> Floats:
    """Ranks from 1, ties sharing their mean rank; [n] -> [n]."""
    order = np.argsort(values, kind="stable")
    ranked = values[order]
    last = np.append(np.flatnonzero(ranked[1:] != ranked[:-1]), len(ranked) - 1)
    sizes = np.diff(last, prepend=-1)
    ranks = np.empty(len(values))
    ranks[order] = np.repeat(last + 1 - (sizes - 1) / 2, sizes)
    return ranks


def rank_correlation(truth: Floats, score: Floats) -> float | None:
    """Spearman's rank correlation; None where either argument is constant. [n], [n]."""
    a, b = average_ranks(truth), average_ranks(score)
    a, b = a - a.mean(), b - b.mean()
    spread = math.sqrt(float(a @ a) * float(b @ b))
    return max(-1.0, min(1.0, float(a @ b) / spread)) if spread else None


def spearman(truth: Floats, score: Floats) -> Floats:
    """Influence of each row on Spearman's rank correlation, ties included; [n], [n] -> [n].

    Croux and Dehon 2010, Stat. Methods Appl. 19:497, with the variances of the ranks taken as estimated too, since
    ties make them vary.

    Returns:
        Zeros where either argument is constant.
    """
    n = len(truth)
    a, b = (average_ranks(v) / n - (n + 1) / (2 * n) for v in (truth, score))
    of_ab, of_aa, of_bb = _of_product(a, b), _of_product(a, a), _of_product(b, b)
    ab, aa, bb = float(a @ b) / n, float(a @ a) / n, float(b @ b) / n
    if not aa or not bb:
        return np.zeros(n)
    influence = (of_ab - of_ab.mean() - ab / 2 * ((of_aa - of_aa.mean()) / aa + (of_bb - of_bb.mean()) / bb)) / n
    return np.asarray(influence / np.sqrt(aa * bb))


def _of_product(a: Floats, b: Floats) -> Floats:
    """Influence on the mean product of two centred ranks, but for a constant: a row also shifts the others' ranks."""
    return a * b + _sum_above(a, b) / len(a) + _sum_above(b, a) / len(a)


def _sum_above(by: Floats, values: Floats) -> Floats:
    """For each row the sum of `values` over the rows that lie above it in `by`, those beside it counting half."""
    order = np.argsort(-by, kind="stable")
    ranked = by[order]
    last = np.append(np.flatnonzero(ranked[1:] != ranked[:-1]), len(ranked) - 1)
    total = np.cumsum(values[order])[last]
    own = np.diff(total, prepend=0.0)
    sums = np.empty(len(by))
    sums[order] = np.repeat(total - own / 2, np.diff(last, prepend=-1))
    return sums
