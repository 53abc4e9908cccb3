"""Build the site: results + tracks + submissions -> `data/v1/*.json` + HTML. The same input gives the same bytes."""

from __future__ import annotations

import math
import shutil
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from evaluator import submission as submissions
from evaluator import tracks as track_files
from evaluator.errors import SubmissionError
from evaluator.files import write_bytes, write_json
from evaluator.metrics import METRICS
from evaluator.results import Result, Results, Standing, Standings
from evaluator.settings import Repository
from evaluator.standings import trained_on
from evaluator.submission import Submission
from evaluator.tracks import Track

HERE = Path(__file__).resolve().parent
DATA_VERSION = "1.0"
TASK_METRICS = {
    task: [name for name, metric in METRICS.items() if metric.task == task] for task in ("classification", "regression")
}


@dataclass(frozen=True)
class Site:
    """What was built."""

    index: Path
    pages: int
    entries: int
    records: int


@dataclass(frozen=True)
class Row:
    """One entry on one track; `status` is ok, failed or not_run, three different things."""

    entry: Submission
    status: str
    result: Result | None
    trained_on: str
    """`no`, `yes` or `undisclosed`: whether the entry has seen this track's labels."""
    standing: Standing | None

    def value(self, metric: str) -> float | None:
        """A metric's value; None where there is none."""
        found = self.result.metrics.get(metric) if self.result else None
        return found.value if found else None


@dataclass(frozen=True)
class Board:
    """One track and its rows, best first; what has no value comes last."""

    track: Track
    rows: list[Row]
    detectable: float | None
    """The difference to the best that this track can find, or None."""


def build(repository: Repository, *, submissions: Path, results: Path, out: Path) -> Site:
    """Write the whole site to `out`, in place of what was there.

    Raises:
        EvaluatorError: a record or a track is not valid.
    """
    records = Results(results).all()
    entries = _entries(submissions)
    boards = [
        _board(track, entries, records, Results(results).standings(track.id)) for track in _shown(repository, records)
    ]
    out.parent.mkdir(parents=True, exist_ok=True)
    fresh = Path(tempfile.mkdtemp(dir=out.parent, prefix=f".{out.name}."))
    try:
        _write_data(fresh / "data" / "v1", boards, entries, records)
        pages = _write_pages(fresh, boards)
        fresh.chmod(0o755)
        if out.exists():
            shutil.rmtree(out)
        fresh.rename(out)
    except BaseException:
        shutil.rmtree(fresh, ignore_errors=True)
        raise
    return Site((out / "index.html").resolve(), pages, len(entries), len(records))


def _entries(folder: Path) -> list[Submission]:
    """Every valid submission; an invalid one cannot have been merged, and is not shown."""
    found = []
    for path in sorted(folder.glob("*.yaml")):
        try:
            found.append(submissions.load(path))
        except SubmissionError:
            continue
    return found


def _shown(repository: Repository, records: Iterable[Result]) -> list[Track]:
    """Every benchmark track; a practice track only where somebody was scored on it, as in the demo."""
    scored = {r.track for r in records}
    known = track_files.load_all(repository.tracks)
    return [t for t in known.values() if t.purpose == "benchmark" or t.id in scored]


def _board(
    track: Track, entries: Iterable[Submission], records: Iterable[Result], standings: Standings | None
) -> Board:
    by_entry = {r.submission: r for r in records if r.track == track.id}
    ranked = standings.entries if standings else {}
    rows = []
    for entry in entries:
        result = by_entry.get(entry.id)
        if result or entry.tracks is None or track.id in entry.tracks:
            rows.append(
                Row(
                    entry,
                    result.status if result else "not_run",
                    result,
                    trained_on(entry, track),
                    ranked.get(entry.id),
                )
            )
    better = METRICS[track.primary_metric]

    def best_first(row: Row) -> tuple[float, str]:
        value = row.value(track.primary_metric)
        if value is None:
            return (math.inf, row.entry.id)
        return (-value if better.higher_is_better else value, row.entry.id)

    return Board(track, sorted(rows, key=best_first), standings.detectable if standings else None)


def _write_data(folder: Path, boards: list[Board], entries: list[Submission], records: list[Result]) -> None:
    write_json(
        folder / "index.json",
        {
            "schema_version": DATA_VERSION,
            "tracks": [b.track.model_dump(mode="json") for b in boards],
            "submissions": [e.id for e in entries],
            "metrics": {
                name: {"title": m.title, "task": m.task, "higher_is_better": m.higher_is_better}
                for name, m in METRICS.items()
            },
        },
    )
    for board in boards:
        write_json(folder / "results" / f"{board.track.id}.json", _columns(board))
    for entry in entries:
        mine = {r.track: r.model_dump(mode="json") for r in records if r.submission == entry.id}
        write_json(
            folder / "submissions" / f"{entry.id}.json",
            {"schema_version": DATA_VERSION, "id": entry.id, **entry.model_dump(mode="json"), "results": mine},
        )


def _columns(board: Board) -> dict[str, Any]:
    """A track's table by columns; null for what is missing."""
    rows = board.rows
    columns: dict[str, list[Any]] = {
        "submission": [r.entry.id for r in rows],
        "name": [r.entry.name for r in rows],
        "status": [r.status for r in rows],
        "failure": [r.result.failure if r.result else None for r in rows],
        "trained_on": [r.trained_on for r in rows],
        "tier": [r.standing.tier if r.standing else None for r in rows],
        "rank_low": [r.standing.rank_low if r.standing else None for r in rows],
        "rank_high": [r.standing.rank_high if r.standing else None for r in rows],
        "to_best": [r.standing.to_best.value if r.standing else None for r in rows],
        "to_best_low": [r.standing.to_best.low if r.standing else None for r in rows],
        "to_best_high": [r.standing.to_best.high if r.standing else None for r in rows],
        "sandbox": [r.result.sandbox if r.result else None for r in rows],
        "image_digest": [r.result.image.digest if r.result else None for r in rows],
        "seconds": [r.result.runtime.seconds if r.result else None for r in rows],
        "peak_memory_mb": [r.result.runtime.peak_memory_mb if r.result else None for r in rows],
        "evaluated_at": [r.result.evaluated_at if r.result else None for r in rows],
    }
    for name in TASK_METRICS[board.track.task]:
        values = [r.result.metrics.get(name) if r.result else None for r in rows]
        columns[name] = [v.value if v else None for v in values]
        columns[f"{name}_low"] = [v.low if v else None for v in values]
        columns[f"{name}_high"] = [v.high if v else None for v in values]
    return {
        "schema_version": DATA_VERSION,
        "track": board.track.id,
        "rows": len(rows),
        "detectable": board.detectable,
        "columns": columns,
    }


def _write_pages(out: Path, boards: list[Board]) -> int:
    pages = Environment(
        loader=FileSystemLoader(HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    pages.filters["metric"] = lambda value: "" if value is None else f"{value:.3f}"
    html = pages.get_template("index.html").render(boards=boards, metrics=METRICS, task_metrics=TASK_METRICS)
    write_bytes(out / "index.html", html.encode())
    shutil.copytree(HERE / "static", out / "static")
    return 1
