"""Files of weights, looked at without being believed: sizes, shapes and finite numbers, before anything is loaded."""

from __future__ import annotations

import io
import json
import math
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from baselines.errors import DataError

WOULD_RUN = {".pkl", ".pickle", ".pt", ".pth", ".bin", ".joblib", ".ckpt", ".dill"}
"""Files of pickles: to read one runs what it says."""
PICKLES = {b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05"}
"""How they begin, whatever they are called."""
MAX_HEADER = 16 * 2**20
MAX_MEMBER = 2 * 2**30
CHUNK = 2**22
"""Numbers looked at together."""
DTYPES = {
    "F64": ("<f8", 8), "F32": ("<f4", 4), "F16": ("<f2", 2), "BF16": ("<u2", 2),
    "I64": ("<i8", 8), "I32": ("<i4", 4), "I16": ("<i2", 2), "I8": ("i1", 1), "U8": ("u1", 1), "BOOL": ("u1", 1),
}  # fmt: skip
"""Of safetensors: how numpy reads them, and their bytes."""


def refuse_pickles(folder: Path) -> None:
    """Nothing that would run code is loaded, nor looked into.

    Raises:
        DataError: with the name of the first such file.
    """
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        with path.open("rb") as stream:
            begins = stream.read(2)
        if path.suffix.lower() in WOULD_RUN or begins in PICKLES:
            raise DataError(f"{path} is a pickle, which runs code when read; it was not. Keep safetensors or skops.")


def count_safetensors(path: Path) -> int:
    """How many numbers a file holds; each is finite.

    Raises:
        DataError: the header does not fit the file, or a number is none.
    """
    size = path.stat().st_size
    with path.open("rb") as stream:
        length = int.from_bytes(stream.read(8), "little")
        if size < 8 or length > min(MAX_HEADER, size - 8):
            raise DataError(f"{path} is no safetensors file: its header of {length:,} bytes is not in {size:,} bytes.")
        header = _header(path, stream.read(length))
    start, total = 8 + length, 0
    for name, told in header.items():
        total += _check_tensor(path, name, told, start, size)
    return total


def _header(path: Path, content: bytes) -> dict[str, Any]:
    try:
        header = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path} is no safetensors file: its header is not JSON.") from error
    if not isinstance(header, dict):
        raise DataError(f"{path} is no safetensors file: its header is no table.")
    header.pop("__metadata__", None)
    return header


def _check_tensor(path: Path, name: str, told: Any, start: int, size: int) -> int:
    shown = ascii(name)[:60]
    try:
        (dtype, width), shape = DTYPES[told["dtype"]], [int(n) for n in told["shape"]]
        begin, end = (int(n) for n in told["data_offsets"])
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(f"{path}: tensor {shown} is not described as safetensors are.") from error
    count = math.prod(shape)
    if min(shape, default=0) < 0 or count * width != end - begin or begin < 0 or start + end > size:
        raise DataError(
            f"{path}: tensor {shown} is said to have the shape {shape[:6]} at bytes {begin:,} to {end:,}, "
            f"which does not fit a file of {size:,} bytes."
        )
    if told["dtype"] in {"F64", "F32", "F16", "BF16"}:
        values = np.memmap(path, dtype, "r", start + begin, (count,)) if count else np.empty(0, dtype)
        for at in range(0, count, CHUNK):
            part = values[at : at + CHUNK]
            finite = np.bitwise_and(part, 0x7F80) != 0x7F80 if told["dtype"] == "BF16" else np.isfinite(part)
            if not finite.all():
                raise DataError(f"{path}: tensor {shown} holds NaN or infinity.")
    return count


def count_skops(path: Path) -> int:
    """How many numbers the arrays of a model in skops' format hold; each is finite.

    Raises:
        DataError: it is no such file, or a number is none.
    """
    total = 0
    try:
        with zipfile.ZipFile(path) as members:
            for member in members.infolist():
                if not member.filename.endswith(".npy"):
                    continue
                if member.file_size > MAX_MEMBER:
                    raise DataError(f"{path}: {ascii(member.filename)[:60]} unpacks to {member.file_size:,} bytes.")
                array = np.load(io.BytesIO(members.read(member)), allow_pickle=False)
                if array.dtype.kind == "f" and not np.isfinite(array).all():
                    raise DataError(f"{path}: {ascii(member.filename)[:60]} holds NaN or infinity.")
                total += array.size
    except (zipfile.BadZipFile, ValueError, OSError, EOFError, NotImplementedError) as error:
        raise DataError(f"{path} is no model in skops' format: {error!r}"[:300]) from error
    return total
