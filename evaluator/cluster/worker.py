"""A machine that works for a round elsewhere: a Dask worker, and what a round equips it with.

A worker is given images and what runs see, never a label of what is asked for. It pulls by digest within the limits
of the maintainer's own machine, and none of its containers outlives its task: they end when the worker is told to stop,
is terminated, or loses its scheduler; what a killed one leaves is removed by the one that follows it.
"""

from __future__ import annotations

import asyncio
import math
import os
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dask.config
import distributed
from distributed import Nanny, Security, Worker, get_worker
from distributed.diagnostics.plugin import WorkerPlugin

from evaluator.cluster.executor import PLUGIN
from evaluator.contract.sequences import Sequences, rows_of
from evaluator.contract.work import GIB, Finished, Work
from evaluator.errors import EngineError, EvaluatorError, MachineError
from evaluator.rounds.executors import LostError
from evaluator.running import containers, hardware
from evaluator.running.engine import connect
from evaluator.running.runs import Grant, SandboxedRuns
from evaluator.running.sandbox import Cancelled
from evaluator.running.scratch import Scratch
from evaluator.settings import Settings, software_version

STATE, TARS, CPUS, MEMORY = "APB_WORKER_STATE", "APB_WORKER_IMAGES", "APB_WORKER_CPUS", "APB_WORKER_MEMORY"
CLOSE_SECONDS = 20.0
RECONNECT_SECONDS = 5.0
CONFIGURATION: dict[str, Any] = {
    # Dask's own web pages name tasks to whoever asks.
    "distributed.scheduler.http.routes": [],
    "distributed.worker.http.routes": [],
    # The work is done in containers: a worker has nothing to profile, nothing to steal, and no data to move.
    "distributed.worker.profile.enabled": False,
    "distributed.scheduler.work-stealing": False,
    "distributed.scheduler.active-memory-manager.start": False,
}
"""Of Dask, in the head and in workers."""


class Bench(WorkerPlugin):
    """What a round equips every worker with, also those that join later.

    Args:
        label: the round's name, on every container.
        sequences: of each track that is run, by their sha256.
        runtime: an OCI runtime of the workers' engines.
    """

    name = PLUGIN

    def __init__(
        self, label: str, settings: Settings, sequences: Mapping[str, Sequences], runtime: str | None = None
    ) -> None:
        self._label = label
        self._settings = settings
        self._sequences = dict(sequences)
        self._runtime = runtime
        self._runs: SandboxedRuns | None = None
        self._fault = "it has left the round"
        self._versions = versions()

    def setup(self, worker: Worker) -> None:  # noqa: ARG002
        """Connect to this machine's engine, and remove what was left in it."""
        # Whoever stops the machine tells the process above as well, which ends this one in order.
        with suppress(ValueError):  # only the main thread may say so, and in a process of ours it is this one
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
        try:
            if self._versions != versions():
                raise EvaluatorError(f"it has {versions()}, the head has {self._versions}")
            self._runs = self._connected()
        except Exception as error:  # noqa: BLE001 - raised here, one bad machine would end the round for all
            self._fault = f"{type(error).__name__}: {error}"

    def _connected(self) -> SandboxedRuns:
        scratch = Scratch(Path(os.environ[STATE]))
        grant = Grant(
            memory=int(os.environ[MEMORY]),
            cpus=float(os.environ[CPUS]),
            tars=Path(os.environ[TARS]) if os.environ.get(TARS) else None,
        )
        runs = SandboxedRuns(self._settings, scratch, self._runtime, label=self._label, grant=grant)
        scratch.sweep()
        runs.reap()
        return runs

    def teardown(self, worker: Worker) -> None:  # noqa: ARG002
        """End what is running, and leave nothing: no container, no image, no sequence."""
        runs, self._runs = self._runs, None
        self._sequences.clear()
        if runs is not None:
            runs.close()

    def perform(self, work: Work) -> Finished:
        """Do it.

        Raises:
            EvaluatorError: it cannot be done here.
            LostError: this worker is of no more use to the round.
        """
        runs, sequences = self._runs, self._sequences.get(work.sequences)
        if runs is None or sequences is None:
            raise LostError(self._fault)
        try:
            runs.reap()  # a worker of this machine may have been killed with all that looked after it
            return runs.run(work, rows_of(sequences, work.rows))
        except Cancelled:
            raise LostError("it was stopped") from None
        except EngineError as error:
            if runs.alive():
                raise
            raise LostError(f"its Docker engine does not answer: {error}") from error
        except (MachineError, OSError) as error:  # such as a full disk
            raise LostError(f"it is not fit: {error}") from error


def versions() -> str:
    """What must be the same on all machines, since they exchange Python objects."""
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    return f"benchmark {software_version()}, Python {python}, distributed {distributed.__version__}"


def perform(work: Work) -> Finished:
    """What a worker does with a task; see `Bench.perform`."""
    bench = get_worker().plugins.get(PLUGIN)
    if not isinstance(bench, Bench):
        raise LostError("it has left the round")
    return bench.perform(work)


