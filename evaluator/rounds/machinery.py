"""What runs the images of a round: this machine here, others elsewhere (`fleet`)."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol

from evaluator.contract.sequences import Sequences
from evaluator.contract.work import Finished, Work
from evaluator.errors import EngineError, EvaluatorError
from evaluator.rounds.executors import Executor, LocalExecutor
from evaluator.rounds.job import Job, Say
from evaluator.rounds.plan import Resolver
from evaluator.rounds.task import Task
from evaluator.running.pinning import Pinning
from evaluator.running.runs import SandboxedRuns
from evaluator.running.unsandboxed import UnsandboxedRuns


class Machinery(Protocol):
    """Where the runs of a round take place."""

    @property
    def where(self) -> str:
        """For people."""

    @property
    def resolver(self) -> Resolver:
        """Knows the exact image of a submission."""

    def require_fit(self) -> None:
        """Refuse machines that would not contain strangers' images.

        Raises:
            EvaluatorError: with everything that is wrong.
        """

    def reap(self) -> int:
        """Remove what killed runs have left here; how many containers and volumes."""

    def executor(self, due: Sequence[Task], say: Say) -> AbstractContextManager[Executor[Task, Finished]]:
        """What runs these tasks, as long as the block lasts."""

    def confirmed(self, task: Task, finished: Finished) -> Finished | EvaluatorError:
        """What a run says of its submission, or whose fault it is if that cannot be so."""

    def alive(self) -> bool:
        """Whether it makes sense to go on."""

    def clear(self, say: Say) -> int:
        """Remove containers and images that are not needed any more; bytes freed."""


class Runs(Protocol):
    """How this machine runs images."""

    stop: threading.Event
    """Set when all runs are to end."""

    @property
    def memory(self) -> int:
        """Bytes that all runs together may use."""

    @property
    def gpus(self) -> tuple[str, ...]:
        """UUIDs of those that runs may use."""

    def require_fit(self) -> None:
        """Refuse a machine that would not contain strangers' images.

        Raises:
            EvaluatorError: with everything that is wrong.
        """

    def reap(self, *, mine: bool = False) -> int:
        """Remove what killed runs have left; with `mine` also what this process has."""

    def clear(self) -> int:
        """Remove images that were pulled; bytes freed."""

    def run(self, work: Work, sequences: Sequences) -> Finished:
        """Do it.

        Raises:
            EvaluatorError: it cannot be done here, which is not the submission's fault.
        """

    def alive(self) -> bool:
        """Whether it makes sense to go on."""


class Here:
    """This machine.

    Args:
        jobs: runs at a time.
    """

    def __init__(self, job: Job, jobs: int) -> None:
        settings = job.repository.settings
        self.where = "plain processes" if job.unsandboxed else f"the local engine, {jobs} at a time"
        self._jobs = jobs
        self._runs: Runs
        self.resolver: Resolver
        if job.unsandboxed:
            self._runs = self.resolver = UnsandboxedRuns(job.unsandboxed, job.scratch)
        else:
            self._runs = SandboxedRuns(settings, job.scratch, job.runtime)
            self.resolver = Pinning(settings, job.results)

    def require_fit(self) -> None:
        """Of what runs the images here."""
        self._runs.require_fit()

    def reap(self) -> int:
        """What killed runs of this machine have left."""
        return self._runs.reap()

    @contextmanager
    def executor(self, due: Sequence[Task], say: Say) -> Iterator[Executor[Task, Finished]]:  # noqa: ARG002
        """Threads, one a run."""
        runs = self._runs

        def run(task: Task) -> Finished:
            return runs.run(task.work(), task.sequences)

        yield LocalExecutor(run, jobs=self._jobs, memory=runs.memory, gpus=len(runs.gpus), halt=runs.stop)

    def confirmed(self, task: Task, finished: Finished) -> Finished | EvaluatorError:  # noqa: ARG002
        """What this machine has seen is so."""
        return finished

    def alive(self) -> bool:
        """Whether the engine answers."""
        return self._runs.alive()

    def clear(self, say: Say) -> int:
        """What a failing engine keeps is left to the next round."""
        try:
            self._runs.reap(mine=True)
            return self._runs.clear()
        except EngineError as error:
            say(str(error))
            return 0
