"""Few-shot scores: scipy's correlations, means over replicates and tasks, and intervals that hold what they promise."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.stats import spearmanr

from evaluator.contract.arrays import Floats
from evaluator.contract.episodes import Splits, pieces
from evaluator.contract.few_shot import FewShot
from evaluator.scoring import metrics, ranking
from evaluator.scoring.few_shot import of_scores
from evaluator.scoring.scored import Scored
from tests.contract.test_few_shot import FEW, splits

ALL = {0, 1, 2}


def scored(made: Splits, score: Floats) -> Scored:
    return Scored(made.truth, score, splits=made)


def noisy(made: Splits, noise: float, seed: int = 1) -> Floats:
    return made.truth + noise * np.random.default_rng(seed).normal(size=len(made.truth))


def means(made: Splits, score: Floats, wanted: int, *, shuffled: bool = False, tasks: set[int] = ALL) -> float:
    """By scipy: over replicates of each of some tasks, then over these."""
    found: dict[int, list[float]] = {}
    for episode, asked, mine in pieces(made, score):
        if episode.size == wanted and episode.shuffled == shuffled and asked.task in tasks:
            truth = made.targets[made.few_shot.tasks[asked.task].queries][asked.queries]
            found.setdefault(asked.task, []).append(float(spearmanr(truth, mine).statistic))
    return float(np.mean([np.mean(values) for values in found.values()]))


def test_values_are_scipys_averaged_over_replicates_then_tasks() -> None:
    made = splits()
    score = noisy(made, 1.0)
    found = metrics.measure(scored(made, score)).metrics
    assert list(found) == ["spearman_few", "spearman_k0", "spearman_k16", "spearman_shuffled", "support_gain"]
    assert found["spearman_k0"].value == pytest.approx(means(made, score, 0), abs=1e-12)
    assert found["spearman_few"].value == pytest.approx(means(made, score, 16), abs=1e-12)
    assert found["spearman_k16"].value == pytest.approx(means(made, score, 16, tasks={0, 1}), abs=1e-12)
    assert found["spearman_shuffled"].value == pytest.approx(means(made, score, 16, shuffled=True), abs=1e-12)


def test_ties_are_averaged_and_a_constant_score_is_worth_0() -> None:
    made = splits()
    coarse = np.round(noisy(made, 0.3))
    assert metrics.measure(scored(made, coarse)).metrics["spearman_k0"].value == pytest.approx(means(made, coarse, 0))
    flat = metrics.measure(scored(made, np.zeros(len(made.truth)))).metrics
    assert {estimate.value for estimate in flat.values()} == {0.0}


def test_few_clusters_say_that_they_carry_no_interval_for_other_assays() -> None:
    made = splits()
    estimate = metrics.measure(scored(made, noisy(made, 1.0))).metrics["spearman_few"]
    assert estimate.reason == "for these assays alone: 1 cluster of tasks carry no interval for others"
    assert estimate.low is not None and estimate.high is not None and estimate.value is not None
    assert estimate.low < estimate.value < estimate.high


def many(clusters: int, *, seed: int) -> Splits:
    """A track with as many assays that have nothing in common, each with an effect of its own."""
    rng = np.random.default_rng(seed)
    names = [f"a{k}" for k in range(clusters)]
    tasks = [{"id": f"task-{k}", "title": k, "support": k, "queries": k, "kind": "panel", "cluster": k} for k in names]
    few: dict[str, Any] = {**FEW, "tasks": tasks, "sizes": [16], "replicates": 2, "canaries": 0}
    n = 40 * clusters
    targets = {name: np.full(n, np.nan) for name in names}
    for k, name in enumerate(names):
        targets[name][40 * k : 40 * (k + 1)] = rng.normal(size=40)
    chains = {"sequence": tuple(f"{k:05d}" for k in range(n))}
    return Splits(FewShot.model_validate(few), tuple(map(str, range(n))), chains, targets)


def test_with_many_clusters_the_interval_is_of_clusters() -> None:
    """Each task has a correlation of its own: the interval holds their mean about as often as it says."""
    inside, trials = 0, 60
    for seed in range(trials):
        made = many(8, seed=seed)
        rng = np.random.default_rng(1000 + seed)
        strength = rng.uniform(0, 2, size=8)
        _, task, _ = made.rows
        score = strength[task] * made.truth + rng.normal(size=len(made.truth))
        estimate = metrics.measure(scored(made, score)).metrics["spearman_few"]
        assert estimate.reason is None and estimate.low is not None and estimate.high is not None
        inside += estimate.low <= EXPECTED <= estimate.high
    assert inside >= 0.85 * trials


def _expected() -> float:
    """The mean correlation over all tasks that there could be."""
    rng = np.random.default_rng(7)
    found = []
    for strength in np.linspace(0, 2, 41):
        truth = rng.normal(size=4000)
        found.append(spearmanr(truth, strength * truth + rng.normal(size=4000)).statistic)
    return float(np.mean(found))


EXPECTED = _expected()


def test_within_an_assay_the_interval_knows_that_replicates_ask_for_the_same_antibodies() -> None:
    """An entry that scores each antibody alike in every run: many replicates are no more data than one."""
    few: dict[str, Any] = {**FEW, "tasks": FEW["tasks"][:1], "replicates": 20, "canaries": 0, "sizes": [0, 16]}
    inside, widths = 0, []
    for seed in range(40):
        made = splits(80, few=few, seed=seed, missing=0)
        rng = np.random.default_rng(500 + seed)
        of_antibody = made.targets["a"] + rng.normal(size=80)
        _, _, antibody = made.rows
        estimate = metrics.measure(scored(made, of_antibody[antibody])).metrics["spearman_k0"]
        assert estimate.low is not None and estimate.high is not None
        inside += estimate.low <= 0.69 <= estimate.high  # 6 / pi asin(rho / 2) for rho = 1 / sqrt(2)
        widths.append(estimate.high - estimate.low)
    assert inside >= 34
    assert 0.15 < np.mean(widths) < 0.5


@pytest.mark.parametrize("replicates", [2, 3, 10])
def test_few_draws_of_supports_are_counted_as_few(replicates: int) -> None:
    """Scores whose quality depends on the support: the interval of a task holds as often as it says."""
    few: dict[str, Any] = {**FEW, "tasks": FEW["tasks"][:1], "replicates": replicates, "canaries": 0, "sizes": [16]}
    inside, trials = 0, 150
    for seed in range(trials):
        made, rng = splits(400, few=few, seed=seed, missing=0), np.random.default_rng(700 + seed)
        scores = []
        for _, asked, _ in pieces(made, np.zeros(len(made.truth))):
            truth, rho = made.targets["a"][asked.queries], float(np.clip(rng.normal(0.4, 0.15), -0.9, 0.9))
            scores.append(rho * truth + np.sqrt(1 - rho**2) * rng.standard_normal(len(truth)))
        low, high = of_scores(made, np.concatenate(scores)).named("spearman_k16").interval(0.95)
        inside += low <= 6 / np.pi * np.arcsin(0.4 / 2) <= high
    assert inside >= 0.9 * trials


def test_a_single_draw_carries_no_interval() -> None:
    few: dict[str, Any] = {**FEW, "tasks": FEW["tasks"][:1], "replicates": 1, "canaries": 0, "sizes": [16]}
    made = splits(90, few=few, missing=0)
    estimate = metrics.measure(scored(made, noisy(made, 1.0))).metrics["spearman_few"]
    assert (estimate.low, estimate.high) == (-1, 1) and "single draw" in str(estimate.reason)


def test_an_entry_is_paired_with_another_on_the_same_antibodies() -> None:
    made = splits(90, missing=0)
    base = noisy(made, 1.0)
    near = base + 0.01 * np.random.default_rng(2).normal(size=len(base))
    far = noisy(made, 1.0, seed=3)
    pair = ranking.PAIRED["spearman_few"]([scored(made, s) for s in (base, near, far)])
    deviation = pair.deviation()
    assert deviation[0, 1] < deviation[0, 2] / 5
    values = [metrics.measure(scored(made, s)).metrics["spearman_few"].value for s in (base, near, far)]
    assert pair.value.tolist() == pytest.approx(values)
    assert ranking.PAIRED["spearman_few"]([scored(made, base), scored(made, base)]).deviation()[0, 1] == 0


def test_each_task_has_a_value_of_its_own() -> None:
    made = splits()
    score = noisy(made, 1.0)
    few = scored(made, score).few_shot
    of_tasks = [few.of_task(k, 16).value for k in range(3)]
    assert np.mean(of_tasks) == pytest.approx(few.named("spearman_few").value)


def test_means_at_different_sizes_are_over_the_same_tasks() -> None:
    """An entry that uses no support is worth the same at every size, though one task has not all of them."""
    made = splits()
    _, _, antibody = made.rows
    alike = np.random.default_rng(4).normal(size=len(made.ids))[antibody]
    found = metrics.measure(scored(made, alike)).metrics
    assert found["spearman_k0"].value == found["spearman_k16"].value
    assert found["support_gain"].value == 0 and (found["support_gain"].low, found["support_gain"].high) == (0, 0)


def test_the_worth_of_a_support_is_against_the_same_draws_shuffled() -> None:
    made = splits()
    run, _, _ = made.rows
    shuffled = np.array([episode.shuffled for episode in made.episodes])[run]
    rng = np.random.default_rng(5)
    score = np.where(shuffled, 0.0, made.truth) + rng.normal(size=len(made.truth))
    found = metrics.measure(scored(made, score)).metrics
    draws = [k for k, (episode, _, _) in enumerate(pieces(made, score)) if episode.size == 16 and episode.replicate < 2]
    parts = list(pieces(made, score))
    values: dict[bool, dict[int, list[float]]] = {True: {}, False: {}}
    for k in draws:
        episode, asked, mine = parts[k]
        truth = made.targets[made.few_shot.tasks[asked.task].queries][asked.queries]
        values[episode.shuffled].setdefault(asked.task, []).append(float(spearmanr(truth, mine).statistic))
    with_it, without = (np.mean([np.mean(v) for v in values[kind].values()]) for kind in (False, True))
    gain = found["support_gain"]
    assert gain.value == pytest.approx(with_it - without) and gain.low is not None and gain.low > 0


def test_a_size_that_few_clusters_have_carries_no_interval_for_others() -> None:
    """Six clusters at 16, two of them at 64: no interval for other assays, and nothing that is not a number."""
    rng = np.random.default_rng(6)
    names = [f"a{k}" for k in range(6)]
    tasks = [
        {"id": f"task-{k}", "title": k, "support": k, "queries": k, "kind": "panel", "cluster": k,
         "sizes": [16, 64] if k in {"a0", "a1"} else [16]}
        for k in names
    ]  # fmt: skip
    few: dict[str, Any] = {**FEW, "tasks": tasks, "sizes": [16, 64], "replicates": 2, "canaries": 0}
    targets = {name: np.full(90 * 6, np.nan) for name in names}
    for k, name in enumerate(names):
        targets[name][90 * k : 90 * (k + 1)] = rng.normal(size=90)
    made = Splits(
        FewShot.model_validate(few),
        tuple(map(str, range(540))),
        {"sequence": tuple(f"{k:05d}" for k in range(540))},
        targets,
    )
    estimate = metrics.measure(scored(made, noisy(made, 1.0))).metrics["spearman_few"]
    assert estimate.reason is not None and "2 clusters" in estimate.reason
    assert estimate.low is not None and estimate.high is not None and estimate.high - estimate.low < 0.4
    pair = ranking.PAIRED["spearman_few"]([scored(made, noisy(made, 1.0)), scored(made, noisy(made, 1.0, seed=9))])
    assert 0 < pair.deviation()[0, 1] < 0.2
