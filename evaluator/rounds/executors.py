"""Where tasks run: one loop, and executors that offer it places to run them at.

An executor runs one task at a time in each of its places. The loop decides which task goes where, so that no machine is
promised more than it has, and what becomes of a task whose place is lost: it goes elsewhere, at most twice. Whatever
else comes of a task is its outcome and is handed over as it comes; nothing is ever handed over twice.
"""

from __future__ import annotations

import math
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Generator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from typing import Generic, NamedTuple, Protocol, TypeVar

from evaluator.errors import EvaluatorError

RETRIES = 2
GIB = 1024**3
KEEP_FREE = GIB
"""Memory of a machine that is promised to nobody, unless one task has the machine for itself."""


class HasNeeds(Protocol):
    """What the loop must know of a task."""

    @property
    def name(self) -> str:
        """For people."""

    @property
    def memory(self) -> int:
        """Bytes that the task may use at most."""

    @property
    def gpus(self) -> int:
        """GPUs that the task needs."""

    @property
    def seconds(self) -> float:
        """How long it may take at most."""


class Place(NamedTuple):
    """Where one task at a time can run.

    Attributes:
        pool: the machine, or the share of one, whose memory and GPUs all places of the same pool draw on.
        memory: of the pool, in bytes.
        gpus: of the pool.
        until: when it will go away, in seconds of `time.time`.
    """

    pool: str
    memory: int
    gpus: int
    until: float = math.inf


class LostError(Exception):
    """The place of a task has gone while it was running, which is not the task's fault; it may be tried elsewhere."""


class NoPlaceError(EvaluatorError):
    """No machine that there is, or will be, can run the task."""


class InterruptedRunError(EvaluatorError):
    """Every place that the task was tried at was lost."""


T = TypeVar("T", bound=HasNeeds)
T_contra = TypeVar("T_contra", bound=HasNeeds, contravariant=True)
Outcome = TypeVar("Outcome")


class Executor(Protocol[T_contra, Outcome]):
    """Something that can run tasks."""

    @property
    def heartbeat(self) -> float | None:
        """Seconds after which the loop looks at the places again; None where they never change."""

    def places(self) -> Mapping[str, Place]:
        """Every place that there is now, busy or not, by name.

        Raises:
            EvaluatorError: there is none and none will come.
        """

    def prospects(self) -> Collection[Place]:
        """Places that are still to come, or may come again."""

    def dismiss(self, place: str) -> None:
        """A free place goes away too soon for every task that is left: another one would do better."""

    def submit(self, task: T_contra, place: str) -> Future[Outcome]:
        """Begin a task at a free place; its future fails with `LostError` where the place is lost."""

    def stop(self) -> None:
        """Make an end of everything that is running, and wait for that."""


class LocalExecutor(Generic[T, Outcome]):
    """Runs tasks in threads of this process (the work itself is done by containers).

    Args:
        run: does a task.
        jobs: tasks at a time.
        memory: of this machine, in bytes.
        gpus: of this machine.
        halt: set when all runs are to end.
    """

    heartbeat: float | None = None

    def __init__(
        self, run: Callable[[T], Outcome], *, jobs: int, memory: int, gpus: int, halt: threading.Event
    ) -> None:
        self._run = run
        self._halt = halt
        self._places = {f"slot {k + 1}": Place("", memory, gpus) for k in range(jobs)}
        self._pool = ThreadPoolExecutor(max_workers=jobs, thread_name_prefix="apb")

    def places(self) -> Mapping[str, Place]:
        """As many as there are jobs at a time, on one machine."""
        return self._places

    def prospects(self) -> Collection[Place]:
        """None: what there is, is there."""
        return ()

    def dismiss(self, place: str) -> None:
        """Threads do not go away."""

    def submit(self, task: T, place: str) -> Future[Outcome]:  # noqa: ARG002 - any thread does
        """Begin a task."""
        return self._pool.submit(self._run, task)

    def stop(self) -> None:
        """Tell the threads to give up, and wait for them."""
        self._halt.set()
        self._pool.shutdown(wait=True, cancel_futures=True)


def run(
    queue: list[T],
    executor: Executor[T, Outcome],
    *,
    begun: Callable[[T, str], None] = lambda _task, _place: None,
    lost: Callable[[T, str, str], None] = lambda _task, _place, _why: None,
) -> Generator[tuple[T, Outcome | Exception]]:
    """Run every task of a queue; whoever takes the outcomes may add to the queue meanwhile.

    To be closed: `contextlib.closing(run(...))` ends what is running when the block is left early.

    Args:
        begun: told of each task and the place where it begins.
        lost: told of each task whose place was lost, of the place and of what is known about it.

    Yields:
        Each task once, with its outcome or the exception that it raised, in the order of completion.
    """
    this = _Loop(queue, executor)
    try:
        while queue or this.flying:
            places = executor.places()
            for task in this.impossible(places):
                if task not in queue:  # whoever took the outcome before this one has withdrawn it
                    continue
                queue.remove(task)
                yield task, NoPlaceError(_too_much(task, [*places.values(), *executor.prospects()]))
            while (chosen := this.choose(places)) is not None:
                task, place = chosen
                queue.remove(task)
                this.flying[executor.submit(task, place)] = (task, place)
                begun(task, place)
            for place in this.spent(places):
                executor.dismiss(place)
            if not this.flying:
                time.sleep(executor.heartbeat or 0)
            done, _ = wait(this.flying, timeout=executor.heartbeat, return_when=FIRST_COMPLETED)
            for future in done:
                if (known := this.landed(future, places, lost)) is not None:
                    yield known
    finally:
        executor.stop()


