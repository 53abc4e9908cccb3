"""The loop: every task is handed over once, no machine is promised too much, and what is lost goes elsewhere."""

from __future__ import annotations

import math
import threading
import time
from collections import Counter
from collections.abc import Collection, Mapping
from concurrent.futures import Future
from contextlib import closing
from dataclasses import dataclass, field

from hypothesis import given, settings
from hypothesis import strategies as st

from evaluator.contract.work import GIB
from evaluator.rounds.executors import (
    KEEP_FREE,
    RETRIES,
    InterruptedRunError,
    LocalExecutor,
    LostError,
    NoPlaceError,
    Place,
    run,
)


@dataclass(eq=False)
class Job:
    name: str
    memory: int = GIB
    gpus: int = 0
    seconds: float = 60.0
    deaths: int = 0
    """How many workers die of it."""
    fails: bool = False


@dataclass
class Stub:
    """Places that answer one at a time, the oldest first; some die of what they are given."""

    known: dict[str, Place]
    coming: list[Place] = field(default_factory=list)
    away: int = 0
    """Looks at which no place is there, though they will be back."""
    heartbeat: float | None = 0.0
    flying: dict[str, tuple[Job, Future[str]]] = field(default_factory=dict)
    visits: list[tuple[str, str]] = field(default_factory=list)
    dismissed: list[str] = field(default_factory=list)
    stopped: int = 0

    def places(self) -> Mapping[str, Place]:
        if self.flying:
            place = next(iter(self.flying))
            job, future = self.flying.pop(place)
            if [p for _, p in self.visits].count(job.name) <= job.deaths:
                future.set_exception(LostError("died"))
            elif job.fails:
                future.set_exception(ValueError(job.name))
            else:
                future.set_result(job.name)
        self.away -= 1
        return {} if self.away >= 0 else self.known

    def prospects(self) -> Collection[Place]:
        return [*self.coming, *(self.known.values() if self.away >= 0 else ())]

    def dismiss(self, place: str) -> None:
        self.dismissed.append(place)
        self.known = {**{k: v for k, v in self.known.items() if k != place}, f"{place}'": self.coming[0]}

    def submit(self, task: Job, place: str) -> Future[str]:
        assert place not in self.flying, "two tasks in one place"
        pool = self.known[place].pool
        there = [job for name, (job, _) in self.flying.items() if self.known[name].pool == pool]
        promised = task.memory + sum(job.memory for job in there)
        assert promised <= self.known[place].memory - (KEEP_FREE if there else 0)
        assert task.gpus + sum(job.gpus for job in there) <= self.known[place].gpus
        self.visits.append((place, task.name))
        future: Future[str] = Future()
        self.flying[place] = task, future
        return future

    def stop(self) -> None:
        self.stopped += 1


JOBS = st.lists(
    st.builds(
        lambda memory, gpus, deaths, fails: (memory, gpus, deaths, fails),
        st.integers(1, 20), st.integers(0, 2), st.integers(0, 4), st.booleans(),
    ),
    max_size=25,
)  # fmt: skip
POOLS = st.lists(st.tuples(st.integers(1, 16), st.integers(0, 2), st.integers(1, 3)), min_size=1, max_size=4)


@settings(deadline=None, max_examples=150)
@given(JOBS, POOLS)
def test_every_task_has_one_outcome_and_nothing_is_overpromised(
    jobs: list[tuple[int, int, int, bool]], pools: list[tuple[int, int, int]]
) -> None:
    queue = [Job(f"t{k}", m * GIB, g, deaths=d, fails=f) for k, (m, g, d, f) in enumerate(jobs)]
    places = {
        f"{p}:{s}": Place(str(p), memory * GIB, gpus)
        for p, (memory, gpus, slots) in enumerate(pools)
        for s in range(slots)
    }
    engine = Stub(places)
    handed_over = run(list(queue), engine)
    outcomes = {job.name: outcome for job, outcome in handed_over}
    assert len(outcomes) == len(queue)
    assert engine.stopped == 1
    visited = Counter(name for _, name in engine.visits)
    for job in queue:
        if not any(job.memory <= p.memory and job.gpus <= p.gpus for p in places.values()):
            assert isinstance(outcomes[job.name], NoPlaceError)
            assert visited[job.name] == 0
        elif job.deaths > RETRIES:
            assert isinstance(outcomes[job.name], InterruptedRunError)
            assert visited[job.name] == RETRIES + 1
        else:
            assert isinstance(outcomes[job.name], ValueError) if job.fails else outcomes[job.name] == job.name
            assert visited[job.name] == job.deaths + 1, "a failure of the task itself is never tried again"


