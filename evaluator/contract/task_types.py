"""The kinds of task, in one table: what is predicted, how it is written down, what is measured and what ranks.

Nothing else asks whether a track is of one kind or of another: it asks for what this table says of the kind.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple, Protocol

TaskType = Literal["classification", "regression", "few_shot"]
FEW_SHOT: TaskType = "few_shot"
SUPPORT_SIZES = (0, 16, 64, 128)
"""How many measured antibodies a few-shot track may give; each is a metric of its own."""


class MetricInfo(NamedTuple):
    """What a metric is called, which way is better, what a score that knows nothing has, and what values there are."""

    title: str
    higher_is_better: bool = True
    chance: float | None = None
    least: float = 0.0
    most: float = 1.0


METRICS = {
    "roc_auc": MetricInfo("ROC-AUC", chance=0.5),
    "average_precision": MetricInfo("Average precision"),
    "mcc": MetricInfo("MCC", least=-1.0),
    "balanced_accuracy": MetricInfo("Balanced accuracy"),
    "accuracy": MetricInfo("Accuracy"),
    "precision": MetricInfo("Precision"),
    "recall": MetricInfo("Recall"),
    "specificity": MetricInfo("Specificity"),
    "f1": MetricInfo("F1"),
    "brier": MetricInfo("Brier score", higher_is_better=False),
    "spearman": MetricInfo("Spearman", chance=0.0, least=-1.0),
    "spearman_few": MetricInfo("Spearman, mean over k > 0", chance=0.0, least=-1.0),
    **{f"spearman_k{k}": MetricInfo(f"Spearman, k = {k}", chance=0.0, least=-1.0) for k in SUPPORT_SIZES},
    "spearman_shuffled": MetricInfo("Spearman, shuffled support", chance=0.0, least=-1.0),
    "support_gain": MetricInfo("Worth of the support", least=-2.0, most=2.0),
}
"""Every metric; `scoring.metrics` computes them."""


@dataclass(frozen=True)
class Kind:
    """One kind of task.

    Attributes:
        truth: the column of a labels file that holds it.
        has_classes: the truth is a class 0/1, an entry predicts one beside a score in [0, 1]; otherwise the truth is a
            number, and an entry predicts a score alone, which may be any finite number.
        metrics: computed from its rows, in the order in which they are listed.
        primary: those that a track may be ranked by, since there is a paired test; the first unless its file says more.
        secondary: what is shown beside it unless the track's file says otherwise.
        headline: the metric on which the verdict of a comparison rests.
        supports: a run gives measured antibodies; an entry takes part only where its file names such a track or says
            `few_shot`.
    """

    truth: str
    has_classes: bool
    metrics: tuple[str, ...]
    primary: tuple[str, ...]
    secondary: str
    headline: str
    supports: bool = False

    @property
    def columns(self) -> tuple[str, ...]:
        """Of /output/predictions.csv."""
        return ("sequence_id", "prediction", "score") if self.has_classes else ("sequence_id", "score")


KINDS: dict[TaskType, Kind] = {
    "classification": Kind(
        truth="label",
        has_classes=True,
        metrics=tuple(name for name in METRICS if not name.startswith(("spearman", "support_"))),
        primary=("roc_auc", "accuracy"),
        secondary="average_precision",
        headline="accuracy",
    ),
    "regression": Kind(
        truth="target",
        has_classes=False,
        metrics=("spearman",),
        primary=("spearman",),
        secondary="spearman",
        headline="spearman",
    ),
    "few_shot": Kind(
        truth="target",
        has_classes=False,
        metrics=tuple(name for name in METRICS if name.startswith(("spearman_", "support_"))),
        primary=("spearman_few",),
        secondary="spearman_k0",
        headline="spearman_few",
        supports=True,
    ),
}


FEW_SHOT_METRICS = KINDS[FEW_SHOT].metrics


def task_of(metric: str) -> TaskType:
    """The kind of task that a metric is for."""
    return next(task for task, kind in KINDS.items() if metric in kind.metrics)


def kind_of_rows(*, classes: bool) -> Kind:
    """The kind of task whose rows are scored with predicted classes, or without."""
    return next(kind for kind in KINDS.values() if kind.has_classes == classes)


def kind_of_metrics(names: Collection[str]) -> Kind:
    """The kind of task that a set of metrics was measured on; the first kind where there are none."""
    return next((kind for kind in KINDS.values() if set(kind.metrics) & set(names)), next(iter(KINDS.values())))


class HasInterval(Protocol):
    """A metric's value with the upper end of its interval."""

    @property
    def value(self) -> float | None: ...  # noqa: D102 - as in `scoring.scored.Estimate`
    @property
    def high(self) -> float | None: ...  # noqa: D102


def turned_round(found: Mapping[str, HasInterval]) -> str:
    """A hint that scores may have the wrong sign, where the whole interval lies below chance; else nothing."""
    for name, m in found.items():
        chance = METRICS[name].chance
        if chance is not None and m.value is not None and m.high is not None and m.high < chance:
            return (
                f"{METRICS[name].title} {m.value:.3f} is below {chance:g}, with its whole interval: is the sign turned "
                "round? A higher score means more polyreactive."
            )
    return ""
