"""Build the reference images, and write the submission file that enters each.

An image is described by its folder `baselines/images/<name>/`: `config.yaml` (version, shared modules, whether it
needs a trained model, and the submission's fields), `Dockerfile` and `predict.py`. Those of a protein language model
have a `config.yaml` alone, which names backbone and head; they share the Dockerfile in `baselines/images/esm/`.
"""

from __future__ import annotations

import json
import math
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import docker
import docker.errors
import yaml

if TYPE_CHECKING:
    from baselines.backbones.checkpoint import Checkpoint
    from baselines.predicting.features import Features

HERE = Path(__file__).resolve().parent
IMAGES = HERE / "images"
NAMESPACE = "apb"
DEFAULT_BASE = "python:3.11-slim"


class PackageError(Exception):
    """An image cannot be built; the message says why and what to do."""


def names() -> list[str]:
    """The reference images without a backbone: every folder with a config.yaml and a Dockerfile is one."""
    return sorted(p.parent.name for p in IMAGES.glob("*/config.yaml") if (p.parent / "Dockerfile").is_file())


def config(name: str) -> dict[str, Any]:
    """An image's config.yaml.

    Raises:
        PackageError: there is no such image.
    """
    known = {path.parent.name for path in IMAGES.glob("*/config.yaml")}
    if name not in known:
        raise PackageError(f"There is no reference image '{name}'. Known are: {', '.join(sorted(known))}.")
    content: dict[str, Any] = yaml.safe_load((IMAGES / name / "config.yaml").read_text())
    return content


def lay_out(name: str, folder: Path, model: Path | None = None) -> Path:
    """Gather an image's files in `<folder>/<name>/`: its own, the modules it shares, and its trained model.

    Raises:
        PackageError: it needs a model and none was given.
    """
    settings = config(name)
    if "backbone" in settings:
        raise PackageError(
            f"'{name}' has a backbone: apb-zoo package {settings['backbone']} {settings['head']} --model FOLDER."
        )
    context = folder / name
    if context.exists():
        shutil.rmtree(context)
    shutil.copytree(IMAGES / name, context, ignore=shutil.ignore_patterns("__pycache__"))
    for module in settings.get("modules", []):
        shutil.copyfile(HERE / module, context / Path(module).name)
    if settings.get("needs_model"):
        if model is None:
            raise PackageError(f"'{name}' needs a trained model: apb-zoo train, then --model FILE.")
        shutil.copyfile(model, context / "model.json")
    return context


def build(context: Path, base_image: str = DEFAULT_BASE) -> str:
    """Build the image of a laid-out context; returns its tag `apb/<name>:<version>`.

    Raises:
        PackageError: the engine is not there, or the build failed.
    """
    settings = yaml.safe_load((context / "config.yaml").read_text())
    tag = f"{NAMESPACE}/{context.name}:{settings['version']}"
    try:
        engine = docker.from_env(timeout=600)
        engine.images.build(path=str(context), tag=tag, buildargs={"BASE_IMAGE": base_image}, rm=True, forcerm=True)
    except docker.errors.BuildError as error:
        log = "\n".join(_lines(error.build_log))
        raise PackageError(f"{tag} could not be built on {base_image}:\n{log}") from error
    except docker.errors.DockerException as error:
        raise PackageError(f"{tag} could not be built: {error}") from error
    return tag


CODE = ("__init__.py", "errors.py", "backbones", "predicting")
"""What of this package an image with a backbone takes along: two folders whole, and what both stand on."""

NEEDS = ("numpy", "scipy", "scikit-learn", "skops", "safetensors", "torch")
BOOSTED = ("xgboost", "voting", "stacking")
PLATFORMS = ("manylinux_2_28_x86_64", "manylinux_2_27_x86_64", "manylinux2014_x86_64", "manylinux_2_17_x86_64")


