"""The model zoo: heads on frozen features, stored without anything that could run, routed, resumable, packaged."""

from __future__ import annotations

import csv
import json
import pickle
import shutil
import subprocess
import time
from pathlib import Path

import docker
import numpy as np
import pandas as pd
import psutil
import pytest
import skops.io
import yaml
from click.testing import CliRunner, Result
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from baselines.backbones import processor
from baselines.cli import app
from baselines.errors import DataError
from baselines.predicting import store
from baselines.predicting.features import Features
from baselines.speed import loads, measure
from baselines.training import folds, heads, intervals, train
from baselines.training.data import TrainingSet, read_dataset, read_training_set
from baselines.training.heads import HEADS
from baselines.training.synthetic import antibodies
from evaluator.scoring import metrics
from tests.conftest import BIN, REAL_DATA, ROOT, Workspace
from tests.support import esm, lanes
from tests.support.antibody_models import weights

real_data = pytest.mark.skipif(not REAL_DATA.is_dir(), reason="the real data are not at hand")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("data") / "train.csv"
    antibodies(150, seed=3).to_csv(path, index=False)
    return path


@pytest.fixture(scope="module")
def training(data: Path) -> TrainingSet:
    return read_training_set(data)


@pytest.fixture(scope="module", params=esm.FAMILIES)
def backbone(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return esm.make(tmp_path_factory.mktemp("zoo") / f"tiny-{request.param}", request.param, layers=2)


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(a) for a in arguments])


# --- folds -----------------------------------------------------------------------------------------------------------


def levenshtein(a: str, b: str) -> int:
    row = list(range(len(b) + 1))
    for x, left in enumerate(a, start=1):
        before, row[0] = row[0], x
        for y, right in enumerate(b, start=1):
            before, row[y] = row[y], min(row[y] + 1, row[y - 1] + 1, before + (left != right))
    return row[-1]


@given(st.lists(st.text("AC", min_size=18, max_size=24), min_size=2, max_size=7))
@settings(max_examples=80, deadline=None)
def test_clusters_are_connected_by_identity(texts: list[str]) -> None:
    found = folds.clusters(texts, 0.85)
    names = list(range(len(texts)))
    for i in range(len(texts)):  # by hand: join until nothing changes
        for j in range(i):
            if levenshtein(texts[i], texts[j]) <= 0.15 * max(len(texts[i]), len(texts[j])) + 1e-9:
                names = [names[j] if n == names[i] else n for n in names]
    assert [[a == b for b in found] for a in found] == [[a == b for b in names] for a in names]


@real_data
def test_near_copies_in_the_real_training_set() -> None:
    found = folds.clusters(read_training_set(REAL_DATA / "train" / "boughter_vh.csv").sequences)
    sizes = np.bincount(found)
    assert int(sizes[sizes > 1].sum()) == 317
    assert len(found) == 914


# --- heads and the store ---------------------------------------------------------------------------------------------

FEW_TREES = {"random_forest": {"n_estimators": 10}, "xgboost": {"n_estimators": 10}, "bagged": {"n_estimators": 5}}


@pytest.mark.parametrize("head", HEADS)
def test_every_head_is_trained_stored_and_read_back_with_the_same_bytes(
    training: TrainingSet, head: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folds, "FOLDS", 3)
    features = Features("composition")
    x = features.matrix(training.sequences)
    few = FEW_TREES.get(head, {})
    folders = [train.train(features, x, training, head, tmp_path / n, seed=7, parameters=few) for n in ("one", "two")]
    assert folders[0] == tmp_path / "one" / "checkpoints" / "composition" / head
    for name in (store.MODEL, store.METADATA):
        assert (folders[0] / name).read_bytes() == (folders[1] / name).read_bytes()
    trained = store.load(folders[0])
    score = trained.model.predict_proba(x)[:, 1]
    assert ((score >= 0) & (score <= 1)).all() and np.ptp(score) > 0.1
    found = trained.metadata
    assert found["classifier"]["type"] == head and found["classifier"]["parameters"]
    assert found["training"]["sha256"] == training.sha256 and found["seed"] == 7
    for kind in ("stratified", "by_cluster"):
        assert set(found["cross_validation"][kind]) == {"accuracy", "f1", "roc_auc"}
        assert found["cross_validation"][kind]["roc_auc"]["sd"] >= 0


