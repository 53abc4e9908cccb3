"""Axial attention over variants and positions, as in-context models of fitness use it.

Rows are variants, columns positions. Row attention is tied: one map of positions, from logits that are summed over the
rows (Rao et al. 2021, ICML, MSA Transformer, equation 1). Column attention looks at other variants at one position.
Notin et al. 2023, NeurIPS (ProteinNPT), append the label as one more column.

A row may be looked at or not. Where only rows of the support are, a query's numbers do not depend on other queries.
"""

from __future__ import annotations

import math

import torch
from torch import nn


class TiedRowAttention(nn.Module):
    """One map of positions for all rows.

    Args:
        width, heads: of the attention.
        dropout: of its weights.
    """

    def __init__(self, width: int, heads: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.heads = heads
        self.query, self.key, self.value, self.out = (nn.Linear(width, width) for _ in range(4))
        self.dropped = nn.Dropout(dropout)

    def forward(self, x: torch.Tensor, tied: torch.Tensor, columns: torch.Tensor) -> torch.Tensor:
        """[tasks, rows, columns, width]

        Args:
            x: of the same shape.
            tied: [tasks, rows] which rows the map is made from; one at least.
            columns: [tasks, columns] which positions there are.
        """
        scale = (x.shape[-1] // self.heads * tied.sum(1)) ** -0.5
        query, key, value = (_split(part(x), self.heads) for part in (self.query, self.key, self.value))
        query = query * tied[:, :, None, None, None]
        logits = torch.einsum("trihd,trjhd->thij", query, key) * scale[:, None, None, None]
        weights = self.dropped(logits.masked_fill(~columns[:, None, None], -math.inf).softmax(-1))
        found: torch.Tensor = self.out(torch.einsum("thij,trjhd->trihd", weights, value).flatten(-2))
        return found


class ColumnAttention(nn.Module):
    """Variants at one position; each sees those that may be looked at, and itself.

    Args: as above.
    """

    def __init__(self, width: int, heads: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.heads = heads
        self.query, self.key, self.value, self.out = (nn.Linear(width, width) for _ in range(4))
        self.dropped = nn.Dropout(dropout)

    def forward(self, x: torch.Tensor, seen: torch.Tensor) -> torch.Tensor:
        """[tasks, rows, columns, width]

        Args:
            x: of the same shape.
            seen: [tasks, rows, rows] whether the first looks at the second.
        """
        query, key, value = (_split(part(x), self.heads) for part in (self.query, self.key, self.value))
        logits = torch.einsum("tichd,tjchd->tchij", query, key) * (x.shape[-1] // self.heads) ** -0.5
        weights = self.dropped(logits.masked_fill(~seen[:, None, None], -math.inf).softmax(-1))
        found: torch.Tensor = self.out(torch.einsum("tchij,tjchd->tichd", weights, value).flatten(-2))
        return found


class AxialBlock(nn.Module):
    """Rows, columns, and a feed-forward part, each behind a norm and beside what came in.

    Args:
        inner: width of the feed-forward part.
        dropout: of what each part adds.
        attention_dropout: of the attention's weights.
    """

    def __init__(self, width: int, heads: int, inner: int, dropout: float, attention_dropout: float) -> None:
        super().__init__()
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(3))
        self.rows = TiedRowAttention(width, heads, attention_dropout)
        self.columns = ColumnAttention(width, heads, attention_dropout)
        self.forwarded = nn.Sequential(nn.Linear(width, inner), nn.GELU(), nn.Dropout(dropout), nn.Linear(inner, width))
        self.dropped = nn.Dropout(dropout)

    def forward(self, x: torch.Tensor, tied: torch.Tensor, columns: torch.Tensor, seen: torch.Tensor) -> torch.Tensor:
        """[tasks, rows, columns, width], with the masks of the two attentions."""
        x = x + self.dropped(self.rows(self.norms[0](x), tied, columns))
        x = x + self.dropped(self.columns(self.norms[1](x), seen))
        forwarded: torch.Tensor = self.dropped(self.forwarded(self.norms[2](x)))
        return x + forwarded


def _split(x: torch.Tensor, heads: int) -> torch.Tensor:
    """[..., heads, width / heads]"""
    found: torch.Tensor = x.unflatten(-1, (heads, -1))
    return found
