"""Train a reference model and store it as plain numbers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import sklearn
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from baselines.predicting.composition import FEATURES
from baselines.predicting.features import DESCRIPTORS, Features
from baselines.training import folds
from baselines.training.data import TrainingSet

SEED = 20261121


def logreg(c: float = 0.1) -> LogisticRegression:
    """The head `logreg`, here since it needs no more than scikit-learn."""
    return LogisticRegression(C=c, max_iter=5000)


def composition_logreg(data: TrainingSet) -> dict[str, Any]:
    """Logistic regression on standardised plain descriptors: the checkpoint of the same name, as plain numbers.

    Returns:
        Everything that prediction needs (features, mean, scale, coefficients, intercept) and where it came from.

    Raises:
        DataError: there are too few rows of a class.
    """
    x = Features(DESCRIPTORS).matrix(data.sequences)
    y = np.array(data.labels)
    folds.require_enough(y)
    pipeline = make_pipeline(StandardScaler(), logreg())
    split = StratifiedKFold(folds.FOLDS, shuffle=True, random_state=SEED)
    held_out = cross_val_predict(pipeline, x, y, cv=split, method="predict_proba")[:, 1]
    pipeline.fit(x, y)
    scaler, model = pipeline[0], pipeline[1]
    return {
        "model_name": "composition-logreg",
        "backbone": "composition",
        "classifier": {"type": "logreg", "C": 0.1, "penalty": "l2"},
        "features": list(FEATURES),
        "mean": scaler.mean_.tolist(),
        "scale": scaler.scale_.tolist(),
        "coefficients": model.coef_[0].tolist(),
        "intercept": float(model.intercept_[0]),
        "training": {
            "set": data.name,
            "sha256": data.sha256,
            "n": len(y),
            "positives": int(y.sum()),
            "seed": SEED,
            "cv_roc_auc_10_fold": round(float(roc_auc_score(y, held_out)), 4),
        },
        "versions": {"scikit-learn": sklearn.__version__, "numpy": np.__version__},
    }


def save(model: dict[str, Any], path: Path) -> Path:
    """Write a model as JSON; the same model gives the same bytes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(model, indent=1, sort_keys=True, allow_nan=False) + "\n")
    return path
