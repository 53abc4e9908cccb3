"""The reference models: deterministic, stored as numbers, and the same in the image as in scikit-learn."""

from __future__ import annotations

import csv
import hashlib
import json
import os
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import yaml
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from baselines import package
from baselines.backbones.checkpoint import known_names
from baselines.errors import DataError
from baselines.predicting.composition import FEATURES, features, net_charge
from baselines.training.composition_logreg import composition_logreg, save
from baselines.training.data import fetch, read_training_set
from baselines.training.heads import ATTENTION, HEADS
from baselines.training.synthetic import antibodies, nanobodies
from evaluator.contract.submissions import parse
from evaluator.scoring.files import score_files
from tests.conftest import REAL_DATA, ROOT

BOUGHTER = REAL_DATA / "train" / "boughter_vh.csv"


@pytest.fixture
def training(tmp_path: Path) -> Path:
    path = tmp_path / "train.csv"
    antibodies(200, seed=3).to_csv(path, index=False)
    return path


def predict(context: Path, sequences: list[str], tmp_path: Path, task: str = "classification") -> list[dict[str, str]]:
    """Run an image's predict.py on the container contract."""
    source, target = tmp_path / "in.csv", tmp_path / "out.csv"
    source.write_text("sequence_id,sequence\n" + "".join(f"i{n},{s}\n" for n, s in enumerate(sequences)))
    environment = {**os.environ, "INPUT": str(source), "OUTPUT": str(target), "TASK": task}
    subprocess.run([sys.executable, "-I", str(context / "predict.py")], env=environment, check=True)
    with target.open() as stream:
        return list(csv.DictReader(stream))


def test_charge_counts_formal_charges() -> None:
    assert net_charge("KRDEAH") == 0
    assert net_charge("KKR") == 3
    assert net_charge("DDE") == -3


def test_features_are_complete_and_finite() -> None:
    for sequence in ("A", "XXX", "EVQLVESGGG", "W" * 300):
        values = features(sequence)
        assert len(values) == len(FEATURES)
        assert np.isfinite(values).all()


def test_the_image_predicts_what_scikit_learn_predicts(training: Path, tmp_path: Path) -> None:
    data = read_training_set(training)
    model = save(composition_logreg(data), tmp_path / "model.json")
    context = package.lay_out("composition-logreg", tmp_path / "images", model)
    rows = predict(context, list(data.sequences), tmp_path)
    pipeline = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=5000))
    x = np.array([features(s) for s in data.sequences])
    expected = pipeline.fit(x, data.labels).predict_proba(x)[:, 1]
    assert np.abs(np.array([float(r["score"]) for r in rows]) - expected).max() < 1e-9
    assert [int(r["prediction"]) for r in rows] == (expected > 0.5).astype(int).tolist()


def test_training_gives_the_same_bytes(training: Path, tmp_path: Path) -> None:
    paths = [save(composition_logreg(read_training_set(training)), tmp_path / f"{i}.json") for i in range(2)]
    assert paths[0].read_bytes() == paths[1].read_bytes()
    assert json.loads(paths[0].read_text())["training"]["set"] == "synthetic"


@pytest.mark.parametrize("name", ["random", "net-charge"])
def test_a_score_depends_on_its_sequence_alone(name: str, tmp_path: Path) -> None:
    sequences = list(antibodies(30, seed=5)["sequence"])
    context = package.lay_out(name, tmp_path / "images")
    forward = {r["sequence_id"]: r["score"] for r in predict(context, sequences, tmp_path)}
    backward = predict(context, sequences[::-1][:20], tmp_path)
    assert [r["score"] for r in backward] == [forward[f"i{29 - n}"] for n in range(20)]


def test_net_charge_is_plain_on_a_regression_track(tmp_path: Path) -> None:
    context = package.lay_out("net-charge", tmp_path / "images")
    rows = predict(context, ["KKKDE", "AAAA"], tmp_path, task="regression")
    assert rows == [{"sequence_id": "i0", "score": "1"}, {"sequence_id": "i1", "score": "0"}]


@pytest.mark.skipif(not REAL_DATA.is_dir(), reason="the real data are not at hand")
@pytest.mark.parametrize(
    ("track", "metric", "known"),
    [("jain137", "roc_auc", 0.7063), ("harvey1k", "roc_auc", 0.7712), ("gdpa1", "spearman", 0.3659),
     ("shehata-psr", "spearman", 0.2281)],
)  # fmt: skip
def test_net_charge_has_its_known_values(tmp_path: Path, track: str, metric: str, known: float) -> None:
    context = package.lay_out("net-charge", tmp_path / "images")
    folder, output = REAL_DATA / "hidden" / track, tmp_path / "predictions.csv"
    environment = {"INPUT": str(folder / "sequences.csv"), "OUTPUT": str(output)}
    environment["TASK"] = "regression" if metric == "spearman" else "classification"
    subprocess.run([sys.executable, "-I", context / "predict.py"], env=environment, check=True)
    scores, _ = score_files(output, folder / "labels.csv")
    assert scores.metrics[metric].value == pytest.approx(known, abs=5e-5)


