"""AntiBERTy and Sapiens with their real weights: fetched without a risk, embedded as transformers' own classes do."""

from __future__ import annotations

import csv
import dataclasses
import hashlib
import json
import pickle
import random
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
import transformers
from click.testing import CliRunner, Result

from baselines.backbones import wheels
from baselines.backbones.checkpoint import Checkpoint, find
from baselines.backbones.embedder import Embedder
from baselines.backbones.packed import PackedEncoder
from baselines.backbones.tokens import Vocabulary, encode
from baselines.cli import app
from baselines.errors import DataError
from baselines.predicting import store
from baselines.training import tuning
from baselines.training.synthetic import antibodies
from tests.conftest import REAL_DATA
from tests.support import esm
from tests.support.antibody_models import weights

NAMES = ("antiberty", "sapiens", "sapiens_light")
MIXES = {
    "heavy chains": (112, 119, 121, 121, 125, 118, 112, 119),
    "mixed": (100, 142, 50, 101, 1, 2, 142, 510),
    "short": (1, 1, 2, 3, 5, 8),
}


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(a) for a in arguments])


@pytest.fixture(scope="module", params=NAMES)
def folder(request: pytest.FixtureRequest) -> Path:
    return weights(request.param)


@pytest.fixture(scope="module")
def theirs(folder: Path) -> Any:
    name = json.loads((folder / "config.json").read_text())["architectures"][0]
    return getattr(transformers, name.replace("ForMaskedLM", "Model")).from_pretrained(folder).eval()


@pytest.fixture(scope="module")
def embedder(folder: Path) -> Embedder:
    return Embedder(str(folder))


def alone(model: Any, vocabulary: Vocabulary, text: str) -> npt.NDArray[np.float32]:
    """The mean over residues by transformers' own class, one sequence at a time."""
    ids = torch.tensor([encode([text], vocabulary).ids.tolist()])
    with torch.inference_mode():
        states = model(input_ids=ids, attention_mask=torch.ones_like(ids)).last_hidden_state
    return np.asarray(states[0, 1:-1].mean(0).numpy())


@pytest.mark.parametrize("mix", MIXES)
@pytest.mark.parametrize("tokens", [64, 700, 4096])
def test_embeddings_equal_transformers_own(theirs: Any, embedder: Embedder, mix: str, tokens: int) -> None:
    assert embedder.engine in {"packed", "plain"} and embedder.limit is not None
    texts = esm.sequences(*(min(n, embedder.limit) for n in MIXES[mix]))
    expected = np.stack([alone(theirs, embedder.checkpoint.vocabulary, text) for text in texts])
    embedder.tokens_per_batch = tokens
    np.testing.assert_allclose(embedder.embed(texts).vectors, expected, rtol=0, atol=1e-5)
    order = list(range(len(texts)))
    random.Random(1).shuffle(order)
    again = embedder.embed([texts[k] for k in order]).vectors
    np.testing.assert_allclose(again, expected[order], rtol=0, atol=1e-5)


def test_both_engines_agree_and_what_begins_and_ends_is_not_in_the_mean(folder: Path, embedder: Embedder) -> None:
    checkpoint = Checkpoint(folder, "x")
    texts = sorted(esm.sequences(*MIXES["heavy chains"]), key=len)
    tokens = encode(texts, checkpoint.vocabulary)
    plain, fused = (PackedEncoder(checkpoint, "cpu", torch.float32, fused=f) for f in (False, True))
    a, b = (engine.means(tokens.ids, tokens.lengths).numpy() for engine in (plain, fused))
    np.testing.assert_allclose(a, b, rtol=0, atol=1e-5)
    one = encode([texts[-1]], checkpoint.vocabulary)
    states = plain.residues(one.ids, one.lengths)
    np.testing.assert_allclose(embedder.embed([texts[-1]]).vectors[0], states[1:-1].mean(0).numpy(), atol=1e-5)
    assert np.abs(states.mean(0).numpy() - embedder.embed([texts[-1]]).vectors[0]).max() > 1e-3


