"""What is trained, as Hydra composes it from `baselines/conf/` and the command line: typed, and checked first of all.

Nothing is ever made from a name that a configuration holds: a head is looked up in a table, and there is no key
`_target_`.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path
from typing import Any

from hydra import compose, initialize_config_module
from hydra.core.config_store import ConfigStore
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from baselines.errors import DataError
from baselines.predicting.features import LIGHT, folder_name, part_name, sees_light, shown
from baselines.training import schema
from baselines.training.schema import HEADS, Config, Data, Model


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
            raise DataError(told(error, overrides, _keys)) from error
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
    refuse_strange(overrides)
    with initialize_config_module("baselines.conf", version_base="1.3"):
        yield [f"hydra.searchpath=['file://{own.resolve()}']"] if own else []


def composed_in(module: str, overrides: Sequence[str], keys: Callable[[str], str]) -> Any:
    """What a folder of groups and the command line make together, as an object of the schema that is stored for it.

    Args:
        module: that holds config.yaml and its groups.
        keys: tells the keys of a group, where one is wrong.

    Raises:
        DataError: a group, key, type or value is wrong; with what there is.
    """
    refuse_strange(overrides)
    try:
        with initialize_config_module(module, version_base="1.3"):
            return OmegaConf.to_object(compose("config", list(overrides)))
    except (HydraException, OmegaConfBaseException) as error:
        raise DataError(told(error, overrides, keys)) from error


def refuse_strange(overrides: Sequence[str]) -> None:
    """Refuse overrides that change more than values.

    Raises:
        DataError: with the first of them.
    """
    if strange := [o for o in overrides if o.startswith(("+", "~", "hydra"))]:
        raise DataError(f"'{strange[0]}': keys are given values; none is added or taken away, nor Hydra's own changed.")


def _one(overrides: Sequence[str], searched: Sequence[str]) -> Config:
    try:
        config: Any = OmegaConf.to_object(compose("config", [*searched, *overrides]))
    except (HydraException, OmegaConfBaseException) as error:
        raise DataError(told(error, overrides, _keys)) from error
    assert isinstance(config, Config)
    schema.check(config)
    return config


def require_files(config: Config) -> None:
    """Refuse data that are not there, before anything is loaded that takes time.

    Raises:
        DataError: with the key that names them.
    """
    named = [("data.train", config.data.train), ("data.origin", config.data.origin)]
    for key, path in [*named, *(("data.test", test) for test in config.data.test)]:
        if path is not None and not Path(path).exists():
            hint = " apb-zoo fetch boughter writes it." if path == "data/boughter_vh.csv" else ""
            raise DataError(f"{key} names {path}, which is not there.{hint}")


def device(config: Config) -> str:
    """Where it is computed: `cpu` or `cuda`."""
    if config.device != "auto":
        return config.device
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


def head_name(config: Config) -> str:
    """What its head is called in folders and tables."""
    ordered = "_ordinal" if config.data.flags else ""
    return folder_name(config.classifier.name or f"{config.classifier.type}{ordered}")


def name(config: Config) -> str:
    """What its backbone is called in folders and tables."""
    backbone = config.model.backbone
    parts = [backbone] if Path(backbone).is_dir() else backbone.split("+")
    tuned = "" if config.model.finetune.method == "none" else f"_{config.model.finetune.method}"
    names = [part_name(part) for part in parts]
    if tuned:  # of both chains it is one backbone that was
        names = [f"{n.removesuffix(LIGHT)}{tuned}{LIGHT}" if sees_light(n) else f"{n}{tuned}" for n in names]
    return shown(names, config.model.pooling)


def as_json(config: Config) -> dict[str, Any]:
    """Model, classifier and seed, for metadata; these know the data by their hash, wherever they were."""
    found: Any = OmegaConf.to_container(OmegaConf.structured(config))
    return {name: found[name] for name in ("model", "classifier", "seed")}


def as_yaml(config: Config) -> str:
    """The whole resolved configuration, as `config.yaml` beside a checkpoint."""
    return OmegaConf.to_yaml(OmegaConf.structured(config))


NOISE = ("Config search path", "provider=", "See https", "full_key", "reference_type", "object_type", "To append")
"""Lines of Hydra's messages that say nothing to whoever wrote the command."""


def told(error: Exception, overrides: Sequence[str], keys: Callable[[str], str]) -> str:
    """What is wrong in one line or two, and which keys or groups there are.

    Args:
        keys: says which keys a group has.
    """
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    cause = error.__cause__
    if cause is not None:
        lines += [line.strip() for line in str(cause).splitlines() if line.strip()]
    lines = [line for line in lines if not line.startswith(NOISE)]
    shown = " ".join(dict.fromkeys(lines))[:500]
    key = next((o for o in overrides if "=" in o and o.split("=")[0].lstrip("+~") in shown), "")
    group = key.lstrip("+~").split("=")[0].split(".")[0]
    return f"{shown}{keys(group) if 'not in' in shown else ''}"


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
