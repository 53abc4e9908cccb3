"""What is trained, as Hydra composes it from `baselines/conf/` and the command line: typed, and checked first of all.

Nothing is ever made from a name that a configuration holds: a head is looked up in a table, and there is no key
`_target_`.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from hydra import compose, initialize_config_module
from hydra.core.config_store import ConfigStore
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from omegaconf import MISSING, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from baselines.errors import DataError
from baselines.predicting.features import folder_name, shown


@dataclass
class Model:
    """Features: a backbone's name or folder, or two joined by `+`.

    Attributes:
        pooling: how residues become one vector: `mean`, `cls`, or `attention` with the head that learns it.
    """

    backbone: str = MISSING
    precision: str = "fp32"
    pooling: str = "mean"


@dataclass
class Classifier:
    """A head.

    Attributes:
        type: by its name in `heads.HEADS`.
        name: of folders and tables; default the type.
    """

    type: str = MISSING
    name: str | None = None


@dataclass
class Logreg(Classifier):
    """Attributes:
    C: inverse of the regularisation's strength.
    tune: choose C by cluster on the training set instead.
    """

    type: str = "logreg"
    C: float = 0.1
    tune: bool = False


@dataclass
class Calibrated(Classifier):
    """Logistic regression, calibrated on held-out folds."""

    type: str = "calibrated"
    C: float = 0.1


@dataclass
class Bagged(Classifier):
    """The mean of logistic regressions, each on a sample with replacement."""

    type: str = "bagged"
    n_estimators: int = 25
    C: float = 0.1


@dataclass
class Svm(Classifier):
    """Attributes as those of `Logreg`."""

    type: str = "svm"
    C: float = 1.0
    tune: bool = False


@dataclass
class Mlp(Classifier):
    """Attributes:
    hidden: width of the hidden layer.
    alpha: strength of the L2 penalty.
    """

    type: str = "mlp"
    hidden: int = 128
    alpha: float = 1e-2


@dataclass
class RandomForest(Classifier):
    """Attributes named as scikit-learn names them."""

    type: str = "random_forest"
    n_estimators: int = 200
    min_samples_leaf: int = 2


@dataclass
class Xgboost(Classifier):
    """Attributes named as xgboost names them."""

    type: str = "xgboost"
    n_estimators: int = 150
    max_depth: int = 4
    learning_rate: float = 0.06


@dataclass
class Voting(Classifier):
    """Logistic regression, SVM and trees, averaged."""

    type: str = "voting"


@dataclass
class Stacking(Classifier):
    """The same, weighed by a logistic regression on held-out folds."""

    type: str = "stacking"


@dataclass
class CrossStacking(Classifier):
    """A logistic regression on each of two joined backbones, weighed by another on held-out folds."""

    type: str = "cross_stacking"
    C: float = 0.1


@dataclass
class AttentionHead(Classifier):
    """Pools residues by itself; attributes as `predicting.attention.DEFAULTS` names them."""

    type: str = "attention"
    hidden: int = 64
    heads: int = 4
    dropout: float = 0.2
    learning_rate: float = 3e-3
    weight_decay: float = 0.05
    epochs: int = 40
    patience: int = 5


@dataclass
class Data:
    """A training CSV, and what a trained model is tested on.

    Attributes:
        origin: a CSV with sequence_id,family, for cross-validation that leaves each family out.
        test: CSVs or folders with sequences.csv and labels.csv.
    """

    train: str = MISSING
    origin: str | None = None
    test: list[str] = field(default_factory=list)


@dataclass
class Config:
    """One training run."""

    model: Model = field(default_factory=Model)
    classifier: Classifier = field(default_factory=Classifier)
    data: Data = field(default_factory=Data)
    out: str = "models"
    seed: int = 20261121
    device: str = "auto"
    cache: str | None = None
    jobs: int = 1


HEADS = (Logreg, Calibrated, Bagged, Svm, Mlp, RandomForest, Xgboost, Voting, Stacking, CrossStacking, AttentionHead)


def _register() -> None:
    store = ConfigStore.instance()
    store.store(name="schema", node=Config)
    for kind in HEADS:
        store.store(group="classifier", name=f"schema_{kind.type}", node=kind)


def composed(overrides: Sequence[str], own: Path | None = None) -> Config:
    """One configuration.

    Args:
        overrides: as on the command line, `model=antiberty classifier.C=0.01`.
        own: folder with groups of one's own.

    Raises:
        DataError: a group, key, type or value is wrong; with what there is.
    """
    with _hydra(overrides, own) as searched:
        return _one(overrides, searched)


def sweep(overrides: Sequence[str], own: Path | None = None) -> list[Config]:
    """The cross product of all values that overrides name, `model=a,b classifier=c,d`; the last one varies first.

    Raises:
        DataError: as above; two of them would share a folder.
    """
    with _hydra(overrides, own) as searched:
        try:
            parsed = OverridesParser.create().parse_overrides(list(overrides))
            choices = [
                [f"{o.key_or_group}={value}" for value in o.sweep_string_iterator()]
                if o.is_sweep_override()
                else [str(o.input_line)]
                for o in parsed
            ]
        except (HydraException, OmegaConfBaseException) as error:
            raise DataError(_told(error, overrides)) from error
        found = [_one(chosen, searched) for chosen in itertools.product(*choices)]
    taken: dict[tuple[str, str, str], Config] = {}
    for config in found:
        place = (config.out, name(config), head_name(config))
        if place in taken and taken[place] != config:
            raise DataError(
                f"Two of these would be written to {Path(config.out) / 'checkpoints' / place[1] / place[2]}. Give each "
                "its own classifier.name or out, or rename a folder."
            )
        taken[place] = config
    return list(taken.values())


@contextmanager
def _hydra(overrides: Sequence[str], own: Path | None) -> Iterator[list[str]]:
    """Hydra, ready to compose; yields what has it look into a folder of one's own too."""
    _register()
    if own is not None and not own.is_dir():
        raise DataError(f"{own} is no folder with configuration groups.")
    if strange := [o for o in overrides if o.startswith(("+", "~", "hydra"))]:
        raise DataError(f"'{strange[0]}': keys are given values; none is added or taken away, nor Hydra's own changed.")
    with initialize_config_module("baselines.conf", version_base="1.3"):
        yield [f"hydra.searchpath=['file://{own.resolve()}']"] if own else []


