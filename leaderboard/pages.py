"""The pages: what each template is given."""

from __future__ import annotations

import csv
import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from evaluator.contract.failures import advice
from evaluator.contract.families import RULES
from evaluator.contract.submissions import Submission
from evaluator.contract.task_types import KINDS, METRICS, turned_round
from evaluator.contract.tracks import Track
from evaluator.contract.training_sets import RELATED
from evaluator.errors import EvaluatorError
from evaluator.scoring.scorer import SCORER_CHANGES, SCORER_VERSION
from evaluator.scoring.similarity import CUT, NEAR_COPY
from evaluator.store.schemas import Change, Erased, Result
from leaderboard import audits, checklist, compare, exports, few_shot, models, news, plots, table
from leaderboard.board import Board, is_reference
from leaderboard.cards import Shown
from leaderboard.data import SCHEMAS, schema
from leaderboard.similar import Similar

HERE = Path(__file__).resolve().parent
COVERAGE = HERE / "coverage.csv" if (HERE / "coverage.csv").is_file() else HERE.parent / "docs" / "coverage.csv"
"""Written by `python -m benchmarks.coverage`; beside this file where the package is installed."""
SECTIONS = {
    "models": "Models",
    "compare": "Compare",
    "methods": "Methods",
    "submit": "Submit",
    "history": "History",
    "data": "Data",
    "cite": "Cite",
    "checklist": "Checklist",
}
"""The top of every page: folders and their titles."""
PAGE_ROWS = 150
"""Rows of a table in one page; the script shows more when asked, and there are further pages without it."""
RECENT = 8
HISTORY = 300

Page = Callable[..., tuple[str, bytes]]
"""Template, path and values in; path and HTML out."""


@dataclass(frozen=True)
class Content:
    """What the site is made of."""

    boards: list[Board]
    entries: list[Submission]
    results: Mapping[str, Mapping[str, Result]]
    history: list[Change]
    url: str
    similar: Similar
    erased: Sequence[Erased] = ()
    notice: str = ""
    built_from: str = ""
    audited: Mapping[str, audits.Rows] = field(default_factory=dict)
    source_url: str = ""
    cards: Mapping[str, Shown] = field(default_factory=dict)


def files(site: Content) -> Iterable[tuple[str, bytes]]:
    """Every page by its path, and the scripts that hold a page's data."""
    templates = _environment()
    page = _renderer(site, templates)
    latest = news.newest_first(site.history, {e.id: e.name for e in site.entries})
    yield page("index.html", "index.html", recent=latest[:RECENT], across=_across(site.boards))
    for board in site.boards:
        yield from _track_files(board, [b.track.id for b in site.boards], page)
        yield page(
            "dataset.html",
            f"datasets/{board.track.id}/index.html",
            board=board,
            audit=site.audited.get(board.track.id),
            related=RELATED,
        )
        yield f"compare/{board.track.id}.js", compare.script(board)
        for former in board.track.formerly:
            yield page("moved.html", f"tracks/{former}/index.html", track=board.track, former=former)
    yield from _submission_files(site, page)
    yield page(
        "models.html",
        "models/index.html",
        similar=site.similar,
        map=site.similar.drawn(),
        statistics=models.statistics(site.entries, site.results),
        cut=CUT,
        near_copy=NEAR_COPY,
    )
    yield page("compare.html", "compare/index.html", prepared=[(b, compare.against_best(b)) for b in site.boards])
    coverage = _coverage()
    areas = [r for r in coverage if r["metric"] == "roc_auc"]
    yield page("methods.html", "methods/index.html", coverage=areas, extremes=_extremes(coverage))
    form = json.dumps(_form()).replace("<", "\\u003c")
    yield page("submit.html", "submit/index.html", schema=form)
    days = news.by_day(latest[:HISTORY])
    yield page(
        "history.html",
        "history/index.html",
        days=days,
        changes=SCORER_CHANGES,
        left=len(site.history),
        erased=site.erased,
    )
    yield page("data.html", "data/index.html", schemas=sorted(SCHEMAS), exports=exports.offered())
    yield page("cite.html", "cite/index.html", url=site.url, year=_year(site.history))
    yield page(
        "checklist.html",
        "checklist/index.html",
        lists=checklist.load(),
        statuses=checklist.STATUSES,
        evidence_link=checklist.link,
        source_url=site.source_url,
        there=_there(site),
    )
    yield page("404.html", "404.html")
    yield "feed.xml", templates.get_template("feed.xml").render(news.feed(latest, site.url)).encode()


def _there(site: Content) -> set[str]:
    """The pages of tracks and entries, and where an audit stands on one."""
    tracks = [board.track.id for board in site.boards]
    made = {f"{folder}/{track}/" for folder in ("tracks", "datasets") for track in tracks}
    audited = {f"datasets/{track}/#audit" for track in tracks if track in site.audited}
    return made | audited | {f"submissions/{entry.id}/" for entry in site.entries}


def _form() -> dict[str, Any]:
    """The schema of what a stranger submits: an image, never archived predictions."""
    found = schema(SCHEMAS["submission"])
    del found["oneOf"], found["properties"]["archived"]
    found["required"].append("docker_image")
    return found