def lay_out_esm(
    backbone: str, head: str, folder: Path, model: Path, *, weights: str, gpu: bool = False, torch_index: str = ""
) -> Path:
    """Gather the image of a backbone and a head: code, packages, weights, trained model, and a self-test.

    Args:
        model: folder that `apb-zoo train` wrote.
        weights: the backbone's name or the path of its checkpoint.
        gpu: packages for a GPU.
        torch_index: index with CPU builds of torch.

    Raises:
        PackageError: a package cannot be had.
        DataError: the model was not trained on these weights.
    """
    from baselines.backbones.checkpoint import known_names
    from baselines.predicting import store
    from baselines.predicting.features import DESCRIPTORS, sees_light, shown_in

    trained = store.load(model)
    named = shown_in(trained.metadata["backbone"])
    own = weights == backbone == named  # as its metadata have it; an adapter lies beside the head
    features = store.features_of(trained, "" if own else weights, device="cpu")
    known = trained.metadata["classifier"]
    if head not in {known["type"], known.get("name")}:
        raise PackageError(f"{model} holds a {known['type']}, not a {head}.")
    if set(backbone.split("+")) <= {*known_names(), DESCRIPTORS} and named != backbone:
        raise PackageError(f"{model} was trained on {named}, not on {backbone}.")
    parts = [part["name"] for part in trained.metadata["backbone"]]
    if len(set(parts)) < len(parts):
        raise PackageError(f"Both backbones are called {parts[0]}; rename the folder of one, and train again.")
    if any(sees_light(part) for part in features.parts):
        raise PackageError(f"{named} sees light chains; such a model cannot be packaged yet.")
    settings = _esm_config(backbone, known.get("name") or head, gpu=gpu)
    context = folder / str(settings["name"])
    if context.exists():
        shutil.rmtree(context)
    context.mkdir(parents=True)
    shutil.copyfile(IMAGES / "esm" / "Dockerfile", context / "Dockerfile")
    copy_code(context / "app" / "baselines")
    weight_gb = _copy_model(model, features, context / "model")
    settings["submission"]["resources"]["memory_gb"] = max(8, math.ceil(2.2 * weight_gb + 3))
    settings["trained_on"] = trained.metadata["training"]["set"]
    (context / "config.yaml").write_text(yaml.safe_dump(settings, sort_keys=False, allow_unicode=True))
    needs = [*NEEDS, *(["xgboost-cpu"] if known["type"] in BOOSTED else [])]
    needs += ["anarcii"] if features.pooling == "regions" else []
    wheels(context / "wheels", needs, gpu=gpu, index=torch_index)
    return context


