"""Where tasks run: one small interface, outcomes handed over as they come."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import NamedTuple, Protocol, TypeVar


class HasNeeds(Protocol):
    """What an executor must know of a task."""

    @property
    def memory(self) -> int:
        """Bytes that the task may use at most."""

    @property
    def gpus(self) -> int:
        """GPUs that the task needs."""


class Slots(NamedTuple):
    """What there is to share: tasks at a time, bytes of memory, GPUs."""

    jobs: int
    memory: int
    gpus: int


Task = TypeVar("Task", bound=HasNeeds)
Outcome = TypeVar("Outcome")


def local(
    tasks: Iterable[Task], run: Callable[[Task], Outcome], slots: Slots, stop: threading.Event
) -> Iterator[tuple[Task, Outcome | Exception]]:
    """Run every task once in threads of this process (the work itself is done by containers).

    Never more is promised at a time than there is: a machine out of memory would kill containers, and that would look
    like their fault.

    Yields:
        Each task with its outcome, or with the exception that it raised, in the order of completion.
    """
    waiting = list(tasks)
    flying: dict[Future[Outcome], Task] = {}
    with ThreadPoolExecutor(max_workers=slots.jobs, thread_name_prefix="apb") as pool:
        try:
            while waiting or flying:
                while len(flying) < slots.jobs and (task := _next_fitting(waiting, flying.values(), slots)):
                    waiting.remove(task)
                    flying[pool.submit(run, task)] = task
                done, _ = wait(flying, return_when=FIRST_COMPLETED)
                for future in done:
                    task = flying.pop(future)
                    error = future.exception()
                    if error is not None and not isinstance(error, Exception):
                        raise error
                    yield task, future.result() if error is None else error
        except BaseException:
            stop.set()  # the pool waits for its threads on the way out: tell them to give up
            raise


def _next_fitting(waiting: list[Task], flying: Collection[Task], slots: Slots) -> Task | None:
    memory = slots.memory - sum(task.memory for task in flying)
    gpus = slots.gpus - sum(task.gpus for task in flying)
    return next((t for t in waiting if not flying or (t.memory <= memory and t.gpus <= gpus)), None)
