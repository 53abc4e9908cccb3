"""A fine-tuned backbone: its base, and what fine-tuning changed of it, merged as tensors; no code of either is run.

<folder>/finetuned.json               what it was made from and how
<folder>/adapter_config.json          of a LoRA adapter, as PEFT writes it
<folder>/adapter_model.safetensors    the adapter, or the layers that were trained whole

Hu et al. 2022, ICLR (arXiv:2106.09685): a trained weight is W + alpha / r * B A.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from baselines.backbones.checkpoint import Checkpoint
from baselines.errors import DataError

TUNED, ADAPTER_CONFIG, ADAPTER = "finetuned.json", "adapter_config.json", "adapter_model.safetensors"
PREFIX, A, B = "base_model.model.", ".lora_A.weight", ".lora_B.weight"
PLAIN: dict[str, Any] = {
    "bias": "none",
    "fan_in_fan_out": False,
    "use_rslora": False,
    "use_dora": False,
    "rank_pattern": {},
    "alpha_pattern": {},
    "modules_to_save": None,
}
"""What an adapter's configuration must say, or not say, so that the formula above holds."""


def is_adapted(folder: Path) -> bool:
    """Whether a folder holds a fine-tuned backbone."""
    return (folder / TUNED).is_file()


def read_tuned(folder: Path) -> dict[str, Any]:
    """What a fine-tuned backbone was made from and how.

    Raises:
        DataError: the file is not that.
    """
    try:
        found = json.loads((folder / TUNED).read_text(encoding="utf-8"))
        if not isinstance(found, dict) or not {"base", "base_sha256", "method"} <= found.keys():
            raise ValueError("base, base_sha256 and method are needed")
        if not isinstance(found["base"], str) or is_adapted(Path(found["base"])):
            raise ValueError("its base must be named, and not be fine-tuned itself")
    except (OSError, ValueError, UnicodeDecodeError, RecursionError) as error:
        raise DataError(f"{folder / TUNED} does not say what was fine-tuned: {error}") from error
    return found


class Adapted(Checkpoint):
    """A base checkpoint with other tensors.

    Raises:
        DataError: the base is another one than was fine-tuned, or the adapter does not fit it.
    """

    def __init__(self, base: Checkpoint, folder: Path) -> None:
        super().__init__(base.folder, folder.resolve().name, base.revision)
        self.tuned, self.adapter = read_tuned(folder), folder
        if base.sha256 != self.tuned["base_sha256"]:
            raise DataError(f"{folder} is fine-tuned from weights with sha256 {self.tuned['base_sha256']}, not these.")
        self.base = base

    def tensors(self, layers: int | None = None) -> dict[str, torch.Tensor]:
        """As of any checkpoint, with what fine-tuning changed."""
        return merged(self.base.tensors(layers), self.adapter, whole=layers is None)


def merged(tensors: dict[str, torch.Tensor], folder: Path, *, whole: bool = True) -> dict[str, torch.Tensor]:
    """A base's tensors with an adapter's.

    Args:
        whole: all of the base's are there, so what an adapter names must be among them.

    Raises:
        DataError: the adapter is not one, or does not fit.
    """
    path = folder / ADAPTER
    try:
        found = load_file(path)
        whole_layers = read_tuned(folder)["method"] == "full"
        changed = found if whole_layers else _products(found, _scale(folder))
        for name, change in changed.items():
            if name in tensors:
                new = change if whole_layers else tensors[name].float() + change
                if new.shape != tensors[name].shape:
                    raise DataError(f"{path}: {name} has the shape {tuple(new.shape)}.")
                tensors[name] = new
            elif whole:
                raise DataError(f"{path} changes {name}, which the backbone does not have.")
    except (SafetensorError, KeyError, RuntimeError, OSError) as error:
        raise DataError(f"{path} is no adapter of this backbone: {str(error)[:200]}") from error
    return tensors


def _products(found: dict[str, torch.Tensor], scale: float) -> dict[str, torch.Tensor]:
    """What each pair of a LoRA adapter adds to the weight that it is for."""
    pairs = [name.removesuffix(A) for name in found if name.endswith(A)]
    if 2 * len(pairs) != len(found):
        raise KeyError("it holds more than pairs of LoRA")
    return {f"{name.removeprefix(PREFIX)}.weight": scale * (found[name + B] @ found[name + A]) for name in pairs}


def _scale(folder: Path) -> float:
    try:
        config = json.loads((folder / ADAPTER_CONFIG).read_text(encoding="utf-8"))
        if odd := [k for k, v in PLAIN.items() if config.get(k) not in (v, None)]:
            raise DataError(f"{folder / ADAPTER_CONFIG}: {odd[0]} is {config[odd[0]]!r}, which cannot be merged here.")
        return float(config["lora_alpha"]) / float(config["r"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError, ZeroDivisionError, RecursionError) as error:
        raise DataError(f"{folder / ADAPTER_CONFIG} is not the configuration of a LoRA adapter: {error!r}") from error