def clonal() -> TrainingSet:
    """40 negatives apart from each other, 12 positives of one clone and two others."""
    rows = antibodies(60, 3)
    texts = rows["sequence"].tolist()
    clone = [texts[0][:k] + "A" + texts[0][k + 1 :] for k in range(20, 32)]
    return TrainingSet("other", (*texts[:40], *clone, *texts[40:42]), (0,) * 40 + (1,) * 14, "0" * 64)


@pytest.mark.parametrize("head", HEADS)
def test_a_fold_that_a_head_cannot_be_fitted_on_is_left_out_and_told(head: str, tmp_path: Path) -> None:
    data, features = clonal(), Features("composition")
    x, few = features.matrix(data.sequences), FEW_TREES.get(head, {})
    folder = train.train(features, x, data, head, tmp_path, parameters=few)
    left_out = 10 - store.load(folder).metadata["cross_validation"]["by_cluster"]["accuracy"]["folds"]
    assert left_out == (1 if heads.fewest(head) > 2 else 0)
    assert ("1 left out" in train.summary(folder)[1]) == bool(left_out)


@pytest.mark.parametrize("head", HEADS)
def test_a_head_can_be_fitted_on_as_few_rows_as_it_says(head: str) -> None:
    fewest = heads.fewest(head)
    rng = np.random.default_rng(0)
    y = np.array([1] * fewest + [0] * 40)
    heads.fresh(head, 1).fit(rng.normal(size=(len(y), 4)), y)


@pytest.fixture
def model(training: TrainingSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(folds, "FOLDS", 3)
    features = Features("composition")
    return train.train(features, features.matrix(training.sequences), training, "logreg", tmp_path / "models")


class Evil:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (Path("/tmp/apb-evil").touch, ())  # type: ignore[return-value]  # noqa: S108


@pytest.mark.parametrize("name", [store.MODEL, store.METADATA])
def test_a_pickle_in_place_of_any_file_is_refused_and_not_run(model: Path, name: str) -> None:
    mark = Path("/tmp/apb-evil")  # noqa: S108
    mark.unlink(missing_ok=True)
    evil = pickle.dumps(Evil())
    (model / name).write_bytes(evil)
    if name == store.MODEL:
        metadata = json.loads((model / store.METADATA).read_text())
        import hashlib

        metadata["model_sha256"] = hashlib.sha256(evil).hexdigest()
        (model / store.METADATA).write_text(json.dumps(metadata))
    with pytest.raises(DataError):
        store.load(model)
    assert not mark.exists()


def test_types_that_no_head_is_made_of_are_refused(model: Path) -> None:
    import hashlib
    import os

    strange = make_pipeline(FunctionTransformer(os.system), StandardScaler(), LogisticRegression())
    content = skops.io.dumps(strange)
    metadata = json.loads((model / store.METADATA).read_text())
    metadata["model_sha256"] = hashlib.sha256(content).hexdigest()
    (model / store.MODEL).write_bytes(content)
    (model / store.METADATA).write_text(json.dumps(metadata))
    with pytest.raises(DataError, match="not allowed"):
        store.load(model)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"model_sha256": "0" * 64}, "is not the model of its metadata"),
        ({"classifier": {"type": "svm", "class": "SVC"}}, "holds no SVC"),
        ({"backbone": [{"name": "composition", "width": 23}]}, "takes 24 features"),
        ({"sklearn": "0.1.0"}, "was written by scikit-learn 0.1.0"),
        ({"schema_version": "9"}, "is not valid"),
    ],
)
def test_metadata_that_do_not_fit_are_refused(model: Path, change: dict[str, object], told: str) -> None:
    metadata = json.loads((model / store.METADATA).read_text())
    (model / store.METADATA).write_text(json.dumps({**metadata, **change}))
    with pytest.raises(DataError, match=told):
        store.load(model)