def test_what_was_lost_goes_to_another_machine_if_there_is_one() -> None:
    places = {"a": Place("a", 8 * GIB, 0), "b": Place("b", 8 * GIB, 0), "small": Place("small", GIB, 0)}
    engine = Stub(places)
    handed_over = run([Job("poison", 2 * GIB, deaths=2)], engine)
    [(_, outcome)] = handed_over
    assert outcome == "poison"
    first, second, _third = [place for place, _ in engine.visits]
    assert {first, second} == {"a", "b"}


def test_a_gpu_is_left_to_those_who_need_one() -> None:
    engine = Stub({"gpu": Place("gpu", 64 * GIB, 1), "cpu": Place("cpu", 64 * GIB, 0)})
    for _ in run([Job("plain"), Job("graphic", gpus=1)], engine):
        pass
    assert engine.visits == [("cpu", "plain"), ("gpu", "graphic")]


def test_a_place_that_ends_too_soon_makes_room_for_one_that_does_not() -> None:
    now = time.time()
    short, fresh = Place("old", 8 * GIB, 0, now + 30), Place("new", 8 * GIB, 0, now + 3600)
    engine = Stub({"old": short}, coming=[fresh])
    [(_, outcome), *_none] = run([Job("long", seconds=600)], engine)
    assert (outcome, engine.dismissed) == ("long", ["old"])
    [(_, outcome)] = run([Job("endless", seconds=math.inf)], Stub({"old": short}, coming=[fresh]))
    assert isinstance(outcome, NoPlaceError)


def test_whoever_takes_outcomes_may_add_tasks() -> None:
    queue = [Job("first")]
    seen = []
    for job, _ in run(queue, Stub({"a": Place("a", 8 * GIB, 0)})):
        seen.append(job.name)
        if job.name == "first":
            queue.append(Job("second"))
    assert seen == ["first", "second"]


def test_local_tasks_are_told_to_stop_when_the_round_is_left() -> None:
    halt = threading.Event()

    def work(job: Job) -> str:
        if job.name == "long":
            halt.wait(30)
        return job.name

    engine: LocalExecutor[Job, str] = LocalExecutor(work, jobs=2, memory=8 * GIB, gpus=0, halt=halt)
    started = time.monotonic()
    outcomes = run([Job("long"), Job("short")], engine)
    with closing(outcomes):
        next(outcomes)
    assert halt.is_set()
    assert time.monotonic() - started < 10


def test_a_moment_without_places_drops_nothing() -> None:
    engine = Stub({"a": Place("a", 8 * GIB, 0)}, away=5)
    handed_over = run([Job("one"), Job("two"), Job("huge", memory=64 * GIB)], engine)
    outcomes = {job.name: outcome for job, outcome in handed_over}
    assert (outcomes["one"], outcomes["two"]) == ("one", "two")
    assert isinstance(outcomes["huge"], NoPlaceError)


def test_impossible_tasks_may_be_withdrawn_while_they_are_told() -> None:
    queue = [Job(f"part {k}", memory=64 * GIB) for k in range(3)]
    told = []
    for job, outcome in run(queue, Stub({"a": Place("a", 8 * GIB, 0)})):
        told.append(job.name)
        assert isinstance(outcome, NoPlaceError)
        queue.clear()
    assert told == ["part 0"]
