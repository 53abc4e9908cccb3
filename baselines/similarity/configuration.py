"""What is compared, as Hydra composes it from `baselines/conf/retrieval/` and the command line."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from hydra import compose, initialize_config_module
from hydra.core.config_store import ConfigStore
from hydra.errors import HydraException
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from baselines.errors import DataError
from baselines.similarity import schema
from baselines.similarity.schema import Config, Data, Preset, Training
from baselines.training.configuration import refuse_strange, told


def composed(overrides: Sequence[str]) -> Config:
    """One configuration.

    Args:
        overrides: as on the command line, `preset=small data.train=FILE`.

    Raises:
        DataError: a group, key, type or value is wrong, or the data are not there; with what there is.
    """
    store = ConfigStore.instance()
    store.store(name="schema", node=Config)
    store.store(group="preset", name="schema_preset", node=Preset)
    refuse_strange(overrides)
    try:
        with initialize_config_module("baselines.conf.retrieval", version_base="1.3"):
            config: Any = OmegaConf.to_object(compose("config", list(overrides)))
    except (HydraException, OmegaConfBaseException) as error:
        raise DataError(told(error, overrides, _keys)) from error
    assert isinstance(config, Config)
    schema.check(config)
    if config.data.train is not None and not Path(config.data.train).is_file():
        raise DataError(f"data.train names {config.data.train}, which is not there. apb-zoo fetch boughter writes one.")
    return config


def as_json(config: Config) -> dict[str, Any]:
    """What decides the figures, the data's own hash aside."""
    return {"preset": asdict(config.preset), "seed": config.seed}


def _keys(group: str) -> str:
    """The keys that there are where one is not."""
    if group == "preset":
        names = [f"preset.{f.name}" for f in fields(Preset)] + [f"preset.training.{f.name}" for f in fields(Training)]
    elif group == "data":
        names = [f"data.{f.name}" for f in fields(Data)]
    else:
        names = [f.name for f in fields(Config)]
    return f" Known are: {', '.join(names)}."
