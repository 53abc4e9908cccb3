"""The GPUs of this machine: one job, one GPU, named by its UUID and locked for everybody on the machine."""

from __future__ import annotations

import fcntl
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

LOCKS = Path(tempfile.gettempdir()) / "apb-gpus"


def present() -> tuple[str, ...]:
    """UUIDs of the GPUs that the driver reports; empty where there is no driver."""
    query = ["nvidia-smi", "--query-gpu=uuid", "--format=csv,noheader"]
    try:
        done = subprocess.run(query, capture_output=True, text=True, timeout=30, check=True)
    except (OSError, subprocess.SubprocessError):
        return ()
    return tuple(line.strip() for line in done.stdout.splitlines() if line.strip().startswith("GPU-"))


@contextmanager
def one_of(uuids: tuple[str, ...], stop: threading.Event, folder: Path = LOCKS) -> Iterator[str | None]:
    """Hold one free GPU while the block runs; waits for one, and yields None only when told to stop.

    The locks are files that every user of the machine shares; the kernel frees them when a process dies.
    """
    folder.mkdir(mode=0o1777, exist_ok=True)
    while not stop.is_set():
        for uuid in uuids:
            with (folder / uuid).open("a") as lock:
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    continue
                yield uuid
                return
        stop.wait(0.5)
    yield None
