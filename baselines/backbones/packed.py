"""The forward pass of ESM, BERT and RoBERTa on packed sequences: no padding, no mask, one product for all residues.

The residues of many sequences lie end to end in one [tokens, width] matrix. Everything but attention works on that
matrix as it is; attention works on runs of equally long sequences. Weights are folded once: query, key and value into
one matrix, the query's scale and the 0.88 of token dropout into the weights, and the halves of each rotary pair side by
side, so that turning them is one multiplication of complex numbers.

Architecture: Lin et al. 2023, Science 379:1123 (ESM-2); Meier et al. 2021, NeurIPS (ESM-1v); Devlin et al. 2019, NAACL
(BERT); Liu et al. 2019, arXiv:1907.11692 (RoBERTa); as in transformers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F  # noqa: N812 - everybody calls it so

from baselines.backbones.checkpoint import Checkpoint, Shape
from baselines.errors import DataError

TOKEN_DROPOUT_SCALE = 1 - 0.15 * 0.8
"""What embeddings are scaled by where no token is masked: the share of unmasked ones in training."""

SCORES_BYTES = 2 * 1024 * 1024

Linear = Callable[[torch.Tensor], torch.Tensor]
Added = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


@dataclass(frozen=True)
class _Layer:
    norm: tuple[torch.Tensor, torch.Tensor]
    qkv: Linear
    out: Added
    norm_inner: tuple[torch.Tensor, torch.Tensor]
    up: Linear
    down: Added


class PackedEncoder:
    """The encoder, ready to run.

    Args:
        device: `cpu` or `cuda`.
        dtype: of weights and activations.
        fused: use oneDNN's prepacked products on a CPU, and variable-length attention on a GPU; else plain torch.

    Raises:
        DataError: the checkpoint lacks a tensor, or has one of another shape.
    """

    def __init__(self, checkpoint: Checkpoint, device: str, dtype: torch.dtype, *, fused: bool = True) -> None:
        self.shape: Shape = checkpoint.shape
        self.device, self.dtype = torch.device(device), dtype
        self.onednn = fused and self.device.type == "cpu" and has_onednn(dtype)
        self.exact = self.onednn and dtype is torch.float32 and _onednn_is_exact()
        self.varlen = fused and self.device.type == "cuda" and dtype in (torch.bfloat16, torch.float16)
        tensors = checkpoint.tensors()

        def take(name: str) -> torch.Tensor:
            if name not in tensors:
                raise DataError(f"{checkpoint.folder} has no tensor {name}.")
            return tensors[name].to(torch.float32)

        s = self.shape
        if s.width % s.heads or (s.rotary and (s.width // s.heads) % 2):
            raise DataError(f"{checkpoint.folder}: a width of {s.width} does not fit {s.heads} heads.")
        self.head = s.width // s.heads
        self.esm = s.family == "esm"
        scale = TOKEN_DROPOUT_SCALE if s.token_dropout else 1.0
        words = take("embeddings.word_embeddings.weight") * scale
        if not self.esm:  # there is one sequence, whose tokens are all of the first type
            words = words + take("embeddings.token_type_embeddings.weight")[0]
        self.words = words.to(self.device, dtype)
        self.positions = None if s.rotary else take("embeddings.position_embeddings.weight").to(self.device, dtype)
        self.norm_before = self.norm_after = None
        if not self.esm:
            self.norm_before = self._norm(take, "embeddings.LayerNorm")
        elif s.norm_before:
            self.norm_before = self._norm(take, "embeddings.layer_norm")
        if self.esm:
            self.norm_after = self._norm(take, "encoder.emb_layer_norm_after")
        stored = [n for n in tensors if n.endswith("inv_freq")]
        self.frequencies = (
            tensors[stored[0]].to(torch.float32)
            if stored
            else 1.0 / s.rope_theta ** (torch.arange(0, self.head, 2, dtype=torch.float32) / self.head)
        )
        try:
            self.layers = [self._layer(take, f"encoder.layer.{k}.") for k in range(s.layers)]
        except torch.OutOfMemoryError as error:
            raise DataError(f"{checkpoint.name} does not fit into the memory of {device}.") from error
        except RuntimeError as error:
            raise DataError(f"{checkpoint.folder}: a tensor does not have the shape of its layer: {error}") from error
        self._turns: dict[int, torch.Tensor] = {}

    def _norm(self, take: Callable[[str], torch.Tensor], name: str) -> tuple[torch.Tensor, torch.Tensor]:
        return (
            take(f"{name}.weight").to(self.device, self.dtype),
            take(f"{name}.bias").to(self.device, self.dtype),
        )

    def _layer(self, take: Callable[[str], torch.Tensor], at: str) -> _Layer:
        scale = self.head**-0.5
        stacked = []
        for kind in ("weight", "bias"):
            query, key, value = (take(f"{at}attention.self.{name}.{kind}") for name in ("query", "key", "value"))
            query = query * scale
            if self.shape.rotary:
                query, key = self._paired(query), self._paired(key)
            stacked.append(torch.cat([query, key, value]))
        weight, bias = stacked
        norms = ("attention.LayerNorm", "LayerNorm") if self.esm else ("attention.output.LayerNorm", "output.LayerNorm")
        return _Layer(
            self._norm(take, at + norms[0]),
            self._linear(weight, bias),
            self._added(take(f"{at}attention.output.dense.weight"), take(f"{at}attention.output.dense.bias")),
            self._norm(take, at + norms[1]),
            self._linear(take(f"{at}intermediate.dense.weight"), take(f"{at}intermediate.dense.bias"), gelu=True),
            self._added(take(f"{at}output.dense.weight"), take(f"{at}output.dense.bias")),
        )

    def _paired(self, rows: torch.Tensor) -> torch.Tensor:
        """Rows of a projection with the two halves of each rotary pair side by side; products q.k do not change."""
        shaped = rows.view(self.shape.heads, 2, self.head // 2, -1)
        return shaped.transpose(1, 2).reshape(rows.shape)

    def _linear(self, weight: torch.Tensor, bias: torch.Tensor, *, gelu: bool = False) -> Linear:
        weight, bias = weight.to(self.device, self.dtype), bias.to(self.device, self.dtype)
        if self.onednn:
            packed = torch.ops.mkldnn._reorder_linear_weight(weight)
            kind, how = ("gelu", "none") if gelu else ("none", "")
            return lambda x: torch.ops.mkldnn._linear_pointwise(x, packed, bias, kind, [], how)
        if gelu:
            return lambda x: F.gelu(F.linear(x, weight, bias))
        return lambda x: F.linear(x, weight, bias)

    def _added(self, weight: torch.Tensor, bias: torch.Tensor) -> Added:
        """A product whose result is added to what was there before."""
        if self.onednn:
            packed = torch.ops.mkldnn._reorder_linear_weight(weight.to(self.dtype))
            low = bias.to(self.dtype)
            return lambda x, before: torch.ops.mkldnn._linear_pointwise(x, before, packed, low, "add")
        linear = self._linear(weight, bias)
        return lambda x, before: before + linear(x)

    def residues(self, ids: npt.NDArray[np.uint8], lengths: npt.NDArray[np.int64]) -> torch.Tensor:
        """Last hidden states, [sum of lengths, width], of sequences that are sorted by length.

        Args:
            ids: tokens, end to end.
            lengths: tokens of each sequence.
        """
        with torch.inference_mode(), _onednn_products(self.exact):
            return self._residues(ids, lengths)

    def _residues(self, ids: npt.NDArray[np.uint8], lengths: npt.NDArray[np.int64]) -> torch.Tensor:
        runs = _runs(lengths)
        x = F.embedding(torch.from_numpy(ids.astype(np.int64)).to(self.device), self.words)
        places = torch.from_numpy(np.concatenate([np.arange(n) for n in lengths])).to(self.device)
        if self.positions is not None:
            x = x + F.embedding(places + self.shape.first_position, self.positions)
        if self.norm_before is not None:
            x = self._normed(x, self.norm_before)
        turn = self._turn(int(lengths.max()))[places].unsqueeze(1) if self.shape.rotary else None
        ends = torch.from_numpy(np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)).to(self.device)
        for layer in self.layers:
            qkv = layer.qkv(self._normed(x, layer.norm) if self.esm else x).view(len(x), 3, self.shape.heads, self.head)
            if turn is not None:
                self._rotate(qkv, turn)
            x = layer.out(self._attention(qkv, runs, ends, int(lengths.max())), x)
            if self.esm:
                x = layer.down(layer.up(self._normed(x, layer.norm_inner)), x)
            else:  # the norm stands behind the sum that it norms
                x = self._normed(x, layer.norm)
                x = self._normed(layer.down(layer.up(x), x), layer.norm_inner)
        return x if self.norm_after is None else self._normed(x, self.norm_after)

    def means(self, ids: npt.NDArray[np.uint8], lengths: npt.NDArray[np.int64]) -> torch.Tensor:
        """Mean over the residues of each sequence, without what begins and ends it: [n, width] float32."""
        states = self.residues(ids, lengths)
        pooled = [
            states[begin : begin + count * length].view(count, length, -1)[:, 1:-1].float().mean(1)
            for begin, count, length in _runs(lengths)
        ]
        return torch.cat(pooled)

    def _normed(self, x: torch.Tensor, norm: tuple[torch.Tensor, torch.Tensor]) -> torch.Tensor:
        return F.layer_norm(x, (self.shape.width,), norm[0], norm[1], self.shape.epsilon)

    def _turn(self, length: int) -> torch.Tensor:
        """exp(i * place * frequency), [length, head / 2], in the precision of complex float32."""
        size = 1 << (length - 1).bit_length()
        if size not in self._turns:
            angles = torch.outer(torch.arange(size, dtype=torch.float32), self.frequencies)
            self._turns[size] = torch.polar(torch.ones_like(angles), angles).to(self.device)
        return self._turns[size]

    def _rotate(self, qkv: torch.Tensor, turn: torch.Tensor) -> None:
        """Turn queries and keys in place."""
        both = qkv[:, :2]
        turned = torch.view_as_complex(both.float().reshape(len(qkv), 2 * self.shape.heads, self.head // 2, 2)) * turn
        both.copy_(torch.view_as_real(turned).view(both.shape))

    def _attention(
        self, qkv: torch.Tensor, runs: list[tuple[int, int, int]], ends: torch.Tensor, longest: int
    ) -> torch.Tensor:
        if self.varlen:
            from torch.nn.attention.varlen import varlen_attn

            q, k, v = (part.contiguous() for part in qkv.unbind(1))
            mixed = varlen_attn(q, k, v, ends, ends, longest, longest, scale=1.0, num_splits=1)
            assert isinstance(mixed, torch.Tensor)
            return mixed.reshape(len(qkv), -1)
        out = torch.empty((len(qkv), self.shape.heads, self.head), dtype=self.dtype, device=self.device)
        for begin, count, length in runs:
            end = begin + count * length
            q, k, v = qkv[begin:end].view(count, length, 3, self.shape.heads, self.head).permute(2, 0, 3, 1, 4)
            attend = _in_blocks if self.onednn else _by_torch
            out[begin:end].view(count, length, self.shape.heads, self.head).copy_(attend(q, k, v).transpose(1, 2))
        return out.view(len(qkv), -1)


def _by_torch(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
    return F.scaled_dot_product_attention(q, k, v, scale=1.0)


def _in_blocks(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
    """Attention in three plain steps, in blocks whose scores stay in the cache.

    On a CPU this is up to twice as fast as torch's own, whose products are not oneDNN's and whose exponentials in
    bfloat16 are slow. All are [sequences, heads, length, head].
    """
    n, heads, length, head = q.shape
    q, k, v = (part.reshape(n * heads, length, head) for part in (q, k, v))
    out = torch.empty_like(q)
    step = max(1, SCORES_BYTES // (4 * length * length))
    for at in range(0, n * heads, step):
        block = slice(at, at + step)
        scores = torch.bmm(q[block], k[block].transpose(1, 2)).float()
        torch.bmm(torch.softmax(scores, -1).to(v.dtype), v[block], out=out[block])
    return out.view(n, heads, length, head)


@contextmanager
def _onednn_products(exact: bool) -> Iterator[None]:
    """Let torch take oneDNN for batched products in float32, where that has been seen to be exact on this machine."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("medium" if exact else before)
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)