def test_a_model_on_other_features_is_refused(model: Path, backbone: Path) -> None:
    with pytest.raises(DataError, match="was trained on composition"):
        store.require_backbone(store.load(model), Features(str(backbone)))


# --- the command line ------------------------------------------------------------------------------------------------


@real_data
def test_plain_descriptors_on_the_real_sets(tmp_path: Path) -> None:
    hidden = ",".join(str(REAL_DATA / "hidden" / name) for name in ("jain", "shehata", "vhh48"))
    train = REAL_DATA / "train" / "boughter_vh.csv"
    arguments = (
        *("train", "--multirun", "model=composition", "classifier=logreg,svm", f"data.train={train}"),
        *(f"data.test=[{hidden}]", f"out={tmp_path}"),
    )
    done = run(*arguments)
    assert done.exit_code == 0, done.output
    with (tmp_path / "comparison.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert [row["head"] for row in rows] == ["logreg", "svm"]
    assert 0.65 < float(rows[0]["CV roc_auc mean"]) < 0.75  # 0.701 when it was written
    assert float(rows[0]["cluster CV roc_auc mean"]) < float(rows[0]["CV roc_auc mean"])
    assert float(rows[0]["jain roc_auc"]) > 0.6 and float(rows[0]["vhh48 spearman"]) > 0.4
    place = tmp_path / "benchmarks" / "composition" / "logreg"
    assert sorted(p.name for p in place.iterdir()) == ["jain", "shehata", "vhh48"]
    assert sorted(p.name for p in (place / "jain").iterdir()) == [
        "confusion_matrix.csv", "metrics.json", "predictions.csv",
    ]  # fmt: skip
    with (place / "shehata" / "predictions.csv").open() as stream:
        predictions = list(csv.DictReader(stream))
    assert len(predictions) == 398 and set(predictions[0]) == {"sequence_id", "prediction", "score", "label"}
    assert not list(tmp_path.rglob("unknown"))
    assert "<svg" in (tmp_path / "comparison.svg").read_text()
    again = run(*arguments)
    assert again.output.count(": kept") == 2


def test_a_small_esm_and_the_fusion_of_two(backbone: Path, data: Path, tmp_path: Path) -> None:
    other = esm.make(tmp_path / "other", "esm2", layers=1, seed=5)
    out = tmp_path / "out"
    specs = f"{backbone},{backbone}+{other}"
    done = run(
        "train", "-m", "model=checkpoint", f"model.backbone={specs}", f"data.train={data}", f"data.test=[{data}]",
        f"out={out}", f"cache={tmp_path / 'cache'}",
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    for name, width in ((backbone.name, 64), (f"{backbone.name}+other", 128)):
        found = store.load(out / "checkpoints" / name / "logreg")
        assert found.model.n_features_in_ == width
        assert all(len(part["sha256"]) == 64 and part["revision"] for part in found.metadata["backbone"])
        assert (out / "benchmarks" / name / "logreg" / "train" / "metrics.json").is_file()
    assert len(list((tmp_path / "cache").glob("*.sqlite"))) == 2

    target = tmp_path / "predictions.csv"
    checkpoint = out / "checkpoints" / backbone.name / "logreg"
    done = run("predict", "--model", checkpoint, "--input", data, "--output", target, "--backbone", backbone)
    assert done.exit_code == 0, done.output
    written = (out / "benchmarks" / backbone.name / "logreg" / "train" / "predictions.csv").read_text().splitlines()
    assert [line.split(",")[:2] for line in target.read_text().splitlines()] == [w.split(",")[:2] for w in written]
    done = run("predict", "--model", checkpoint, "--input", data, "--output", target, "--backbone", other)
    assert done.exit_code == 1 and "was trained on" in done.output + str(done.exception)


def test_names_that_would_share_a_folder_are_refused(data: Path, tmp_path: Path) -> None:
    for name in ("a", "b"):
        esm.make(tmp_path / name / "model", "esm2", layers=1)
    specs = f"{tmp_path}/a/model,{tmp_path}/b/model"
    there = (f"data.train={data}", f"out={tmp_path / 'out'}")
    done = run("train", "--multirun", "model=checkpoint", f"model.backbone={specs}", *there)
    assert isinstance(done.exception, DataError) and "Two of these would be written to" in str(done.exception)
    done = run("train", "--multirun", "classifier.C=0.1,1", *there)
    assert isinstance(done.exception, DataError) and "its own classifier.name" in str(done.exception)
    done = run("train", *there, f"data.test=[{data},{data}]")
    assert isinstance(done.exception, DataError) and "Two datasets" in str(done.exception)


@pytest.mark.parametrize(
    ("rows", "told"),
    [
        ("ACD,0\n" * 30 + "".join(f"{'ACDEFGHIK'[k]}CDEFG,1\n" for k in range(5)), "10 folds need"),
        ("".join(f"{'A' * 40}{'CD'[k % 2]},{k % 2}\n" for k in range(60)), "10 folds need"),
        ("AC1,0\nACD,1\n", "stands for no residue"),
    ],
)
def test_a_training_set_that_will_not_do_is_told(tmp_path: Path, rows: str, told: str) -> None:
    (tmp_path / "train.csv").write_text(f"sequence,label\n{rows}")
    done = run("train", "classifier=svm", f"data.train={tmp_path / 'train.csv'}", f"out={tmp_path}")
    assert isinstance(done.exception, DataError) and told in str(done.exception)


@pytest.mark.parametrize(
    "text", ["sequence,label\n", "sequence,label\nACD,0.7\n", "sequence,label\nACD,2\n", "x\n1\n", ""]
)
def test_a_dataset_that_is_none_is_told(tmp_path: Path, text: str) -> None:
    (tmp_path / "test.csv").write_text(text)
    with pytest.raises(DataError):
        read_dataset(tmp_path / "test.csv")


def test_labels_of_other_sequences_are_refused(tmp_path: Path) -> None:
    (tmp_path / "sequences.csv").write_text("sequence_id,sequence\na,ACD\nb,ACD\n")
    (tmp_path / "labels.csv").write_text("sequence_id,label\na,1\nc,0\n")
    with pytest.raises(DataError, match="same ids"):
        read_dataset(tmp_path)


def test_plain_descriptors_see_clean_sequences() -> None:
    found = Features("composition").matrix(["EVQLV", "ev-q.lv "])
    assert (found[0] == found[1]).all()
    assert Features("composition").matrix([]).shape == (0, 24)


def test_a_damaged_model_is_trained_again(data: Path, tmp_path: Path) -> None:
    arguments = ("train", "--multirun", f"data.train={data}", f"out={tmp_path}")
    assert run(*arguments).exit_code == 0
    (tmp_path / "checkpoints" / "composition" / "logreg" / store.MODEL).write_bytes(b"torn")
    assert "composition logreg: trained" in run(*arguments).output
    assert "composition logreg: kept" in run(*arguments).output


def test_unknown_names_are_told(data: Path, tmp_path: Path) -> None:
    for arguments, told in (
        (
            ("classifier=oracle",),
            "Available options in 'classifier': attention bagged calibrated cross_stacking",
        ),
        (("model=esm99",), "Available options in 'model': antiberty"),
        (("model=checkpoint", "model.backbone=esm99"), "Known are esm1v"),
        (("model=checkpoint", "model.backbone=a+b+c"), "no two joined"),
        (("model=checkpoint",), "missing mandatory value"),
        (("clasifier=svm",), "Known are: model, classifier, data, out"),
        (("classifier.c=1",), "logreg: C, tune"),
        (("classifier.C=strong",), "'strong' of type 'str' could not be converted to Float"),
        (("model.precision=fp64",), "Known are: fp32, bf16, fp16"),
        (("model=composition,antiberty",), "--multirun"),
        (("+classifier._target_=os.system",), "none is added"),
        (("data.train=nowhere.csv",), "nowhere.csv"),
    ):
        done = run("train", f"data.train={data}", f"out={tmp_path}", *arguments)
        assert isinstance(done.exception, DataError) and told in str(done.exception)


def test_what_flags_named_is_told(data: Path) -> None:
    done = run("train", "--backbone", "composition", "--data", data)
    assert done.exit_code == 2 and "Write model=, classifier=, data.train=" in done.output


def test_groups_of_ones_own_and_nothing_is_made_from_a_name(data: Path, tmp_path: Path) -> None:
    own, there = tmp_path / "own", (f"data.train={data}", f"out={tmp_path / 'out'}")
    (own / "classifier").mkdir(parents=True)
    (own / "data").mkdir()
    (own / "classifier" / "weak.yaml").write_text("defaults: [logreg]\nname: weak\nC: 0.001\n")
    (own / "classifier" / "evil.yaml").write_text(f"defaults: [logreg]\n_target_: os.system\n_args_: [touch {own}/x]\n")
    (own / "classifier" / "oracle.yaml").write_text("type: oracle\n")
    (own / "data" / "mine.yaml").write_text(f"train: {data}\n")
    done = run("train", "-m", "--config-dir", own, "data=mine", f"out={tmp_path / 'out'}", "classifier=logreg,weak")
    assert done.exit_code == 0, done.output
    for name, strength in (("logreg", 0.1), ("weak", 0.001)):
        folder = tmp_path / "out" / "checkpoints" / "composition" / name
        trained = store.load(folder)
        assert trained.model[-1].C == trained.metadata["configuration"]["classifier"]["C"] == strength
        assert yaml.safe_load((folder / "config.yaml").read_text())["classifier"]["C"] == strength
        assert str(data) not in json.dumps(trained.metadata)
    done = run("train", "--config-dir", own, "classifier=evil", *there)
    assert isinstance(done.exception, DataError) and "'_target_' not in 'Logreg'" in str(done.exception)
    assert not (own / "x").exists()
    done = run("train", "--config-dir", own, "classifier=oracle", *there)
    assert isinstance(done.exception, DataError) and "Known are: logreg, calibrated, bagged, svm" in str(done.exception)
    done = run("train", "--config-dir", tmp_path / "nowhere", *there)
    assert isinstance(done.exception, DataError) and "is no folder" in str(done.exception)


def test_a_failure_stops_no_other_and_several_processes_give_the_same(data: Path, tmp_path: Path) -> None:
    tables: list[object] = []
    for jobs in (1, 2):
        out = tmp_path / str(jobs)
        done = run(
            "train", "-m", "model=checkpoint", "model.backbone=nowhere,composition", "classifier=logreg,mlp",
            f"data.train={data}", f"data.test=[{data}]", f"out={out}", "sweep=processes", f"sweep.jobs={jobs}",
        )  # fmt: skip
        assert isinstance(done.exception, DataError)
        assert str(done.exception) == "2 of 4 failed: nowhere logreg, nowhere mlp."
        assert "composition mlp: trained" in done.output
        tables.append((out / "comparison.csv").read_text())
        models = [(out / "checkpoints" / "composition" / head / store.MODEL).read_bytes() for head in ("logreg", "mlp")]
        tables.append(models)
    assert tables[:2] == tables[2:]


def test_each_family_is_left_out_and_one_of_a_single_class_has_no_area(data: Path, tmp_path: Path) -> None:
    rows = list(csv.DictReader(data.open()))
    family = {r["sequence_id"]: ("mouse" if k % 3 else "flu") for k, r in enumerate(rows)}
    for row in [r for r in rows if r["label"] == "1"][:4]:
        family[row["sequence_id"]] = "gut"
    origin = tmp_path / "origin.csv"
    origin.write_text("sequence_id,family\n" + "".join(f"{k},{v}\n" for k, v in family.items()))
    there = (f"data.train={data}", f"data.origin={origin}", f"out={tmp_path}")
    done = run("train", *there)
    assert done.exit_code == 0, done.output
    metadata = store.load(tmp_path / "checkpoints" / "composition" / "logreg").metadata
    found = metadata["cross_validation"]["by_family"]
    assert found["gut"] == {
        "n": 4, "positives": 4, "roc_auc": None, "reason": "all of its rows are of one class",
    }  # fmt: skip
    assert "trained without gut (4 rows, 4 positive): no ROC-AUC" in done.output
    x = Features("composition").matrix([r["sequence"] for r in rows])
    y, out = np.array([int(r["label"]) for r in rows]), np.array([family[r["sequence_id"]] == "flu" for r in rows])
    score = heads.fresh("logreg", 1).fit(x[~out], y[~out]).predict_proba(x[out])[:, 1]
    assert found["flu"]["roc_auc"] == pytest.approx(roc_auc_score(y[out], score), abs=1e-6)
    assert found["flu"]["low"] < found["flu"]["roc_auc"] < found["flu"]["high"]
    assert "kept" in run("train", "-m", *there).output
    assert "without flu roc_auc" in (tmp_path / "comparison.md").read_text()
    assert "trained" in run("train", "-m", f"data.train={data}", f"out={tmp_path}").output
    origin.write_text("sequence_id,family\nnobody,flu\n")
    done = run("train", *there)
    assert isinstance(done.exception, DataError) and "names no family of it" in str(done.exception)


def test_a_stack_over_two_backbones_gives_each_its_own_columns(data: Path, tmp_path: Path) -> None:
    weights("sapiens")
    there = (f"data.train={data}", f"out={tmp_path}")
    both = ("model=pair", "model.backbone=composition+sapiens", "classifier=cross_stacking")
    done = run("train", *both, *there)
    assert done.exit_code == 0, done.output
    folder = tmp_path / "checkpoints" / "composition+sapiens" / "cross_stacking"
    stack = store.load(folder).model[-1]
    assert [len(member[-1].coef_[0]) for member in stack.estimators_] == [24, 128]
    assert len(stack.final_estimator_.coef_[0]) == 2
    done = run("predict", "--model", folder, "--input", data, "--output", tmp_path / "p.csv")
    assert done.exit_code == 0, done.output
    assert "kept" in run("train", "-m", *both, *there).output


def test_a_sweep_that_was_killed_goes_on_where_it_was(data: Path, tmp_path: Path) -> None:
    arguments = ("train", "-m", "classifier=logreg,svm,mlp", "sweep=processes", f"data.train={data}", f"out={tmp_path}")
    first = tmp_path / "checkpoints" / "composition" / "logreg" / store.METADATA
    with subprocess.Popen([BIN / "apb-zoo", *arguments], stdout=subprocess.DEVNULL) as process:
        while not first.is_file() and process.poll() is None:
            time.sleep(0.02)
        workers = psutil.Process(process.pid).children(recursive=True)
        process.kill()
    assert workers
    assert psutil.wait_procs(workers, timeout=20)[1] == []  # nobody waits for work that will not come
    assert not (tmp_path / "comparison.csv").exists()
    before = first.stat().st_mtime_ns
    done = run(*arguments)
    assert done.exit_code == 0, done.output
    assert "composition logreg: kept" in done.output and "composition mlp: trained" in done.output
    assert first.stat().st_mtime_ns == before
    assert len((tmp_path / "comparison.csv").read_text().splitlines()) == 4


@given(st.integers(0, 10_000), st.integers(1, 60), st.integers(1, 60), st.booleans())
@settings(deadline=None, max_examples=60)
def test_intervals_are_near_those_of_the_benchmark(seed: int, positives: int, negatives: int, ties: bool) -> None:
    rng = np.random.default_rng(seed)
    y = np.array([1] * positives + [0] * negatives)
    score = rng.normal(size=len(y)) + y * rng.uniform(0, 3)
    score = np.round(score) if ties else score
    found, theirs = intervals.roc_auc(y, score), metrics.score(y.astype(np.int8), score, None).metrics.get("roc_auc")
    assert found and found[0] == pytest.approx(roc_auc_score(y, score), abs=1e-12)
    assert 0 <= found[1] <= found[0] <= found[2] <= 1
    assert theirs is None or theirs.value is None or abs(theirs.value - found[0]) < 1e-12
    target = rng.normal(size=30)
    rank = intervals.spearman(target, target + rng.normal(size=30))
    expected = metrics.score(target, target, None).metrics["spearman"].value
    assert rank and rank[1] < rank[0] < rank[2] and expected == 1
    assert intervals.roc_auc(y[:1], score[:1]) is None and intervals.spearman(np.ones(9), np.arange(9.0)) is None


def test_the_report_has_every_model_with_the_floor_beside_it(data: Path, tmp_path: Path) -> None:
    there = (f"data.train={data}", f"data.test=[{ROOT / 'test_data' / 'smoke'}]", f"out={tmp_path}")
    assert run("train", "-m", "classifier=logreg,svm", *there).exit_code == 0
    charge = tmp_path / "results" / "net-charge" / "smoke.json"
    charge.parent.mkdir(parents=True)
    value = {"value": 0.123, "low": 0.1, "high": 0.2}
    charge.write_text(json.dumps({"sandbox": "docker", "metrics": {"roc_auc": value}}))
    done = run("report", "--out", tmp_path, "--board", tmp_path / "results")
    assert done.exit_code == 0, done.output
    text = (tmp_path / "report.md").read_text()
    tests = text[text.index("## smoke") :].rstrip().splitlines()
    assert tests[-1] == "| **net-charge** | 0.123 | 0.100 to 0.200 |"
    found = tmp_path / "benchmarks" / "composition" / "svm" / "smoke"
    area = json.loads((found / "metrics.json").read_text())["metrics"]["roc_auc"]
    assert any(line.startswith(f"| composition svm | {area:.3f} | ") for line in tests)
    assert "| composition logreg | " in text[: text.index("## smoke")]
    done = run("report", "--out", tmp_path / "nowhere")
    assert isinstance(done.exception, DataError) and "no trained model" in str(done.exception)


def test_speed_is_measured_side_by_side_and_what_cannot_be_is_said(backbone: Path, tmp_path: Path) -> None:
    common = ("--num-sequences", 6, "--num-runs", 1, "--warmup", 1, "--report-dir", tmp_path, "--fast", backbone)
    done = run("speed", *common, "--large", tmp_path / "nowhere")
    assert done.exit_code == 0, done.output
    text = (tmp_path / "speed_benchmark.md").read_text()
    assert "stock, batch 8, fp32" in text and "packed fp32" in text
    assert "not measured (There is no backbone" in text
    assert "at 2x" in text
    done = run("speed", *common, "--fastesm-only", "--precision", "bf16")
    if why := processor.lacks("bf16"):
        assert str(done.exception) == why
    else:
        assert done.exit_code == 0 and "left out by --fastesm-only" in done.output


def test_sequences_for_the_benchmark_come_from_fasta_or_csv(tmp_path: Path) -> None:
    (tmp_path / "a.fasta").write_text(">one\nACDE\nFGH\n>two\nKLM\n")
    (tmp_path / "a.csv").write_text("id,sequence\n1,ACDEFGH\n2,KLM\n")
    for name in ("a.fasta", "a.csv"):
        assert loads.read_sequences(tmp_path / name, 9) == ["ACDEFGH", "KLM"]
    assert {len(s) for s in loads.mixed(9)} == {100, 300, 500}
    assert measure.stock_padding(["A" * 100] * 8) == 0
    assert 0.3 < measure.stock_padding(loads.mixed(96)) < 0.5


def test_flags_are_learned_level_by_level_and_judged_by_the_label(data: Path, tmp_path: Path) -> None:
    table = pd.read_csv(data)
    rng = np.random.default_rng(0)
    table["family"] = "one"
    table["elisa_flags"] = np.where(table["label"] == 1, rng.integers(4, 8, len(table)), 0)
    origin = tmp_path / "origin.csv"
    table[["sequence_id", "family", "elisa_flags"]].to_csv(origin, index=False)
    given = ("train", "-m", "data=boughter_flags", f"data.train={data}", f"data.origin={origin}", f"out={tmp_path}/out")
    for told in ("trained", "kept"):
        done = run(*given, "classifier=logreg")
        assert done.exit_code == 0 and f"composition logreg_ordinal: {told}" in done.output, done.output
    folder = tmp_path / "out" / "checkpoints" / "composition" / "logreg_ordinal"
    trained = store.load(folder)
    assert [name for name, _ in trained.model[-1].estimators] == [f"at_least_{k}" for k in (4, 5, 6, 7)]
    x = Features("composition").matrix(table["sequence"].tolist())
    steps = [
        LogisticRegression(C=0.1, max_iter=5000).fit(trained.model[0].transform(x), table["elisa_flags"] >= k)
        for k in (4, 5, 6, 7)
    ]
    parts = [step.predict_proba(trained.model[0].transform(x))[:, 1] for step in steps]
    expected = np.average(parts, axis=0, weights=[3, 1, 1, 1])
    np.testing.assert_allclose(trained.model.predict_proba(x)[:, 1], expected, atol=1e-3)
    for changed, told in ((9, "does not order them"), (-1, "must be a whole number")):
        table.loc[table.index[table["label"] == 0][0], "elisa_flags"] = changed
        table[["sequence_id", "family", "elisa_flags"]].to_csv(origin, index=False)
        done = run(*given)
        assert isinstance(done.exception, DataError) and told in done.output + str(done.exception)


# --- an image --------------------------------------------------------------------------------------------------------


def test_a_packaged_language_model_passes_check_and_evaluation_offline(
    workspace: Workspace, data: Path, base: str, engine: docker.DockerClient, tmp_path: Path
) -> None:
    tiny = f"tiny-{lanes.SCOPE}"
    checkpoint = Path(shutil.copytree(weights("sapiens"), tmp_path / tiny))
    zoo_command = [str(BIN / "apb-zoo")]
    for arguments in (
        ["train", "model=checkpoint", f"model.backbone={checkpoint}", "classifier=xgboost", f"data.train={data}",
         "out=out"],
        ["package", checkpoint, "xgboost", "--model", f"out/checkpoints/{tiny}/xgboost", "--base-image", base,
         "--submissions", workspace.root / "submissions"],
    ):  # fmt: skip
        done = subprocess.run(
            [*zoo_command, *map(str, arguments)], cwd=tmp_path, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
    image = engine.images.get(f"apb/{tiny}-xgboost:1.0")
    try:
        assert image.attrs["Config"]["User"] == "65532:65532"
        path = workspace.root / "submissions" / f"{tiny}-xgboost.yaml"
        path.write_text(path.read_text() + "tracks: [smoke]\n")  # every run loads torch: one shape, and no forecast
        assert yaml.safe_load(path.read_text())["training_data"] == ["synthetic"]
        done = workspace.apb("check", str(path), timeout=300)
        assert done.returncode == 0, done.stdout + done.stderr
        assert "the same scores for fewer rows in another order" in done.stdout
        summary = json.loads(workspace.evaluate("--json", timeout=300).stdout)
        assert summary["scored"] == [f"{tiny}-xgboost on smoke"]
        assert json.loads((workspace.results / f"{tiny}-xgboost" / "smoke.json").read_text())["flags"] == []
    finally:
        engine.images.remove(f"apb/{tiny}-xgboost:1.0", force=True)
