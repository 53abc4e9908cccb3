"""Tasks of one step of meta-training, drawn from its seed alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import numpy as np
import torch

from baselines.few_shot.episodes import Floats
from baselines.few_shot.features import standardised
from baselines.few_shot.meta.landscapes import Kind, Landscapes, landscapes
from baselines.few_shot.meta.panels import panels
from baselines.few_shot.meta.schema import Preset, Tasks
from baselines.few_shot.tokens import Tokens, of_descriptors, of_mutations

LARGEST = 4096
"""Tokens of a batch's supports; where a task's are many, there are fewer tasks."""
PANEL_ROWS = 512
"""Antibodies of a batch of panels."""


@dataclass(frozen=True, eq=False)
class Batch:
    """Some tasks of one kind.

    Attributes:
        tokens: of support and queries.
        targets: [tasks, support + queries] standardised by the support.
        support: how many variants of each task are support.
        landscapes: what the tokens are of; None for panels.
    """

    tokens: Tokens
    targets: Floats
    support: int
    landscapes: Landscapes | None

    @property
    def asked(self) -> torch.Tensor:
        """[tasks, queries] targets of the queries."""
        return torch.from_numpy(self.targets[:, self.support :]).float()


def drawn(seed: tuple[int, int], preset: Preset, tasks: Tasks) -> Batch:
    """The batch of a step.

    Args:
        seed: of the training, and the number of the step.
    """
    rng = np.random.default_rng(seed)
    shares = np.array([tasks.single, tasks.multiple, tasks.combinations, tasks.panels * (preset.type != "metalic")])
    kind = ("single", "multiple", "combinations", "panels")[rng.choice(len(shares), p=shares / shares.sum())]
    from_one = int(preset.support[0] == 0)  # there is no logarithm of 0
    least, largest = (np.log(k + from_one) for k in preset.support)
    support = round(np.exp(rng.uniform(least, largest))) - from_one
    if kind == "panels":
        count = min(preset.batch, max(2, PANEL_ROWS // (support + preset.queries)))
        some = panels(rng, count, support, preset.queries)
        pairs = (standardised(d[:support], d[support:]) for d in some.described)
        tokens = of_descriptors(np.stack([np.concatenate(pair) for pair in pairs]))
        return Batch(tokens, _by_support(some.targets, support), support, None)
    mutations = {"single": 1, "multiple": 4, "combinations": 11}[kind]
    count = min(preset.batch, max(2, LARGEST // (mutations * max(1, support))))
    made = landscapes(rng, count, support + preset.queries, cast("Kind", kind))
    tokens = of_mutations(made.wild, made.positions, made.mutants)
    return Batch(tokens, _by_support(made.targets, support), support, made)


def _by_support(targets: Floats, support: int) -> Floats:
    if support < 2:
        return targets
    known = targets[:, :support]
    spread = np.maximum(known.std(1, keepdims=True), 1e-9)
    return np.asarray((targets - known.mean(1, keepdims=True)) / spread)
