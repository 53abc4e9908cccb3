"""Few-shot models by their contract: three files in, a score for each query out, whatever the support tells."""

from __future__ import annotations

import math
import pickle
import random
import string
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from baselines.backbones.tokens import RESIDUES
from baselines.errors import DataError
from baselines.few_shot import episodes, store
from baselines.few_shot.episodes import Model, Task
from baselines.few_shot.meta import report
from baselines.few_shot.meta.landscapes import landscapes
from baselines.few_shot.metalic import AxialNetwork, Metalic, Residues
from baselines.few_shot.predict import predict
from baselines.few_shot.reptile import Reptile, ReptileNetwork
from baselines.few_shot.simple import Simple, ridge
from baselines.few_shot.sparse import InContext, SparseNetwork
from baselines.few_shot.tokens import ABSENT, labels, of_task
from tests.support import esm, few_shot

CLOSE = 1e-5


def metalic(steps: int = 3) -> Metalic:
    torch.manual_seed(0)
    network = AxialNetwork(21, layers=2, width=16, heads=4, inner=32, hidden=2).eval()
    return Metalic(network, Residues("one_hot", 0), steps, 1e-3, 5e-3)


@pytest.fixture(scope="module", params=["ridge", "gp", "sparse", "reptile", "metalic", "ridge on a backbone"])
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Model:
    torch.manual_seed(0)
    if request.param in {"ridge", "gp"}:
        return Simple(request.param)
    if request.param == "sparse":
        return InContext(SparseNetwork(layers=2, width=32))
    if request.param == "reptile":
        return Reptile(ReptileNetwork(32), 5, 0.1)
    if request.param == "metalic":
        return metalic()
    return Simple("ridge", str(esm.make(tmp_path_factory.mktemp("esm"), "esm2", width=16, layers=1)))


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return few_shot.folder(tmp_path_factory.mktemp("run"))


@pytest.fixture(scope="module")
def tasks(run: Path) -> list[Task]:
    return episodes.read(run)


def answered(model: Model, tasks: Sequence[Task]) -> dict[str, float]:
    return {name: score for task in tasks for name, score in zip(task.query_ids, model.scores(task), strict=True)}


def assert_same(first: dict[str, float], second: dict[str, float]) -> None:
    assert first.keys() == second.keys()
    assert max(abs(first[name] - second[name]) for name in first) < CLOSE


def test_a_run_is_read_as_it_was_written(tasks: list[Task]) -> None:
    assert [t.task_id for t in tasks] == ["t1", "t2", "t3", "t4"]
    assert [t.wild_type for t in tasks] == [few_shot.PARENT, few_shot.PARENT, "", ""]
    assert all(len(t.support) == 12 and len(t.queries) == 7 for t in tasks)
    assert tasks[2].support[0].light and not tasks[3].support[0].light and tasks[3].queries[0].light


def test_the_order_of_rows_and_tasks_changes_nothing(model: Model, run: Path, tmp_path: Path) -> None:
    rng = random.Random(1)
    for path in run.parent.glob("*.csv"):
        header, *rows = path.read_text().splitlines()
        rng.shuffle(rows)
        (tmp_path / path.name).write_text("\n".join([header, *rows]) + "\n")
    assert_same(answered(model, episodes.read(run)), answered(model, episodes.read(tmp_path / run.name)))


def test_a_score_does_not_depend_on_the_other_queries(model: Model, tasks: list[Task]) -> None:
    alone = [
        replace(task, queries=task.queries[k : k + 1], query_ids=task.query_ids[k : k + 1])
        for task in tasks
        for k in range(len(task.queries))
    ]
    assert_same(answered(model, tasks), answered(model, alone))


@pytest.mark.parametrize("rows", [0, 1, 2, 12])
@pytest.mark.parametrize("equal", [True, False])
def test_small_and_constant_supports_give_finite_scores(
    model: Model, tasks: list[Task], rows: int, equal: bool
) -> None:
    for task in tasks:
        targets = np.full(rows, 3.0) if equal else task.targets[:rows]
        found = model.scores(replace(task, support=task.support[:rows], targets=targets))
        assert found.shape == (7,) and np.isfinite(found).all()


def test_large_and_shifted_targets_rank_as_small_ones(model: Model, tasks: list[Task]) -> None:
    for task in tasks:
        larger = replace(task, targets=task.targets * 1e4 + 1e6)
        assert report.spearman(model.scores(larger), model.scores(task)) == pytest.approx(1, abs=1e-9)


@pytest.mark.parametrize("scale", [1e-200, 1e-160, 1e200, 1e307])
def test_targets_too_small_or_too_large_to_be_squared_give_finite_scores(
    model: Model, tasks: list[Task], scale: float
) -> None:
    for task in tasks:
        assert np.isfinite(model.scores(replace(task, targets=task.targets / 10 * scale))).all()


