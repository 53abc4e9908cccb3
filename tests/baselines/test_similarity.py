"""Retrieval over models: what leaves the function leaves the embedding; figures against oracles; one whole report."""

from __future__ import annotations

import json
import pickle
import re
import struct
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import CliRunner, Result
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy import stats
from sklearn.metrics import average_precision_score

from baselines.cli import app
from baselines.errors import DataError
from baselines.similarity import (
    conclusions,
    experiment,
    keep,
    metrics,
    networks,
    simple,
    symmetries,
    symmetry,
    tasks,
    train,
    transfer,
    zoo,
)
from baselines.similarity.configuration import composed
from baselines.similarity.encoders import seen
from baselines.similarity.experiment import Fit
from baselines.similarity.networks import Networks
from baselines.similarity.schema import Training
from tests.baselines.test_few_shot import Planted
from tests.conftest import REAL_DATA

INPUTS = 6
CLOSE = 1e-5
SECTIONS = [
    *("Dataset statistics", "Hyperparameters", "Retrieval performance", "Transfer learning performance"),
    *("Symmetry robustness", "Clustering quality", "Overall model comparison", "Embedding visualisations"),
    *("Training history", "Conclusions", "Limitations and future work"),
]
TABLES = [
    "| Statistic | Value |",
    "| Model | precision@1 | precision@5 | precision@10 | mAP |",
    "| Model | Budget 10 | Budget 50 | Budget 100 |",
    "| Model | Mean Similarity | Min Similarity | Mean Distance | Max Distance |",
    "| Model | Silhouette Score | Davies-Bouldin Score |",
]
STILL = ("gnn", "transformer_canonical", "pca_canonical", "product", "behaviour")


def some(count: int = 6, padded: tuple[int, int] = zoo.PADDED) -> Networks:
    """Random networks of mixed widths."""
    widths = np.stack([np.resize(w, count) for w in zoo.WIDTHS], axis=1)
    return networks.drawn(widths, INPUTS, torch.Generator().manual_seed(1), padded).to(torch.float64)


def encoder(name: str, training: Training | None = None) -> train.Learned:
    torch.manual_seed(0)
    training = training or Training(hidden_dim=16, output_dim=8)
    return train.Learned(train.fresh(name, INPUTS, training), train.FORMS[name], np.zeros((0, 3)))


def panel(count: int = 30) -> torch.Tensor:
    return torch.randn(count, INPUTS, generator=torch.Generator().manual_seed(2), dtype=torch.float64)


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["retrieval", *map(str, arguments)])


@pytest.mark.parametrize("what", symmetry.KINDS.values(), ids=symmetry.KINDS)
def test_equivalent_networks_have_equal_outputs_and_other_weights(what: dict[str, bool]) -> None:
    given_ = some()
    moved = symmetries.moved(given_, torch.Generator().manual_seed(0), **what)
    symmetry.require_same(given_.logits(panel()), moved.logits(panel()))
    assert all((a - b).abs().max() > 0.01 for a, b in zip(given_.layers, moved.layers, strict=True))


@pytest.mark.parametrize("name", STILL)
def test_permutation_with_scaling_leaves_the_embedding(name: str) -> None:
    given_ = some()
    of = encoder(name) if name in train.FORMS else simple.made(name, given_, panel().numpy())
    vectors = of.embed(given_)
    for seed in range(3):
        moved = symmetries.moved(given_, torch.Generator().manual_seed(seed))
        assert np.abs(of.embed(moved) - vectors).max() < CLOSE
    assert np.abs(vectors - np.roll(vectors, 1, axis=0)).max() > 1e-3


@pytest.mark.parametrize("name", [*train.FORMS, "product", "behaviour"])
def test_permuting_one_side_only_moves_the_embedding(name: str) -> None:
    given_ = some()
    of = encoder(name) if name in train.FORMS else simple.made(name, given_, panel().numpy())
    first, second, last = given_.layers
    broken = Networks((first.flip(1)[:, :16].repeat(1, 2, 1), second, last), given_.widths)
    with pytest.raises(DataError, match="should be equivalent"):
        symmetry.require_same(given_.logits(panel()), broken.logits(panel()))
    assert np.abs(of.embed(given_) - of.embed(broken)).max(1).min() > 1e-3


