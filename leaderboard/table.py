"""A board as a table of cells, which the page shows at once and its script can sort, filter and draw again.

A cell is the same thing in HTML made here and in HTML made by static/table.js: text, perhaps a link, tags, a note in
small print, a bar; `sort` is what it is sorted by, None for missing, which always comes last.
"""

from __future__ import annotations

import html
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import orjson
from markupsafe import Markup

from evaluator.contract.submissions import FLOOR
from evaluator.contract.task_types import METRICS
from evaluator.store.schemas import Value
from leaderboard.board import Board, Row

Sort = float | str | None
NOTHING = "\u2013"
ARCHIVED = "from published predictions, not run here"
UNRELATED = "The first metric without rows that have a relative at .90 in what the entry was trained on"
CARD = "Reproducibility card: what of it was verified here, and what is only stated; no rank depends on it"


class Cell(NamedTuple):
    """One cell; a tuple, since a large site has half a million of them.

    Attributes:
        style: of the text: `bad`, `quiet` or nothing.
        bar: low end, value and high end of an interval, in percent of the column's width.
    """

    text: str
    sort: Sort = None
    href: str = ""
    note: str = ""
    tags: tuple[str, ...] = ()
    links: tuple[tuple[str, str], ...] = ()
    bar: tuple[float, float, float] | None = None
    style: str = ""


@dataclass(frozen=True)
class Column:
    """One column; `shown` from the start, or only where a reader asks for it."""

    key: str
    title: str
    cell: Callable[[Row], Cell]
    numeric: bool = False
    shown: bool = True
    sortable: bool = True
    help: str = ""


def columns(board: Board) -> list[Column]:
    """Every column of a track's table; those shown from the start come first."""
    first, second, *others = [*board.metrics, ""] if len(board.metrics) == 1 else board.metrics
    lows = [v.low for r in board.rows if (v := r.metric(first)) and v.low is not None]
    span = (min([*lows, 0.5 if METRICS[first].title == "ROC-AUC" else 0.0]), 1.0)
    made = [Column("model", "Model", _model)]
    if board.track.ranked == "tiers":
        made = [
            Column("tier", "Tier", _tier, True, help="Entries of a tier cannot be told from the tier's first"),
            Column("ranks", "Ranks", _ranks, True, help="Ranks that the entry may have, all pairs considered"),
            *made,
        ]
    made.append(_metric_column(first, span))
    if second:
        made.append(_metric_column(second))
    made += [
        Column("to_best", "Δ to best", _to_best, True, help="Difference to the best, with its paired interval"),
        Column(
            "to_floor",
            f"Δ to {'charge' if board.track.floor == FLOOR else 'reference'}",
            _to_floor,
            True,
            shown=any(r.to_floor for r in board.rows),
            help=f"Difference to {board.floor_name}, with its paired interval: whether the entry knows more than that",
        ),
        Column(
            "unrelated", "Without relatives", _unrelated, True, any(r.unrelated for r in board.rows), help=UNRELATED
        ),
        Column("trained_on", "Trained on it", _trained, help="Whether the entry has seen these labels"),
        Column(
            "links",
            "Links, digest",
            _links,
            sortable=False,
            help="Code, paper, and the beginning of the image's sha256",
        ),
        Column("card", "Card", _card, shown=any(r.card for r in board.rows), help=CARD),
        Column("seconds", "Time", _seconds, True, help="Of the whole run, and on what"),
        Column("date", "Date", _date),
    ]
    made += [_metric_column(name, shown=False) for name in others if name]
    return [
        *made,
        Column("memory", "Peak memory", _memory, True, shown=False),
        Column("author", "Author", lambda r: Cell(r.entry.author, r.entry.author.lower()), shown=False),
        Column("backbone", "Backbone", lambda r: _text(r.entry.model.backbone), shown=False),
        Column("head", "Head", lambda r: _text(r.entry.model.head), shown=False),
        Column("parameters", "Parameters", _parameters, True, shown=False),
        Column("licence", "Licence", lambda r: _text(r.entry.license), shown=False),
        Column("sandbox", "Run in", lambda r: _text(r.result.sandbox if r.result else None), shown=False),
    ]


def number(value: float | None) -> str:
    """A metric for people: three decimals."""
    return "" if value is None else f"{value:.3f}"


def ends(value: Value) -> str:
    """An interval for people."""
    return "" if value.low is None or value.high is None else f"{value.low:.3f} to {value.high:.3f}"


