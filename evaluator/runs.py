"""Two ways to run a task: in the sandbox, or, for our own reference models on a machine without an engine, plainly.

A task goes out with sequences only, never a label; what comes back is a checked table or the submission's fault.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import docker
import docker.errors
import docker.models.images
import requests.exceptions
import yaml

from evaluator import containers, gpus, images, predictions, sandbox
from evaluator.audit import audit
from evaluator.errors import EngineError, EvaluatorError, SubmissionError
from evaluator.executors import Slots
from evaluator.images import Image
from evaluator.plan import Sandbox, Task
from evaluator.predictions import Predictions
from evaluator.results import Hardware, Lock, Results
from evaluator.sandbox import GIB, Cancelled, Device, Limits, Run
from evaluator.settings import Settings
from evaluator.state import State
from evaluator.submission import Submission
from evaluator.tracks import BlindedInput

RETRY_AFTER = (2.0, 5.0, 15.0)
KEEP_FREE = GIB
"""Memory of the machine that no run is promised."""

RunOnce = Callable[[BlindedInput], Run]


@dataclass(frozen=True)
class Finished:
    """What came of a task: `table` or `failure`, what the first run took and said, and the audit's flags."""

    seed: int
    run: Run
    table: Predictions | None = None
    failure: SubmissionError | None = None
    flags: tuple[str, ...] = ()
    image_bytes: int | None = None


def run_and_audit(task: Task, run: RunOnce, *, image_bytes: int | None = None) -> Finished:
    """One run on all rows, its output checked; if all is well, the consistency audit."""
    seed = secrets.randbits(64)
    given = task.data.blinded(seed)
    first = run(given)

    def output_of(done: Run) -> bytes:
        if done.failure:
            raise done.failure
        assert done.output is not None
        return done.output

    try:
        table = predictions.read(output_of(first), given.ids, task.track.task)
    except SubmissionError as error:
        return Finished(seed, first, failure=error, image_bytes=image_bytes)
    flags = audit(task.data, table, lambda again: output_of(run(again)), seed)
    return Finished(seed, first, table, flags=flags, image_bytes=image_bytes)


class SandboxedRuns:
    """Runs tasks in the local Docker engine.

    Raises:
        EngineError: on construction, where no engine answers.
    """

    kind: Sandbox = "docker"

    def __init__(self, settings: Settings, state: State, results: Results, runtime: str | None = None) -> None:
        self.settings = settings
        self.state = state
        self.results = results
        self.runtime = runtime
        self.engine = images.connect()
        self.stop = threading.Event()
        info: dict[str, Any] = self.engine.info()
        self.cpus = int(info["NCPU"])
        self.memory = int(info["MemTotal"])
        self.gpus = gpus.present()
        self._local: dict[str, Image] = {}
        self._room = threading.Lock()
        self._spare: list[str] = []

    def slots(self, jobs: int) -> Slots:
        """What this machine can give at a time."""
        return Slots(jobs, self.memory - KEEP_FREE, len(self.gpus))

    def reap(self, *, mine: bool = False) -> int:
        """Remove what killed runs of this machine have left."""
        return containers.reap(self.engine, mine=mine)

    def resolve(self, submission: Submission, *, lock: bool = True) -> Image:
        """The exact image of a submission: as locked, else resolved now and locked.

        Args:
            lock: write down what a tag was resolved to.
        """
        reference = images.parse(submission.docker_image)
        images.require_allowed(reference, self.settings)
        if reference.local:
            name = str(reference)
            if name not in self._local:
                self._local[name] = images.local_image(name, self.engine)
            return self._local[name]
        locked = self.results.lock(submission.id, submission.docker_image)
        if locked is None:
            image = images.resolve(reference, self.settings, self.engine)
            locked = Lock(reference=submission.docker_image, digest=image.digest, pull=image.pull)
            if lock:
                self.results.put_lock(submission.id, locked)
        return Image(locked.reference, locked.digest, locked.pull)

    def spare(self, image: Image) -> None:
        """Nothing of this round needs an image any more: it goes when room is needed, at the latest at the end.

        It is not removed at once, since the next entry may be built on the same layers.
        """
        if image.pull:
            with self._room:
                self._spare.append(image.pull)

    def clear(self) -> int:
        """Remove every image that was pulled for this round, or for an earlier one that was cut short; bytes freed."""
        with self._room:
            before = images.free_bytes(self.engine)
            for name in self.state.pulled():
                if images.discard(name, self.engine):
                    self.state.forget_pulled(name)
            self._spare.clear()
            return max(images.free_bytes(self.engine) - before, 0)

    def _make_room(self, image: Image) -> None:
        """Before a pull: give up spare images, oldest first, until the reserve is free.

        Raises:
            EvaluatorError: there is nothing left to give up.
        """
        if image.pull is None:
            return
        reserve = self.settings.keep_free_gb * 1e9
        with self._room:
            while images.free_bytes(self.engine) < reserve and self._spare:
                name = self._spare.pop(0)
                if images.discard(name, self.engine):
                    self.state.forget_pulled(name)
            self.state.note_pulled(image.pull)
        if images.free_bytes(self.engine) < reserve:
            raise EvaluatorError(
                f"Less than {self.settings.keep_free_gb:g} GB of disk are free for images.",
                "Free some, or lower keep_free_gb in [tool.apb].",
            )

    def run(self, task: Task) -> Finished:
        """Run a task; a fault of the engine or a registry is tried again, and is never the submission's.

        Raises:
            EvaluatorError: after several tries, or where this machine is not fit for the task.
            Cancelled: the round is being stopped.
        """
        self._require_fit(task)
        for pause in (*RETRY_AFTER, None):
            try:
                return self._run(task)
            except EngineError:
                if pause is None:
                    raise
                if self.stop.wait(pause):
                    raise Cancelled from None
        raise AssertionError("unreachable")

    def _require_fit(self, task: Task) -> None:
        if task.memory > self.memory:
            raise EvaluatorError(
                f"{task.name} needs {task.memory / GIB:.1f} GiB of memory, this machine has {self.memory / GIB:.1f}.",
                "Use a larger machine, or lower max_memory_gb in [tool.apb].",
            )
        if task.gpus and not self.gpus:
            raise EvaluatorError(f"{task.name} needs a GPU, and this machine has none.", "Use a machine with a GPU.")

    def _run(self, task: Task) -> Finished:
        if not images.present(task.image, self.engine):
            self._make_room(task.image)
        try:
            image = images.ensure(task.image, self.settings, self.engine)
        except SubmissionError as error:
            return Finished(0, Run(), failure=error)
        size = int(image.attrs["Size"])
        limits = replace(task.limits, cpus=min(task.limits.cpus, self.cpus))
        if not task.gpus:
            return run_and_audit(task, self._once(task, image, limits, Device(None, self.runtime)), image_bytes=size)
        with gpus.one_of(self.gpus, self.stop) as uuid:
            if uuid is None:
                raise Cancelled
            return run_and_audit(task, self._once(task, image, limits, Device(uuid, self.runtime)), image_bytes=size)

    def _once(self, task: Task, image: docker.models.images.Image, limits: Limits, device: Device) -> RunOnce:
        def once(given: BlindedInput) -> Run:
            with self.state.input_folder(given.csv) as folder:
                return sandbox.run(
                    self.engine, image, folder, limits, environment={"TASK": task.track.task}, device=device,
                    stop=self.stop,
                )  # fmt: skip

        return once

    def alive(self) -> bool:
        """Whether the engine answers."""
        try:
            return bool(self.engine.ping())
        except (docker.errors.DockerException, requests.exceptions.RequestException):
            return False

    def hardware(self) -> Hardware:
        """What the engine's machine is."""
        cpus = min(self.cpus, self.settings.cpus)
        return Hardware(cpu=_cpu_model(), cpus=cpus, memory_gb=round(self.memory / GIB))