@pytest.mark.parametrize("name", train.FORMS)
def test_padded_equals_unpadded(name: str) -> None:
    given_ = some()
    of = encoder(name)
    together = of.embed(given_)
    for number in range(len(given_)):
        alone = given_[number : number + 1].trimmed()
        assert alone.layers[0].shape[1:] == (given_.widths[number, 0], INPUTS + 1)
        padded = alone if name == "gnn" else given_[number : number + 1]
        assert np.abs(of.embed(padded) - together[number]).max() < CLOSE
        symmetry.require_same(given_.logits(panel())[number], alone.logits(panel())[0])


def test_a_hidden_unit_that_does_not_exist_reaches_no_encoder() -> None:
    given_ = some(1)
    first, second, last = (layer.clone() for layer in given_.layers)
    for name in train.FORMS:
        if name != "gnn":
            read = seen(Networks((first, second, last), given_.widths))
            torch.manual_seed(0)
            network = train.fresh(name, INPUTS, Training(hidden_dim=16, output_dim=8)).eval()
            changed = read._replace(layers=(read.layers[0].clone(), *read.layers[1:]))
            changed.layers[0][0, int(given_.widths[0, 0]) :] = 9.0
            assert torch.equal(network(read), network(changed))


def test_networks_side_by_side_are_trained_as_each_alone_by_torch() -> None:
    given_ = some(3).to(torch.float32)
    inputs, labels = panel(40).float(), (torch.arange(40) % 2).float()
    rate, decay, steps = torch.tensor([0.01, 0.02, 0.005]), torch.tensor([0.0, 0.1, 0.01]), torch.tensor([12, 5, 9])
    batch = inputs.expand(3, -1, -1), labels.expand(3, -1)
    found = networks.trained(given_, lambda _: batch, steps=steps, rate=rate, decay=decay)
    for number in range(3):
        layers = [layer[number : number + 1].clone().requires_grad_() for layer in given_.layers]
        optimizer = torch.optim.AdamW(layers, lr=float(rate[number]), weight_decay=float(decay[number]))
        for _ in range(int(steps[number])):
            optimizer.zero_grad()
            logits = networks.logits(layers, inputs)[0]
            torch.nn.functional.binary_cross_entropy_with_logits(logits, labels).backward()
            optimizer.step()
        for mine, layer in zip(found.layers, layers, strict=True):
            assert torch.allclose(mine[number], layer[0], atol=1e-5)


@settings(max_examples=25, deadline=None)
@given(arrays.arrays(np.float64, (12, 4), elements=st.floats(-1, 1, width=32)), st.integers(0, 2**31))
def test_metrics_are_those_of_scikit_learn(vectors: np.ndarray[Any, Any], seed: int) -> None:
    rng = np.random.default_rng(seed)
    vectors = simple.unit(vectors + 1e-3 * rng.standard_normal(vectors.shape))  # no ties
    task, rows = np.arange(12) % 3, np.arange(12)
    found = metrics.retrieved(vectors, task, rows, rows)
    for query in rows:
        others = rows[rows != query]
        likeness, same = vectors[others] @ vectors[query], task[others] == task[query]
        assert found.average_precision()[query] == pytest.approx(average_precision_score(same, likeness))
        nearest = same[np.argsort(-likeness)]
        for k in (1, 3, 5):
            precision, recall = nearest[:k].mean(), nearest[:k].sum() / same.sum()
            assert found.precision(k)[query] == pytest.approx(precision)
            assert found.recall(k)[query] == pytest.approx(recall)
            f1 = 2 * precision * recall / (precision + recall) if precision else 0
            assert found.f1(k)[query] == pytest.approx(f1)
        assert found.r_precision()[query] == pytest.approx(nearest[:3].mean())
    assert found.ceiling(5) == pytest.approx(3 / 5) and found.ceiling(1) == 1


def test_a_query_is_not_in_its_own_gallery_and_strangers_are() -> None:
    vectors = np.eye(6)
    task = np.array([0, 0, 1, 1, 2, 2])
    found = metrics.retrieved(vectors, task, np.arange(2), np.arange(6))
    assert found.hits[:, -1].tolist() == [False, False] and found.relevant.tolist() == [1, 1]


