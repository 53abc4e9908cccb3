"""`docs/results.md`: what the board says, track by track, and what it cannot say; written from its records alone."""

from __future__ import annotations

from pathlib import Path

from evaluator.contract import submissions, tracks
from evaluator.contract.task_types import METRICS
from evaluator.contract.tracks import Track
from evaluator.settings import Repository
from evaluator.store.results import Results
from evaluator.store.schemas import Value
from leaderboard.board import Board, Row, board

PAGE = Path("docs") / "results.md"
HEAD = """# What the board says

Written from `leaderboard/results/` by `python -m scripts.results`; a test holds it to them. Intervals are at 95 %.
Differences to net charge, on few-shot tracks to their reference, are paired: both scores come from the same antibodies.
"""
TAIL = """
## What it cannot say

- Tracks that share antibodies are not separate findings; each track's own page names them.
- All labels here are in print. A model may have seen them, whatever its authors know of it.
- "Not shown to differ" is not "equal": a track of this size would miss differences below the one that is named.
- The assays differ from each other, and from what a developer needs to know of a candidate.
"""


def write(root: Path) -> Path:
    """Write the page anew, and return its path."""
    path = root / PAGE
    path.write_text(text(root), encoding="utf-8")
    return path


def text(root: Path) -> str:
    """The whole page."""
    repository = Repository(root)
    store = Results(repository.results)
    entries = [submissions.load(p) for p in sorted(repository.submissions.glob("*.yaml"))]
    parts = [HEAD]
    for track in tracks.load_all(repository.tracks).values():
        if track.purpose != "benchmark":
            continue
        records = {e.id: found for e in entries if (found := store.get(e.id, track.id))}
        made = board(track, entries, records, store.standings(track.id), None)
        parts.append(
            "\n".join(_track(track, made)) if made.valued else f"## {track.title}\n\nNobody has been scored on it.\n"
        )
    return "\n".join([*parts, TAIL.lstrip("\n")])


def _track(track: Track, made: Board) -> list[str]:
    metric = track.primary_metric
    lines = [f"## {track.title}", "", track.summary, ""]
    lines += [
        f"| entry | {METRICS[metric].title} | interval | to {made.floor_name} | interval |",
        "|---|---:|---|---:|---|",
    ]
    lines += [_line(row, metric) for row in made.valued]
    if made.archived:
        lines += ["", "\\* From published predictions, not run here: no rank."]
        if any(row.trained_on == "yes" for row in made.archived):
            lines += ["  † Trained on this track's own labels, in cross-validation."]
    above, held = made.above_floor, made.held_against_floor
    if held:
        names = f" ({', '.join(row.entry.name for row in above)})" if above else ""
        entries = "entry is" if len(held) == 1 else "entries are"
        lines += ["", f"{len(above) or 'None'} of {len(held)} {entries} shown above {made.floor_name}{names}."]
    if made.standings and made.standings.detectable is not None:
        lines += ["", f"A difference to the best below {made.standings.detectable:.3f} would usually go unnoticed."]
    if track.ceiling:
        c = track.ceiling
        lines += ["", f"Replicates of the assay agree at {c.value:.3f} ({c.low:.3f} to {c.high:.3f})."]
    return [*lines, ""]


def _line(row: Row, metric: str) -> str:
    value = row.metric(metric)
    assert value is not None
    to = row.to_floor
    beside = f"{to.value:+.3f} | {_ends(to, '+.3f')}" if to and to.value is not None else "| "
    mark = ("*" + "†" * (row.trained_on == "yes")) if row.entry.archived else ""
    return f"| {row.entry.name}{mark} | {value.value:.3f} | {_ends(value, '.3f')} | {beside} |"


def _ends(value: Value, form: str) -> str:
    return "" if value.low is None or value.high is None else f"{value.low:{form}} to {value.high:{form}}"


if __name__ == "__main__":
    print(write(Path(__file__).resolve().parent.parent))
