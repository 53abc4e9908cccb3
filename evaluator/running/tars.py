"""The benchmark's own images as tars in a folder, for machines that have no registry to pull them from."""

from __future__ import annotations

import os
from pathlib import Path

import docker
import docker.errors

from evaluator.contract.references import Image
from evaluator.errors import EngineError, EvaluatorError
from evaluator.running.engine import ENGINE_FAULTS
from evaluator.running.images import present
from evaluator.text import printable


def tar_of(image: Image, folder: Path) -> Path:
    """Where the tar of one of the benchmark's own images is kept."""
    return folder / f"{image.digest.rpartition(':')[2]}.tar"


def save(image: Image, folder: Path, engine: docker.DockerClient) -> None:
    """Write one of the benchmark's own images as a tar, unless it is there, for machines that cannot pull it.

    Raises:
        EngineError: that fails.
    """
    target = tar_of(image, folder)
    if target.exists():
        return
    folder.mkdir(parents=True, exist_ok=True)
    part = target.with_suffix(f".{os.getpid()}.part")
    try:
        with part.open("wb") as tar:
            for chunk in engine.images.get(image.reference).save(named=image.reference):
                tar.write(chunk)
        part.replace(target)
    except (*ENGINE_FAULTS, OSError) as error:
        raise EngineError(f"{image.reference} could not be saved: {printable(str(error), 300)}") from error
    finally:
        part.unlink(missing_ok=True)


def load(image: Image, folder: Path, engine: docker.DockerClient) -> None:
    """Load one of the benchmark's own images from its tar, unless the engine has it.

    Raises:
        EvaluatorError: there is no tar of it, or the tar holds something else.
        EngineError: the engine cannot load it now.
    """
    if present(image, engine):
        return
    tar = tar_of(image, folder)
    try:
        with tar.open("rb") as stream:
            found = [str(i.id) for i in engine.images.load(stream)]
    except FileNotFoundError as error:
        raise EvaluatorError(
            f"The local engine has no image {printable(image.reference, 200)}, and there is no {tar}.",
            "Build it here, or put the tar there; apb evaluate --images writes it.",
        ) from error
    except (*ENGINE_FAULTS, OSError) as error:
        raise EngineError(f"{tar} could not be loaded: {printable(str(error), 300)}") from error
    if image.digest not in found:
        raise EvaluatorError(f"{tar} does not hold the image that it is named after.", "Delete it; it is made again.")
