"""The forward pass of ESM, ESM-C, BERT and RoBERTa on packed sequences: no padding, no mask, one product for all.

The residues of many sequences lie end to end in one [tokens, width] matrix. Everything but attention works on that
matrix as it is; attention works on runs of equally long sequences. Weights are folded once: query, key and value into
one matrix, the query's scale and the 0.88 of token dropout into the weights, and the halves of each rotary pair side by
side, so that turning them is one multiplication of complex numbers.

Architecture: Lin et al. 2023, Science 379:1123 (ESM-2); Meier et al. 2021, NeurIPS (ESM-1v); Devlin et al. 2019, NAACL
(BERT); Liu et al. 2019, arXiv:1907.11692 (RoBERTa); as in transformers.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F  # noqa: N812 - everybody calls it so

from baselines.backbones import products
from baselines.backbones.checkpoint import Checkpoint, Shape
from baselines.backbones.products import Added, Linear, Plain, Run
from baselines.errors import DataError

TOKEN_DROPOUT_SCALE = 1 - 0.15 * 0.8
"""What embeddings are scaled by where no token is masked: the share of unmasked ones in training."""


@dataclass(frozen=True)
class _Layer:
    """The parts of one layer in the order in which their biases wait for a norm."""

    norm: Linear
    qkv: Linear
    out: Added
    norm_inner: Linear
    up: Linear
    down: Added
    norm_qk: tuple[Linear, Linear] | None = None


class PackedEncoder:
    """The encoder, ready to run.

    Args:
        device: `cpu` or `cuda`.
        dtype: of weights and activations.
        fused: take the fastest operations that there are here; else plain torch.
        filled: tokens to which every pack is filled up, so that all products have one size and a sequence's numbers
            do not depend on what is packed beside it; default none.
        layers: only so many, the first; default all.

    Raises:
        DataError: the checkpoint lacks a tensor, or has one of another shape.
    """

    def __init__(
        self,
        checkpoint: Checkpoint,
        device: str,
        dtype: torch.dtype,
        *,
        fused: bool = True,
        filled: int | None = None,
        layers: int | None = None,
    ) -> None:
        self.shape: Shape = checkpoint.shape
        self.device, self.dtype = torch.device(device), dtype
        self.filled = filled
        self.do: Plain = (products.best if fused else Plain)(self.device, dtype)
        tensors = checkpoint.tensors(layers)

        def take(name: str) -> torch.Tensor:
            if name not in tensors:
                raise DataError(f"{checkpoint.folder} has no tensor {name}.")
            return tensors[name].to(torch.float32)

        s = self.shape
        self.head = _head(checkpoint)
        self.norms_first = s.family in {"esm", "esmc"}
        scale = TOKEN_DROPOUT_SCALE if s.token_dropout else 1.0
        words = take("embed_tokens.weight" if s.family == "esmc" else "embeddings.word_embeddings.weight") * scale
        if not self.norms_first:  # there is one sequence, whose tokens are all of the first type
            words = words + take("embeddings.token_type_embeddings.weight")[0]
        self.words = words.to(self.device, dtype)
        self.positions = None if s.rotary else take("embeddings.position_embeddings.weight").to(self.device, dtype)
        self._waiting: torch.Tensor | None = None
        self.norm_before = self.norm_after = None
        if not self.norms_first:
            self.norm_before = self._norm(take, "embeddings.LayerNorm")
        elif s.norm_before:
            self.norm_before = self._norm(take, "embeddings.layer_norm")
        self.frequencies = self._frequencies(tensors)
        try:
            made = self._esmc_layer if s.family == "esmc" else self._layer
            self.layers = [made(take, k) for k in range(layers or s.layers)]
        except torch.OutOfMemoryError as error:
            raise DataError(f"{checkpoint.name} does not fit into the memory of {device}.") from error
        except RuntimeError as error:
            raise DataError(f"{checkpoint.folder}: a tensor does not have the shape of its layer: {error}") from error
        if s.family == "esmc":
            self.norm_after = self._plain_norm(take("norm.weight"))
        elif s.family == "esm":
            self.norm_after = self._norm(take, "encoder.emb_layer_norm_after")
        self._turns: dict[int, torch.Tensor] = {}

    def _frequencies(self, tensors: dict[str, torch.Tensor]) -> torch.Tensor:
        """Of rotary positions, [head / 2]: those that are stored, else from the base."""
        stored = [n for n in tensors if n.endswith("inv_freq")]
        if stored:
            return tensors[stored[0]].to(torch.float32)
        return 1.0 / self.shape.rope_theta ** (torch.arange(0, self.head, 2, dtype=torch.float32) / self.head)

    def _norm(self, take: Callable[[str], torch.Tensor], name: str) -> Linear:
        """A norm, with the biases that wait for it; where it replaces what it norms, none waits any more."""
        found = self.do.norm(take(f"{name}.weight"), take(f"{name}.bias"), self.shape.epsilon, self._waiting)
        if not self.norms_first:
            self._waiting = None
        return found

    def _plain_norm(self, weight: torch.Tensor) -> Linear:
        """A norm without a bias, and none that waits for it."""
        return self.do.norm(weight, torch.zeros_like(weight), self.shape.epsilon, None)

    def _added(self, take: Callable[[str], torch.Tensor], name: str) -> Added:
        bias = take(f"{name}.bias")
        if self.do.defers:
            self._waiting = bias if self._waiting is None else self._waiting + bias
        return self.do.added(take(f"{name}.weight"), bias)

    def _esmc_layer(self, take: Callable[[str], torch.Tensor], k: int) -> _Layer:
        """No biases; the query's scale is in its norm, and what a branch is divided by in its last weights."""
        at, branch = f"layers.{k}.", (self.shape.layers / 36) ** 0.5
        query, key, value = (take(f"{at}self_attn.{name}_proj.weight") for name in "qkv")
        norms = [self._paired(take(f"{at}self_attn.{name}_norm.weight")) for name in "qk"]
        qkv = self._unbiased(torch.cat([self._paired(query), self._paired(key), value]))
        gates = self._unbiased(torch.cat([take(f"{at}mlp.gate_proj.weight"), take(f"{at}mlp.up_proj.weight")]))

        def up(x: torch.Tensor) -> torch.Tensor:
            gate, inner = gates(x).chunk(2, -1)
            return F.silu(gate) * inner

        out, down = (take(f"{at}{name}_proj.weight") / branch for name in ("self_attn.o", "mlp.down"))
        return _Layer(
            self._norm(take, f"{at}input_layernorm"),
            qkv,
            self.do.added(out, out.new_zeros(len(out))),
            self._norm(take, f"{at}post_attention_layernorm"),
            up,
            self.do.added(down, down.new_zeros(len(down))),
            (self._plain_norm(norms[0] * self.head**-0.5), self._plain_norm(norms[1])),
        )

    def _unbiased(self, weight: torch.Tensor) -> Linear:
        return self.do.linear(weight, weight.new_zeros(len(weight)))

    def _layer(self, take: Callable[[str], torch.Tensor], k: int) -> _Layer:
        at = f"encoder.layer.{k}."
        scale = self.head**-0.5
        stacked = []
        for kind in ("weight", "bias"):
            query, key, value = (take(f"{at}attention.self.{name}.{kind}") for name in ("query", "key", "value"))
            query = query * scale
            if self.shape.rotary:
                query, key = self._paired(query), self._paired(key)
            stacked.append(torch.cat([query, key, value]))
        qkv = self.do.linear(*stacked)
        up = self.do.linear(take(f"{at}intermediate.dense.weight"), take(f"{at}intermediate.dense.bias"), gelu=True)
        if self.norms_first:  # a norm stands before what it is for
            norm = self._norm(take, f"{at}attention.LayerNorm")
            out = self._added(take, f"{at}attention.output.dense")
            norm_inner = self._norm(take, f"{at}LayerNorm")
            down = self._added(take, f"{at}output.dense")
        else:  # behind the sum that it norms
            out = self._added(take, f"{at}attention.output.dense")
            norm = self._norm(take, f"{at}attention.output.LayerNorm")
            down = self._added(take, f"{at}output.dense")
            norm_inner = self._norm(take, f"{at}output.LayerNorm")
        return _Layer(norm, qkv, out, norm_inner, up, down)

    def _paired(self, rows: torch.Tensor) -> torch.Tensor:
        """Rows of a projection with the two halves of each rotary pair side by side; products q.k do not change."""
        shaped = rows.view(self.shape.heads, 2, self.head // 2, -1)
        return shaped.transpose(1, 2).reshape(rows.shape)

    def residues(self, ids: npt.NDArray[np.uint8], lengths: npt.NDArray[np.int64]) -> torch.Tensor:
        """Last hidden states, [sum of lengths, width], of sequences that are sorted by length.

        Args:
            ids: tokens, end to end.
            lengths: tokens of each sequence.
        """
        count = len(ids)
        with torch.inference_mode(), self.do.products():
            return self._residues(*self._full(ids, lengths))[:count]

    def _full(
        self, ids: npt.NDArray[np.uint8], lengths: npt.NDArray[np.int64]
    ) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
        """With sequences of padding behind, none longer than the longest, if every pack is to be full."""
        left = -len(ids) % self.filled if self.filled else 0
        longest = int(lengths.max())
        more = np.array([longest] * (left // longest) + [left % longest] * bool(left % longest), dtype=np.int64)
        return np.append(ids, np.full(left, self.shape.padding, dtype=np.uint8)), np.append(lengths, more)

    def _residues(self, ids: npt.NDArray[np.uint8], lengths: npt.NDArray[np.int64]) -> torch.Tensor:
        runs, longest = _runs(lengths), int(lengths.max())
        x = F.embedding(torch.from_numpy(ids.astype(np.int64)).to(self.device), self.words)
        places = torch.from_numpy(np.concatenate([np.arange(n) for n in lengths])).to(self.device)
        if self.positions is not None:
            x = x + F.embedding(places + self.shape.first_position, self.positions)
        if self.norm_before is not None:
            x = self.norm_before(x)
        turn = self._turn(longest) if self.shape.rotary else None
        ends = torch.from_numpy(np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)).to(self.device)
        for layer in self.layers:
            qkv = layer.qkv(layer.norm(x) if self.norms_first else x).view(len(x), 3, self.shape.heads, self.head)
            if layer.norm_qk is not None:
                for part, norm in enumerate(layer.norm_qk):
                    qkv[:, part] = norm(qkv[:, part].reshape(len(x), -1)).view(len(x), self.shape.heads, self.head)
            if turn is not None:
                self.do.rotate(qkv, places, turn)
            x = layer.out(self.do.attention(qkv, runs, ends, longest), x)
            if self.norms_first:
                x = layer.down(layer.up(layer.norm_inner(x)), x)
            else:
                x = layer.norm(x)
                x = layer.norm_inner(layer.down(layer.up(x), x))
        return x if self.norm_after is None else self.norm_after(x)

    def firsts(self, ids: npt.NDArray[np.uint8], lengths: npt.NDArray[np.int64]) -> torch.Tensor:
        """What stands at the token that begins each sequence: [n, width] float32."""
        begins = torch.from_numpy(np.cumsum(lengths) - lengths).to(self.device)
        return self.residues(ids, lengths)[begins].float()

    def means(self, ids: npt.NDArray[np.uint8], lengths: npt.NDArray[np.int64]) -> torch.Tensor:
        """Mean over the residues of each sequence, without what begins and ends it: [n, width] float32."""
        states = self.residues(ids, lengths)
        pooled = [
            states[begin : begin + count * length].view(count, length, -1)[:, 1:-1].float().mean(1)
            for begin, count, length in _runs(lengths)
        ]
        return torch.cat(pooled)

    def _turn(self, length: int) -> torch.Tensor:
        """exp(i * place * frequency), [length or more, head / 2], in the precision of complex float32."""
        size = 1 << (length - 1).bit_length()
        if size not in self._turns:
            angles = torch.outer(torch.arange(size, dtype=torch.float32), self.frequencies)
            self._turns[size] = torch.polar(torch.ones_like(angles), angles).to(self.device)
        return self._turns[size]


def _head(checkpoint: Checkpoint) -> int:
    """The width of one attention head.

    Raises:
        DataError: the model's width cannot be divided so.
    """
    s = checkpoint.shape
    if s.width % s.heads or (s.rotary and (s.width // s.heads) % 2):
        raise DataError(f"{checkpoint.folder}: a width of {s.width} does not fit {s.heads} heads.")
    return s.width // s.heads


def _runs(lengths: npt.NDArray[np.int64]) -> list[Run]:
    """Runs of equal length: first token, sequences, tokens of each."""
    starts = np.flatnonzero(np.diff(lengths, prepend=-1))
    counts = np.diff(np.append(starts, len(lengths)))
    first = np.concatenate([[0], np.cumsum(lengths)])
    return [(int(first[s]), int(c), int(lengths[s])) for s, c in zip(starts, counts, strict=True)]
