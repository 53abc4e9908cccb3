"""The in-context network of panels: unrelated antibodies, of which each has the same descriptors.

A cell is one descriptor of one antibody; cells of measured antibodies carry what was measured. Layers look along the
support at one descriptor, then along the descriptors of one antibody (Hollmann et al. 2025, Nature 637:319, TabPFN).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812 - everybody calls it so
from torch import nn

from baselines.few_shot.features import DESCRIPTORS


class _Attention(nn.Module):
    """What one set of cells sees of another, which may be empty: there is always a key that stands for nothing."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query, self.key_value, self.out = (nn.Linear(width, n * width) for n in (1, 2, 1))

    def forward(self, asking: torch.Tensor, seen: torch.Tensor) -> torch.Tensor:
        """[..., n, width]

        Args:
            asking: of the same shape.
            seen: [..., keys, width].
        """
        query, (key, value) = self.query(asking), F.pad(self.key_value(seen), (0, 0, 1, 0)).chunk(2, -1)
        attended = F.scaled_dot_product_attention(self._split(query), self._split(key), self._split(value))
        found: torch.Tensor = self.out(attended.transpose(1, 2).reshape(asking.shape))
        return found

    def _split(self, x: torch.Tensor) -> torch.Tensor:
        """[all tasks and lines, heads, cells, width / heads]"""
        found: torch.Tensor = x.flatten(0, -3).unflatten(-1, (self.heads, -1)).transpose(1, 2)
        return found


class _Layer(nn.Module):
    """Both attentions and a feed-forward part, each behind a norm and beside what came in."""

    def __init__(self, width: int, heads: int, inner: int) -> None:
        super().__init__()
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(3))
        self.along_support, self.along_descriptors = (_Attention(width, heads) for _ in range(2))
        self.forwarded = nn.Sequential(nn.Linear(width, inner), nn.GELU(), nn.Linear(inner, width))

    def forward(self, x: torch.Tensor, support: int) -> torch.Tensor:
        """[tasks, antibodies, descriptors, width], of which the first antibodies are the support."""
        columns = self.norms[0](x).transpose(1, 2)
        x = x + self.along_support(columns, columns[:, :, :support]).transpose(1, 2)
        rows = self.norms[1](x)
        x = x + self.along_descriptors(rows, rows)
        forwarded: torch.Tensor = self.forwarded(self.norms[2](x))
        return x + forwarded


class PanelNetwork(nn.Module):
    """Scores of queries in the light of a support, all in one pass.

    Args:
        labels: numbers that stand for what was measured.
        layers, width, heads, inner: of the attention.
    """

    def __init__(self, labels: int, layers: int = 3, width: int = 32, heads: int = 4, inner: int = 64) -> None:
        super().__init__()
        self.which = nn.Parameter(torch.randn(DESCRIPTORS, width) / width**0.5)
        self.value = nn.Linear(2, width)
        self.labelled = nn.Linear(labels, width)
        self.layers = nn.ModuleList(_Layer(width, heads, inner) for _ in range(layers))
        self.read = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, width), nn.GELU(), nn.Linear(width, 1))

    def forward(self, support: torch.Tensor, labels: torch.Tensor, queries: torch.Tensor) -> torch.Tensor:
        """[tasks, n] scores: of each query the sum over its descriptors.

        Args:
            support: [tasks, k, 48] standardised descriptors.
            labels: [tasks, k, numbers] what was measured.
            queries: [tasks, n, 48].
        """
        k, cells = support.shape[1], torch.cat([support, queries], 1)[..., None]
        x = self.value(torch.cat([cells, cells.abs()], -1)) + self.which
        x = torch.cat([x[:, :k] + self.labelled(labels)[:, :, None], x[:, k:]], 1)
        for layer in self.layers:
            x = layer(x, k)
        found: torch.Tensor = self.read(x[:, k:]).squeeze(-1).sum(2)
        return found
