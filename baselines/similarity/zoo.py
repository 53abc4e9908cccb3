"""Zoos of small networks, each trained for one task, by settings that are drawn: hundreds in seconds.

Kinds: `independent` initialisation; `xor`, tasks that no linear function solves; `lineage`, all from one ancestor's
weights; `disjoint`, where held-out networks learn from other antibodies than the rest; and `shuffled`, where each
learns its own permutation of its labels, so that there is nothing to find.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from baselines.similarity import networks as nets
from baselines.similarity.networks import Networks
from baselines.similarity.schema import Preset
from baselines.similarity.tasks import Ints, Tasks

KINDS = ("independent", "xor", "lineage", "disjoint", "shuffled")
WIDTHS = ((16, 24, 32), (8, 12, 16))
"""Of the hidden layers, any with any."""
PADDED = (WIDTHS[0][-1], WIDTHS[1][-1])
ANCESTOR = (24, 12)
RATES = (3e-3, 2e-2)
DECAYS = (0.0, 1e-3, 1e-2, 1e-1)
SHARES = (0.5, 1.0)
"""Of the smaller class of a task, which a network learns from, with as many of the other."""
BATCH = 64


@dataclass(frozen=True, eq=False)
class Zoo:
    """Networks, and what is known of them.

    Attributes:
        networks: in double precision.
        task: [networks] which task each was trained for.
        names: of the tasks.
        held_out: [networks] those that no encoder is trained on.
        facts: of each network.
    """

    kind: str
    networks: Networks
    task: Ints
    names: tuple[str, ...]
    held_out: npt.NDArray[np.bool_]
    facts: list[dict[str, Any]]


@dataclass(frozen=True, eq=False)
class Recipes:
    """How each network of a zoo is made.

    Attributes:
        widths: [networks, 2].
        rate, decay: [networks] of AdamW.
        steps: [networks].
        examples: rows that each learns from, as many of either class.
    """

    widths: Ints
    rate: npt.NDArray[np.float64]
    decay: npt.NDArray[np.float64]
    steps: Ints
    examples: list[Ints]


def made(kind: str, tasks: Tasks, preset: Preset, seed: int) -> Zoo:
    """Train a zoo.

    Args:
        kind: one of `KINDS`.
    """
    number = KINDS.index(kind)
    rng = np.random.default_rng((seed, number))
    names, labels = (tasks.xor_names, tasks.xor_labels) if kind == "xor" else (tasks.names, tasks.labels)
    task = np.arange(preset.models) % len(names)
    held_out = _held_out(rng, task, preset.held_out)
    recipes = _recipes(rng, kind, labels[task], _pools(rng, kind, tasks.parts["zoo"], held_out), preset)
    own = labels[task].copy()
    if kind == "shuffled":
        for row, examples in zip(own, recipes.examples, strict=True):
            row[examples] = row[rng.permutation(examples)]
    generator = torch.Generator().manual_seed(int(rng.integers(2**62)))
    begun = nets.drawn(recipes.widths, tasks.inputs.shape[1], generator, PADDED)
    if kind == "lineage":
        begun = begun[np.zeros(preset.models, dtype=np.int64)]
    networks = _trained(begun, recipes, tasks, own, generator).to(torch.float64)
    accuracy = _accuracy(networks, tasks, labels[task])
    types = dict(zip(tasks.names, tasks.types, strict=True))
    facts = [
        {
            "id": f"{kind}-{k:04d}",
            "task": names[task[k]],
            "type": types.get(names[task[k]], "two properties"),
            "dataset": tasks.source,
            "architecture": "-".join(map(str, (tasks.inputs.shape[1], *recipes.widths[k], 1))),
            "parameters": int(networks.parameters()[k]),
            "initialisation": 0 if kind == "lineage" else k,
            "parent": "ancestor-0" if kind == "lineage" else None,
            "learning_rate": float(recipes.rate[k]),
            "weight_decay": float(recipes.decay[k]),
            "steps": int(recipes.steps[k]),
            "examples": len(recipes.examples[k]),
            "accuracy": float(accuracy[k]),
            "split": "held out" if held_out[k] else "train",
        }
        for k in range(preset.models)
    ]
    return Zoo(kind, networks, task, names, held_out, facts)


def _pools(rng: np.random.Generator, kind: str, rows: Ints, held_out: npt.NDArray[np.bool_]) -> list[Ints]:
    """From which antibodies each network may learn."""
    first, second = np.array_split(rng.permutation(rows), 2) if kind == "disjoint" else (rows, rows)
    return [second if apart else first for apart in held_out]


def _recipes(rng: np.random.Generator, kind: str, labels: Ints, pools: list[Ints], preset: Preset) -> Recipes:
    count = preset.models
    widths = np.stack([rng.choice(some, size=count) for some in WIDTHS], axis=1)
    if kind == "lineage":
        widths = np.tile(ANCESTOR, (count, 1))
    examples = []
    for own, pool in zip(labels, pools, strict=True):
        classes = [rng.permutation(pool[own[pool] == label]) for label in (0, 1)]
        some = int(min(map(len, classes)) * rng.uniform(*SHARES))
        examples.append(np.concatenate([rows[:some] for rows in classes]))
    return Recipes(
        widths,
        np.exp(rng.uniform(np.log(RATES[0]), np.log(RATES[1]), size=count)),
        rng.choice(DECAYS, size=count),
        rng.integers(preset.steps[0], preset.steps[1] + 1, size=count),
        examples,
    )


def _trained(begun: Networks, recipes: Recipes, tasks: Tasks, labels: Ints, generator: torch.Generator) -> Networks:
    inputs, truth = torch.from_numpy(tasks.inputs).float(), torch.from_numpy(labels).float()
    sizes = torch.tensor([len(rows) for rows in recipes.examples])[:, None]
    padded = np.zeros((len(labels), int(sizes.max())), dtype=np.int64)
    for row, examples in zip(padded, recipes.examples, strict=True):
        row[: len(examples)] = examples
    known = torch.from_numpy(padded)

    def batch(_step: int) -> tuple[torch.Tensor, torch.Tensor]:
        places = (torch.rand(len(known), BATCH, generator=generator) * sizes).long()
        rows = known.gather(1, places)
        return inputs[rows], truth.gather(1, rows)

    rate, decay = (torch.from_numpy(values).float() for values in (recipes.rate, recipes.decay))
    return nets.trained(begun, batch, steps=torch.from_numpy(recipes.steps), rate=rate, decay=decay)


def _held_out(rng: np.random.Generator, task: Ints, share: float) -> npt.NDArray[np.bool_]:
    held_out = np.zeros(len(task), dtype=bool)
    for number in range(task.max() + 1):
        members = rng.permutation(np.flatnonzero(task == number))
        held_out[members[: int(len(members) * share)]] = True
    return held_out


def _accuracy(networks: Networks, tasks: Tasks, labels: Ints) -> npt.NDArray[np.float64]:
    rows = tasks.parts["test"]
    found = networks.logits(torch.from_numpy(tasks.inputs[rows])).numpy() > 0
    return np.asarray((found == labels[:, rows]).mean(1))


def statistics(facts: list[dict[str, Any]]) -> dict[str, Any]:
    """How many networks there are of each kind, how large they are, and what is not known of them."""

    def counted(field: str) -> dict[str, int]:
        values = [fact[field] for fact in facts]
        return {value: values.count(value) for value in dict.fromkeys(values)}

    sizes = [fact["parameters"] for fact in facts]
    sizes_told = {
        "min": min(sizes),
        "max": max(sizes),
        "mean": float(np.mean(sizes)),
        "median": float(np.median(sizes)),
    }
    missing = {field: sum(fact[field] is None for fact in facts) for field in facts[0]}
    return {
        "total_models": len(facts),
        "unique_tasks": len(counted("task")),
        "models_by_type": counted("type"),
        "models_by_task": counted("task"),
        "models_by_dataset": counted("dataset"),
        "models_by_architecture": dict(sorted(counted("architecture").items())),
        "parameter_count_stats": sizes_told,
        "missing": {field: count for field, count in missing.items() if count},
    }
