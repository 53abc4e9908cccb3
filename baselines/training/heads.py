"""The classifiers that sit on frozen features. Adding one is one entry in `HEADS`.

Every head is a scikit-learn pipeline with `predict_proba`; scores that are no probabilities by themselves are
calibrated by Platt's method on held-out folds (Platt 1999, Advances in Large Margin Classifiers).
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.base import ClassifierMixin
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import BaggingClassifier, RandomForestClassifier, StackingClassifier, VotingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import LabelEncoder, StandardScaler
from sklearn.svm import SVC
from sklearn.utils import Bunch
from xgboost import XGBClassifier

from baselines.errors import DataError
from baselines.predicting.attention import Attention
from baselines.training.composition_logreg import logreg


def _calibrated(classifier: ClassifierMixin, seed: int) -> ClassifierMixin:
    folds = StratifiedKFold(3, shuffle=True, random_state=seed)
    return CalibratedClassifierCV(classifier, method="sigmoid", cv=folds, ensemble=False)


def _logreg(_seed: int, C: float = 0.1) -> ClassifierMixin:  # noqa: N803 - its name everywhere
    return logreg(C)


def _svm(seed: int, C: float = 1.0) -> ClassifierMixin:  # noqa: N803
    return _calibrated(SVC(C=C, kernel="rbf", gamma="scale", random_state=seed), seed)


def _mlp(seed: int, hidden: int = 128, alpha: float = 1e-2) -> ClassifierMixin:
    network = MLPClassifier(
        (hidden,), alpha=alpha, early_stopping=True, n_iter_no_change=15, max_iter=300, random_state=seed
    )
    return _calibrated(network, seed)


def _forest(seed: int, n_estimators: int = 200, min_samples_leaf: int = 2) -> ClassifierMixin:
    forest = RandomForestClassifier(n_estimators, min_samples_leaf=min_samples_leaf, random_state=seed, n_jobs=1)
    return _calibrated(forest, seed)


def _trees(seed: int, n_estimators: int = 150, max_depth: int = 4, learning_rate: float = 0.06) -> ClassifierMixin:
    return XGBClassifier(
        n_estimators=n_estimators,
        max_depth=max_depth,
        learning_rate=learning_rate,
        subsample=0.8,
        colsample_bytree=0.5,
        tree_method="hist",
        n_jobs=1,
        random_state=seed,
    )


def _xgboost(seed: int, **parameters: Any) -> ClassifierMixin:
    return _calibrated(_trees(seed, **parameters), seed)


def _bagged(seed: int, n_estimators: int = 25, C: float = 0.1) -> ClassifierMixin:  # noqa: N803
    return BaggingClassifier(logreg(C), n_estimators, random_state=seed, n_jobs=1)


def _calibrated_logreg(seed: int, C: float = 0.1) -> ClassifierMixin:  # noqa: N803
    return _calibrated(logreg(C), seed)


def _members(seed: int) -> list[tuple[str, ClassifierMixin]]:
    return [("logreg", _logreg(seed)), ("svm", _svm(seed)), ("xgboost", _trees(seed))]


def _voting(seed: int) -> ClassifierMixin:
    return VotingClassifier(_members(seed), voting="soft")


def _stacking(seed: int) -> ClassifierMixin:
    folds = StratifiedKFold(3, shuffle=True, random_state=seed)
    return StackingClassifier(_members(seed), LogisticRegression(), cv=folds)


def _cross_stacking(seed: int, widths: Sequence[int] = (), C: float = 0.1) -> ClassifierMixin:  # noqa: N803
    """A logistic regression on each backbone's own features, weighed by another on held-out folds."""
    ends = np.cumsum([0, *widths]).tolist()
    members = [
        (f"part_{k}", make_pipeline(ColumnTransformer([("its", "passthrough", list(range(a, b)))]), logreg(C)))
        for k, (a, b) in enumerate(itertools.pairwise(ends), start=1)
    ] or [("part_1", logreg(C))]
    folds = StratifiedKFold(3, shuffle=True, random_state=seed)
    return StackingClassifier(members, LogisticRegression(), cv=folds)


