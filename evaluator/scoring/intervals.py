"""Confidence intervals in closed form, or by exact integration where there is no formula; nothing is drawn at random.

Classes are taken as fixed by design: a track has n1 positives and n0 negatives, and what varies is which ones. How well
each interval covers is measured by `benchmarks/coverage.py`.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable

import numpy as np
import scipy

from evaluator.contract.arrays import Floats, IntArray

Interval = tuple[float, float]
Pair = tuple[float, float]

PRIOR_ROWS = 1.5
"""How many rows the binormal variance counts for in `average_precision`."""
PRIOR_PAIRS = 6
"""How many pairs of observations the binormal variance counts for beside the empirical one in `roc_auc`."""
GRID = 101


def wilson(successes: float, n: float, level: float) -> Interval:
    """Wilson's score interval of a proportion.

    Wilson 1927, J. Am. Stat. Assoc. 22:209. Chosen over Clopper-Pearson, whose intervals cover more than they say and
    are wider for it, most of all for few rows (Brown, Cai and DasGupta 2001, Stat. Sci. 16:101).
    Like every count here, `successes` and `n` need not be whole: rows in families count for less than one.
    """
    z2 = float(scipy.special.ndtri(0.5 + level / 2)) ** 2
    p = successes / n
    middle, half = p + z2 / (2 * n), math.sqrt(z2 * (p * (1 - p) / n + z2 / (4 * n * n)))
    low, high = (middle - half) / (1 + z2 / n), (middle + half) / (1 + z2 / n)
    return (0.0 if successes == 0 else low), (1.0 if successes == n else high)


def of_two_rates(
    function: Callable[[Floats, Floats], Floats], positives: Pair, negatives: Pair, level: float
) -> Interval:
    """Interval of a function of sensitivity and specificity, such as F1 or MCC.

    The two rates are independent binomials. Each gets its Jeffreys posterior Beta(k + 1/2, n - k + 1/2), whose
    quantiles are good confidence limits of a proportion (Brown, Cai and DasGupta 2001); the function's quantiles follow
    by integration over a grid of equally likely values. That is what a bootstrap of the confusion matrix converges to,
    but for the half counts, which keep it from collapsing when a count is 0.

    Args:
        function: of sensitivity [m, 1] and specificity [1, m].
        positives: (true positives, positives).
        negatives: (true negatives, negatives).
    """
    steps = (np.arange(GRID) + 0.5) / GRID
    sensitivity, specificity = (
        scipy.special.betaincinv(k + 0.5, n - k + 0.5, steps) for k, n in (positives, negatives)
    )
    values = np.sort(function(sensitivity[:, None], specificity[None, :]), axis=None)
    low, high = np.quantile(values, [0.5 - level / 2, 0.5 + level / 2])
    return float(low), float(high)


def stratified_variance(s1: float, n1: float, s0: float, n0: float) -> tuple[float, float]:
    """Variance of a sum of two independent means, and its degrees of freedom.

    Satterthwaite 1946, Biometrics Bull. 2:110, from the variances s1, s0 of single observations.
    """
    a, b = s1 / n1, s0 / n0
    if a + b == 0:
        return 0.0, max(n1 + n0 - 2, 1.0)
    share = a / (a + b)  # so that tiny variances do not underflow
    return a + b, 1 / (share**2 / max(n1 - 1, 1) + (1 - share) ** 2 / max(n0 - 1, 1))


def on_logit(value: float, variance: float, freedom: float, level: float) -> Interval:
    """Student's t interval of a quantity in (0, 1), symmetric on the logit scale.

    Boyd, Eng and Page 2013 (ECML PKDD, LNCS 8190:451) recommend the logit scale for the area under the
    precision-recall curve.
    """
    if not 0 < value < 1:
        return (0.0, 1.0) if variance else (value, value)
    half = (
        float(scipy.special.stdtrit(max(freedom, 1.0), 0.5 + level / 2)) * math.sqrt(variance) / (value * (1 - value))
    )
    return float(scipy.special.expit(scipy.special.logit(value) - half)), float(
        scipy.special.expit(scipy.special.logit(value) + half)
    )


def held(value: float, variance: Callable[[float], float]) -> Interval:
    """All that a quantity in (0, 1) may be without lying too far from its estimate: |x - value|^2 <= variance(x).

    Wilson's way for any quantity: the variance is the one at x, not the one at the estimate, which is 0 where that is
    perfect.

    Args:
        variance: of the estimate if x were true, times the squared quantile.
    """

    def excess(x: float) -> float:
        return (x - value) ** 2 - variance(x)

    edge, inner = 1e-12, 1e-9  # at 0 and 1 themselves both sides vanish, and a solver would stop there
    low, high = 0.0, 1.0
    if value > inner and excess(edge) > 0:
        low = float(scipy.optimize.brentq(excess, edge, min(value, 1 - inner)))
    if value < 1 - inner and excess(1 - edge) > 0:
        high = float(scipy.optimize.brentq(excess, max(value, inner), 1 - edge))
    return low, high


def roc_auc(value: float, s10: float, n1: float, s01: float, n0: float, level: float) -> Interval:
    """Interval of the area under the ROC curve.

    DeLong's variance (DeLong, DeLong and Clarke-Pearson 1988, Biometrics 44:837) vanishes as the area nears 1, and with
    seven positives it is itself a guess. So the interval is inverted like Wilson's: it holds every area A with
    |A - value| <= t sd(A), where sd(A)^2 mixes DeLong's variance, scaled by A(1 - A), with the variance that A implies
    (Newcombe 2006, Stat. Med. 25:559, method 5), counted as `PRIOR_PAIRS` observations; t has Satterthwaite's degrees
    of freedom. For large classes this is DeLong's interval.

    Args:
        s10, s01: variances of the placements of single positives and negatives.
    """
    smaller = max(min(n1, n0), 1.0)
    variance, freedom = stratified_variance(s10, n1, s01, n0)
    freedom = min(max(freedom, smaller - 1), max(n1 + n0 - 2, 1.0)) + PRIOR_PAIRS
    t2 = float(scipy.special.stdtrit(freedom, 0.5 + level / 2)) ** 2
    share = (smaller - 1) / (smaller - 1 + PRIOR_PAIRS)
    spread = value * (1 - value)
    empirical = share * variance / spread if spread else 0.0
    half = max((n1 + n0) / 2 - 1, 0.0)

    def scaled(area: float) -> float:
        implied = area * (1 - area) * (1 + half * (1 - area) / (2 - area) + half * area / (1 + area)) / (n1 * n0)
        return t2 * (empirical * area * (1 - area) + (1 - share) * implied)

    return held(value, scaled)


@functools.lru_cache(maxsize=64)
def _binormal(share: float) -> tuple[Floats, Floats, Floats]:
    """Average precision of normal scores at a share of positives, and the variances of single rows' influences.

    For separations from -4 to 9 standard deviations, [k] each: the average precision, ascending, and the variances of a
    positive's and of a negative's influence on it.
    """
    separation = np.linspace(-4, 9, 157)[:, None]
    at, step = np.linspace(-9, 18, 676, retstep=True)  # beyond, nothing is left of either class
    density = np.exp(-((at - separation) ** 2) / 2) / math.sqrt(2 * math.pi) * step  # of positives
    of_negatives = np.exp(-(at**2) / 2) / math.sqrt(2 * math.pi) * step
    above = share * scipy.special.ndtr(separation - at)
    flagged = above + (1 - share) * scipy.special.ndtr(-at) + 1e-300
    precision = above / flagged
    value = np.sum(precision * density, axis=1)
    by_positive = density * share * (1 - precision) / flagged
    by_negative = -density * (1 - share) * precision / flagged
    mean = np.sum(by_positive * above, axis=1) / share
    positive = precision - value[:, None] + np.cumsum(by_positive, axis=1) - mean[:, None]
    negative = np.cumsum(by_negative, axis=1)
    negative -= np.sum(negative * of_negatives, axis=1)[:, None]
    return value, np.sum(positive**2 * density, axis=1), np.sum(negative**2 * of_negatives, axis=1)


def average_precision(value: float, s1: float, n1: float, s0: float, n0: float, rows: float, level: float) -> Interval:
    """Interval of the average precision.

    Below a half it is Student's t on the logit scale, as Boyd, Eng and Page (2013, ECML PKDD, LNCS 8190:451) recommend.
    Towards 1 the estimated variance rests on ever fewer rows and ends as 0, so there the interval is inverted like that
    of `roc_auc`, with the variance that normal scores of this average precision have, counted as `PRIOR_ROWS`; between,
    the two are mixed in proportion.

    Args:
        s1, s0: variances of the influences of single positives and negatives.
        rows: how many rows carry the estimated variance: (sum of their parts)^2 / sum of their squares.
    """
    variance, freedom = stratified_variance(s1, n1, s0, n0)
    near = min(max(2 * value - 1, 0.0), 1.0)
    logit = on_logit(value, variance, freedom, level) if value < 1 else (0.0, 1.0)
    if not near:
        return logit
    smaller = max(min(n1, n0), 1.0)
    freedom = min(max(freedom, smaller - 1), max(n1 + n0 - 2, 1.0)) + PRIOR_PAIRS
    t2, z2 = (
        float(q) ** 2 for q in (scipy.special.stdtrit(freedom, 0.5 + level / 2), scipy.special.ndtri(0.5 + level / 2))
    )
    trust = rows / (rows + PRIOR_ROWS)
    empirical = variance / (value * (1 - value)) if value < 1 else 0.0
    values, of_positive, of_negative = _binormal(n1 / (n1 + n0))
    implied = of_positive / n1 + of_negative / n0

    def scaled(x: float) -> float:
        estimated = empirical * x * (1 - x)
        return trust * t2 * estimated + (1 - trust) * max(t2 * estimated, z2 * float(np.interp(x, values, implied)))

    low, high = held(value, scaled)
    return near * low + (1 - near) * logit[0], near * high + (1 - near) * logit[1]


def bounded_mean(value: float, variance: float, n: float, freedom: float, rows: float, level: float) -> Interval:
    """Interval of a mean of values in [0, 1], inverted like that of `roc_auc`, with its variance scaled by x(1 - x).

    What fewer than two rows carry of that variance is made up by the largest that such values can have, x(1 - x), which
    gives Wilson's interval where all of them are the same. Of normal values a third carry the variance; of skewed ones
    fewer do, for which Student's t has fewer degrees of freedom too, but not less than four.
    """
    freedom = min(freedom, max(3 * rows, 4.0))
    t2, z2 = (
        float(q) ** 2
        for q in (scipy.special.stdtrit(max(freedom, 1.0), 0.5 + level / 2), scipy.special.ndtri(0.5 + level / 2))
    )
    trust = min(rows / 2, 1.0)
    estimated = t2 * variance / (value * (1 - value)) if 0 < value < 1 else 0.0
    return held(value, lambda x: x * (1 - x) * (trust * estimated + (1 - trust) * max(estimated, z2 / n)))


def carrying(*parts: tuple[Floats | IntArray, Floats]) -> float:
    """How many rows carry a variance: (sum of their parts)^2 / sum of their squares; 0 where there is none.

    Args:
        parts: each a count of rows and the part of one of them, [k] and [k].
    """
    total = sum(float(count @ part) for count, part in parts)
    squares = sum(float(count @ part**2) for count, part in parts)
    return total**2 / squares if squares else 0.0


def _mean_of_ranks(rho: Floats, n: float) -> Floats:
    """The mean of Spearman's correlation of n normal rows with Pearson's rho (Moran 1948, Biometrika 35:203)."""
    return np.asarray(6 / math.pi * ((n - 2) * np.arcsin(rho / 2) + np.arcsin(rho)) / (n + 1))


def spearman(value: float, n: float, level: float) -> Interval | None:
    """Interval of a rank correlation on Fisher's z scale, with the variance (1 + r^2/2) / (n - 3).

    Bonett and Wright 2000, Psychometrika 65:23. Few rows give a correlation that lies nearer to 0 than the one that
    they are a sample of, by more than its interval is wide where that is nearly perfect; so from 0.8 on the ends are
    moved, more and more, towards the correlations of which they are the mean, for normal rows. A perfect correlation,
    which has no z, is taken half a step nearer to 0: from 1 to the next value that n rows can have are 12 / (n^3 - n).
    None for fewer than four rows.
    """
    if n < 4:
        return None
    step = 12 / (n**3 - n)
    inner = max(-1 + step / 2, min(1 - step / 2, value))
    half = float(scipy.special.ndtri(0.5 + level / 2)) * math.sqrt((1 + inner * inner / 2) / (n - 3))
    ends = np.tanh(math.atanh(inner) + np.array([-half, half]))
    rho = np.sin(np.linspace(-math.pi / 2, math.pi / 2, 4001))  # close together towards the ends
    moved = np.interp(ends, _mean_of_ranks(rho, n), 6 / math.pi * np.arcsin(rho / 2))
    outer, towards_0 = np.clip([10 * abs(inner) - 8, 10 * abs(inner) - 9], 0.0, 1.0)  # the outer end first
    near = np.array([towards_0, outer] if value >= 0 else [outer, towards_0])
    low, high = (near * moved + (1 - near) * ends).tolist()
    return (-1.0 if value < inner else min(low, value)), (1.0 if value > inner else max(high, value))
