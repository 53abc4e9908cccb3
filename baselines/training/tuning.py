"""How strongly a head is regularised: chosen by folds of the training set that keep near copies on one side.

No test set is looked at. The folds are those that the cross-validation reports, so what it says of a chosen head is a
little too good.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedGroupKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from baselines.errors import DataError
from baselines.predicting.features import Matrix
from baselines.training import folds

GRID = {"logreg": (1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1, 1.0), "svm": (0.03, 0.1, 0.3, 1.0, 3.0, 10.0)}
"""Values of C, the inverse of the regularisation's strength."""


def choose(
    head: str, x: Matrix, y: npt.NDArray[np.int64], groups: npt.NDArray[np.int64], seed: int
) -> dict[str, float]:
    """The mean ROC-AUC over folds by cluster for every value of C; the best one first, the smaller of two equal ones.

    Args:
        x: [n, d] features.
        y: [n] 0/1.
        groups: [n] clusters that stay on one side.

    Raises:
        DataError: the head has no C, or the folds lack a class.
    """
    if head not in GRID:
        raise DataError(f"{head} has no regularisation to choose. Those that have are {', '.join(GRID)}.")
    splits = list(StratifiedGroupKFold(folds.FOLDS, shuffle=True, random_state=seed).split(x, y, groups))
    splits = [(a, b) for a, b in splits if len(np.unique(y[a])) == len(np.unique(y[b])) == 2]
    if len(splits) < 2:
        raise DataError("Too few folds have both classes: the training set is too small to choose anything on it.")
    found = {}
    for c in GRID[head]:
        areas = []
        for train, test in splits:
            plain = LogisticRegression(C=c, max_iter=5000) if head == "logreg" else SVC(C=c, random_state=seed)
            fitted = make_pipeline(StandardScaler(), plain).fit(x[train], y[train])
            areas.append(roc_auc_score(y[test], fitted.decision_function(x[test])))
        found[f"{c:g}"] = round(float(np.mean(areas)), 6)
    return dict(sorted(found.items(), key=lambda item: (-item[1], float(item[0]))))