def test_queries_that_see_each_other_are_those_of_one_chunk(tasks: list[Task]) -> None:
    model = metalic(steps=0)
    model.network.transductive = True
    task = replace(tasks[0], chunks=("a", "b", "a", "b", "b", "a", "a"))
    by_chunk = np.empty(7)
    for rows in ([0, 2, 5, 6], [1, 3, 4]):
        by_chunk[rows] = model.scores(replace(task.picked(rows), chunks=()))
    assert np.abs(model.scores(task) - by_chunk).max() < CLOSE
    assert np.abs(model.scores(replace(task, chunks=())) - by_chunk).max() > CLOSE


def test_without_light_chains_and_with_unknown_residues(model: Model, tasks: list[Task]) -> None:
    task = tasks[2]
    queries = tuple(replace(q, heavy=f"XB{q.heavy}", light="") for q in task.queries)
    assert np.isfinite(model.scores(replace(task, queries=queries))).all()


def test_the_parent_itself_and_no_queries(model: Model, tasks: list[Task]) -> None:
    task = tasks[0]
    parent = replace(task, queries=(episodes.Antibody(few_shot.PARENT),), query_ids=("wt",))
    assert np.isfinite(model.scores(parent)).all()
    assert model.scores(replace(task, queries=(), query_ids=())).shape == (0,)