def _metric_column(name: str, span: tuple[float, float] | None = None, *, shown: bool = True) -> Column:
    metric = METRICS[name]

    def cell(row: Row) -> Cell:
        value = row.metric(name)
        if row.status == "failed" and span:
            return Cell("failed", None, note=(row.result.failure or "") if row.result else "", style="bad")
        if row.status == "not_run" and span:
            return Cell("not run yet", None, style="quiet")
        if value is None:
            return Cell("", None)
        if value.value is None:
            return Cell("undefined", None, note=value.reason or "", style="quiet")
        bar = None
        if span and value.low is not None and value.high is not None:
            scale = 100 / (span[1] - span[0])
            low, mid, high = (
                round(min(max((v - span[0]) * scale, 0), 100), 1) for v in (value.low, value.value, value.high)
            )
            bar = (low, mid, high)
        return Cell(number(value.value), value.value, note=ends(value), bar=bar)

    title = metric.title + ("" if metric.higher_is_better else " ↓")
    return Column(name, title, cell, True, shown, help="" if metric.higher_is_better else "Lower is better")


def _text(value: str | None) -> Cell:
    return Cell(value, value.lower()) if value else Cell("", None)


def _model(row: Row) -> Cell:
    tags = ["reference"] if row.reference else []
    if row.entry.archived:
        tags.append(ARCHIVED)
    if row.result and row.result.sandbox == "unsandboxed":
        tags.append("unsandboxed")
    if "synthetic" in row.entry.training_data:
        tags.append("trained on synthetic data")
    tags += row.result.flags if row.result else ()
    name = row.entry.name
    href = f"submissions/{row.entry.id}/index.html"
    return Cell(name, name.lower(), href=href, note=row.entry.author, tags=tuple(tags))


def _tier(row: Row) -> Cell:
    tier = row.standing.tier if row.standing else None
    return Cell(NOTHING, None, style="quiet") if tier is None else Cell(str(tier), tier)


def _ranks(row: Row) -> Cell:
    s = row.standing
    if s is None or s.rank_low is None or s.rank_high is None:
        return Cell(NOTHING, None, style="quiet")
    text = f"{s.rank_low} to {s.rank_high}" if s.rank_high != s.rank_low else str(s.rank_low)
    return Cell(text, s.rank_low + s.rank_high / 1e6)


def _to_best(row: Row) -> Cell:
    d = row.standing.to_best if row.standing else None
    if d is None or d.value is None:
        return Cell("", None)
    if not d.value:
        return Cell("best", 0.0)
    return Cell(f"{d.value:+.3f}", d.value, note=f"{d.low:+.3f} to {d.high:+.3f}" if d.low is not None else "")


def _to_floor(row: Row) -> Cell:
    d = row.to_floor
    if d is None or d.value is None or d.low is None or d.high is None:
        return Cell("", None)
    return Cell(f"{d.value:+.3f}", d.value, note=f"{d.low:+.3f} to {d.high:+.3f}", style="" if d.low > 0 else "quiet")


def _unrelated(row: Row) -> Cell:
    if (found := row.unrelated) is None or row.result is None:
        return Cell("", None)
    if found.value.value is None:
        return Cell("undefined" if found.sets else "unknown", None, note=found.value.reason or "", style="quiet")
    left_out = [f"{row.result.n - found.rows:,} rows left out", *(f"unknown: {name}" for name in found.unknown)]
    return Cell(number(found.value.value), found.value.value, note="; ".join(left_out))


def _trained(row: Row) -> Cell:
    style = {"no": "", "yes": "quiet", "undisclosed": "bad", "unknown": "bad"}[row.trained_on]
    return Cell(
        row.trained_on,
        row.trained_on,
        style=style,
        note="no rank" if row.trained_on == "yes" or row.entry.archived else "",
    )


def _links(row: Row) -> Cell:
    links = [(name, url) for name, url in (("code", row.entry.code), ("paper", row.entry.paper)) if url]
    digest = row.result.image.digest if row.result and not row.entry.archived else None
    return Cell(digest.removeprefix("sha256:")[:12] if digest else "", None, links=tuple(links), style="code")


def _card(row: Row) -> Cell:
    if row.card is None:
        return Cell("undeclared", None, style="quiet")
    counts = row.card.counts
    style = "bad" if counts.get("contradicted") else ""
    return Cell(
        row.card.brief, counts.get("verified", 0), note="" if row.card.record else "not checked yet", style=style
    )


