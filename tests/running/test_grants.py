"""What a worker has of its machine: images from tars, images in use, GPUs."""

from __future__ import annotations

import os
from pathlib import Path

import docker
import docker.errors
import pytest

from evaluator.contract.references import Image
from evaluator.contract.sequences import Sequences
from evaluator.contract.work import Limits, Work
from evaluator.errors import EngineError, EvaluatorError
from evaluator.running import hardware, tars
from evaluator.running.images import local_image, present
from evaluator.running.runs import Grant, SandboxedRuns
from evaluator.running.scratch import Scratch
from evaluator.settings import Settings
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


def test_a_worker_without_the_image_takes_it_from_the_tar(
    build: Build, engine: docker.DockerClient, tmp_path: Path
) -> None:
    image = local_image(build("tarred-three", HONEST + "    # three\n"), engine)
    tars.save(image, tmp_path, engine)
    engine.images.remove(image.reference, force=True)
    sequences = Sequences({"sequence": ("EVQLRRR", "EVQLAAA", "QVQLKKR")}, "classification", 0)
    work = Work("tarred on nothing", image, Limits(30.0, memory=256 * 1024**2), False, "x")
    without = SandboxedRuns(Settings(), Scratch(tmp_path / "state"))
    with pytest.raises(EngineError, match="not in the local engine"):
        without._run(work, sequences)
    done = SandboxedRuns(Settings(), Scratch(tmp_path / "state"), grant=Grant(tars=tmp_path)).run(work, sequences)
    assert done.table is not None
    assert done.table.score.tolist() == [3 / 7, 0.0, 1 / 7]


def test_an_image_in_use_is_not_given_up_by_anybody(tmp_path: Path) -> None:
    here, there = Scratch(tmp_path), Scratch(tmp_path)
    discarded: list[str] = []

    def discard(name: str) -> bool:
        discarded.append(name)
        return True

    with here.using("a/b@sha256:1"), here.using("a/b@sha256:2"):
        with there.using("a/b@sha256:1"):
            for name in there.pulled():
                there.give_up(name, discard)
        there.give_up("a/b@sha256:1", discard)
        assert discarded == []
    there.give_up("a/b@sha256:1", discard)
    assert discarded == ["a/b@sha256:1"]
    assert there.pulled() == ["a/b@sha256:2"]


@pytest.mark.parametrize(
    ("visible", "granted"),
    [(None, ("GPU-aa", "GPU-bb")), ("", ()), ("NoDevFiles", ()), ("1", ("GPU-bb",)), ("GPU-aa", ("GPU-aa",))],
)
def test_a_batch_system_says_which_gpus_are_ours(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, visible: str | None, granted: tuple[str, ...]
) -> None:
    driver = tmp_path / "nvidia-smi"
    driver.write_text("#!/bin/sh\nprintf 'GPU-aa\\nGPU-bb\\n'\n")
    driver.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    if visible is None:
        monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    else:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert hardware.granted() == granted
