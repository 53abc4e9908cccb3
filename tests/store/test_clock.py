"""A clock that jumps is told, and nothing is deleted by it."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from evaluator.store.state import DAY, State

LOG_DAYS = 14


def round_after(state: State, days: float) -> str:
    """What a round says that begins so many days after another one, by this clock."""
    with state.locked():
        pass
    when = time.time() - days * DAY
    os.utime(state.folder / "lock", (when, when))
    with state.locked():
        return state.drop_old_logs(LOG_DAYS)


@pytest.fixture
def state(tmp_path: Path) -> State:
    """Logs of today's clock minus 1, 21 and 60 days."""
    state = State(tmp_path)
    for days in (1, 21, 60):
        state.keep_log("entry", f"track-{days}", b"log")
        when = time.time() - days * DAY
        os.utime(tmp_path / "logs" / "entry" / f"track-{days}.log", (when, when))
    return state


def logs(state: State) -> list[int]:
    return sorted(int(p.stem.removeprefix("track-")) for p in state.folder.glob("logs/*/*.log"))


@pytest.mark.parametrize(
    ("days", "told", "left"),
    [
        (0.1, "", [1]),
        (7, "", [1]),  # the round of last week
        (20, "20 days ago by this clock", [1, 21]),  # the clock is 20 days ahead: by the old one these are of yesterday
        (59, "59 days ago", [1, 21, 60]),
        (-20, "20 days in the future", [1]),  # and now it is right again
    ],
)
def test_logs_are_not_lost_to_a_clock_that_jumps(state: State, days: float, told: str, left: list[int]) -> None:
    said = round_after(state, days)
    assert told in said and bool(said) == bool(told) and logs(state) == left


def test_monthly_rounds_lose_their_logs_in_the_end(state: State) -> None:
    round_after(state, 30)
    assert logs(state) == [1, 21]  # the oldest was too old by the last round's clock already


def test_the_first_round_goes_by_this_clock(state: State) -> None:
    with state.locked():
        assert state.drop_old_logs(LOG_DAYS) == "" and logs(state) == [1]
