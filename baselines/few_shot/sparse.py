"""The sparse in-context network: attention among mutations instead of residues, so that it can be trained on a laptop.

Tokens are mutations alone. Those of the support carry what was measured of their variant; all look at the support, and
at the other mutations of their own variant. Every head may prefer tokens of the same position, of the same mutation or
of the same variant, each by a learned amount. Queries never see each other, so their scores do not depend on which
others are asked.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import nn

from baselines.few_shot.episodes import Floats, Task
from baselines.few_shot.features import OTHER, PROPERTIES
from baselines.few_shot.panel import PanelNetwork
from baselines.few_shot.simple import zero_shot
from baselines.few_shot.tokens import ABSENT, LABELS, Tokens, labels, of_task

AT_ONCE = 128
"""Queries that are answered in one pass."""
PREFERRED = 4.0
"""How much the first heads prefer one relation each at the beginning, as a logit."""


class Embedding(nn.Module):
    """What a mutation is: residues and the change of their properties."""

    properties: torch.Tensor

    def __init__(self, width: int) -> None:
        super().__init__()
        self.register_buffer("properties", torch.from_numpy(PROPERTIES).float(), persistent=False)
        self.wild = nn.Embedding(OTHER + 1, width)
        self.mutant = nn.Embedding(OTHER + 1, width)
        self.change = nn.Linear(PROPERTIES.shape[1], width)

    def forward(self, tokens: Tokens) -> torch.Tensor:
        """One vector for each token, [tasks, variants, tokens, width]."""
        change = self.change(self.properties[tokens.mutant] - self.properties[tokens.wild])
        found: torch.Tensor = self.wild(tokens.wild) + self.mutant(tokens.mutant) + change
        return found


class _Layer(nn.Module):
    """Attention to the support and to the own variant, then a feed-forward part, each behind a norm."""

    def __init__(self, width: int, heads: int, inner: int) -> None:
        super().__init__()
        self.heads, self.scale = heads, (width // heads) ** -0.5
        self.norm = nn.LayerNorm(width)
        self.query, self.key_value, self.out = (
            nn.Linear(width, width),
            nn.Linear(width, 2 * width),
            nn.Linear(width, width),
        )
        self.nothing = nn.Parameter(torch.zeros(heads, 1, 1))
        first = PREFERRED * torch.eye(heads, 3)
        self.related = nn.Parameter(first[:, :2].clone())
        self.own = nn.Parameter(first[:, 2].clone())
        self.forwarded = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, inner), nn.GELU(), nn.Linear(inner, width))

    def forward(
        self,
        asking: torch.Tensor,
        support: torch.Tensor,
        relations: torch.Tensor,
        hidden: torch.Tensor,
        gaps: torch.Tensor,
    ) -> torch.Tensor:
        """[tasks, variants, tokens, width] after this layer.

        Args:
            asking: [tasks, variants, tokens, width].
            support: [tasks, k * tokens, width].
            relations: [tasks, 2, variants * tokens, k * tokens] 1 where two tokens share position, or mutation.
            hidden: 0, or minus infinity for tokens of the support that are not to be seen, of the same shape without 2.
            gaps: [tasks, variants, tokens] the same of the own variant's.
        """
        shape = asking.shape[1:3]
        asked, known = self.norm(asking), self.norm(support)
        query = self._split(self.query(asked).flatten(1, 2)) * self.scale
        key, value = map(self._split, self.key_value(known).chunk(2, -1))
        own_key, own_value = (
            self._split(x.flatten(1, 2)).unflatten(2, shape) for x in self.key_value(asked).chunk(2, -1)
        )
        across = query @ key.transpose(-1, -2) + self._preferred(relations) + hidden[:, None]
        within = query.unflatten(2, shape) @ own_key.transpose(-1, -2) + self.own[:, None, None, None]
        within = (within + gaps[:, None, :, None]).flatten(2, 3)
        nothing = self.nothing.expand(*across.shape[:-1], 1)
        weights = torch.cat([nothing, across, within], -1).softmax(-1)
        _, to_support, to_own = weights.split([1, across.shape[-1], within.shape[-1]], -1)
        seen = to_support @ value + (to_own.unflatten(2, shape) @ own_value).flatten(2, 3)
        attended: torch.Tensor = asking + self.out(seen.transpose(1, 2).flatten(2)).view_as(asking)
        forwarded: torch.Tensor = self.forwarded(attended)
        return attended + forwarded

    def _preferred(self, relations: torch.Tensor) -> torch.Tensor:
        """[tasks, heads, queries, keys]"""
        found: torch.Tensor = (self.related @ relations.flatten(2)).unflatten(2, relations.shape[2:])
        return found

    def _split(self, x: torch.Tensor) -> torch.Tensor:
        """[tasks, heads, tokens, width / heads]"""
        found: torch.Tensor = x.unflatten(-1, (self.heads, -1)).transpose(1, 2)
        return found


class SparseNetwork(nn.Module):
    """Scores of queries in the light of a support, all in one pass; panels have weights of their own.

    Args:
        layers, width, heads: of the attention; on panels half as wide.
        inner: width of the feed-forward parts.
    """

    def __init__(self, layers: int = 3, width: int = 64, heads: int = 4, inner: int = 128) -> None:
        super().__init__()
        self.panels = PanelNetwork(LABELS, layers, width // 2, max(1, heads // 2), inner // 2)
        self.embedded = Embedding(width)
        self.labelled = nn.Linear(LABELS, width)
        self.layers = nn.ModuleList(_Layer(width, heads, inner) for _ in range(layers))
        self.read = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, 1))

    def forward(self, support: Tokens, labels: torch.Tensor, queries: Tokens) -> torch.Tensor:
        """[tasks, n] scores: of each query the sum over its tokens.

        Args:
            support: of k variants a task.
            labels: [tasks, k, 2] what was measured.
            queries: of n variants a task.
        """
        if support.panel:
            scores: torch.Tensor = self.panels(support.described, labels, queries.described)
            return scores
        known = self.embedded(support) + self.labelled(labels)[:, :, None]
        asked = self.embedded(queries)
        known_gaps, asked_gaps = (_barred(tokens.position == ABSENT) for tokens in (support, queries))
        behind = known_gaps.flatten(1)[:, None].expand(-1, queries.position[0].numel(), -1)
        variant = torch.arange(support.variants).repeat_interleave(support.position.shape[2])
        beside = known_gaps.flatten(1)[:, None] + _barred(variant[:, None] == variant)  # its own are seen as such
        among, across = _relations(support, support), _relations(queries, support)
        for layer in self.layers:
            seen = known.flatten(1, 2)
            asked = layer(asked, seen, across, behind, asked_gaps)
            if layer is not self.layers[-1]:
                known = layer(known, seen, among, beside, known_gaps)
        found: torch.Tensor = (self.read(asked).squeeze(-1) * (queries.position != ABSENT)).sum(2)
        return found


@dataclass(frozen=True)
class InContext:
    """A meta-trained network that is shown the support and never changed.

    Attributes:
        unmeasured: whether it was meta-trained to answer without a support.
    """

    network: SparseNetwork
    unmeasured: bool = False

    def scores(self, task: Task) -> Floats:
        """[n] scores in no unit, or net charge where the support tells nothing."""
        if not task.queries or not (task.teaches or (self.unmeasured and not task.support)):
            return zero_shot(task)
        tokens, k = of_task(task), len(task.support)
        known, measured = tokens.rows(None, k), labels(task.targets[None])
        self.network.eval()
        with torch.inference_mode():
            parts = [
                self.network(known, measured, tokens.rows(at, at + AT_ONCE))[0]
                for at in range(k, tokens.variants, AT_ONCE)
            ]
        return torch.cat(parts).double().numpy()


def _relations(first: Tokens, second: Tokens) -> torch.Tensor:
    """[tasks, 2, tokens, tokens] whether two tokens share their position, and their mutation too."""
    a, b = first.position.flatten(1)[:, :, None], second.position.flatten(1)[:, None]
    place = (a == b) & (a >= 0)
    mutation = place & (first.mutant.flatten(1)[:, :, None] == second.mutant.flatten(1)[:, None])
    return torch.stack([place, mutation], 1).float()


def _barred(where: torch.Tensor) -> torch.Tensor:
    """Minus infinity there, 0 elsewhere."""
    return torch.zeros(where.shape).masked_fill(where, -math.inf)
