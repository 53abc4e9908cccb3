"""Finished stages as safetensors, from where an experiment that was stopped goes on; nothing that is read can run."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file

from baselines.errors import DataError

VERSION = 1
"""Raise it where the same settings come to give other numbers."""


def named(folder: Path, stage: str, settings: Mapping[str, Any]) -> Path:
    """Where a stage is kept: by all that decides it."""
    text = json.dumps({"version": VERSION, **settings}, sort_keys=True)
    return folder / f"{stage}-{hashlib.sha256(text.encode()).hexdigest()[:16]}.safetensors"


def save(path: Path, tensors: Mapping[str, torch.Tensor], facts: Any = None) -> None:
    """Write a stage, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    save_file({n: t.contiguous() for n, t in tensors.items()}, partial, metadata={"facts": json.dumps(facts)})
    partial.replace(path)


def load(path: Path, names: Mapping[str, int]) -> tuple[dict[str, torch.Tensor], Any]:
    """A stage's tensors and facts.

    Args:
        names: of the tensors that it must hold, and how many rows each has.

    Raises:
        DataError: the file is none of these, is damaged, or holds other shapes or numbers that are not finite.
    """
    try:
        tensors = load_file(path)
        with safe_open(path, framework="pt") as file:
            facts = json.loads((file.metadata() or {})["facts"])
    except (SafetensorError, OSError, KeyError, ValueError) as error:
        raise DataError(f"{path} holds no finished stage: {str(error)[:200]}. Remove it, to make it anew.") from error
    if set(tensors) != set(names):
        raise DataError(f"{path} holds other tensors than {', '.join(names)}. Remove it, and it is made anew.")
    for name, rows in names.items():
        if tensors[name].ndim < 1 or len(tensors[name]) != rows:
            raise DataError(f"{path}: {name} has shape {tuple(tensors[name].shape)}, not {rows} rows. Remove the file.")
        if not torch.isfinite(tensors[name]).all():
            raise DataError(f"{path}: {name} holds numbers that are not finite. Remove the file.")
    return tensors, facts