def _seconds(row: Row) -> Cell:
    seconds = row.result.runtime.seconds if row.result else None
    if seconds is None or row.result is None:
        return Cell("", None)
    hardware = row.result.hardware
    where = hardware.gpu or (f"{hardware.cpus:g} cores" if hardware.cpus else "")
    return Cell(f"{seconds:g} s", seconds, note=where)


def _memory(row: Row) -> Cell:
    size = row.result.runtime.peak_memory_mb if row.result else None
    return Cell("", None) if size is None else Cell(f"{size:,} MB", size)


def _parameters(row: Row) -> Cell:
    count = row.entry.model.parameters
    return Cell("", None) if count is None else Cell(f"{count:,}", count)


def _date(row: Row) -> Cell:
    return Cell(row.result.evaluated_at, row.result.evaluated_at) if row.result else Cell("", None)


# -- as HTML, as the data of the script, as CSV ----------------------------------------------------------------------


def head_html(shown: Iterable[Column]) -> Markup:
    """The header row; a script finds its columns by `data-key`."""
    cells = [
        Markup('<th scope="col" data-key="{}" class="{}"{}>{}</th>').format(
            c.key, "number" if c.numeric else "", Markup(' title="{}"').format(c.help) if c.help else "", c.title
        )
        for c in shown
    ]
    return Markup("<tr>{}</tr>").format(Markup("").join(cells))


def cells(rows: Iterable[Row], made: list[Column]) -> list[list[Cell]]:
    """Every row's cells, one per column."""
    return [[c.cell(row) for c in made] for row in rows]


def rows_html(rows: Sequence[Row], filled: Sequence[list[Cell]], made: list[Column], root: str) -> Markup:
    """Body rows. Made as plain strings, which for thousands of rows is ten times faster than a template."""
    shown = [(k, c) for k, c in enumerate(made) if c.shown]
    lines = (
        f'<tr class="{row_class(row)}">{"".join(_cell_html(c, of_row[k], root) for k, c in shown)}</tr>'
        for row, of_row in zip(rows, filled, strict=True)
    )
    return Markup("\n".join(lines))  # noqa: S704 - all text in it went through `html.escape`


def row_class(row: Row) -> str:
    """What a row looks like as a whole."""
    return " ".join([row.status, *(["reference"] if row.reference else [])])


def _cell_html(column: Column, cell: Cell, root: str) -> str:
    text = html.escape(cell.text)
    if column.key in ("model", "author"):
        text = f"<bdi>{text}</bdi>"
    if cell.href:
        text = f'<a href="{root}{html.escape(cell.href)}">{text}</a>'
    if cell.style == "code":
        text = f"<code>{text}</code>" if cell.text else ""
    elif cell.style:
        text = f'<span class="{cell.style}">{text}</span>'
    for name, url in reversed(cell.links):
        text = f'<a href="{html.escape(url)}" rel="nofollow noopener">{html.escape(name)}</a> {text}'
    for tag in cell.tags:
        text += f' <span class="tag">{html.escape(tag)}</span>'
    if cell.bar:
        low, middle, high = cell.bar
        text += (
            '<svg class="bar" viewBox="0 0 100 8" preserveAspectRatio="none" aria-hidden="true">'
            f'<path d="M{low:g} 4H{high:g}"/><path class="at" d="M{middle:g} 0V8"/></svg>'
        )
    if cell.note:
        text += f"<small><bdi>{html.escape(cell.note)}</bdi></small>"
    kind = ' class="number"' if column.numeric else ""
    return f'<th scope="row"{kind}>{text}</th>' if column.key == "model" else f"<td{kind}>{text}</td>"


def script(rows: Iterable[Row], filled: Iterable[list[Cell]], made: list[Column]) -> bytes:
    """The table's data as a classic script, which works from a file too; short keys, what is empty is left out."""
    data = {
        "columns": [
            {
                "key": c.key,
                "title": c.title,
                "numeric": c.numeric,
                "shown": c.shown,
                "sortable": c.sortable,
                "help": c.help,
            }
            for c in made
        ],
        "classes": [row_class(r) for r in rows],
        "rows": [[_short(c) for c in of_row] for of_row in filled],
    }
    return b"apb.rows(" + orjson.dumps(data) + b");\n"


def _short(cell: Cell) -> object:
    if cell[2:] == _BARE:
        return [cell.text, cell.sort] if cell.text or cell.sort is not None else 0
    named = {"h": cell.href, "n": cell.note, "g": cell.tags, "l": cell.links, "b": cell.bar, "y": cell.style}
    return [cell.text, cell.sort, {key: value for key, value in named.items() if value}]


_BARE = Cell("")[2:]
