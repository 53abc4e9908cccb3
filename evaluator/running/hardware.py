"""This machine's processor and GPUs: one job, one GPU, named by its UUID and locked for all of the machine."""

from __future__ import annotations

import fcntl
import os
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from evaluator.errors import EvaluatorError

LOCKS = Path(tempfile.gettempdir()) / "apb-gpus"


def present() -> tuple[str, ...]:
    """UUIDs of the GPUs that the driver reports; empty where there is no driver."""
    query = ["nvidia-smi", "--query-gpu=uuid", "--format=csv,noheader"]
    try:
        done = subprocess.run(query, capture_output=True, text=True, timeout=30, check=True)
    except (OSError, subprocess.SubprocessError):
        return ()
    return tuple(line.strip() for line in done.stdout.splitlines() if line.strip().startswith("GPU-"))


def granted() -> tuple[str, ...]:
    """Those of them that this process may use: all, or what CUDA_VISIBLE_DEVICES names, as a batch system sets it."""
    found, visible = present(), os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is None:
        return found
    names = [name.strip() for name in visible.split(",")]
    return tuple(
        uuid for k, uuid in enumerate(found) if str(k) in names or any(n and uuid.startswith(n) for n in names)
    )


def _openable(lock: Path) -> Path:
    """To lock a file it is enough to read it, which whoever made it leaves to everybody."""
    if not lock.exists():
        lock.touch(mode=0o644)
    return lock


@contextmanager
def one_of(uuids: tuple[str, ...], stop: threading.Event, folder: Path = LOCKS) -> Iterator[str | None]:
    """Hold one free GPU while the block runs; waits for one, and yields None only when told to stop.

    The locks are files that every user of the machine shares; the kernel frees them when a process dies.

    Raises:
        EvaluatorError: there are none to wait for.
    """
    if not uuids:
        raise EvaluatorError("A run needs a GPU, and this machine has none.", "Use a machine with a GPU.")
    if not folder.exists():
        folder.mkdir(exist_ok=True)
        folder.chmod(0o1777)  # mkdir's own mode is cut by the umask
    while not stop.is_set():
        for uuid in uuids:
            with _openable(folder / uuid).open() as lock:
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    continue
                yield uuid
                return
        stop.wait(0.5)
    yield None


@cache
def cpu_model() -> str | None:
    """What the processor calls itself."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return None
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), None)
