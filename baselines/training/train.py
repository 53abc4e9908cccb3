"""Train, test and compare heads on frozen features: every sequence is embedded once, every result has its place.

<out>/checkpoints/<backbone>/<head>/                model.skops, metadata.json
<out>/benchmarks/<backbone>/<head>/<dataset>/       predictions.csv, metrics.json, confusion_matrix.csv
<out>/comparison.csv, comparison.md, comparison.svg
"""

from __future__ import annotations

import hashlib
import json
import platform
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.stats import spearmanr
from sklearn.metrics import accuracy_score, confusion_matrix, f1_score, roc_auc_score
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

from baselines.backbones.tokens import clean
from baselines.errors import DataError
from baselines.predicting import store
from baselines.predicting.features import Features, folder_name
from baselines.predicting.store import require_backbone
from baselines.training import folds, heads
from baselines.training.data import TrainingSet

FOLDS = 10
SEED = 20261121
Matrix = npt.NDArray[np.float64]
Say = Callable[[str], None]


@dataclass(frozen=True, eq=False)
class Dataset:
    """Sequences to test on: `label` 0/1 or `target`, or neither.

    Attributes:
        name: of its folder or file.
        kind: `label`, `target` or empty.
        truth: [n]; empty where there is none.
    """

    name: str
    ids: tuple[str, ...]
    sequences: tuple[str, ...]
    kind: str
    truth: Matrix
    sha256: str


def read_dataset(path: Path) -> Dataset:
    """A folder with sequences.csv and labels.csv, or a CSV with `sequence`, perhaps `sequence_id`, `label`, `target`.

    Raises:
        DataError: it is neither.
    """
    files = [path / "sequences.csv", path / "labels.csv"] if path.is_dir() else [path]
    try:
        tables = [pd.read_csv(f, dtype=str, keep_default_na=False) for f in files]
        table = tables[0]
        if len(tables) == 2:
            if set(table["sequence_id"]) != set(tables[1]["sequence_id"]):
                raise ValueError("sequences.csv and labels.csv do not hold the same ids")
            table = table.merge(tables[1], on="sequence_id", validate="1:1")
        kind = next((k for k in ("label", "target") if k in table), "")
        truth: Matrix = np.asarray(table[kind] if kind else [], dtype=np.float64)
        ids = table["sequence_id"] if "sequence_id" in table else pd.Series(map(str, range(1, len(table) + 1)))
        sequences = tuple(table["sequence"].str.upper())
    except (OSError, ValueError, KeyError) as error:
        raise DataError(f"{path} is no dataset: {error}") from error
    if not len(table) or (kind == "label" and not set(truth.tolist()) <= {0.0, 1.0}):
        raise DataError(f"{path} has no rows, or a label that is neither 0 nor 1.")
    whole = hashlib.sha256()
    for f in files:
        whole.update(f.read_bytes())
    return Dataset(
        folder_name(path.resolve().name.removesuffix(".csv")), tuple(ids), sequences, kind, truth, whole.hexdigest()
    )


def cross_validate(
    head: str, x: Matrix, y: npt.NDArray[np.int64], groups: npt.NDArray[np.int64] | None, seed: int
) -> dict[str, dict[str, float]]:
    """Mean and standard deviation over folds of accuracy, F1 and ROC-AUC.

    Args:
        x: [n, d] features.
        y: [n] 0/1.
        groups: [n] clusters that stay on one side; None for plain stratified folds.
    """
    splitter = StratifiedGroupKFold if groups is not None else StratifiedKFold
    split = splitter(FOLDS, shuffle=True, random_state=seed).split(x, y, groups)
    rows = []
    for train, test in split:
        if len(np.unique(y[train])) < 2 or not len(test):
            continue  # one large cluster can leave a fold without a class, or without rows
        model = heads.pipeline(head, seed).fit(x[train], y[train])
        score = model.predict_proba(x[test])[:, 1]
        hard = (score >= 0.5).astype(int)
        area = roc_auc_score(y[test], score) if len(np.unique(y[test])) == 2 else np.nan
        rows.append((accuracy_score(y[test], hard), f1_score(y[test], hard, zero_division=0), area))
    table = np.array(rows).reshape(-1, 3)
    found = {}
    for k, name in enumerate(("accuracy", "f1", "roc_auc")):
        values = table[np.isfinite(table[:, k]), k]
        if len(values) < 2:
            raise DataError("Too few folds have both classes: the training set is too small, or one cluster fills it.")
        found[name] = {
            "mean": round(float(values.mean()), 6), "sd": round(float(values.std(ddof=1)), 6), "folds": len(values),
        }  # fmt: skip
    return found


def train(
    features: Features, x: Matrix, data: TrainingSet, head: str, out: Path, *, seed: int = SEED,
    groups: npt.NDArray[np.int64] | None = None,
) -> Path:  # fmt: skip
    """Cross-validate a head, fit it on everything, and store it; the same seed gives the same bytes.

    Args:
        x: features of the training set, [n, d].
        groups: clusters of the training sequences; computed where not given.

    Returns:
        Its folder under `<out>/checkpoints/`.
    """
    y = np.array(data.labels, dtype=np.int64)
    groups = folds.clusters(clean(data.sequences)) if groups is None else groups
    fewest = min(int(y.sum()), int((1 - y).sum()), int(groups.max()) + 1)
    if fewest < FOLDS:
        raise DataError(f"{FOLDS} folds need as many rows of each class and as many clusters; there are {fewest}.")
    model = heads.pipeline(head, seed).fit(x, y)
    known = {
        "model_name": f"{features.name}-{head}",
        "backbone": features.describe(),
        "classifier": {"type": head, "class": type(model[-1]).__name__, "parameters": store.parameters(model)},
        "training": {
            "set": data.name, "sha256": data.sha256, "n": len(y), "positives": int(y.sum()),
            "clusters": int(groups.max()) + 1,
        },
        "cross_validation": {
            "folds": FOLDS,
            "stratified": cross_validate(head, x, y, None, seed),
            "by_cluster": cross_validate(head, x, y, groups, seed),
        },
        "seed": seed,
        "versions": _versions(),
    }  # fmt: skip
    folder = out / "checkpoints" / features.name / head
    store.save(folder, model, known)
    return folder


