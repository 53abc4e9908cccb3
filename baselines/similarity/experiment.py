"""The experiment: zoos, encoders and their controls, each stage kept, and every figure of the report out of them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import torch

from baselines.errors import DataError
from baselines.similarity import keep, simple, symmetry, train, transfer, zoo
from baselines.similarity import tasks as tasks_of
from baselines.similarity.networks import LAYERS, Networks
from baselines.similarity.schema import Config
from baselines.similarity.tasks import Floats, Ints, Tasks
from baselines.similarity.zoo import Zoo

FOLDER, KEPT = "retrieval", "kept"
LEARNED = {
    "gnn": "EquivariantGNN",
    "transformer": "Transformer",
    "transformer_augmented": "Transformer, augmented",
    "transformer_canonical": "Transformer, canonical order",
}
PLAIN = {
    "pca": "PCA",
    "pca_canonical": "PCA, canonical order",
    "statistics": "Layer statistics",
    "product": "Weight product",
    "behaviour": "Behaviour on the panel",
    "metadata": "Metadata",
    "random": "Random",
}
METHODS = LEARNED | PLAIN
MAIN = "independent"
NO_WEIGHTS = {"metadata", "random"}
"""Methods that see nothing of a network that they could compare with an equivalent or with a query."""


@dataclass(frozen=True)
class Fit:
    """One method on one zoo.

    Attributes:
        split: 0 where some networks of each task are held out, from 1 where whole tasks are.
    """

    zoo: str
    method: str
    seed: int
    split: int = 0

    @property
    def whole(self) -> bool:
        """Whether symmetry and transfer are looked at too."""
        return self.zoo == MAIN and not self.split and self.method not in NO_WEIGHTS


@dataclass(frozen=True, eq=False)
class Outcome:
    """What came of a fit.

    Attributes:
        vectors: [networks, width] of norm 1.
        history: [epochs, 3]; no rows where nothing is learned.
        likeness: as `symmetry.likeness`; empty unless the fit is whole.
        queries: [queries, width] of norm 1; empty unless the fit is whole.
        seconds: that it took on one core.
        parameters: of the encoder.
    """

    vectors: Floats
    history: Floats
    likeness: Floats
    queries: Floats
    seconds: float
    parameters: int


@dataclass(frozen=True, eq=False)
class Experiment:
    """Everything that the report is made of."""

    config: Config
    tasks: Tasks
    zoos: dict[str, Zoo]
    queries: transfer.Queries
    outcomes: dict[Fit, Outcome]


def run(config: Config, say: Callable[[str], None] = lambda _: None) -> Experiment:
    """Make every stage that is not kept yet.

    Args:
        say: told what is done.

    Raises:
        DataError: the data do not do, or a kept stage is damaged; with its name.
    """
    tasks = _tasks(config)
    begun = time.monotonic()
    say(f"{len(tasks.inputs)} antibodies ({tasks.source}), {tasks.inputs.shape[1]} inputs, {len(tasks.names)} tasks")
    with one_thread(), _processes(config.jobs) as each:
        for kind, seconds in each(partial(make_zoo, config), zoo.KINDS):
            say(f"zoo {kind}: {config.preset.models} networks, {seconds:.0f} s")
        wanted = fits(config)
        for number, (fit, seconds) in enumerate(each(partial(make_fit, config), wanted), 1):
            if fit.method in LEARNED:
                split = f", unseen tasks {fit.split}" if fit.split else ""
                passed = (time.monotonic() - begun) / 60
                told = f"{METHODS[fit.method]}, zoo {fit.zoo}{split}, seed {fit.seed}: {seconds:.0f} s"
                say(f"{number} of {len(wanted)}, {passed:.1f} minutes: {told}")
        zoos = {kind: load_zoo(config, tasks, kind) for kind in zoo.KINDS}
        outcomes = {fit: load_fit(config, tasks, fit) for fit in wanted}
        return Experiment(config, tasks, zoos, transfer.queries(tasks, config.preset.queries, config.seed), outcomes)


def fits(config: Config) -> list[Fit]:
    """Every fit of an experiment: first of all methods the first seeds and splits, then the second ones."""
    preset = config.preset
    splits = range(1, preset.unseen_splits + 1)
    found = []
    for method in METHODS:
        seeds = preset.seeds if method in LEARNED else 1
        controls = preset.control_seeds if method in LEARNED else 1
        found += [Fit(MAIN, method, seed) for seed in range(seeds)]
        found += [Fit(MAIN, method, 0, split) for split in splits]
        found += [Fit(kind, method, seed) for kind in zoo.KINDS[1:] for seed in range(controls)]
    return sorted(found, key=lambda fit: max(fit.seed, fit.split - 1))


def unseen(config: Config, split: int) -> Ints:
    """The tasks that no encoder of a split is trained on."""
    rng = np.random.default_rng((config.seed, split))
    return np.sort(rng.permutation(config.preset.tasks)[: config.preset.unseen_tasks])


def known(config: Config, of: Zoo, split: int) -> Ints:
    """Rows of the networks that an encoder is trained on."""
    return np.flatnonzero(~np.isin(of.task, unseen(config, split)) if split else ~of.held_out)


@contextmanager
def _processes(jobs: int) -> Iterator[Any]:
    """A map over stages, each on one core: in this process, or in several."""
    if jobs == 1:
        yield map
        return
    with ProcessPoolExecutor(jobs, get_context("spawn"), torch.set_num_threads, (1,)) as pool:
        yield pool.map


@contextmanager
def one_thread() -> Iterator[None]:
    """One thread a process: quicker for networks as small as these, and the same figures on any machine."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _tasks(config: Config) -> Tasks:
    train_on = Path(config.data.train) if config.data.train else None
    return tasks_of.made(train_on, config.data.synthetic, config.preset.tasks, config.seed)


