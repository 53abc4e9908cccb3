"""How a machine runs a task in its Docker engine.

A task goes out with sequences only, never a label; what comes back is a checked table or the submission's fault.
"""

from __future__ import annotations

import socket
import threading
import time
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import docker
import docker.errors
import docker.models.images

from evaluator.contract.sequences import BlindedInput, Sequences
from evaluator.contract.work import GIB, NOTHING_RAN, Finished, Hardware, Run, Work
from evaluator.errors import EngineError, MachineError, SubmissionError
from evaluator.running import containers, hardware, images, tars
from evaluator.running.audit import run_and_audit
from evaluator.running.doctor import require_fit
from evaluator.running.engine import ENGINE_FAULTS, connect
from evaluator.running.hardware import cpu_model
from evaluator.running.ready import Ready
from evaluator.running.sandbox import Cancelled, Device
from evaluator.running.scratch import Scratch
from evaluator.settings import Settings

RETRY_AFTER = (2.0, 5.0, 15.0)
CLOSE_SECONDS = 4.0


@dataclass(frozen=True)
class Grant:
    """What of its machine a worker may use; None for all that there is.

    Attributes:
        tars: folder with the benchmark's own images as `<hex of the image's id>.tar`, for machines without them.
    """

    memory: int | None = None
    cpus: float | None = None
    tars: Path | None = None


class SandboxedRuns:
    """Runs tasks in the local Docker engine.

    Raises:
        EngineError: on construction, where no engine answers.
    """

    def __init__(
        self,
        settings: Settings,
        scratch: Scratch,
        runtime: str | None = None,
        *,
        label: str = "",
        grant: Grant = Grant(),
    ) -> None:
        self.settings = settings
        self.scratch = scratch
        self.runtime = runtime
        self.label = label
        self.engine = connect()
        self.stop = threading.Event()
        self.tars = grant.tars
        info: dict[str, Any] = self.engine.info()
        self.cpus = min(float(info["NCPU"]), grant.cpus or float(info["NCPU"]))
        self.memory = min(int(info["MemTotal"]), grant.memory or int(info["MemTotal"]))
        self.gpus = hardware.granted()
        self._room = threading.Lock()
        self._going: set[Work] = set()

    def require_fit(self) -> None:
        """Refuse a machine that would not contain strangers' images.

        Raises:
            EvaluatorError: with everything that is wrong.
        """
        require_fit(self.runtime)

    def reap(self, *, mine: bool = False) -> int:
        """Remove what killed runs of this machine have left."""
        return containers.reap(self.engine, mine=mine)

    def clear(self) -> int:
        """Remove every image that was pulled for a round and that nobody is using; bytes freed."""
        with self._room:
            pulled = self.scratch.pulled()
            before = images.free_bytes(self.engine) if pulled else 0
            for name in pulled:
                self.scratch.give_up(name, self._discard)
            return max(images.free_bytes(self.engine) - before, 0) if pulled else 0

    def _discard(self, name: str) -> bool:
        return images.discard(name, self.engine)

    def _make_room(self) -> None:
        """Before a pull: give up images that nobody is using, longest unused first, until the reserve is free.

        Raises:
            MachineError: there is nothing left to give up.
        """
        reserve = self.settings.keep_free_gb * 1e9
        with self._room:
            for name in self.scratch.pulled():
                if images.free_bytes(self.engine) >= reserve:
                    return
                self.scratch.give_up(name, self._discard)
            if images.free_bytes(self.engine) < reserve:
                raise MachineError(
                    f"Less than {self.settings.keep_free_gb:g} GB of disk are free for images.",
                    "Free some, or lower keep_free_gb in [tool.apb].",
                )

    def run(self, work: Work, sequences: Sequences) -> Finished:
        """Do it; a fault of the engine or a registry is tried again, and is never the submission's.

        Args:
            sequences: the rows that it is about.

        Raises:
            EvaluatorError: after several tries, or where this machine is not fit for it.
            Cancelled: the round is being stopped.
        """
        self._going.add(work)
        try:
            for pause in (*RETRY_AFTER, None):
                try:
                    with containers.labelled(run=self.label, task=work.name):
                        return self._run(work, sequences)
                except EngineError:
                    if pause is None:
                        raise
                    if self.stop.wait(pause):
                        raise Cancelled from None
            raise AssertionError("unreachable")
        finally:
            self._going.discard(work)

    def _run(self, work: Work, sequences: Sequences) -> Finished:
        with ExitStack() as held:
            if work.image.pull is not None:
                held.enter_context(self.scratch.using(work.image.pull))
            try:
                ready = Ready(self.engine, self._image(work), self.scratch)
            except SubmissionError as error:
                return replace(NOTHING_RAN, failure=error, host=socket.gethostname())
            uuid = held.enter_context(hardware.one_of(self.gpus, self.stop)) if work.gpu else None
            if work.gpu and uuid is None:
                raise Cancelled
            limits = replace(work.limits, cpus=min(work.limits.cpus, self.cpus))

            def once(given: BlindedInput) -> Run:
                device = Device(uuid, self.runtime)
                return ready.run(given, limits, task=sequences.task, device=device, stop=self.stop)

            return run_and_audit(sequences, once, image_bytes=ready.size, hardware=self.hardware())

    def _image(self, work: Work) -> docker.models.images.Image:
        """The image, brought here if need be; one at a time, since a pull is judged by how the disk fills meanwhile."""
        if not images.present(work.image, self.engine):
            with self.scratch.fetching(self.stop) as allowed:
                if not allowed:
                    raise Cancelled
                if work.image.pull is not None:
                    self._make_room()
                elif self.tars:
                    tars.load(work.image, self.tars, self.engine)
                return images.ensure(work.image, self.settings, self.engine)
        return images.ensure(work.image, self.settings, self.engine)

    def close(self) -> None:
        """End what is running, wait for that, and leave neither a container nor an image that was pulled."""
        self.stop.set()
        deadline = time.monotonic() + CLOSE_SECONDS
        while self._going and time.monotonic() < deadline:
            time.sleep(0.05)
        with suppress(EngineError):
            self.reap(mine=True)
            self.clear()

    def alive(self) -> bool:
        """Whether the engine answers."""
        try:
            return bool(self.engine.ping())
        except ENGINE_FAULTS:
            return False

    def hardware(self) -> Hardware:
        """What the engine's machine is."""
        cpus = min(self.cpus, self.settings.cpus)
        return Hardware(cpu=cpu_model(), cpus=cpus, memory_gb=round(self.memory / GIB))
