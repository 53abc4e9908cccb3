"""Networks that read the weights of other networks: a graph network over units, and a transformer over them.

The graph network is after Kofinas et al. 2024 (ICLR, neural graphs) and Lim et al. 2024 (ICLR, graph metanetworks):
units are nodes, weights are edges. It is equivariant to the order of hidden units, and its embedding invariant.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F  # noqa: N812 - everybody calls it so
from torch import nn

from baselines.similarity.networks import Layers, Networks

SWEEPS = 2
HEADS = 4


class Seen(NamedTuple):
    """What an encoder reads of some networks: layers as in `Networks`, and which hidden units there are."""

    layers: Layers
    first: torch.Tensor
    second: torch.Tensor


def seen(networks: Networks) -> Seen:
    """Weights in single precision; the norm of the last layer, on which no decision depends, is divided out."""
    first, second, last = networks.layers
    last = last / last.norm(dim=2, keepdim=True).clamp_min(1e-12)
    return Seen((first.float(), second.float(), last.float()), networks.units(0), networks.units(1))


class EquivariantGNN(nn.Module):
    """Messages along weights and their absolute values between inputs, units and the logit, from either side at once.

    Layers are updated one after the other, in a sweep from the inputs to the logit and in one back.

    Args:
        inputs: of the networks that are read; each has an embedding of its own.
        hidden: width of nodes.
        output: width of an embedding.
    """

    def __init__(self, inputs: int, hidden: int, output: int) -> None:
        super().__init__()
        self.identity = nn.Parameter(torch.randn(inputs, hidden))
        self.biases = nn.ModuleList(nn.Linear(1, hidden) for _ in range(3))
        self.sweeps = nn.ModuleList(nn.ModuleList(_Update(n, hidden) for n in (3, 5, 5, 3)) for _ in range(SWEEPS))
        self.head = nn.Sequential(nn.Linear(7 * hidden, 2 * hidden), nn.GELU(), nn.Linear(2 * hidden, output))

    def forward(self, networks: Seen) -> torch.Tensor:
        """[networks, output]"""
        weights = [layer[:, :, :-1] for layer in networks.layers]
        nodes = [self.identity.expand(len(weights[0]), -1, -1)]
        nodes += [embed(layer[:, :, -1:]) for embed, layer in zip(self.biases, networks.layers, strict=True)]
        for number, updates in enumerate(self.sweeps):
            assert isinstance(updates, nn.ModuleList)
            for layer in range(4) if number % 2 == 0 else reversed(range(4)):
                nodes[layer] = updates[layer](_messages(nodes, weights, layer))
        pooled = [nodes[0].mean(1), nodes[0].amax(1), nodes[3][:, 0]]
        for values, there in ((nodes[1], networks.first), (nodes[2], networks.second)):
            pooled += _pooled(values, there)
        found: torch.Tensor = self.head(torch.cat(pooled, 1))
        return found


def _messages(nodes: list[torch.Tensor], weights: list[torch.Tensor], layer: int) -> list[torch.Tensor]:
    """A layer's nodes, and what comes to them from the layer below and from the one above."""
    found = [nodes[layer]]
    if layer > 0:
        below = weights[layer - 1]
        found += [below @ nodes[layer - 1], below.abs() @ nodes[layer - 1]]
    if layer < len(weights):
        above = weights[layer].transpose(1, 2)
        found += [above @ nodes[layer + 1], above.abs() @ nodes[layer + 1]]
    return found


def _pooled(values: torch.Tensor, there: torch.Tensor) -> list[torch.Tensor]:
    """Mean and maximum over the units that there are; both [networks, width]."""
    mask = there[:, :, None]
    return [(values * mask).sum(1) / mask.sum(1), values.masked_fill(~mask, -torch.inf).amax(1)]


class _Update(nn.Module):
    """Nodes from what they are and what comes to them."""

    def __init__(self, messages: int, hidden: int) -> None:
        super().__init__()
        self.change = nn.Sequential(nn.Linear(messages * hidden, hidden), nn.GELU(), nn.Linear(hidden, hidden))
        self.norm = nn.LayerNorm(hidden)

    def forward(self, messages: list[torch.Tensor]) -> torch.Tensor:
        found: torch.Tensor = self.norm(messages[0] + self.change(torch.cat(messages, 2)))
        return found


class Transformer(nn.Module):
    """A token for each unit: its incoming weights, its bias, and its outgoing weights, at its place in the layer.

    Args:
        inputs: of the networks that are read.
        padded: widths of their hidden layers, padded.
        hidden: width of tokens.
        output: width of an embedding.
    """

    def __init__(self, inputs: int, padded: tuple[int, int], hidden: int, output: int) -> None:
        super().__init__()
        one, two = padded
        self.tokens = nn.ModuleList(nn.Linear(width, hidden) for width in (inputs + 1 + two, one + 1 + 1, two + 1))
        self.places = nn.Parameter(0.02 * torch.randn(one + two + 1, hidden))
        self.block = nn.TransformerEncoderLayer(
            hidden, HEADS, 2 * hidden, dropout=0.0, activation="gelu", batch_first=True, norm_first=True
        )
        self.norm = nn.LayerNorm(hidden)
        self.head = nn.Sequential(nn.Linear(hidden, 2 * hidden), nn.GELU(), nn.Linear(2 * hidden, output))

    def forward(self, networks: Seen) -> torch.Tensor:
        """[networks, output]"""
        first, second, last = networks.layers
        sent = [second[:, :, :-1].transpose(1, 2), last[:, :, :-1].transpose(1, 2)]
        described = [torch.cat([first, sent[0]], 2), torch.cat([second, sent[1]], 2), last]
        tokens = torch.cat([embed(rows) for embed, rows in zip(self.tokens, described, strict=True)], 1)
        there = torch.cat([networks.first, networks.second, torch.ones(len(first), 1, dtype=torch.bool)], 1)
        read = self.norm(self.block(tokens + self.places, src_key_padding_mask=~there))
        mask = there[:, :, None]
        found: torch.Tensor = self.head((read * mask).sum(1) / mask.sum(1))
        return found


def normed(vectors: torch.Tensor) -> torch.Tensor:
    """Rows of norm 1."""
    return F.normalize(vectors, dim=1)
