"""A few-shot model on disk: `metadata.json`, and of a meta-trained one `model.safetensors`; nothing in it can run."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from baselines.errors import DataError
from baselines.few_shot.episodes import Model
from baselines.few_shot.simple import Simple

if TYPE_CHECKING:
    from torch import nn

WEIGHTS, METADATA, BACKBONE = "model.safetensors", "metadata.json", "weights"
SCHEMA_VERSION = "1"
SHAPES = {
    "sparse": ("layers", "width", "heads", "inner"),
    "reptile": ("width",),
    "metalic": (
        *("embedded", "layers", "width", "heads", "inner", "hidden"),
        *("dropout", "attention_dropout", "transductive"),
    ),
}
"""Which settings decide a network's shape, by its type."""


def network(settings: Mapping[str, Any]) -> nn.Module:
    """A network with random weights.

    Args:
        settings: its type, and those of `SHAPES`.

    Raises:
        DataError: there is no such type, or a value is missing.
    """
    from baselines.few_shot.metalic import AxialNetwork  # torch: not for the simple models
    from baselines.few_shot.reptile import ReptileNetwork
    from baselines.few_shot.sparse import SparseNetwork

    kinds = {"sparse": SparseNetwork, "reptile": ReptileNetwork, "metalic": AxialNetwork}
    kind = str(settings.get("type"))
    if kind not in kinds:
        raise DataError(f"There is no network '{kind[:40]}'. Known are: {', '.join(kinds)}.")
    try:
        found: nn.Module = kinds[kind](**{name: settings[name] for name in SHAPES[kind]})
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise DataError(f"These settings make no {kind} network: {error!r}"[:300]) from error
    return found


def save(folder: Path, made: nn.Module, metadata: Mapping[str, Any]) -> None:
    """Write both files; metadata go last, so that a model without them is one that is not finished."""
    from safetensors.torch import save as as_bytes

    folder.mkdir(parents=True, exist_ok=True)
    (folder / METADATA).unlink(missing_ok=True)
    content = as_bytes({name: tensor.contiguous() for name, tensor in sorted(made.state_dict().items())})
    (folder / WEIGHTS).write_bytes(content)
    whole = {**metadata, "schema_version": SCHEMA_VERSION, "model_sha256": hashlib.sha256(content).hexdigest()}
    (folder / METADATA).write_text(json.dumps(whole, indent=1, sort_keys=True, allow_nan=False) + "\n")


def read_metadata(folder: Path) -> dict[str, Any]:
    """What is known of a model.

    Raises:
        DataError: there is none, or the file is not valid.
    """
    path = folder / METADATA
    try:
        found: Any = json.loads(path.read_text(encoding="utf-8"))
        known = isinstance(found, dict) and found.get("schema_version") == SCHEMA_VERSION
        if not known or not isinstance(found.get("settings"), dict):
            raise ValueError("not metadata of this version")
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(f"{path} is no few-shot model's: {error}; apb-zoo meta-train writes one.") from error
    metadata: dict[str, Any] = found
    return metadata


def trained(folder: Path) -> tuple[nn.Module, dict[str, Any]]:
    """A meta-trained network, held against its metadata, and these.

    Raises:
        DataError: a file is missing, or is not what the metadata say.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load

    metadata = read_metadata(folder)
    path = folder / WEIGHTS
    made = network(metadata["settings"])
    try:
        content = path.read_bytes()
        if hashlib.sha256(content).hexdigest() != metadata.get("model_sha256"):
            raise DataError(f"{path} is not the model of its metadata.")
        made.load_state_dict(load(content))
    except (OSError, SafetensorError, RuntimeError) as error:
        raise DataError(f"{path} holds no such network: {str(error)[:200]}") from error
    return made.eval(), metadata


def load(folder: Path) -> Model:
    """What answers tasks, of any type.

    Raises:
        DataError: as above; a backbone cannot be had.
    """
    settings = read_metadata(folder)["settings"]
    backbone = str(settings.get("backbone") or "")
    if backbone and (beside := folder / BACKBONE / Path(backbone).name).is_dir():
        backbone = str(beside)
    if settings.get("type") in {"ridge", "gp"}:
        return Simple(settings["type"], backbone)
    return answering(trained(folder)[0], settings, backbone)


def answering(made: nn.Module, settings: Mapping[str, Any], backbone: str = "") -> Model:
    """A network as what answers tasks.

    Args:
        backbone: where its weights are; default by the name in the settings.

    Raises:
        DataError: a backbone cannot be had.
    """
    from baselines.few_shot.metalic import AxialNetwork, Metalic, Residues
    from baselines.few_shot.reptile import Reptile, ReptileNetwork
    from baselines.few_shot.sparse import InContext, SparseNetwork

    unmeasured = settings.get("support", [1])[0] == 0
    if isinstance(made, SparseNetwork):
        return InContext(made, unmeasured)
    if isinstance(made, ReptileNetwork):
        return Reptile(made, int(settings["finetune_steps"]), float(settings["inner_rate"]))
    assert isinstance(made, AxialNetwork)
    residues = Residues(backbone or str(settings["backbone"]), int(settings["layer"]))
    decay, rate = float(settings["weight_decay"]), float(settings["learning_rate"])
    return Metalic(made, residues, int(settings["finetune_steps"]), rate, decay, unmeasured)
