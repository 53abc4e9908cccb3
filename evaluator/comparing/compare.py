"""A candidate beside a baseline: every metric with the interval of the difference, and a verdict on accuracy.

Where both predictions and the labels are at hand the difference is paired, row by row, which is far sharper; where only
two intervals are known, theirs are combined as if the two had been measured on different rows.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Literal

import numpy as np
import scipy

from evaluator.comparing.sides import Side, Sources, sides, stated
from evaluator.contract.submissions import FLOOR
from evaluator.contract.task_types import KINDS, METRICS, kind_of_metrics, task_of
from evaluator.integrity import disclosure
from evaluator.scoring import influence, metrics, ranking
from evaluator.scoring.scored import Estimate, Scored
from evaluator.store.schemas import Counts, Value

THRESHOLD = 0.05
Decision = Literal["PASSED", "FAILED", "NOT COMPARED"]


@dataclass(frozen=True)
class Difference:
    """Candidate minus baseline, for one metric."""

    candidate: Value | None
    baseline: Value | None
    value: float | None
    low: float | None = None
    high: float | None = None
    paired: bool = False


@dataclass(frozen=True)
class Agreement:
    """How often only one of the two was right, and the exact McNemar test of that."""

    both: int
    only_candidate: int
    only_baseline: int
    neither: int
    p: float


@dataclass(frozen=True)
class Comparison:
    """Both on one track.

    Attributes:
        metric: what the verdict rests on: accuracy, or Spearman on a regression track.
        to_charge: by the metric that it names, how far the candidate is from net charge; None where that is not known.
    """

    track: str | None
    candidate: Side
    baseline: Side | None
    metric: str
    differences: dict[str, Difference]
    pairs: Agreement | None
    verdict: Decision
    reason: str
    to_charge: tuple[str, Difference] | None = None


def compare(
    candidate: str,
    baseline: str | None,
    sources: Sources,
    *,
    baseline_metrics: str | None = None,
    track: str | None = None,
    threshold: float = THRESHOLD,
) -> list[Comparison]:
    """Compare on every track that the candidate has been scored on, or on one.

    Args:
        candidate, baseline: as in `sides`.
        baseline_metrics: a JSON file or inline JSON such as `{"accuracy": 0.71}`, in place of `baseline`.
        threshold: the largest drop that passes.

    Raises:
        UsageError: something named is not there or not readable.
    """
    mine = sides(candidate, sources, track)
    if baseline_metrics is not None:
        theirs: dict[str | None, Side] = dict.fromkeys(mine, stated(baseline_metrics))
    else:
        theirs = sides(baseline, sources, track) if baseline else {}
    if (len(mine) == 1 and None in theirs) or (None in mine and len(theirs) == 1):  # a file says nothing of its track
        theirs = dict(zip(mine, theirs.values(), strict=False))
    charge = sides(FLOOR, sources, track) if sources.results.has(FLOOR) and candidate != FLOOR else {}
    return [
        replace(
            _compared(t, side, theirs.get(t), threshold, sources.level),
            to_charge=_to_charge(side, charge.get(t), sources.level),
        )
        for t, side in mine.items()
    ]


def _to_charge(mine: Side, charge: Side | None, level: float) -> tuple[str, Difference] | None:
    """Whether the candidate knows more than net charge, by the metric that such tracks are ranked by."""
    metric = KINDS[task_of(kind_of_metrics(mine.metrics).headline)].primary[0]
    found = _difference(metric, mine, charge, _estimates(mine, charge), level)
    return (metric, found) if found.value is not None else None


def _compared(track: str | None, mine: Side, theirs: Side | None, threshold: float, level: float) -> Comparison:
    kind = kind_of_metrics(mine.metrics)
    metric = kind.headline
    estimates = _estimates(mine, theirs)
    measured = {*mine.metrics, *(theirs.metrics if theirs else ()), metric}
    rows = {name: _difference(name, mine, theirs, estimates, level) for name in kind.metrics if name in measured}
    verdict, reason = _verdict(metric, rows[metric], mine, theirs, threshold)
    return Comparison(track, mine, theirs, metric, rows, _pairs(mine, theirs), verdict, reason)


def _estimates(mine: Side, theirs: Side | None) -> tuple[dict[str, Estimate], dict[str, Estimate]] | None:
    """Both sides' metrics with the influence of each row, where both were scored on the same rows."""
    if theirs is None or mine.scored is None or theirs.scored is None:
        return None
    if not np.array_equal(mine.scored.truth, theirs.scored.truth):
        return None
    a, b = (metrics.measure(s).metrics for s in (mine.scored, theirs.scored))
    return a, b


