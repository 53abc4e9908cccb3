"""Which network to start from with few labels: the one that looks most like a network that these labels have made.

A query is trained on n labels from random weights. What it finds in the zoo is trained on the same n labels for a few
more steps, and compared with the query itself, trained on for as many: both have had equal budgets.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, cached_property

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F  # noqa: N812 - everybody calls it so

from baselines.similarity import networks as nets
from baselines.similarity.networks import Networks
from baselines.similarity.tasks import Floats, Ints, Tasks
from baselines.similarity.zoo import PADDED, WIDTHS, Zoo

BUDGETS = (10, 50, 100)
QUERY_STEPS, MORE_STEPS = 100, 50
QUERY_RATE, MORE_RATE = 1e-2, 3e-3
DECAY = 1e-2
AT_ONCE = 400
LIKELIEST, SAME_TASK, ANY = "Best likelihood on the n labels", "Random model of the task", "Random model"
GALLERIES = ("own task in", "own task out")
Pick = tuple[str, str, int]
"""A gallery, what has found something in it, and its seed."""


@dataclass(frozen=True, eq=False)
class Queries:
    """Networks that few labels have made, those of each budget behind those of the one before.

    Attributes:
        begun: their random weights.
        networks: after `QUERY_STEPS`.
        task: [queries].
        labelled: of each query the sequences with labels.
    """

    begun: Networks
    networks: Networks
    task: Ints
    labelled: list[Ints]

    @cached_property
    def budget(self) -> Ints:
        """[queries] how many labels each has."""
        return np.array([len(rows) for rows in self.labelled])


@cache
def queries(tasks: Tasks, each: int, seed: int) -> Queries:
    """Draw labels and train the queries; tasks take turns.

    Args:
        each: how many of each budget.
    """
    rng = np.random.default_rng((seed, len(BUDGETS)))
    count = len(BUDGETS) * each
    task = np.tile(np.arange(each) % len(tasks.names), len(BUDGETS))
    budgets = np.repeat(BUDGETS, each)
    few = tasks.parts["few"]
    labelled = [_labelled(rng, few, tasks.labels[own], n) for own, n in zip(task, budgets, strict=True)]
    widths = np.stack([rng.choice(some, size=count) for some in WIDTHS], axis=1)
    generator = torch.Generator().manual_seed(int(rng.integers(2**62)))
    begun = nets.drawn(widths, tasks.inputs.shape[1], generator, PADDED)
    networks = _trained(begun, tasks, task, labelled, QUERY_STEPS, QUERY_RATE)
    return Queries(begun, networks.to(torch.float64), task, labelled)


def _labelled(rng: np.random.Generator, few: Ints, labels: Ints, count: int) -> Ints:
    """Random rows, of both classes."""
    order = rng.permutation(few)
    first = [int(np.flatnonzero(labels[order] == label)[0]) for label in (0, 1)]
    return np.concatenate([order[first], np.delete(order, first)])[:count]


def _trained(begun: Networks, tasks: Tasks, task: Ints, labelled: list[Ints], steps: int, rate: float) -> Networks:
    """Networks trained on all labels of each at once; those with as many labels side by side."""
    inputs = torch.from_numpy(tasks.inputs).float()
    budgets = np.array([len(rows) for rows in labelled])
    done: list[Networks] = []
    places: list[Ints] = []
    for budget in np.unique(budgets):
        members = np.flatnonzero(budgets == budget)
        for some in np.array_split(members, -(-len(members) // AT_ONCE)):
            rows = np.stack([labelled[k] for k in some])
            batch = inputs[rows], torch.from_numpy(np.take_along_axis(tasks.labels[task[some]], rows, 1)).float()
            each = torch.ones(len(some))
            settings = {"steps": steps * each, "rate": rate * each, "decay": DECAY * each}
            done.append(nets.trained(begun[some], lambda _: batch, **settings))  # noqa: B023 - called at once
            places.append(some)
    return nets.joined(done)[np.argsort(np.concatenate(places))]


def _accuracy(networks: Networks, tasks: Tasks, task: Ints) -> Floats:
    """[networks] on antibodies that nothing was trained on."""
    rows = tasks.parts["test"]
    found = networks.logits(torch.from_numpy(tasks.inputs[rows]).float()).numpy() > 0
    return np.asarray((found == tasks.labels[task][:, rows]).mean(1))


def allowed(zoo: Zoo, asked: Queries, gallery: str) -> npt.NDArray[np.bool_]:
    """[queries, networks] which of the zoo each may find."""
    own = asked.task[:, None] == zoo.task[None]
    return np.ones_like(own) if gallery == GALLERIES[0] else ~own


def nearest(vectors: Floats, of_queries: Floats, may: npt.NDArray[np.bool_]) -> Ints:
    """[queries] the most similar network of those that each may find."""
    found: Ints = np.where(may, of_queries @ vectors.T, -np.inf).argmax(1)
    return found


def references(tasks: Tasks, zoo: Zoo, asked: Queries, gallery: str, seed: int) -> dict[str, Ints]:
    """What is found without embeddings: by likelihood of the n labels, and at random; [queries] each."""
    rng = np.random.default_rng(seed)
    may = allowed(zoo, asked, gallery)
    scores = zoo.networks.logits(torch.from_numpy(tasks.inputs))
    likely = np.zeros(may.shape)
    for row, own, rows in zip(likely, asked.task, asked.labelled, strict=True):
        truth = torch.from_numpy(tasks.labels[own, rows]).double().expand(len(scores), -1)
        row[:] = -F.binary_cross_entropy_with_logits(scores[:, rows], truth, reduction="none").mean(1).numpy()
    keys = rng.random(may.shape)
    found = {LIKELIEST: np.where(may, likely, -np.inf).argmax(1), ANY: np.where(may, keys, -1).argmax(1)}
    if gallery == GALLERIES[0]:
        own = asked.task[:, None] == zoo.task[None]
        found[SAME_TASK] = np.where(own, keys, -1).argmax(1)
    return found


def scratch(tasks: Tasks, asked: Queries) -> Floats:
    """[queries] accuracy of the queries themselves, trained for as many steps as both have together."""
    steps = QUERY_STEPS + MORE_STEPS
    return _accuracy(_trained(asked.begun, tasks, asked.task, asked.labelled, steps, QUERY_RATE), tasks, asked.task)


def tuned(tasks: Tasks, zoo: Zoo, asked: Queries, picks: Mapping[Pick, Ints]) -> dict[Pick, Floats]:
    """[queries] accuracy of what each method has found, after some steps on the n labels.

    Args:
        picks: [queries] by method; what several found alike is trained once.
    """
    every = np.stack(list(picks.values()))
    numbers = np.arange(every.shape[1])
    pairs, place = np.unique((numbers * len(zoo.task) + every).ravel(), return_inverse=True)
    query, found = np.divmod(pairs, len(zoo.task))
    labelled = [asked.labelled[k] for k in query]
    begun = zoo.networks[found].to(torch.float32)
    accuracy = _accuracy(
        _trained(begun, tasks, asked.task[query], labelled, MORE_STEPS, MORE_RATE), tasks, asked.task[query]
    )
    return dict(zip(picks, accuracy[place].reshape(every.shape), strict=True))