@pytest.mark.parametrize("name", package.names())
def test_what_a_card_quotes_stands_in_the_image(name: str, tmp_path: Path) -> None:
    card = package.config(name)["submission"]["reproducibility"]
    evidence = card["pseudocode"]["evidence"]
    (tmp_path / "model.json").write_text('{"training": {"set": "synthetic"}}')
    file = package.lay_out(name, tmp_path, tmp_path / "model.json") / Path(evidence["file"]).name
    assert hashlib.sha256(file.read_bytes()).hexdigest() == evidence["sha256"]
    assert evidence["quote"] in " ".join(file.read_text().split())


def test_a_card_says_nothing_of_data_that_a_model_has_not_learnt_from(tmp_path: Path) -> None:
    for learnt, said in (("boughter", True), ("synthetic", False)):
        (tmp_path / "model.json").write_text(json.dumps({"training": {"set": learnt}}))
        entry = parse(package.submission("composition-logreg", tmp_path).encode(), "composition-logreg")
        assert entry.card is not None and (entry.card.open_data is not None) == said


def test_synthetic_sets_are_stated_and_reproducible() -> None:
    assert antibodies(50, 1).equals(antibodies(50, 1))
    assert not antibodies(50, 1).equals(antibodies(50, 2))
    assert antibodies(50, 1)["label"].mean() == 0.5
    assert nanobodies(10, 1)["sequence_id"].str.startswith("synthetic_").all()


def test_a_model_trained_on_synthetic_data_says_so_on_the_board(training: Path, tmp_path: Path) -> None:
    model = save(composition_logreg(read_training_set(training)), tmp_path / "model.json")
    context = package.lay_out("composition-logreg", tmp_path / "images", model)
    text = package.submission("composition-logreg", context)
    assert "synthetic" in text and "SYNTHETIC" in text


@pytest.mark.parametrize("name", package.names())
def test_the_shipped_submission_is_what_its_config_says(name: str, tmp_path: Path) -> None:
    (tmp_path / name).mkdir()
    assert (ROOT / "submissions" / f"{name}.yaml").read_text() == package.submission(name, tmp_path / name)


def test_wrong_training_data_are_refused(tmp_path: Path, training: Path) -> None:
    with pytest.raises(DataError, match="is not boughter"):
        fetch("boughter", tmp_path / "out.csv", training)
    bad = tmp_path / "bad.csv"
    bad.write_text("a,b\n1,2\n")
    with pytest.raises(DataError, match="sequence and label"):
        read_training_set(bad)


@pytest.mark.skipif(not BOUGHTER.exists(), reason="the real training set is not at hand")
def test_the_real_training_set_is_known_in_both_forms(tmp_path: Path) -> None:
    converted = fetch("boughter", tmp_path / "b.csv", BOUGHTER)
    assert converted.read_bytes() == BOUGHTER.read_bytes()
    rows = list(csv.DictReader(BOUGHTER.open()))
    published = tmp_path / "published.csv"
    published.write_text("sequence,label\n" + "".join(f"{r['sequence']},{float(r['label'])}\n" for r in rows))
    assert fetch("boughter", tmp_path / "c.csv", published).read_bytes() == BOUGHTER.read_bytes()
    model = composition_logreg(read_training_set(converted))
    assert model["training"]["set"] == "boughter"
    assert 0.6 < model["training"]["cv_roc_auc_10_fold"] < 0.8


LANGUAGE_MODELS = sorted(p.parent.name for p in package.IMAGES.glob("*/config.yaml") if "\nbackbone:" in p.read_text())


@pytest.mark.parametrize("name", LANGUAGE_MODELS)
def test_an_image_of_a_language_model_names_a_backbone_a_head_and_a_valid_submission(name: str, tmp_path: Path) -> None:
    settings = package.config(name)
    parts = [part.removesuffix("_lora") for part in settings["backbone"].split("+")]
    assert set(parts) <= set(known_names()) and settings["head"] in {*HEADS, ATTENTION}
    (tmp_path / "config.yaml").write_text(yaml.safe_dump({**settings, "trained_on": "boughter"}))
    found = parse(package.esm_submission(tmp_path).encode(), name)
    assert found.model.head == settings["head"] and found.training_data == ("boughter",)
    with pytest.raises(
        package.PackageError, match=re.escape(f"apb-zoo package {settings['backbone']} {settings['head']}")
    ):
        package.lay_out(name, tmp_path / "context")


def test_what_an_image_takes_along_stands_on_its_own(tmp_path: Path) -> None:
    package.copy_code(tmp_path / "baselines")
    files = [path.relative_to(tmp_path) for path in (tmp_path / "baselines").rglob("*.py")]
    assert {"backbones", "predicting"} == {path.parts[1] for path in files if len(path.parts) == 3}
    modules = [".".join(path.with_suffix("").parts).removesuffix(".__init__") for path in files]
    if find_spec("triton") is None:  # it comes with torch for a GPU, and is asked for there alone
        modules.remove("baselines.backbones.kernels")
    subprocess.run([sys.executable, "-c", f"import {', '.join(modules)}"], cwd=tmp_path, check=True)


def test_the_language_models_that_everybody_compares_with_are_there() -> None:
    esm = ["esm1v-logreg", "esm2-logreg", "esm2-mlp", "esm2-svm", "esm2-xgboost"]
    antibodies = ["antiberty-logreg", "antiberty-svm", "sapiens-logreg"]
    newer = ["antiberty-attention", "antiberty-lora-logreg", "sapiens-antiberty-cross-stacking"]
    assert set(LANGUAGE_MODELS) == {*esm, *antibodies, *newer}
