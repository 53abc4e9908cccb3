"""How much a model's probabilities say of a few labels, in bits, with an interval."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.special import stdtrit

from evaluator.contract.arrays import Floats, LabelArray

EDGE = 0.01
"""Probabilities nearer to 0 or 1 count as these: one label must not decide by itself."""


@dataclass(frozen=True)
class Gain:
    """Mean log2 of the probability of n labels, less that of a constant, with its interval."""

    value: float
    low: float
    high: float

    @property
    def helps(self) -> bool:
        """Whether the labels show that the model tells more than their own share does."""
        return self.low > 0


def gain(labels: LabelArray, probability: Floats, level: float = 0.95) -> Gain:
    """Hold probabilities of class 1 against labels.

    The constant is the labels' share of class 1, with one pseudo-label of each class; the interval is Student's t.

    Args:
        labels: [n] 0/1, two at least; probability: [n] in [0, 1].
    """
    n = len(labels)
    share = (int(labels.sum()) + 1) / (n + 2)
    given = np.clip(np.where(labels == 1, probability, 1 - probability), EDGE, 1 - EDGE)
    gains = np.log2(given) - np.log2(np.where(labels == 1, share, 1 - share))
    half = float(stdtrit(n - 1, 0.5 + level / 2)) * float(gains.std(ddof=1)) / math.sqrt(n)
    mean = float(gains.mean())
    return Gain(mean, mean - half, mean + half)
