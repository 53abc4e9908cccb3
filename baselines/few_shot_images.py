"""Images of few-shot models: `config.yaml` names the model; all share `baselines/images/few-shot/Dockerfile`."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from baselines import package
from baselines.package import HERE, IMAGES, PackageError

SIMPLE = ("numpy", "scipy", "scikit-learn")
NETWORK = (*SIMPLE, "safetensors", "torch")
MODELS = ("ridge", "gp")
"""Models that need no meta-training."""
WITHOUT_WEIGHTS = ("", "one_hot")
"""In place of a backbone."""
NETWORKS = ("axial.py", "finetuning.py", "losses.py", "metalic.py", "panel.py", "reptile.py", "sparse.py", "tokens.py")
"""Modules that only the other models need."""


def is_one(name: str) -> bool:
    """Whether a reference image is of a few-shot model."""
    return (IMAGES / Path(name).name / "config.yaml").is_file() and "few_shot" in package.config(Path(name).name)


def lay_out(name: str, folder: Path, model: Path | None, *, weights: str = "", torch_index: str = "") -> Path:
    """Gather an image's files in `<folder>/<name>/`: code, packages, the model, and its backbone's weights.

    Args:
        model: folder that `apb-zoo meta-train` wrote, where the image needs one.
        weights: the path of the backbone's checkpoint; default by its name.
        torch_index: index with CPU builds of torch.

    Raises:
        PackageError: it needs a model and none was given, or one of another type; a package cannot be had.
        DataError: the model is none; the backbone cannot be had.
    """
    settings = package.config(name)
    wanted: dict[str, Any] = settings["few_shot"]
    context = folder / name
    if context.exists():
        shutil.rmtree(context)
    context.mkdir(parents=True)
    shutil.copyfile(IMAGES / "few-shot" / "Dockerfile", context / "Dockerfile")
    shutil.copyfile(IMAGES / name / "config.yaml", context / "config.yaml")
    simple = wanted["type"] in MODELS
    copy_code(context / "app" / "baselines", networks=not simple)
    backbone = _copy_model(name, wanted, None if simple else model, context / "model").get("backbone") or ""
    if backbone not in WITHOUT_WEIGHTS:
        _copy_backbone(str(backbone), weights, context / "model")
    needs = SIMPLE if simple and not backbone else NETWORK
    package.wheels(context / "wheels", list(needs), gpu=False, index=torch_index)
    for path in (context / "model").rglob("*"):  # the container's user is somebody else
        path.chmod(0o755 if path.is_dir() else 0o644)
    return context


def copy_code(target: Path, *, networks: bool) -> None:
    """Copy what of this package runs in an image of a few-shot model."""
    package.copy_code(target)
    left_out = ("__pycache__", "meta", *(() if networks else NETWORKS))
    shutil.copytree(HERE / "few_shot", target / "few_shot", ignore=shutil.ignore_patterns(*left_out))


def _copy_model(name: str, wanted: dict[str, Any], model: Path | None, target: Path) -> dict[str, Any]:
    """Copy a model, or write the metadata of one that needs no meta-training; returns its settings."""
    from baselines.few_shot import store

    target.mkdir()
    if wanted["type"] in MODELS:
        metadata: dict[str, Any] = {
            "schema_version": store.SCHEMA_VERSION,
            "name": name,
            "settings": wanted,
            "meta_training": [],
        }
        (target / store.METADATA).write_text(json.dumps(metadata, indent=1, sort_keys=True) + "\n")
        return wanted
    if model is None:
        raise PackageError(f"'{name}' needs a model: apb-zoo meta-train, then --model FOLDER.")
    _, metadata = store.trained(model)
    if metadata["settings"]["type"] != wanted["type"]:
        raise PackageError(f"{model} holds a {metadata['settings']['type']} network, '{name}' a {wanted['type']} one.")
    for file in (store.METADATA, store.WEIGHTS):
        shutil.copyfile(model / file, target / file)
    settings: dict[str, Any] = metadata["settings"]
    return settings


def _copy_backbone(backbone: str, weights: str, target: Path) -> None:
    from baselines.backbones import checkpoint
    from baselines.few_shot import store

    (target / store.BACKBONE).mkdir()
    beside = target / store.BACKBONE / Path(backbone).name
    package.copy_weights(checkpoint.find(weights or backbone), beside)
