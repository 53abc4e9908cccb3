"""What the full job will take, from runs of different length."""

from __future__ import annotations

import pytest

from evaluator.checking.forecast import SECONDS, Measured, enlarged, foretold, rows_for
from evaluator.contract.labels import load_data
from evaluator.contract.tracks import load_all
from tests.conftest import ROOT

LARGE = 141_021


def judged(startup: float, each: float, rows: int = 60, audit: int = 40) -> list[Measured]:
    """The runs that a check makes of an image which takes so long to start, and for each row."""

    def measured(n: int) -> Measured:
        return Measured(n, startup + each * n, None)

    runs = [measured(rows), measured(audit)]
    for _ in range(8):
        more = rows_for(runs, LARGE)
        if not more:
            return runs
        runs.append(measured(more))
        assert runs[-1].seconds <= max(1.1 * SECONDS, runs[0].seconds)
    pytest.fail("there is no end")


def test_small_tracks_need_no_further_run() -> None:
    runs = [Measured(60, 1.0, 10), Measured(40, 1.0, 10)]
    assert rows_for(runs, 86) == rows_for(runs, 300) == rows_for(runs, 0) == 0


@pytest.mark.parametrize("startup", [0.1, 5.0, 20.0, 60.0])
@pytest.mark.parametrize("each", [0.0, 0.0001, 0.01, 0.08, 0.2])
def test_runs_come_to_an_end_none_takes_too_long_and_starting_up_is_told_apart(startup: float, each: float) -> None:
    told = foretold(judged(startup, each), LARGE).seconds
    assert told.value == pytest.approx(startup + each * LARGE, rel=0.01)
    assert told.low <= told.value <= told.high


def test_where_there_is_time_the_longest_track_is_run_whole() -> None:
    assert max(run.rows for run in judged(5.0, 0.00014)) == LARGE
    assert not foretold(judged(5.0, 0.00014), LARGE).thin


def test_a_forecast_from_few_rows_of_a_slow_model_says_that_it_rests_on_too_little() -> None:
    told = foretold(judged(20.0, 0.08), LARGE)
    assert told.thin
    assert told.seconds.low < 3 * 3600 < told.seconds.high < 22 * 3600


def test_one_run_alone_tells_a_range() -> None:
    told = foretold([Measured(60, 600.0, 10**9)], LARGE)
    assert (told.seconds.low, told.seconds.high) == (600.0, 600.0 * LARGE / 60)
    assert told.thin and told.memory is not None and told.memory.low <= 10**9 < told.memory.high


def test_the_quickest_of_equal_runs_counts_and_the_largest_memory() -> None:
    cold, warm, long = Measured(60, 9.0, 10_000_000), Measured(60, 1.0, None), Measured(6000, 2.0, 90_000_000)
    told = foretold([cold, warm, long], 6000)
    assert told.seconds.value == 2.0
    assert told.memory is not None and told.memory.value == 90_000_000


def test_memory_that_starting_up_hides_is_no_forecast() -> None:
    grows = [Measured(24, 1.0, 500_000_000), Measured(20_000, 9.0, 660_000_000)]
    told = foretold(grows, LARGE)
    assert told.memory is not None and told.memory.value == pytest.approx(500e6 + 8000 * LARGE, rel=0.02)
    hidden = [Measured(24, 1.0, 500_000_000), Measured(20_000, 9.0, 500_100_000)]
    assert foretold(hidden, LARGE).thin
    assert foretold([Measured(24, 1.0, None), Measured(20_000, 9.0, None)], LARGE).memory is None


def test_more_rows_are_like_the_public_ones_and_all_differ() -> None:
    track = load_all(ROOT / "test_data" / "tracks")["smoke-paired"]
    data = load_data(track, ROOT / "test_data")
    assert data is not None
    more = enlarged(data.sequences, 500)
    assert more.n == 500 == len(set(more.blinded(0).ids))
    for name, chains in more.columns.items():
        assert chains[:24] == data.columns[name]
        assert len(set(chains)) > 490