def _path(config: Config, tasks: Tasks, stage: str, **more: Any) -> Path:
    """Where a stage is kept; what no stage of its kind depends on does not count."""
    preset = asdict(config.preset)
    ignored = {"name", "seeds", "control_seeds", "unseen_splits"} | (set() if more else {"training", "draws"})
    settings = {key: value for key, value in preset.items() if key not in ignored}
    wanted = {"preset": settings, "data": tasks.sha256, "seed": config.seed, "torch": torch.__version__, **more}
    return keep.named(Path(config.out) / FOLDER / KEPT, stage, wanted)


def path_of(config: Config, tasks: Tasks, fit: Fit) -> Path:
    """Where a fit is kept."""
    return _path(config, tasks, "fit", **asdict(fit))


def make_zoo(config: Config, kind: str) -> tuple[str, float]:
    """Train a zoo unless it is kept; its kind, and the seconds it took."""
    tasks = _tasks(config)
    path, begun = _path(config, tasks, f"zoo-{kind}"), time.monotonic()
    if not path.is_file():
        made = zoo.made(kind, tasks, config.preset, config.seed)
        tensors = dict(zip(LAYERS, made.networks.layers, strict=True))
        tensors |= {"widths": torch.from_numpy(made.networks.widths), "task": torch.from_numpy(made.task)}
        keep.save(path, {**tensors, "held_out": torch.from_numpy(made.held_out)}, made.facts)
    return kind, time.monotonic() - begun


def load_zoo(config: Config, tasks: Tasks, kind: str) -> Zoo:
    """A zoo that is kept.

    Raises:
        DataError: the file is damaged.
    """
    path = _path(config, tasks, f"zoo-{kind}")
    names = dict.fromkeys((*LAYERS, "widths", "task", "held_out"), config.preset.models)
    tensors, facts = keep.load(path, names)
    try:
        networks = Networks((tensors["first"], tensors["second"], tensors["last"]), tensors["widths"].numpy())
    except DataError as error:
        raise DataError(f"{path}: {error} Remove the file, to make it anew.") from error
    of_kind = tasks.xor_names if kind == "xor" else tasks.names
    return Zoo(kind, networks, tensors["task"].numpy(), of_kind, tensors["held_out"].numpy(), facts)


def make_fit(config: Config, fit: Fit) -> tuple[Fit, float]:
    """Fit a method unless that is kept; the seconds it took."""
    tasks = _tasks(config)
    path, begun = path_of(config, tasks, fit), time.process_time()
    if not path.is_file():
        of = load_zoo(config, tasks, fit.zoo)
        tensors, parameters = _fitted(config, tasks, of, fit)
        facts = {"seconds": time.process_time() - begun, "parameters": parameters}
        halved = {"vectors", "queries"}  # in single precision
        kept = {n: torch.from_numpy(v.astype(np.float32) if n in halved else v) for n, v in tensors.items()}
        keep.save(path, kept, facts)
    return fit, time.process_time() - begun


def load_fit(config: Config, tasks: Tasks, fit: Fit) -> Outcome:
    """What came of a fit.

    Raises:
        DataError: the file is damaged.
    """
    names = {
        "vectors": config.preset.models,
        "history": config.preset.training.num_epochs if fit.method in LEARNED else 0,
        "likeness": len(symmetry.KINDS) if fit.whole else 0,
        "queries": len(transfer.BUDGETS) * config.preset.queries if fit.whole else 0,
    }
    tensors, facts = keep.load(path_of(config, tasks, fit), names)
    arrays = {name: tensors[name].double().numpy() for name in names}
    return Outcome(**arrays, seconds=float(facts["seconds"]), parameters=int(facts["parameters"]))


def _fitted(config: Config, tasks: Tasks, of: Zoo, fit: Fit) -> tuple[dict[str, Floats], int]:
    preset, rows = config.preset, known(config, of, fit.split)
    panel = tasks.inputs[tasks.parts["panel"]]
    nothing = np.zeros((0, 1))
    found = {"history": nothing, "likeness": nothing, "queries": nothing}
    if fit.method in NO_WEIGHTS:
        there = (
            simple.metadata(of.facts, rows) if fit.method == "metadata" else simple.random(len(of.task), config.seed)
        )
        return {**found, "vectors": there}, 0
    parameters = 0
    encoder: simple.Encoder
    if fit.method in LEARNED:
        seed = 1000 * fit.split + fit.seed
        learned = train.fitted(fit.method, of.networks[rows], of.task[rows], panel, preset.training, seed)
        encoder, parameters = learned, sum(p.numel() for p in learned.network.parameters())
        found["history"] = learned.history
    else:
        encoder = simple.made(fit.method, of.networks[rows], panel)
    found["vectors"] = encoder.embed(of.networks)
    if fit.whole:
        held_out = of.networks[np.flatnonzero(of.held_out)]
        found["likeness"] = symmetry.likeness(encoder, held_out, panel, preset.draws, config.seed)
        found["queries"] = encoder.embed(transfer.queries(tasks, config.preset.queries, config.seed).networks)
    return found, parameters
