"""Small random checkpoints in the real format, made on the spot."""

from __future__ import annotations

import random
from pathlib import Path

import torch
from transformers import EsmConfig, EsmForMaskedLM

FAMILIES = ("esm1v", "esm2")


def make(folder: Path, family: str, *, width: int = 64, layers: int = 3, heads: int = 4, seed: int = 0) -> Path:
    """Save a random ESM-1v (learned positions, norm before) or ESM-2 (rotary) with its language-model head."""
    torch.manual_seed(seed)
    config = EsmConfig(
        vocab_size=33, hidden_size=width, num_hidden_layers=layers, num_attention_heads=heads,
        intermediate_size=4 * width, max_position_embeddings=1026, pad_token_id=1, mask_token_id=32,
        position_embedding_type="rotary" if family == "esm2" else "absolute", emb_layer_norm_before=family == "esm1v",
        token_dropout=True, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0, layer_norm_eps=1e-5,
    )  # fmt: skip
    model = EsmForMaskedLM(config).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            torch.nn.init.normal_(parameter, mean=1.0 if "LayerNorm.weight" in name else 0.0, std=0.2)
    model.save_pretrained(folder)
    return folder


def make_esmc(folder: Path, *, width: int = 64, layers: int = 3, heads: int = 4, seed: int = 0) -> Path:
    """Save a random ESM-C with its language-model head."""
    from transformers import EsmcConfig, EsmcForMaskedLM

    torch.manual_seed(seed)
    config = EsmcConfig(
        hidden_size=width, num_hidden_layers=layers, num_attention_heads=heads, intermediate_size=3 * width + 8
    )
    model = EsmcForMaskedLM(config).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            torch.nn.init.normal_(parameter, mean=1.0 if "norm.weight" in name else 0.0, std=0.2)
    model.save_pretrained(folder)
    return folder


def sequences(*lengths: int, seed: int = 0) -> list[str]:
    """Random proteins of these lengths."""
    rng = random.Random(seed)
    return ["".join(rng.choices("ACDEFGHIKLMNPQRSTVWY", k=n)) for n in lengths]
