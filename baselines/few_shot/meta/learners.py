"""How each network learns from a batch of tasks: a loss, and gradients for the optimiser."""

from __future__ import annotations

from typing import Protocol

import torch
from torch import nn

from baselines.few_shot import store
from baselines.few_shot.losses import LOSSES
from baselines.few_shot.meta.batches import Batch
from baselines.few_shot.meta.schema import Metalic, Preset, Reptile
from baselines.few_shot.metalic import AxialNetwork, Residues
from baselines.few_shot.reptile import ReptileNetwork, adapted, places
from baselines.few_shot.sparse import SparseNetwork
from baselines.few_shot.tokens import labels


class Learner(Protocol):
    """A network that learns."""

    @property
    def network(self) -> nn.Module:
        """What is trained."""
        ...

    def backward(self, batch: Batch) -> float:
        """Leave gradients at the network's parameters; returns the loss."""
        ...


class InContextLearner:
    """Shown the support, it is told how well it ranked the queries."""

    def __init__(self, network: SparseNetwork, preset: Preset) -> None:
        self.network, self.loss = network, LOSSES[preset.loss]

    def backward(self, batch: Batch) -> float:
        """As `Learner` says."""
        k = batch.support
        measured = labels(batch.targets[:, :k])
        loss = self.loss(self.network(batch.tokens.rows(None, k), measured, batch.tokens.rows(k, None)), batch.asked)
        loss.backward()
        return float(loss.detach())


class MetalicLearner:
    """The same over residues, one task at a time; gradients add up to the mean over the batch."""

    def __init__(self, network: AxialNetwork, residues: Residues, preset: Metalic) -> None:
        self.network, self.residues, self.loss = network.to(residues.device), residues, LOSSES[preset.loss]

    def backward(self, batch: Batch) -> float:
        """As `Learner` says."""
        assert batch.landscapes is not None
        k, total = batch.support, 0.0
        targets = torch.from_numpy(batch.targets).float().to(self.residues.device)
        for number in range(len(targets)):
            seen = self.residues.of(batch.landscapes.sequences(number))[None]
            scores = self.network(seen[:, :k], targets[None, number, :k], seen[:, k:])
            loss = self.loss(scores, targets[None, number, k:]) / len(targets)
            loss.backward()
            total += float(loss.detach())
        return total


class ReptileLearner:
    """The gradient is the way from where the tasks' own weights are to where they began (Nichol et al. 2018)."""

    def __init__(self, network: ReptileNetwork, preset: Reptile) -> None:
        self.network, self.preset = network, preset

    def backward(self, batch: Batch) -> float:
        """As `Learner` says; the loss is that of the queries before any step."""
        k, (steps, rate) = batch.support, (self.preset.inner_steps, self.preset.inner_rate)
        where, targets = places(batch.tokens, k), torch.from_numpy(batch.targets)
        tuned = adapted(self.network, batch.tokens, where, targets, steps=steps, rate=rate)
        for name, parameter in self.network.named_parameters():
            parameter.grad = (parameter.detach() - tuned[name].mean(0)) / (rate * steps)
        with torch.no_grad():
            scores = self.network(batch.tokens, where)
        return float(LOSSES[self.preset.loss](scores[:, k:], batch.asked))


def made(preset: Preset, device: str = "cpu") -> Learner:
    """A learner with random weights, of the generator of torch.

    Args:
        device: `cpu`, or `cuda` for a network of residues.

    Raises:
        DataError: the settings make no network; a backbone cannot be had.
    """
    if isinstance(preset, Metalic):
        residues = Residues(preset.backbone, preset.layer, device)
        preset.embedded = residues.width
    network = store.network(vars(preset))
    if isinstance(preset, Metalic):
        assert isinstance(network, AxialNetwork)
        return MetalicLearner(network, residues, preset)
    if isinstance(preset, Reptile):
        assert isinstance(network, ReptileNetwork)
        return ReptileLearner(network, preset)
    assert isinstance(network, SparseNetwork)
    return InContextLearner(network, preset)