def test_intervals_are_as_wide_as_tasks_differ() -> None:
    of_task = np.random.default_rng(0).uniform(size=10)
    low, high = metrics.interval(np.repeat(of_task, 20), np.repeat(np.arange(10), 20))
    expected = stats.t.interval(0.95, 9, of_task.mean(), of_task.std(ddof=1) / 10**0.5)
    assert (low, high) == pytest.approx(expected)
    assert metrics.interval(np.ones(20), np.arange(20)) == (1.0, 1.0)
    assert metrics.interval(np.array([0.0, 1.0, 1.0]), np.arange(3)) == (0.0, 1.0)


def test_chance_is_where_random_vectors_are() -> None:
    task = np.arange(60) % 4
    inside = 0
    for seed in range(6):
        vectors = simple.random(60, seed)
        found = metrics.retrieved(vectors, task, np.arange(60), np.arange(60)).measured()
        for name, (low, high) in metrics.by_chance(vectors, task, np.arange(60), 1).items():
            inside += low <= found[name].mean() <= high
    assert inside >= 10  # of 12, at 95 % each
    perfect = simple.unit(np.eye(4)[task] + 1e-6)
    assert metrics.by_chance(perfect, task, np.arange(60), 1)["mAP"][1] < 0.5


def test_the_contrastive_loss_is_that_of_its_formula() -> None:
    vectors = torch.nn.functional.normalize(torch.randn(7, 5, generator=torch.Generator().manual_seed(0)), dim=1)
    labels = torch.tensor([0, 0, 1, 1, 1, 2, 0])
    expected = []
    for i in range(7):
        others = [j for j in range(7) if j != i]
        total = sum(np.exp(float(vectors[i] @ vectors[j]) / 0.1) for j in others)
        same = [j for j in others if labels[j] == labels[i]]
        if same:
            each = [-np.log(np.exp(float(vectors[i] @ vectors[j]) / 0.1) / total) for j in same]
            expected.append(np.mean(each))
    assert float(train.contrastive(vectors, labels, 0.1)) == pytest.approx(np.mean(expected), rel=1e-5)


def test_the_same_seed_trains_the_same_encoder() -> None:
    given_, task = some(12), np.arange(12) % 3
    training = Training(hidden_dim=16, output_dim=8, num_epochs=2)
    with experiment.one_thread():
        first, again, other = (
            train.fitted("gnn", given_, task, panel().numpy(), training, seed).embed(given_) for seed in (3, 3, 4)
        )
    assert (first == again).all() and np.abs(first - other).max() > 1e-3


def test_tasks_of_real_antibodies_are_halves() -> None:
    path = REAL_DATA / "train" / "boughter_vh.csv"
    if not path.is_file():
        pytest.skip("the published training set is not at hand")
    found = tasks.made(path, 0, 10, 1)
    assert found.source == "boughter" and found.labels.shape == (10, 914) and found.xor_labels.shape == (8, 914)
    assert (abs(found.labels.mean(1) - 0.5) < 0.15).all()
    assert np.allclose(found.inputs[found.parts["zoo"]].std(0, ddof=1), 1)
    rows = np.concatenate(list(found.parts.values()))
    assert sorted(rows) == list(range(914))


def test_the_third_loop_is_found() -> None:
    frame = "EVQLVESGGGLVQPGGSLRLSCAASGFTFSSYAMSWVRQAPGKGLEWVSAISGSGGSTYYADSVKGRFTISRDNSKNTLYLQMNSLRAEDTAVYYC"
    assert tasks.cdr3(frame + "ARDGTSLTVAGPLDY" + "WGQGTLVTVSS") == "ARDGTSLTVAGPLDY"
    assert tasks.cdr3(frame + "ARDYL" + "GQGTLVTVSS")


@pytest.mark.parametrize("kind", zoo.KINDS)
def test_statistics_of_a_zoo_add_up(kind: str) -> None:
    config = composed(["preset=brief", "preset.steps=[1,2]"])
    made = zoo.made(kind, tasks.made(None, 914, 6, 1), config.preset, 1)
    found = zoo.statistics(made.facts)
    assert found["total_models"] == 94 and found["unique_tasks"] == 6
    counts = {name: value for name, value in found.items() if name.startswith("models_by_")}
    assert len(counts) == 4 and all(sum(of.values()) == 94 for of in counts.values())
    assert ("parent" in found["missing"]) == (kind != "lineage")
    sizes = made.networks.parameters()
    assert found["parameter_count_stats"]["max"] == sizes.max()
    assert all(made.held_out[made.task == k].sum() == 6 for k in range(6))
    single = made.networks[:1].trimmed()
    assert sizes[0] == sum(layer.numel() for layer in single.layers)