@dataclass(frozen=True)
class Station:
    """One machine's offer of work, as `apb worker` makes it.

    Attributes:
        address: of the scheduler.
        security: certificates for it.
        slots: tasks at a time, each in a process of its own.
        state: folder on a local disk, for inputs of runs and notes of what was pulled.
        memory_gb: that all tasks together may use; None for all that the machine has.
        cpus: cores that a task may use; None for all.
        gpus: how many of them tasks may use; None for all.
        tars: folder with tars of the benchmark's own images.
        name: by which the cluster knows it; default the host's, with the process.
        once: end when the scheduler has gone, or does not answer for so many seconds; None to wait for it for ever.
        until: when the machine will be taken away, in seconds of `time.time`.
        host: address by which others reach this machine; None to find out.
        ports: `FIRST:LAST`, where others reach it; None for any.
    """

    address: str
    security: Security
    slots: int
    state: Path
    memory_gb: float | None = None
    cpus: float | None = None
    gpus: int | None = None
    tars: Path | None = None
    name: str | None = None
    once: float | None = None
    until: float | None = None
    host: str | None = None
    ports: str | None = None


def default_state() -> Path:
    """Where a worker keeps inputs of runs: on a local disk, since the engine must be able to mount it.

    Raises:
        EvaluatorError: somebody else has made that folder.
    """
    folder = Path(tempfile.gettempdir()) / f"apb-worker-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    if folder.is_symlink() or folder.stat().st_uid != os.getuid():
        raise EvaluatorError(f"{folder} belongs to somebody else.", "Name another folder with --state.")
    folder.chmod(0o700)
    return folder


def serve(station: Station, say: Callable[[str], None]) -> bool:
    """Work until told to stop; whether the scheduler was ever reached.

    Args:
        say: told when the scheduler is reached, and why not.

    Raises:
        EngineError: no engine answers here.
    """
    engine = connect()
    info = engine.info()
    memory = int(min(info["MemTotal"], math.inf if station.memory_gb is None else station.memory_gb * GIB))
    granted = hardware.granted()[: station.gpus]
    resources: dict[str, float] = {"MEMORY": memory, "GPU": len(granted)}
    if station.until is not None:
        resources["UNTIL"] = station.until
    # What a round brings along is unpacked in the process that works, which knows nothing but its environment.
    environment = {
        STATE: str(station.state),
        TARS: str(station.tars or ""),
        CPUS: str(station.cpus or info["NCPU"]),
        MEMORY: str(memory),
        "CUDA_VISIBLE_DEVICES": ",".join(granted),
    }
    try:
        with dask.config.set({**CONFIGURATION, "distributed.comm.timeouts.connect": "10s"}):
            return asyncio.run(_serve(station, resources, environment, say))
    finally:
        containers.reap(engine)


async def _serve(
    station: Station, resources: dict[str, float], environment: dict[str, str], say: Callable[[str], None]
) -> bool:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    pool = station.name or f"{os.uname().nodename}-{os.getpid()}"
    names = [pool] if station.slots == 1 else [f"{pool}:{k}" for k in range(station.slots)]
    served = await asyncio.gather(*(_slot(station, name, resources, environment, stop, say) for name in names))
    return any(served)


async def _slot(
    station: Station,
    name: str,
    resources: dict[str, float],
    environment: dict[str, str],
    stop: asyncio.Event,
    say: Callable[[str], None],
) -> bool:
    """One process that works, started again when it dies and when the scheduler comes back."""
    reached, silent_since, said = False, time.monotonic(), ""
    while not stop.is_set():
        try:
            nanny = Nanny(
                station.address,
                nthreads=1,
                name=name,
                security=station.security,
                resources=resources,
                memory_limit=0,
                env=environment,
                dashboard_address="127.0.0.1:0",
                death_timeout=station.once,
                local_directory=str(station.state / "dask"),
                silence_logs="ERROR",
                host=station.host,
                port=station.ports,
                worker_port=station.ports,
            )
            async with nanny:
                reached, said = True, ""
                say(f"{name} works for {station.address}")
                ended, told = asyncio.create_task(nanny.finished()), asyncio.create_task(stop.wait())
                await asyncio.wait([ended, told], return_when=asyncio.FIRST_COMPLETED)
                told.cancel()
                await nanny.close(timeout=CLOSE_SECONDS)
            silent_since = time.monotonic()
        except (OSError, TimeoutError, RuntimeError) as error:
            cause = error.__cause__ or error
            if said != (said := f"{type(cause).__name__}: {cause}"):
                say(f"no scheduler at {station.address} ({said}): is it up, its port open, its certificate the same?")
        if station.once is not None and (reached or time.monotonic() - silent_since > station.once):
            return reached
        with suppress(TimeoutError, asyncio.TimeoutError):
            await asyncio.wait_for(stop.wait(), RECONNECT_SECONDS)
    return reached
