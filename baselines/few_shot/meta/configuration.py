"""What is meta-trained, as Hydra composes it from `baselines/conf/few_shot/` and the command line."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, fields
from typing import Any

from hydra.core.config_store import ConfigStore

from baselines.few_shot.meta import schema
from baselines.few_shot.meta.schema import PRESETS, Config, Tasks
from baselines.training.configuration import composed_in


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
    config = composed_in("baselines.conf.few_shot", overrides, _keys)
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
