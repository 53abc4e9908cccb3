"""Made-up panels: unrelated antibodies, and targets that follow from a few of their descriptors.

The antibodies are those of `training.synthetic`; some panels are of nanobodies, and some ask about antibodies after
measuring nanobodies. Half of all panels are turned upside down, as landscapes are.
"""

from __future__ import annotations

import random
from functools import cache

import numpy as np

from baselines.few_shot.episodes import Antibody, Floats
from baselines.few_shot.features import DESCRIPTORS, descriptors
from baselines.few_shot.meta.landscapes import Ints
from baselines.training.synthetic import CAMELID, heavy_chain, light_chain

POOL, SEED = 2000, 1
USED = 6
"""The most descriptors that a target follows from."""
NOISES = (0.2, 0.7)
"""Between which shares the variance of the measurement lies."""
NANOBODIES, ACROSS = 0.1, 0.1
"""Shares of panels of nanobodies alone, and of panels with a support of nanobodies."""


@cache
def _pool() -> tuple[Floats, Floats]:
    """Descriptors of antibodies and of nanobodies, [n, 48] each, as they are."""
    rng = random.Random(SEED)  # noqa: S311 - nothing secret
    pairs = [Antibody(heavy_chain(rng), light_chain(rng)) for _ in range(POOL)]
    nanobodies = [Antibody(heavy_chain(rng, CAMELID)) for _ in range(POOL // 4)]
    return descriptors(pairs), descriptors(nanobodies)


def panels(rng: np.random.Generator, count: int, support: int, queries: int) -> tuple[Floats, Floats]:
    """Draw panels: descriptors [panels, support + queries, 48] with NaN for what is missing, and targets.

    Every second panel is upside down.
    """
    pairs, nanobodies = _pool()
    mean, spread = pairs.mean(0), pairs.std(0)
    rows = support + queries
    described = pairs[_drawn(rng, len(pairs), count, rows)]
    kind = rng.random(count)
    few = nanobodies[_drawn(rng, len(nanobodies), count, rows)]
    described[kind < NANOBODIES] = few[kind < NANOBODIES]
    across = (kind >= NANOBODIES) & (kind < NANOBODIES + ACROSS)
    described[across, :support] = few[across, :support]
    seen = np.nan_to_num((described - mean) / np.where(spread > 0, spread, 1.0), nan=0.0)
    clean = _linear(rng, seen) + rng.choice([0.0, 0.5], size=(count, 1)) * _linear(rng, seen) * _linear(rng, seen)
    clean = (clean - clean.mean(1, keepdims=True)) / np.maximum(clean.std(1, keepdims=True), 1e-9)
    noise = rng.uniform(*NOISES, size=(count, 1))
    targets = np.sqrt(1 - noise) * clean + np.sqrt(noise) * rng.standard_normal(clean.shape)
    curved = rng.random((count, 1)) < 0.5  # as a plate reader's values are
    signs = rng.permuted(np.where(np.arange(count) % 2, -1.0, 1.0))[:, None]
    return described, signs * np.where(curved, np.exp(targets), targets)


def _drawn(rng: np.random.Generator, pool: int, count: int, rows: int) -> Ints:
    """[count, rows] different rows of a pool for each panel."""
    return np.stack([rng.choice(pool, size=rows, replace=rows > pool) for _ in range(count)])


def _linear(rng: np.random.Generator, seen: Floats) -> Floats:
    """[panels, rows] a random sum over a few descriptors."""
    count = len(seen)
    used = rng.random((count, DESCRIPTORS)).argsort(1) < rng.integers(1, USED + 1, size=(count, 1))
    weights = rng.standard_normal((count, DESCRIPTORS)) * used
    found = np.einsum("trd,td->tr", seen, weights)
    return np.asarray(found / np.maximum(found.std(1, keepdims=True), 1e-9))
