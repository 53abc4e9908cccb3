"""Every backbone with every head, compared: each sequence is embedded once, and what is finished is kept.

<out>/comparison.csv, comparison.md, comparison.svg, beside what `train` and `test` write of each model
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from baselines.backbones.tokens import clean
from baselines.errors import DataError
from baselines.predicting import store
from baselines.predicting.features import Features
from baselines.training import comparison, folds
from baselines.training.data import Dataset, TrainingSet
from baselines.training.test import test
from baselines.training.train import SEED, is_current, train


def matrix(
    specs: Sequence[str],
    heads: Sequence[str],
    data: TrainingSet,
    datasets: Sequence[Dataset],
    out: Path,
    *,
    say: Callable[[str], None],
    seed: int = SEED,
    **options: Any,
) -> pd.DataFrame:
    """Train what is not there yet, test everything, and compare; a sequence is embedded once for all heads and folds.

    Args:
        specs: of `Features`.
        options: for `Features`.

    Returns:
        The comparison, one row per model, also written as CSV, markdown and SVG.

    Raises:
        DataError: two backbones or datasets share a name, or one of them is not what it should be.
    """
    groups = folds.clusters(clean(data.sequences))
    backbones = [Features(spec, **options) for spec in specs]
    _require_distinct("backbones", [f.name for f in backbones])
    _require_distinct("datasets", [d.name for d in datasets])
    rows: list[dict[str, Any]] = []
    for features in backbones:
        x = features.matrix(data.sequences, data.light, progress=True)
        tests = [(d, features.matrix(d.sequences, d.light, progress=True)) for d in datasets]
        for head in heads:
            folder = out / "checkpoints" / features.name / head
            if is_current(folder, features, data, head, seed):
                say(f"{features.name} {head}: kept")
            else:
                train(features, x, data, head, out, seed=seed, groups=groups)
                say(f"{features.name} {head}: trained")
            trained = store.load(folder)
            store.require_backbone(trained, features)
            row = {"backbone": features.name, "head": head, **_validation(trained.metadata)}
            for dataset, x_test in tests:
                metrics = test(trained, x_test, dataset, out)
                row |= {f"{dataset.name} {name}": value for name, value in metrics.items() if name != "n"}
            rows.append(row)
    return comparison.write(pd.DataFrame(rows), out)


def _require_distinct(kind: str, names: list[str]) -> None:
    if len(set(names)) < len(names):
        raise DataError(f"Two {kind} share a name ({', '.join(names)}), and would share a folder. Rename one.")


def _validation(metadata: dict[str, Any]) -> dict[str, float]:
    """The cross-validation of a model's metadata as columns of the comparison."""
    found = metadata["cross_validation"]
    return {
        f"{kind} {metric} {what}": found[key][metric][what]
        for kind, key in (("CV", "stratified"), ("cluster CV", "by_cluster"))
        for metric in ("accuracy", "f1", "roc_auc")
        for what in ("mean", "sd")
    }
