"""Made-up landscapes of one parent: what mutations do follows from hidden site types and properties of residues.

Half of all landscapes are turned upside down, so that nobody who has seen no measurement can be better than chance.
They resemble deep mutational scans to a program, and say nothing about proteins.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from baselines.few_shot.episodes import Antibody, Floats, Task, made
from baselines.few_shot.features import OTHER, PROPERTIES
from baselines.predicting.composition import AMINO_ACIDS

Kind = Literal["single", "multiple", "combinations"]
Ints = npt.NDArray[np.int64]
LENGTH = 60
ACTIVE, MUTATIONS = 20, 4
"""Of `multiple`: sites that are mutated at all, and mutations of a variant."""
RANK, COUPLED = 3, 0.25
"""Rank of the couplings, and their share of the variance without noise."""
NOISE = 0.1
"""Share of the variance that is the measurement's."""
# What sites of four hidden types prefer, by property (hydropathy, volume, charge, aromaticity, helix propensity) and
# how much more often a residue with that property stands there: a buried site, a surface, a charged and a rigid one.
PREFERENCES = np.array([[1.2, -0.4, 0.0, 0.6, 0.0],
                        [-1.2, -0.3, 0.0, -0.5, 0.0],
                        [0.0, 0.4, 1.3, 0.0, 0.2],
                        [0.0, -1.0, 0.0, 0.2, -1.0]])  # fmt: skip
FOUND = np.array([[1.5, 0.0, 0.0, 0.5, 0.0],
                  [-1.0, 0.0, 0.0, 0.0, 0.0],
                  [0.0, 0.0, 1.0, 0.0, 0.0],
                  [0.0, -1.0, 0.0, 0.0, 0.5]])  # fmt: skip
PREFERENCE, IDIOSYNCRASY, COST = 0.6, 0.7, 0.6


@dataclass(frozen=True, eq=False)
class Landscapes:
    """Some landscapes, each with as many variants.

    Attributes:
        wild: [landscapes, length] residues of the parents, as numbers.
        positions: [landscapes, variants, mutations]; -1 where a variant has fewer.
        mutants: [landscapes, variants, mutations] residues; `OTHER` where a variant has fewer.
        targets: [landscapes, variants].
        clean: the same without the measurement's noise.
    """

    wild: Ints
    positions: Ints
    mutants: Ints
    targets: Floats
    clean: Floats

    def sequences(self, number: int) -> list[str]:
        """The variants of one landscape."""
        variants = np.repeat(self.wild[number][None], self.positions.shape[1], 0)
        for variant, positions, mutants in zip(variants, self.positions[number], self.mutants[number], strict=True):
            variant[positions[positions >= 0]] = mutants[positions >= 0]
        return _texts(variants)

    def task(self, number: int, support: int, query: int) -> tuple[Task, Floats]:
        """The first variants of one as support, the last ones as queries; with the queries' measured targets."""
        antibodies = [Antibody(sequence) for sequence in self.sequences(number)]
        measured = list(zip(antibodies[:support], self.targets[number, :support].tolist(), strict=True))
        asked = [(str(row), antibody) for row, antibody in enumerate(antibodies[-query:])]
        return made(str(number), _texts(self.wild[None, number])[0], measured, asked), self.targets[number, -query:]


def _texts(residues: Ints) -> list[str]:
    return ["".join(AMINO_ACIDS[number] for number in row) for row in residues]