HEADS: dict[str, Callable[..., ClassifierMixin]] = {
    "logreg": _logreg,
    "calibrated": _calibrated_logreg,
    "bagged": _bagged,
    "svm": _svm,
    "mlp": _mlp,
    "random_forest": _forest,
    "xgboost": _xgboost,
    "voting": _voting,
    "stacking": _stacking,
    "cross_stacking": _cross_stacking,
}
"""What makes a fresh, unfitted classifier from a seed and the parameters of its configuration."""
ATTENTION = "attention"
"""The head that sees residues in place of features."""
QUICK_FIRST = (*HEADS, ATTENTION)
"""All of them, by about how long they take."""
CALIBRATED, STACKED, BAGGED = 3, 5, 10
"""Rows of a class that three folds of calibration need, three folds around those, and samples with replacement."""
FEWEST = {"logreg": 1, ATTENTION: 1, "bagged": BAGGED, "voting": CALIBRATED, "stacking": STACKED}


def fewest(head: str) -> int:
    """How many rows of each class a head must be given to be fitted at all."""
    return FEWEST.get(head, CALIBRATED)


def require_known(names: Sequence[str]) -> None:
    """Refuse what no head is called.

    Raises:
        DataError: with the names that there are.
    """
    if unknown := [name for name in names if name not in (*HEADS, ATTENTION)]:
        raise DataError(f"There is no head {', '.join(unknown)}. Known are: {', '.join((*HEADS, ATTENTION))}.")


def fresh(head: str, seed: int, parameters: Mapping[str, Any] | None = None, levels: Sequence[int] = ()) -> Any:
    """An unfitted head: an `Attention` that pools residues by itself, or a pipeline behind standardised features.

    Args:
        parameters: those of its configuration, by name; default the head's own.
        levels: of ordered labels; one head for each says how probable it is to reach it.

    Raises:
        DataError: the head has no place for ordered labels.
    """
    if head == ATTENTION:
        if levels:
            raise DataError(f"The classifier {ATTENTION} learns from two classes, not from flags.")
        return Attention(seed, **(parameters or {}))
    if levels:
        members = [(f"at_least_{level}", HEADS[head](seed, **(parameters or {}))) for level in levels]
        # the first level is the boundary of the classes: it weighs as much as the others, so that 0.5 is there
        weights = [max(1, len(levels) - 1), *[1] * (len(levels) - 1)]
        return make_pipeline(StandardScaler(), VotingClassifier(members, voting="soft", weights=weights))
    return make_pipeline(StandardScaler(), HEADS[head](seed, **(parameters or {})))


def fitted(model: Any, x: Any, y: npt.NDArray[np.int64], levels: Sequence[int] = ()) -> Any:
    """A fresh head, fitted.

    Of ordered labels, each member learns whether its level is reached (Frank and Hall 2001, ECML 145); their
    weighted mean is the score.

    Args:
        x: [n, d] features, or residues.
        y: [n] 0/1, or ordered labels where there are levels.
    """
    if not levels:
        return model.fit(x, y)
    scaler, members = model
    scaled = scaler.fit_transform(x)
    reached = [(y >= level).astype(np.int64) for level in levels]
    fits = [one.fit(scaled, of_level) for (_, one), of_level in zip(members.estimators, reached, strict=True)]
    members.estimators_, members.le_ = fits, LabelEncoder().fit([0, 1])
    members.classes_ = members.le_.classes_
    members.named_estimators_ = Bunch(**dict(zip((name for name, _ in members.estimators), fits, strict=True)))
    return model


def levels_of(head: str, flags: npt.NDArray[np.int64]) -> tuple[int, ...]:
    """What there is to reach: values with enough rows on both sides for a head to learn from.

    Raises:
        DataError: there is none.
    """
    values, needed = np.unique(flags)[1:], fewest(head)
    found = tuple(int(v) for v in values if needed <= int((flags >= v).sum()) <= len(flags) - needed)
    if not found:
        raise DataError(f"No value of the flags has {needed} rows below it and {needed} that reach it.")
    return found