def test_too_long_a_chain_is_told_with_its_row(embedder: Embedder) -> None:
    limit = embedder.limit
    assert limit == {"antiberty": 510, "sapiens": 142, "sapiens_light": 126}[embedder.checkpoint.name]
    assert embedder.embed(esm.sequences(limit)).vectors.shape == (1, embedder.width)
    with pytest.raises(DataError, match=f"Row 2: {limit + 1} residues; this model takes at most {limit}"):
        embedder.embed(esm.sequences(5, limit + 1))


@pytest.mark.parametrize(("name", "x", "b"), [("antiberty", "[UNK]", "[UNK]"), ("sapiens", "<mask>", "<unk>")])
def test_other_letters_are_what_the_models_own_code_makes_of_them(name: str, x: str, b: str) -> None:
    folder = weights(name)
    tokens = (folder / "vocab.txt").read_text().split()
    ids = encode(["AXBY"], Checkpoint(folder, name).vocabulary).ids
    assert [tokens[k] for k in ids[1:-1]] == ["A", x, b, "Y"]


@pytest.mark.skipif(not REAL_DATA.is_dir(), reason="the real data are not at hand")
@pytest.mark.parametrize(("name", "share"), [("antiberty", 0.86), ("sapiens", 0.79)])
def test_masked_residues_are_restored_as_the_originals_do(name: str, share: float) -> None:
    checkpoint = find(name) if weights(name) else None
    assert checkpoint is not None
    model = getattr(transformers, checkpoint.config["architectures"][0]).from_pretrained(checkpoint.folder).eval()
    tokens = (checkpoint.folder / "vocab.txt").read_text().split()
    mask = next(k for k, token in enumerate(tokens) if token in ("[MASK]", "<mask>"))
    with (REAL_DATA / "hidden" / "jain" / "sequences.csv").open() as stream:
        texts = [row["sequence"] for row in csv.DictReader(stream)][::2]
    rng = np.random.default_rng(0)
    right = asked = 0
    for text in texts:
        ids = torch.tensor([encode([text], checkpoint.vocabulary).ids.tolist()])
        at = np.flatnonzero(rng.random(len(text)) < 0.15) + 1
        hidden = ids.clone()
        hidden[0, at] = mask
        with torch.inference_mode():
            found = model(input_ids=hidden).logits[0, at].argmax(-1)
        right, asked = right + int((found == ids[0, at]).sum()), asked + len(at)
    assert right / asked == pytest.approx(share, abs=0.05)


# --- the packages ----------------------------------------------------------------------------------------------------


class Evil:
    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (Path("/tmp/apb-evil"),))  # noqa: S108 - it must never be there


def _wheel(path: Path, name: str, content: bytes) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(name, content)
    return path


def test_another_wheel_is_refused_and_nothing_is_written(tmp_path: Path) -> None:
    wheel = _wheel(tmp_path / "sapiens-1.0.5-py3-none-any.whl", "sapiens/models/v1/checkpoint_vh.pt", b"x")
    done = run("fetch-weights", "sapiens", "--from", wheel, "--to", tmp_path / "weights")
    assert isinstance(done.exception, DataError) and "is not sapiens 1.0.5" in str(done.exception)
    assert not (tmp_path / "weights").exists()


