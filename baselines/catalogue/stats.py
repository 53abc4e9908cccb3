"""What a zoo or a board is made of: counts that add up, sizes, and what is missing; as markdown, JSON and plots."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from statistics import mean, median
from typing import Any

from baselines.catalogue.checkpoints import Described, Refused

COUNTED = ("type", "task", "dataset", "architecture", "backbone", "head")
"""Each model has exactly one of each, so that the counts of any of them add up to all models."""


def statistics(found: Sequence[Described], refused: Sequence[Refused]) -> dict[str, Any]:
    """Of all models that could be read; those that could not are named with the reason."""
    sizes = [d.parameters for d in found if d.parameters is not None]
    return {
        "total_models": len(found),
        **{f"models_by_{what}": _counts(getattr(d, what) for d in found) for what in COUNTED},
        "parameter_count": {
            "models": len(sizes),
            "min": min(sizes, default=None),
            "max": max(sizes, default=None),
            "mean": mean(sizes) if sizes else None,
            "median": median(sizes) if sizes else None,
        },
        "missing": _counts(what for d in found for what in d.missing),
        "refused": {r.name: r.why for r in refused},
    }


def _counts(values: Any) -> dict[str, int]:
    return dict(sorted(Counter(values).items(), key=lambda pair: (-pair[1], pair[0])))


def markdown(told: dict[str, Any]) -> str:
    """The page."""
    size = told["parameter_count"]
    lines = ["# Models", "", "| Statistic | Value |", "|---|---|", f"| models | {told['total_models']:,} |"]
    for what in COUNTED:
        counts = ", ".join(f"{_cell(name)} {n}" for name, n in told[f"models_by_{what}"].items())
        lines.append(f"| by {what} | {counts or 'none'} |")
    if size["models"]:
        lines.append(
            f"| parameters, of {size['models']} models | least {size['min']:,}, most {size['max']:,}, "
            f"mean {size['mean']:,.0f}, median {size['median']:,.0f} |"
        )
    missing = ", ".join(f"{_cell(name)} {n}" for name, n in told["missing"].items())
    lines.append(f"| missing | {missing or 'nothing'} |")
    if told["refused"]:
        lines += ["", "## Not read", ""]
        lines += [f"- {_cell(name)}: {_cell(why)}" for name, why in told["refused"].items()]
    return "\n".join(lines) + "\n"


def write(told: dict[str, Any], out: Path) -> None:
    """`stats.md`, `stats.json`, and a bar plot for each thing that is counted."""
    out.mkdir(parents=True, exist_ok=True)
    (out / "stats.md").write_text(markdown(told), encoding="utf-8")
    (out / "stats.json").write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
    if told["total_models"]:
        for what in COUNTED:
            _bars(told[f"models_by_{what}"], what, out / f"models_by_{what}.svg")


def _bars(counts: dict[str, int], what: str, path: Path) -> None:
    import matplotlib as mpl

    mpl.use("svg")
    mpl.rcParams["svg.hashsalt"] = "stats"  # the same counts give the same file
    import matplotlib.pyplot as plt

    names = [name.replace("$", r"\$")[:40] for name in counts]
    figure, axes = plt.subplots(figsize=(6, 1.0 + 0.3 * len(counts)), layout="constrained")
    axes.bar_label(axes.barh(range(len(counts)), list(counts.values()), color="#2b7fc4"))
    axes.set_yticks(range(len(counts)), names)
    axes.invert_yaxis()
    axes.set_xlabel(f"models by {what}")
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)


def _cell(text: str) -> str:
    """Inert in a table of markdown, and on one line."""
    return " ".join(
        "".join(c if c.isprintable() else " " for c in text).replace("|", "\\|").replace("<", "&lt;").split()
    )
