"""How a round goes, for everybody who asks: told to the one who watches it, and kept in `<state>/round.json`."""

from __future__ import annotations

import json
import math
import os
import socket
import threading
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Protocol

from evaluator.contract.work import Finished
from evaluator.errors import EvaluatorError
from evaluator.files import write_json
from evaluator.processes import process_start
from evaluator.rounds.durations import Durations, makespan
from evaluator.rounds.task import Task
from evaluator.scoring.scorer import SCORER_VERSION
from evaluator.store.state import State

EVERY = 1.0
"""Seconds between two writings of the file, at least."""


class Progress(Protocol):
    """Who is told how the round goes."""

    def say(self, line: str) -> None:
        """One line of news."""

    def total(self, count: int) -> None:
        """How many runs are to come."""

    def begin(self, name: str, place: str) -> None:
        """A run has begun."""

    def cut(self, name: str, why: str) -> None:
        """A run has ended, and its task has not."""

    def end(self, name: str, outcome: str) -> None:
        """A task has ended."""

    def forecast(self, seconds: float) -> None:
        """How long the rest will take."""


@dataclass
class Watch:
    """One round as it goes.

    Attributes:
        where: the executor, and what it works with.
        durations: what runs take, learnt from as they end.
        places: how many runs there may be at a time, now.
    """

    state: State
    progress: Progress
    durations: Durations
    where: str
    places: Callable[[], int] = lambda: 1
    _begun: float = field(default_factory=time.time)
    _waiting: dict[Task, float] = field(default_factory=dict)
    _running: dict[Task, tuple[str, float, float]] = field(default_factory=dict)
    _counts: dict[str, int] = field(default_factory=lambda: dict.fromkeys(("scored", "failed", "ours", "lost"), 0))
    _total: int = 0
    _left: float = 0.0
    _told: float = -math.inf
    _late: threading.Timer | None = None

    def start(self, due: Collection[Task], refused: int) -> None:
        """These are to be run; so many have failed already, for want of an image."""
        self._total = len(due) + refused
        self._waiting = {task: self.expected(task) for task in due}
        self.progress.total(len(due))
        self._tell()

    def expected(self, task: Task) -> float:
        """Seconds that a run will take, as far as one can tell."""
        whole = self.durations.expected(task.submission.id, task.track.id, task.track.n).seconds
        return whole if task.rows is None else whole / task.rows.step

    def begun(self, task: Task, place: str) -> None:
        """A run has begun."""
        self._waiting.pop(task, None)
        self._running[task] = place, time.time(), self.expected(task)
        self.progress.begin(task.name, place)
        self._tell()

    def split(self, task: Task, parts: Collection[Task]) -> None:
        """A task is run in parts."""
        self._waiting.pop(task, None)
        self._waiting.update({part: self.expected(part) for part in parts})

    def whole(self, task: Task, parts: Collection[Task]) -> None:
        """It is not, after all: parts that have not begun never will."""
        for part in parts:
            self._waiting.pop(part, None)
        self._waiting[task] = self.expected(task)

    def lost(self, task: Task, place: str, why: str) -> None:
        """The worker of a run was lost: our fault."""
        self._running.pop(task, None)
        self._waiting[task] = self.expected(task)
        self._counts["lost"] += 1
        self.state.note(event="lost", submission=task.submission.id, track=task.track.id, place=place, why=why)
        self.progress.cut(task.name, f"its worker {place} was lost: {why}")
        self._tell()

    def part(self, task: Task, outcome: Finished | Exception) -> None:
        """A part of a task has ended."""
        self._running.pop(task, None)
        self._waiting.pop(task, None)
        if isinstance(outcome, Finished):
            code = outcome.failure.code if outcome.failure else "; ".join(outcome.flags) or "ok"
            self.note(task, outcome, code)
            self.progress.cut(task.name, f"{code}, {outcome.run.seconds:.2f} s")
        else:
            self.progress.cut(task.name, f"not done: {outcome}")
        self._tell()

    def note(self, task: Task, finished: Finished, outcome: str) -> None:
        """A line in the ledger on a run that has ended."""
        self.state.note(
            event="part" if task.rows is not None else "joined" if finished.joined else "run",
            run=None if task.episode is None else task.splits.episodes[task.episode].name,
            submission=task.submission.id,
            track=task.track.id,
            outcome=outcome,
            image=task.image.digest,
            run_key=task.run_key,
            seed=finished.seed,
            host=finished.host,
            seconds=round(finished.run.seconds, 3),
            peak_memory=finished.run.peak_memory,
            scorer=SCORER_VERSION,
        )

    def end(self, task: Task, kind: str, outcome: str, seconds: float | None = None) -> None:
        """A task is `scored`, has `failed` by its own fault, or is left undone by `ours`."""
        self._running.pop(task, None)
        self._waiting.pop(task, None)
        self._counts[kind] += 1
        if seconds is not None:
            self.durations.learn(task.submission.id, task.track.id, task.track.n, seconds)
        self._tell()
        self.progress.forecast(self._left)
        self.progress.end(task.name, outcome)

    def dropped(self, task: Task) -> None:
        """A run has ended of which nothing counts any more, since another one of its pair has failed."""
        self._running.pop(task, None)
        self._total -= 1
        self.progress.total(self._total)
        self.progress.cut(task.name, "another run of it has failed")
        self._tell()

    def withdrawn(self, tasks: Collection[Task]) -> None:
        """These runs will not take place, since another one of their pair has failed."""
        for task in tasks:
            self._waiting.pop(task, None)
        self._total -= len(tasks)
        self.progress.total(self._total)

    def close(self) -> None:
        """The round is over."""
        self._running.clear()
        if self._late is not None:
            self._late.cancel()
            self._late.join()
        self._write(ended=_iso(time.time()))

    def _tell(self) -> None:
        """Write at once, or a moment later where it was just done: nothing that has happened stays untold."""
        now = time.time()
        running = [begun + expected - now for _, begun, expected in self._running.values()]
        self._left = makespan(self._waiting.values(), max(self.places(), len(running), 1), running)
        if time.monotonic() - self._told >= EVERY:
            self._write()
        elif self._late is None or not self._late.is_alive():
            self._late = threading.Timer(EVERY, self._write)
            self._late.daemon = True
            self._late.start()

    def _write(self, *, ended: str | None = None) -> None:
        now, self._told = time.time(), time.monotonic()
        done = self._counts["scored"] + self._counts["failed"] + self._counts["ours"]
        running = list(self._running.items())
        write_json(
            self.state.folder / "round.json",
            {
                "host": socket.gethostname(),
                "process": [os.getpid(), process_start(os.getpid())],
                "where": self.where,
                "begun": _iso(self._begun),
                "updated": _iso(now),
                "ended": ended,
                "total": self._total,
                "done": done,
                **self._counts,
                "waiting": len(self._waiting),
                "running": [{"name": t.name, "place": p, "begun": _iso(begun)} for t, (p, begun, _) in running],
                "forecast": None if ended else _iso(now + self._left),
            },
        )


