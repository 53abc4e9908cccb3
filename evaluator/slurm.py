"""Workers as jobs of a SLURM cluster, each of which runs `apb worker`."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from evaluator.errors import EvaluatorError
from evaluator.executors import GIB, Place

ADAPT_EVERY = "2s"


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
        return Place("a fresh job", memory, self.gpus, time.time() + self.walltime_seconds - 60)


def load(path: Path) -> Slurm:
    """Read the file.

    Raises:
        EvaluatorError: it is missing or wrong.
    """
    try:
        return Slurm.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")) or {})
    except (OSError, yaml.YAMLError, ValidationError, UnicodeDecodeError) as error:
        raise EvaluatorError(f"{path} is not valid: {error}", "docs/cluster.md says what it may hold.") from error


@contextmanager
def cluster(slurm: Slurm, jobs: int) -> Iterator[Any]:
    """A scheduler in this process, and so many jobs, replaced when they are lost.

    Raises:
        EvaluatorError: SLURM or the library for it is not here, or the folder cannot be used.
    """
    try:
        from dask_jobqueue import SLURMCluster
    except ImportError as error:
        raise EvaluatorError(f"--slurm needs a library: {error}", "Install it: pip install '.[cluster]'") from error
    logs = slurm.shared_folder / "logs"
    try:
        logs.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise EvaluatorError(f"{slurm.shared_folder} cannot be used: {error}", "Name another shared_folder.") from error
    folder = [] if slurm.local_folder is None else ["--state", str(slurm.local_folder)]
    with SLURMCluster(
        queue=slurm.partition, walltime=slurm.walltime, cores=1, processes=1, job_cpu=slurm.cpus,
        memory=f"{math.ceil(slurm.memory_gb * 1024)}MiB", python=f"exec {slurm.python}",
        worker_command="evaluator worker",
        worker_extra_args=[
            "--memory-gb", f"{slurm.memory_gb:g}", "--cpus", str(slurm.cpus),
            "--images", str(slurm.shared_folder / "images"), *folder,
        ],
        job_extra_directives=[*([f"--gres=gpu:{slurm.gpus}"] if slurm.gpus else []), "--no-requeue", *slurm.directives],
        job_script_prologue=list(slurm.prologue), log_directory=str(logs), local_directory=None, job_name="apb-worker",
        scheduler_options={"dashboard_address": "127.0.0.1:0", **({"host": slurm.host} if slurm.host else {})},
        security=True, protocol="tls://", shared_temp_directory=str(slurm.shared_folder), silence_logs="critical",
    ) as found:  # fmt: skip
        found.adapt(minimum_jobs=jobs, maximum_jobs=jobs, interval=ADAPT_EVERY)
        yield found
