"""What is compared, as Hydra composes it from `baselines/conf/retrieval/` and the command line."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from hydra.core.config_store import ConfigStore

from baselines.errors import DataError
from baselines.similarity import schema
from baselines.similarity.schema import Config, Data, Preset, Training
from baselines.training.configuration import composed_in


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
    config = composed_in("baselines.conf.retrieval", overrides, _keys)
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
