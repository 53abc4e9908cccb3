"""The fast embedder says what the stock model says, whatever the lengths, the order and the batch."""

from __future__ import annotations

import json
import pickle
import random
import shutil
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file
from transformers import EsmModel

from baselines.backbones import choice, processor
from baselines.backbones import embedder as embedders
from baselines.backbones.cache import EmbeddingCache
from baselines.backbones.checkpoint import Checkpoint
from baselines.backbones.embedder import Embedder
from baselines.backbones.packed import PackedEncoder
from baselines.backbones.products import OneDNN, Plain
from baselines.backbones.stock import StockModel
from baselines.backbones.tokens import RESIDUES, VOCABULARY, clean, encode
from baselines.errors import DataError
from tests.support import esm

MIXES = {
    "one": (120,),
    "alike": (120,) * 9,
    "heavy chains": (112, 119, 121, 121, 125, 118, 112, 119),
    "mixed": (100, 300, 500, 101, 299, 1, 2, 500),
    "short": (1, 1, 2, 3, 5, 8),
    "long": (1022, 7, 1021),
}


@pytest.fixture(scope="module", params=esm.FAMILIES)
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return esm.make(tmp_path_factory.mktemp(request.param) / "model", request.param)


@pytest.fixture(scope="module")
def stock(folder: Path) -> StockModel:
    return StockModel(Checkpoint(folder, "small"), attention="eager")


@pytest.fixture(scope="module")
def embedder(folder: Path) -> Embedder:
    return Embedder(str(folder))


def test_the_fast_engine_is_taken(embedder: Embedder) -> None:
    assert embedder.engine == ("plain" if processor.is_narrow() else "packed")


def test_our_loading_is_transformers_own(folder: Path, stock: StockModel) -> None:
    theirs = EsmModel.from_pretrained(folder, add_pooling_layer=False).eval()
    text = esm.sequences(50)[0]
    ids = torch.tensor([encode([text]).ids.tolist()])
    with torch.inference_mode():
        expected = theirs(input_ids=ids, attention_mask=torch.ones_like(ids)).last_hidden_state[0, 1:-1].mean(0)
    np.testing.assert_allclose(stock.means([text])[0], expected.numpy(), atol=1e-6)


@pytest.mark.parametrize("mix", MIXES)
@pytest.mark.parametrize("tokens", [64, 700, 4096])
def test_embeddings_equal_the_stock_models(embedder: Embedder, stock: StockModel, mix: str, tokens: int) -> None:
    texts = esm.sequences(*MIXES[mix])
    expected = np.concatenate([stock.means([text]) for text in texts])
    embedder.tokens_per_batch = tokens
    found = embedder.embed(texts).vectors
    assert found.dtype == np.float32 and found.shape == (len(texts), embedder.width)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)
    order = list(range(len(texts)))
    random.Random(1).shuffle(order)
    again = embedder.embed([texts[k] for k in order]).vectors
    np.testing.assert_allclose(again, expected[order], rtol=0, atol=1e-5)


@pytest.mark.parametrize("tokens", [200, 4096])
def test_esm_c_has_gates_and_normed_queries(tmp_path: Path, tokens: int) -> None:
    folder = esm.make_esmc(tmp_path / "model")
    texts = esm.sequences(*MIXES["heavy chains"], 300, 1, 25)
    stock = StockModel(Checkpoint(folder, "small"))
    embedder = Embedder(str(folder), tokens_per_batch=tokens)
    assert embedder.engine != "stock" and embedder.limit is None
    np.testing.assert_allclose(embedder.embed(texts).vectors, stock.means(texts), rtol=0, atol=1e-5)
    with stock.shortened(1):
        assert np.abs(stock.means(texts) - embedder.embed(texts).vectors).max() > 1e-2
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "hidden_act": "gelu"}))
    with pytest.raises(DataError, match="ESM-C of another kind: hidden_act"):
        Embedder(str(folder))


def test_padding_of_the_stock_loop_changes_nothing(embedder: Embedder, stock: StockModel) -> None:
    texts = esm.sequences(*MIXES["mixed"])
    np.testing.assert_allclose(embedder.embed(texts).vectors, stock.means(texts, batch=8), rtol=0, atol=1e-5)


