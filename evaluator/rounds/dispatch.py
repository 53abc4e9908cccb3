"""In which order the tasks of a round go out, which of them in parts, and how parts become one outcome again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Generator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from typing import Protocol

from evaluator.contract.work import Finished
from evaluator.rounds import executors
from evaluator.rounds.executors import Executor
from evaluator.rounds.parts import join, split, sure
from evaluator.rounds.task import Task

Outcome = Finished | Exception
"""What comes of a task: what it gave, or what kept us from it."""


class Listener(Protocol):
    """Who is told how the tasks of a round go, and knows how long each will take."""

    def expected(self, task: Task) -> float:
        """Seconds that a task will take, as far as one can tell."""

    def begun(self, task: Task, place: str) -> None:
        """A run has begun there."""

    def lost(self, task: Task, place: str, why: str) -> None:
        """The place of a run was lost."""

    def part(self, task: Task, outcome: Outcome) -> None:
        """What came of a part of a task."""

    def split(self, task: Task, parts: Collection[Task]) -> None:
        """A task is run in parts."""

    def whole(self, task: Task, parts: Collection[Task]) -> None:
        """It is not, after all."""


@dataclass
class Dispatch:
    """The tasks of one round.

    Attributes:
        executor: what runs them.
        consistent: whether an entry is known to predict each sequence by itself, so that it may be run in parts.
        listener: told of everything.
    """

    executor: Executor[Task, Finished]
    consistent: Callable[[Task], bool]
    listener: Listener
    _queue: list[Task] = field(default_factory=list)
    _held: list[Task] = field(default_factory=list)
    _splits: dict[Task, _Split] = field(default_factory=dict)
    _left: Counter[str] = field(default_factory=Counter)

    def run(self, due: Sequence[Task]) -> Generator[tuple[Task, Outcome]]:
        """Run every task.

        Yields:
            Each task once, with what came of it, in the order of completion.
        """
        places = max(len(self.executor.places()), len(self.executor.prospects()))
        self._left = Counter(task.submission.id for task in due)
        spare = len(due) < places
        for task in due if places == 1 else sorted(due, key=self.listener.expected, reverse=True):
            if spare and min(task.track.shards, places) > 1 and task.track.audit_rows:
                self._held.append(task)
            else:
                self._queue.append(task)
        self._release(places)
        outcomes = executors.run(self._queue, self.executor, begun=self.listener.begun, lost=self.listener.lost)
        with closing(outcomes):
            for task, outcome in outcomes:
                whole = self._splits.get(task)
                known = self._join(whole, task, outcome) if whole else (task, outcome)
                if known is not None:
                    self._left[known[0].submission.id] -= 1
                    yield known
                    self._release(places)

    def withdraw(self, pair: tuple[str, str]) -> list[Task]:
        """Take the runs of a submission on a track that have not begun out of the queue; which they were."""
        gone = [task for task in self._queue if (task.submission.id, task.track.id) == pair]
        for task in gone:
            self._queue.remove(task)
        self._left[pair[0]] -= len(gone)
        return gone

    def _release(self, places: int) -> None:
        """A task that might go out in parts waits for its entry's other tracks: they tell whether it may."""
        for task in list(self._held):
            others = self._left[task.submission.id] - sum(t.submission.id == task.submission.id for t in self._held)
            if not (known := self.consistent(task)) and others:
                continue
            self._held.remove(task)
            if not known:
                self._queue.append(task)
                continue
            whole = _Split(task, split(task, min(task.track.shards, places, task.track.n)))
            self._splits.update(dict.fromkeys(whole.parts, whole))
            self._queue.extend(whole.parts)
            self.listener.split(task, whole.parts)

    def _join(self, whole: _Split, part: Task, outcome: Outcome) -> tuple[Task, Outcome] | None:
        """Take in a part; the whole task with its outcome where that is known by now."""
        self.listener.part(part, outcome)
        if whole.over:
            return None
        if isinstance(outcome, Finished) and sure(outcome):
            whole.done[part] = outcome
            if len(whole.done) < len(whole.parts):
                return None
        whole.over = True
        if len(whole.done) == len(whole.parts) and (joined := join(whole.task, whole.done)) is not None:
            return whole.task, joined
        for other in whole.parts:
            if other in self._queue:
                self._queue.remove(other)
        self.listener.whole(whole.task, whole.parts)
        self._queue.insert(0, whole.task)  # in one piece, whatever was wrong with the parts
        return None


@dataclass(eq=False)
class _Split:
    task: Task
    parts: list[Task]
    done: dict[Task, Finished] = field(default_factory=dict)
    over: bool = False