@dataclass
class _Loop(Generic[T, Outcome]):
    queue: list[T]
    executor: Executor[T, Outcome]
    flying: dict[Future[Outcome], tuple[T, str]] = field(default_factory=dict)
    losses: defaultdict[T, list[str]] = field(default_factory=lambda: defaultdict(list))

    def landed(
        self, future: Future[Outcome], places: Mapping[str, Place], lost: Callable[[T, str, str], None]
    ) -> tuple[T, Outcome | Exception] | None:
        """A task with its outcome; None where its place was lost and it is to be tried elsewhere."""
        task, place = self.flying.pop(future)
        error = future.exception()
        if isinstance(error, LostError):
            lost(task, place, str(error))
            self.losses[task].append(places[place].pool if place in places else place)
            if len(self.losses[task]) <= RETRIES:
                self.queue.insert(0, task)
                return None
            error = InterruptedRunError(
                f"{task.name} was tried {RETRIES + 1} times, and each time its worker was lost: {error}",
                "See what became of the workers, and run apb evaluate again.",
            )
        elif error is not None and not isinstance(error, Exception):
            raise error
        return task, future.result() if error is None else error

    def impossible(self, places: Mapping[str, Place]) -> list[T]:
        """Tasks for which no place is large enough, nor will be."""
        known = {*places.values(), *self.executor.prospects()}
        shapes = {_shape(task) for task in self.queue}
        hopeless = {shape for shape in shapes if not any(_could(shape, place) for place in known)}
        return [task for task in self.queue if _shape(task) in hopeless] if hopeless else []

    def choose(self, places: Mapping[str, Place]) -> tuple[T, str] | None:
        """The first task of the queue for which a place is free, and that place."""
        busy = {place for _, place in self.flying.values()}
        free = [name for name in places if name not in busy]
        if not free:
            return None
        memory: Counter[str] = Counter()
        gpus: Counter[str] = Counter()
        for task, place in self.flying.values():
            if place in places:
                memory[places[place].pool] += task.memory
                gpus[places[place].pool] += task.gpus
        # GPUs are left to those who need one
        free.sort(key=lambda name: (places[name].gpus, memory[places[name].pool]))
        hopeless = set()
        for task in self.queue:
            if (shape := _shape(task)) in hopeless and task not in self.losses:
                continue
            for name in free:
                offer = places[name]
                used = memory[offer.pool]
                room = not used or task.memory <= offer.memory - KEEP_FREE - used
                fits = room and task.gpus <= offer.gpus - gpus[offer.pool] and _could(shape, offer)
                if fits and self._elsewhere(task, offer, places):
                    return task, name
            hopeless.add(shape)
        return None

    def spent(self, places: Mapping[str, Place]) -> list[str]:
        """Free places that go away before any waiting task could be done there."""
        busy = {place for _, place in self.flying.values()}
        mortal = {name: place for name, place in places.items() if place.until < math.inf and name not in busy}
        shapes = {_shape(task) for task in self.queue} if mortal else set()
        return [n for n, place in mortal.items() if shapes and all(time.time() + s[2] > place.until for s in shapes)]

    def _elsewhere(self, task: T, place: Place, places: Mapping[str, Place]) -> bool:
        """Whether a task may go there: not again where it was lost, as long as there is another machine for it."""
        tried = self.losses.get(task, ())
        others = (p for p in places.values() if p.pool not in tried and _could(_shape(task), p))
        return place.pool not in tried or next(others, None) is None


def _shape(task: HasNeeds) -> tuple[int, int, float]:
    return task.memory, task.gpus, task.seconds


def _could(shape: tuple[int, int, float], place: Place) -> bool:
    memory, gpus, seconds = shape
    return memory <= place.memory and gpus <= place.gpus and time.time() + seconds <= place.until


def _too_much(task: HasNeeds, places: Collection[Place]) -> str:
    best = max(places, default=None, key=lambda p: (p.gpus, p.memory))
    if best is None:
        there = "there is no worker"
    else:
        left = "" if best.until == math.inf else f" and {max(best.until - time.time(), 0) / 60:.0f} minutes left"
        there = f"the largest here has {best.memory / GIB:.1f} GiB, {best.gpus} GPU{left}"
    return (
        f"{task.name} needs {task.memory / GIB:.1f} GiB of memory, {task.gpus} GPU and up to {task.seconds / 60:g} "
        f"minutes; {there}. Use a larger machine or a longer walltime, or lower max_memory_gb or max_timeout_minutes "
        "in [tool.apb]."
    )
