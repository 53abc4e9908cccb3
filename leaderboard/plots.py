"""Plots as SVG, made when the site is built: no canvas, no script; each with a title, a description and its numbers.

Colours are classes of static/style.css: the same in light and dark, told apart by dashes too.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from markupsafe import Markup, escape

from evaluator.contract.task_types import METRICS
from leaderboard.board import Board, Row

LINES = 6
"""Curves in one plot; more could not be told apart."""
FOREST_ROWS = 30
POINTS = 60
SIDE = 300
LEFT, TOP = 44, 12


def forest(board: Board) -> Markup:
    """Value and interval of the primary metric, a line an entry."""
    rows = first_and_references(board, FOREST_ROWS)
    name = board.track.primary_metric
    if not rows:
        return Markup("")
    lows = [v.low if (v := r.metric(name)) and v.low is not None else r.value(name) or 0.0 for r in rows]
    start, stop = math.floor(min(lows) * 10) / 10, 1.0
    left, width, step = 190, 430, 20
    height = len(rows) * step + 34

    def x(value: float) -> str:
        return f"{left + (value - start) / (stop - start) * width:.1f}"

    parts = []
    count = round((stop - start) * 10)
    for k in range(0, count + 1, 1 if count <= 6 else 2):
        at = x(start + k / 10)
        parts.append(f'<path class="grid" d="M{at} 4V{height - 26}"/>')
        parts.append(f'<text x="{at}" y="{height - 10}" text-anchor="middle">{start + k / 10:.1f}</text>')
    for k, row in enumerate(rows):
        y = 14 + k * step
        value = row.metric(name)
        if value is None or value.value is None:
            continue
        first = "lead" if row.standing and row.standing.tier == 1 else "rest"
        if row.entry.archived:
            first = "beside"
        if value.low is not None and value.high is not None:
            parts.append(f'<path class="whisker {first}" d="M{x(value.low)} {y}H{x(value.high)}"/>')
        parts.append(f'<circle class="{first}" cx="{x(value.value)}" cy="{y}" r="4"/>')
        parts.append(f'<text x="{left - 10}" y="{y + 4}" text-anchor="end">{escape(_cut(row.entry.name, 26))}</text>')
    what = f"{METRICS[name].title} and its interval for {len(rows)} entries; first tier in the accent colour."
    if any(row.entry.archived for row in rows):
        what += " Hollow: published predictions that were not run here."
    if ceiling := board.track.ceiling:
        at = x(ceiling.value)
        parts.append(f'<path class="ceiling" d="M{at} 4V{height - 26}"><title>ceiling</title></path>')
        what += f" The dashed line is the ceiling, {ceiling.value:.3f}, on which replicates of the assay agree."
    return _svg("forest", board, "Intervals", what, left + width + 20, height, parts)


def roc(board: Board) -> Markup:
    """ROC curves of the best entries."""
    return _curves(board, "roc", "fpr", "tpr", "ROC", "False positive rate", "True positive rate")


def precision_recall(board: Board) -> Markup:
    """Precision-recall curves of the best entries, with the line of the prevalence."""
    return _curves(board, "pr", "recall", "precision", "Precision and recall", "Recall", "Precision")


def _curves(board: Board, kind: str, across: str, up: str, title: str, x_title: str, y_title: str) -> Markup:
    rows = [r for r in first_and_references(board, LINES - 2) if r.result and r.result.curves][:LINES]
    if not rows:
        return Markup("")
    parts = _frame(x_title, y_title)
    if kind == "roc":
        parts.append(f'<path class="chance" d="M{_at(0, 0)}L{_at(1, 1)}"/>')
    elif board.track.classes:
        share = board.track.classes.positive / board.track.n
        parts.append(f'<path class="chance" d="M{_at(0, share)}L{_at(1, share)}"/>')
    for k, row in enumerate(rows):
        curve = (row.result.curves or {})[kind] if row.result else {}
        points = _thinned(list(zip(curve[across], curve[up], strict=True)))
        parts.append(f'<path class="line c{k}" d="M{"L".join(_at(a, b) for a, b in points)}"/>')
    what = f"{title} curves of {len(rows)} entries; the dotted line is a model that knows nothing."
    return _svg(kind, board, title, what, LEFT + SIDE + 24, TOP + SIDE + 44, parts) + legend(rows)


def speed(board: Board) -> Markup:
    """Sequences per second against the primary metric."""
    name = board.track.primary_metric
    found = [
        (board.track.n / r.result.runtime.seconds, value, r)
        for r in first_and_references(board, 200)
        if r.result and r.result.runtime.seconds and (value := r.value(name)) is not None
    ]
    if len(found) < 2:
        return Markup("")
    low = math.floor(math.log10(min(f[0] for f in found)))
    high = math.ceil(math.log10(max(f[0] for f in found)) + 1e-9)
    span = max(high - low, 1)
    bottom = math.floor(min(f[1] for f in found) * 10) / 10
    parts = _frame("Sequences per second", METRICS[name].title, ticks=False)
    for k in range(span + 1):
        parts.append(
            f'<text x="{LEFT + k / span * SIDE:.0f}" y="{TOP + SIDE + 16}" text-anchor="middle">'
            f"{_power(low + k)}</text>"
        )
    for share in (0, 0.5, 1):
        shown = f"{bottom + share * (1 - bottom):.2f}"
        parts.append(f'<text x="{LEFT - 6}" y="{TOP + (1 - share) * SIDE + 4:.0f}" text-anchor="end">{shown}</text>')
    for rate, value, row in found:
        spot = _at((math.log10(rate) - low) / span, (value - bottom) / ((1 - bottom) or 1))
        across, up = spot.split(" ")
        parts.append(
            f'<circle class="{"lead" if row.standing and row.standing.tier == 1 else "rest"}" cx="{across}" cy="{up}" '
            f'r="4"><title>{escape(row.entry.name)}</title></circle>'
        )
    what = f"Throughput of {len(found)} entries against {METRICS[name].title}; hardware differs between them."
    return _svg("speed", board, "Throughput and quality", what, LEFT + SIDE + 24, TOP + SIDE + 44, parts)


def _power(exponent: int) -> str:
    """One notation for all of an axis: `g` alone turns 1,000,000 into 1e+06 beside 100,000."""
    return f"{10**exponent:,}" if exponent >= 0 else f"{10.0**exponent:.{-exponent}f}"


def first_and_references(board: Board, limit: int) -> list[Row]:
    """The best entries, and at the end those reference models that are not among them."""
    rows = board.valued[:limit]
    return rows + [r for r in board.valued[limit:] if r.reference][:4]


def _at(x: float, y: float) -> str:
    return f"{LEFT + x * SIDE:.0f} {TOP + (1 - y) * SIDE:.0f}"


def _frame(x_title: str, y_title: str, *, ticks: bool = True) -> list[str]:
    parts = [f'<path class="frame" d="M{LEFT} {TOP}V{TOP + SIDE}H{LEFT + SIDE}"/>']
    if ticks:
        for share in (0, 0.5, 1):
            parts.append(
                f'<text x="{LEFT + share * SIDE:.0f}" y="{TOP + SIDE + 16}" text-anchor="middle">{share:g}</text>'
            )
            parts.append(
                f'<text x="{LEFT - 6}" y="{TOP + (1 - share) * SIDE + 4:.0f}" text-anchor="end">{share:g}</text>'
            )
    parts.append(f'<text x="{LEFT + SIDE / 2}" y="{TOP + SIDE + 36}" text-anchor="middle">{x_title}</text>')
    middle = TOP + SIDE / 2
    parts.append(f'<text transform="translate(12 {middle}) rotate(-90)" text-anchor="middle">{y_title}</text>')
    return parts


def _thinned(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    if len(points) <= POINTS:
        return list(points)
    step = (len(points) - 1) / (POINTS - 1)
    return [points[round(k * step)] for k in range(POINTS)]


def legend(rows: Iterable[Row]) -> Markup:
    """Names of entries beside the colours of their lines."""
    items = [
        Markup(
            '<li><svg class="key" viewBox="0 0 24 8" aria-hidden="true"><path class="line c{}" d="M0 4H24"/></svg> '
            "<bdi>{}</bdi></li>"
        ).format(k, row.entry.name)
        for k, row in enumerate(rows)
    ]
    return Markup('<ul class="legend">{}</ul>').format(Markup("").join(items))


def _svg(kind: str, board: Board, title: str, what: str, width: float, height: float, parts: list[str]) -> Markup:
    return svg(f"{kind}-{board.track.id}", f"{title}, {board.track.title}", what, width, height, parts)


def svg(name: str, title: str, what: str, width: float, height: float, parts: Iterable[str]) -> Markup:
    """A plot with its title and description.

    Args:
        parts: numbers, and text that is escaped already.
    """
    return Markup(  # noqa: S704
        f'<svg class="plot" viewBox="0 0 {width:.0f} {height:.0f}" role="img" aria-labelledby="{name}-t {name}-d">'
        f'<title id="{name}-t">{escape(title)}</title>'
        f'<desc id="{name}-d">{escape(what)}</desc>{"".join(parts)}</svg>'
    )


def _cut(text: str, limit: int) -> str:
    return text if len(text) <= limit else text[: limit - 1] + "…"