def test_plain_torch_and_fused_products_agree(folder: Path) -> None:
    tokens = encode(sorted(esm.sequences(*MIXES["mixed"]), key=len))
    checkpoint = Checkpoint(folder, "small")
    plain, fused = (PackedEncoder(checkpoint, "cpu", torch.float32, fused=f) for f in (False, True))
    a, b = (engine.means(tokens.ids, tokens.lengths).numpy() for engine in (plain, fused))
    np.testing.assert_allclose(a, b, rtol=0, atol=1e-5)


def test_bf16_is_near(folder: Path, stock: StockModel) -> None:
    texts = esm.sequences(*MIXES["heavy chains"])
    found = Embedder(str(folder), precision="bf16", emulated=True).embed(texts).vectors
    expected = stock.means(texts)
    cosine = (found * expected).sum(1) / np.linalg.norm(found, axis=1) / np.linalg.norm(expected, axis=1)
    assert cosine.min() > 0.999


# --- pitfalls --------------------------------------------------------------------------------------------------------


def test_neither_begin_nor_end_token_is_in_the_mean(folder: Path, embedder: Embedder) -> None:
    """Some pipelines took the end token off each batch's longest rows only."""
    checkpoint, text = Checkpoint(folder, "small"), esm.sequences(9)[0]
    tokens = encode([text])
    states = PackedEncoder(checkpoint, "cpu", torch.float32).residues(tokens.ids, tokens.lengths)
    assert len(states) == 11
    np.testing.assert_allclose(embedder.embed([text]).vectors[0], states[1:-1].mean(0).numpy(), atol=1e-5)
    assert np.abs(states.mean(0).numpy() - embedder.embed([text]).vectors[0]).max() > 1e-3


def test_learned_positions_end_and_rotary_ones_do_not(folder: Path, embedder: Embedder) -> None:
    limit = embedder.limit
    if limit is None:
        assert embedder.embed(esm.sequences(1500)).vectors.shape == (1, embedder.width)
    else:
        assert limit == 1022
        with pytest.raises(DataError, match=r"Row 2: 1,023 residues; this model takes at most 1,022"):
            embedder.embed(esm.sequences(5, 1023))


