"""In which order the tasks of a round go out, which of them in parts, and how parts become one outcome again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from dataclasses import dataclass, field

from evaluator.contract.work import Finished
from evaluator.rounds import executors
from evaluator.rounds.executors import Engine
from evaluator.rounds.parts import join, split, sure
from evaluator.rounds.task import Task

Outcome = Finished | Exception
"""What comes of a task: what it gave, or what kept us from it."""


@dataclass
class Dispatch:
    """The tasks of one round.

    Attributes:
        engine: what runs them.
        consistent: whether an entry is known to predict each sequence by itself, so that it may be run in parts.
        expected: seconds that a task will take, as far as one can tell.
        begun: told of each run and the place where it begins.
        lost: told of each run whose place was lost, of the place, and why.
        part: told what came of each part of a task.
        divided: told of a task that is run in parts, and of them.
        undivided: told that it is not, after all.
    """

    engine: Engine[Task, Finished]
    consistent: Callable[[Task], bool]
    expected: Callable[[Task], float]
    begun: Callable[[Task, str], None]
    lost: Callable[[Task, str, str], None]
    part: Callable[[Task, Outcome], None]
    divided: Callable[[Task, list[Task]], None]
    undivided: Callable[[Task, list[Task]], None]
    _queue: list[Task] = field(default_factory=list)
    _held: list[Task] = field(default_factory=list)
    _splits: dict[Task, _Split] = field(default_factory=dict)

    def run(self, due: Sequence[Task]) -> Generator[tuple[Task, Outcome]]:
        """Run every task.

        Yields:
            Each task once, with what came of it, in the order of completion.
        """
        places = max(len(self.engine.places()), len(self.engine.prospects()))
        left = Counter(task.submission.id for task in due)
        spare = len(due) < places
        for task in due if places == 1 else sorted(due, key=self.expected, reverse=True):
            if spare and min(task.track.shards, places) > 1 and task.track.audit_rows:
                self._held.append(task)
            else:
                self._queue.append(task)
        self._release(left, places)
        outcomes = executors.run(self._queue, self.engine, begun=self.begun, lost=self.lost)
        with closing(outcomes):
            for task, outcome in outcomes:
                whole = self._splits.get(task)
                known = self._join(whole, task, outcome) if whole else (task, outcome)
                if known is not None:
                    left[known[0].submission.id] -= 1
                    yield known
                    self._release(left, places)

    def _release(self, left: Counter[str], places: int) -> None:
        """A task that might go out in parts waits for its entry's other tracks: they tell whether it may."""
        for task in list(self._held):
            others = left[task.submission.id] - sum(t.submission.id == task.submission.id for t in self._held)
            if not (known := self.consistent(task)) and others:
                continue
            self._held.remove(task)
            if not known:
                self._queue.append(task)
                continue
            whole = _Split(task, split(task, min(task.track.shards, places, task.track.n)))
            self._splits.update(dict.fromkeys(whole.parts, whole))
            self._queue.extend(whole.parts)
            self.divided(task, whole.parts)

    def _join(self, whole: _Split, part: Task, outcome: Outcome) -> tuple[Task, Outcome] | None:
        """Take in a part; the whole task with its outcome where that is known by now."""
        self.part(part, outcome)
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
        self.undivided(whole.task, whole.parts)
        self._queue.insert(0, whole.task)  # in one piece, whatever was wrong with the parts
        return None


@dataclass(eq=False)
class _Split:
    task: Task
    parts: list[Task]
    done: dict[Task, Finished] = field(default_factory=dict)
    over: bool = False