def test_queries_never_find_their_own_task_where_it_is_out() -> None:
    config = composed(["preset=small", "preset.steps=[1,2]"])
    of = tasks.made(None, 914, 4, 1)
    made, asked = zoo.made("independent", of, config.preset, 1), transfer.queries(of, 8, 1)
    assert {len(rows) for rows in asked.labelled} == {10, 50, 100}
    assert not set(np.concatenate(asked.labelled)) & {*of.parts["zoo"], *of.parts["test"], *of.parts["panel"]}
    assert all(set(of.labels[k, rows]) == {0, 1} for k, rows in zip(asked.task, asked.labelled, strict=True))
    vectors = simple.random(len(made.task), 0)
    may = transfer.allowed(made, asked, "own task out")
    picks = transfer.references(of, made, asked, "own task out", 0)
    picks["nearest"] = transfer.nearest(vectors, vectors[: len(asked.task)], may)
    assert all((made.task[found] != asked.task).all() for found in picks.values())
    within = transfer.references(of, made, asked, "own task in", 0)
    assert (made.task[within[transfer.SAME_TASK]] == asked.task).all()


@pytest.mark.parametrize(
    ("overrides", "told"),
    [
        (["preset=nope"], "Available options in 'preset'"),
        (["preset.modles=3"], "preset.models"),
        (["preset.training.epochs=3"], "preset.training.num_epochs"),
        (["data.tran=x"], "data.train"),
        (["sed=3"], "preset, data, out, seed"),
        (["preset.models=many"], "many"),
        (["+preset.more=1"], "none is added"),
        (["data.train=nowhere.csv"], "nowhere.csv, which is not there"),
        (["preset.tasks=11"], "from 4 to 10"),
        (["preset.unseen_tasks=9"], "two to tell apart"),
        (["preset.models=30"], "two held out"),
        (["preset.held_out=1"], "between 0 and 1"),
        (["preset.steps=[9,4]"], "least and a largest"),
        (["preset.seeds=0"], "seeds must be 1"),
        (["preset.queries=3"], "one for each"),
        (["preset.training.temperature=0"], "temperature must be above 0"),
        (["preset.training.hidden_dim=30"], "multiple of 4"),
        (["preset.training.batch_size=5"], "batch_size is even"),
        (["preset.training.lambda_contrastive=2"], "lambda_contrastive is a share"),
        (["jobs=0"], "jobs"),
    ],
)
def test_what_cannot_be_is_told(overrides: list[str], told: str) -> None:
    done = run(*overrides)
    assert isinstance(done.exception, DataError) and re.search(told, str(done.exception)), done.exception


def test_few_sequences_are_told() -> None:
    with pytest.raises(DataError, match="700 are needed"):
        tasks.made(None, 100, 4, 1)


def header(declared: dict[str, object], length: int | None = None) -> bytes:
    text = json.dumps(declared).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text


HOSTILE: dict[str, Callable[[Path], bytes]] = {
    "pickle": lambda path: pickle.dumps(Planted(path)),
    "empty": lambda _: b"",
    "header of 10 GB": lambda _: header({}, 10 * 2**30),
    "tensor of 10 GB": lambda _: header(
        {"vectors": {"dtype": "F32", "shape": [2500000000], "data_offsets": [0, 10**10]}}
    ),
    "no facts": lambda _: header({"vectors": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}}) + bytes(8),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_stage_is_refused_with_its_name(name: str, tmp_path: Path) -> None:
    path = tmp_path / "fit-0.safetensors"
    path.write_bytes(HOSTILE[name](tmp_path / "trace"))
    with pytest.raises(DataError, match=r"fit-0\.safetensors"):
        keep.load(path, {"vectors": 2})
    assert not (tmp_path / "trace").exists()


