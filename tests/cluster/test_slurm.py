"""A round through a real SLURM of two nodes, one of which is killed."""

from __future__ import annotations

import os
import signal
import subprocess
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import docker
import pytest
import yaml

from evaluator.cluster.slurm import load
from evaluator.errors import EvaluatorError
from tests.conftest import HONEST, Build, Workspace, leftovers
from tests.support.rounds import change_track, dask, jobs_of, ledger, running, same_as_local, submit, until
from tests.support.slurm import Cluster, started


@pytest.fixture
def slurm(tmp_path: Path) -> Iterator[Cluster]:
    with started(tmp_path / "slurm") as cluster:
        yield cluster


def descendants(pid: int) -> set[int]:
    """A process, and all that it has started."""
    parents = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            parents[int(path.parent.name)] = int(path.read_text().rpartition(")")[2].split()[1])
    found = {pid}
    while more := {child for child, parent in parents.items() if parent in found} - found:
        found |= more
    return found


def job_of(worker: int) -> int:
    """The process of SLURM that looks after the job of a worker."""
    while "slurmstepd" not in (Path("/proc") / str(worker) / "comm").read_text():
        worker = int((Path("/proc") / str(worker) / "stat").read_text().rpartition(")")[2].split()[1])
    return worker


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("jobs: 0x2\n", "Write 2"), ("walltime: 4:00:00\n", "in quotes if it is text"),
        ("jobs: two\n", "Line 1: 'jobs' must be"),
        ("cores: 4\n", "Known are: partition, walltime,"),
        ("jobs: [1\n", "a bracket is opened"), ("jobs: 1\n", "'shared_folder' is"),
    ],
)  # fmt: skip
def test_a_wrong_file_is_told_in_plain_words_with_its_line(tmp_path: Path, text: str, told: str) -> None:
    (tmp_path / "slurm.yaml").write_text(text)
    with pytest.raises(EvaluatorError) as caught:
        load(tmp_path / "slurm.yaml")
    assert told in str(caught.value) and "slurm.yaml" in str(caught.value)
    assert not any(word in str(caught.value) for word in ("pydantic", "validation error", "Input should", "flow"))


def test_a_round_through_slurm_survives_the_death_of_a_node(
    workspace: Workspace, build: Build, engine: docker.DockerClient, slurm: Cluster, tmp_path: Path
) -> None:
    change_track(workspace, audit_rows=0)
    slow = build("slurm-slow", "import time; time.sleep(1.5)\n" + HONEST.replace("\n    ", "\n"))
    names = [f"entry-{k}" for k in range(12)]  # a round of 12 tasks
    submit(workspace, slow, *names)
    shared = tmp_path / "shared"
    settings = tmp_path / "slurm.yaml"
    settings.write_text(
        yaml.safe_dump(
            {
                "partition": "main", "walltime": "00:30:00", "jobs": 2, "cpus": 1, "memory_gb": 2, "gpus": 1,
                "shared_folder": str(shared), "local_folder": str(tmp_path / "node"), "host": "127.0.0.1",
            }
        )
    )  # fmt: skip
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text(settings.read_text().replace("partition: main", "partition: nowhere"))
    refused = subprocess.run(
        dask(workspace, "--slurm", str(wrong)), cwd=workspace.root, env=slurm.environment, capture_output=True,
        text=True, timeout=300, check=False,
    )  # fmt: skip
    assert refused.returncode == 3
    assert "sbatch" in refused.stderr and "partition" in refused.stderr
    command = dask(workspace, "--slurm", str(settings), "--patience", "60")
    with running(command, cwd=workspace.root, env=slurm.environment) as round_:
        until(lambda: len(jobs_of(engine)) == 2)
        [(task, worker), _] = jobs_of(engine)
        stepd = job_of(worker)
        node = "n1" if runs_on(slurm, stepd, "n1") else "n2"
        for pid in (slurm.pid(f"slurmd-{node}"), *descendants(stepd)):
            os.kill(pid, signal.SIGKILL)
        # The other job is ended by SIGTERM, as by its walltime; it is begun again where there is a node left.
        until(lambda: len(list(workspace.results.glob("*/smoke.json"))) >= 6)
        [(second, _)] = until(lambda: [j for j in jobs_of(engine) if j[0] != task][:1])
        slurm.run("scancel", "--signal=TERM", "--full", "--user=root", "--state=RUNNING")
        until(lambda: not leftovers(engine), 5)
        said, _ = round_.communicate(timeout=300)
    assert round_.returncode == 0, said
    events = Counter(e["event"] for e in ledger(workspace))
    assert events == {"run": 12, "lost": 2}, said
    assert Counter(e["submission"] for e in ledger(workspace) if e["event"] == "run") == dict.fromkeys(names, 1)
    lost = {f"{e['submission']} on smoke" for e in ledger(workspace) if e["event"] == "lost"}
    assert lost == {task, second}, said
    same_as_local(workspace, tmp_path, names)
    assert leftovers(engine) == []
    assert not list(shared.glob(".dask*")), "TLS keys are left on the shared disk"
    until(lambda: not slurm.run("squeue", "-h", "-t", "running").strip(), 30)


def runs_on(slurm: Cluster, stepd: int, node: str) -> bool:
    """Whether the job of a step is on that node."""
    job = next(
        part.partition("[")[2].partition(".")[0]
        for part in (Path("/proc") / str(stepd) / "cmdline").read_text().split("\0")
        if "[" in part
    )
    return node in slurm.run("squeue", "-h", "-j", job, "-o", "%N")
