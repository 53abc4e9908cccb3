"""Tiers and rank intervals: right against the textbook, honest about ties, fast enough for everybody."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn.metrics import roc_auc_score

from evaluator.ranking import compare, holm, rank


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
    assert found.auc == pytest.approx([roc_auc_score(truth, s) for s in scores], abs=1e-12)
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