def _difference(
    name: str,
    mine: Side,
    theirs: Side | None,
    estimates: tuple[dict[str, Estimate], dict[str, Estimate]] | None,
    level: float,
) -> Difference:
    a, b = mine.metrics.get(name), theirs.metrics.get(name) if theirs else None
    if a is None or b is None or a.value is None or b.value is None:
        return Difference(a, b, None)
    value = a.value - b.value
    if estimates and mine.scored and theirs and theirs.scored:
        half = _half_width(name, mine.scored, theirs.scored, estimates, level)
        if half is not None:
            return Difference(a, b, value, value - half, value + half, paired=True)
    if None in (a.low, a.high, b.low, b.high):
        return Difference(a, b, value)
    below = math.hypot(a.value - (a.low or 0.0), (b.high or 0.0) - b.value)
    above = math.hypot((a.high or 0.0) - a.value, b.value - (b.low or 0.0))
    return Difference(a, b, value, value - below, value + above)


def _half_width(
    name: str, a: Scored, b: Scored, estimates: tuple[dict[str, Estimate], dict[str, Estimate]], level: float
) -> float | None:
    """Half of a paired interval, by families where there are any; None where nothing can be estimated in pairs.

    Where a track may be ranked by the metric, it is what the board's ranks rest on; else it follows from the rows'
    influences on the difference.
    """
    first, second = (e[name].influence for e in estimates)
    if a.splits is None and (first is None or second is None):
        return None
    if name in ranking.PAIRED:
        pair = ranking.PAIRED[name]([a, b])
        deviation, freedom = float(pair.deviation()[0, 1]), pair.freedom
    else:
        assert first is not None
        assert second is not None
        of_rows = first() - second()
        groups = np.arange(len(of_rows)) if a.families is None else a.families
        sums = influence.family_sums(of_rows, groups)
        deviation = float(np.sqrt(sums @ sums))
        smaller = len(of_rows) if a.prediction is None else min(a.n1, a.n0)
        freedom = max(min(smaller, len(sums)) - 1, 1)
        if deviation < 1e-13 and not _same(a, b):  # what is left by rounding
            return None
    return float(scipy.special.stdtrit(freedom, 0.5 + level / 2)) * deviation


def _same(a: Scored, b: Scored) -> bool:
    """Whether both say the same of every row."""
    if a.prediction is not None and b.prediction is not None and not np.array_equal(a.prediction, b.prediction):
        return False
    return np.array_equal(a.score, b.score)


def _pairs(mine: Side, theirs: Side | None) -> Agreement | None:
    if theirs is None or mine.scored is None or theirs.scored is None:
        return None
    a, b = mine.scored, theirs.scored
    if a.prediction is None or b.prediction is None or not np.array_equal(a.truth, b.truth):
        return None
    table = np.bincount((2 * a.right + b.right).astype(np.int64), minlength=4).tolist()
    neither, only_baseline, only_candidate, both = table
    return Agreement(
        both, only_candidate, only_baseline, neither, float(ranking.mcnemar(only_candidate, only_baseline))
    )


def _verdict(metric: str, row: Difference, mine: Side, theirs: Side | None, threshold: float) -> tuple[Decision, str]:
    title = METRICS[metric].title.lower()
    if mine.failure:
        return "FAILED", f"the candidate has no score: {mine.failure}"
    if row.candidate is None or row.candidate.value is None:
        return "FAILED", f"the candidate has no {title}"
    if theirs is None:
        return "NOT COMPARED", "comparison not available, since there is no baseline; the candidate is reported alone"
    if row.value is None or row.baseline is None:
        return "NOT COMPARED", f"comparison not available, since the baseline has no {title}" + (
            f": {theirs.failure}" if theirs.failure else ""
        )
    drop = _exact(row.baseline, theirs.confusion, metric) - _exact(row.candidate, mine.confusion, metric)
    allowed = Fraction(str(threshold))
    change = f"{title} {'fell' if drop > 0 else 'rose' if drop < 0 else 'stayed'}" + (
        f" by {abs(float(drop)):.4f}" if drop else ""
    )
    if drop > allowed:
        return "FAILED", f"{change}, more than the {threshold:g} allowed"
    return "PASSED", f"{change}; a drop of up to {threshold:g} is allowed"


def _exact(value: Value, counts: Counts | None, metric: str) -> Fraction:
    """A share as a fraction, so that a drop of exactly the threshold passes: 0.90 - 0.85 > 0.05 in floating point."""
    if metric == "accuracy" and counts and (n := counts.tn + counts.fp + counts.fn + counts.tp):
        exact = Fraction(counts.tn + counts.tp, n)
        if abs(float(exact) - (value.value or 0.0)) <= disclosure.ROUNDING:  # a hidden track's value is rounded
            return exact
    return Fraction(str(value.value))


def passed(comparisons: Sequence[Comparison]) -> bool:
    """Whether no track failed."""
    return all(c.verdict != "FAILED" for c in comparisons)
