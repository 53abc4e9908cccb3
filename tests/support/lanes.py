"""Tests beside each other: several at a time in this suite, and other suites on the same machine.

How many at a time is the machine's matter and not the suite's: whoever tests here takes one of a few places, or all of
them for what says nothing while others are at work. Each process has a scope of its own, to which its containers and
volumes belong (APB_SCOPE), and its images (a label and their tag).
"""

from __future__ import annotations

import fcntl
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO

from xdist.scheduler import LoadScopeScheduling

SCOPE = f"test-{os.getpid()}"
LANES = 4
"""On two cores: much of a test is waiting for containers."""
LOCKS = Path(tempfile.gettempdir()) / f"apb-tests-{os.getuid()}"


@contextmanager
def sole(name: str) -> Iterator[None]:
    """Nobody else on this machine is within a block of this name."""
    with _opened(name) as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@contextmanager
def _opened(name: str) -> Iterator[IO[str]]:
    LOCKS.mkdir(exist_ok=True)
    with (LOCKS / name).open("w") as lock:
        yield lock


@contextmanager
def place() -> Iterator[None]:
    """One of the places, as soon as there is one."""
    with ExitStack() as held:
        with sole("queue"):  # one after the other, so that who wants all of them is not passed over
            while not _taken(held):
                time.sleep(0.02)
        yield


def _taken(held: ExitStack) -> bool:
    for number in range(LANES):
        with ExitStack() as attempt:
            lock = attempt.enter_context(_opened(f"place-{number}"))
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            held.push(attempt.pop_all())
            return True
    return False


@contextmanager
def all_places() -> Iterator[None]:
    """The machine for oneself, as far as tests go."""
    with ExitStack() as held:
        with sole("queue"):
            for number in range(LANES):
                held.enter_context(sole(f"place-{number}"))
        yield


# -- who does what ----------------------------------------------------------------------------------------------------

LONG = (
    "tests/rounds/test_crowd.py",
    "tests/baselines/test_zoo.py::test_a_packaged_esm",
    "tests/test_install.py",
    "tests/test_guides.py",
    "tests/rounds/test_derived.py",
    "tests/test_runbook.py",
    "tests/cluster/test_slurm.py",
    "tests/cluster/test_links.py",
    "tests/running/test_attacks.py::test_attack[start-",
    "tests/leaderboard/test_site.py",
    "tests/baselines/test_embedder.py",
    "tests/running/test_engine_faults.py",
    "tests/cluster/test_workers.py",
)
"""They come first, so that none is left when all else is done."""
APIECE = ("tests/checking", "tests/cluster", "tests/rounds", "tests/running", "tests/test_", LONG[1])
"""Where a file's tests share little, so that each goes to the next free lane; elsewhere a file stays together."""
TOGETHER = (
    "tests/running/test_engine_faults.py",
    "tests/running/test_doctor.py",
    "tests/running/test_images.py",
    "tests/rounds/test_derived.py",
    "tests/test_install.py",
    "tests/test_runbook.py",
)
"""But not there."""
BUILT = sorted(path.parent.name for path in (Path(__file__).resolve().parents[1] / "attacks").glob("*/Dockerfile"))
"""Attacks whose variants share what is built for them."""


def rank(nodeid: str) -> int:
    """Which tests come first."""
    return next((place for place, name in enumerate(LONG) if nodeid.startswith(name)), len(LONG))


class Scheduling(LoadScopeScheduling):  # type: ignore[misc] # xdist says nothing of its types
    """What a lane is given at a time."""

    def _split_scope(self, nodeid: str) -> str:
        file, _, test = nodeid.partition("::")
        if built := next((name for name in BUILT if test.startswith(f"test_attack[{name}-")), None):
            return built
        return nodeid if nodeid.startswith(APIECE) and not nodeid.startswith(TOGETHER) else file
