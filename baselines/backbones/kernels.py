"""Two kernels for a GPU, in Triton: what else an encoder does to its matrix between products, in one pass each.

Torch's own layer norm and rotation read and write the matrix several times over. Triton comes with torch's CUDA build
and compiles these where they run, for which it needs a C compiler.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl


@triton.jit  # type: ignore[untyped-decorator]
def _norm(x, offset, weight, bias, out, width, epsilon, BLOCK: tl.constexpr):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202, N803
    row = tl.program_id(0).to(tl.int64) * width
    at = tl.arange(0, BLOCK)
    inside = at < width
    values = tl.load(x + row + at, mask=inside, other=0.0).to(tl.float32)
    values += tl.load(offset + at, mask=inside, other=0.0).to(tl.float32)
    mean = tl.sum(values) / width
    centred = tl.where(inside, values - mean, 0.0)
    scaled = centred * tl.rsqrt(tl.sum(centred * centred) / width + epsilon)
    scaled *= tl.load(weight + at, mask=inside, other=0.0).to(tl.float32)
    scaled += tl.load(bias + at, mask=inside, other=0.0).to(tl.float32)
    tl.store(out + row + at, scaled.to(out.dtype.element_ty), mask=inside)


@triton.jit  # type: ignore[untyped-decorator]
def _rotate(qkv, places, cos, sin, stride, size, HALF: tl.constexpr, BLOCK: tl.constexpr):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202, N803
    token = tl.program_id(0).to(tl.int64)
    place = tl.load(places + token)
    at = tl.arange(0, BLOCK)
    inside = at < size
    pair = tl.arange(0, BLOCK // 2)
    angle = place * HALF + pair % HALF
    c, s = tl.load(cos + angle), tl.load(sin + angle)
    values = tl.load(qkv + token * stride + at, mask=inside, other=0.0).to(tl.float32)
    a, b = tl.split(tl.reshape(values, (BLOCK // 2, 2)))
    turned = tl.interleave(a * c - b * s, a * s + b * c)
    tl.store(qkv + token * stride + at, turned.to(qkv.dtype.element_ty), mask=inside)


def layer_norm(
    x: torch.Tensor, offset: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor, epsilon: float
) -> torch.Tensor:
    """The layer norm of x + offset over the last dimension; x is [tokens, width], the others [width]."""
    out = torch.empty_like(x)
    width = x.shape[1]
    _norm[(len(x),)](x, offset, weight, bias, out, width, epsilon, BLOCK=triton.next_power_of_2(width), num_warps=4)
    return out


def rotate(qkv: torch.Tensor, places: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor) -> None:
    """Turn the queries and keys of [tokens, 3, heads, head] in place, their pairs side by side.

    Args:
        places: of the tokens in their sequences, [tokens].
        cos, sin: of place times frequency, [longest, head / 2] float32.
    """
    tokens, _, heads, head = qkv.shape
    size = 2 * heads * head
    block = triton.next_power_of_2(size)
    _rotate[(tokens,)](qkv, places, cos, sin, qkv.stride(0), size, HALF=head // 2, BLOCK=block, num_warps=4)
