"""How an encoder multiplies, norms and attends: plainly, by oneDNN on a CPU, or by flash attention on a GPU.

Every way computes the same; the embedder holds each against the stock model before it takes it.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
import torch.nn.functional as F  # noqa: N812 - everybody calls it so
from typing_extensions import override

Linear = Callable[[torch.Tensor], torch.Tensor]
Added = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
Run = tuple[int, int, int]
"""Sequences of equal length: the first token, how many sequences, tokens of each."""
SCORES_BYTES = 2 * 1024 * 1024


class Plain:
    """Torch's own operations, on any device.

    Attributes:
        defers: whether `added` leaves its bias to the norm that comes next.
    """

    defers = False

    def __init__(self, device: torch.device, dtype: torch.dtype) -> None:
        self.device, self.dtype = device, dtype

    def here(self, tensor: torch.Tensor) -> torch.Tensor:
        """A weight where and as it is computed with."""
        return tensor.to(self.device, self.dtype)

    def linear(self, weight: torch.Tensor, bias: torch.Tensor, *, gelu: bool = False) -> Linear:
        """A product with its bias, [tokens, in] to [tokens, out], and GELU behind it if asked."""
        weight, bias = self.here(weight), self.here(bias)
        if gelu:
            return lambda x: F.gelu(F.linear(x, weight, bias))
        return lambda x: F.linear(x, weight, bias)

    def added(self, weight: torch.Tensor, bias: torch.Tensor) -> Added:
        """A product whose result is added to what was there before."""
        linear = self.linear(weight, bias)
        return lambda x, before: before + linear(x)

    def norm(self, weight: torch.Tensor, bias: torch.Tensor, epsilon: float, offset: torch.Tensor | None) -> Linear:
        """The layer norm of what it is given and of `offset`, which is none unless this way defers."""
        assert offset is None
        weight, bias = self.here(weight), self.here(bias)
        return lambda x: F.layer_norm(x, weight.shape, weight, bias, epsilon)

    def rotate(self, qkv: torch.Tensor, places: torch.Tensor, turn: torch.Tensor) -> None:
        """Turn the queries and keys of [tokens, 3, heads, head] in place, their pairs side by side.

        Args:
            places: of the tokens in their sequences, [tokens].
            turn: exp(i * place * frequency), [longest, head / 2] complex.
        """
        both = qkv[:, :2]
        pairs = both.float().reshape(len(qkv), -1, turn.shape[1], 2)
        turned = torch.view_as_complex(pairs) * turn[places].unsqueeze(1)
        both.copy_(torch.view_as_real(turned).view(both.shape))

    def attention(self, qkv: torch.Tensor, runs: list[Run], ends: torch.Tensor, longest: int) -> torch.Tensor:  # noqa: ARG002 - others need them
        """Each sequence's own: [tokens, 3, heads, head] to [tokens, heads * head].

        Args:
            runs: where sequences of equal length lie.
            ends: where each sequence ends, and 0 before them, [sequences + 1] int32.
            longest: tokens of the longest.
        """
        tokens, _, heads, head = qkv.shape
        out = torch.empty((tokens, heads, head), dtype=self.dtype, device=self.device)
        for begin, count, length in runs:
            end = begin + count * length
            q, k, v = qkv[begin:end].view(count, length, 3, heads, head).permute(2, 0, 3, 1, 4)
            out[begin:end].view(count, length, heads, head).copy_(self.attend(q, k, v).transpose(1, 2))
        return out.view(tokens, -1)

    def attend(self, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
        """Attention of equally long sequences, each [sequences, heads, length, head]; queries are scaled already."""
        return F.scaled_dot_product_attention(q, k, v, scale=1.0)

    @contextmanager
    def products(self) -> Iterator[None]:
        """What must be set while it computes."""
        yield


class OneDNN(Plain):
    """oneDNN's prepacked products on a CPU, with what follows a product in the same pass."""

    def __init__(self, device: torch.device, dtype: torch.dtype) -> None:
        super().__init__(device, dtype)
        self.exact = dtype is torch.float32 and _onednn_is_exact()

    @override
    def linear(self, weight: torch.Tensor, bias: torch.Tensor, *, gelu: bool = False) -> Linear:
        packed, low = torch.ops.mkldnn._reorder_linear_weight(self.here(weight)), self.here(bias)
        kind, how = ("gelu", "none") if gelu else ("none", "")
        # the overload by its name: torch would write all of x into the message of the one that does not fit
        return lambda x: torch.ops.mkldnn._linear_pointwise.default(x, packed, low, kind, [], how)

    @override
    def added(self, weight: torch.Tensor, bias: torch.Tensor) -> Added:
        packed, low = torch.ops.mkldnn._reorder_linear_weight(self.here(weight)), self.here(bias)
        return lambda x, before: torch.ops.mkldnn._linear_pointwise.binary(x, before, packed, low, "add")

    @override
    def attend(self, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
        """Attention in three plain steps, in blocks whose scores stay in the cache.

        On a CPU this is up to twice as fast as torch's own, whose products are not oneDNN's and whose exponentials in
        bfloat16 are slow.
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

    @override
    @contextmanager
    def products(self) -> Iterator[None]:
        with _onednn_products(self.exact):
            yield


class Flash(Plain):
    """Flash attention on a GPU, products that add to what is there, and kernels of our own for norms and rotation.

    The bias of such a product waits for the next norm, which adds it as it reads: the matrix is passed over once less.
    GELU comes out of the product by its usual approximation with tanh, which differs by less than bf16 rounds.

    Raises:
        ImportError, RuntimeError: there is no Triton here, or nothing that it could compile with.
    """

    defers = True

    def __init__(self, device: torch.device, dtype: torch.dtype) -> None:
        super().__init__(device, dtype)
        from torch.nn.attention.varlen import varlen_attn

        from baselines.backbones import kernels

        self.kernels = kernels
        # one split, so that a sequence's sums do not depend on what is beside it; older ones know no other
        known = "num_splits" in inspect.signature(varlen_attn).parameters
        self.varlen: Callable[..., object] = varlen_attn
        self.settings = {"scale": 1.0, "num_splits": 1} if known else {"scale": 1.0}
        self._turns: dict[int, tuple[torch.Tensor, torch.Tensor]] = {}

    @override
    def linear(self, weight: torch.Tensor, bias: torch.Tensor, *, gelu: bool = False) -> Linear:
        if not gelu:
            return super().linear(weight, bias)
        turned, low = self.here(weight).t(), self.here(bias)
        return lambda x: torch._addmm_activation(low, x, turned, use_gelu=True)

    @override
    def added(self, weight: torch.Tensor, bias: torch.Tensor) -> Added:
        turned = self.here(weight).t()
        return lambda x, before: torch.addmm(before, x, turned, out=before)

    @override
    def norm(self, weight: torch.Tensor, bias: torch.Tensor, epsilon: float, offset: torch.Tensor | None) -> Linear:
        weight, bias = self.here(weight), self.here(bias)
        moved = torch.zeros_like(bias) if offset is None else self.here(offset)
        return lambda x: self.kernels.layer_norm(x, moved, weight, bias, epsilon)

    @override
    def rotate(self, qkv: torch.Tensor, places: torch.Tensor, turn: torch.Tensor) -> None:
        if len(turn) not in self._turns:
            self._turns[len(turn)] = turn.real.contiguous(), turn.imag.contiguous()
        self.kernels.rotate(qkv, places, *self._turns[len(turn)])

    @override
    def attention(self, qkv: torch.Tensor, runs: list[Run], ends: torch.Tensor, longest: int) -> torch.Tensor:
        mixed = self.varlen(*qkv.unbind(1), ends, ends, longest, longest, **self.settings)
        assert isinstance(mixed, torch.Tensor)
        return mixed.reshape(len(qkv), -1)


def best(device: torch.device, dtype: torch.dtype) -> Plain:
    """What is fastest where it works: oneDNN on a CPU that has it, flash attention on a GPU in half precision."""
    if device.type == "cpu" and has_onednn(dtype):
        return OneDNN(device, dtype)
    if device.type == "cuda" and dtype in (torch.bfloat16, torch.float16):
        return Flash(device, dtype)
    return Plain(device, dtype)


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


def has_onednn(dtype: torch.dtype) -> bool:
    """Whether this torch has the products that the fused path uses: they are not part of its public interface."""
    if not torch.backends.mkldnn.is_available() or dtype not in (torch.float32, torch.bfloat16):
        return False
    if dtype is torch.bfloat16 and not torch.ops.mkldnn._is_mkldnn_bf16_supported():
        return False
    try:
        packed = torch.ops.mkldnn._reorder_linear_weight(torch.eye(4, dtype=dtype))
        torch.ops.mkldnn._linear_pointwise.default(torch.ones(2, 4, dtype=dtype), packed, None, "none", [], "")
    except (AttributeError, RuntimeError, NotImplementedError):
        return False
    return True
