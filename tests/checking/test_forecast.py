"""What the full job will take, from runs of different length."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from evaluator.checking.forecast import SECONDS, Measured, enlarged, extrapolated, rows_for
from evaluator.contract.labels import load_data
from evaluator.contract.tracks import load_all
from tests.conftest import ROOT


@dataclass
class Rows:
    n: int


LARGE = [Rows(86), Rows(141_021)]


def test_small_tracks_need_no_further_run() -> None:
    first = Measured(60, 1.0, 10)
    assert rows_for(first, first, [Rows(86), Rows(300)]) == 0  # type: ignore[list-item]
    assert rows_for(first, first, []) == 0


@pytest.mark.parametrize("startup", [0.1, 5.0])
@pytest.mark.parametrize("each", [0.0, 0.0001, 0.01, 0.2])
def test_runs_come_to_an_end_and_none_takes_too_long(startup: float, each: float) -> None:
    def measured(rows: int) -> Measured:
        return Measured(rows, startup + each * rows, None)

    first = last = measured(60)
    for _ in range(8):
        rows = rows_for(first, last, LARGE)  # type: ignore[arg-type]
        if not rows:
            break
        assert rows > last.rows
        last = measured(rows)
        assert last.seconds <= 2 * SECONDS + startup
    else:
        pytest.fail("there is no end")
    told = extrapolated(first, last, 141_021).seconds
    assert told == pytest.approx(startup + each * 141_021, rel=0.05) or last is first


def test_a_slow_model_is_not_run_again_and_told_in_proportion() -> None:
    first = Measured(60, 600.0, 10**9)
    assert rows_for(first, first, LARGE) == 0  # type: ignore[arg-type]
    assert extrapolated(first, first, 141_021) == Measured(141_021, 600.0 * 141_021 / 60, 10**9)


def test_more_rows_are_like_the_public_ones_and_all_differ() -> None:
    track = load_all(ROOT / "test_data" / "tracks")["smoke"]
    data = load_data(track, ROOT / "test_data")
    assert data is not None
    more = enlarged(data.sequences, 500)
    assert more.n == 500 == len(set(more.blinded(0).ids))
    assert more.columns["sequence"][:60] == data.columns["sequence"]
    assert len(set(more.columns["sequence"])) > 490
