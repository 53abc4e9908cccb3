"""Two ways to run a task: in the sandbox, or, for our own reference models on a machine without an engine, plainly."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import docker
import docker.errors
import requests.exceptions
import yaml

from evaluator import images, sandbox
from evaluator.errors import EngineError, EvaluatorError, SubmissionError
from evaluator.images import Image
from evaluator.plan import Sandbox, Task
from evaluator.results import Hardware, Lock, Results
from evaluator.sandbox import GIB, Cancelled, Run
from evaluator.settings import Settings
from evaluator.state import State
from evaluator.submission import Submission

RETRY_AFTER = (2.0, 5.0, 15.0)


@dataclass(frozen=True)
class Finished:
    """A run, the opaque ids it was given (one per row of the track), and the size of its image."""

    run: Run
    ids: tuple[str, ...]
    seed: int
    image_bytes: int | None = None


class SandboxedRuns:
    """Runs tasks in the local Docker engine.

    Raises:
        EngineError: on construction, where no engine answers.
    """

    kind: Sandbox = "docker"

    def __init__(self, settings: Settings, state: State, results: Results) -> None:
        self.settings = settings
        self.state = state
        self.results = results
        self.engine = images.connect()
        self.stop = threading.Event()
        info: dict[str, Any] = self.engine.info()
        self.cpus = int(info["NCPU"])
        self.memory = int(info["MemTotal"])

    def reap(self) -> int:
        """Remove what killed runs of this machine have left."""
        return sandbox.reap(self.engine)

    def resolve(self, submission: Submission) -> Image:
        """The exact image of a submission: as locked, else resolved now and locked."""
        reference = images.parse(submission.docker_image)
        images.require_allowed(reference, self.settings)
        if reference.local:
            return images.local_image(str(reference), self.engine)
        lock = self.results.lock(submission.id, submission.docker_image)
        if lock is None:
            image = images.resolve(reference, self.settings, self.engine)
            lock = Lock(reference=submission.docker_image, digest=image.digest, pull=image.pull)
            self.results.put_lock(submission.id, lock)
        return Image(lock.reference, lock.digest, lock.pull)

    def run(self, task: Task) -> Finished:
        """Run a task; a fault of the engine or a registry is tried again, and is never the submission's.

        Raises:
            EvaluatorError: after several tries.
            Cancelled: the round is being stopped.
        """
        for pause in (*RETRY_AFTER, None):
            try:
                return self._run(task)
            except EngineError:
                if pause is None:
                    raise
                if self.stop.wait(pause):
                    raise Cancelled from None
        raise AssertionError("unreachable")

    def _run(self, task: Task) -> Finished:
        if task.memory > self.memory:
            raise EvaluatorError(
                f"{task.name} needs {task.memory / GIB:.1f} GiB of memory, this machine has {self.memory / GIB:.1f}.",
                "Use a larger machine, or lower max_memory_gb in [tool.apb].",
            )
        if task.submission.resources.gpu:
            raise EvaluatorError(
                f"{task.name} needs a GPU, and runs with a GPU are not set up here.", "Use a GPU runner."
            )
        seed = int.from_bytes(os.urandom(8))
        given = task.data.blinded(seed)
        try:
            image = images.ensure(task.image, self.settings, self.engine)
        except SubmissionError as error:
            return Finished(Run(failure=error), given.ids, seed)
        with self.state.input_folder(given.csv) as folder:
            limits = replace(task.limits, cpus=min(task.limits.cpus, self.cpus))
            environment: dict[str, str] = {"TASK": task.data.track.task}
            run = sandbox.run(self.engine, image, folder, limits, environment=environment, stop=self.stop)
        return Finished(run, given.ids, seed, image.attrs["Size"])

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
    memory = 64 * GIB

    def __init__(self, contexts: Path, state: State) -> None:
        self.contexts = contexts
        self.state = state
        self.stop = threading.Event()

    def reap(self) -> int:
        """Nothing outlives this process's children."""
        return 0

    def resolve(self, submission: Submission) -> Image:
        """The reference model that a submission names; its digest is a hash of its files.

        Raises:
            EvaluatorError: it is not a reference model.
        """
        reference = images.parse(submission.docker_image)
        folder = self.contexts / reference.repository.rpartition("/")[2]
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

    def run(self, task: Task) -> Finished:
        """Run a reference model's predict.py on the container contract, without the container."""
        seed = int.from_bytes(os.urandom(8))
        given = task.data.blinded(seed)
        script = self.contexts / images.parse(task.submission.docker_image).repository.rpartition("/")[2] / "predict.py"
        with self.state.input_folder(given.csv) as data, tempfile.TemporaryDirectory() as scratch:
            output = Path(scratch) / "predictions.csv"
            environment = {
                "INPUT": str(data / "sequences.csv"), "OUTPUT": str(output), "HOME": scratch,
                "TASK": task.data.track.task, "PATH": os.defpath,
            }  # fmt: skip
            begun = time.monotonic()
            try:
                done = subprocess.run(
                    [sys.executable, "-I", script.resolve()], cwd=scratch, env=environment, timeout=task.limits.seconds,
                    stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=True,
                )  # fmt: skip
            except subprocess.SubprocessError as error:
                raise EvaluatorError(f"The reference model {script} failed: {error}", "Mend the model.") from error
            return Finished(
                Run(output.read_bytes(), None, time.monotonic() - begun, None, done.stdout), given.ids, seed
            )

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
