"""What the networks see: a token for each mutation of a landscape's variant, or one for each antibody of a panel."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from scipy.special import ndtri
from scipy.stats import rankdata

from baselines.few_shot.episodes import Antibody, Floats, Task
from baselines.few_shot.features import DESCRIPTORS, OTHER, descriptors, numbers, standardised

Ints = npt.NDArray[np.int64]
NOWHERE, ABSENT = -1, -2
"""In place of a position: the token is of no position, or only fills up."""
LARGEST = 4.0
"""Standardised values beyond it are cut, so that a stray measurement or antibody does not drown the others."""
LABELS = 2


@dataclass(frozen=True, eq=False)
class Tokens:
    """Tokens of as many variants in each of some tasks.

    Attributes:
        wild, mutant: [tasks, variants, tokens] residues as numbers; `OTHER` where there is no mutation.
        position: [tasks, variants, tokens] from 0, `NOWHERE` or `ABSENT`.
        described: [tasks, variants, 48] standardised descriptors of whole antibodies; zeros on landscapes.
        panel: whether they are of panels.
    """

    wild: torch.Tensor
    mutant: torch.Tensor
    position: torch.Tensor
    described: torch.Tensor
    panel: bool = False

    def rows(self, start: int | None, stop: int | None) -> Tokens:
        """Those of some variants of each task."""
        return self.picked(slice(start, stop))

    def picked(self, which: slice | torch.Tensor) -> Tokens:
        """Those of some variants, by their numbers, of each task."""
        wild, mutant = self.wild[:, which], self.mutant[:, which]
        return Tokens(wild, mutant, self.position[:, which], self.described[:, which], self.panel)

    @property
    def variants(self) -> int:
        """Of each task."""
        return int(self.wild.shape[1])


def of_mutations(wild: Ints, positions: Ints, mutants: Ints) -> Tokens:
    """Tokens of landscapes.

    Args:
        wild: [tasks, length] residues of the parents.
        positions: [tasks, variants, tokens], negative where a variant has fewer mutations.
        mutants: [tasks, variants, tokens] residues.
    """
    there = positions >= 0
    absent = ~there
    absent[..., 0] = False  # the parent itself is one token without a mutation
    parents = np.take_along_axis(wild[:, None], np.maximum(positions, 0), axis=2)
    position = np.where(there, positions, np.where(absent, ABSENT, NOWHERE))
    described = torch.zeros(*positions.shape[:2], DESCRIPTORS)
    wilds, changed = np.where(there, parents, OTHER), np.where(there, mutants, OTHER)
    return Tokens(torch.from_numpy(wilds), torch.from_numpy(changed), torch.from_numpy(position), described)


def of_descriptors(described: Floats) -> Tokens:
    """Tokens of panels: [tasks, variants, 48] standardised descriptors."""
    x = torch.from_numpy(described.clip(-LARGEST, LARGEST).astype(np.float32))
    none = torch.full((*x.shape[:2], 1), OTHER)
    return Tokens(none, none, torch.full_like(none, NOWHERE), x, panel=True)


def of_task(task: Task) -> Tokens:
    """Support, then queries, of one task."""
    antibodies = (*task.support, *task.queries)
    if task.wild_type:
        return _of_landscape(antibodies, task.wild_type)
    found = descriptors(antibodies)
    k = len(task.support)
    support, queries = standardised(found[:k], found[k:])
    return of_descriptors(np.concatenate([support, queries])[None])


def _of_landscape(antibodies: Sequence[Antibody], wild_type: str) -> Tokens:
    parent = numbers([wild_type])[0]
    variants = numbers([a.heavy for a in antibodies])
    places = [np.flatnonzero(row != parent) for row in variants]
    longest = max(1, *map(len, places))
    positions = np.full((1, len(variants), longest), NOWHERE)
    mutants = np.full_like(positions, OTHER)
    for row, found in enumerate(places):
        positions[0, row, : len(found)] = found
        mutants[0, row, : len(found)] = variants[row, found]
    return of_mutations(parent[None], positions, mutants)


def labels(targets: Floats) -> torch.Tensor:
    """[tasks, k, 2] of targets, [tasks, k]: standardised, and as the normal quantile of each one's rank."""
    if not targets.shape[1]:
        return torch.zeros(*targets.shape, LABELS)
    centred = targets - targets.mean(1, keepdims=True)
    scores = centred / np.maximum(centred.std(1, keepdims=True), 1e-9)
    ranks = ndtri((rankdata(targets, axis=1) - 0.5) / targets.shape[1])
    both = np.stack([scores.clip(-LARGEST, LARGEST), ranks], axis=2)
    return torch.from_numpy(both.astype(np.float32))
