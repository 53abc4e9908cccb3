"""A comparison as a markdown report, as a few lines for a terminal, and as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from evaluator.comparing.compare import Comparison, Difference, passed
from evaluator.comparing.sides import Side
from evaluator.contract.task_types import METRICS
from evaluator.files import write_bytes
from evaluator.store.schemas import Counts, Value
from evaluator.text import printable

FILE_NAME = "validation_report.md"
NEXT_STEPS = """## Next steps

1. Do not deploy the candidate; what is deployed now stays.
2. Look at the confusion matrices: are positives missed (threshold too high) or negatives flagged (too low)?
   ROC-AUC unchanged with accuracy down means that the threshold moved, not the model.
3. Score both on the same rows again with `apb score`, and compare versions, training data and seeds.
4. If the drop is meant, say so where the decision is recorded, and pass a larger `--threshold`.
"""


def write(folder: Path, comparisons: Sequence[Comparison], threshold: float, level: float) -> Path:
    """Write `<folder>/validation_report.md`."""
    path = folder / FILE_NAME
    write_bytes(path, markdown(comparisons, threshold, level).encode())
    return path


def markdown(comparisons: Sequence[Comparison], threshold: float, level: float) -> str:
    """The whole report."""
    parts = ["# Validation report", "", f"**{headline(comparisons)}**", ""]
    parts += [f"- {_inert(_where(c))}: {c.verdict}: {_inert(c.reason)}" for c in comparisons]
    parts += ["", f"Intervals are at {level * 100:g} %. Allowed drop: {threshold:g}.", ""]
    for comparison in comparisons:
        parts += _section(comparison)
    return "\n".join(parts) + ("" if passed(comparisons) else f"\n{NEXT_STEPS}")


def headline(comparisons: Sequence[Comparison]) -> str:
    """The verdict over all tracks."""
    if not passed(comparisons):
        return "FAILED: DEPLOYMENT HALTED"
    return (
        "PASSED" if any(c.verdict == "PASSED" for c in comparisons) else "NOT COMPARED: the comparison is not available"
    )


def terminal(comparisons: Sequence[Comparison], report: Path) -> str:
    """A summary of a few lines."""
    lines = []
    for c in comparisons:
        lines.append(f"{_where(c)}: {c.verdict}: {c.reason}")
        for name, row in c.differences.items():
            if row.candidate and row.candidate.value is not None:
                lines.append(
                    f"  {METRICS[name].title:<20} {_number(row.candidate):>8} {_number(row.baseline):>8}   "
                    f"{_difference(row)}"
                )
        lines += [f"  {beside}"] if (beside := to_charge(c)) else []
    lines += ["", headline(comparisons), f"report: {report}"]
    return "\n".join(lines)


def to_charge(c: Comparison) -> str:
    """Whether the candidate is shown to know more than net charge; empty where that cannot be told."""
    if c.to_charge is None:
        return ""
    metric, row = c.to_charge
    if row.low is None or row.high is None:
        outcome = "no interval is known"
    else:
        outcome = "shown above it" if row.low > 0 else "shown below it" if row.high < 0 else "not shown to differ"
    return f"to net charge by {METRICS[metric].title}: {_difference(row)}, {outcome}"


def as_json(comparisons: Sequence[Comparison]) -> list[dict[str, object]]:
    """Plain JSON values."""
    return [
        {
            "track": c.track,
            "candidate": c.candidate.name,
            "baseline": c.baseline.name if c.baseline else None,
            "metric": c.metric,
            "verdict": c.verdict,
            "reason": c.reason,
            "pairs": asdict(c.pairs) if c.pairs else None,
            "differences": {name: _plain(row) for name, row in c.differences.items()},
            "to_charge": {"metric": c.to_charge[0], **_plain(c.to_charge[1])} if c.to_charge else None,
        }
        for c in comparisons
    ]


def _plain(row: Difference) -> dict[str, object]:
    return {
        "candidate": row.candidate.model_dump() if row.candidate else None,
        "baseline": row.baseline.model_dump() if row.baseline else None,
        "value": row.value,
        "low": row.low,
        "high": row.high,
        "paired": row.paired,
    }


def _where(c: Comparison) -> str:
    against = f" against {printable(c.baseline.name, 80)}" if c.baseline else ""
    return f"{printable(c.candidate.name, 80)}{against}{f' on {c.track}' if c.track else ''}"


def _section(c: Comparison) -> list[str]:
    lines = [f"## {_inert(_where(c))}", "", f"{c.verdict}: {_inert(c.reason)}.", ""]
    lines += [
        f"- {role}: `{printable(side.name, 80).replace('`', '')}`"
        + (f", image `{side.digest}`" if side.digest else "")
        + (f", {side.n:,} rows" if side.n else "")
        for role, side in (("candidate", c.candidate), ("baseline", c.baseline))
        if side
    ]
    lines += ["", "| metric | candidate | baseline | difference |", "|---|---:|---:|---:|"]
    lines += [
        f"| {METRICS[name].title} | {_with_ends(row.candidate)} | {_with_ends(row.baseline)} | {_difference(row)} |"
        for name, row in c.differences.items()
    ]
    lines += ["", _how_paired(c), ""]
    lines += [f"{beside[0].upper()}{beside[1:]}.", ""] if (beside := to_charge(c)) else []
    for role, side in (("Candidate", c.candidate), ("Baseline", c.baseline)):
        if side is not None:
            lines += [f"### {role}", "", *_matrix(side), ""]
    if c.pairs:
        p = c.pairs
        lines += [
            f"Both right on {p.both:,} rows, only the candidate on {p.only_candidate:,}, only the baseline on "
            f"{p.only_baseline:,}, neither on {p.neither:,}; exact McNemar test of equal accuracy: p = {p.p:.3g}.",
            "",
        ]
    return lines


def _how_paired(c: Comparison) -> str:
    if any(row.paired for row in c.differences.values()):
        return "Differences are paired: both were scored on the same rows, which cancels what is hard for both."
    if any(row.low is not None for row in c.differences.values()):
        return (
            "Differences are not paired, since not both predictions and the labels are at hand; their intervals take "
            "the two for measured on different rows, and are wider than they need be."
        )
    return "The differences have no intervals: the baseline states values alone." if c.baseline else ""


def _matrix(side: Side) -> list[str]:
    if side.failure:
        return [f"No score: {side.failure}."]
    if side.confusion is None:
        return ["No confusion matrix."]
    return ["```", *matrix(side.confusion), "```"]


def matrix(c: Counts) -> list[str]:
    """A confusion matrix as text."""
    return [
        "            predicted 0  predicted 1",
        f"class 0   {c.tn:>13,}{c.fp:>13,}",
        f"class 1   {c.fn:>13,}{c.tp:>13,}",
    ]


def _number(value: Value | None) -> str:
    return "-" if value is None or value.value is None else f"{value.value:.4f}"


def _with_ends(value: Value | None) -> str:
    if value is None or value.value is None or value.low is None or value.high is None:
        return _number(value)
    return f"{value.value:.4f} ({value.low:.4f} to {value.high:.4f})"


def _difference(row: Difference) -> str:
    if row.value is None:
        return "-"
    ends = f" ({row.low:+.4f} to {row.high:+.4f})" if row.low is not None and row.high is not None else ""
    return f"{row.value:+.4f}{ends}"


def _inert(text: str) -> str:
    """Text without what markdown or HTML would act upon."""
    return "".join(f"\\{c}" if c in "\\`*_[]<>|#" else c for c in text)
