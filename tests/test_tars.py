"""The benchmark's own images reach machines without a registry as tars, and nothing else does by that name."""

from __future__ import annotations

from pathlib import Path

import docker
import docker.errors
import pytest

from evaluator import tars
from evaluator.errors import EvaluatorError
from evaluator.images import Image, local_image, present
from tests.conftest import HONEST, Build


def test_an_image_goes_through_a_tar_unchanged(build: Build, engine: docker.DockerClient, tmp_path: Path) -> None:
    name = build("tarred", HONEST + "    # tarred\n")
    image = local_image(name, engine)
    tars.save(image, tmp_path, engine)
    before = tars.tar_of(image, tmp_path).stat().st_mtime_ns
    tars.save(image, tmp_path, engine)
    assert tars.tar_of(image, tmp_path).stat().st_mtime_ns == before, "it is there already"
    engine.images.remove(name, force=True)
    assert not present(image, engine)
    tars.load(image, tmp_path, engine)
    assert local_image(name, engine) == image


def test_what_is_missing_or_something_else_is_our_fault(
    build: Build, engine: docker.DockerClient, tmp_path: Path
) -> None:
    image = local_image(build("tarred-too", HONEST + "    # too\n"), engine)
    absent = Image("apb/absent:1", "sha256:" + "0" * 64, None)
    with pytest.raises(EvaluatorError, match="there is no"):
        tars.load(absent, tmp_path, engine)
    tars.save(image, tmp_path, engine)
    tars.tar_of(image, tmp_path).rename(tars.tar_of(absent, tmp_path))
    with pytest.raises(EvaluatorError, match="does not hold"):
        tars.load(absent, tmp_path, engine)