def landscapes(rng: np.random.Generator, count: int, variants: int, kind: Kind) -> Landscapes:
    """Draw landscapes, every second one upside down.

    Args:
        kind: variants of one mutation, of four among twenty sites, or combinations of a few mutations.
    """
    wild = rng.integers(OTHER, size=(count, LENGTH))
    effects = _effects(rng, wild)
    positions, mutants = _variants(rng, wild, variants, kind)
    each = np.arange(count)[:, None, None]
    absent = positions < 0
    clean = np.where(absent, 0.0, effects[each, positions, np.minimum(mutants, OTHER - 1)]).sum(2)
    if kind != "single":
        clean = np.sqrt(1 - COUPLED) * _unit(clean) + np.sqrt(COUPLED) * _unit(_couplings(rng, positions, mutants))
    signs = rng.permuted(np.where(np.arange(count) % 2, -1.0, 1.0))[:, None]
    clean = signs * _unit(clean)
    noisy = np.sqrt(1 - NOISE) * clean + np.sqrt(NOISE) * rng.standard_normal(clean.shape)
    return Landscapes(wild, positions, mutants, noisy, clean)


def _effects(rng: np.random.Generator, wild: Ints) -> Floats:
    """[landscapes, length, 20] of each substitution: sensitivity of the site times how well the residue suits it."""
    logits = PROPERTIES[wild] @ FOUND.T + rng.gumbel(size=(*wild.shape, len(FOUND)))
    preferred = PREFERENCES[logits.argmax(-1)]
    changes = PROPERTIES[None, None, :OTHER] - PROPERTIES[wild][:, :, None]
    suits = PREFERENCE * np.einsum("blp,blap->bla", preferred, changes)
    own = IDIOSYNCRASY * rng.standard_normal(suits.shape)
    found: Floats = rng.exponential(size=(*wild.shape, 1)) * (suits + own - COST)
    return found


def _variants(rng: np.random.Generator, wild: Ints, variants: int, kind: Kind) -> tuple[Ints, Ints]:
    count, length = wild.shape
    if kind == "single":
        chosen = rng.random((count, length * (OTHER - 1))).argsort(1)[:, :variants, None]
        positions, steps = chosen // (OTHER - 1), chosen % (OTHER - 1)
    else:
        sites = rng.random((count, length)).argsort(1)[:, :ACTIVE]
        chosen = rng.random((count, variants, ACTIVE)).argsort(2)[:, :, :MUTATIONS]
        positions = np.take_along_axis(sites[:, None], chosen, axis=2)
        steps = rng.integers(OTHER - 1, size=positions.shape)
        if kind == "combinations":
            return _combinations(rng, wild, variants)
    mutants = (np.take_along_axis(wild[:, None], positions, axis=2) + 1 + steps) % OTHER
    return positions, mutants


def _combinations(rng: np.random.Generator, wild: Ints, variants: int) -> tuple[Ints, Ints]:
    """Variants with each of some mutations or without it, as between a germline antibody and its matured form."""
    count, length = wild.shape
    sites = rng.integers(8, 15)
    positions = np.sort(rng.random((count, length)).argsort(1)[:, :sites], axis=1)[:, None]
    steps = rng.integers(OTHER - 1, size=positions.shape)
    mutants = (np.take_along_axis(wild[:, None], positions, axis=2) + 1 + steps) % OTHER
    there = rng.random((count, variants, sites)) < 0.5
    return np.where(there, positions, -1), np.where(there, mutants, OTHER)


def _couplings(rng: np.random.Generator, positions: Ints, mutants: Ints) -> Floats:
    """[landscapes, variants] sum over pairs of mutations of the product of hidden vectors; the parent's are zero."""
    count = len(positions)
    hidden = rng.standard_normal((count, LENGTH, OTHER + 1, RANK))
    each = np.arange(count)[:, None, None]
    chosen = np.where((positions < 0)[..., None], 0.0, hidden[each, positions, mutants])
    signs = rng.choice([-1.0, 1.0], size=(count, 1, RANK))
    found: Floats = (signs * (chosen.sum(2) ** 2 - (chosen**2).sum(2))).sum(-1) / 2
    return found


def _unit(values: Floats) -> Floats:
    """Each row with mean 0 and spread 1."""
    centred = values - values.mean(1, keepdims=True)
    return np.asarray(centred / np.maximum(centred.std(1, keepdims=True), 1e-9))
