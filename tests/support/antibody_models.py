"""Antibody language models with their real weights, fetched once for a machine."""

from __future__ import annotations

from pathlib import Path

from baselines.backbones import wheels
from tests.support import lanes


def weights(name: str) -> Path:
    """Folder of a checkpoint."""
    with lanes.sole("weights"):
        if not (wheels.store() / name / "config.json").is_file():
            wheels.fetch(wheels.CONTAINS[name])
    return wheels.store() / name
