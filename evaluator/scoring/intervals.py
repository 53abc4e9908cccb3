"""Confidence intervals in closed form, or by exact integration where there is no formula; nothing is drawn at random.

Classes are taken as fixed by design: a track has n1 positives and n0 negatives, and what varies is which ones. How well
each interval covers is measured by `benchmarks/coverage.py`.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import scipy

from evaluator.contract.arrays import Floats

Interval = tuple[float, float]
Pair = tuple[float, float]

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


def mean(value: float, variance: float, freedom: float, level: float, bounds: Interval) -> Interval:
    """Student's t interval of a mean, cut at the bounds of what it can be."""
    half = float(scipy.special.stdtrit(max(freedom, 1.0), 0.5 + level / 2)) * math.sqrt(variance)
    return max(bounds[0], value - half), min(bounds[1], value + half)


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

    def excess(area: float) -> float:
        implied = area * (1 - area) * (1 + half * (1 - area) / (2 - area) + half * area / (1 + area)) / (n1 * n0)
        return (area - value) ** 2 - t2 * (empirical * area * (1 - area) + (1 - share) * implied)

    edge, inner = 1e-12, 1e-9  # at 0 and 1 themselves both sides vanish, and a solver would stop there
    low = (
        float(scipy.optimize.brentq(excess, edge, min(value, 1 - inner))) if value > inner and excess(edge) > 0 else 0.0
    )
    high = (
        float(scipy.optimize.brentq(excess, max(value, inner), 1 - edge))
        if value < 1 - inner and excess(1 - edge) > 0
        else 1.0
    )
    return low, high


def spearman(value: float, n: float, level: float) -> Interval | None:
    """Interval of a rank correlation on Fisher's z scale, with the variance (1 + r^2/2) / (n - 3).

    Bonett and Wright 2000, Psychometrika 65:23. None for fewer than four rows.
    """
    if n < 4:
        return None
    if abs(value) >= 1:
        return value, value
    z, half = (
        math.atanh(value),
        float(scipy.special.ndtri(0.5 + level / 2)) * math.sqrt((1 + value * value / 2) / (n - 3)),
    )
    return math.tanh(z - half), math.tanh(z + half)