def _onednn_is_exact() -> bool:
    """Whether "medium" still computes in float32 here: processors with matrix units for bfloat16 round instead."""
    generator = torch.Generator().manual_seed(0)
    a, b = (torch.randn(4, 64, 64, generator=generator) for _ in range(2))
    with _onednn_products(exact=True):
        found = torch.bmm(a, b)
    return bool((found - torch.bmm(a.double(), b.double())).abs().max() < 1e-4)


def _runs(lengths: npt.NDArray[np.int64]) -> list[tuple[int, int, int]]:
    """Runs of equal length: first token, sequences, tokens of each."""
    starts = np.flatnonzero(np.diff(lengths, prepend=-1))
    counts = np.diff(np.append(starts, len(lengths)))
    first = np.concatenate([[0], np.cumsum(lengths)])
    return [(int(first[s]), int(c), int(lengths[s])) for s, c in zip(starts, counts, strict=True)]


def has_onednn(dtype: torch.dtype) -> bool:
    """Whether this torch has the products that the fused path uses: they are not part of its public interface."""
    if not torch.backends.mkldnn.is_available() or dtype not in (torch.float32, torch.bfloat16):
        return False
    if dtype is torch.bfloat16 and not torch.ops.mkldnn._is_mkldnn_bf16_supported():
        return False
    try:
        packed = torch.ops.mkldnn._reorder_linear_weight(torch.eye(4, dtype=dtype))
        torch.ops.mkldnn._linear_pointwise(torch.ones(2, 4, dtype=dtype), packed, None, "none", [], "")
    except (AttributeError, RuntimeError, NotImplementedError):
        return False
    return True
