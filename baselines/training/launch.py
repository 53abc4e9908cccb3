"""Where the heads of a sweep are trained: one after the other, in several processes, or as jobs of a SLURM cluster.

By the standard library's executors, and by dask-jobqueue, as `apb evaluate --slurm` is: Hydra's own launchers are not
kept for Hydra 1.3.8.
"""

from __future__ import annotations

import multiprocessing
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol, TypeVar

from baselines.errors import DataError
from baselines.training.schema import Sweep

T_co = TypeVar("T_co", covariant=True)


class Task(Protocol[T_co]):
    """Something that has been begun elsewhere."""

    def result(self) -> T_co:
        """What came of it, once it is there."""


Submit = Callable[..., Task[Any]]


def require(sweep: Sweep) -> None:
    """Refuse a launcher that cannot be had, before anything is computed for it.

    Raises:
        DataError: there is no SLURM here, or no folder was named that its nodes see.
    """
    if sweep.launcher != "slurm":
        return
    if not sweep.shared_folder:
        raise DataError("sweep=slurm needs sweep.shared_folder=DIR, which every node sees under this path.")
    if not shutil.which("sbatch"):
        raise DataError("There is no sbatch here: sweep=slurm is started where SLURM's commands are.")
    try:
        import dask_jobqueue  # noqa: F401 - it is there, then
    except ImportError as error:
        raise DataError(f"sweep=slurm needs dask-jobqueue: pip install '.[cluster]' ({error})") from error


@contextmanager
def launched(sweep: Sweep) -> Iterator[Submit]:
    """What is given a function and its arguments, and begins it elsewhere.

    Raises:
        DataError: SLURM refuses such jobs, or as `require` does.
    """
    require(sweep)
    if sweep.launcher == "slurm":
        with _slurm(sweep) as submit:
            yield submit
    else:
        own = (_end_with_parent, (os.getpid(),))
        with ProcessPoolExecutor(sweep.jobs, multiprocessing.get_context("spawn"), *own) as pool:
            yield pool.submit


def _end_with_parent(parent: int) -> None:
    """Have a process of the pool end when the one that started it is gone: it would wait for work for ever."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(1)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


@contextmanager
def _slurm(sweep: Sweep) -> Iterator[Submit]:
    from dask_jobqueue import SLURMCluster
    from distributed import Client

    shared = Path(sweep.shared_folder or "").resolve()
    shared.mkdir(parents=True, exist_ok=True)
    with SLURMCluster(
        queue=sweep.partition,
        walltime=sweep.walltime,
        cores=1,
        processes=1,
        job_cpu=sweep.cpus,
        memory=f"{sweep.memory_gb}GiB",
        python=sys.executable,
        job_extra_directives=list(sweep.directives),
        log_directory=str(shared / "logs"),
        shared_temp_directory=str(shared),
        scheduler_options={"dashboard_address": "127.0.0.1:0"},
        security=True,
        protocol="tls://",
        silence_logs="critical",
    ) as cluster:
        script = cluster.job_script()
        tried = subprocess.run(["sbatch", "--test-only"], input=script, capture_output=True, text=True, check=False)
        if tried.returncode:
            raise DataError(f"SLURM refuses such jobs: {tried.stderr.strip()[:300]}")
        cluster.scale(jobs=sweep.jobs)
        with Client(cluster) as client:
            yield lambda run, *arguments: client.submit(run, *arguments, pure=False, retries=2)