class UnsandboxedRuns:
    """Runs reference models, which are our own code, as plain processes; refuses everything else.

    Args:
        contexts: folder with one build context per reference image, as `apb-zoo package --context` lays them out.
    """

    kind: Sandbox = "unsandboxed"

    def __init__(self, contexts: Path, state: State) -> None:
        self.contexts = contexts
        self.state = state
        self.stop = threading.Event()

    def slots(self, jobs: int) -> Slots:
        """Reference models are small."""
        return Slots(jobs, 64 * GIB, 0)

    def reap(self, *, mine: bool = False) -> int:  # noqa: ARG002
        """Nothing outlives this process's children."""
        return 0

    def spare(self, image: Image) -> None:
        """There are no images."""

    def clear(self) -> int:
        """There are no images."""
        return 0

    def resolve(self, submission: Submission, *, lock: bool = True) -> Image:  # noqa: ARG002 - files need no lock
        """The reference model that a submission names; its digest is a hash of its files.

        Raises:
            EvaluatorError: it is not a reference model.
        """
        reference = images.parse(submission.docker_image)
        folder = self._folder(submission)
        config = folder / "config.yaml"
        version = yaml.safe_load(config.read_text()).get("version") if reference.local and config.is_file() else None
        if version is None or str(version) != reference.tag:
            raise EvaluatorError(
                f"{submission.id} is not a reference model, and nothing else is run outside the sandbox.",
                "Run it on a machine with a Docker engine.",
            )
        digest = hashlib.sha256()
        for path in sorted(p for p in folder.rglob("*") if p.is_file()):
            digest.update(path.relative_to(folder).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
        return Image(str(reference), f"sha256:{digest.hexdigest()}", None)

    def _folder(self, submission: Submission) -> Path:
        return self.contexts / images.parse(submission.docker_image).repository.rpartition("/")[2]

    def run(self, task: Task) -> Finished:
        """Run a reference model's predict.py on the container contract, without the container."""
        script = (self._folder(task.submission) / "predict.py").resolve()

        def once(given: BlindedInput) -> Run:
            with self.state.input_folder(given.csv) as data, tempfile.TemporaryDirectory() as scratch:
                output = Path(scratch) / "predictions.csv"
                environment = {
                    "INPUT": str(data / "sequences.csv"), "OUTPUT": str(output), "HOME": scratch,
                    "TASK": task.track.task, "PATH": os.defpath,
                }  # fmt: skip
                begun = time.monotonic()
                try:
                    done = subprocess.run(
                        [sys.executable, "-I", script], cwd=scratch, env=environment, timeout=task.limits.seconds,
                        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=True,
                    )  # fmt: skip
                    return Run(output.read_bytes(), None, time.monotonic() - begun, None, done.stdout)
                except (OSError, subprocess.SubprocessError) as error:
                    raise EvaluatorError(f"The reference model {script} failed: {error}", "Mend the model.") from error

        return run_and_audit(task, once)

    def alive(self) -> bool:
        """There is nothing that could die."""
        return True

    def hardware(self) -> Hardware:
        """What this machine is."""
        return Hardware(cpu=_cpu_model(), cpus=os.cpu_count())


def _cpu_model() -> str | None:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return None
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), None)
