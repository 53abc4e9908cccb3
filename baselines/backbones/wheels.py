"""Weights of antibody language models that lie in packages on PyPI: fetched, held against their hash, converted.

A package is never installed and nothing of it is run. Its weights are read by torch's reader of plain tensors, and
written as safetensors with a configuration and a vocabulary, as any checkpoint in the Hugging Face format.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import os
import pickle
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from baselines.errors import DataError

Tensors = dict[str, torch.Tensor]
AMINO_ACIDS = "ACDEFGHIKLMNPQRSTVWY"


@dataclass(frozen=True)
class Converted:
    """One checkpoint, as it is written."""

    name: str
    config: dict[str, Any]
    vocabulary: tuple[str, ...]
    tensors: Tensors


@dataclass(frozen=True)
class Package:
    """A package on PyPI with weights in it.

    Attributes:
        sha256: of the wheel.
        convert: what is in it; the first checkpoint has the package's name here.
    """

    project: str
    version: str
    sha256: str
    licence: str
    citation: str
    convert: Callable[[zipfile.ZipFile], Iterator[Converted]]


def _tensors(wheel: zipfile.ZipFile, name: str) -> Any:
    """What a file of weights holds, by a reader that makes tensors, and of classes a bare `Namespace` alone."""
    try:
        with torch.serialization.safe_globals([argparse.Namespace]):
            return torch.load(io.BytesIO(wheel.read(name)), map_location="cpu", weights_only=True)
    except (KeyError, pickle.UnpicklingError, RuntimeError, EOFError, ValueError) as error:
        raise DataError(f"{name} of this wheel is not what its hash promised: {error}"[:300]) from error


def _antiberty(wheel: zipfile.ZipFile) -> Iterator[Converted]:
    folder = "antiberty/trained_models/AntiBERTy_md_smooth"
    config = json.loads(wheel.read(f"{folder}/config.json"))
    found = _tensors(wheel, f"{folder}/pytorch_model.bin")
    kept = {n: t for n, t in found.items() if n.startswith(("bert.embeddings", "bert.encoder", "cls.predictions"))}
    known = {k: v for k, v in config.items() if k not in ("_name_or_path", "transformers_version")}
    yield Converted(
        "antiberty",
        {**known, "architectures": ["BertForMaskedLM"]},
        tuple(wheel.read("antiberty/trained_models/vocab.txt").decode().split()),
        {name: tensor for name, tensor in kept.items() if tensor.is_floating_point()},
    )


SAPIENS_VOCABULARY = ("<s>", "<pad>", "</s>", "<unk>", *AMINO_ACIDS, "<mask>")
"""fairseq puts four tokens before those of the dictionary, and the mask behind them."""
FAIRSEQ = {
    "self_attn.q_proj": "attention.self.query",
    "self_attn.k_proj": "attention.self.key",
    "self_attn.v_proj": "attention.self.value",
    "self_attn.out_proj": "attention.output.dense",
    "self_attn_layer_norm": "attention.output.LayerNorm",
    "fc1": "intermediate.dense",
    "fc2": "output.dense",
    "final_layer_norm": "output.LayerNorm",
}
"""Names of a layer's parts in fairseq's RoBERTa and in transformers'."""


def _sapiens(wheel: zipfile.ZipFile) -> Iterator[Converted]:
    for name, chain in (("sapiens", "vh"), ("sapiens_light", "vl")):
        found: Tensors = _tensors(wheel, f"sapiens/models/v1/checkpoint_{chain}.pt")["model"]
        plain = {n.removeprefix("decoder.").removeprefix("sentence_encoder."): t for n, t in found.items()}
        words, positions = plain["embed_tokens.weight"], plain["embed_positions.weight"]
        tensors = {
            "roberta.embeddings.word_embeddings.weight": words,
            "roberta.embeddings.position_embeddings.weight": positions,
            "roberta.embeddings.token_type_embeddings.weight": torch.zeros(1, words.shape[1]),  # fairseq has none
            "roberta.embeddings.LayerNorm.weight": plain["emb_layer_norm.weight"],
            "roberta.embeddings.LayerNorm.bias": plain["emb_layer_norm.bias"],
            "lm_head.decoder.weight": plain["lm_head.weight"],
            "lm_head.bias": plain["lm_head.bias"],
        }
        tensors |= {n: t for n, t in plain.items() if n.startswith(("lm_head.dense", "lm_head.layer_norm"))}
        layers = {int(n.split(".")[1]) for n in plain if n.startswith("layers.")}
        for layer in layers:
            for theirs, ours in FAIRSEQ.items():
                for kind in ("weight", "bias"):
                    value = plain[f"layers.{layer}.{theirs}.{kind}"]
                    tensors[f"roberta.encoder.layer.{layer}.{ours}.{kind}"] = value
        yield Converted(name, _roberta_config(words, positions, plain, len(layers)), SAPIENS_VOCABULARY, tensors)