def _versions() -> dict[str, str]:
    """Of everything that decides a model's bytes."""
    names = ("numpy", "scipy", "scikit-learn", "skops", "xgboost-cpu", "torch")
    return {"python": platform.python_version(), **{n: _version(n) for n in names}}


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "none"


def is_current(folder: Path, features: Features, data: TrainingSet, head: str, seed: int) -> bool:
    """Whether a finished model is there that was trained on just this."""
    try:
        found = store.load(folder).metadata
        same_head = found["classifier"]["parameters"] == store.parameters(heads.pipeline(head, seed))
        same_data = found["training"]["sha256"] == data.sha256 and found["seed"] == seed
        same_tools = found["versions"] == _versions() and found["cross_validation"]["folds"] == FOLDS
        return bool(same_head and same_data and same_tools and found["backbone"] == features.describe())
    except (DataError, KeyError, TypeError):
        return False


def test(trained: store.Trained, x: Matrix, data: Dataset, out: Path) -> dict[str, Any]:
    """Score a dataset and write predictions with ids, metrics and, with labels, the confusion matrix.

    Args:
        x: features of the dataset, [n, d].
    """
    known = trained.metadata
    name = "+".join(folder_name(part["name"]) for part in known["backbone"])
    folder = out / "benchmarks" / name / folder_name(known["classifier"]["type"]) / data.name
    folder.mkdir(parents=True, exist_ok=True)
    score = trained.model.predict_proba(x)[:, 1]
    hard = (score >= 0.5).astype(int)
    table = pd.DataFrame({"sequence_id": data.ids, "prediction": hard, "score": score})
    found: dict[str, Any] = {"n": len(data.ids)}
    if data.kind:
        table[data.kind] = data.truth
    if data.kind == "label":
        y = data.truth.astype(int)
        counts = confusion_matrix(y, hard, labels=[0, 1])
        pd.DataFrame(counts, index=["true_0", "true_1"], columns=["predicted_0", "predicted_1"]).to_csv(
            folder / "confusion_matrix.csv", lineterminator="\n"
        )
        both = len(set(y.tolist())) == 2
        found |= {
            "accuracy": float(accuracy_score(y, hard)), "f1": float(f1_score(y, hard, zero_division=0)),
            "roc_auc": float(roc_auc_score(y, score)) if both else None,
        }  # fmt: skip
    elif data.kind == "target":
        rank = float(spearmanr(data.truth, score).statistic)
        found["spearman"] = rank if np.isfinite(rank) else None
    table.to_csv(folder / "predictions.csv", index=False, lineterminator="\n")
    whole = {"model": known["model_name"], "dataset": data.name, "dataset_sha256": data.sha256, "metrics": found}
    (folder / "metrics.json").write_text(json.dumps(whole, indent=1, sort_keys=True, allow_nan=False) + "\n")
    return found


def matrix(
    specs: Sequence[str], names: Sequence[str], data: TrainingSet, datasets: Sequence[Dataset], out: Path, *, say: Say,
    seed: int = SEED, **options: Any,
) -> pd.DataFrame:  # fmt: skip
    """Every backbone with every head: what is finished is kept, each sequence is embedded once for all heads and folds.

    Returns:
        The comparison, one row per model, also written as CSV, markdown and SVG.
    """
    groups = folds.clusters(clean(data.sequences))
    every = [Features(spec, **options) for spec in specs]
    for kind, called in (("backbones", [f.name for f in every]), ("datasets", [d.name for d in datasets])):
        if len(set(called)) < len(called):
            raise DataError(f"Two {kind} share a name ({', '.join(called)}), and would share a folder. Rename one.")
    rows: list[dict[str, Any]] = []
    for features in every:
        x = features.matrix(data.sequences, progress=True)
        tests = {d.name: features.matrix(d.sequences, progress=True) for d in datasets}
        for head in names:
            folder = out / "checkpoints" / features.name / head
            if is_current(folder, features, data, head, seed):
                say(f"{features.name} {head}: kept")
            else:
                train(features, x, data, head, out, seed=seed, groups=groups)
                say(f"{features.name} {head}: trained")
            trained = store.load(folder)
            require_backbone(trained, features)
            row = {"backbone": features.name, "head": head, **_validation(trained.metadata)}
            for d in datasets:
                for metric, value in test(trained, tests[d.name], d, out).items():
                    if metric != "n":
                        row[f"{d.name} {metric}"] = value
            rows.append(row)
    from baselines.training.comparison import write

    return write(pd.DataFrame(rows), out)


def _validation(known: dict[str, Any]) -> dict[str, float]:
    found = known["cross_validation"]
    return {
        f"{kind} {metric} {what}": found[key][metric][what]
        for kind, key in (("CV", "stratified"), ("cluster CV", "by_cluster"))
        for metric in ("accuracy", "f1", "roc_auc")
        for what in ("mean", "sd")
    }