def test_nothing_in_a_wheel_is_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Even a wheel whose hash is right: what its weights hold is tensors, or it is refused."""
    wheel = _wheel(tmp_path / "s.whl", "sapiens/models/v1/checkpoint_vh.pt", pickle.dumps({"model": Evil()}))
    known = dataclasses.replace(wheels.PACKAGES["sapiens"], sha256=hashlib.sha256(wheel.read_bytes()).hexdigest())
    monkeypatch.setitem(wheels.PACKAGES, "sapiens", known)
    with pytest.raises(DataError, match=r"checkpoint_vh\.pt"):
        wheels.fetch("sapiens", tmp_path / "weights", wheel)
    assert not Path("/tmp/apb-evil").exists() and not (tmp_path / "weights").exists()  # noqa: S108


def test_weights_that_are_not_there_are_told_with_the_command(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("APB_WEIGHTS", str(tmp_path))
    with pytest.raises(DataError, match="apb-zoo fetch-weights sapiens"):
        find("sapiens_light")


def test_a_bert_of_another_kind_is_refused(tmp_path: Path) -> None:
    folder = weights("sapiens")
    config = json.loads((folder / "config.json").read_text())
    (tmp_path / "vocab.txt").write_bytes((folder / "vocab.txt").read_bytes())
    for change, told in (({"hidden_act": "relu"}, "hidden_act"), ({"vocab_size": 30}, "25 tokens")):
        (tmp_path / "config.json").write_text(json.dumps({**config, **change}))
        with pytest.raises(DataError, match=told):
            Checkpoint(tmp_path, "x")


# --- training on them ------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def paired(tmp_path_factory: pytest.TempPathFactory) -> Path:
    table = antibodies(60, seed=3)
    table.insert(2, "light_sequence", [s[:100] for s in antibodies(60, seed=4)["sequence"]])
    path = tmp_path_factory.mktemp("paired") / "train.csv"
    table.to_csv(path, index=False)
    return path


def test_heavy_and_light_joined_are_one_backbone_whose_folder_says_so(paired: Path, tmp_path: Path) -> None:
    weights("sapiens")
    both = "sapiens+sapiens_light"
    done = run("train", "model=sapiens_paired", f"data.train={paired}", f"out={tmp_path}")
    assert done.exit_code == 0, done.output
    folder = tmp_path / "checkpoints" / both / "logreg"
    known = json.loads((folder / "metadata.json").read_text())["backbone"]
    assert [(p["name"], p.get("chain"), p["width"]) for p in known] == [
        ("sapiens", None, 128), ("sapiens_light", "light", 128),
    ]  # fmt: skip
    assert known[0]["sha256"] != known[1]["sha256"]
    assert run("predict", "--model", folder, "--input", paired, "--output", tmp_path / "p.csv").exit_code == 0
    rows = list(csv.DictReader(paired.open()))
    with (tmp_path / "heavy.csv").open("w", newline="") as stream:
        writer = csv.DictWriter(stream, ["sequence_id", "sequence"], extrasaction="ignore")
        writer.writeheader()
        writer.writerows(rows)
    done = run("predict", "--model", folder, "--input", tmp_path / "heavy.csv", "--output", tmp_path / "q.csv")
    assert isinstance(done.exception, DataError) and "a column light_sequence is needed" in str(done.exception)
    rows[4]["light_sequence"] = "not a protein"
    with (tmp_path / "bad.csv").open("w", newline="") as stream:
        writer = csv.DictWriter(stream, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    done = run("predict", "--model", folder, "--input", tmp_path / "bad.csv", "--output", tmp_path / "q.csv")
    assert isinstance(done.exception, DataError) and "row 5 (line 6)" in str(done.exception)


def test_regularisation_is_chosen_on_clusters_of_the_training_set(paired: Path, tmp_path: Path) -> None:
    weights("sapiens")
    there = (f"data.train={paired}", f"out={tmp_path}")
    done = run("train", "model=sapiens", "classifier.tune=true", *there)
    assert done.exit_code == 0 and "the best by cluster" in done.output, done.output
    folder = tmp_path / "checkpoints" / "sapiens" / "logreg"
    trained = store.load(folder)
    tuned = trained.metadata["tuned"]
    assert set(tuned["roc_auc_by_cluster"]) == {f"{c:g}" for c in tuning.GRID["logreg"]}
    assert tuned["roc_auc_by_cluster"][f"{tuned['C']:g}"] == max(tuned["roc_auc_by_cluster"].values())
    assert tuned["C"] == trained.model[-1].C
    before = (folder / "model.skops").read_bytes()
    (folder / "metadata.json").unlink()
    run("train", "model=sapiens", "classifier.tune=true", *there)
    assert (folder / "model.skops").read_bytes() == before
    done = run("train", "model=sapiens", "classifier=mlp", "classifier.tune=true", *there)
    assert isinstance(done.exception, DataError) and "logreg: C, tune" in str(done.exception)