def test_token_dropout_scales_embeddings(folder: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    shutil.copytree(folder, other)
    config = json.loads((other / "config.json").read_text())
    (other / "config.json").write_text(json.dumps({**config, "token_dropout": False}))
    text = esm.sequences(30)
    a, b = (Embedder(str(path)).embed(text).vectors for path in (folder, other))
    assert np.abs(a - b).max() > 1e-3


def test_the_pooler_is_not_there(stock: StockModel) -> None:
    assert not [name for name, _ in stock.model.named_parameters() if name.startswith("pooler")]


@pytest.mark.parametrize("text", ["AC*DE", "ACJDE", "AC DE", "ACDÉ", "AC<mask>", "1", "A\x00C"])
def test_a_letter_without_a_token_is_told_with_its_row(text: str) -> None:
    with pytest.raises(DataError, match=r"Row 2: .* stands for no residue"):
        clean(["ACD", text])


@pytest.mark.parametrize("text", ["", "  ", "--", "..."])
def test_an_empty_sequence_is_told_with_its_row(text: str) -> None:
    with pytest.raises(DataError, match="Row 2: the sequence is empty"):
        clean(["ACD", text])


def test_case_gaps_and_ends_do_not_matter(embedder: Embedder) -> None:
    found = embedder.embed(["acdefg", " AC-DE.FG\n", "ACDEFG"]).vectors
    assert (found == found[0]).all()


@given(st.lists(st.text(alphabet=RESIDUES, min_size=1, max_size=30), max_size=8))
@settings(max_examples=60, deadline=None)
def test_tokens_are_those_of_the_vocabulary(texts: list[str]) -> None:
    tokens = encode(texts)
    expected = [VOCABULARY.index(t) for text in texts for t in ("<cls>", *text, "<eos>")]
    assert tokens.ids.tolist() == expected
    assert tokens.lengths.tolist() == [len(text) + 2 for text in texts]


def test_tokens_are_those_of_the_stock_tokenizer(tmp_path: Path) -> None:
    from transformers import EsmTokenizer

    (tmp_path / "vocab.txt").write_text("\n".join(VOCABULARY))
    theirs = EsmTokenizer(str(tmp_path / "vocab.txt"))
    text = RESIDUES + "ACDXBZUO"
    assert theirs(text)["input_ids"] == encode([text]).ids.tolist()


# --- duplicates, cache, self-test ------------------------------------------------------------------------------------


def test_a_sequence_is_computed_once(folder: Path, tmp_path: Path) -> None:
    texts = [*esm.sequences(20, 30), *esm.sequences(20, 30)]
    first = Embedder(str(folder), cache=tmp_path).embed(texts)
    assert first.computed == 2
    second = Embedder(str(folder), cache=tmp_path).embed([*texts, "ACDEF"])
    assert second.computed == 1
    np.testing.assert_array_equal(first.vectors, second.vectors[:4])


def test_another_precision_or_other_weights_do_not_share_a_cache(folder: Path, tmp_path: Path) -> None:
    texts = esm.sequences(20)
    Embedder(str(folder), cache=tmp_path / "cache").embed(texts)
    assert Embedder(str(folder), cache=tmp_path / "cache", precision="bf16", emulated=True).embed(texts).computed == 1
    other = esm.make(tmp_path / "other", "esm2", seed=1)
    assert Embedder(str(other), cache=tmp_path / "cache").embed(texts).computed == 1


def test_a_cache_that_is_none_is_told(tmp_path: Path) -> None:
    cache = EmbeddingCache(tmp_path, "key", 4)
    cache.put({"AC": np.arange(4, dtype=np.float32)})
    cache.close()
    assert EmbeddingCache(tmp_path, "key", 4).get(["AC", "AD"]).keys() == {"AC"}
    assert EmbeddingCache(tmp_path, "key", 5).get(["AC"]) == {}  # as good as none
    cache.path.write_bytes(b"something else, and long enough to be looked at" * 50)
    with pytest.raises(DataError, match="is no cache"):
        EmbeddingCache(tmp_path, "key", 4)


def test_where_the_fast_engine_is_wrong_a_slower_one_is_taken(
    folder: Path, stock: StockModel, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    texts, real = esm.sequences(20, 30), PackedEncoder.means

    def wrong(self: PackedEncoder, *arguments: np.ndarray) -> torch.Tensor:
        return real(self, *arguments) + (0.1 if isinstance(self.do, OneDNN) or len(broken) == 2 else 0.0)

    broken = ["fused"]
    monkeypatch.setattr(processor, "is_narrow", lambda: False)
    monkeypatch.setattr(PackedEncoder, "means", wrong)
    for engine in ("plain", "stock"):
        chosen = Embedder(str(folder))
        assert chosen.engine == engine
        np.testing.assert_allclose(chosen.embed(texts).vectors, stock.means(texts), rtol=0, atol=1e-5)
        broken.append("plain")
    assert "does not agree" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("slow", "first"), [((), "packed"), (("packed",), "plain"), (("packed", "plain"), "stock"), (("stock",), "packed")]
)
def test_the_engine_that_is_clearly_fastest_here_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, slow: tuple[str, ...], first: str
) -> None:
    wide = esm.make(tmp_path / "wide", "esm1v", width=256, layers=2)
    monkeypatch.setattr(processor, "is_narrow", lambda: False)
    stock = StockModel.means

    def run(encoder: PackedEncoder, _checkpoint: Checkpoint, _texts: list[str], pack: int) -> None:
        assert len(encoder.layers) == 1
        name = "packed" if isinstance(encoder.do, OneDNN) else "plain"
        time.sleep(0.03 if name in slow else 0.008 if pack == 512 else 0.01)

    def means(self: StockModel, texts: list[str], batch: int = 8) -> np.ndarray:
        if len(texts) == choice.CHAINS:
            time.sleep(0.03 if "stock" in slow else 0.01)
            return np.zeros((1, 256), dtype=np.float32)
        return stock(self, texts, batch)

    monkeypatch.setattr(choice, "_run", run)
    monkeypatch.setattr(StockModel, "means", means)
    embedder = Embedder(str(wide), device="cpu")
    assert embedder.engine == first
    assert embedder.tokens_per_batch == (2048 if first == "stock" else 512)


def test_a_cache_is_written_once_for_each_sequence(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[str] = []
    monkeypatch.setattr(embedders, "KEPT_AT_ONCE", 3)
    monkeypatch.setattr(EmbeddingCache, "put", lambda _self, vectors: written.extend(vectors))
    texts = esm.sequences(*range(5, 25))
    Embedder(str(folder), cache=tmp_path, tokens_per_batch=30).embed(texts)
    assert sorted(written) == sorted(texts)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("broken", ["token dropout", "rotary"])
def test_the_self_test_finds_an_engine_that_leaves_something_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, precision: embedders.Precision, broken: str
) -> None:
    small = esm.make(tmp_path / "model", "esm2")
    if broken == "rotary":
        monkeypatch.setattr(Plain, "rotate", lambda *_: None)
    else:
        monkeypatch.setattr("baselines.backbones.packed.TOKEN_DROPOUT_SCALE", 1.0)
    assert Embedder(str(small), precision=precision, emulated=True).engine == "stock"


