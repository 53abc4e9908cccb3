"""Files written whole or not at all, and files that only grow, by whole lines."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

BLOCK = 4096


def as_json(content: Any) -> bytes:
    """JSON as this project writes it: sorted keys, no NaN, a newline at the end."""
    return (json.dumps(content, indent=1, sort_keys=True, allow_nan=False, ensure_ascii=False) + "\n").encode()


def write_json(path: Path, content: Any) -> None:
    """Write JSON atomically; a crash leaves the old file or the new one."""
    write_bytes(path, as_json(content))


def write_bytes(path: Path, content: bytes, mode: int = 0o644) -> None:
    """Write a file atomically, parent folders included."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".", suffix=".tmp")
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        Path(temporary).chmod(mode)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


@contextmanager
def all_or_nothing(*paths: Path) -> Iterator[None]:
    """Where the block fails, whatever of these files and folders was not there before is taken away again."""
    new = [path for path in paths if not os.path.lexists(path)]
    try:
        yield
    except BaseException:
        for path in new:
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)
        raise


def append_line(path: Path, line: bytes) -> None:
    """Add a line to a file that only grows: all of it, or nothing.

    Half a line at its end, which a crash or a full disk has left there, is set aside first and never glued to.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    set_torn_end_aside(path)
    with all_or_nothing(path), path.open("ab", buffering=0) as stream:
        end = stream.seek(0, os.SEEK_END)
        try:
            left = memoryview(line + b"\n")
            while left:
                left = left[stream.write(left) :]
        except BaseException:
            stream.truncate(end)
            raise


def set_torn_end_aside(path: Path) -> Path | None:
    """Move half a line at the end of a file to `<name>.torn` beside it; that file, or None where there was none."""
    torn = _torn_end(path)
    if not torn:
        return None
    aside = path.with_name(f"{path.name}.torn")
    with aside.open("ab") as kept:
        kept.write(torn + b"\n")
    os.truncate(path, path.stat().st_size - len(torn))
    return aside


def _torn_end(path: Path) -> bytes:
    if not path.is_file():
        return b""
    with path.open("rb") as stream:
        torn = b""
        position = stream.seek(0, os.SEEK_END)
        while position:
            size = min(position, BLOCK)
            position = stream.seek(position - size)
            _, newline, rest = stream.read(size).rpartition(b"\n")
            torn = rest + torn
            if newline:
                break
    return torn


def whole_lines(path: Path) -> list[bytes]:
    """The lines of a file that only grows, without half a line at its end; none where there is no file."""
    return path.read_bytes().split(b"\n")[:-1] if path.is_file() else []
