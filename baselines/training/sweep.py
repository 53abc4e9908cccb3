"""Many configurations, compared: each sequence is embedded once, what is finished is kept, a failure stops no other.

<out>/comparison.csv, comparison.md, comparison.svg, beside what `train` and `test` write of each model; what it took is
in its folder's `cost.json`.
"""

from __future__ import annotations

import json
import resource
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from baselines.backbones import wheels
from baselines.backbones.tokens import clean
from baselines.errors import DataError
from baselines.predicting import store
from baselines.predicting.features import DESCRIPTORS, LIGHT, Features, Matrix, Residues, sees_light
from baselines.training import comparison, configuration, folds, heads, launch
from baselines.training.composition_logreg import composition_logreg, save
from baselines.training.data import Dataset, TrainingSet, read_dataset, read_training_set
from baselines.training.finetuning import FineTuned, FineTuner, made_from
from baselines.training.schema import Config
from baselines.training.test import test
from baselines.training.train import Seen, fold_count, is_current, summary, train

COST = "cost.json"
Say = Callable[[str], None]


@dataclass(frozen=True)
class Embedded:
    """What all heads on one backbone share: features of the training set and of everything that is tested on.

    Attributes:
        x: [n, d] of the training set, or its residues.
        groups: [n] clusters of its sequences.
        tests: each with its features.
        cost: weights of the backbone, and seconds for the features of the training set.
        adapter: of a fine-tuned backbone.
    """

    features: Features
    data: TrainingSet
    x: Seen
    groups: npt.NDArray[np.int64]
    tests: tuple[tuple[Dataset, Matrix | Residues], ...]
    cost: Mapping[str, float]
    adapter: Path | None = None

    @classmethod
    def of(cls, config: Config) -> Embedded:
        """Read, and embed.

        Raises:
            DataError: a file or a backbone is not what it should be.
        """
        data = training_set(config)
        if config.model.finetune.method != "none":
            return cls._finetuned(config, data)
        datasets = [read_dataset(Path(path)) for path in config.data.test]
        require_distinct("datasets", [d.name for d in datasets])
        precision: Any = config.model.precision
        pooling: Any = config.model.pooling
        kept = Path(config.cache) if config.cache else None
        features = Features(
            config.model.backbone, precision=precision, pooling=pooling, device=config.device, cache=kept
        )
        groups = folds.clusters(clean(data.sequences))
        begun = time.perf_counter()
        x = features.seen(data.sequences, data.light, progress=True)
        cost = {"parameters": features.parameters(), "features_seconds": time.perf_counter() - begun}
        if isinstance(x, Residues):
            x = Residues(x.rows, groups)
        return cls(features, data, x, groups, _seen(datasets, features), cost)

    @classmethod
    def _finetuned(cls, config: Config, data: TrainingSet) -> Embedded:
        """On a backbone that is fine-tuned first, or was: `<out>/adapters/<model>/`."""
        from baselines.backbones import adapted
        from baselines.backbones.checkpoint import find

        datasets = [read_dataset(Path(path)) for path in config.data.test]
        require_distinct("datasets", [d.name for d in datasets])
        base, paired = _base(config.model.backbone)
        base, device = str(Path(base).resolve()) if Path(base).is_dir() else base, configuration.device(config)
        if paired and not data.light:
            raise DataError(f"{config.model.backbone} sees light chains: a column light_sequence is needed.")
        light = data.light if paired else ()
        checkpoint, settings = find(base), config.model.finetune
        y = np.array(data.labels, dtype=np.int64)
        made = made_from(base, checkpoint, settings, config.seed, data.sha256, device)
        made["paired"] = paired
        tuner = cache(
            partial(FineTuner, checkpoint, data.sequences, settings, seed=config.seed, device=device, light=light)
        )
        folder = Path(config.out) / "adapters" / configuration.name(config) / configuration.name(config).split("+")[0]
        if not adapted.is_adapted(folder) or adapted.read_tuned(folder) != made:
            tuner().trained(np.arange(len(y)), y).save(folder, made)
        precision: Any = config.model.precision
        kept = Path(config.cache) if config.cache else None
        parts = [str(folder), *([f"{folder}{LIGHT}"] if paired else [])]
        features = Features(parts, precision=precision, device=config.device, cache=kept)
        begun = time.perf_counter()
        whole = features.matrix(data.sequences, light, progress=True)
        cost = {"parameters": features.parameters(), "features_seconds": time.perf_counter() - begun}
        groups = folds.clusters(clean(data.sequences))
        return cls(features, data, FineTuned(tuner, y, whole), groups, _seen(datasets, features), cost, folder)


