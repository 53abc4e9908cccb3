"""Learning by gradients what to start from: a small network that a few steps on the support turn into the task's own.

Reptile: Nichol et al. 2018, arXiv:1803.02999. The network sees no support; it is a plain function of the mutations,
summed over those of a variant, whose weights are tuned.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn
from torch.func import functional_call, grad, vmap

from baselines.few_shot.episodes import Floats, Task
from baselines.few_shot.features import DESCRIPTORS
from baselines.few_shot.losses import ranking
from baselines.few_shot.simple import zero_shot
from baselines.few_shot.sparse import Embedding
from baselines.few_shot.tokens import ABSENT, Tokens, of_task

PLACES = 128
"""Mutated positions of a support that are told apart."""
CLIP = 1.0
"""The largest norm of a step's gradient: without it steps on a few measurements can run away."""
Weights = dict[str, torch.Tensor]


class ReptileNetwork(nn.Module):
    """Scores of variants by their mutations, [tasks, n].

    Args:
        width: of every layer.
    """

    def __init__(self, width: int = 144) -> None:
        super().__init__()
        self.embedded = Embedding(width)
        self.described = nn.Linear(DESCRIPTORS, width)
        self.place = nn.Embedding(PLACES + 1, width)
        nn.init.zeros_(self.place.weight)  # places differ only by what is learned of a task
        self.token = nn.Sequential(nn.GELU(), nn.Linear(width, width), nn.GELU(), nn.Linear(width, width))
        self.variant = nn.Sequential(nn.Linear(width, width), nn.GELU(), nn.Linear(width, 1))

    def forward(self, tokens: Tokens, places: torch.Tensor) -> torch.Tensor:
        """Args:
        tokens: of n variants a task.
        places: [tasks, n, tokens] as `places` gives them.
        """
        whole = self.described(tokens.described)[:, :, None]
        each = self.token(self.embedded(tokens) + self.place(places) + whole)
        summed = (each * (tokens.position != ABSENT)[..., None]).sum(2)
        found: torch.Tensor = self.variant(summed).squeeze(-1)
        return found


def places(tokens: Tokens, support: int) -> torch.Tensor:
    """[tasks, n, tokens] the rank of each token's position among those mutated in the support, the first of its rows.

    The last number stands for every position that is not mutated there, or has no place left.
    """
    position = tokens.position.clamp_min(-1) + 1
    tasks, last = position.shape[0], int(position.max()) + 1
    seen = torch.zeros(tasks, last, dtype=torch.bool)
    seen.scatter_(1, position[:, :support].flatten(1), value=True)
    seen[:, 0] = False
    rank = torch.where(seen, seen.long().cumsum(1) - 1, PLACES).clamp_max(PLACES)
    return rank.gather(1, position.flatten(1)).view_as(position)


def adapted(
    network: ReptileNetwork, tokens: Tokens, where: torch.Tensor, targets: torch.Tensor, *, steps: int, rate: float
) -> Weights:
    """Each task's own weights, [tasks, ...], after steps of gradient descent on the ranking loss.

    Args:
        tokens: of k variants a task.
        where: [tasks, k, tokens] their places.
        targets: [tasks, k].
        rate: the length of a step.
    """

    def loss(weights: Weights, *parts: torch.Tensor) -> torch.Tensor:
        wild, mutant, position, described, place, target = (part[None] for part in parts)
        seen = Tokens(wild, mutant, position, described)
        scores: torch.Tensor = functional_call(network, weights, (seen, place))
        return ranking(scores, target)

    def tuned(*parts: torch.Tensor) -> Weights:
        weights: Weights = dict(network.named_parameters())
        for _ in range(steps):
            slopes = grad(loss)(weights, *parts)
            norm = torch.stack([slope.square().sum() for slope in slopes.values()]).sum().sqrt()
            step = rate / norm.clamp_min(CLIP) * CLIP
            weights = {name: value - step * slopes[name] for name, value in weights.items()}
        return weights

    parts = (tokens.wild, tokens.mutant, tokens.position, tokens.described, where, targets.float())
    found: Weights = vmap(tuned)(*parts)
    return {name: value.detach() for name, value in found.items()}


@dataclass(frozen=True)
class Reptile:
    """A network that is tuned on each support; its own weights are never changed.

    Attributes:
        steps, rate: of the tuning.
    """

    network: ReptileNetwork
    steps: int
    rate: float

    def scores(self, task: Task) -> Floats:
        """[n] scores in no unit, or net charge where the support tells nothing."""
        if not task.queries or not task.teaches:
            return zero_shot(task)
        tokens, k = of_task(task), len(task.support)
        where = places(tokens, k)
        targets = torch.from_numpy(task.standardised)[None]
        weights = adapted(self.network, tokens.rows(None, k), where[:, :k], targets, steps=self.steps, rate=self.rate)
        own = {name: value[0] for name, value in weights.items()}
        with torch.inference_mode():
            scores: torch.Tensor = functional_call(self.network, own, (tokens.rows(k, None), where[:, k:]))
        return scores[0].double().numpy()
