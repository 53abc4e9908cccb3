"""Workers as jobs of a SLURM cluster, each of which runs `apb worker`."""

from __future__ import annotations

import math
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from evaluator.contract.strict_yaml import load_ours
from evaluator.contract.work import GIB
from evaluator.errors import EvaluatorError
from evaluator.rounds.executors import Place

LOOK_SECONDS = 10.0
DEATHS = 3
"""So many times each job may end before it has become a worker, as long as no other has."""
TO_START = 60.0
"""Seconds of a job that are left for its start and its end."""


class Slurm(BaseModel):
    """What a maintainer says of the cluster, in a YAML file."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    partition: str | None = None
    """Where jobs go; default the cluster's own."""
    walltime: str = Field(default="04:00:00", pattern=r"^(\d+-)?\d{1,3}:\d{2}:\d{2}$")
    """How long a job may last; longer than the longest task, or that is never begun."""
    jobs: int = Field(default=1, ge=1)
    """At most so many at a time, each with one task at a time."""
    cpus: int = Field(default=4, ge=1)
    """Cores of a job."""
    memory_gb: float = Field(default=16, gt=0)
    """Memory of a job; an entry that asks for more finds no place."""
    gpus: int = Field(default=0, ge=0)
    """GPUs of a job."""
    shared_folder: Path
    """Seen by the head and by every node under this path: TLS keys, logs, tars of reference images."""
    local_folder: Path | None = None
    """On a node's own disk, for inputs of runs; default below /tmp."""
    host: str | None = None
    """Address of the head that nodes can reach; default what its name stands for."""
    port: int = Field(default=0, ge=0, le=65535)
    """On the head, where nodes reach it; 0 for any."""
    python: str = sys.executable
    """Interpreter on the nodes that has this package."""
    directives: tuple[str, ...] = ()
    """More options of sbatch, e.g. --account=lab."""
    prologue: tuple[str, ...] = ()
    """Lines of shell before the worker, e.g. module load docker."""

    @property
    def walltime_seconds(self) -> float:
        """Of a job."""
        days, _, clock = self.walltime.rpartition("-")
        hours, minutes, seconds = (int(part) for part in clock.split(":"))
        return ((int(days or 0) * 24 + hours) * 60 + minutes) * 60.0 + seconds

    def place(self) -> Place:
        """What a fresh job can take."""
        memory = int(self.memory_gb * GIB)
        return Place("a fresh job", memory, self.gpus, time.time() + self.walltime_seconds - 2 * TO_START)


def load(path: Path) -> Slurm:
    """Read the file.

    Raises:
        EvaluatorError: it is missing or wrong.
    """
    return load_ours(path, Slurm)


class Jobs:
    """The jobs of one round: those that end before their time are begun again.

    dask-jobqueue itself begins again only what has once been a worker, and never looks into the queue.

    Args:
        cluster: a `SLURMCluster`.
        count: how many there are to be.
    """

    def __init__(self, cluster: Any, slurm: Slurm, count: int) -> None:
        self._cluster = cluster
        self._slurm = slurm
        self._count = count
        self._deaths = 0
        self._looked = time.monotonic()
        _run(
            ["sbatch", "--test-only"],
            "See partition, walltime, memory and directives in the file.",
            cluster.job_script(),
        )
        cluster.scale(jobs=count)

    def prospects(self) -> list[Place]:
        """A fresh job for each, sooner or later.

        Raises:
            EvaluatorError: jobs end again and again before they have become workers.
        """
        if time.monotonic() - self._looked > LOOK_SECONDS:
            self._look()
            self._looked = time.monotonic()
        return [self._slurm.place()] * self._count

    def _look(self) -> None:
        working = {str(worker.name) for worker in list(self._cluster.scheduler.workers.values())}
        missing = {name: job.job_id for name, job in list(self._cluster.workers.items()) if name not in working}
        self._deaths = 0 if working else self._deaths
        if not missing:
            return
        queue = _run(["squeue", "--me", "--noheader", "--format=%i"], "Is SLURM up?").split()
        for name in (name for name, job_id in missing.items() if str(job_id) not in queue):
            self._deaths += 1
            self._cluster.loop.add_callback(self._cluster.workers.pop, name, None)
        if self._deaths > DEATHS * self._count:
            raise EvaluatorError(
                f"{self._deaths} jobs have ended before they became workers.",
                f"Their logs are in {self._slurm.shared_folder / 'logs'}; apb doctor on a node says whether it is fit.",
            )
        self._cluster.scale(jobs=self._count)


def _run(command: list[str], remedy: str, script: str = "") -> str:
    try:
        done = subprocess.run(command, input=script, capture_output=True, text=True, timeout=60, check=True)
    except (OSError, subprocess.SubprocessError) as error:
        said = getattr(error, "stderr", "") or error
        raise EvaluatorError(f"{' '.join(command)} failed: {said}", remedy) from error
    return done.stdout


@contextmanager
def cluster(slurm: Slurm, jobs: int) -> Iterator[tuple[Any, Jobs]]:
    """A scheduler in this process, and so many jobs.

    Raises:
        EvaluatorError: SLURM or the library for it is not here, it refuses such jobs, or the folder cannot be used.
    """
    try:
        from dask_jobqueue import SLURMCluster
    except ImportError as error:
        raise EvaluatorError(f"--slurm needs a library: {error}", "Install it: pip install -e '.[cluster]'") from error
    logs = slurm.shared_folder / "logs"
    try:
        logs.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise EvaluatorError(f"{slurm.shared_folder} cannot be used: {error}", "Name another shared_folder.") from error
    folder = [] if slurm.local_folder is None else ["--state", str(slurm.local_folder)]
    host = {"host": slurm.host} if slurm.host else {}
    with SLURMCluster(
        queue=slurm.partition,
        walltime=slurm.walltime,
        cores=1,
        processes=1,
        job_cpu=slurm.cpus,
        memory=f"{math.ceil(slurm.memory_gb * 1024)}MiB",
        python=f"exec {slurm.python}",
        worker_command="evaluator worker",
        worker_extra_args=[
            "--walltime",
            f"{slurm.walltime_seconds - TO_START:g}",
            "--memory-gb",
            f"{slurm.memory_gb:g}",
            "--cpus",
            str(slurm.cpus),
            "--slots",
            "1",
            "--gpus",
            str(slurm.gpus),
            "--images",
            str(slurm.shared_folder / "images"),
            *folder,
        ],
        job_extra_directives=[*([f"--gres=gpu:{slurm.gpus}"] if slurm.gpus else []), "--no-requeue", *slurm.directives],
        job_script_prologue=list(slurm.prologue),
        log_directory=str(logs),
        local_directory=None,
        job_name="apb-worker",
        scheduler_options={"dashboard_address": "127.0.0.1:0", "port": slurm.port, **host},
        security=True,
        protocol="tls://",
        shared_temp_directory=str(slurm.shared_folder),
        silence_logs="critical",
    ) as found:
        yield found, Jobs(found, slurm, jobs)
