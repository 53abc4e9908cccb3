"""Other machines in place of this one: a cluster of our own, one that is running, or jobs of a batch system."""

from __future__ import annotations

import math
import os
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import dask.config
from distributed import Client, LocalCluster, Lock, Security

from evaluator.cluster import slurm
from evaluator.cluster.certificates import TLS_FILES, security_of
from evaluator.cluster.executor import LOOK_EVERY, DaskExecutor, quiet
from evaluator.cluster.slurm import Slurm
from evaluator.cluster.worker import CONFIGURATION, Bench, perform
from evaluator.contract.sequences import Sequences
from evaluator.contract.work import Finished, Work
from evaluator.errors import EngineError, EvaluatorError, SubmissionError
from evaluator.rounds.executors import Place
from evaluator.rounds.job import Job, Say
from evaluator.rounds.task import Task
from evaluator.running import containers, images, tars
from evaluator.running.doctor import require_fit
from evaluator.running.engine import connect
from evaluator.running.pinning import Pinning

START_SECONDS = 60.0
NOT_SEEN = ("IMAGE_NOT_FOUND", "IMAGE_NOT_PUBLIC", "IMAGE_INCOMPLETE")
"""What a registry's answer to one machine alone may mean."""
PATIENCE = 300.0
ALONE_SECONDS = 45.0


@dataclass(frozen=True)
class Options:
    """How a round gets its workers: by one of the first three.

    Attributes:
        workers: processes of a cluster of our own on this machine.
        scheduler: address of a running cluster.
        slurm: jobs of a batch system.
        tls: folder with the certificates of the running cluster.
        insecure: a running cluster may do without.
        images: folder that all machines see, for tars of the benchmark's own images.
        patience: seconds to wait for a worker where there is none; None for five minutes, with SLURM for ever.
    """

    workers: int = 0
    scheduler: str = ""
    slurm: Slurm | None = None
    tls: Path | None = None
    insecure: bool = False
    images: Path | None = None
    patience: float | None = None


class Fleet:
    """Machinery elsewhere.

    Raises:
        UsageError: a running cluster would be spoken to without encryption.
    """

    def __init__(self, job: Job, options: Options) -> None:
        self._job = job
        self._options = options
        self._settings = job.repository.settings
        self.resolver = Pinning(self._settings, job.results)
        self._security = Security()
        if options.scheduler:
            self._security = security_of(options.tls, options.scheduler, insecure=options.insecure)
            self.where = f"the workers of {options.scheduler}"
        elif options.slurm:
            self.where = f"up to {options.slurm.jobs} jobs of SLURM"
        else:
            self.where = f"{options.workers} workers on this machine"

    def require_fit(self) -> None:
        """Of this machine, where it works itself; others are looked at by `apb worker`."""
        if self._options.workers:
            require_fit(self._job.runtime)

    def reap(self) -> int:
        """What killed runs have left on this machine, if it has an engine."""
        with suppress(EngineError):
            return containers.reap(connect())
        return 0

    def confirmed(self, task: Task, finished: Finished) -> Finished | EvaluatorError:
        """A registry that refuses one worker, behind whatever proxy, says nothing of an image that we can see."""
        failure, pull = finished.failure, task.image.pull
        if failure is None or pull is None or failure.code not in NOT_SEEN:
            return finished
        try:
            images.require_there(pull, self._settings)
        except SubmissionError:
            return finished
        except EvaluatorError as error:
            return error
        return EvaluatorError(f"{finished.host} cannot get an image that is there: {failure}", "See to that machine.")

    def alive(self) -> bool:
        """The engine itself notices when all are gone."""
        return True

    def clear(self, say: Say) -> int:  # noqa: ARG002
        """Workers clear up after themselves; what a killed one has left here goes now."""
        self.reap()
        return 0

    @contextmanager
    def executor(self, due: Sequence[Task], say: Say) -> Iterator[DaskExecutor[Task, Work, Finished]]:
        """The workers, equipped with what the runs that are due are given, and with no label of what they ask for.

        Raises:
            EvaluatorError: they do not come.
        """
        self._save_images(due, say)
        label = f"{socket.gethostname()}-{secrets.token_hex(4)}"
        quiet()
        with ThreadPoolExecutor(max_workers=1) as beside, dask.config.set(CONFIGURATION):
            sequences = beside.submit(sequences_of, due)  # parsed while the workers start
            with self._client(sum(task.track.shards for task in due)) as (client, prospects):
                bench = Bench(label, self._settings, sequences.result(), self._job.runtime)
                executor: DaskExecutor[Task, Work, Finished] = DaskExecutor(
                    client, perform, Task.work, equipment=bench, prospects=prospects, patience=self._patience()
                )
                try:
                    say(f"round {label} on {self.where}")
                    while not executor.places():
                        executor.prospects()
                        time.sleep(LOOK_EVERY)
                    yield executor
                finally:
                    executor.stop()  # also where no task was ever begun

    def _patience(self) -> float:
        if self._options.patience is not None:
            return self._options.patience
        return math.inf if self._options.slurm else PATIENCE

    def _save_images(self, due: Sequence[Task], say: Say) -> None:
        folder = self._options.images or (self._options.slurm.shared_folder / "images" if self._options.slurm else None)
        own = {task.image for task in due if task.image.pull is None}
        if own and self._options.scheduler and not folder:
            say(
                f"{len(own)} of our own images: workers must have them already, since --images names no folder for them"
            )
        if folder and own:
            engine = connect()
            for image in own:
                tars.save(image, folder, engine)

    @contextmanager
    def _client(self, due: int) -> Iterator[tuple[Client, Callable[[], Collection[Place]]]]:
        options = self._options
        if options.scheduler:
            with _connected(options.scheduler, self._security) as client, _alone(client):
                yield client, tuple
        elif options.slurm:
            with (
                slurm.cluster(options.slurm, min(options.slurm.jobs, due)) as (cluster, jobs),
                Client(cluster, direct_to_workers=True) as client,
            ):
                try:
                    yield client, jobs.prospects
                finally:
                    with suppress(Exception):  # jobs that are gone cannot be told; SLURM ends the others
                        client.retire_workers()
        else:
            with own_cluster(self._job.state.folder, options.workers) as (client, prospects):
                yield client, prospects