def _base(backbone: str) -> tuple[str, bool]:
    """The one backbone that is fine-tuned, and whether it sees light chains too.

    Raises:
        DataError: there are two, or none that could be.
    """
    parts = [backbone] if Path(backbone).is_dir() else backbone.split("+")
    if DESCRIPTORS in parts or parts[1:] not in ([], [f"{parts[0]}{LIGHT}"]) or sees_light(parts[0]):
        raise DataError(f"'{backbone}' cannot be fine-tuned: one backbone can, alone or with its own {LIGHT}.")
    if parts[1:] and parts[1] in wheels.CONTAINS:
        raise DataError(f"{parts[1]} has weights of its own; fine-tuning takes one backbone for both chains.")
    return parts[0], len(parts) > 1


def _seen(datasets: Sequence[Dataset], features: Features) -> tuple[tuple[Dataset, Matrix | Residues], ...]:
    return tuple((d, features.seen(d.sequences, d.light, progress=True)) for d in datasets)


@dataclass
class Swept:
    """What came of a sweep.

    Attributes:
        table: one row per finished model.
        failed: by `backbone head`, with the reason.
    """

    table: pd.DataFrame
    failed: dict[str, str]


def sweep(configs: Sequence[Config], *, say: Say) -> Swept:
    """Train what is not there yet, test everything, and compare.

    Args:
        configs: those of one backbone and data set are embedded together, wherever they stand.

    Returns:
        The comparison, also written as CSV, markdown and SVG where anything was finished.
    """
    rows: list[dict[str, Any]] = []
    failed: dict[str, str] = {}
    launch.require(configs[0].sweep)
    groups: dict[str, list[Config]] = {}
    for config in configs:
        tuned = () if config.model.finetune.method == "none" else (config.seed, config.out)
        shared = (asdict(config.model), asdict(config.data), config.device, config.cache, tuned)
        groups.setdefault(repr(shared), []).append(config)
    for of_one in groups.values():
        try:
            embedded = Embedded.of(of_one[0])
        except DataError as error:
            for config in of_one:
                failed[_title(config)] = str(error)
                say(f"{_title(config)}: failed: {error}")
            continue
        for config, done in _each(of_one, embedded):
            if isinstance(done, DataError):
                failed[_title(config)] = str(done)
                say(f"{_title(config)}: failed: {done}")
            else:
                say(f"{_title(config)}: {done[0]}")
                rows.append(done[1])
    table = comparison.write(pd.DataFrame(rows), Path(configs[0].out)) if rows else pd.DataFrame()
    return Swept(table, failed)


def alone(config: Config, *, say: Say) -> Iterator[str]:
    """One configuration: what was written, and its cross-validation, a line each.

    Raises:
        DataError: anything is not what it should be.
    """
    data = training_set(config)
    for note in data.told():
        say(note)
    head, parameters, tune = settings(config)
    if configuration.name(config) == DESCRIPTORS and head == "logreg" and parameters == {"C": 0.1} and not tune:
        plain = Path(config.out) / DESCRIPTORS / head / "model.json"  # its image reads that, and needs no package
        yield f"{save(composition_logreg(data), plain)}: {len(data.labels)} sequences of '{data.name}'"
    done = one(config, Embedded.of(config))
    if isinstance(done, DataError):
        raise done
    folder = Path(config.out) / "checkpoints" / configuration.name(config) / configuration.head_name(config)
    yield from summary(folder)
    yield f"{folder}: {len(data.labels)} sequences of '{data.name}', {done[0]}"


Done = tuple[str, dict[str, Any]] | DataError


