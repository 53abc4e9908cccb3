"""All trained models of a folder on one page, in plain words: how they did on held-out folds, families and test sets.

Written from what `train` left: metadata of checkpoints, and predictions on test sets. Where a board's records are
named, net charge and published predictions stand in the same tables.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from baselines.errors import DataError
from baselines.predicting import store
from baselines.training import intervals
from baselines.training.intervals import Interval

METRICS: dict[str, tuple[str, str, Callable[..., Interval]]] = {
    "label": ("roc_auc", "ROC-AUC", intervals.roc_auc),
    "target": ("spearman", "Spearman", intervals.spearman),
}
"""By the column that a test set's truth stands in."""


@dataclass(frozen=True)
class Score:
    """A model on a test set."""

    model: str
    value: float
    low: float | None
    high: float | None

    @property
    def cells(self) -> str:
        """The line of a table."""
        ends = "" if self.low is None or self.high is None else f"{self.low:.3f} to {self.high:.3f}"
        return f"| {self.model} | {self.value:.3f} | {ends} |"


def text(out: Path, board: Path | None = None) -> str:
    """The page.

    Args:
        out: what `apb-zoo train` wrote to.
        board: records of `apb evaluate` and `apb archive`, whose net charge and published predictions are shown beside.

    Raises:
        DataError: there is no trained model.
    """
    models = dict(_models(out))
    if not models:
        raise DataError(f"{out} holds no trained model.")
    sets = dict.fromkeys(path.name for path in sorted(out.glob("benchmarks/*/*/*")) if path.is_dir())
    parts = [
        "# What the model zoo says",
        "",
        "Written by `apb-zoo report` from checkpoints and predictions. Nothing was chosen by looking at a",
        "test set. Intervals are at 95 %. Sorted by value: neighbours rarely differ.",
        "",
        *_validation(models),
        *_families(models),
        *_costs(out, models),
    ]
    for name in sets:
        parts += _test_set(out, name, models, board)
    return "\n".join(parts) + "\n"


def _models(out: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    for path in sorted(out.glob(f"checkpoints/*/*/{store.METADATA}")):
        metadata = store.read_metadata(path.parent)
        if metadata:
            yield f"{path.parent.parent.name} {path.parent.name}", metadata


def _validation(models: Mapping[str, Mapping[str, Any]]) -> list[str]:
    first = next(iter(models.values()))["training"]
    lines = [
        f"## Cross-validation on {first['n']} antibodies of {first['set']}",
        "",
        "ROC-AUC over folds, mean and standard deviation; by cluster, near copies stay on one side.",
        "",
        "| model | folds | stratified | by cluster |",
        "|---|---:|---:|---:|",
    ]
    for name, known in models.items():
        areas = [known["cross_validation"][kind]["roc_auc"] for kind in ("stratified", "by_cluster")]
        count = known["cross_validation"]["folds"]
        lines.append(f"| {name} | {count} | " + " | ".join(f"{a['mean']:.3f} ± {a['sd']:.3f}" for a in areas) + " |")
    return [*lines, ""]


def _families(models: Mapping[str, Mapping[str, Any]]) -> list[str]:
    by_model = {name: known["cross_validation"].get("by_family", {}) for name, known in models.items()}
    families = {family: of_it for found in by_model.values() for family, of_it in found.items()}
    if not families:
        return []
    head = " | ".join(f"{f} ({of_it['positives']} of {of_it['n']})" for f, of_it in families.items())
    lines = [
        "## Each family left out",
        "",
        "ROC-AUC on a family, with its interval, of a model trained on all others; in brackets positives and rows.",
        "",
        f"| model | {head} |",
        "|---|" + "---:|" * len(families),
    ]
    for name, found in by_model.items():
        lines.append(f"| {name} | " + " | ".join(_area(found.get(family, {})) for family in families) + " |")
    return [*lines, ""]


def _costs(out: Path, models: Mapping[str, Any]) -> list[str]:
    lines = [
        "## What each took",
        "",
        "Of one run on one machine; training counts all folds, memory is the whole process's so far.",
        "",
        "| model | weights of the backbone | features per 1,000 antibodies, s | training, s | memory, MB |",
        "|---|---:|---:|---:|---:|",
    ]
    for name in models:
        path = out / "checkpoints" / name.replace(" ", "/", 1) / "cost.json"
        if path.is_file():
            c = json.loads(path.read_text(encoding="utf-8"))
            pace = 1000 * c["features_seconds"] / c["sequences"]
            took = f"{pace:.1f} | {c['training_seconds']:.0f} | {c['peak_memory_mb']:,.0f}"
            lines.append(f"| {name} | {c['parameters']:,} | {took} |")
    return [*lines, ""] if len(lines) > 6 else []


def _area(of_family: Mapping[str, Any]) -> str:
    value = of_family.get("roc_auc")
    if value is None:
        return str(of_family.get("reason", ""))
    low, high = of_family.get("low"), of_family.get("high")
    return f"{value:.3f}" + (f" ({low:.3f} to {high:.3f})" if low is not None and high is not None else "")


def _test_set(out: Path, name: str, models: Mapping[str, Any], board: Path | None) -> list[str]:
    found, title = [], ""
    for model in models:
        backbone, head = model.split(" ", 1)
        path = out / "benchmarks" / backbone / head / name / "predictions.csv"
        if not path.is_file():
            continue
        columns = pd.read_csv(path, nrows=0).columns
        kind = next((k for k in METRICS if k in columns), "")
        if not kind:
            continue
        metric, title, estimate = METRICS[kind]
        table = pd.read_csv(path)
        if interval := estimate(table[kind].to_numpy(), table["score"].to_numpy()):
            found.append(Score(model, *interval))
            found += [s for s in _on_the_board(board, name, metric) if s not in found] if board else []
    if not found:
        return []
    lines = [f"## {name}", "", f"| model | {title} | interval |", "|---|---:|---|"]
    return [*lines, *(s.cells for s in sorted(found, key=lambda s: -s.value)), ""]


def _on_the_board(board: Path, track: str, metric: str) -> Iterator[Score]:
    for path in sorted(board.glob(f"*/{track}.json")):
        record = json.loads(path.read_text(encoding="utf-8"))
        published = record["sandbox"] == "archived"
        if path.parent.name != "net-charge" and not published:
            continue
        value = record["metrics"].get(metric)
        if value and value["value"] is not None:
            title = f"**{path.parent.name}**" + (", published predictions" if published else "")
            yield Score(title, value["value"], value["low"], value["high"])
