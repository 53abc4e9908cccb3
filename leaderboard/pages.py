"""The pages: what each template is given."""

from __future__ import annotations

import csv
import json
import uuid
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from itertools import groupby
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from scipy.special import stdtr, stdtrit

from evaluator.contract.failures import advice
from evaluator.contract.submissions import Submission
from evaluator.contract.task_types import KINDS, METRICS
from evaluator.scoring.scorer import SCORER_CHANGES, SCORER_VERSION
from evaluator.store.schemas import Change, Pairs, Result
from leaderboard import plots, table
from leaderboard.board import Board, Row, is_reference
from leaderboard.data import SCHEMAS, schema

HERE = Path(__file__).resolve().parent
SECTIONS = (
    ("compare", "Compare"), ("methods", "Methods"), ("submit", "Submit"), ("history", "History"), ("data", "Data"),
    ("cite", "Cite"),
)  # fmt: skip
PAGE_ROWS = 150
"""Rows of a table in one page; the script shows more when asked, and there are further pages without it."""
COMPARED = 300
RECENT = 8
HISTORY = 300


@dataclass(frozen=True)
class Content:
    """What the site is made of."""

    boards: list[Board]
    entries: list[Submission]
    results: Mapping[str, Mapping[str, Result]]
    history: list[Change]
    url: str


def files(site: Content) -> Iterable[tuple[str, bytes]]:
    """Every page by its path, and the scripts that hold a page's data."""
    page, names = _renderer(site), {e.id: e.name for e in site.entries}
    yield page("index.html", "index.html", recent=_news(site.history, names)[:RECENT], across=_across(site.boards))
    for board in site.boards:
        yield from _track_files(board, page)
        yield page("dataset.html", f"datasets/{board.track.id}/index.html", board=board)
        yield f"compare/{board.track.id}.js", _compared(board).encode()
    yield from _submission_files(site)
    yield page("compare.html", "compare/index.html", prepared=[(b, _against_leader(b)) for b in site.boards])
    yield page("methods.html", "methods/index.html", coverage=_coverage())
    form = json.dumps(schema(SCHEMAS["submission"])).replace("<", "\\u003c")
    yield page("submit.html", "submit/index.html", schema=form)
    shown = _news(site.history, names)[:HISTORY]
    yield page(
        "history.html", "history/index.html", days=_by_day(shown), changes=SCORER_CHANGES, left=len(site.history)
    )
    yield page("data.html", "data/index.html", schemas=sorted(SCHEMAS))
    yield page("cite.html", "cite/index.html", url=site.url, year=_year(site.history))
    yield page("404.html", "404.html")
    yield "feed.xml", _feed(site, names).encode()


def _renderer(site: Content) -> Callable[..., tuple[str, bytes]]:
    templates = _environment()
    tops = {f"tracks/{b.track.id}/index.html" for b in site.boards} | {f"{name}/index.html" for name, _ in SECTIONS}

    @cache
    def nav(root: str, current: str) -> Markup:
        made = templates.get_template("nav.html").render(
            root=root, current=current, boards=site.boards, sections=SECTIONS
        )
        return Markup(made)  # noqa: S704 - a template's own output, escaped already

    def page(name: str, path: str, **values: object) -> tuple[str, bytes]:
        root = "../" * path.count("/")
        html = templates.get_template(name).render(
            root=root, boards=site.boards, nav=nav(root, path if path in tops else ""), **values
        )
        return path, html.encode()

    return page


def _environment() -> Environment:
    pages = Environment(
        loader=FileSystemLoader(HERE / "templates"), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True,
    )  # fmt: skip
    pages.filters["metric"] = table.number
    pages.filters["ends"] = table.ends
    pages.filters["thousands"] = lambda n: f"{n:,}"
    pages.globals.update(
        advice=advice,
        metrics=METRICS,
        scorer=SCORER_VERSION,
        task_metrics={task: kind.metrics for task, kind in KINDS.items()},
    )
    return pages