def _roberta_config(words: torch.Tensor, positions: torch.Tensor, plain: Tensors, layers: int) -> dict[str, Any]:
    return {
        "architectures": ["RobertaForMaskedLM"],
        "model_type": "roberta",
        "hidden_act": "gelu",
        "hidden_size": words.shape[1],
        "intermediate_size": plain["layers.0.fc1.weight"].shape[0],
        "num_hidden_layers": layers,
        "num_attention_heads": 8,
        "max_position_embeddings": positions.shape[0],
        "layer_norm_eps": 1e-5,
        "pad_token_id": SAPIENS_VOCABULARY.index("<pad>"),
        "bos_token_id": SAPIENS_VOCABULARY.index("<s>"),
        "eos_token_id": SAPIENS_VOCABULARY.index("</s>"),
        "type_vocab_size": 1,
        "vocab_size": words.shape[0],
        "hidden_dropout_prob": 0.1,
        "attention_probs_dropout_prob": 0.1,
    }


PACKAGES = {
    "antiberty": Package(
        project="antiberty",
        version="0.1.3",
        sha256="30d910992b190013871bac49cdc032e01a19339f7d2b958ab99b0eb44638352a",
        licence="MIT",
        citation="Ruffolo, Gray, Sulam 2021, arXiv:2112.07782",
        convert=_antiberty,
    ),
    "sapiens": Package(
        project="sapiens",
        version="1.0.5",
        sha256="af1a8d445e9d7ab9f5f04512cf325acdfd9dd0930eb957b63ec234df1f141a8b",
        licence="MIT",
        citation="Prihoda et al. 2022, mAbs 14:2020203",
        convert=_sapiens,
    ),
}
CONTAINS = {"antiberty": "antiberty", "sapiens": "sapiens", "sapiens_light": "sapiens"}
"""Which package has a checkpoint's weights."""


def store() -> Path:
    """Where fetched weights are kept: `APB_WEIGHTS`, else a folder of the user's cache."""
    named = os.environ.get("APB_WEIGHTS")
    return Path(named) if named else Path.home() / ".cache" / "apb-zoo" / "weights"


def fetch(name: str, folder: Path | None = None, wheel: Path | None = None) -> list[Path]:
    """Write the checkpoints of a package, each to `<folder>/<its name>/`.

    Args:
        folder: default `store()`.
        wheel: a copy of the package; default it is downloaded.

    Raises:
        DataError: it cannot be had, or is not the file that its hash names; nothing is written then.
    """
    if name not in PACKAGES:
        raise DataError(f"No package with weights of '{name}' is known. Known are {', '.join(PACKAGES)}.")
    package = PACKAGES[name]
    with tempfile.TemporaryDirectory() as scratch:
        path = wheel or _download(package, Path(scratch))
        content = path.read_bytes() if path.is_file() else b""
        if (its := hashlib.sha256(content).hexdigest()) != package.sha256:
            raise DataError(f"{path} (sha256 {its}) is not {package.project} {package.version} ({package.sha256}).")
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            found = list(package.convert(archive))
    return [_write(converted, folder or store()) for converted in found]


def _write(converted: Converted, folder: Path) -> Path:
    """Whole or not at all."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        fresh = Path(scratch) / converted.name
        fresh.mkdir()
        save_file(
            {n: t.float().clone().contiguous() for n, t in converted.tensors.items()}, fresh / "model.safetensors"
        )
        (fresh / "vocab.txt").write_text("".join(f"{token}\n" for token in converted.vocabulary))
        (fresh / "config.json").write_text(json.dumps(converted.config, indent=1, sort_keys=True) + "\n")
        target = folder / converted.name
        if target.exists():
            shutil.rmtree(target)
        fresh.rename(target)
    return target


def _download(package: Package, folder: Path) -> Path:
    """The wheel, by pip, which knows this machine's index and proxy."""
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
    command += ["--only-binary", ":all:", "--dest", str(folder), f"{package.project}=={package.version}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    found = sorted(folder.glob("*.whl"))
    if done.returncode or len(found) != 1:
        why = done.stderr.strip().splitlines()[-1:] or ["pip said nothing"]
        raise DataError(
            f"{package.project} {package.version} cannot be fetched: {why[0][:300]} Name a copy with --from."
        )
    return found[0]
