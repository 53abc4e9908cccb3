"""What was measured, as a table in Markdown, as verdicts, and as JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from baselines.speed.machine import described
from baselines.speed.measure import Agreement, Comparison, Measured

BAR = 2.0


def verdicts(found: Comparison, fast: str, large: str) -> list[str]:
    """PASSED or FAILED at 2x: against the larger model, and against the stock loop with the same weights."""
    rate: dict[tuple[str, bool], float] = {}
    for m in found.measured:  # of each model the engine that a user gets, and the stock loop, come first
        rate.setdefault((m.model, m.engine.startswith("stock,")), m.rate)
    lines = []
    mine = rate.get((fast, False))
    for title, other in (
        (f"{large}, packed", rate.get((large, False))),
        ("the stock loop", rate.get((fast, True))),
    ):
        if mine is None or other is None:
            why = found.missing.get(fast) or found.missing.get(large) or "it was not asked for"
            lines.append(f"{fast} against {title}: not measured ({why})")
        else:
            ratio = mine / other
            lines.append(f"{fast} against {title}: {ratio:.2f}x, {'PASSED' if ratio >= BAR else 'FAILED'} at {BAR:g}x")
    return lines


def table(found: Sequence[Measured]) -> str:
    """The measurements as a table in markdown, a line each; how much faster the first is than each."""
    head = (
        "| model | engine | sequences | total s | ms per sequence | sequences/s | residues/s | padded | peak MB "
        "| share of matmul | the first is |"
    )
    lines = [head, "|---|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|"]
    lines += [
        f"| {m.model} | {m.engine} | {m.sequences:,} | {m.seconds:.2f} | {1000 * m.seconds / m.sequences:.1f} "
        f"| {m.rate:.2f} | {m.residues / m.seconds:,.0f} | {m.padded:.1%} | {m.peak_memory_mb:,.0f} | {m.share:.0%} "
        f"| {found[0].rate / m.rate:.2f}x |"
        for m in found
    ]
    return "\n".join(lines)


def agreed(found: Sequence[Agreement]) -> list[str]:
    """What the packed engine's numbers are worth, a line each."""
    return [
        f"{a.model}: smallest cosine to plain torch in fp32 {a.cosine:.5f} (vectors less their mean); a sequence alone "
        f"and among others differs by at most {a.alone:.1e}"
        for a in found
    ]


def write(folder: Path, found: Comparison, lines: Sequence[str], *, weights: str, device: str) -> Path:
    """`speed_benchmark.md`, and the same as JSON beside it."""
    folder.mkdir(parents=True, exist_ok=True)
    machine = described(device)
    where = "; ".join(machine[key] if key == "device" else f"{key} {machine[key]}" for key in machine)
    text = (
        f"# Speed benchmark\n\n{where}. {weights}\n\n{table(found.measured)}\n\n"
        + "".join(f"- {line}\n" for line in [*lines, *agreed(found.agreements)])
        + "\nTimes are of this machine in this run; only ratios travel. The share is of the fastest matrix product\n"
        "here in the precision of the packed engine.\n"
    )
    path = folder / "speed_benchmark.md"
    path.write_text(text, encoding="utf-8")
    content: dict[str, Any] = {
        "machine": machine,
        "weights": weights,
        "measured": [asdict(m) for m in found.measured],
        "agreement": [asdict(a) for a in found.agreements],
        "missing": found.missing,
        "verdicts": list(lines),
    }
    (folder / "speed_benchmark.json").write_text(json.dumps(content, indent=1) + "\n")
    return path
