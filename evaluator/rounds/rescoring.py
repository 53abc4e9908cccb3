"""What scoring kept predictions again has changed: a changelog entry with a table, old beside new."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from evaluator.contract.task_types import METRICS
from evaluator.files import write_bytes
from evaluator.scoring.scorer import SCORER_CHANGES, SCORER_VERSION
from evaluator.store.results import Results
from evaluator.store.schemas import Change


def write(results: Results, changes: Sequence[Change]) -> Path:
    """Write `<results>/rescored/<date>-scorer-<version>.md`, or add to it.

    Args:
        changes: of this round, in any order; at least one.
    """
    path = results.folder / "rescored" / f"{changes[0].date}-scorer-{SCORER_VERSION}.md"
    before = path.read_text(encoding="utf-8") if path.is_file() else f"{_heading(changes)}\n"
    known = set(before.splitlines())
    lines = [line for line in _table(changes) if line not in known]
    write_bytes(path, (before + "".join(f"{line}\n" for line in lines)).encode())
    return path


def _heading(changes: Sequence[Change]) -> str:
    old = sorted({c.scorer[0] or "none" for c in changes})
    if old == [SCORER_VERSION]:
        what = "The same scorer, on corrected labels or at another level."
    else:
        what = f"Scorer {', '.join(old)} -> {SCORER_VERSION}: {SCORER_CHANGES[SCORER_VERSION]}"
    return f"# Rescored on {changes[0].date}\n\n{what}\n\nNo image was run; kept predictions were scored again.\n"


def _table(changes: Sequence[Change]) -> list[str]:
    rows = ["| entry | track | metric | old | new |", "|---|---|---|---:|---:|"]
    for change in sorted(changes, key=lambda c: (c.track, c.submission)):
        for name, (old, new) in change.metrics.items():
            rows.append(
                f"| {change.submission} | {change.track} | {METRICS[name].title if name in METRICS else name} "
                f"| {_shown(old)} | {_shown(new)} |"
            )
        if not change.metrics:
            rows.append(f"| {change.submission} | {change.track} | every value | unchanged | unchanged |")
    return rows


def _shown(value: float | None) -> str:
    return "none" if value is None else f"{value:.6f}"
