"""Which model fits a few labels of one's own: by its likelihood on them, with an interval, and nothing hidden."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.stats import t as student
from sklearn.metrics import roc_auc_score

from baselines.catalogue.checkpoints import models
from baselines.errors import DataError
from baselines.predicting import store, tables

Floats = npt.NDArray[np.float64]
MIN_LABELS = 4
EDGE = 0.01
"""Probabilities nearer to 0 or 1 count as these: one label must not decide by itself."""


@dataclass(frozen=True)
class Candidate:
    """A model and its likelihood on n labels.

    Attributes:
        gain: mean over labels of the log2 of its probability, less that of a constant, the labels' own share; in bits.
        low, high: its interval by Student's t over labels.
        roc_auc: of the same labels; None where they are of one class.
    """

    name: str
    gain: float
    low: float
    high: float
    roc_auc: float | None

    @property
    def helps(self) -> bool:
        """Whether it is shown to tell more than the share of positives does."""
        return self.low > 0


@dataclass(frozen=True, eq=False)
class Labelled:
    """One's own antibodies: n ids, heavy and perhaps light chains, and their classes."""

    ids: Sequence[str]
    heavy: Sequence[str]
    light: Sequence[str]
    labels: npt.NDArray[np.int64]


def read(path: Path) -> Labelled:
    """A CSV with sequence and label, light_sequence where models see light chains, sequence_id for predictions.

    Raises:
        DataError: it is none, has fewer than 4 labels, or labels that are neither 0 nor 1.
    """
    table = tables.read(path)
    table.require("sequence", "label")
    labels = np.array(table.labels(), dtype=np.int64)
    if len(labels) < MIN_LABELS:
        raise DataError(f"{path} has {len(labels)} labels; with fewer than {MIN_LABELS} nothing can be told.")
    return Labelled(table.ids(), table.sequences(), table.light(), labels)


def candidate(name: str, probability: Floats, labels: npt.NDArray[np.int64], level: float = 0.95) -> Candidate:
    """Hold probabilities of class 1 against labels, [n] and [n].

    The constant is the share of positives with one pseudo-label of each class, so that labels of one class have one.
    """
    share = (labels.sum() + 1) / (len(labels) + 2)
    constant = np.where(labels == 1, share, 1 - share)
    given = np.clip(np.where(labels == 1, probability, 1 - probability), EDGE, 1 - EDGE)
    gains = np.log2(given / constant)
    half = float(student.ppf(0.5 + level / 2, len(gains) - 1)) * float(gains.std(ddof=1)) / math.sqrt(len(gains))
    mean = float(gains.mean())
    area = float(roc_auc_score(labels, probability)) if 0 < labels.sum() < len(labels) else None
    return Candidate(name, mean, mean - half, mean + half, area)


def of_models(
    folder: Path, own: Labelled, say: Callable[[str], None], *, backbone: str = "", level: float = 0.95
) -> Iterator[Candidate]:
    """Every model below a folder; one that cannot answer is told and left out. Each backbone embeds once."""
    embedded: dict[str, Any] = {}
    for path in models(folder):
        name = path.relative_to(folder).as_posix() if path != folder else path.resolve().name
        try:
            trained = store.load(path)
            parts = json.dumps(trained.metadata["backbone"], sort_keys=True)  # with the hash of its weights
            if parts not in embedded:
                embedded[parts] = store.features_of(trained, backbone).seen(own.heavy, own.light)
            probability = trained.model.predict_proba(embedded[parts])[:, 1]
        except (DataError, ValueError, KeyError) as error:
            say(f"{name} is left out: {error}")
            continue
        yield candidate(name, np.asarray(probability, dtype=np.float64), own.labels, level)


def of_predictions(
    files: Sequence[Path], own: Labelled, say: Callable[[str], None], level: float = 0.95
) -> Iterator[Candidate]:
    """Files of published predictions, `sequence_id,score`, by one's own ids; what lacks one is told and left out."""
    for path in files:
        try:
            table = tables.read(path)
            table.require("sequence_id", "score")
            scores = _by_id(path, table)
            missing = [i for i in own.ids if i not in scores]
            if missing:
                raise DataError(
                    f"{path} says nothing of {len(missing)} of {len(own.ids)} ids, such as {missing[0][:40]}."
                )
            found = np.array([scores[i] for i in own.ids])
            if not ((found >= 0) & (found <= 1)).all():
                raise DataError(f"{path} has scores outside 0 to 1: no likelihood follows from them.")
        except DataError as error:
            say(f"{path.stem} is left out: {error}")
            continue
        yield candidate(path.stem, found, own.labels, level)


def _by_id(path: Path, table: tables.Table) -> Mapping[str, float]:
    try:
        return {i: float(v) for i, v in zip(table.ids(), table.columns["score"], strict=True)}
    except ValueError as error:
        raise DataError(f"{path} has a score that is no number: {error}") from error


def ranked(found: Sequence[Candidate]) -> list[Candidate]:
    """The most likely first."""
    return sorted(found, key=lambda c: (-c.gain, c.name))