def copy_code(target: Path) -> None:
    """Copy what of this package runs in an image."""
    target.mkdir(parents=True)
    for name in CODE:
        if (HERE / name).is_dir():
            shutil.copytree(HERE / name, target / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copyfile(HERE / name, target / name)


def _copy_model(model: Path, features: Features, target: Path) -> float:
    """The trained head, and the weights of every backbone.

    Returns:
        The size of the weights in GB.
    """
    from baselines.predicting import store
    from baselines.predicting.features import DESCRIPTORS
    from baselines.predicting.predict import WEIGHTS

    (target / WEIGHTS).mkdir(parents=True)
    for name in (store.file_of(store.read_metadata(model) or {}), store.METADATA):
        shutil.copyfile(model / name, target / name)
    backbones = [features.embedder(part).checkpoint for part in features.parts if part != DESCRIPTORS]
    size = sum(copy_weights(checkpoint, target / WEIGHTS / checkpoint.name) for checkpoint in backbones)
    for path in target.rglob("*"):  # the container's user is somebody else
        path.chmod(0o755 if path.is_dir() else 0o644)
    return size


def copy_weights(checkpoint: Checkpoint, target: Path) -> float:
    """A backbone's weights in float32, merged if it was fine-tuned, and what the stock model says of the self-test.

    Returns:
        Their size in GB.
    """
    import numpy as np
    from safetensors.torch import save_file

    from baselines.backbones.embedder import TEST_SEQUENCES
    from baselines.backbones.stock import StockModel
    from baselines.backbones.tokens import clean
    from baselines.predicting.features import SELF_TEST

    target.mkdir()
    for name in ("config.json", "vocab.txt"):
        if (checkpoint.folder / name).is_file():
            shutil.copyfile(checkpoint.folder / name, target / name)
    tensors = {name: tensor.float().contiguous() for name, tensor in checkpoint.tensors().items()}
    save_file(tensors, target / "model.safetensors")
    np.save(target / SELF_TEST, StockModel(checkpoint).means(clean(TEST_SEQUENCES)))
    return sum(tensor.numel() for tensor in tensors.values()) * 4 / 1e9


def _esm_config(backbone: str, head: str, *, gpu: bool) -> dict[str, Any]:
    """The folder of `baselines/images/` that names this backbone and head, else a plain one."""
    named = [path.parent.name for path in IMAGES.glob("*/config.yaml")]
    found = next((n for n in named if (c := config(n)).get("backbone") == backbone and c.get("head") == head), None)
    if found:
        settings = {"name": found, **config(found)}
    else:
        slug = re.sub("[^a-z0-9]+", "-", Path(backbone).name.lower()).strip("-")
        if f"{slug}-{head.replace('_', '-')}" in named:
            raise PackageError(f"{backbone} would take the name of a reference image; rename its folder.")
        title = f"{Path(backbone).name} {head}"
        settings = {
            "name": f"{slug}-{head.replace('_', '-')}",
            "version": "1.0",
            "backbone": Path(backbone).name,
            "head": head,
            "submission": {
                "name": title[:60],
                "author": "Antibody Polyreactivity Benchmark",
                "license": "Apache-2.0",
                "model": {"backbone": Path(backbone).name[:60], "head": head},
                "resources": {"gpu": False, "memory_gb": 8, "timeout_minutes": 120},
            },
        }
    if gpu:
        settings["name"] += "-gpu"
        settings["submission"]["resources"]["gpu"] = True
    return settings


def wheels(folder: Path, names: list[str], *, gpu: bool, index: str) -> None:
    """Download packages for Python 3.11 on linux/amd64, in the versions of this project where it names them."""
    folder.mkdir()
    constraints = HERE.parent / "constraints.txt"
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--dest", str(folder)]
    command += ["--only-binary", ":all:", "--python-version", "3.11", "--implementation", "cp"]
    command += [part for platform in PLATFORMS for part in ("--platform", platform)]
    command += ["--extra-index-url", index] if index and not gpu else []
    command += ["--constraint", str(constraints)] if constraints.is_file() else []
    done = subprocess.run([*command, "pip", *names], capture_output=True, text=True, check=False)
    if not gpu and list(folder.glob("nvidia_*")):
        raise PackageError(
            "PyPI's torch for this platform is built for CUDA. Name an index with CPU builds: --torch-index "
            "https://download.pytorch.org/whl/cpu"
        )
    if done.returncode:
        raise PackageError(f"packages for the image cannot be downloaded:\n{done.stderr[-800:]}")


def esm_submission(context: Path) -> str:
    """The YAML that enters a laid-out image of a protein language model."""
    settings = yaml.safe_load((context / "config.yaml").read_text())
    entry = {"docker_image": f"{NAMESPACE}/{context.name}:{settings['version']}", **settings["submission"]}
    entry["training_data"] = [settings["trained_on"]]
    _leave_out_other_data(entry)
    return yaml.safe_dump(entry, sort_keys=False, allow_unicode=True, width=110)


def _leave_out_other_data(entry: dict[str, Any]) -> None:
    """A card tells of the model that is published; one that learnt from another set says nothing of its data."""
    card = entry.get("reproducibility", {})
    sets = {one["name"] for one in card.get("open_data", {}).get("sets", ()) if one["role"] != "pretrain"}
    if not sets <= set(entry["training_data"]):
        for name in ("open_data", "test_exposure"):
            card.pop(name, None)


def _lines(log: Any) -> Iterator[str]:
    for entry in log:
        if text := str(entry.get("stream") or entry.get("error") or "").strip():
            yield text


def submission(name: str, context: Path) -> str:
    """The YAML that enters an image, with the training set that its model was really trained on."""
    settings = config(name)
    entry: dict[str, Any] = {"docker_image": f"{NAMESPACE}/{name}:{settings['version']}", **settings["submission"]}
    model = context / "model.json"
    if model.is_file():
        trained_on = json.loads(model.read_text())["training"]["set"]
        entry["training_data"] = [trained_on]
        if trained_on == "synthetic":
            entry["description"] += " Trained on SYNTHETIC sequences: its scores only show that the benchmark works."
    _leave_out_other_data(entry)
    return yaml.safe_dump(entry, sort_keys=False, allow_unicode=True, width=110)
