"""What a few-shot track's page shows beside the table: Spearman against the number of measured antibodies."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from evaluator.contract.few_shot import FewShotTask
from evaluator.contract.tracks import Track
from evaluator.integrity.contamination import identity_with, meta_trained_on
from evaluator.store.schemas import TaskValue, Value
from leaderboard.board import Board, Row
from leaderboard.plots import legend, svg

LINES = 8
"""Entries that are drawn."""
NAMED = 5
"""Sets that are named of those that were never compared."""
WIDE, NARROW = (420, 260), (190, 120)
LEFT, TOP, BELOW = 44, 12, 34
Point = tuple[int, float, float | None, float | None]
"""Support size, value, and the ends of its interval."""


@dataclass(frozen=True)
class Panel:
    """One task: its curves, and its values by entry and size."""

    task: FewShotTask
    plot: Markup
    sizes: tuple[int, ...]
    rows: list[tuple[Row, list[TaskValue | None]]]


def drawn(board: Board) -> list[Row]:
    """The entries whose curves are drawn: the best, and the reference where it is not among them."""
    best = board.scored[:LINES]
    return best + [row for row in board.scored[LINES:] if row.entry.id == board.track.floor]


def curves(board: Board) -> Markup:
    """Means over tasks, a line an entry."""
    few = board.track.few_shot
    rows = drawn(board)
    if few is None or not rows:
        return Markup("")
    lines = [[p for k in few.sizes if (p := _point(k, row.metric(f"spearman_k{k}")))] for row in rows]
    what = f"Mean Spearman over the same tasks against the number of measured antibodies, {len(rows)} entries."
    plot = _plot(f"few-{board.track.id}", board.track.title, what, few.sizes, lines, WIDE)
    return plot + legend(rows)


def speaks_of_others(board: Board) -> bool:
    """Whether the intervals of means are for further assays too, as the records that are drawn say of each."""
    few = board.track.few_shot
    sizes = few.sizes if few else ()
    values = [v for row in drawn(board) for k in sizes if (v := row.metric(f"spearman_k{k}")) and v.low is not None]
    return bool(values) and all(value.reason is None for value in values)


def relations(row: Row, track: Track) -> str:
    """How much of a few-shot track has relatives in what an entry was trained on, and what was never compared."""
    found = row.relations
    parts = [f"{name} {len(one.rows):,} of {track.n:,}" for name, one in found.sets.items()] if found else []
    near = {name: of for name in meta_trained_on(row.entry) if (of := identity_with(track, name)) is not None}
    if near:
        name = max(near, key=near.__getitem__)
        parts.append(f"{name} {near[name]:.2f}, nearest of {len(near)} by its protein")
    if found and found.unknown:
        more = f" and {len(found.unknown) - NAMED} more" if len(found.unknown) > NAMED else ""
        parts.append(f"unknown: {', '.join(found.unknown[:NAMED])}{more}")
    return "; ".join(parts) or "none"


def panels(board: Board) -> list[Panel]:
    """Each task by itself."""
    few = board.track.few_shot
    if few is None or not board.scored:
        return []
    return [_panel(board, task, few.sizes_of(task)) for task in few.tasks]


def _panel(board: Board, task: FewShotTask, sizes: tuple[int, ...]) -> Panel:
    found = []
    for row in board.scored:
        of_size = {t.size: t for t in (row.result.tasks or () if row.result else ()) if t.task == task.id}
        found.append((row, [of_size.get(k) for k in sizes]))
    shown = drawn(board)
    lines = [[(t.size, t.value, t.low, t.high) for t in values if t] for row, values in found if row in shown]
    what = (
        f"Spearman against the number of measured antibodies, {len(lines)} entries, in the colours of the plot above."
    )
    return Panel(task, _plot(f"few-{task.id}", task.title, what, sizes, lines, NARROW), sizes, found)


def _point(size: int, value: Value | None) -> Point | None:
    return None if value is None or value.value is None else (size, value.value, value.low, value.high)


def _plot(
    name: str, title: str, what: str, sizes: Sequence[int], lines: Sequence[Sequence[Point]], extent: tuple[int, int]
) -> Markup:
    """Sizes stand at equal distances; a vertical line through a point is its interval."""
    width, height = extent
    values = [v for line in lines for _, value, low, high in line for v in (value, low, high) if v is not None]
    bottom, top = min([0.0, *values]), max([0.1, *values])
    bottom, top = int(bottom * 10 - 1) / 10 if bottom < 0 else 0.0, min(1.0, int(top * 10 + 1) / 10)

    def x(size: int, nudge: float = 0.0) -> float:
        return LEFT + (sizes.index(size) + 0.5) / len(sizes) * width + nudge

    def y(value: float) -> float:
        return TOP + (top - value) / (top - bottom) * height

    parts = []
    for share in (bottom, 0.0, top) if bottom < 0 else (0.0, top):
        parts.append(f'<path class="grid" d="M{LEFT} {y(share):.1f}H{LEFT + width}"/>')
        parts.append(f'<text x="{LEFT - 6}" y="{y(share) + 4:.1f}" text-anchor="end">{share:.1f}</text>')
    parts += [
        f'<text x="{x(k):.1f}" y="{TOP + height + 18}" text-anchor="middle">{"k = " if not n else ""}{k}</text>'
        for n, k in enumerate(sizes)
    ]
    for number, line in enumerate(lines):
        nudge = (number - (len(lines) - 1) / 2) * 4  # so that intervals do not lie upon each other
        at = [(x(k, nudge), y(value), low, high) for k, value, low, high in line]
        if len(at) > 1:
            parts.append(f'<path class="line c{number}" d="M{"L".join(f"{a:.1f} {b:.1f}" for a, b, _, _ in at)}"/>')
        for a, b, low, high in at:
            if low is not None and high is not None:
                parts.append(f'<path class="line thin c{number}" d="M{a:.1f} {y(low):.1f}V{y(high):.1f}"/>')
            parts.append(f'<circle class="dot c{number}" cx="{a:.1f}" cy="{b:.1f}" r="3"/>')
    return svg(name, title, what, LEFT + width + 10, TOP + height + BELOW, parts)
