"""One head on frozen features: cross-validated, fitted on everything, and stored with all that it follows from.

<out>/checkpoints/<backbone>/<head>/    model.skops, metadata.json
"""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.metrics import accuracy_score, f1_score, roc_auc_score
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

from baselines.backbones.tokens import clean
from baselines.errors import DataError
from baselines.predicting import store
from baselines.predicting.features import Features, Matrix, Residues
from baselines.training import folds, heads, intervals, tuning
from baselines.training.data import TrainingSet
from baselines.training.finetuning import FineTuned

SEED = 20261121
TUNED_FOLDS = 5
"""Where a backbone is fine-tuned for each fold anew."""
Seen = Matrix | Residues | FineTuned


def fold_count(x: Seen) -> int:
    """Of a cross-validation."""
    return TUNED_FOLDS if isinstance(x, FineTuned) else folds.FOLDS


def _learned_from(x: Seen, rows: npt.NDArray[np.int64]) -> Any:
    """What a head sees that may learn from these rows only."""
    return x.on(rows) if isinstance(x, FineTuned) else x


def _fitted(
    head: str,
    seed: int,
    parameters: Mapping[str, Any] | None,
    x: Any,
    y: npt.NDArray[np.int64],
    rows: npt.NDArray[np.int64],
    flags: npt.NDArray[np.int64] | None,
) -> Any:
    """A head that has learned from x and y of these rows, or from their flags."""
    if flags is None:
        return heads.fitted(heads.fresh(head, seed, parameters), x, y)
    levels = heads.levels_of(head, flags[rows])
    return heads.fitted(heads.fresh(head, seed, parameters, levels), x, flags[rows], levels)


def cross_validate(
    head: str,
    x: Seen,
    y: npt.NDArray[np.int64],
    groups: npt.NDArray[np.int64] | None,
    seed: int,
    parameters: Mapping[str, Any] | None = None,
    flags: npt.NDArray[np.int64] | None = None,
) -> dict[str, dict[str, float]]:
    """Mean and standard deviation over folds of accuracy, F1 and ROC-AUC.

    Args:
        x: [n, d] features, or residues, or what is fine-tuned for each fold.
        y: [n] 0/1.
        groups: [n] clusters that stay on one side; None for plain stratified folds.
        parameters: as in `heads.fresh`.
        flags: [n] ordered labels to learn from, if any; it is judged by `y` all the same.
    """
    splitter = StratifiedGroupKFold if groups is not None else StratifiedKFold
    split = splitter(fold_count(x), shuffle=True, random_state=seed).split(np.zeros(len(y)), y, groups)
    rows, needed = [], heads.fewest(head)
    for train, test in split:
        if min(np.bincount(y[train], minlength=2)) < needed or not len(test):
            continue  # one large cluster can leave a fold without enough of a class, or without rows
        seen = _learned_from(x, train)
        model = _fitted(head, seed, parameters, seen[train], y[train], train, flags)
        score = model.predict_proba(seen[test])[:, 1]
        hard = (score >= 0.5).astype(int)
        area = roc_auc_score(y[test], score) if len(np.unique(y[test])) == 2 else np.nan
        rows.append((accuracy_score(y[test], hard), f1_score(y[test], hard, zero_division=0), area))
    table = np.array(rows).reshape(-1, 3)
    found = {}
    for k, name in enumerate(("accuracy", "f1", "roc_auc")):
        values = table[np.isfinite(table[:, k]), k]
        if len(values) < 2:
            raise DataError(
                f"Too few folds leave {needed} rows of each class to train on and both classes to test on: the "
                "training set is too small, or one cluster of near copies fills it."
            )
        found[name] = {
            "mean": round(float(values.mean()), 6),
            "sd": round(float(values.std(ddof=1)), 6),
            "folds": len(values),
        }
    return found


def leave_families_out(
    head: str,
    x: Seen,
    y: npt.NDArray[np.int64],
    families: Sequence[str],
    seed: int,
    parameters: Mapping[str, Any] | None = None,
    flags: npt.NDArray[np.int64] | None = None,
) -> dict[str, dict[str, Any]]:
    """Each family as predicted by a head that was trained on all others: rows, positives, ROC-AUC and its interval.

    Args:
        families: [n] where each row comes from.
        parameters, flags: as in `cross_validate`.
    """
    found = {}
    for family in sorted(set(families)):
        inside, outside = (np.flatnonzero([(f == family) == here for f in families]) for here in (True, False))
        of_family: dict[str, Any] = {"n": len(inside), "positives": int(y[inside].sum()), "roc_auc": None}
        rest = np.bincount(y[outside], minlength=2)
        if len(np.unique(y[inside])) < 2:
            of_family["reason"] = "all of its rows are of one class"
        elif min(rest) < heads.fewest(head):
            of_family["reason"] = "the others lack rows of a class to train on"
        else:
            seen = _learned_from(x, outside)
            model = _fitted(head, seed, parameters, seen[outside], y[outside], outside, flags)
            score = model.predict_proba(seen[inside])[:, 1]
            area = intervals.roc_auc(y[inside], score)
            assert area is not None
            of_family |= dict(zip(("roc_auc", "low", "high"), (round(v, 6) for v in area), strict=True))
        found[family] = of_family
    return found


