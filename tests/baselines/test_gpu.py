"""What only a GPU can show: that its engine says what the stock model says, whatever is packed beside a sequence."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from baselines.backbones.checkpoint import Checkpoint
from baselines.backbones.embedder import Embedder, Precision
from baselines.backbones.stock import StockModel
from tests.support import esm

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU here")
LENGTHS = (112, 119, 121, 125, 118, 1, 2, 300, 500, 112, 119)


@pytest.fixture(scope="module", params=esm.FAMILIES)
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return esm.make(tmp_path_factory.mktemp(request.param) / "model", request.param, width=128, heads=2)


@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp16"])
def test_embeddings_are_the_stock_models_on_a_gpu(folder: Path, precision: Precision) -> None:
    texts = esm.sequences(*LENGTHS)
    embedder = Embedder(str(folder), device="cuda", precision=precision)
    assert embedder.engine == "packed"
    expected = np.concatenate([StockModel(Checkpoint(folder, "small")).means([text]) for text in texts])
    found = embedder.embed(texts).vectors
    if precision == "fp32":
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-4)
    a, b = found - expected.mean(0), expected - expected.mean(0)
    assert ((a * b).sum(1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)).min() > 0.99


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_neighbours_in_a_pack_change_no_bit(folder: Path, precision: Precision) -> None:
    texts = esm.sequences(*LENGTHS * 40)
    embedder = Embedder(str(folder), device="cuda", precision=precision)
    together = embedder.embed(texts).vectors
    for row in (0, 5, 7, 100, 439):
        np.testing.assert_array_equal(embedder.embed([texts[row]]).vectors[0], together[row])
    np.testing.assert_array_equal(embedder.embed(texts[::-1]).vectors[::-1], together)
