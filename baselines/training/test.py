"""A trained model on a dataset: its predictions with their ids, and its metrics.

<out>/benchmarks/<backbone>/<head>/<dataset>/    predictions.csv, metrics.json, confusion_matrix.csv
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.stats import spearmanr
from sklearn.metrics import accuracy_score, confusion_matrix, f1_score, roc_auc_score

from baselines.predicting.features import Matrix, Residues, folder_name, shown_in
from baselines.predicting.store import Trained
from baselines.training.data import Dataset


def test(trained: Trained, x: Matrix | Residues, data: Dataset, out: Path) -> dict[str, Any]:
    """Score a dataset and write predictions with ids, metrics and, with labels, the confusion matrix.

    Args:
        x: features of the dataset, [n, d], or its residues.

    Returns:
        How many rows, and every metric that the dataset allows; None for what is undefined.
    """
    known = trained.metadata
    name = shown_in(known["backbone"])
    folder = out / "benchmarks" / name / _head(known) / data.name
    folder.mkdir(parents=True, exist_ok=True)
    score = trained.model.predict_proba(x)[:, 1]
    hard = (score >= 0.5).astype(int)
    table = pd.DataFrame({"sequence_id": data.ids, "prediction": hard, "score": score})
    if data.kind:
        table[data.kind] = data.truth.astype(int) if data.kind == "label" else data.truth
    table.to_csv(folder / "predictions.csv", index=False, lineterminator="\n")
    if data.kind == "label":
        counts = confusion_matrix(data.truth.astype(int), hard, labels=[0, 1])
        confusion = pd.DataFrame(counts, index=["true_0", "true_1"], columns=["predicted_0", "predicted_1"])
        confusion.to_csv(folder / "confusion_matrix.csv", lineterminator="\n")
    metrics = {"n": len(data.ids), **_metrics(data, score, hard)}
    content = {"model": known["model_name"], "dataset": data.name, "dataset_sha256": data.sha256, "metrics": metrics}
    (folder / "metrics.json").write_text(json.dumps(content, indent=1, sort_keys=True, allow_nan=False) + "\n")
    return metrics


def _head(known: dict[str, Any]) -> str:
    return folder_name(known["classifier"].get("name") or known["classifier"]["type"])


def _metrics(data: Dataset, score: npt.NDArray[np.float64], hard: npt.NDArray[np.int64]) -> dict[str, float | None]:
    if data.kind == "label":
        y = data.truth.astype(int)
        return {
            "accuracy": float(accuracy_score(y, hard)),
            "f1": float(f1_score(y, hard, zero_division=0)),
            "roc_auc": float(roc_auc_score(y, score)) if len(set(y.tolist())) == 2 else None,
        }
    if data.kind == "target":
        rank = float(spearmanr(data.truth, score).statistic)
        return {"spearman": rank if np.isfinite(rank) else None}
    return {}