def train(
    features: Features,
    x: Seen,
    data: TrainingSet,
    head: str,
    out: Path,
    *,
    seed: int = SEED,
    groups: npt.NDArray[np.int64] | None = None,
    parameters: Mapping[str, Any] | None = None,
    tune: bool = False,
    configuration: Mapping[str, Any] | None = None,
    name: str = "",
) -> Path:
    """Cross-validate a head, fit it on everything, and store it; the same seed gives the same bytes.

    Args:
        x: features of the training set, [n, d], or its residues.
        groups: clusters of the training sequences; computed where not given.
        parameters: of the head, by name.
        name: of its folder; default the head's.
        configuration: that all of this follows from, for the metadata.
        tune: choose how strongly the head is regularised, on the training set alone.

    Returns:
        Its folder under `<out>/checkpoints/`.
    """
    y = np.array(data.labels, dtype=np.int64)
    groups = folds.clusters(clean(data.sequences)) if groups is None else groups
    folds.require_enough(y, groups)
    chosen = tuning.choose(head, x, y, groups, seed) if tune and isinstance(x, np.ndarray) else {}
    settled = {**(parameters or {}), **({"C": float(next(iter(chosen)))} if chosen else {})}
    flags = np.array(data.flags, dtype=np.int64) if data.flags else None
    every = np.arange(len(y))
    model = _fitted(head, seed, settled, _learned_from(x, every), y, every, flags)
    known = {
        "model_name": f"{features.name}-{name or head}",
        "backbone": features.describe(),
        "classifier": {
            "type": head,
            **({"name": name} if name else {}),
            "class": type(store.classifier(model)).__name__,
            "parameters": store.parameters(model),
        },
        "training": {
            "set": data.name,
            "sha256": data.sha256,
            "n": len(y),
            "positives": int(y.sum()),
            "clusters": int(groups.max()) + 1,
            "families": _digest(data.families),
            **({"flags": _digest([str(f) for f in data.flags])} if data.flags else {}),
        },
        "cross_validation": {
            "folds": fold_count(x),
            "stratified": cross_validate(head, x, y, None, seed, settled, flags),
            "by_cluster": cross_validate(head, x, y, groups, seed, settled, flags),
            **(
                {"by_family": leave_families_out(head, x, y, data.families, seed, settled, flags)}
                if len(set(data.families)) > 1
                else {}
            ),
        },
        **({"tuned": {"C": settled["C"], "roc_auc_by_cluster": chosen}} if chosen else {}),
        **({"configuration": dict(configuration)} if configuration else {}),
        "seed": seed,
        "versions": _versions(),
    }
    folder = out / "checkpoints" / features.name / (name or head)
    store.save(folder, model, known)
    return folder


def summary(folder: Path) -> list[str]:
    """The cross-validation of a finished model, a line for each way of splitting."""
    known = store.read_metadata(folder) or {}
    found = known["cross_validation"]
    lines = []
    if "tuned" in known:
        lines.append(
            f"C = {known['tuned']['C']:g}, the best by cluster on these folds, whose figures flatter it a little"
        )
    for kind in ("stratified", "by_cluster"):
        shown = ", ".join(f"{k} {v['mean']:.3f} (SD {v['sd']:.3f})" for k, v in found[kind].items())
        left_out = found["folds"] - found[kind]["accuracy"]["folds"]
        fewer = f" ({left_out} left out: too few rows of a class to train on)" if left_out else ""
        lines.append(f"{found['folds']} folds{fewer}, {kind.replace('_', ' ')}: {shown}")
    for family, of_it in found.get("by_family", {}).items():
        area = of_it["roc_auc"]
        ends = f" ({of_it['low']:.3f} to {of_it['high']:.3f})" if of_it.get("low") is not None else ""
        told = f"no ROC-AUC, {of_it['reason']}" if area is None else f"roc_auc {area:.3f}{ends}"
        lines.append(f"trained without {family} ({of_it['n']} rows, {of_it['positives']} positive): {told}")
    return lines


def _digest(families: Sequence[str]) -> str | None:
    """Of the families of all rows; None where there are none."""
    return hashlib.sha256("\n".join(families).encode()).hexdigest() if families else None


def _versions() -> dict[str, str]:
    """Of everything that decides a model's bytes."""
    names = ("numpy", "scipy", "scikit-learn", "skops", "xgboost-cpu", "torch")
    return {"python": platform.python_version(), **{n: _version(n) for n in names}}


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "none"


def is_current(
    folder: Path,
    features: Features,
    data: TrainingSet,
    head: str,
    seed: int,
    *,
    parameters: Mapping[str, Any] | None = None,
    tune: bool = False,
    count: int = folds.FOLDS,
) -> bool:
    """Whether a finished model is there that was trained on just this.

    Args:
        count: folds of its cross-validation.
    """
    try:
        found = store.load(folder).metadata
        if ("tuned" in found) != tune:
            return False
        settled = {**(parameters or {}), **({"C": found["tuned"]["C"]} if tune else {})}
        levels = heads.levels_of(head, np.array(data.flags)) if data.flags else ()
        same_head = found["classifier"]["parameters"] == store.parameters(heads.fresh(head, seed, settled, levels))
        trained_on = tuple(found["training"].get(key) for key in ("sha256", "families", "flags"))
        wanted = (data.sha256, _digest(data.families), _digest([str(f) for f in data.flags]))
        same_data = trained_on == wanted and found["seed"] == seed
        same_tools = found["versions"] == _versions() and found["cross_validation"]["folds"] == count
        return bool(same_head and same_data and same_tools and found["backbone"] == features.describe())
    except (DataError, KeyError, TypeError):
        return False
