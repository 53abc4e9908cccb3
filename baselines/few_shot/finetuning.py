"""A network tuned on one task's support, and put back as it was."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import nn

CLIP = 1.0
SEED = 0


def decayed(network: nn.Module, decay: float) -> list[dict[str, object]]:
    """Parameters for AdamW, with weight decay but for biases."""
    biases = [p for name, p in network.named_parameters() if name.endswith("bias")]
    others = [p for name, p in network.named_parameters() if not name.endswith("bias")]
    return [{"params": others, "weight_decay": decay}, {"params": biases, "weight_decay": 0.0}]


@contextmanager
def finetuned(
    network: nn.Module,
    loss: Callable[[torch.Tensor, torch.Tensor], torch.Tensor],
    support: int,
    *,
    steps: int,
    learning_rate: float,
    weight_decay: float = 0.0,
) -> Iterator[None]:
    """With weights tuned by steps of AdamW, each on other halves of the support; restored exactly at the end.

    Every task begins with a fresh state of the optimiser and the same seed, so that it does not matter which came
    before. No step is chosen by how good it is: that would take labels which the task does not give.

    Args:
        loss: of queries in the light of the others; given the rows of the support that are taken for each.
        support: how many rows there are; with one there is nothing to tune on.
    """
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    try:
        if support > 1:
            optimizer = torch.optim.AdamW(decayed(network, weight_decay), lr=learning_rate)
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(SEED)
                network.train()
                for _ in range(steps):
                    shown, asked = torch.randperm(support).tensor_split(2)
                    optimizer.zero_grad()
                    loss(shown, asked).backward()
                    nn.utils.clip_grad_norm_(network.parameters(), CLIP)
                    optimizer.step()
        yield
    finally:
        network.load_state_dict(before)
        network.zero_grad()