def _each(configs: Sequence[Config], embedded: Embedded) -> Iterator[tuple[Config, Done]]:
    """Every head, in order, by the launcher; those on a fine-tuned backbone here, since they share what it learned."""
    launcher = configs[0].sweep
    few = launcher.launcher == "processes" and min(launcher.jobs, len(configs)) == 1
    if launcher.launcher == "serial" or few or isinstance(embedded.x, FineTuned):
        for config in configs:
            yield config, one(config, embedded)
        return
    features = embedded.features
    features.described = features.describe()
    features.embedders.clear()  # a model need not go to other processes: its vectors do
    with launch.launched(launcher) as submit:
        # what takes longest begins first: begun last, it would keep one process busy while the others wait
        slow_first = sorted(configs, key=lambda config: heads.QUICK_FIRST.index(config.classifier.type), reverse=True)
        tasks = {id(config): submit(one, config, embedded) for config in slow_first}
        for config in configs:
            try:
                yield config, tasks[id(config)].result()
            except (RuntimeError, MemoryError, ValueError) as error:  # such as a process that was killed
                yield config, DataError(f"{type(error).__name__}: {str(error)[:300]}")


def one(config: Config, embedded: Embedded) -> Done:
    """One head on features that are at hand: trained if it is not there yet, tested, and as a row of the comparison."""
    head, parameters, tune = settings(config)
    named = configuration.head_name(config)
    if head == "cross_stacking":
        parameters["widths"] = [part["width"] for part in embedded.features.describe()]
    features, folder = embedded.features, Path(config.out) / "checkpoints" / embedded.features.name / named
    try:
        count = fold_count(embedded.x)
        kept = is_current(
            folder, features, embedded.data, head, config.seed, parameters=parameters, tune=tune, count=count
        )
        if not kept:
            begun = time.perf_counter()
            (folder / store.METADATA).unlink(missing_ok=True)
            if embedded.adapter:  # before what says that the model is finished
                shutil.copytree(embedded.adapter, folder / embedded.adapter.name, dirs_exist_ok=True)
            train(
                features,
                embedded.x,
                embedded.data,
                head,
                Path(config.out),
                seed=config.seed,
                groups=embedded.groups,
                parameters=parameters,
                tune=tune,
                configuration=configuration.as_json(config),
                name="" if named == head else named,
            )
            _write_cost(folder, embedded, time.perf_counter() - begun)
            (folder / "config.yaml").write_text(configuration.as_yaml(config), encoding="utf-8")
        trained = store.load(folder)
        store.require_backbone(trained, features)
        row = {"backbone": features.name, "head": named, **_validation(trained.metadata)}
        for dataset, x_test in embedded.tests:
            metrics = test(trained, x_test, dataset, Path(config.out))
            row |= {f"{dataset.name} {name}": value for name, value in metrics.items() if name != "n"}
    except DataError as error:
        return error
    return ("kept" if kept else "trained"), row


def _write_cost(folder: Path, embedded: Embedded, seconds: float) -> None:
    """What a model took, apart from its metadata, which are the same wherever it is trained."""
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6
    found = {
        **embedded.cost,
        "sequences": len(embedded.data.labels),
        "training_seconds": seconds,
        "peak_memory_mb": memory,
    }
    (folder / COST).write_text(json.dumps(found, indent=1, sort_keys=True) + "\n", encoding="utf-8")


def settings(config: Config) -> tuple[str, dict[str, Any], bool]:
    """A head's name, its parameters, and whether its regularisation is chosen on the training set."""
    found = asdict(config.classifier)
    return (
        str(found.pop("type")),
        {k: v for k, v in found.items() if k not in ("tune", "name")},
        bool(found.get("tune")),
    )


def _title(config: Config) -> str:
    return f"{configuration.name(config)} {configuration.head_name(config)}"


def training_set(config: Config) -> TrainingSet:
    """What a configuration trains on.

    Raises:
        DataError: a file is not what it should be.
    """
    origin = Path(config.data.origin) if config.data.origin else None
    return read_training_set(Path(config.data.train), origin, config.data.flags)


def require_distinct(kind: str, names: list[str]) -> None:
    """Refuse two that would share a folder.

    Raises:
        DataError: with their names.
    """
    if len(set(names)) < len(names):
        raise DataError(f"Two {kind} share a name ({', '.join(names)}), and would share a folder. Rename one.")


def _validation(metadata: dict[str, Any]) -> dict[str, float]:
    """The cross-validation of a model's metadata as columns of the comparison."""
    found = metadata["cross_validation"]
    families = found.get("by_family", {})
    return {
        f"{kind} {metric} {what}": found[key][metric][what]
        for kind, key in (("CV", "stratified"), ("cluster CV", "by_cluster"))
        for metric in ("accuracy", "f1", "roc_auc")
        for what in ("mean", "sd")
    } | {f"without {family} roc_auc": of_it["roc_auc"] for family, of_it in families.items()}
