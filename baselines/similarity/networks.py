"""Many small networks at once: two hidden layers of rectified units and a logit, padded with zeros."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 - everybody calls it so

from baselines.errors import DataError
from baselines.similarity.tasks import Ints

Layers = tuple[torch.Tensor, torch.Tensor, torch.Tensor]
LAYERS = ("first", "second", "last")
BETAS, EPSILON = (0.9, 0.999), 1e-8


@dataclass(frozen=True, eq=False)
class Networks:
    """Weights of some networks; the last column of each layer is the bias, rows and columns behind the widths are zero.

    Attributes:
        layers: [networks, hidden 1, inputs + 1], [networks, hidden 2, hidden 1 + 1], [networks, 1, hidden 2 + 1].
        widths: [networks, 2] units of the hidden layers.
    """

    layers: Layers
    widths: Ints

    def __post_init__(self) -> None:
        first, second, last = self.layers
        shapes = [
            second.shape[2] == first.shape[1] + 1,
            last.shape[1:] == (1, second.shape[1] + 1),
            len(first) == len(second) == len(last) == len(self.widths),
            self.widths.shape[1:] == (2,),
        ]
        if not all(shapes) or (self.widths > [first.shape[1], second.shape[1]]).any() or (self.widths < 1).any():
            raise DataError(f"Layers of shapes {[tuple(layer.shape) for layer in self.layers]} make no networks.")

    def __len__(self) -> int:
        return len(self.widths)

    def __getitem__(self, which: Ints | slice) -> Networks:
        first, second, last = (layer[which] for layer in self.layers)
        return Networks((first, second, last), self.widths[which])

    def to(self, kind: torch.dtype) -> Networks:
        """The same in another precision."""
        first, second, last = (layer.to(kind) for layer in self.layers)
        return Networks((first, second, last), self.widths)

    def units(self, hidden: int) -> torch.Tensor:
        """[networks, width] which units of hidden layer 0 or 1 there are."""
        width = self.layers[hidden].shape[1]
        return torch.arange(width)[None] < torch.from_numpy(self.widths[:, hidden])[:, None]

    def trimmed(self) -> Networks:
        """Without units that none of them has."""
        one, two = (int(w) for w in self.widths.max(0))
        first, second, last = self.layers
        second = torch.cat([second[:, :two, :one], second[:, :two, -1:]], 2)
        return Networks((first[:, :one], second, torch.cat([last[:, :, :two], last[:, :, -1:]], 2)), self.widths)

    def parameters(self) -> Ints:
        """[networks] weights and biases of each."""
        inputs = self.layers[0].shape[2] - 1
        one, two = self.widths.T
        return np.asarray(one * (inputs + 1) + two * (one + 1) + two + 1)

    def logits(self, inputs: torch.Tensor) -> torch.Tensor:
        """[networks, n] of inputs [n, width], or of each network's own, [networks, n, width]."""
        return logits(self.layers, inputs)


def logits(layers: Sequence[torch.Tensor], inputs: torch.Tensor) -> torch.Tensor:
    """As `Networks.logits` says."""
    seen = inputs.expand(len(layers[0]), -1, -1) if inputs.ndim == 2 else inputs
    for number, layer in enumerate(layers):
        seen = torch.baddbmm(layer[:, None, :, -1], seen, layer[:, :, :-1].transpose(1, 2))
        seen = F.relu(seen) if number < len(layers) - 1 else seen
    return seen[:, :, 0]


def joined(parts: Sequence[Networks]) -> Networks:
    """All of them, in this order."""
    first, second, last = (torch.cat(layers) for layers in zip(*(part.layers for part in parts), strict=True))
    return Networks((first, second, last), np.concatenate([part.widths for part in parts]))


def drawn(widths: Ints, inputs: int, generator: torch.Generator, padded: tuple[int, int]) -> Networks:
    """Random weights, each layer uniform within one over the root of its inputs, as `torch.nn.Linear` has them.

    Args:
        widths: [networks, 2].
        padded: widths to pad to.
    """
    count = len(widths)
    fan_in = (np.full(count, inputs), widths[:, 0], widths[:, 1])
    rows = (padded[0], padded[1], 1)
    layers = []
    for number, columns in enumerate((inputs, *padded)):
        bound = torch.from_numpy(1 / np.sqrt(fan_in[number])).float()[:, None, None]
        layer = (torch.rand(count, rows[number], columns + 1, generator=generator) * 2 - 1) * bound
        if number < 2:
            layer *= (torch.arange(rows[number]) < torch.from_numpy(widths[:, number])[:, None])[:, :, None]
        if number > 0:
            there = torch.arange(columns) < torch.from_numpy(widths[:, number - 1])[:, None]
            layer[:, :, :-1] *= there[:, None]
        layers.append(layer)
    first, second, last = layers
    return Networks((first, second, last), widths)


def trained(
    networks: Networks,
    batches: Callable[[int], tuple[torch.Tensor, torch.Tensor]],
    *,
    steps: torch.Tensor,
    rate: torch.Tensor,
    decay: torch.Tensor,
) -> Networks:
    """Networks trained side by side by AdamW (Loshchilov and Hutter 2019), each by its own settings.

    Padding stays zero, as no gradient reaches it.

    Args:
        batches: inputs [networks, n, width] and labels [networks, n] of a step.
        steps, rate, decay: [networks] how many steps, learning rate and weight decay.
    """
    layers = [layer.clone().requires_grad_() for layer in networks.layers]
    moments = [(torch.zeros_like(layer), torch.zeros_like(layer)) for layer in layers]
    for step in range(int(steps.max())):
        inputs, labels = batches(step)
        loss = F.binary_cross_entropy_with_logits(logits(layers, inputs), labels, reduction="none").mean(1).sum()
        gradients = torch.autograd.grad(loss, layers)
        going = torch.where(step < steps, rate, torch.zeros_like(rate))[:, None, None]
        with torch.no_grad():
            for layer, gradient, (mean, square) in zip(layers, gradients, moments, strict=True):
                mean.lerp_(gradient, 1 - BETAS[0])
                square.lerp_(gradient**2, 1 - BETAS[1])
                size = (square / (1 - BETAS[1] ** (step + 1))).sqrt() + EPSILON
                layer.mul_(1 - going * decay[:, None, None])
                layer.sub_(going * mean / (1 - BETAS[0] ** (step + 1)) / size)
    first, second, last = (layer.detach() for layer in layers)
    return Networks((first, second, last), networks.widths)
