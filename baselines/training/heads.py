"""The classifiers that sit on frozen features. Adding one is one entry in `HEADS`.

Every head is a scikit-learn pipeline with `predict_proba`; scores that are no probabilities by themselves are
calibrated by Platt's method on held-out folds (Platt 1999, Advances in Large Margin Classifiers).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from sklearn.base import ClassifierMixin
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import RandomForestClassifier, StackingClassifier, VotingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from xgboost import XGBClassifier

from baselines.errors import DataError
from baselines.training.composition_logreg import logreg


def _calibrated(classifier: ClassifierMixin, seed: int) -> ClassifierMixin:
    folds = StratifiedKFold(3, shuffle=True, random_state=seed)
    return CalibratedClassifierCV(classifier, method="sigmoid", cv=folds, ensemble=False)


def _logreg(_seed: int, c: float = 0.1) -> ClassifierMixin:
    return logreg(c)


def _svm(seed: int, c: float = 1.0) -> ClassifierMixin:
    return _calibrated(SVC(C=c, kernel="rbf", gamma="scale", random_state=seed), seed)


def _mlp(seed: int) -> ClassifierMixin:
    network = MLPClassifier(
        (128,), alpha=1e-2, early_stopping=True, n_iter_no_change=15, max_iter=300, random_state=seed
    )
    return _calibrated(network, seed)


def _forest(seed: int) -> ClassifierMixin:
    return _calibrated(RandomForestClassifier(200, min_samples_leaf=2, random_state=seed, n_jobs=1), seed)


def _trees(seed: int) -> ClassifierMixin:
    return XGBClassifier(
        n_estimators=150,
        max_depth=4,
        learning_rate=0.06,
        subsample=0.8,
        colsample_bytree=0.5,
        tree_method="hist",
        n_jobs=1,
        random_state=seed,
    )


def _xgboost(seed: int) -> ClassifierMixin:
    return _calibrated(_trees(seed), seed)


def _members(seed: int) -> list[tuple[str, ClassifierMixin]]:
    return [("logreg", _logreg(seed)), ("svm", _svm(seed)), ("xgboost", _trees(seed))]


def _voting(seed: int) -> ClassifierMixin:
    return VotingClassifier(_members(seed), voting="soft")


def _stacking(seed: int) -> ClassifierMixin:
    folds = StratifiedKFold(3, shuffle=True, random_state=seed)
    return StackingClassifier(_members(seed), LogisticRegression(), cv=folds)


HEADS: dict[str, Callable[..., ClassifierMixin]] = {
    "logreg": _logreg,
    "svm": _svm,
    "mlp": _mlp,
    "random_forest": _forest,
    "xgboost": _xgboost,
    "voting": _voting,
    "stacking": _stacking,
}
"""What makes a fresh, unfitted classifier from a seed, and from `c` where there is a regularisation to choose."""
CALIBRATED, STACKED = 3, 5
"""Rows of a class that three folds of calibration need, and three folds around those."""
FEWEST = {"logreg": 1, "voting": CALIBRATED, "stacking": STACKED}


def fewest(head: str) -> int:
    """How many rows of each class a head must be given to be fitted at all."""
    return FEWEST.get(head, CALIBRATED)


def require_known(names: Sequence[str]) -> None:
    """Refuse what no head is called.

    Raises:
        DataError: with the names that there are.
    """
    if unknown := [name for name in names if name not in HEADS]:
        raise DataError(f"There is no head {', '.join(unknown)}. Known are: {', '.join(HEADS)}.")


def pipeline(head: str, seed: int, c: float | None = None) -> Pipeline:
    """A fresh head behind standardised features.

    Args:
        c: the inverse of the regularisation's strength; default the head's own.
    """
    return make_pipeline(StandardScaler(), HEADS[head](seed) if c is None else HEADS[head](seed, c))
