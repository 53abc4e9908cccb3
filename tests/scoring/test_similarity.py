"""How alike entries behave: held against scipy and the bootstrap, and near copies told from what only correlates."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from scipy.spatial.distance import pdist, squareform
from sklearn.metrics import cohen_kappa_score

from evaluator.contract.arrays import Floats
from evaluator.scoring.similarity import CUT, Behaviours, error_agreement, logits

N = 512


def behaviours(seed: int = 0) -> tuple[Behaviours, dict[str, Floats]]:
    """A model, a near copy of it on another scale, two that only correlate, its opposite, and one of its own."""
    rng = np.random.default_rng(seed)
    base, other = rng.normal(size=N), rng.normal(size=N)
    scores = {
        "base": base,
        "copy": 3 * base + 0.01 * other - 1,
        "correlates": base + 0.3 * other,
        "loosely": base + other,
        "opposite": -base,
        "other": other,
    }
    squashed = {name: 1 / (1 + np.exp(-x)) for name, x in scores.items()}
    return Behaviours.of({name: x.tolist() for name, x in squashed.items()}), squashed


def test_correlations_are_scipys() -> None:
    found, scores = behaviours()
    for i, a in enumerate(found.ids):
        for j, b in enumerate(found.ids):
            assert found.cosine[i, j] == pytest.approx(
                stats.pearsonr(logits(scores[a]), logits(scores[b]))[0], abs=1e-9
            )
            assert found.spearman[i, j] == pytest.approx(stats.spearmanr(scores[a], scores[b])[0], abs=1e-9)


def test_intervals_are_those_of_the_bootstrap() -> None:
    found, scores = behaviours(1)
    rng = np.random.default_rng(2)
    [n] = [n for n in found.neighbours("base") if n.id == "correlates"]
    rows = rng.integers(0, N, (2000, N))
    a, b = logits(scores["base"]), logits(scores["correlates"])
    pearson = [float(np.corrcoef(a[r], b[r])[0, 1]) for r in rows]
    rank = [float(stats.spearmanr(a[r], b[r])[0]) for r in rows[:500]]
    assert [n.low, n.high] == pytest.approx(np.quantile(pearson, [0.025, 0.975]), abs=0.006)
    assert [n.spearman_low, n.spearman_high] == pytest.approx(np.quantile(rank, [0.025, 0.975]), abs=0.012)


def test_a_near_copy_is_told_and_what_only_correlates_is_not() -> None:
    found, _ = behaviours()
    assert found.near_copies() == [("base", "copy")]
    first, *rest = found.neighbours("copy")
    assert (first.id, first.near_copy) == ("base", True) and first.low > 0.999
    assert not any(n.near_copy for n in rest) and next(n for n in rest if n.id == "correlates").cosine > 0.9
    assert found.neighbours("copy")[-1].id == "opposite" and found.neighbours("copy")[-1].cosine < -0.99


def test_one_sequence_on_which_two_agree_makes_no_near_copy() -> None:
    rng = np.random.default_rng(3)
    a, b = rng.uniform(0.4, 0.6, N), rng.uniform(0.4, 0.6, N)
    a[0] = b[0] = 1.0
    found = Behaviours.of({"a": a.tolist(), "b": b.tolist()})
    assert found.near_copies() == [] and abs(found.spearman[0, 1]) < 0.2


def test_clusters_hold_only_what_is_alike_two_by_two() -> None:
    found, _ = behaviours()
    for k in set(found.clusters.tolist()):
        inside = np.flatnonzero(found.clusters == k)
        assert (found.cosine[np.ix_(inside, inside)] >= CUT - 1e-9).all()
    named = dict(zip(found.ids, found.clusters.tolist(), strict=True))
    assert named["base"] == named["copy"] == named["correlates"] != named["other"]


def test_the_map_keeps_distances_and_is_the_same_every_time() -> None:
    found, _ = behaviours()
    three = Behaviours(found.ids[:3], found.scores[:3])
    places, shown = three.map  # three points lie in a plane
    assert shown == pytest.approx(1) and squareform(pdist(places)) == pytest.approx(
        np.sqrt(2 * (1 - three.cosine)), abs=2e-6
    )
    assert (behaviours()[0].map[0] == found.map[0]).all()


@given(st.lists(st.sampled_from([0.0, 0.2, 0.5, 1.0]), min_size=5, max_size=5), st.integers(0, 4))
def test_few_and_equal_scores_break_nothing(scores: list[float], entries: int) -> None:
    found = Behaviours.of({f"e{k}": scores[k:] + scores[:k] for k in range(entries)})
    assert len(found.ids) == (entries if len(set(scores)) > 1 else 0)
    assert np.isfinite(found.cosine).all() and np.isfinite(found.map[0]).all()
    assert all(-1 <= n.low <= n.cosine <= n.high <= 1 for i in found.ids for n in found.neighbours(i))


def test_errors_agree_as_cohens_kappa_says() -> None:
    rng = np.random.default_rng(4)
    wrong = (rng.random((3, 200)) < [[0.3], [0.3], [0.5]]).astype(float)
    wrong[1, :120] = wrong[0, :120]
    observed, kappa = error_agreement(wrong)
    assert observed[0, 1] == (wrong[0] == wrong[1]).mean()
    for i, j in ((0, 1), (0, 2), (1, 2)):
        assert kappa[i, j] == pytest.approx(cohen_kappa_score(wrong[i], wrong[j]))
    assert np.isnan(error_agreement(np.zeros((2, 9)))[1]).all()
