"""What a contributor runs at home, on a real engine and a real registry."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import docker
import pytest

from tests.conftest import HONEST, Build, LocalRegistry, Workspace, leftovers


def settings(workspace: Workspace, registry: LocalRegistry, **more: object) -> None:
    lines = [f'insecure_registries = ["{registry.host}"]', *(f"{k} = {v}" for k, v in more.items())]
    (workspace.root / "pyproject.toml").write_text("[tool.apb]\n" + "\n".join(lines) + "\n")


@pytest.fixture
def pushed(engine: docker.DockerClient, registry: LocalRegistry, build: Build) -> Iterator[str]:
    """An honest image that is only in the registry."""
    name = push(engine, build("pushed", HONEST), f"{registry.host}/tests/honest:1.0")
    yield name
    engine.images.prune()


def push(engine: docker.DockerClient, local: str, name: str) -> str:
    image = engine.images.get(local)
    image.tag(name)
    for line in engine.images.push(name, stream=True, decode=True):
        assert "error" not in line, line
    engine.images.remove(name)
    return name


def test_a_scaffold_passes_as_it_is(base: str, workspace: Workspace, engine: docker.DockerClient) -> None:
    assert workspace.apb("new", "my-model").returncode == 0
    folder = workspace.root / "my-model"
    image = "docker.io/your-account/my-model:0.1"
    engine.images.build(path=str(folder), tag=image, buildargs={"BASE_IMAGE": base}, rm=True)
    at_home = {name: value for name, value in os.environ.items() if name != "CI"}  # CI always asks the registry
    done = subprocess.run(
        workspace.command("check"), cwd=folder, env=at_home, capture_output=True, text=True, check=False
    )
    engine.images.remove(image)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "my-model: PASSED" in done.stdout
    assert leftovers(engine) == []


@pytest.mark.parametrize("name", ["a", "My-Model", "../evil", "x" * 65, "-x-"])
def test_a_name_that_is_no_id_is_refused(workspace: Workspace, name: str) -> None:
    done = workspace.apb("new", "--", name)
    assert done.returncode == 1
    assert "ID" in done.stderr or "cannot be an id" in done.stderr


def test_a_failing_image_shows_its_log_and_the_remedy(build: Build, workspace: Workspace) -> None:
    path = workspace.submit("crashes", build("crashes", "raise SystemExit('my \\x1b[31mred\\x1b[0m reason')"))
    done = workspace.apb("check", str(path))
    assert done.returncode == 1
    assert "EXIT_NONZERO" in done.stdout + done.stderr
    assert "\\x1b[31mred" in done.stdout  # shown, but inert
    assert "\x1b" not in done.stdout


def test_every_bad_row_is_told_with_its_remedy(build: Build, workspace: Workspace) -> None:
    bad = HONEST.replace("{score!r}", "{score + 2}")
    done = workspace.apb("check", str(workspace.submit("too-large", build("too-large", bad))), "--json")
    report = json.loads(done.stdout)
    assert done.returncode == 1
    assert report["code"] == "BAD_FORMAT:OUT_OF_RANGE"
    assert len(report["problems"]) == 60
    assert report["problems"][0]["where"] == "row 2"


def test_an_invalid_file_is_told_without_an_engine(workspace: Workspace) -> None:
    path = workspace.submit("typo", "docker.io/me/x:1", licence="MIT")
    done = workspace.apb("check", str(path))
    assert done.returncode == 1
    assert "line 4" in done.stderr and "FIELD_UNKNOWN" in done.stderr and "license" in done.stderr


def test_an_unknown_track_is_told(workspace: Workspace) -> None:
    done = workspace.apb("check", str(workspace.submit("typo", "docker.io/me/x:1", tracks="[jian]")))
    assert done.returncode == 1
    assert "jian" in done.stderr and "jain" in done.stderr


def test_an_image_in_a_registry_is_pulled_by_digest(
    engine: docker.DockerClient, registry: LocalRegistry, pushed: str, workspace: Workspace
) -> None:
    settings(workspace, registry)
    done = workspace.apb("check", str(workspace.submit("honest", pushed)))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "in the registry" in done.stdout


def test_a_tag_is_locked_and_a_moved_tag_changes_nothing(
    engine: docker.DockerClient, registry: LocalRegistry, build: Build, workspace: Workspace
) -> None:
    settings(workspace, registry)
    name = push(engine, build("moving", HONEST + "\n    print('one')\n"), f"{registry.host}/tests/moving:1.0")
    workspace.submit("moving", name)
    assert workspace.evaluate().returncode == 0
    path = workspace.results / "moving" / "smoke.json"
    before = json.loads(path.read_text())["image"]["digest"]

    push(engine, build("moved", "raise SystemExit(1)"), name)
    summary = json.loads(workspace.evaluate("--force", "--json").stdout)

    assert summary["scored"] == ["moving on smoke"]
    assert json.loads(path.read_text())["image"]["digest"] == before


@pytest.mark.parametrize(
    ("reference", "code"),
    [
        ("{host}/tests/nothing:1.0", "IMAGE_NOT_FOUND"),
        ("{host}/tests/honest:none", "IMAGE_NOT_FOUND"),
        ("evil.example.com/tests/honest:1.0", "IMAGE_REGISTRY"),
        ("docker.io.evil.com/x/y:1", "IMAGE_REGISTRY"),
        ("{host}/Tests/honest:1.0", "IMAGE_REFERENCE"),
        ("{host}/tests/honest", "IMAGE_REFERENCE"),
    ],
)
def test_an_image_that_cannot_be_had_is_told(
    registry: LocalRegistry, pushed: str, workspace: Workspace, reference: str, code: str
) -> None:
    settings(workspace, registry)
    path = workspace.submit("entry", reference.format(host=registry.host))
    assert json.loads(workspace.apb("check", str(path), "--json").stdout)["code"] == code
    assert workspace.evaluate().returncode == 0
    assert json.loads((workspace.results / "entry" / "smoke.json").read_text())["failure"] == code
    again = json.loads(workspace.evaluate("--json").stdout)
    assert again["unchanged"] == ["entry on smoke"]


def test_an_oversized_image_is_refused_before_a_layer_is_pulled(
    registry: LocalRegistry, pushed: str, workspace: Workspace
) -> None:
    settings(workspace, registry, max_image_gb=0.001)
    before = registry.accesses()
    report = json.loads(workspace.apb("check", str(workspace.submit("big", pushed)), "--json").stdout)
    assert report["code"] == "IMAGE_TOO_LARGE"
    seen = registry.accesses().removeprefix(before)
    assert len(set(re.findall(r"/blobs/(sha256:\w+)", seen))) == 1  # its configuration, and no layer


def test_a_registry_that_is_down_is_nobodys_fault_but_ours(registry: LocalRegistry, workspace: Workspace) -> None:
    dead = LocalRegistry("127.0.0.1:9", registry.log, registry.process)
    settings(workspace, dead)
    path = workspace.submit("entry", "127.0.0.1:9/tests/honest:1.0")
    assert workspace.apb("check", str(path)).returncode == 3
    assert workspace.evaluate().returncode == 3
    assert not list(Path(workspace.results).glob("*/smoke.json"))
