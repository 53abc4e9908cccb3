"""Made-up panels: unrelated antibodies, and targets that follow from a few of their descriptors.

The antibodies are those of `training.synthetic`; some panels are of nanobodies, and some ask about antibodies after
measuring nanobodies. Half of all panels are turned upside down, as landscapes are.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from functools import cache

import numpy as np

from baselines.few_shot.episodes import Antibody, Floats, Task, made
from baselines.few_shot.features import DESCRIPTORS, descriptors
from baselines.few_shot.meta.landscapes import Ints
from baselines.predicting.composition import AMINO_ACIDS, FEATURES
from baselines.training.synthetic import CAMELID, heavy_chain, light_chain

PAIRS, NANOBODIES = 2000, 500
SEED, HELD_OUT = 1, 2
"""Of the antibodies to learn from, and of others."""
USED = 6
"""The most descriptors that a linear part follows from."""
SUMMARY = np.tile([float(name.removeprefix("fraction_") not in AMINO_ACIDS) for name in FEATURES], 2)
"""[48] which descriptors are of whole chains, such as charge; they take part as often as all others together."""
NOISES = (0.2, 0.7)
"""Between which shares of the variance the measurement's lies."""
ONLY_NANOBODIES, FROM_NANOBODIES = 0.1, 0.1
"""Shares of panels of nanobodies alone, and of panels with a support of nanobodies."""


@dataclass(frozen=True, eq=False)
class Panels:
    """Some panels, each of as many antibodies.

    Attributes:
        rows: [panels, antibodies] which of the pool they are.
        described: [panels, antibodies, 48] NaN where a light chain is missing.
        targets: [panels, antibodies].
        support: how many, the first, are measured.
    """

    antibodies: tuple[Antibody, ...]
    rows: Ints
    described: Floats
    targets: Floats
    support: int

    def task(self, number: int) -> tuple[Task, Floats]:
        """One panel, with the queries' measured targets."""
        antibodies = [self.antibodies[row] for row in self.rows[number]]
        k = self.support
        measured = list(zip(antibodies[:k], self.targets[number, :k].tolist(), strict=True))
        asked = [(str(row), antibody) for row, antibody in enumerate(antibodies[k:])]
        return made(str(number), "", measured, asked), self.targets[number, k:]


@cache
def _pool(seed: int) -> tuple[tuple[Antibody, ...], Floats]:
    """Antibodies, then nanobodies, and their descriptors, [n, 48]."""
    rng = random.Random(seed)  # noqa: S311 - nothing secret
    pairs = [Antibody(heavy_chain(rng), light_chain(rng)) for _ in range(PAIRS)]
    nanobodies = [Antibody(heavy_chain(rng, CAMELID)) for _ in range(NANOBODIES)]
    return (*pairs, *nanobodies), descriptors([*pairs, *nanobodies])


def panels(rng: np.random.Generator, count: int, support: int, queries: int, pool: int = SEED) -> Panels:
    """Draw panels, every second one upside down.

    Args:
        pool: the seed of the antibodies that they are drawn from.
    """
    antibodies, described = _pool(pool)
    rows, few = (_drawn(rng, n, count, support + queries) for n in (PAIRS, NANOBODIES))
    kind = rng.random(count)
    only = kind < ONLY_NANOBODIES
    across = ~only & (kind < ONLY_NANOBODIES + FROM_NANOBODIES)
    rows[only] = PAIRS + few[only]
    rows[across, :support] = PAIRS + few[across, :support]
    mean, spread = np.nanmean(described, 0), np.nanstd(described, 0)
    seen = np.nan_to_num((described - mean) / np.where(spread > 0, spread, 1.0), nan=0.0)[rows]
    linear, first, second = (_linear(rng, seen) for _ in range(3))
    clean = _unit(linear + rng.choice([0.0, 0.5], size=(count, 1)) * first * second)
    noise = rng.uniform(*NOISES, size=(count, 1))
    targets = np.sqrt(1 - noise) * clean + np.sqrt(noise) * rng.standard_normal(clean.shape)
    curved = rng.random((count, 1)) < 0.5  # as a plate reader's values are
    signs = rng.permuted(np.where(np.arange(count) % 2, -1.0, 1.0))[:, None]
    targets = signs * np.where(curved, np.exp(targets), targets)
    return Panels(antibodies, rows, described[rows], targets, support)


def _drawn(rng: np.random.Generator, pool: int, count: int, rows: int) -> Ints:
    """[count, rows] different rows of a pool for each panel."""
    return np.stack([rng.choice(pool, size=rows, replace=rows > pool) for _ in range(count)])


def _linear(rng: np.random.Generator, seen: Floats) -> Floats:
    """[panels, rows] a random sum over a few descriptors."""
    share = SUMMARY / SUMMARY.sum() + (1 - SUMMARY) / (1 - SUMMARY).sum()
    order = rng.random((len(seen), DESCRIPTORS)) ** (1 / share)  # Efraimidis and Spirakis 2006: the largest are drawn
    used = (-order).argsort(1).argsort(1) < rng.integers(1, USED + 1, size=(len(seen), 1))
    weights = rng.standard_normal(used.shape) * used
    return _unit(np.einsum("trd,td->tr", seen, weights))


def _unit(values: Floats) -> Floats:
    """Each row with mean 0 and spread 1."""
    centred = values - values.mean(1, keepdims=True)
    return np.asarray(centred / np.maximum(centred.std(1, keepdims=True), 1e-9))
