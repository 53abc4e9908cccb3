"""Intervals: scipy where it has one, and for all that they hold their value, stay in range and shrink with n."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from evaluator.contract.task_types import KINDS
from evaluator.scoring import intervals
from evaluator.scoring.metrics import COMPUTE, score
from evaluator.scoring.scored import Estimate, Scored

BOUNDS = {"mcc": (-1.0, 1.0), "spearman": (-1.0, 1.0)}


@given(n=st.integers(1, 5000), share=st.floats(0, 1), level=st.sampled_from([0.8, 0.95, 0.99]))
@settings(deadline=None, max_examples=100)
def test_wilson_is_scipys(n: int, share: float, level: float) -> None:
    k = round(share * n)
    expected = stats.binomtest(k, n).proportion_ci(level, method="wilson")
    assert intervals.wilson(k, n, level) == pytest.approx((expected.low, expected.high), abs=1e-9)


def test_large_classes_give_delongs_interval() -> None:
    rng = np.random.default_rng(1)
    n1, n0 = 20_000, 30_000
    truth = np.r_[np.ones(n1), np.zeros(n0)].astype(np.int8)
    scores = np.r_[rng.normal(1, 1, n1), rng.normal(0, 1, n0)]
    found = COMPUTE["roc_auc"](Scored(truth, scores))
    positives, negatives = np.sort(scores[:n1]), np.sort(scores[n1:])
    v10 = np.searchsorted(negatives, scores[:n1]) / n0
    v01 = 1 - np.searchsorted(positives, scores[n1:]) / n1
    half = stats.norm.ppf(0.975) * math.sqrt(v10.var(ddof=1) / n1 + v01.var(ddof=1) / n0)
    assert found.value is not None
    assert found.low == pytest.approx(found.value - half, rel=2e-4)
    assert found.high == pytest.approx(found.value + half, rel=2e-4)


@pytest.mark.parametrize("name", ["f1", "mcc", "balanced_accuracy", "precision", "average_precision", "brier"])
def test_where_there_is_plenty_the_bootstrap_agrees(name: str) -> None:
    rng = np.random.default_rng(2)
    n1, n0 = 400, 600
    truth = np.r_[np.ones(n1), np.zeros(n0)].astype(np.int8)
    scores = 1 / (1 + np.exp(-np.r_[rng.normal(0.7, 1, n1), rng.normal(-0.7, 1, n0)]))
    predicted = (scores > 0.5).astype(np.int8)
    draws = []
    for _ in range(1000):
        rows = np.r_[rng.integers(0, n1, n1), n1 + rng.integers(0, n0, n0)]
        draws.append(COMPUTE[name](Scored(truth[rows], scores[rows], predicted[rows])).value)
    found = COMPUTE[name](Scored(truth, scores, predicted))
    low, high = np.quantile(np.array(draws, dtype=float), [0.025, 0.975])
    assert found.low is not None
    assert found.high is not None
    assert found.low == pytest.approx(low, abs=0.12 * (high - low))
    assert found.high == pytest.approx(high, abs=0.12 * (high - low))


@given(seed=st.integers(0, 10**6), n1=st.integers(1, 30), n0=st.integers(1, 30), ties=st.sampled_from([1, 2, 5, 1000]))
@settings(deadline=None, max_examples=200)
def test_every_interval_holds_its_value_and_stays_in_range(seed: int, n1: int, n0: int, ties: int) -> None:
    rng = np.random.default_rng(seed)
    truth = np.r_[np.ones(n1), np.zeros(n0)].astype(np.int8)
    scores = rng.integers(0, ties, n1 + n0) / ties
    for name, e in score(truth, scores, (scores > 0.4).astype(np.int8)).metrics.items():
        if e.low is None or e.high is None:
            continue
        assert e.value is not None
        lowest, highest = BOUNDS.get(name, (0.0, 1.0))
        assert lowest <= e.low <= e.value + 1e-12, name
        assert e.value - 1e-12 <= e.high <= highest, name
        assert math.isfinite(e.low), name
        assert math.isfinite(e.high), name


def test_a_higher_level_is_wider_and_perfect_scores_are_not_certain() -> None:
    truth = np.array([1] * 7 + [0] * 391, dtype=np.int8)
    scores = truth.astype(float)
    wide, narrow = (score(truth, scores, truth, level).metrics["roc_auc"] for level in (0.99, 0.8))
    assert wide.value == 1
    assert wide.low is not None
    assert narrow.low is not None
    assert 0.5 < wide.low < narrow.low < 1
    assert wide.high == 1


def test_spearman_is_bonett_and_wrights() -> None:
    low, high = intervals.spearman(0.6, 48, 0.95) or (0.0, 0.0)
    half = 1.959964 * math.sqrt((1 + 0.18) / 45)
    assert (low, high) == pytest.approx(
        (math.tanh(math.atanh(0.6) - half), math.tanh(math.atanh(0.6) + half)), abs=1e-6
    )
    assert intervals.spearman(0.6, 3, 0.95) is None


@pytest.mark.parametrize("name", KINDS["classification"].metrics)
def test_copies_of_rows_do_not_narrow_an_interval(name: str) -> None:
    rng = np.random.default_rng(9)
    truth = np.r_[np.ones(60), np.zeros(80)].astype(np.int8)
    scores = 1 / (1 + np.exp(-rng.normal(truth - 0.5, 1.0)))
    predicted = (scores > 0.5).astype(np.int8)
    once = COMPUTE[name](Scored(truth, scores, predicted))
    four = (np.tile(truth, 4), np.tile(scores, 4), np.tile(predicted, 4))
    copied = COMPUTE[name](Scored(*four, 0.95, np.tile(np.arange(140), 4)))
    naive = COMPUTE[name](Scored(*four))
    width = {k: e.high - e.low for k, e in (("once", once), ("copied", copied), ("naive", naive))}  # type: ignore[operator]
    assert copied.value == pytest.approx(once.value)
    assert 0.95 * width["once"] < width["copied"] < 1.3 * width["once"]
    assert width["naive"] < 0.6 * width["once"]


@pytest.mark.parametrize("name", KINDS["classification"].metrics)
def test_influences_add_up_to_the_variance(name: str) -> None:
    rng = np.random.default_rng(10)
    truth = np.r_[np.ones(150), np.zeros(250)].astype(np.int8)

    def entry() -> Estimate:
        scores = 1 / (1 + np.exp(-rng.normal(truth - 0.5, 1.0)))
        return COMPUTE[name](Scored(truth, scores, (scores > 0.5).astype(np.int8)))

    values = [entry().value for _ in range(400)]
    of_rows = entry().influence
    assert of_rows is not None
    assert math.sqrt(float(np.sum(of_rows() ** 2))) == pytest.approx(float(np.std(values)), rel=0.2)  # type: ignore[arg-type]
