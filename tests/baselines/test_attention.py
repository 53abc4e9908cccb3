"""The head that pools residues by itself, and what a first token says in place of the mean."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
import torch

from baselines.backbones import regions
from baselines.backbones.checkpoint import Checkpoint
from baselines.backbones.embedder import Embedder
from baselines.backbones.stock import StockModel
from baselines.errors import DataError
from baselines.predicting import store
from baselines.predicting.attention import Attention
from baselines.predicting.features import Features, Residues
from baselines.training import configuration, train
from baselines.training.data import TrainingSet
from tests.support import esm


def proteins(count: int, motif: str = "WWW") -> tuple[list[str], np.ndarray]:
    """Random ones; half of them have a motif somewhere, and tryptophans are as frequent in the others."""
    rng = np.random.default_rng(0)
    texts, labels = [], []
    for k in range(count):
        letters = list(esm.sequences(int(rng.integers(20, 40)), seed=k)[0].replace("W", "A"))
        at = int(rng.integers(0, len(letters) - 10))
        places = range(at, at + 3) if k % 2 else (at, at + 4, at + 8)
        for place, letter in zip(places, motif, strict=True):
            letters[place] = letter
        texts.append("".join(letters))
        labels.append(k % 2)
    return texts, np.array(labels)


def neighbours(texts: list[str]) -> Residues:
    """Each residue as whether it and the next are tryptophans: what is rare and all that matters."""
    rows = [
        np.array([[a == "W", b == "W", (a + b) == "WW", 1.0] for a, b in zip(t, t[1:] + "A", strict=True)], np.float32)
        for t in texts
    ]
    return Residues(rows, np.arange(len(rows)))


def test_it_finds_the_residues_that_matter() -> None:
    texts, labels = proteins(240)
    x = neighbours(texts)
    rows = np.arange(len(texts))
    model = Attention(1, learning_rate=0.02, epochs=80, patience=20).fit(x[rows[:160]], labels[:160])
    score = model.predict_proba(x[rows[160:]])[:, 1]
    assert ((score > 0.5) == labels[160:]).mean() > 0.9


def test_neither_neighbours_nor_padding_change_a_score() -> None:
    texts, labels = proteins(60)
    x = neighbours(texts)
    model = Attention(3, epochs=5).fit(x, labels)
    together = model.predict_proba(x)
    alone = np.concatenate([model.predict_proba(x[np.array([k])]) for k in range(len(texts))])
    np.testing.assert_allclose(alone, together, atol=1e-6)
    np.testing.assert_allclose(together.sum(1), 1, atol=1e-12)


def test_training_stops_by_rows_of_other_clusters() -> None:
    texts, labels = proteins(100)
    x = Residues(neighbours(texts).rows, np.repeat(np.arange(25), 4))
    kept, held = Attention(5)._split(x, labels)
    assert len(kept) + len(held) == 100 and 10 <= len(held) <= 30
    assert not set(x.clusters[kept]) & set(x.clusters[held])


def test_the_same_seed_gives_the_same_bytes_and_a_copy_the_same_scores(tmp_path: Path) -> None:
    texts, labels = proteins(60)
    data = TrainingSet("other", tuple(texts), tuple(labels.tolist()), "0" * 64)
    features = Features("composition", pooling="attention")
    x = features.residues(data.sequences, clusters=np.arange(60))
    before = torch.random.get_rng_state()
    folders = [
        train.train(features, x, data, "attention", tmp_path / n, seed=7, parameters={"epochs": 3}) for n in "ab"
    ]
    assert torch.equal(before, torch.random.get_rng_state())
    for name in ("model.safetensors", "metadata.json"):
        assert (folders[0] / name).read_bytes() == (folders[1] / name).read_bytes()
    trained = store.load(folders[0])
    again = store.features_of(trained)
    assert again.pooling == "attention"
    np.testing.assert_array_equal(
        trained.model.predict_proba(again.seen(texts)), store.load(folders[1]).model.predict_proba(x)
    )
    assert train.is_current(folders[0], features, data, "attention", 7, parameters={"epochs": 3})
    assert not train.is_current(folders[0], features, data, "attention", 7, parameters={"epochs": 4})


class Evil:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (Path("/tmp/apb-evil-head").touch, ())  # type: ignore[return-value]  # noqa: S108


def test_a_pickle_in_place_of_its_weights_is_refused_and_not_run(tmp_path: Path) -> None:
    texts, labels = proteins(60)
    data = TrainingSet("other", tuple(texts), tuple(labels.tolist()), "0" * 64)
    features = Features("composition", pooling="attention")
    x = features.residues(data.sequences, clusters=np.arange(60))
    folder = train.train(features, x, data, "attention", tmp_path, parameters={"epochs": 1})
    (folder / "model.safetensors").write_bytes(pickle.dumps(Evil()))
    with pytest.raises(DataError, match="is not the model of its metadata"):
        store.load(folder)
    with pytest.raises(DataError, match="holds no attention head"):
        Attention.read(folder / "model.safetensors", {})
    assert not Path("/tmp/apb-evil-head").exists()  # noqa: S108


def test_pooling_and_head_must_fit() -> None:
    given = ["model=antiberty", "data=file", "data.train=x.csv"]
    assert configuration.composed([*given, "classifier=attention"]).model.pooling == "attention"
    with pytest.raises(DataError, match="learned by classifier=attention"):
        configuration.composed([*given, "model.pooling=attention"])
    with pytest.raises(DataError, match="pools by itself"):
        configuration.composed([*given, "classifier=attention", "model.pooling=cls"])
    with pytest.raises(DataError, match="Known are: mean, cls, regions, attention"):
        configuration.composed([*given, "model.pooling=max"])
    assert configuration.name(configuration.composed([*given, "model.pooling=cls"])) == "antiberty_cls"
    with pytest.raises(DataError, match="describes whole sequences"):
        Features("composition", pooling="regions")


HEAVY = (
    "EVQLVESGGGLVQPGGSLRLSCAASGFTFSSYAMSWVRQAPGKGLEWVSAISGSGGSTYYADSVKGRFTISRDNSKNTLYLQMNSLRAEDTAVYYC"
    "AKDRLSITIRPRYYGLDVWGQGTTVTVSS"
)
LIGHT = "DIQMTQSPSSLSASVGDRVTITCRASQSISSYLNWYQQKPGKAPKLLIYAASSLQSGVPSRFSGSGSGTDFTLTISSLQPEDFATYYCQQSYSTPLTFGGGTKVEIK"


def test_regions_are_imgts_cdrs(tmp_path: Path) -> None:
    heavy, light, none = regions.of([HEAVY, LIGHT, "ACDEF"])
    found = ["".join(a for a, k in zip(HEAVY, heavy, strict=True) if k == region) for region in range(4)]
    assert found[:3] == ["GFTFSSYA", "ISGSGGST", "AKDRLSITIRPRYYGLDV"]
    assert "".join(a for a, k in zip(LIGHT, light, strict=True) if k == 2) == "QQSYSTPLT"
    assert (none == -1).all()
    states = np.arange(len(HEAVY), dtype=np.float32)[:, None].repeat(2, 1)
    pooled = regions.means(states, heavy)
    np.testing.assert_allclose(pooled[::2], [states[heavy == k].mean() for k in range(4)])
    np.testing.assert_allclose(regions.means(states[:5], none), np.full(8, 2.0))
    embedder = Embedder(str(esm.make(tmp_path / "model", "esm2")), pooling="regions", cache=tmp_path / "kept")
    vectors = embedder.embed([HEAVY, LIGHT, HEAVY]).vectors
    assert vectors.shape == (3, 4 * embedder.width)
    (of_heavy,) = embedder.residues([HEAVY])
    np.testing.assert_allclose(vectors[2], regions.means(of_heavy, heavy), atol=1e-6)
    assert embedder.embed([LIGHT]).computed == 0


@pytest.mark.parametrize("family", esm.FAMILIES)
def test_the_first_token_and_every_residue_are_the_stock_models(tmp_path: Path, family: str) -> None:
    folder = esm.make(tmp_path / "model", family)
    texts = esm.sequences(30, 7, 30, 55)
    stock = StockModel(Checkpoint(folder, "small"))
    found = Embedder(str(folder), pooling="cls", tokens_per_batch=70)
    np.testing.assert_allclose(found.embed(texts).vectors, stock.firsts(texts), atol=1e-5)
    for mine, theirs in zip(found.residues(texts), stock.residues(texts), strict=True):
        np.testing.assert_allclose(mine, theirs, atol=1e-5)
