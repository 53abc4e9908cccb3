"""What is meta-trained, as Hydra composes it from `baselines/conf/few_shot/` and the command line."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, fields
from typing import Any

from hydra import compose, initialize_config_module
from hydra.core.config_store import ConfigStore
from hydra.errors import HydraException
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from baselines.errors import DataError
from baselines.few_shot.meta import schema
from baselines.few_shot.meta.schema import PRESETS, Config, Tasks
from baselines.training.configuration import refuse_strange, told


def composed(overrides: Sequence[str]) -> Config:
    """One configuration.

    Args:
        overrides: as on the command line, `preset=sparse-cpu preset.cpu_seconds=300`.

    Raises:
        DataError: a group, key, type or value is wrong; with what there is.
    """
    store = ConfigStore.instance()
    store.store(name="schema", node=Config)
    for kind in PRESETS:
        store.store(group="preset", name=f"schema_{kind.type}", node=kind)
    refuse_strange(overrides)
    try:
        with initialize_config_module("baselines.conf.few_shot", version_base="1.3"):
            config: Any = OmegaConf.to_object(compose("config", list(overrides)))
    except (HydraException, OmegaConfBaseException) as error:
        raise DataError(told(error, overrides, _keys)) from error
    assert isinstance(config, Config)
    schema.check(config)
    return config


def as_json(config: Config) -> dict[str, Any]:
    """What decides the weights."""
    return {"preset": asdict(config.preset), "tasks": asdict(config.tasks), "seed": config.seed}


def _keys(group: str) -> str:
    """The keys that there are where one is not."""
    if group == "preset":
        kinds = "; ".join(f"{kind.type}: {', '.join(f.name for f in fields(kind))}" for kind in PRESETS)
        return f" Keys of the presets are, of {kinds}."
    names = [f"tasks.{f.name}" for f in fields(Tasks)] if group == "tasks" else [f.name for f in fields(Config)]
    return f" Known are: {', '.join(names)}."
