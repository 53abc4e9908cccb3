"""Rounds on a workspace: what they are given, and what they leave."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import docker
import docker.errors
import numpy as np
import yaml

from evaluator.running.containers import LABEL, of_scope
from tests.conftest import Workspace

TIMES = {"evaluated_at", "hardware", "runtime"}


SECONDS = 4


def change_track(workspace: Workspace, **fields: object) -> None:
    path = workspace.root / "test_data" / "tracks" / "smoke.yaml"
    path.write_text(yaml.safe_dump({**yaml.safe_load(path.read_text()), **fields}))


def submit(workspace: Workspace, image: str, *names: str, **resources: object) -> None:
    for name in names:
        limits = {"memory_gb": 0.5, "timeout_minutes": 1, **resources}
        workspace.submit(name, image, resources=json.dumps(limits))


def records(workspace: Workspace) -> dict[str, dict[str, Any]]:
    """Every record, but for what may differ between two runs of the same thing."""
    found = {p.parent.name: json.loads(p.read_text()) for p in sorted(workspace.results.glob("*/smoke.json"))}
    return {name: {k: v for k, v in record.items() if k not in TIMES} for name, record in found.items()}


def predictions(workspace: Workspace) -> dict[str, tuple[bytes, bytes]]:
    """What every run predicted, byte for byte."""
    found = {}
    for path in sorted((workspace.state / "predictions").glob("*.npz")):
        with np.load(path, allow_pickle=False) as arrays:
            found[path.stem] = arrays["score"].tobytes(), arrays.get("prediction", np.empty(0)).tobytes()
    return found


def ledger(workspace: Workspace) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (workspace.state / "ledger.jsonl").read_text().splitlines()]


def same_as_local(workspace: Workspace, to: Path, names: list[str]) -> None:
    """All these entries, of one image, have what the first of them has when this machine alone evaluates it."""
    copy = Workspace(to / "local")
    subprocess.run(["cp", "-r", str(workspace.root), str(copy.root)], check=True)
    for path in (copy.state, copy.results):
        subprocess.run(["rm", "-rf", str(path)], check=True)
    done = copy.evaluate(names[0])
    assert done.returncode == 0, done.stderr
    found, [local] = records(workspace), records(copy).values()
    assert found == {name: {**local, "submission": name} for name in names}
    assert predictions(workspace) == predictions(copy)


def jobs_of(engine: docker.DockerClient, task: str = "") -> list[tuple[str, int]]:
    """Task and worker process of every container of a submission that is running."""
    found = []
    for container in engine.api.containers(filters=of_scope()):
        labels = container["Labels"]
        name = labels.get(f"{LABEL}.task", "")
        if container["Mounts"] and any(m["Destination"] == "/data" for m in container["Mounts"]) and task in name:
            found.append((name, int(labels[f"{LABEL}.process"].split("/")[1])))
    return found


def until(condition: Callable[[], Any], seconds: float = 120) -> Any:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if found := condition():
            return found
        time.sleep(0.05)
    raise AssertionError("it did not come about in time")


@contextmanager
def running(command: list[str], **options: Any) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **options)
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


def dask(workspace: Workspace, *arguments: str) -> list[str]:
    return workspace.command("evaluate", *workspace.on_smoke(), "--executor", "dask", *arguments)


def evaluated(workspace: Workspace, *arguments: str) -> subprocess.CompletedProcess[str]:
    return workspace.evaluate("--executor", "dask", *arguments)
