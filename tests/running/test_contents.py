"""Packages and files of an image, read from its file system as its layers come to; nothing of it runs."""

from __future__ import annotations

import hashlib

import docker
import pytest

from evaluator.contract.observed import Contents, File
from evaluator.running import contents as module
from evaluator.running.contents import contents
from evaluator.running.engine import is_podman
from tests.conftest import Build, leftovers
from tests.support import images, lanes

SITE = "usr/lib/python3/site-packages"


def package(name: str, version: str, more: str = "") -> str:
    return f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{more}\n\nName: not-this\nVersion: 9\n"


FILES = {
    f"{SITE}/Torch_Vision-1.0.dist-info/METADATA": package("Torch_Vision", "1.0"),
    f"{SITE}/gone-1.0.dist-info/METADATA": package("gone", "1.0"),
    f"{SITE}/setuptools/_vendor/wheel-0.1.dist-info/METADATA": package("vendored", "0.1"),
    "tmp/hidden-1.0.dist-info/METADATA": package("hidden", "1.0"),
    "opt/x/hostile-1.0.dist-info/METADATA": "Name: \x1b[31mred\nVersion: 1\n",
    "opt/y/huge-1.0.dist-info/METADATA": package("huge", "1.0") + "x" * 200_000,
    "opt/z/headless-1.0.dist-info/METADATA": "Version: 1.0\n",
    "app/lock.txt": "huge==1.0\n",
    "app/weights.bin": "w" * 3_000_000,
}


@pytest.fixture(scope="module")
def image(engine: docker.DockerClient, build: Build) -> str:
    build("contents", "raise SystemExit(1)")  # whose base it shares
    tag = f"apb/test-contents:{lanes.SCOPE}"
    images.add(engine, f"apb/test:{lanes.SCOPE}", tag, FILES, Cmd=["/never"])
    if not is_podman(engine):  # a later layer that takes a package out again
        images.add(engine, tag, tag, {f"{SITE}/.wh.gone-1.0.dist-info": ""})
    return tag


def test_what_is_installed_is_what_the_layers_come_to(engine: docker.DockerClient, image: str) -> None:
    wanted = ["/app/lock.txt", "/app/weights.bin", "/app/nothing", "/app"]
    found = contents(engine, engine.images.get(image), wanted, largest=1e10)
    assert isinstance(found, Contents)
    assert found.packages["torch-vision"] == found.packages["huge"] == frozenset({"1.0"})
    assert not {"vendored", "hidden", "not-this", "headless"} & found.packages.keys()
    assert ("gone" in found.packages) == is_podman(engine)
    assert all(name.isprintable() for name in found.packages)
    whole = hashlib.sha256(FILES["app/weights.bin"].encode()).hexdigest()
    weights = found.files["/app/weights.bin"]
    assert weights is not None and weights.sha256 == whole and len(weights.head) == module.HEAD
    assert found.files["/app/lock.txt"] == File(hashlib.sha256(b"huge==1.0\n").hexdigest(), b"huge==1.0\n")
    assert found.files["/app/nothing"] is None and found.files["/app"] is None
    assert leftovers(engine) == []


def test_a_file_system_without_end_is_given_up(
    engine: docker.DockerClient, image: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "too large" in str(contents(engine, engine.images.get(image), [], largest=1e6))
    monkeypatch.setattr(module, "SECONDS", 0.0)
    assert "too large" in str(contents(engine, engine.images.get(image), [], largest=1e10))
    assert leftovers(engine) == []