def test_an_image_answers_every_query(tmp_path: Path, run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("baselines.few_shot.predict.AT_ONCE", 3)
    (tmp_path / "model").mkdir()
    text = '{"schema_version": "1", "name": "ridge", "settings": {"type": "ridge"}}'
    (tmp_path / "model" / store.METADATA).write_text(text)
    assert predict(tmp_path / "model", run, tmp_path / "out.csv") == 4
    found = few_shot.scores(tmp_path / "out.csv")
    assert_same(found, answered(Simple("ridge"), episodes.read(run)))


def test_a_support_with_a_header_alone_gives_net_charge(tmp_path: Path) -> None:
    source = few_shot.folder(tmp_path, support=0)
    for task in episodes.read(source):
        charges = [sum(map((q.heavy + q.light).count, "KR")) - sum(map((q.heavy + q.light).count, "DE"))
                   for q in task.queries]  # fmt: skip
        assert Simple("gp").scores(task).tolist() == charges


@pytest.mark.parametrize(
    ("name", "old", "new", "told"),
    [
        ("support.csv", "t1,t1s0,", "t1,t1s0,1", "row 1"),
        ("tasks.csv", "t1,", "t9,", "has no task 't1'"),
        ("tasks.csv", "kind", "sort", "needs the columns kind and wild_type"),
        ("sequences.csv", "t1q13", "t1q12", "stands in row"),
        ("tasks.csv", f"t1,12,7,single,{few_shot.PARENT}", f"t1,12,7,single,{few_shot.PARENT}A", "row 1.*26 .*27"),
    ],
)
def test_what_is_wrong_is_told(tmp_path: Path, name: str, old: str, new: str, told: str) -> None:
    source = few_shot.folder(tmp_path)
    path = tmp_path / name
    path.write_text(path.read_text().replace(old, new, 1))
    with pytest.raises(DataError, match=told):
        episodes.read(source)


CHAINS = st.text(RESIDUES, min_size=1, max_size=30)
NAMES = st.text(string.ascii_letters + string.digits + "-_ ,\"'", min_size=1, max_size=12)


@settings(max_examples=30, deadline=None)
@given(st.dictionaries(NAMES, st.tuples(CHAINS, st.floats(-1e6, 1e6)), min_size=1, max_size=8), NAMES)
def test_any_names_and_numbers_are_read_back(
    tmp_path_factory: pytest.TempPathFactory, rows: dict[str, tuple[str, float]], task: str
) -> None:
    folder = tmp_path_factory.mktemp("any")
    asked = [(name, chain, task, "c") for name, (chain, _) in rows.items()]
    known = [(task, name, chain, repr(target)) for name, (chain, target) in rows.items()]
    few_shot.write(folder / "sequences.csv", ("sequence_id", "sequence", "task_id", "chunk_id"), asked)
    few_shot.write(folder / "support.csv", ("task_id", "sequence_id", "sequence", "target"), known)
    few_shot.write(folder / "tasks.csv", ("task_id", "kind", "wild_type", "more"), [(task, "panel", "", "1")])
    (found,) = episodes.read(folder / "sequences.csv")
    assert dict(zip(found.query_ids, (q.heavy for q in found.queries), strict=True)) == {
        name: chain for name, (chain, _) in rows.items()
    }
    assert sorted(found.targets) == sorted(target for _, target in rows.values())


def test_ridge_takes_the_penalty_of_the_least_error_left_out() -> None:
    from sklearn.linear_model import Ridge

    from baselines.few_shot.simple import ALPHAS

    rng = np.random.default_rng(0)
    x, queries = rng.standard_normal((14, 30)), rng.standard_normal((5, 30))
    y = x[:, 0] + 0.3 * rng.standard_normal(14)
    z = (y - y.mean()) / y.std()

    def error(alpha: float) -> float:
        rows = np.arange(14)
        return sum(
            float((Ridge(alpha).fit(x[rows != k], z[rows != k]).predict(x[k : k + 1])[0] - z[k]) ** 2) for k in rows
        )

    best = min(ALPHAS, key=error)
    expected = Ridge(best).fit(x, z).predict(queries) * y.std() + y.mean()
    assert np.abs(ridge(x, y, queries) - expected).max() < 1e-6


PUBLISHED = {"single": {16: (0.140, 0.141), 128: (0.401, 0.405)}, "multiple": {16: (0.255, 0.235), 128: (0.499, 0.504)}}
"""Of the prototype: Spearman of ridge and Gaussian process."""


def test_the_simple_models_reproduce_the_prototype() -> None:
    methods: dict[str, Model] = {"ridge": Simple("ridge"), "gp": Simple("gp"), "zero": report.Zero()}
    found = report.compared(methods, 50)
    for (kind, k), of in found.items():
        for name, value in zip(("ridge", "gp"), PUBLISHED[kind][k], strict=True):
            assert of[name].mean() == pytest.approx(value, abs=0.05), (kind, k, name)
        assert abs(of["zero"].mean()) < 0.08


def test_half_of_the_landscapes_are_upside_down() -> None:
    first, second = (landscapes(np.random.default_rng(3), 10, 40, "multiple") for _ in range(2))
    assert (first.targets == second.targets).all() and (first.wild == second.wild).all()
    parents, combined = landscapes(np.random.default_rng(3), 4, 30, "combinations"), set()
    for number in range(4):
        sequences = parents.sequences(number)
        combined |= {sum(len({s[k] for s in sequences}) > 1 for k in range(60))}
    assert combined <= set(range(8, 15))


def test_padding_changes_nothing_for_the_sparse_network(tasks: list[Task]) -> None:
    torch.manual_seed(0)
    network = SparseNetwork(layers=2, width=32).eval()
    task, k = tasks[1], 12
    tokens, measured = of_task(task), labels(task.targets[None])
    wild, mutant = (torch.nn.functional.pad(part, (0, 3), value=20) for part in (tokens.wild, tokens.mutant))
    position = torch.nn.functional.pad(tokens.position, (0, 3), value=ABSENT)
    wider = replace(tokens, wild=wild, mutant=mutant, position=position)
    with torch.inference_mode():
        plain, padded = (network(t.rows(None, k), measured, t.rows(k, None)) for t in (tokens, wider))
    assert (plain - padded).abs().max() < CLOSE


class Planted:
    """What would leave a trace if it were loaded."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (Path.touch, (self.path,))  # type: ignore[return-value]


@pytest.mark.parametrize("name", [store.WEIGHTS, store.METADATA])
def test_a_planted_pickle_is_not_loaded(tmp_path: Path, name: str) -> None:
    settings_ = {"type": "sparse", "layers": 1, "width": 16, "heads": 4, "inner": 16}
    store.save(tmp_path, store.network(settings_), {"name": "x", "settings": settings_})
    assert isinstance(store.load(tmp_path), InContext)
    (tmp_path / name).write_bytes(pickle.dumps(Planted(tmp_path / "trace")))
    with pytest.raises(DataError):
        store.load(tmp_path)
    assert not (tmp_path / "trace").exists()


@pytest.mark.parametrize("change", [{"type": "other"}, {"layers": None}, {"width": 32}])
def test_metadata_that_do_not_fit_are_refused(tmp_path: Path, change: dict[str, object]) -> None:
    settings_ = {"type": "sparse", "layers": 1, "width": 16, "heads": 4, "inner": 16}
    store.save(tmp_path, store.network(settings_), {"name": "x", "settings": {**settings_, **change}})
    with pytest.raises(DataError):
        store.load(tmp_path)


def test_spearman_of_constant_scores_is_nothing() -> None:
    assert report.spearman(np.zeros(5), np.arange(5.0)) == 0
    assert math.isclose(report.spearman(np.array([1.0, 1, 2]), np.array([1.0, 2, 3])), math.sqrt(3) / 2)
