"""What is measured: random sequences, and checkpoints with random weights in the shapes of the real ones."""

from __future__ import annotations

import random
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import torch

from baselines.backbones.tokens import VOCABULARY
from baselines.errors import DataError
from baselines.predicting import tables

LENGTHS = (100, 300, 500)
HEAVY = (113, 130)
RESIDUES = "ACDEFGHIKLMNPQRSTVWY"
SHAPES = {
    "esm2_35m": (480, 12, 20, 1920),
    "esm1v": (1280, 33, 20, 5120),
    "esm2_650m": (1280, 33, 20, 5120),
    "fastesm2_650": (1280, 33, 20, 5120),
    "esm2_3b": (2560, 36, 40, 10240),
}
"""Width, layers, heads and inner width of each backbone."""


def heavy_chains(count: int, seed: int = 0) -> list[str]:
    """Random proteins as long as heavy variable domains and VHHs are."""
    rng = random.Random(seed)  # noqa: S311
    return ["".join(rng.choices(RESIDUES, k=rng.randint(*HEAVY))) for _ in range(count)]


def mixed(count: int, seed: int = 0) -> list[str]:
    """Random proteins of 100, 300 and 500 residues in turn, shuffled."""
    rng = random.Random(seed)  # noqa: S311
    found = ["".join(rng.choices(RESIDUES, k=LENGTHS[k % len(LENGTHS)])) for k in range(count)]
    rng.shuffle(found)
    return found


def read_sequences(path: Path, count: int) -> list[str]:
    """The first sequences of a FASTA file, or of a CSV with a column `sequence`.

    Raises:
        DataError: there are none.
    """
    return list(tables.read(path).sequences()[:count])


def random_checkpoint(folder: Path, shape: str, layers: int | None = None) -> Path:
    """Write a checkpoint with random weights in the shape of a backbone: as slow as the real one, and of no other use.

    Args:
        layers: fewer than the real one has, to save time; times are then of so many layers.
    """
    if shape not in SHAPES:
        raise DataError(f"There is no shape '{shape}'. Known are: {', '.join(SHAPES)}.")
    width, real, heads, inner = SHAPES[shape]
    from transformers import EsmConfig, EsmForMaskedLM

    torch.manual_seed(0)
    config = EsmConfig(
        vocab_size=len(VOCABULARY),
        hidden_size=width,
        num_hidden_layers=layers or real,
        num_attention_heads=heads,
        intermediate_size=inner,
        max_position_embeddings=1026,
        pad_token_id=1,
        mask_token_id=32,
        token_dropout=True,
        position_embedding_type="absolute" if shape == "esm1v" else "rotary",
        emb_layer_norm_before=False,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
        layer_norm_eps=1e-5,
    )
    EsmForMaskedLM(config).save_pretrained(folder)
    return folder


@contextmanager
def checkpoints(names: Sequence[str], *, random_weights: bool, layers: int | None) -> Iterator[tuple[list[str], str]]:
    """What to measure for each name, and what to say of its weights; random ones are gone at the end."""
    if not random_weights:
        yield list(names), "Published weights."
        return
    shown = f"{layers} layers of each" if layers else "all layers"
    with tempfile.TemporaryDirectory() as scratch:
        paths = [str(random_checkpoint(Path(scratch) / name, name, layers)) for name in names]
        yield paths, f"Random weights in the real shapes, {shown}: times are real, embeddings mean nothing."