def _track_files(board: Board, page: Callable[..., tuple[str, bytes]]) -> Iterable[tuple[str, bytes]]:
    made = table.columns(board)
    shown = [c for c in made if c.shown]
    folder = f"tracks/{board.track.id}"

    def drawn_rows(which: Iterable[int]) -> Markup:
        chosen = list(which)
        return table.rows_html([rows[k] for k in chosen], [filled[k] for k in chosen], made, "../../")

    rows = board.rows if any(r.result for r in board.rows) else []  # else the page says in a sentence: none was run
    filled = table.cells(rows, made)
    references = [k for k, r in enumerate(rows) if r.reference]
    count = max(-(-len(rows) // PAGE_ROWS), 1)
    for number in range(1, count + 1):
        here = range(min((number - 1) * PAGE_ROWS, len(filled)), min(number * PAGE_ROWS, len(filled)))
        path = f"{folder}/index.html" if number == 1 else f"{folder}/page-{number}.html"
        drawn = {}
        if number == 1:
            drawn = {
                "forest": plots.forest(board), "roc": plots.roc(board), "pr": plots.precision_recall(board),
                "speed": plots.speed(board), "drawn": plots.first_and_references(board, plots.FOREST_ROWS),
            }  # fmt: skip
        yield page(
            "track.html", path, board=board, entries=len(rows), head=table.head_html(shown), width=len(shown),
            rows=drawn_rows(here), references=drawn_rows([k for k in references if k not in here]),
            plots=drawn, number=number, count=count,
        )  # fmt: skip
    yield f"{folder}/rows.js", table.script(rows, filled, made)


def _submission_files(site: Content) -> Iterable[tuple[str, bytes]]:
    page = _renderer(site)
    standing = {
        (board.track.id, entry_id): found
        for board in site.boards
        if board.standings
        for entry_id, found in board.standings.entries.items()
    }
    mine: dict[str, list[Change]] = {}
    for change in site.history:
        mine.setdefault(change.submission, []).append(change)
    tracks = {b.track.id: b.track for b in site.boards}
    for entry in site.entries:
        found = [(tracks[t], r) for t, r in sorted(site.results.get(entry.id, {}).items()) if t in tracks]
        tasks = [t for t in KINDS if any(track.task == t for track, _ in found)]
        yield page(
            "submission.html", f"submissions/{entry.id}/index.html", entry=entry, results=found, tasks=tasks,
            standing={t.id: standing.get((t.id, entry.id)) for t, _ in found}, history=mine.get(entry.id, [])[::-1],
            image=next((r.image for _, r in found if r.image.digest), None), reference=is_reference(entry),
        )  # fmt: skip


@dataclass(frozen=True)
class Difference:
    """One pair: value of the first minus the second, with its paired interval and two-sided p."""

    first: Row
    second: Row
    value: float
    low: float
    high: float
    p: float


def _against_leader(board: Board) -> list[Difference]:
    """The best entry against those behind it, for readers without a script."""
    pairs = board.pairs
    if not pairs:
        return []
    rows = {r.entry.id: r for r in board.rows}
    t = _quantile(board, pairs)
    found = []
    for k, other in enumerate(pairs.submissions[1:11], start=1):
        value, deviation = pairs.value[0] - pairs.value[k], pairs.deviation[k][0]
        p = float(2 * stdtr(pairs.freedom, -abs(value) / deviation)) if deviation else 1.0
        best, row = rows.get(pairs.submissions[0]), rows.get(other)
        if best and row:
            found.append(Difference(best, row, value, value - t * deviation, value + t * deviation, p))
    return found


def _quantile(board: Board, pairs: Pairs) -> float:
    level = board.standings.level if board.standings else 0.95
    return float(stdtrit(pairs.freedom, 0.5 + level / 2))


def _compared(board: Board) -> str:
    """What the comparison page needs of one track, as a classic script."""
    names = board.metrics
    entries = [
        {
            "id": r.entry.id, "name": r.entry.name,
            "metrics": {n: [v.value, v.low, v.high] for n in names if (v := r.metric(n)) and v.value is not None},
        }
        for r in board.scored[:COMPARED]
    ]  # fmt: skip
    content: dict[str, Any] = {
        "track": board.track.id, "title": board.track.title, "primary": board.track.primary_metric,
        "metrics": [[n, METRICS[n].title] for n in names], "entries": entries, "pairs": None,
    }  # fmt: skip
    if board.pairs:
        content["pairs"] = {
            "ids": board.pairs.submissions, "value": board.pairs.value, "deviation": board.pairs.deviation,
            "t": _quantile(board, board.pairs),
        }  # fmt: skip
    return f"apb.track({json.dumps(content, separators=(',', ':'), allow_nan=False)});\n"


def _across(boards: list[Board]) -> list[tuple[Submission, dict[str, int | None]]]:
    """Tiers over tracks: no average, nothing imputed; the entries that lead somewhere."""
    tiers: dict[str, dict[str, int | None]] = {}
    entries = {}
    for board in boards:
        if board.track.purpose != "benchmark" or board.track.ranked != "tiers":
            continue
        for row in board.rows:
            if row.standing:
                tiers.setdefault(row.entry.id, {})[board.track.id] = row.standing.tier
                entries[row.entry.id] = row.entry
    firsts = Counter({i: sum(t == 1 for t in found.values()) for i, found in tiers.items()})
    order = sorted(tiers, key=lambda i: (-firsts[i], -len(tiers[i]), i))
    return [(entries[i], tiers[i]) for i in order[:12] if firsts[i]]


@dataclass(frozen=True)
class News:
    """One line of news."""

    date: str
    submission: str
    name: str
    track: str
    what: str


def _news(history: list[Change], names: Mapping[str, str]) -> list[News]:
    """Changes as news, newest first."""
    return [News(c.date, c.submission, names.get(c.submission, c.submission), c.track, _what(c)) for c in history[::-1]]


def _what(change: Change) -> str:
    if change.status == "failed":
        return f"failed: {change.failure}"
    moved = [
        f"{METRICS[n].title} {'none' if old is None else f'{old:.3f}'} → {'none' if new is None else f'{new:.3f}'}"
        for n, (old, new) in change.metrics.items()
        if n in METRICS
    ]
    if change.kind == "new":
        first = next(iter(change.metrics.items()), None)
        shown = f": {METRICS[first[0]].title} {first[1][1]:.3f}" if first and first[1][1] is not None else ""
        return f"new entry{shown}" if first and first[0] in METRICS else "new entry"
    verb = f"rescored ({change.scorer[0]} → {change.scorer[1]})" if change.kind == "rescored" else "run again"
    return (
        f"{verb}: {', '.join(moved[:2]) or 'no value changed'}{f' and {len(moved) - 2} more' if len(moved) > 2 else ''}"
    )


def _by_day(news: list[News]) -> list[tuple[str, list[News]]]:
    return [(date, list(some)) for date, some in groupby(news, key=lambda n: n.date)]


def _year(history: list[Change]) -> str:
    return max((c.date[:4] for c in history), default="")


def _feed(site: Content, names: Mapping[str, str]) -> str:
    items = [
        (uuid.uuid5(uuid.NAMESPACE_URL, f"{n.date}/{n.submission}/{n.track}/{n.what}"), n)
        for n in _news(site.history, names)[:50]
    ]
    updated = max((c.date for c in site.history), default="1970-01-01")
    own = uuid.uuid5(uuid.NAMESPACE_URL, site.url or "antibody-polyreactivity-benchmark")
    return _environment().get_template("feed.xml").render(items=items, updated=updated, url=site.url, own=own)


def _coverage() -> list[dict[str, str]]:
    """The committed coverage table's rows for ROC-AUC."""
    path = HERE.parent / "docs" / "coverage.csv"
    if not path.is_file():
        return []
    with path.open(encoding="utf-8") as source:
        return [r for r in csv.DictReader(source) if r["metric"] == "roc_auc"]
