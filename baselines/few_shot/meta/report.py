"""Methods compared on tasks that none of them was trained on: one table, with paired differences."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from scipy.stats import rankdata

from baselines.few_shot import store
from baselines.few_shot.episodes import Floats, Model, Task
from baselines.few_shot.features import with_properties
from baselines.few_shot.finetuning import finetuned
from baselines.few_shot.losses import ranking
from baselines.few_shot.meta.landscapes import Kind, landscapes
from baselines.few_shot.meta.panels import HELD_OUT, panels
from baselines.few_shot.simple import Simple, ridge, zero_shot
from baselines.few_shot.sparse import InContext, SparseNetwork
from baselines.few_shot.tokens import labels, of_task

SEED = 20261127
"""Of the held-out tasks: no step of meta-training draws by it."""
QUERIES, LARGEST = 100, 128
PANELS = "panels"
SUPPORTS = {"single": (16, 128), "multiple": (16, 128), "combinations": (16, 128), PANELS: (16, 64)}
"""How many are measured, by the kind of task."""
Results = dict[tuple[str, int], dict[str, Floats]]
REFERENCE = "Ridge, one-hot"
DRAWS = 2000


class Zero:
    """Net charge, whatever was measured."""

    def scores(self, task: Task) -> Floats:
        """[n]"""
        return zero_shot(task)


class Chance:
    """Random numbers, the same for a task of the same queries."""

    def scores(self, task: Task) -> Floats:
        """[n]"""
        return np.random.default_rng(int(task.task_id)).standard_normal(len(task.queries))


class WithProperties:
    """Ridge regression that sees properties of residues beside the residues."""

    def scores(self, task: Task) -> Floats:
        """[n]; on panels as plain ridge, whose descriptors are properties."""
        if not task.wild_type:
            return Simple("ridge").scores(task)
        support, queries = (with_properties([a.heavy for a in some]) for some in (task.support, task.queries))
        return ridge(support, task.targets, queries)


@dataclass(frozen=True)
class Untrained:
    """The in-context network from random weights, tuned on each support alone: what meta-training is worth."""

    network: SparseNetwork
    steps: int = 50
    learning_rate: float = 1e-3

    def scores(self, task: Task) -> Floats:
        """[n]"""
        k = len(task.support)
        tokens, targets = of_task(task).rows(None, k), torch.from_numpy(task.targets).float()[None]

        def loss(shown: torch.Tensor, asked: torch.Tensor) -> torch.Tensor:
            measured = labels(targets[:, shown].double().numpy())
            return ranking(self.network(tokens.picked(shown), measured, tokens.picked(asked)), targets[:, asked])

        with finetuned(self.network, loss, k, steps=self.steps, learning_rate=self.learning_rate):
            return InContext(self.network).scores(task)


def methods(models: Sequence[Path] = (), *, seed: int = 0) -> dict[str, Model]:
    """What is compared, by its name.

    Args:
        models: folders that meta-training wrote.
        seed: of the random weights.

    Raises:
        DataError: a folder holds no such model.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        untrained = Untrained(SparseNetwork())
    found: dict[str, Model] = {
        "Random": Chance(),
        "Zero-shot net charge": Zero(),
        REFERENCE: Simple("ridge"),
        "GP, Hamming": Simple("gp"),
        "Ridge, one-hot and properties": WithProperties(),
        "No meta-training": untrained,
    }
    return found | {str(store.read_metadata(folder)["name"]): store.load(folder) for folder in models}


def compared(
    methods: Mapping[str, Model],
    count: int = 100,
    kinds: Sequence[str] = ("single", "multiple"),
    say: Callable[[str], None] = lambda _: None,
) -> Results:
    """Spearman of each method on each task, [count], by kind and support.

    Args:
        count: tasks of each kind, half of them upside down.
        kinds: of tasks.
        say: told what is done.
    """
    torch.set_num_threads(1)  # the networks are small: threads would wait for each other
    found: Results = {}
    for kind, k in [(name, support) for name in kinds for support in SUPPORTS[name]]:
        tasks = held_out(kind, k, count)
        found[kind, k] = {}
        for name, model in methods.items():
            found[kind, k][name] = np.array([spearman(model.scores(task), truth) for task, truth in tasks])
            say(f"{kind}, {k} measured: {name} {found[kind, k][name].mean():.3f}")
    return found


def held_out(kind: str, support: int, count: int) -> list[tuple[Task, Floats]]:
    """Tasks that meta-training does not see, with the targets of their queries.

    Landscapes are the same for any support, and so are their queries; panels are of other antibodies.
    """
    if kind == PANELS:
        some = panels(np.random.default_rng(SEED), count, support, QUERIES, HELD_OUT)
        return [some.task(number) for number in range(count)]
    known: tuple[Kind, ...] = ("single", "multiple", "combinations")
    number = [str(k) for k in known].index(kind)
    drawn = landscapes(np.random.default_rng((SEED, number)), count, LARGEST + QUERIES, known[number])
    return [drawn.task(row, support, QUERIES) for row in range(count)]


def spearman(scores: Floats, targets: Floats) -> float:
    """Rank correlation, ties averaged; 0 where all scores are equal."""
    if np.ptp(scores) == 0 or np.ptp(targets) == 0:
        return 0.0
    return float(np.corrcoef(rankdata(scores), rankdata(targets))[0, 1])


def standard_error(values: Floats) -> float:
    """Of the mean, by resampling tasks."""
    rng = np.random.default_rng(0)
    return float(values[rng.integers(len(values), size=(DRAWS, len(values)))].mean(1).std())


def table(found: Mapping[tuple[str, int], Mapping[str, Floats]]) -> str:
    """In markdown: mean and standard error, then what each gains on one-hot ridge on the same landscapes."""
    names = list(next(iter(found.values())))
    head = " | ".join(f"{kind} {k}" for kind, k in found)
    lines = [f"| Spearman | {head} |", "|---|" + "--:|" * len(found)]
    lines += [f"| {name} | " + " | ".join(_shown(of[name]) for of in found.values()) + " |" for name in names]
    lines += ["", f"| Less {REFERENCE} | {head} |", "|---|" + "--:|" * len(found)]
    for name in names:
        if name != REFERENCE:
            cells = (_shown(of[name] - of[REFERENCE], sign="+") for of in found.values())
            lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _shown(values: Floats, sign: str = "") -> str:
    return f"{values.mean():{sign}.3f} ± {standard_error(values):.3f}"