def _one(overrides: Sequence[str], searched: Sequence[str]) -> Config:
    try:
        config: Any = OmegaConf.to_object(compose("config", [*searched, *overrides]))
    except (HydraException, OmegaConfBaseException) as error:
        raise DataError(_told(error, overrides)) from error
    assert isinstance(config, Config)
    for key, value, known in (
        ("classifier.type", config.classifier.type, [kind.type for kind in HEADS]),
        ("model.precision", config.model.precision, ["fp32", "bf16", "fp16"]),
        ("model.pooling", config.model.pooling, ["mean", "cls", "attention"]),
        ("device", config.device, ["auto", "cpu", "cuda"]),
    ):
        if value not in known:
            raise DataError(f"{key} is '{value}'. Known are: {', '.join(known)}.")
    if config.classifier.type == "attention":
        if config.model.pooling == "cls":
            raise DataError("model.pooling is 'cls', but the classifier attention pools by itself: leave it out.")
        config.model.pooling = "attention"
    elif config.model.pooling == "attention":
        raise DataError("model.pooling=attention is learned by classifier=attention; others take mean or cls.")
    if config.jobs < 1:
        raise DataError(f"jobs is {config.jobs}; at least one is needed.")
    return config


def head_name(config: Config) -> str:
    """What its head is called in folders and tables."""
    return folder_name(config.classifier.name or config.classifier.type)


def name(config: Config) -> str:
    """What its backbone is called in folders and tables."""
    backbone = config.model.backbone
    parts = [backbone] if Path(backbone).is_dir() else backbone.split("+")
    return shown([folder_name(part) for part in parts], config.model.pooling)


def as_json(config: Config) -> dict[str, Any]:
    """Model, classifier and seed, for metadata; these know the data by their hash, wherever they were."""
    found: Any = OmegaConf.to_container(OmegaConf.structured(config))
    return {name: found[name] for name in ("model", "classifier", "seed")}


def as_yaml(config: Config) -> str:
    """The whole resolved configuration, as `config.yaml` beside a checkpoint."""
    return OmegaConf.to_yaml(OmegaConf.structured(config))


NOISE = ("Config search path", "provider=", "See https", "full_key", "reference_type", "object_type", "To append")
"""Lines of Hydra's messages that say nothing to whoever wrote the command."""


def _told(error: Exception, overrides: Sequence[str]) -> str:
    """What is wrong in one line or two, and which keys or groups there are."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    cause = error.__cause__
    if cause is not None:
        lines += [line.strip() for line in str(cause).splitlines() if line.strip()]
    lines = [line for line in lines if not line.startswith(NOISE)]
    shown = " ".join(dict.fromkeys(lines))[:500]
    key = next((o for o in overrides if "=" in o and o.split("=")[0].lstrip("+~") in shown), "")
    group = key.lstrip("+~").split("=")[0].split(".")[0]
    return f"{shown}{_keys(group) if 'not in' in shown else ''}"


def _keys(group: str) -> str:
    """The keys that there are where one is not."""
    known = {"model": Model, "data": Data}.get(group)
    if group == "classifier":
        heads = "; ".join(f"{k.type}: {', '.join(_fields(k)[2:]) or 'none'}" for k in HEADS)
        return f" Keys of the classifiers are type and name, and of {heads}."
    names = [f"{group}.{name}" for name in _fields(known)] if known else _fields(Config)
    return f" Known are: {', '.join(names)}."


def _fields(kind: Any) -> list[str]:
    return [f.name for f in fields(kind)]
