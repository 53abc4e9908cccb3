"""Tiers and rank intervals: right against the textbook, honest about ties, fast enough for everybody."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn.metrics import roc_auc_score

from evaluator.scoring.ranking import compare, compare_accuracy, compare_ranks, holm, mcnemar, rank


def table(seed: int, strengths: list[float], n1: int = 40, n0: int = 60) -> tuple[np.ndarray, np.ndarray]:
    """Scores of one entry per strength, correlated as real entries are."""
    rng = np.random.default_rng(seed)
    truth = np.r_[np.ones(n1), np.zeros(n0)].astype(np.int8)
    shared = rng.normal(size=n1 + n0)
    return truth, np.array([s * truth + shared + 0.5 * rng.normal(size=n1 + n0) for s in strengths])


@given(seed=st.integers(0, 10**6), levels=st.sampled_from([2, 5, 1000]))
@settings(deadline=None, max_examples=50)
def test_areas_and_covariances_are_delongs(seed: int, levels: int) -> None:
    truth, scores = table(seed, [0.3, 1.0, 1.0], 12, 17)
    scores = np.round(scores * levels / 4)
    found = compare(truth, scores)
    v10 = np.array([[np.mean((x > s[truth == 0]) + 0.5 * (x == s[truth == 0])) for x in s[truth == 1]] for s in scores])
    v01 = np.array([[np.mean((s[truth == 1] > y) + 0.5 * (s[truth == 1] == y)) for y in s[truth == 0]] for s in scores])
    assert found.value == pytest.approx([roc_auc_score(truth, s) for s in scores], abs=1e-12)
    assert found.covariance == pytest.approx(np.cov(v10) / 12 + np.cov(v01) / 17, abs=1e-12)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=30))
@settings(deadline=None)
def test_holm_is_its_definition(values: list[float]) -> None:
    p, adjusted = np.array(values), holm(np.array(values))
    for alpha in (0.01, 0.05, 0.5):
        rejected = set()
        for step, index in enumerate(np.argsort(p, kind="stable")):
            if p[index] * (len(p) - step) >= alpha:
                break
            rejected.add(int(index))
        assert set(np.flatnonzero(adjusted < alpha).tolist()) == rejected


def test_copies_tie_and_clear_differences_part() -> None:
    truth, scores = table(3, [3.0, 0.0, 3.0], 200, 200)
    scores[2] = scores[0] * 2 + 1  # another scale, the same order
    found = rank(compare(truth, scores))
    assert found.tier.tolist() == [1, 2, 1]
    assert list(zip(found.rank_low.tolist(), found.rank_high.tolist(), strict=True)) == [(1, 2), (3, 3), (1, 2)]
    assert found.to_best[2] == found.to_best_low[2] == found.to_best_high[2] == 0
    assert found.to_best_high[1] < 0
    assert found.detectable is not None


def test_noise_is_one_tier() -> None:
    parted = 0
    for seed in range(200):
        truth, scores = table(seed, [0.5] * 8, 27, 59)
        parted += rank(compare(truth, scores)).tier.max() > 1
    assert (
        parted <= stats.binom.ppf(0.999, 200, 0.05) + 12
    )  # the leader is chosen as the best of eight: a little more than 5 %


def test_one_entry_and_none() -> None:
    truth, scores = table(1, [1.0])
    one = rank(compare(truth, scores))
    assert (one.tier.tolist(), one.rank_low.tolist(), one.rank_high.tolist(), one.detectable) == ([1], [1], [1], None)
    assert rank(compare(truth, scores[:0])).tier.tolist() == []


@given(b=st.integers(0, 60), c=st.integers(0, 60))
def test_mcnemar_is_scipys_binomial_test(b: int, c: int) -> None:
    expected = stats.binomtest(b, b + c).pvalue if b + c else 1.0
    assert float(mcnemar(b, c)) == pytest.approx(expected, abs=1e-12)


def test_accuracies_are_compared_by_mcnemar() -> None:
    rng = np.random.default_rng(1)
    truth = rng.integers(0, 2, 90).astype(np.int8)
    predictions = np.array([np.where(rng.random(90) < p, truth, 1 - truth) for p in (0.9, 0.6, 0.85)], dtype=np.int8)
    found = compare_accuracy(truth, predictions)
    right = predictions == truth
    for i, j in ((0, 1), (0, 2), (1, 2)):
        p = stats.binomtest(int(np.sum(right[i] & ~right[j])), int(np.sum(right[i] != right[j]))).pvalue
        assert found.p_values()[i, j] == pytest.approx(p)
    assert rank(found).tier.tolist() == [1, 2, 1]


def test_rank_correlations_are_compared_by_influence() -> None:
    rng = np.random.default_rng(5)
    target = np.round(rng.normal(size=60), 1)
    scores = np.array([np.round(target * w + rng.normal(size=60), 1) for w in (2.0, 0.2, 2.0)])
    scores[2] = scores[0] + np.where(np.arange(60) % 9, 0.0, 0.2)  # nearly the same
    found = compare_ranks(target, scores)
    assert found.value == pytest.approx([stats.spearmanr(target, s).statistic for s in scores])
    rows = [np.arange(60) != i for i in range(60)]  # the jackknife, which influence approximates
    left_out = np.array([[stats.spearmanr(target[r], s[r]).statistic for r in rows] for s in scores])
    jackknife = (left_out - left_out.mean(axis=1)[:, None]) * np.sqrt(59 / 60)
    assert found.covariance == pytest.approx(jackknife @ jackknife.T, rel=0.15, abs=2e-4)
    assert rank(found).tier.tolist() == [1, 2, 1]
    assert found.deviation()[0, 0] == 0


def test_equal_rank_correlations_are_told_apart_five_times_in_a_hundred() -> None:
    rng, apart = np.random.default_rng(6), 0
    for _ in range(400):
        target, shared = rng.normal(size=48), rng.normal(size=48)
        scores = np.array([0.7 * target + shared + 0.7 * rng.normal(size=48) for _ in range(2)])
        apart += compare_ranks(target, scores).p_values()[0, 1] < 0.05
    assert apart <= stats.binom.ppf(0.999, 400, 0.05)


def test_families_of_one_change_next_to_nothing() -> None:
    truth, scores = table(3, [0.5, 1.0, 1.5], 200, 200)
    alone = compare(truth, scores, np.arange(400))
    assert alone.covariance == pytest.approx(compare(truth, scores).covariance, rel=0.02, abs=1e-6)


def test_copies_of_rows_are_no_new_evidence() -> None:
    """Each row four times is worth each row once, if the copies are declared a family."""
    truth, scores = table(8, [0.3, 1.2], 30, 40)
    once = compare(truth, scores)
    copied = compare(np.tile(truth, 4), np.tile(scores, 4), np.tile(np.arange(70), 4))
    naive = compare(np.tile(truth, 4), np.tile(scores, 4))
    assert copied.value == pytest.approx(once.value)
    assert copied.deviation()[0, 1] == pytest.approx(once.deviation()[0, 1], rel=0.02)
    assert naive.deviation()[0, 1] < 0.6 * once.deviation()[0, 1]
    assert copied.freedom == once.freedom
