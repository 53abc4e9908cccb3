"""Bytes of a file, unpacked where its name ends in .gz; and what they are where they are no plain text in UTF-8."""

from __future__ import annotations

import gzip
import zlib
from pathlib import Path

# the longer mark first: UTF-32 begins as UTF-16 does
_MARKS = (
    (b"\xff\xfe\x00\x00", "UTF-32"),
    (b"\x00\x00\xfe\xff", "UTF-32"),
    (b"\xff\xfe", "UTF-16"),
    (b"\xfe\xff", "UTF-16"),
    (b"\x1f\x8b", "compressed with gzip"),
    (b"BZh", "compressed with bzip2"),
    (b"\xfd7zXZ\x00", "compressed with xz"),
    (b"\x28\xb5\x2f\xfd", "compressed with zstd"),
    (b"PK\x03\x04", "a zip archive, as an Excel workbook is one"),
    (b"\xd0\xcf\x11\xe0", "an old Excel workbook"),
    (b"PAR1", "a Parquet file"),
    (b"ARROW1", "a Feather file"),
    (b"\x89HDF", "an HDF5 file"),
    (b"%PDF", "a PDF"),
    (b"version https://git-lfs", "a pointer of Git LFS and not the file itself"),
)


def foreign(data: bytes) -> str | None:
    """What the bytes are, for `The file is ...`; None where they may be plain text in UTF-8."""
    named = next((name for mark, name in _MARKS if data.startswith(mark)), None)
    if named:
        return named
    # without a mark: Latin letters in two or four bytes have zeros at every second place, or at three of four
    head = data[:400]
    for width, name in ((4, "UTF-32"), (2, "UTF-16")):
        rows = len(head) // width
        zeros = [sum(1 for k in range(rows) if head[k * width + place] == 0) for place in range(width)]
        if rows >= 2 and sum(1 for count in zeros if count > 0.8 * rows) == width - 1 and min(zeros) == 0:
            return name
    return None


def read_bytes(path: Path, limit: int = -1) -> bytes:
    """A file's content, unpacked where its name ends in .gz.

    Args:
        limit: of the bytes that are read; all by default.

    Raises:
        ValueError: it is not there or not whole; the message says why, to be put behind the file's name.
        OSError: the operating system refuses it, which is nobody's fault but this machine's.
    """
    try:
        with gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb") as stream:
            return stream.read(limit)
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise ValueError("is not a whole file of gzip, which .gz says") from error
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError) as error:
        raise ValueError(f"cannot be read: {error.strerror}") from error
