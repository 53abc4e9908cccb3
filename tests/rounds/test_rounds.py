"""The weekly job: a plan before anything runs, a summary after, images that do not pile up, outages told."""

from __future__ import annotations

import hashlib
import json

import docker
import pytest

from benchmarks.rounds import up_to_date
from evaluator.settings import Repository
from tests.conftest import HONEST, Build, LocalRegistry, Workspace
from tests.support.registries import push, settings


def test_where_all_is_up_to_date_nothing_is_due(workspace: Workspace, engine: docker.DockerClient) -> None:
    hidden = up_to_date(Repository(workspace.root), 20)
    done = workspace.apb("evaluate", "--all", "--hidden", str(hidden), "--json")
    summary = json.loads(done.stdout)
    assert done.returncode == 0
    assert len(summary["unchanged"]) == 80
    assert not (summary["scored"] or summary["failed"] or summary["ours"])


def test_a_dry_run_prints_the_plan_and_writes_nothing(
    workspace: Workspace, build: Build, engine: docker.DockerClient, registry: LocalRegistry
) -> None:
    settings(workspace, registry)
    name = push(engine, build("planned", HONEST), f"{registry.host}/tests/planned:1.0")
    workspace.submit("planned", name)
    workspace.submit("absent", f"{registry.host}/tests/absent:1.0")
    (workspace.root / "submissions" / "broken.yaml").write_text("name: [")
    before = sorted(workspace.root.rglob("*"))
    done = workspace.evaluate("--all", "--dry-run")
    plan = json.loads(done.stdout)
    assert done.returncode == 0, done.stderr
    [due] = plan["run"]
    assert (due["submission"], due["track"], due["rows"], due["image"]) == ("planned", "smoke", 60, name)
    assert due["digest"].startswith("sha256:")
    assert plan["failed"] == {"absent on smoke": "IMAGE_NOT_FOUND", "broken": "YAML_SYNTAX"}
    assert sorted(workspace.root.rglob("*")) == before
    assert workspace.evaluate("--all").returncode == 0
    plan = json.loads(workspace.evaluate("--all", "--dry-run").stdout)
    assert plan["run"] == []
    assert "planned on smoke" in plan["unchanged"]


def test_all_and_an_id_contradict_each_other(workspace: Workspace) -> None:
    done = workspace.evaluate("--all", "random")
    assert done.returncode == 2
    assert "not both" in done.stderr


@pytest.fixture
def two_pushed(
    workspace: Workspace, build: Build, engine: docker.DockerClient, registry: LocalRegistry
) -> tuple[str, str]:
    """Two entries whose images are in the registry only."""
    names = []
    for k in (1, 2):
        name = push(engine, build(f"round-{k}", HONEST + f"    # {k}\n"), f"{registry.host}/tests/round-{k}:1.0")
        workspace.submit(f"round-{k}", name)
        names.append(name)
    return names[0], names[1]


def pulled(engine: docker.DockerClient, registry: LocalRegistry) -> list[str]:
    return [
        d
        for image in engine.images.list()
        for d in image.attrs["RepoDigests"]
        if d.startswith(f"{registry.host}/tests/round-")
    ]


def test_a_round_ends_with_a_summary_and_without_its_images(
    workspace: Workspace, engine: docker.DockerClient, registry: LocalRegistry, two_pushed: tuple[str, str]
) -> None:
    settings(workspace, registry)
    workspace.submit("absent", f"{registry.host}/tests/absent:1.0")
    page = workspace.root / "summary.md"
    page.write_text("# what others wrote\n")
    done = workspace.evaluate("--all", "--summary", str(page))
    assert done.returncode == 0, done.stderr
    assert "plan: 2 to run (2 entries)" in done.stderr
    text = page.read_text()
    assert text.startswith("# what others wrote\n")
    for line in (
        "| new | 2 |",
        "| failed, the submission's fault | 1 |",
        "| left undone, our fault | 0 |",
        "disk freed",
    ):
        assert line in text
    assert "IMAGE&#95;NOT&#95;FOUND" in text
    assert pulled(engine, registry) == []
    assert not list((workspace.state / "pulled").iterdir())


def test_what_a_cut_short_round_pulled_goes_with_the_next(
    workspace: Workspace, engine: docker.DockerClient, registry: LocalRegistry, two_pushed: tuple[str, str]
) -> None:
    settings(workspace, registry)
    assert workspace.evaluate("round-1").returncode == 0
    lock = json.loads((workspace.results / "round-1" / "image.lock").read_text())
    engine.images.pull(lock["pull"])
    (workspace.state / "pulled").mkdir(exist_ok=True)
    (workspace.state / "pulled" / hashlib.sha256(lock["pull"].encode()).hexdigest()).write_text(lock["pull"])
    assert len(pulled(engine, registry)) == 1
    assert workspace.evaluate("round-1").returncode == 0
    assert pulled(engine, registry) == []


def test_without_free_disk_it_is_our_fault_and_reference_images_still_run(
    workspace: Workspace, build: Build, engine: docker.DockerClient, registry: LocalRegistry,
    two_pushed: tuple[str, str],
) -> None:  # fmt: skip
    settings(workspace, registry, keep_free_gb=10**6)
    workspace.submit("local", build("round-local", HONEST))
    done = workspace.evaluate("--all", "--json")
    summary = json.loads(done.stdout)
    assert done.returncode == 3
    assert summary["scored"] == ["local on smoke"]
    assert set(summary["ours"]) == {"round-1 on smoke", "round-2 on smoke"}
    assert "keep_free_gb" in summary["ours"]["round-1 on smoke"]
    assert not (workspace.results / "round-1" / "smoke.json").exists()


def test_an_outage_of_one_registry_stops_nobody_else(
    workspace: Workspace, engine: docker.DockerClient, registry: LocalRegistry, two_pushed: tuple[str, str]
) -> None:
    settings(workspace, registry)
    text = (workspace.root / "pyproject.toml").read_text()
    (workspace.root / "pyproject.toml").write_text(text.replace('"]', '", "127.0.0.1:9"]'))
    workspace.submit("out-of-reach", "127.0.0.1:9/tests/x:1.0")
    done = workspace.evaluate("--all", "--json")
    summary = json.loads(done.stdout)
    assert done.returncode == 3
    assert len(summary["scored"]) == 2
    assert "cannot be reached" in summary["ours"]["out-of-reach"]
    assert not (workspace.results / "out-of-reach").exists()
