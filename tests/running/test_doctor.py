"""The doctor tells a machine that contains from one that does not; evaluate asks it first."""

from __future__ import annotations

import json
from typing import Any

import docker
import pytest

from evaluator.running.doctor import judge
from tests.conftest import Workspace


@pytest.fixture(scope="module")
def healthy(engine: docker.DockerClient) -> tuple[dict[str, Any], dict[str, Any]]:
    """What the real engine says of itself."""
    return engine.info(), engine.version()


def test_the_real_engine_is_fit(workspace: Workspace) -> None:
    done = workspace.apb("doctor", "--json")
    assert done.returncode == 0
    assert {"ok"} <= {f["level"] for f in json.loads(done.stdout)} <= {"ok", "warn"}


@pytest.mark.parametrize(
    ("change", "what", "level"),
    [
        ({"SecurityOptions": []}, "seccomp off", "refuse"),
        ({"SecurityOptions": ["name=seccomp,profile=unconfined"]}, "seccomp off", "refuse"),
        ({"SecurityOptions": ["name=seccomp,profile=/etc/mine.json"]}, "profile of its own", "warn"),
        ({"SecurityOptions": ["name=seccomp,profile=builtin"]}, "seccomp on", "ok"),
        ({"SecurityOptions": ["name=seccomp,profile=default", "name=userns"]}, "user namespaces on", "ok"),
        ({"SecurityOptions": ["name=seccomp,profile=default", "name=rootless"]}, "user namespaces on", "ok"),
        ({"MemoryLimit": False}, "memory limits do not work", "refuse"),
        ({"PidsLimit": False, "CgroupVersion": "2"}, "process limits do not work", "refuse"),
        ({"CpuCfsQuota": False}, "cpu limits do not work", "refuse"),
        ({"SwapLimit": False}, "swap limits do not work", "warn"),
        ({"Architecture": "aarch64"}, "linux/aarch64", "refuse"),
        ({"Runtimes": {"runc": {}, "runsc": {}}}, "gVisor is installed", "ok"),
    ],
)
def test_what_is_missing_is_told_with_a_remedy(
    healthy: tuple[dict[str, Any], dict[str, Any]], change: dict[str, Any], what: str, level: str
) -> None:
    info, version = healthy
    found = [f for f in judge({**info, **change}, version) if what in f.what]
    assert [f.level for f in found] == [level]
    assert level == "ok" or found[0].remedy


@pytest.mark.parametrize(("number", "level"), [("19.3.1", "refuse"), ("20.10.0", "ok"), ("28.2.2", "ok")])
def test_an_old_engine_is_refused(healthy: tuple[dict[str, Any], dict[str, Any]], number: str, level: str) -> None:
    info, version = healthy
    assert judge(info, {**version, "Version": number})[0].level == level


def test_a_runtime_that_is_not_there_stops_the_round(workspace: Workspace) -> None:
    workspace.submit("entry", "apb/never-built:1")
    done = workspace.evaluate("--runtime", "no-such-runtime")
    assert done.returncode == 3
    assert "no-such-runtime" in done.stderr and "runc" in done.stderr
    assert workspace.apb("doctor", "--runtime", "no-such-runtime").returncode == 3


def test_a_runtime_that_is_there_is_used(workspace: Workspace) -> None:
    assert workspace.apb("doctor", "--runtime", "runc").returncode == 0
