"""Build the reference images, and write the submission file that enters each.

An image is described by its folder `baselines/images/<name>/`: `config.yaml` (version, shared modules, whether it
needs a trained model, and the submission's fields), `Dockerfile` and `predict.py`.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import docker
import docker.errors
import yaml

HERE = Path(__file__).resolve().parent
IMAGES = HERE / "images"
NAMESPACE = "apb"
DEFAULT_BASE = "python:3.11-slim"


class PackageError(Exception):
    """An image cannot be built; the message says why and what to do."""


def names() -> list[str]:
    """The reference images that need no weights: every folder with a config.yaml is one."""
    return sorted(path.parent.name for path in IMAGES.glob("*/config.yaml"))


def config(name: str) -> dict[str, Any]:
    """An image's config.yaml.

    Raises:
        PackageError: there is no such image.
    """
    if name not in names():
        raise PackageError(f"There is no reference image '{name}'. Known are: {', '.join(names())}.")
    content: dict[str, Any] = yaml.safe_load((IMAGES / name / "config.yaml").read_text())
    return content


def lay_out(name: str, folder: Path, model: Path | None = None) -> Path:
    """Gather an image's files in `<folder>/<name>/`: its own, the modules it shares, and its trained model.

    Raises:
        PackageError: it needs a model and none was given.
    """
    settings = config(name)
    context = folder / name
    if context.exists():
        shutil.rmtree(context)
    shutil.copytree(IMAGES / name, context, ignore=shutil.ignore_patterns("__pycache__"))
    for module in settings.get("modules", []):
        shutil.copyfile(HERE / module, context / module)
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
    return yaml.safe_dump(entry, sort_keys=False, allow_unicode=True, width=110)
