"""The published architecture: its size, its tied rows, what padding and tuning leave as it was."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from baselines.errors import DataError
from baselines.few_shot import episodes, store
from baselines.few_shot.axial import TiedRowAttention
from baselines.few_shot.finetuning import decayed, finetuned
from baselines.few_shot.losses import ranking
from baselines.few_shot.meta.configuration import composed
from baselines.few_shot.metalic import AxialNetwork, Metalic, Residues
from tests.support import esm, few_shot

SMALL = {"layers": 2, "width": 16, "heads": 4, "inner": 32, "hidden": 2}
CLOSE = 1e-5


def small(*, transductive: bool = False) -> AxialNetwork:
    torch.manual_seed(0)
    return AxialNetwork(21, **SMALL, transductive=transductive).eval()


def drawn(rows: int, length: int = 6) -> torch.Tensor:
    return torch.eye(21)[torch.randint(20, (2, rows, length))]


def expected(layers: int, inner: int, width: int = 768, embedded: int = 320) -> int:
    """Weights and biases counted by hand: eight products and three norms a block, then the last network."""
    block = 8 * (width**2 + width) + 2 * width * inner + inner + width + 3 * 2 * width
    ends = embedded * width + width + 3 * width + 2 * width
    read = 2 * width**2 + width + 3 * (width**2 + width) + width + 1
    return layers * block + ends + read


@pytest.mark.parametrize(
    ("preset", "layers", "inner", "millions"),
    [("metalic", 6, 3072, 59.9), ("metalic_code", 5, 400, 29.9), ("metalic_code", 6, 400, 35.3)],
)
def test_presets_have_the_published_sizes(preset: str, layers: int, inner: int, millions: float) -> None:
    config = composed([f"preset={preset}", f"preset.layers={layers}", "preset.embedded=320"]).preset
    with torch.device("meta"):
        network = store.network(vars(config))
    count = sum(p.numel() for p in network.parameters())
    assert count == expected(layers, inner) and count / 1e6 == pytest.approx(millions, abs=0.05)


def test_the_papers_values_are_the_defaults() -> None:
    found = vars(composed(["preset=metalic"]).preset)
    assert {name: found[name] for name in PAPER} == PAPER


PAPER = {
    "steps": 50_000, "warmup": 0.1, "weight_decay": 5e-3, "learning_rate": 6e-5, "minimum": 0.1, "clip": 1.0,
    "backbone": "esm2_8m", "layer": 3, "finetune_steps": 100, "layers": 6, "hidden": 4, "width": 768, "inner": 3072,
    "heads": 4, "dropout": 0.1, "attention_dropout": 0.1, "queries": 100, "loss": "ranking",
}  # fmt: skip


def test_gradients_of_tied_rows_are_those_of_finite_differences() -> None:
    torch.manual_seed(0)
    attention = TiedRowAttention(4, 2).double()
    x = torch.randn(2, 3, 4, 4, dtype=torch.float64, requires_grad=True)
    tied = torch.tensor([[True, True, False], [True, True, True]])
    columns = torch.tensor([[True, True, True, False], [True, True, True, True]])
    weights = list(attention.parameters())
    assert torch.autograd.gradcheck(lambda x, *_: attention(x, tied, columns), (x, *weights), atol=1e-6)


def test_tied_rows_are_the_published_formula() -> None:
    torch.manual_seed(0)
    attention, x = TiedRowAttention(8, 2), torch.randn(1, 5, 7, 8)
    query, key, value = (part(x)[0].view(5, 7, 2, 4) for part in (attention.query, attention.key, attention.value))
    rows = []
    for head in range(2):
        logits = sum(query[r, :, head] @ key[r, :, head].T for r in range(5)) / np.sqrt(4 * 5)
        assert isinstance(logits, torch.Tensor)
        rows.append(logits.softmax(-1) @ value[:, :, head])
    whole = attention.out(torch.cat(rows, -1))
    found = attention(x, torch.ones(1, 5, dtype=torch.bool), torch.ones(1, 7, dtype=torch.bool))
    assert (found[0] - whole).abs().max() < CLOSE


@pytest.mark.parametrize("transductive", [True, False])
def test_padding_changes_nothing(transductive: bool) -> None:
    network = small(transductive=transductive)
    support, queries, targets = drawn(5), drawn(3), torch.randn(2, 5)
    plain = network(support, targets, queries)
    longer = [torch.nn.functional.pad(x, (0, 0, 0, 2), value=0.7) for x in (support, queries)]
    columns = torch.tensor([[True] * 6 + [False] * 2] * 2)
    assert (network(longer[0], targets, longer[1], columns=columns) - plain).abs().max() < CLOSE
    more = torch.cat([support, drawn(2)], 1)
    rows = torch.tensor([[True] * 5 + [False] * 2 + [True] * 3] * 2)
    measured = torch.cat([targets, torch.randn(2, 2)], 1)
    assert (network(more, measured, queries, rows=rows) - plain).abs().max() < CLOSE


@pytest.mark.parametrize("support", [0, 1, 5])
def test_only_transductive_queries_see_each_other(support: int) -> None:
    known, queries, targets = drawn(support), drawn(4), torch.randn(2, support)
    for transductive in (True, False):
        network = small(transductive=transductive)
        whole = network(known, targets, queries)
        alone = torch.cat([network(known, targets, queries[:, k : k + 1]) for k in range(4)], 1)
        order = torch.tensor([2, 0, 3, 1])
        assert (network(known, targets, queries[:, order]) - whole[:, order]).abs().max() < CLOSE
        assert bool((alone - whole).abs().max() < CLOSE) is not transductive


def test_the_order_of_the_support_changes_nothing() -> None:
    network, support, queries, targets = small(), drawn(5), drawn(4), torch.randn(2, 5)
    order = torch.tensor([4, 2, 0, 1, 3])
    found = network(support[:, order], targets[:, order], queries)
    assert (found - network(support, targets, queries)).abs().max() < CLOSE


def test_tuning_changes_scores_and_restores_weights_exactly(tmp_path: Path) -> None:
    task = episodes.read(few_shot.folder(tmp_path))[0]
    plain = Metalic(small(), Residues("one_hot", 0), 0, 1e-3, 5e-3)
    tuned = replace(plain, steps=5)
    before = {name: tensor.clone() for name, tensor in plain.network.state_dict().items()}
    first, second, again = tuned.scores(task), plain.scores(task), tuned.scores(task)
    assert all(torch.equal(before[name], tensor) for name, tensor in plain.network.state_dict().items())
    assert np.abs(first - second).max() > 1e-4 and (first == again).all()


def test_weights_are_restored_after_a_failure() -> None:
    network = small()
    before = network.residues.weight.clone()

    def failing(shown: torch.Tensor, asked: torch.Tensor) -> torch.Tensor:
        if not torch.equal(network.residues.weight, before):
            raise RuntimeError("stopped")
        return network.residues.weight.square().sum()

    with pytest.raises(RuntimeError, match="stopped"), finetuned(network, failing, 4, steps=3, learning_rate=0.1):
        pass
    assert torch.equal(network.residues.weight, before)


def test_biases_and_norms_do_not_decay() -> None:
    decay, plain = decayed(small(), 0.1)
    assert decay["weight_decay"] == 0.1 and plain["weight_decay"] == 0
    assert isinstance(plain["params"], list) and all(p.ndim == 1 for p in plain["params"])


def test_ties_are_no_pairs_and_the_right_order_costs_least() -> None:
    targets = torch.tensor([[1.0, 1.0, 2.0]])
    right, wrong = (ranking(torch.tensor([s]), targets) for s in ([0.0, 5.0, 9.0], [9.0, 5.0, 0.0]))
    assert right < 0.02 and wrong > 5
    assert ranking(torch.tensor([[3.0, 1.0]]), torch.ones(1, 2)) == 0


def test_embeddings_are_those_of_the_layer_that_is_named(tmp_path: Path) -> None:
    from transformers import EsmModel

    from baselines.backbones.tokens import encode

    folder = esm.make(tmp_path / "esm", "esm2", width=32, layers=4)
    texts = few_shot.variants(3, 2)
    found = Residues(str(folder), 3)
    stock = EsmModel.from_pretrained(folder, add_pooling_layer=False).eval()
    ids = torch.tensor(np.stack([encode([t]).ids.astype(np.int64) for t in texts]))
    with torch.inference_mode():
        states = stock(input_ids=ids, output_hidden_states=True).hidden_states[3]
    assert found.width == 32 and (found.of(texts) - states[:, 1:-1]).abs().max() < 1e-4
    with pytest.raises(DataError, match="There is no layer 5"):
        Residues(str(folder), 5)


def test_one_hot_residues_need_no_backbone() -> None:
    rng = random.Random(0)
    text = "".join(rng.choices("ACDEFGHIKLMNPQRSTVWYX", k=9))
    assert Residues("one_hot", 0).of([text]).sum().item() == 9
