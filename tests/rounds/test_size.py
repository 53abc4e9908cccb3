"""How large a round is, and how one goes: what `apb plan` and `apb status` say."""

from __future__ import annotations

import json
import os
import subprocess

import docker
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaluator.rounds.durations import Durations, makespan
from tests.conftest import HONEST, Build, Workspace

SECONDS = st.lists(st.floats(0, 1e4), min_size=1, max_size=40)


@given(SECONDS, st.integers(1, 12))
def test_a_makespan_lies_between_the_bounds_that_it_has(seconds: list[float], places: int) -> None:
    found = makespan(seconds, places)
    best = max(sum(seconds) / places, *seconds)
    assert best * (1 - 1e-9) <= found <= sum(seconds) / places + max(seconds)  # Graham's bound for any order
    assert makespan(seconds, 1) == pytest.approx(sum(seconds))


def test_running_tasks_hold_their_places() -> None:
    assert makespan([10.0], 2, running=[100.0]) == 100.0
    assert makespan([10.0, 10.0], 2, running=[5.0, -3.0]) == 15.0
    assert makespan([], 4) == 0.0


def test_what_is_expected_comes_from_what_is_nearest() -> None:
    known = Durations()
    assert known.expected("new", "harvey", 1000).source.startswith("a guess")
    known.learn("one", "jain", 100, 10.0)
    assert known.expected("one", "jain", 100) == (10.0, "its last run")
    assert known.expected("one", "harvey", 1000).seconds == 100.0
    assert known.expected("new", "harvey", 1000).seconds == 100.0
    known.learn("two", "harvey", 1000, 40.0)
    known.learn("three", "harvey", 1000, 60.0)
    assert known.expected("new", "harvey", 1000) == (50.0, "the median of 2 runs")
    assert known.expected("one", "harvey", 1000).source == "its runs on other tracks, by rows"


def test_a_plan_of_new_entries_is_rows_times_seconds(workspace: Workspace) -> None:
    done = workspace.apb(
        "plan",
        "--entries",
        "100",
        "--gpu",
        "--seconds-per-1000",
        "3",
        "--tracks",
        "harvey",
        "--workers",
        "32",
        "--json",
    )
    found = json.loads(done.stdout)
    each = 141_021 * 3 / 1000
    assert found["gpu_hours"] == pytest.approx(100 * each / 3600, abs=1e-3)
    assert found["cpu_hours"] == 0
    assert found["hours_by_workers"] == {
        "32": pytest.approx(4 * each / 3600, abs=1e-3)
    }  # 100 tasks are four rounds of 32
    assert "GPU hours" in workspace.apb("plan", "--entries", "2").stdout
    assert workspace.apb("plan").returncode == 2


def test_a_plan_of_what_is_due_learns_from_records_and_status_tells_of_the_round(
    workspace: Workspace, build: Build, engine: docker.DockerClient
) -> None:
    workspace.submit("done", build("sized", HONEST))
    assert workspace.apb("status").returncode == 3
    assert workspace.evaluate("done").returncode == 0
    workspace.submit("waiting", build("sized-too", HONEST + "    # another image\n"))
    found = json.loads(workspace.apb("plan", *workspace.on_smoke(), "--json").stdout)
    [due] = found["runs"]
    assert (due["track"], due["entries"], due["rows"], due["gpu"]) == ("smoke", 1, 60, False)
    assert due["source"] == "the median of 1 runs"

    status = json.loads(workspace.apb("status", "--json").stdout)
    assert (status["total"], status["done"], status["scored"], status["lost"]) == (1, 1, 1, 0)
    assert status["ended"] and not status["cut_short"]
    (workspace.state / "round.json").write_text(
        json.dumps({**status, "ended": None, "process": [os.getpid(), "0"], "forecast": "x"})
    )
    done = workspace.apb("status")
    assert done.returncode == 3
    assert "was cut short" in done.stdout


def test_a_worker_without_an_engine_does_not_start(workspace: Workspace) -> None:
    environment = {**os.environ, "DOCKER_HOST": "unix:///nowhere/docker.sock"}
    command = workspace.command("worker", "tcp://127.0.0.1:1", "--insecure")
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 3
    assert "No Docker engine" in done.stderr


def test_options_that_contradict_each_other_are_refused(workspace: Workspace) -> None:
    for arguments in (
        ("--workers", "2"),
        ("--executor", "dask", "--workers", "2", "--scheduler", "tls://x:1"),
        ("--executor", "dask", "--unsandboxed", str(workspace.root)),
    ):
        done = workspace.evaluate(*arguments)
        assert done.returncode == 2, done.stderr