@pytest.mark.parametrize(
    ("flags", "refused"),
    [("fpu avx2 fma", {"bf16", "fp16"}), ("fpu avx512f avx512_bf16", {"fp16"}), ("avx512_bf16 avx512_fp16", set()),
     ("", set())],
)  # fmt: skip
def test_a_precision_that_the_processor_would_emulate_is_refused(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, flags: str, refused: set[str]
) -> None:
    (tmp_path / "cpuinfo").write_text(f"processor\t: 0\nmodel name\t: AMD EPYC 7B13\nflags\t\t: {flags}\n\n")
    monkeypatch.setattr(processor, "CPUINFO", tmp_path / "cpuinfo")
    for precision in ("fp32", "bf16", "fp16"):
        assert bool(processor.lacks(precision)) == (precision in refused)
    assert Embedder(str(folder), device="cpu").engine == ("plain" if processor.is_narrow() else "packed")
    if "bf16" in refused:
        with pytest.raises(DataError, match=r"AMD EPYC 7B13 has no bf16 arithmetic.*Take fp32"):
            Embedder(str(folder), device="cpu", precision="bf16")
        assert Embedder(str(folder), device="cpu", precision="bf16", emulated=True).precision == "bf16"


# --- untrusted checkpoints -------------------------------------------------------------------------------------------


class Evil:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (Path("/tmp/apb-evil").touch, ())  # type: ignore[return-value]  # noqa: S108


@pytest.mark.parametrize("name", ["model.safetensors", "pytorch_model.bin", "config.json"])
def test_a_pickle_in_place_of_any_file_is_refused_and_not_run(folder: Path, tmp_path: Path, name: str) -> None:
    mark = Path("/tmp/apb-evil")  # noqa: S108
    mark.unlink(missing_ok=True)
    other = tmp_path / "other"
    shutil.copytree(folder, other)
    if name == "pytorch_model.bin":
        (other / "model.safetensors").unlink()
    (other / name).write_bytes(pickle.dumps(Evil()))
    with pytest.raises(DataError):
        Embedder(str(other))
    torch.save({"embeddings.word_embeddings.weight": Evil()}, other / name)
    with pytest.raises(DataError):
        Embedder(str(other))
    assert not mark.exists()


def test_an_old_checkpoint_of_plain_tensors_is_read(folder: Path, embedder: Embedder, tmp_path: Path) -> None:
    other = tmp_path / "other"
    shutil.copytree(folder, other)
    torch.save(load_file(other / "model.safetensors"), other / "pytorch_model.bin")
    (other / "model.safetensors").unlink()
    texts = esm.sequences(20)
    np.testing.assert_allclose(Embedder(str(other)).embed(texts).vectors, embedder.embed(texts).vectors, atol=1e-6)


def test_a_checkpoint_that_lacks_or_bends_a_tensor_is_told(folder: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    shutil.copytree(folder, other)
    whole = load_file(other / "model.safetensors")
    name = next(n for n in whole if n.endswith("query.weight"))
    save_file({k: v for k, v in whole.items() if k != name}, other / "model.safetensors")
    with pytest.raises(DataError, match=r"query\.weight|lacks"):
        Embedder(str(other), self_test=False)
    save_file({**whole, name: whole[name][:5]}, other / "model.safetensors")
    with pytest.raises((DataError, RuntimeError)):
        Embedder(str(other), self_test=False).embed(["ACD"])


def test_an_index_cannot_name_files_elsewhere(folder: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    shutil.copytree(folder, other)
    (other / "model.safetensors").unlink()
    (other / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"a": "../x.safetensors"}}))
    with pytest.raises(DataError, match="outside its folder"):
        Embedder(str(other))


def test_an_unknown_backbone_is_told() -> None:
    with pytest.raises(DataError, match="Known are esm1v, esm2_8m, esm2_650m, fastesm2_650, esm2_3b"):
        Embedder("esm99")


def test_self_test_sequences_cover_every_residue() -> None:
    assert set("".join(embedders.TEST_SEQUENCES)) == set(RESIDUES)