@pytest.mark.parametrize(
    ("tensors", "told"),
    [
        ({"vectors": torch.full((2, 3), torch.nan)}, "not finite"),
        ({"vectors": torch.ones(5, 3)}, "not 2 rows"),
        ({"vectors": torch.ones(2, 3), "more": torch.ones(1)}, "other tensors"),
    ],
)
def test_other_shapes_and_numbers_that_are_none_are_refused(
    tensors: dict[str, torch.Tensor], told: str, tmp_path: Path
) -> None:
    path = tmp_path / "fit-0.safetensors"
    keep.save(path, tensors)
    with pytest.raises(DataError, match=rf"fit-0\.safetensors.*{told}"):
        keep.load(path, {"vectors": 2})


@pytest.mark.parametrize(
    ("low", "high", "said"),
    [
        (0.01, 0.2, "outperforms"),
        (-0.01, 0.2, "cannot be told"),
        (0.0, 0.0, "cannot"),
        (-0.2, -0.01, "is outperformed"),
    ],
)
def test_outperforms_is_said_where_an_interval_excludes_0(low: float, high: float, said: str) -> None:
    assert conclusions.verdict({"value": 0.1, "low": low, "high": high}).startswith(said)


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Result]:
    out = tmp_path_factory.mktemp("reports")
    done = run("preset=small", "jobs=1", f"out={out}")
    assert done.exit_code == 0, done.output
    return out, done


def test_the_report_has_its_sections_and_columns_in_their_order(small: tuple[Path, Result]) -> None:
    out, done = small
    text = (out / "retrieval.md").read_text()
    assert done.stdout.strip() == text.strip()
    assert re.findall(r"^## \d+\. (.+)$", text, re.MULTILINE) == SECTIONS
    places = [text.index(head) for head in TABLES]
    assert places == sorted(places)
    images = re.findall(r"!\[[^]]+\]\(([^)]+)\)", text)
    assert len(images) > 20 and all((out / image).read_text().startswith("<?xml") for image in images)
    assert "synthetic, and their measured label follows a made-up rule" in text
    for title in experiment.METHODS.values():
        assert f"| {title} |" in text


def test_figures_of_the_report_hold_together(small: tuple[Path, Result]) -> None:
    found = json.loads((small[0] / "retrieval.json").read_text())
    for method in STILL:
        of = found["symmetry"]["both"][method]
        assert of["min_similarity"] > 1 - CLOSE and of["max_distance"] < CLOSE
    assert found["symmetry"]["both"]["pca"]["min_similarity"] < 0.9
    assert (
        found["retrieval"]["behaviour"]["precision@1"]["value"] > found["retrieval"]["random"]["precision@1"]["value"]
    )
    for method, of in found["controls"]["shuffled"].items():
        assert method in experiment.LEARNED or of["mAP"]["inside"], method
    assert all(of[n]["own_task"] == 0 for of in found["transfer"]["own task out"].values() for n in of)
    assert all(
        of[n]["own_task"] == 1 for n in ("10", "50") for of in [found["transfer"]["own task in"][transfer.SAME_TASK]]
    )
    assert len(found["history"]["gnn"]["loss"]) == 2 and found["history"]["gnn"]["loss"][0][0] > 0
    losses = np.array([found["history"]["gnn"][name] for name in ("loss", "contrastive", "panel")])
    assert np.allclose(losses[0], 0.8 * losses[1] + 0.2 * losses[2]) and (losses[0, :, -1] < losses[0, :, 0]).all()


def test_finished_stages_are_kept_and_damaged_ones_told(small: tuple[Path, Result]) -> None:
    out, _ = small
    config = composed(["preset=small", "jobs=1", f"out={out}"])
    before = {path: path.stat().st_mtime_ns for path in out.glob("retrieval/kept/*")}
    kept = experiment.run(config)
    assert before == {path: path.stat().st_mtime_ns for path in out.glob("retrieval/kept/*")}
    fit = Fit("independent", "gnn", 0)
    assert kept.outcomes[fit].vectors.shape == (64, 64) and len(before) == 5 + len(kept.outcomes)
    path = experiment.path_of(config, kept.tasks, fit)
    whole = path.read_bytes()
    path.write_bytes(whole[:-8])
    with pytest.raises(DataError, match=path.name):
        experiment.load_fit(config, kept.tasks, fit)
    path.write_bytes(whole)
    task, _ = pickle.loads(pickle.dumps((partial(experiment.make_fit, config), fit)))  # noqa: S301 - our own
    assert task(fit)[0] == fit