def _renderer(site: Content, templates: Environment) -> Page:
    tops = {f"tracks/{b.track.id}/index.html" for b in site.boards} | {f"{name}/index.html" for name in SECTIONS}

    as_of = max((change.date for change in site.history), default="")

    @cache
    def nav(root: str, current: str) -> Markup:
        made = templates.get_template("nav.html").render(
            root=root, current=current, boards=site.boards, sections=SECTIONS.items()
        )
        return Markup(made)  # noqa: S704 - a template's own output, escaped already

    def page(name: str, path: str, **values: object) -> tuple[str, bytes]:
        root = "../" * path.count("/")
        html = templates.get_template(name).render(
            root=root,
            boards=site.boards,
            nav=nav(root, path if path in tops else ""),
            notice=site.notice,
            as_of=as_of,
            built_from=site.built_from,
            **values,
        )
        return path, html.encode()

    return page


@cache
def _environment() -> Environment:
    pages = Environment(
        loader=FileSystemLoader(HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    pages.filters["metric"] = table.number
    pages.filters["ends"] = table.ends
    pages.filters["thousands"] = lambda n: f"{n:,}"
    pages.globals.update(
        turned_round=turned_round,
        advice=advice,
        metrics=METRICS,
        scorer=SCORER_VERSION,
        family_rules=RULES,
    )
    return pages


def _track_files(board: Board, known: Sequence[str], page: Page) -> Iterable[tuple[str, bytes]]:
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
                "forest": plots.forest(board),
                "roc": plots.roc(board),
                "pr": plots.precision_recall(board),
                "speed": plots.speed(board),
                "drawn": plots.first_and_references(board, plots.FOREST_ROWS),
            }
        yield page(
            "track.html",
            path,
            board=board,
            entries=len(rows),
            head=table.head_html(shown),
            width=len(shown),
            rows=drawn_rows(here),
            references=drawn_rows([k for k in references if k not in here]),
            plots=drawn,
            few_shot=few_shot.curves(board) if number == 1 else "",
            panels=few_shot.panels(board) if number == 1 else [],
            other_assays=few_shot.speaks_of_others(board),
            relations=few_shot.relations,
            relatives=[other for other in known if other in board.track.same_antibodies],
            number=number,
            count=count,
        )
    yield f"{folder}/rows.js", table.script(rows, filled, made)


def _submission_files(site: Content, page: Page) -> Iterable[tuple[str, bytes]]:
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
            "submission.html",
            f"submissions/{entry.id}/index.html",
            entry=entry,
            results=found,
            tasks=tasks,
            task_metrics={task: _measured(t for t, _ in found if t.task == task) for task in tasks},
            standing={t.id: standing.get((t.id, entry.id)) for t, _ in found},
            history=mine.get(entry.id, [])[::-1],
            image=next((r.image for _, r in found if r.image.digest), None),
            reference=is_reference(entry),
            alike=[] if entry.withdrawn else site.similar.of_entry(entry.id),
            panel_rows=site.similar.panel.n if site.similar.panel else 0,
            card=site.cards.get(entry.id),
        )


def _measured(tracks: Iterable[Track]) -> list[str]:
    """What is measured on any of these tracks."""
    return list(dict.fromkeys(name for track in tracks for name in track.metrics))


def _across(boards: list[Board]) -> list[tuple[Submission, dict[str, int | None]]]:
    """Tiers over tracks: no average, nothing imputed; the entries that lead somewhere."""
    tiers: dict[str, dict[str, int | None]] = {}
    entries = {}
    for board in boards:
        if board.track.purpose != "benchmark" or board.track.ranked != "tiers" or board.track.retired:
            continue
        for row in board.rows:
            if row.standing:
                tiers.setdefault(row.entry.id, {})[board.track.id] = row.standing.tier
                entries[row.entry.id] = row.entry
    firsts = Counter({i: sum(t == 1 for t in found.values()) for i, found in tiers.items()})
    order = sorted(tiers, key=lambda i: (-firsts[i], -len(tiers[i]), i))
    return [(entries[i], tiers[i]) for i in order[:12] if firsts[i]]


def _year(history: list[Change]) -> str:
    return max((c.date[:4] for c in history), default="")


def _coverage() -> list[dict[str, str]]:
    """How often each interval holds the true value, by metric and setting.

    Raises:
        EvaluatorError: the table is not there.
    """
    try:
        with COVERAGE.open(encoding="utf-8") as source:
            return list(csv.DictReader(source))
    except FileNotFoundError as error:
        raise EvaluatorError(
            f"{COVERAGE} is missing; the page of methods shows it.",
            "It comes with the package; in a checkout python -m benchmarks.coverage writes it.",
        ) from error


def _extremes(coverage: list[dict[str, str]]) -> list[dict[str, Any]]:
    """For each metric how many settings are covered as they should be, and the worst on either side."""
    found = []
    for name in dict.fromkeys(r["metric"] for r in coverage):
        rows = [r for r in coverage if r["metric"] == name and r["rows"] != "ignored"]
        inside = sum(0.93 <= float(r["covered"]) <= 0.97 for r in rows)
        ordered = sorted(rows, key=lambda r: float(r["covered"]))
        found.append({"metric": METRICS[name].title, "settings": len(rows), "inside": inside,
                      "least": ordered[0], "most": ordered[-1]})  # fmt: skip
    return found
