"""Metalic: in-context prediction of fitness over frozen embeddings of every residue, tuned on each support.

The published shape: labels as one more column, axial attention with tied rows, and a network on the mean over residues
beside the label's column. What its protocol does otherwise is not: queries do not see each other unless asked for, no
label beyond the support chooses when to stop, and targets are standardised by the support.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import nn

from baselines.backbones import checkpoint as checkpoints
from baselines.backbones.packed import PackedEncoder
from baselines.backbones.tokens import encode
from baselines.errors import DataError
from baselines.few_shot.axial import AxialBlock
from baselines.few_shot.episodes import Floats, Task
from baselines.few_shot.features import OTHER, numbers
from baselines.few_shot.finetuning import finetuned
from baselines.few_shot.losses import ranking
from baselines.few_shot.simple import Simple, zero_shot

AT_ONCE = 100
"""Queries that are answered in one pass."""
ONE_HOT = "one_hot"
"""In place of a backbone's name: residues as they are."""


class AxialNetwork(nn.Module):
    """Scores of queries in the light of a support.

    Args:
        embedded: width of a residue's embedding.
        layers, width, heads, inner: of the axial attention.
        hidden: layers of the last network, each as wide.
        dropout, attention_dropout: as `AxialBlock` has them.
        transductive: whether queries see each other.
    """

    def __init__(
        self,
        embedded: int = 320,
        layers: int = 6,
        width: int = 768,
        heads: int = 4,
        inner: int = 3072,
        hidden: int = 4,
        dropout: float = 0.1,
        attention_dropout: float = 0.1,
        *,
        transductive: bool = False,
    ) -> None:
        super().__init__()
        self.transductive = transductive
        self.residues = nn.Linear(embedded, width)
        self.label = nn.Linear(2, width)
        self.norm = nn.LayerNorm(width)
        self.blocks = nn.ModuleList(AxialBlock(width, heads, inner, dropout, attention_dropout) for _ in range(layers))
        widths = [2 * width, *[width] * hidden]
        steps = [step for a, b in pairwise(widths) for step in (nn.Linear(a, b), nn.GELU(), nn.Dropout(dropout))]
        self.read = nn.Sequential(*steps, nn.Linear(width, 1))

    def forward(
        self,
        support: torch.Tensor,
        targets: torch.Tensor,
        queries: torch.Tensor,
        *,
        rows: torch.Tensor | None = None,
        columns: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """[tasks, n] scores.

        Args:
            support: [tasks, k, length, embedded] residues of measured variants.
            targets: [tasks, k] what was measured, standardised.
            queries: [tasks, n, length, embedded].
            rows: [tasks, k + n] which variants there are; default all.
            columns: [tasks, length] which residues there are; default all.
        """
        (tasks, k), n, length = support.shape[:2], queries.shape[1], queries.shape[2]
        if not k and n > 1 and not self.transductive:  # there is nothing that all may look at: each by itself
            alone = queries.flatten(0, 1)[:, None]
            each = None if columns is None else columns.repeat_interleave(n, 0)
            scores: torch.Tensor = self(alone[:, :0], targets.new_zeros(tasks * n, 0), alone, columns=each)
            return scores.view(tasks, n)
        number = torch.arange(k + n, device=queries.device)
        rows = (number >= 0).expand(tasks, -1) if rows is None else rows
        columns = queries.new_ones(tasks, length, dtype=torch.bool) if columns is None else columns
        tied = rows & (number < (k + n if self.transductive else k or 1))
        seen = tied[:, None] | (number[:, None] == number)
        masked = (number >= k).float().expand(tasks, -1)
        known = torch.cat([targets, targets.new_zeros(tasks, n)], 1)
        label = self.label(torch.stack([known, masked], -1))[:, :, None]
        seen_residues = torch.cat([support, queries], 1) if k else queries
        x = self.norm(torch.cat([self.residues(seen_residues), label], 2))
        there = torch.cat([columns, columns.new_ones(tasks, 1)], 1)
        for block in self.blocks:
            x = block(x, tied, there, seen)
        share = columns.float() / columns.sum(1, keepdim=True)
        pooled = torch.einsum("tl,trlw->trw", share, x[:, k:, :-1])
        found: torch.Tensor = self.read(torch.cat([pooled, x[:, k:, -1]], -1)).squeeze(-1)
        return found


class Residues:
    """Frozen embeddings of every residue of equally long sequences.

    Args:
        backbone: a name, the path of a checkpoint, or `one_hot`.
        layer: after which of its layers, from 1.
        device: `cpu` or `cuda`.

    Raises:
        DataError: the backbone cannot be had, or has fewer layers.
    """

    def __init__(self, backbone: str, layer: int, device: str = "cpu") -> None:
        self.device = torch.device(device)
        self.encoder: PackedEncoder | None = None
        self.width = OTHER + 1
        if backbone != ONE_HOT:
            checkpoint = checkpoints.find(backbone)
            if not 0 < layer <= checkpoint.shape.layers:
                raise DataError(f"There is no layer {layer}; {checkpoint.name} has {checkpoint.shape.layers}.")
            self.encoder = PackedEncoder(checkpoint, device, torch.float32, fused=False, layers=layer)
            self.encoder.norm_after = None  # what the layer itself says
            self.vocabulary, self.width = checkpoint.vocabulary, checkpoint.shape.width

    def of(self, sequences: Sequence[str]) -> torch.Tensor:
        """[n, length, width]"""
        if not sequences:
            return torch.empty(0, 0, self.width, device=self.device)
        if self.encoder is None:
            return torch.eye(OTHER + 1)[torch.from_numpy(numbers(sequences))].to(self.device)
        tokens = encode(sequences, self.vocabulary)
        states = self.encoder.residues(tokens.ids, tokens.lengths).float()
        return torch.stack(states.split(tokens.lengths.tolist()))[:, 1:-1].clone()


@dataclass(frozen=True)
class Metalic:
    """A meta-trained network, tuned on each landscape's support; on panels, which have no positions, ridge regression.

    Attributes:
        steps, learning_rate, weight_decay: of the tuning; no steps, no tuning.
        unmeasured: whether it was meta-trained to answer without a support.
    """

    network: AxialNetwork
    residues: Residues
    steps: int
    learning_rate: float
    weight_decay: float
    unmeasured: bool = False

    def scores(self, task: Task) -> Floats:
        """[n] scores in no unit, or net charge where the support tells nothing."""
        answers = task.teaches or (self.unmeasured and not task.support)
        if not task.queries or (task.wild_type and not answers):
            return zero_shot(task)
        if not task.wild_type:
            return Simple("ridge").scores(task)
        support = self.residues.of([a.heavy for a in task.support])[None]
        targets = torch.from_numpy(task.standardised if task.support else task.targets).float()[None]

        def loss(shown: torch.Tensor, asked: torch.Tensor) -> torch.Tensor:
            return ranking(self.network(support[:, shown], targets[:, shown], support[:, asked]), targets[:, asked])

        tuned = finetuned(
            self.network,
            loss,
            len(task.support),
            steps=self.steps,
            learning_rate=self.learning_rate,
            weight_decay=self.weight_decay,
        )
        with tuned, torch.inference_mode():
            self.network.eval()
            found = torch.empty(len(task.queries))
            for rows in self._seen_together(task):
                queries = self.residues.of([task.queries[row].heavy for row in rows])[None]
                found[rows] = self.network(support, targets, queries)[0].cpu()
        return found.double().numpy()

    def _seen_together(self, task: Task) -> list[list[int]]:
        """The chunks of the track for a network whose queries see each other; else whatever fits in memory."""
        every = list(range(len(task.queries)))
        if not (self.network.transductive and task.chunks):
            return [every[at : at + AT_ONCE] for at in range(0, len(every), AT_ONCE)]
        return [[row for row in every if task.chunks[row] == chunk] for chunk in dict.fromkeys(task.chunks)]
