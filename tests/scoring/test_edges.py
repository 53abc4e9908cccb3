"""Scores whose variance cannot be estimated: perfect, constant, inverted, tied. Neither certain nor all alike."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from evaluator.contract.arrays import Floats, LabelArray
from evaluator.contract.task_types import turned_round
from evaluator.scoring import intervals, permutation
from evaluator.scoring.metrics import score
from evaluator.scoring.ranking import compare, compare_accuracy, compare_ranks, rank

TRUTH = np.r_[np.ones(10), np.zeros(30)].astype(np.int8)
PERFECT = np.r_[np.linspace(0.6, 0.9, 10), np.linspace(0.1, 0.5, 30)]
CONSTANT = np.full(40, 0.5)


def test_perfect_constant_and_inverted_are_three_tiers() -> None:
    found = compare(TRUTH, np.array([PERFECT, CONSTANT, 1 - PERFECT]))
    exact = stats.mannwhitneyu(PERFECT[:10], PERFECT[10:], method="exact").pvalue
    assert found.p_values()[0] == pytest.approx([1, exact, exact])  # 2 of 847,660,528 orders
    ranks = rank(found)
    assert ranks.tier.tolist() == ranks.rank_low.tolist() == ranks.rank_high.tolist() == [1, 2, 3]
    assert ranks.detectable is not None and ranks.detectable > 0
    assert ranks.to_best_low[1] < -0.5 < ranks.to_best_high[1] < 0


def test_one_swapped_pair_is_not_surer_than_none() -> None:
    near = PERFECT.copy()
    near[0] = 0.495
    perfect, swapped = (compare(TRUTH, np.array([s, CONSTANT])).p_values()[0, 1] for s in (PERFECT, near))
    assert perfect <= swapped < 1e-6


@pytest.mark.parametrize(("n1", "n0"), [(5, 10), (7, 391), (91, 46)])
@pytest.mark.parametrize("families", [False, True])
def test_perfect_against_constant_is_told_from_five_positives_on(n1: int, n0: int, families: bool) -> None:
    truth = np.r_[np.ones(n1), np.zeros(n0)].astype(np.int8)
    two = np.array([truth + np.linspace(0, 0.5, n1 + n0), np.zeros(n1 + n0)])
    p = compare(truth, two, np.arange(n1 + n0) // 2 if families else None).p_values()[0, 1]
    assert 0 < p < 0.05


def test_two_perfect_entries_are_alike_but_not_for_certain() -> None:
    rng = np.random.default_rng(0)
    other = np.r_[2 + rng.permutation(10), rng.permutation(30) / 30]
    ranks = rank(compare(TRUTH, np.array([PERFECT, other, PERFECT * 2])))
    assert ranks.tier.tolist() == [1, 1, 1]
    assert ranks.to_best_low[1] < 0 < ranks.to_best_high[1]
    assert ranks.to_best_low[2] == ranks.to_best_high[2] == 0  # the same order of all rows


@pytest.mark.parametrize("n", [4, 5, 8, 20, 197])
def test_opposite_rank_correlations_do_not_depend_on_rounding(n: int) -> None:
    target = np.random.default_rng(n).normal(size=n)
    p = compare_ranks(target, np.array([target, -target, 3 * target])).p_values()
    assert p[0, 1] == pytest.approx(2 * np.exp(-np.sum(np.log(np.arange(1, n + 1)))))
    assert p[0, 2] == 1


def test_all_right_against_all_wrong_in_families() -> None:
    families = np.arange(40) // 4
    p = compare_accuracy(TRUTH, np.array([TRUTH, 1 - TRUTH, TRUTH]), families).p_values()
    assert p[0, 1] == pytest.approx(2**-9) and p[0, 2] == 1


rows = st.lists(st.tuples(st.integers(0, 2), st.integers(-2, 2)), min_size=3, max_size=7)


@given(rows)
@settings(deadline=None, max_examples=60)
def test_the_extreme_is_counted_and_the_rest_is_near(pairs: list[tuple[int, int]]) -> None:
    truth, apart = (np.array(column, dtype=float) for column in zip(*pairs, strict=True))
    sums = np.array([t @ apart for t in map(np.array, permutations(truth))])
    observed = truth @ apart
    above = np.mean(sums >= observed - 1e-9), np.mean(sums <= observed + 1e-9)
    p = permutation.p_value(truth, apart)
    if np.ptp(truth) == 0 or np.ptp(apart) == 0:
        assert p == 1
    elif observed >= sums.max() - 1e-9 or observed <= sums.min() + 1e-9:
        assert p == pytest.approx(min(1.0, 2 * min(above)))
    else:
        assert 0 < p <= 1


def pairs_of(kind: str, n1: int, n0: int, rng: np.random.Generator) -> Floats:
    n, good = n1 + n0, 2.0 * np.r_[np.ones(n1), np.zeros(n0)]
    shared, two = rng.normal(size=n), rng.normal(size=(2, n))
    made: dict[str, Floats] = {
        "against a constant": np.array([shared, np.zeros(n)]),
        "nearly copies": np.array([shared, np.where(rng.random(n) < 0.1, two[0], shared)]) + good,
        "unrelated": two,
        "good": two + good,
        "ties": np.round(two + good / 2),
    }
    return made[kind]


@pytest.mark.parametrize("kind", ["against a constant", "unrelated", "good", "ties", "nearly copies"])
@pytest.mark.parametrize(("n1", "n0"), [(3, 9), (10, 30)])
def test_equal_areas_part_at_most_five_times_in_a_hundred(kind: str, n1: int, n0: int) -> None:
    rng, truth, times = np.random.default_rng(11), np.r_[np.ones(n1), np.zeros(n0)].astype(np.int8), 400
    apart = sum(compare(truth, pairs_of(kind, n1, n0, rng)).p_values()[0, 1] < 0.05 for _ in range(times))
    assert apart <= stats.binom.ppf(0.999, times, 0.05)


@pytest.mark.parametrize("n", [8, 15, 60])
def test_no_correlation_parts_from_a_constant_five_times_in_a_hundred(n: int) -> None:
    rng, times = np.random.default_rng(12), 400
    two = (np.array([rng.normal(size=n), np.zeros(n)]) for _ in range(times))
    apart = sum(compare_ranks(rng.normal(size=n), scores).p_values()[0, 1] < 0.05 for scores in two)
    assert apart <= stats.binom.ppf(0.999, times, 0.05)


@pytest.mark.parametrize(("n1", "n0"), [(2, 2), (10, 30), (400, 400)])
def test_no_interval_of_a_perfect_score_is_a_point(n1: int, n0: int) -> None:
    truth = np.r_[np.ones(n1), np.zeros(n0)].astype(np.int8)
    found = score(truth, truth.astype(float), truth).metrics
    for name, e in found.items():
        assert e.low is not None and e.high is not None
        if name == "brier":
            assert (e.value, e.low) == (0, 0) and 0 < e.high < 0.5
        else:
            assert (e.value, e.high) == (1, 1) and 0 < e.low < 1
    correlation = score(np.arange(float(n1 + n0)), np.arange(float(n1 + n0)), None).metrics["spearman"]
    assert correlation.low is not None and correlation.low < 1 and correlation.value == correlation.high == 1


@pytest.mark.parametrize("n", [5.0, 48.0])
def test_ends_of_a_rank_correlation_grow_with_it(n: float) -> None:
    ends = np.array([intervals.spearman(v, n, 0.95) for v in np.linspace(-1, 1, 801).tolist()])
    assert (np.diff(ends, axis=0) >= -1e-12).all()
    assert ends[::-1] * [-1, -1] == pytest.approx(ends[:, ::-1])


def simulated(separation: float, times: int = 600) -> dict[str, float]:
    """How often the intervals of 10 + 30 rows hold the true value."""
    rng, truth = np.random.default_rng(13), TRUTH
    large = np.r_[np.ones(20_000), np.zeros(60_000)].astype(np.int8)

    def draw(y: LabelArray) -> Floats:
        return np.asarray(1 / (1 + np.exp(-(rng.normal(size=len(y)) + separation * (y - 0.5)))))

    scores = draw(large)
    true = {k: e.value for k, e in score(large, scores, (scores > 0.5).astype(np.int8)).metrics.items()}
    held = dict.fromkeys(("average_precision", "brier", "roc_auc"), 0)
    for _ in range(times):
        scores = draw(truth)
        found = score(truth, scores, (scores > 0.5).astype(np.int8)).metrics
        for name in held:
            low, value, high = found[name].low, true[name], found[name].high
            assert low is not None and value is not None and high is not None
            held[name] += low <= value <= high
    return {name: count / times for name, count in held.items()}


@pytest.mark.parametrize(("separation", "least"), [(2, 0.925), (3, 0.925), (4, 0.90)])
def test_intervals_of_good_scores_cover(separation: int, least: float) -> None:
    found = simulated(separation)
    assert all(covered >= least for covered in found.values()), found


def test_a_turned_sign_is_hinted_at() -> None:
    assert "sign turned round" in turned_round(score(TRUTH, 1 - PERFECT, 1 - TRUTH).metrics)
    target = np.arange(30.0)
    assert "Spearman -1.000" in turned_round(score(target, -target, None).metrics)
    assert (
        turned_round(score(TRUTH, PERFECT, TRUTH).metrics) == turned_round(score(TRUTH, CONSTANT, TRUTH).metrics) == ""
    )
