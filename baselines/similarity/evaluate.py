"""From what encoders made of networks to the figures of the report: one nested dictionary, as it stands in the JSON."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from baselines.similarity import metrics, symmetry, transfer, zoo
from baselines.similarity.experiment import LEARNED, MAIN, METHODS, Experiment, Fit, Outcome, unseen
from baselines.similarity.metrics import Found
from baselines.similarity.tasks import Floats, Ints

REFERENCE = "gnn"
"""With which the others are compared."""
HISTORY = ("loss", "contrastive", "panel")
SHOWN = ("precision@1", "mAP")
"""What is told where there is no room for all."""
SIGNED = (-1.0, 1.0)


def evaluated(experiment: Experiment) -> dict[str, Any]:
    """Every figure.

    Intervals are at 95 % and hold for other tasks like these; of several seeds, values are averaged by query first.
    """
    main = experiment.zoos[MAIN]
    held_out = np.flatnonzero(main.held_out)
    seen = {m: [_held_out(experiment, fit) for fit in _fits(experiment, m)] for m in METHODS}
    splits = {m: _unseen(experiment, m) for m in METHODS}
    values = {m: _mean([found.measured() for found in some]) for m, some in seen.items()}
    unseen_values = {m: _joined([found.measured() for found in some]) for m, some in splits.items()}
    unseen_tasks = np.concatenate([found.task for found in splits[REFERENCE]])
    tasks = main.task[held_out]
    return {
        "configuration": {"preset": asdict(experiment.config.preset), "seed": experiment.config.seed},
        "data": experiment.tasks.described(),
        "statistics": {kind: zoo.statistics(of.facts) for kind, of in experiment.zoos.items()},
        "accuracy": {kind: _accuracy(of) for kind, of in experiment.zoos.items()},
        "methods": {m: _method(experiment, m) for m in METHODS},
        "core_seconds": sum(outcome.seconds for outcome in experiment.outcomes.values()),
        "retrieval": {m: _told(values[m], tasks, [f.measured() for f in seen[m]]) for m in METHODS},
        "ceilings": {f"precision@{k}": seen[REFERENCE][0].ceiling(k) for k in metrics.AT},
        "curves": {m: _curves(some) for m, some in seen.items()},
        "full_gallery": {m: _full_gallery(experiment, m) for m in METHODS},
        "unseen": {m: _told(unseen_values[m], unseen_tasks) for m in METHODS},
        "controls": {kind: _control(experiment, kind) for kind in zoo.KINDS[1:]},
        "differences": {
            "seen": _differences(values, tasks),
            "unseen": _differences(unseen_values, unseen_tasks),
        },
        "transfer": _transfer(experiment),
        "symmetry": _symmetry(experiment),
        "clustering": {m: _clustering(experiment, m) for m in METHODS},
        "history": {m: _history(experiment, m) for m in LEARNED},
    }


def _fits(experiment: Experiment, method: str, kind: str = MAIN) -> list[Fit]:
    return [fit for fit in experiment.outcomes if (fit.zoo, fit.method, fit.split) == (kind, method, 0)]


def _outcomes(experiment: Experiment, method: str) -> list[Outcome]:
    return [experiment.outcomes[fit] for fit in _fits(experiment, method)]


def _held_out(experiment: Experiment, fit: Fit) -> Found:
    of = experiment.zoos[fit.zoo]
    rows = np.flatnonzero(of.held_out)
    return metrics.retrieved(experiment.outcomes[fit].vectors, of.task, rows, rows)


def _unseen(experiment: Experiment, method: str) -> list[Found]:
    of, found = experiment.zoos[MAIN], []
    for fit, outcome in experiment.outcomes.items():
        if fit.method == method and fit.zoo == MAIN and fit.split:
            rows = np.flatnonzero(np.isin(of.task, unseen(experiment.config, fit.split)))
            found.append(metrics.retrieved(outcome.vectors, of.task, rows, rows))
    return found


def _mean(of_seeds: Sequence[Mapping[str, Floats]]) -> dict[str, Floats]:
    return {name: np.mean([values[name] for values in of_seeds], axis=0) for name in of_seeds[0]}


def _joined(of_splits: Sequence[Mapping[str, Floats]]) -> dict[str, Floats]:
    return {name: np.concatenate([values[name] for values in of_splits]) for name in SHOWN}


def _told(
    values: Mapping[str, Floats], tasks: Ints, of_seeds: Sequence[Mapping[str, Floats]] = ()
) -> dict[str, dict[str, float]]:
    found = {name: told(of_one, tasks) for name, of_one in values.items()}
    if len(of_seeds) > 1:
        for name, of_one in found.items():
            of_one["seed_sd"] = float(np.std([values[name].mean() for values in of_seeds], ddof=1))
    return found


def told(values: Floats, tasks: Ints, within: tuple[float, float] = (0.0, 1.0)) -> dict[str, float]:
    """A mean and its interval."""
    low, high = metrics.interval(values, tasks, within)
    return {"value": float(values.mean()), "low": low, "high": high}


def _differences(values: Mapping[str, Mapping[str, Floats]], tasks: Ints) -> dict[str, dict[str, dict[str, float]]]:
    """What the reference has more than each other method, query by query."""
    best = values[REFERENCE]
    return {
        m: {name: told(best[name] - of_one[name], tasks, SIGNED) for name in SHOWN}
        for m, of_one in values.items()
        if m != REFERENCE
    }


def _accuracy(of: zoo.Zoo) -> dict[str, float]:
    accuracy = np.array([fact["accuracy"] for fact in of.facts])
    return {name: float(accuracy[of.task == k].mean()) for k, name in enumerate(of.names)}


def _method(experiment: Experiment, method: str) -> dict[str, Any]:
    outcomes = _outcomes(experiment, method)
    seconds = float(np.mean([outcome.seconds for outcome in outcomes]))
    return {"title": METHODS[method], "parameters": outcomes[0].parameters, "seconds": seconds, "seeds": len(outcomes)}


def _curves(some: Sequence[Found]) -> dict[str, list[float]]:
    def curve(of: Callable[[Found, int], Floats]) -> list[float]:
        upto = range(1, metrics.CURVE + 1)
        return [float(np.mean([of(found, k).mean() for found in some])) for k in upto]

    return {"precision": curve(Found.precision), "recall": curve(Found.recall), "f1": curve(Found.f1)}


def _full_gallery(experiment: Experiment, method: str) -> dict[str, dict[str, float]]:
    of = experiment.zoos[MAIN]
    rows, every = np.flatnonzero(of.held_out), np.arange(len(of.task))
    some = [metrics.retrieved(o.vectors, of.task, rows, every).measured() for o in _outcomes(experiment, method)]
    return _told(_mean(some), of.task[rows])


def _control(experiment: Experiment, kind: str) -> dict[str, Any]:
    of = experiment.zoos[kind]
    rows = np.flatnonzero(of.held_out)
    found = {}
    for method in METHODS:
        fits = _fits(experiment, method, kind)
        some = [_held_out(experiment, fit).measured() for fit in fits]
        found[method] = _told({name: values for name, values in _mean(some).items() if name in SHOWN}, of.task[rows])
        if kind == "shuffled":
            vectors = experiment.outcomes[fits[0]].vectors
            chance = metrics.by_chance(vectors, of.task, rows, len(METHODS))
            for name, (low, high) in chance.items():
                value = float(some[0][name].mean())
                inside = low <= value <= high
                found[method][name] |= {"first_seed": value, "chance_low": low, "chance_high": high, "inside": inside}
    return found


def _symmetry(experiment: Experiment) -> dict[str, dict[str, dict[str, float]]]:
    found: dict[str, dict[str, dict[str, float]]] = {kind: {} for kind in symmetry.KINDS}
    for method in METHODS:
        outcomes = [experiment.outcomes[fit] for fit in _fits(experiment, method) if fit.whole]
        for number, kind in enumerate(symmetry.KINDS):
            if outcomes:
                cosine, distance = np.moveaxis(np.array([o.likeness[number] for o in outcomes]), 1, 0)
                found[kind][method] = {
                    "mean_similarity": float(cosine.mean()),
                    "min_similarity": float(cosine.min()),
                    "mean_distance": float(distance.mean()),
                    "max_distance": float(distance.max()),
                }
    return found


def _clustering(experiment: Experiment, method: str) -> dict[str, float]:
    of = experiment.zoos[MAIN]
    rows = np.flatnonzero(of.held_out)
    some = [metrics.clustering(o.vectors[rows], of.task[rows]) for o in _outcomes(experiment, method)]
    return {name: float(np.mean([values[name] for values in some])) for name in some[0]}


def _history(experiment: Experiment, method: str) -> dict[str, list[list[float]]]:
    """Of each part of the loss, the curve of each seed."""
    every = np.array([outcome.history for outcome in _outcomes(experiment, method)])
    return {name: every[:, :, k].tolist() for k, name in enumerate(HISTORY)}


def _transfer(experiment: Experiment) -> dict[str, Any]:
    main, asked, tasks = experiment.zoos[MAIN], experiment.queries, experiment.tasks
    picks: dict[transfer.Pick, Ints] = {}
    for gallery in transfer.GALLERIES:
        may = transfer.allowed(main, asked, gallery)
        for method in METHODS:
            for fit in _fits(experiment, method):
                if fit.whole:
                    outcome = experiment.outcomes[fit]
                    picks[gallery, METHODS[method], fit.seed] = transfer.nearest(outcome.vectors, outcome.queries, may)
        references = transfer.references(tasks, main, asked, gallery, experiment.config.seed)
        picks |= {(gallery, name, 0): found for name, found in references.items()}
    accuracy = transfer.tuned(tasks, main, asked, picks)
    scratch = transfer.scratch(tasks, asked)
    found: dict[str, Any] = {gallery: {} for gallery in transfer.GALLERIES}
    for gallery, title in dict.fromkeys((gallery, title) for gallery, title, _ in picks):
        seeds = [key for key in picks if key[:2] == (gallery, title)]
        gained = np.mean([accuracy[key] for key in seeds], axis=0) - scratch
        own = np.mean([main.task[picks[key]] == asked.task for key in seeds], axis=0)
        found[gallery][title] = {
            str(n): told(gained[asked.budget == n], asked.task[asked.budget == n], SIGNED)
            | {"own_task": float(own[asked.budget == n].mean())}
            for n in transfer.BUDGETS
        }
    of_scratch = {str(n): told(scratch[asked.budget == n], asked.task[asked.budget == n]) for n in transfer.BUDGETS}
    return {**found, "scratch": of_scratch}
