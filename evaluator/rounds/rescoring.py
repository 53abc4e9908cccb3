"""What scoring kept predictions again has changed: a changelog entry with a table, old beside new."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path

from evaluator.contract.task_types import METRICS
from evaluator.files import write_bytes
from evaluator.scoring.scorer import SCORER_CHANGES
from evaluator.store.results import Results
from evaluator.store.schemas import Change


def write(results: Results, hidden: Collection[str] = ()) -> list[Path]:
    """Write `<results>/rescored/<date>-scorer-<version>.md` for every rescoring that the history tells of.

    They follow from the history alone, so that a round that was cut short loses none.

    Args:
        hidden: tracks whose labels are hidden: old beside new would speak of single rows whose labels were corrected.

    Returns:
        Those that are new or have changed.
    """
    days: dict[tuple[str, str], list[Change]] = {}
    for change in results.history():
        if change.kind == "rescored":
            days.setdefault((change.date, change.scorer[1]), []).append(change)
    written = []
    for (date, scorer), changes in days.items():
        path = results.folder / "rescored" / f"{date}-scorer-{scorer}.md"
        text = _heading(date, scorer, changes) + "\n" + "".join(f"{line}\n" for line in _table(changes, hidden))
        if not path.is_file() or path.read_text(encoding="utf-8") != text:
            write_bytes(path, text.encode())
            written.append(path)
    return written


def _heading(date: str, scorer: str, changes: Sequence[Change]) -> str:
    old = sorted({c.scorer[0] or "none" for c in changes})
    if old == [scorer]:
        what = "The same scorer, on corrected labels or at another level."
    else:
        what = (
            f"Scorer {', '.join(old)} -> {scorer}: {SCORER_CHANGES.get(scorer, 'what it changed is not written down.')}"
        )
    return f"# Rescored on {date}\n\n{what}\n\nNo image was run; kept predictions were scored again.\n"


def _table(changes: Sequence[Change], hidden: Collection[str]) -> list[str]:
    rows = ["| entry | track | metric | old | new |", "|---|---|---|---:|---:|"]
    for change in sorted(changes, key=lambda c: (c.track, c.submission)):
        if change.track in hidden:
            rows.append(f"| {change.submission} | {change.track} | every value | not told | not told |")
            continue
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
