"""What this machine is, and how many operations per second its matrix products reach."""

from __future__ import annotations

import platform
import shutil
import subprocess
import time
from collections.abc import Callable, Sequence

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 - everybody calls it so

from baselines.backbones import processor
from baselines.backbones.checkpoint import Shape
from baselines.backbones.products import has_onednn


def operations(shape: Shape, lengths: Sequence[int]) -> float:
    """Floating-point operations of sequences by their residues."""
    tokens = np.array(lengths, dtype=np.float64) + 2
    inner = (6 if shape.family == "esmc" else 4) * shape.inner  # gates are a third product
    return float(shape.layers * (tokens * shape.width * (8 * shape.width + inner) + 4 * tokens**2 * shape.width).sum())


def peak_rate(device: str, dtype: torch.dtype, shape: Shape | None = None, seconds: float = 2.0) -> float:
    """Operations per second of the fastest matrix product here, which a share is of.

    Square ones, and those of a model's layers where its shape is given; on a CPU by torch's own product and oneDNN's.

    Args:
        seconds: spent on it, about.
    """
    sizes = [(8192, 8192, 8192)] if device == "cuda" else [(n, n, n) for n in (1024, 2048)]
    if shape is not None:
        d, inner = shape.width, shape.inner
        rows = [32_768] if device == "cuda" else [512, 1024, 2048]
        sizes += [(n, *size) for n in rows for size in ((d, 3 * d), (d, inner), (inner, d))]
    return max(_rate(size, device, dtype, seconds / len(sizes)) for size in sizes)


def _rate(size: tuple[int, int, int], device: str, dtype: torch.dtype, seconds: float) -> float:
    rows, inside, columns = size
    a = torch.randn(rows, inside, device=device, dtype=dtype)
    b = torch.randn(columns, inside, device=device, dtype=dtype)
    products: list[Callable[[], object]] = [lambda: F.linear(a, b)]
    if device == "cpu" and has_onednn(dtype):
        packed = torch.ops.mkldnn._reorder_linear_weight(b)
        products.append(lambda: torch.ops.mkldnn._linear_pointwise.default(a, packed, None, "none", [], ""))
    best, end = float("inf"), time.perf_counter() + seconds
    while time.perf_counter() < end or best == float("inf"):
        best = min(best, *(timed(product, device) for product in products))
    return 2 * rows * inside * columns / best


def timed(run: Callable[[], object], device: str) -> float:
    """Seconds of one run, with every wait of the device."""
    if device == "cuda":
        torch.cuda.synchronize()
    begun = time.perf_counter()
    run()
    if device == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - begun


def described(device: str) -> dict[str, str]:
    """The device and the versions that a speed is of."""
    found = {"torch": torch.__version__, "python": platform.python_version()}
    if device == "cuda":
        return {"device": torch.cuda.get_device_name(), "driver": _driver(), "cuda": str(torch.version.cuda), **found}
    instructions = ", ".join(processor.instructions()) or "unknown"
    threads = f"{torch.get_num_threads()} CPU threads"
    return {"device": processor.name(), "threads": threads, "instructions": instructions, **found}


def _driver() -> str:
    """The version of NVIDIA's driver; `unknown` where nothing tells it."""
    if not shutil.which("nvidia-smi"):
        return "unknown"
    asked = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
    told = subprocess.run(asked, capture_output=True, text=True, check=False, timeout=30).stdout.split()
    return told[0] if told else "unknown"