def sequences_of(due: Sequence[Task]) -> dict[str, Sequences]:
    """All that workers are told of the tracks of these tasks, by the name that their work has for it."""
    return {task.work().sequences: task.sequences for task in due}


@contextmanager
def own_cluster(folder: Path, workers: int) -> Iterator[tuple[Client, Callable[[], Collection[Place]]]]:
    """A scheduler in this process, and workers as processes of this machine; only they have its certificate.

    What it gives beside the client is to be called now and then: it raises EvaluatorError where the workers have ended.

    Args:
        folder: private; for certificates, inputs of runs, and the workers' log.

    Raises:
        EvaluatorError: the workers do not start.
    """
    certificates, log = Security.temporary(), folder / "workers.log"
    private = Path(tempfile.mkdtemp(dir=folder, prefix="tls-"))
    contents = (certificates.tls_ca_file, certificates.tls_worker_cert, certificates.tls_worker_key)
    try:
        for name, content in zip(TLS_FILES, contents, strict=True):
            with os.fdopen(os.open(private / name, os.O_WRONLY | os.O_CREAT, 0o600), "w") as file:
                file.write(str(content))
        with LocalCluster(
            n_workers=0,
            protocol="tls://",
            host="127.0.0.1",
            security=certificates,
            silence_logs="CRITICAL",
            dashboard_address="127.0.0.1:0",
            scheduler_port=0,
        ) as cluster:
            command = [
                sys.executable,
                "-m",
                "evaluator",
                "worker",
                cluster.scheduler_address,
                "--tls",
                str(private),
                "--slots",
                str(workers),
                "--once",
                "--state",
                str(folder / "workers"),
            ]
            with _started(command, log) as process, Client(cluster, direct_to_workers=True) as client:
                _wait_for(client, workers, process, log)

                def prospects() -> Collection[Place]:
                    if process.poll() is not None:
                        raise EvaluatorError("The process of the workers has ended.", f"Look at {log}.")
                    return ()

                yield client, prospects
    finally:
        shutil.rmtree(private, ignore_errors=True)


@contextmanager
def _connected(address: str, certificates: Security) -> Iterator[Client]:
    try:
        client = Client(address, security=certificates, timeout=20)
    except (OSError, TimeoutError) as error:
        raise EvaluatorError(
            f"No scheduler answers at {address}: {error}", "Start it, and see that it uses the same certificates."
        ) from error
    with client:
        yield client


@contextmanager
def _alone(client: Client) -> Iterator[None]:
    """One round at a time on a cluster: two would each count on the same memory."""
    lock = Lock("apb-round")
    if not lock.acquire(timeout=ALONE_SECONDS):  # the lock of a round that was killed is free after half a minute
        raise EvaluatorError("Another round is using this scheduler.", "Wait for it, or start a scheduler of your own.")
    try:
        yield
    finally:
        if client.status == "running":  # one that is gone would be waited for
            lock.release()


@contextmanager
def _started(command: Sequence[str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A process of its own session: Ctrl-C is for this one, which ends the other in its own time."""
    with log.open("wb") as stream:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=stream, stderr=stream, start_new_session=True
        )
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait_for(client: Client, workers: int, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while len(client.scheduler_info(n_workers=-1)["workers"]) < workers:
        if process.poll() is not None or time.monotonic() > deadline:
            tail = " ".join(log.read_text(errors="replace").splitlines()[-3:])
            raise EvaluatorError(f"The workers did not start: {tail}", f"Look at {log}.")
        time.sleep(0.1)