def _iso(when: float) -> str:
    return datetime.fromtimestamp(when, UTC).isoformat(timespec="seconds")


def last_round(state: State) -> dict[str, Any]:
    """What is known of the round that is running, or of the last one; `cut_short` where its process has died.

    Raises:
        EvaluatorError: there was none.
    """
    path: Path = state.folder / "round.json"
    try:
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise EvaluatorError(f"{state.folder} has seen no round yet.", "Name the round's --state.") from None
    pid, start = found.pop("process")
    if found["host"] != socket.gethostname() and not found["ended"]:
        raise EvaluatorError(f"The round was begun on {found['host']}.", "Ask there whether it is still running.")
    now = datetime.now(UTC)
    for run in found["running"]:
        run["seconds"] = round((now - datetime.fromisoformat(run["begun"])).total_seconds())
    return {**found, "cut_short": not found["ended"] and process_start(pid) != start}


def as_text(found: dict[str, Any]) -> str:
    """The same for people."""
    state = "ended" if found["ended"] else "was cut short" if found["cut_short"] else "is running"
    lines = [
        f"the round {state}: begun {found['begun']} on {found['host']} with {found['where']}",
        f"{found['done']} of {found['total']} done: {found['scored']} scored, {found['failed']} failed by their own "
        f"fault, {found['ours']} left undone because of us; workers lost: {found['lost']}",
    ]
    lines += [f"running  {r['name']}, {timedelta(seconds=r['seconds'])} on {r['place']}" for r in found["running"]]
    if found["ended"]:
        lines.append(f"ended {found['ended']}")
    elif found["cut_short"]:
        lines.append("start it again: it goes on from there")
    else:
        lines.append(f"{found['waiting']} waiting; all done about {found['forecast']}, as of {found['updated']}")
    return "\n".join(lines)
