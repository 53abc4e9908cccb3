"""How much memory a container used at most: the kernel's own peak, less what is only page cache.

The kernel keeps the peak of every control group, and the engine removes the group some milliseconds after the last
process of the container. It is read beside the run and once more when that ends, and told only where that was done.
"""

from __future__ import annotations

import os
import select
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

EVERY = 0.01
LATE = 0.03
"""Seconds between two readings, and how long before the end the last one may have been where the group went first."""
MOUNTS = Path("/sys/fs/cgroup")


@dataclass(frozen=True)
class Group:
    """The control group of one container, of either version.

    Attributes:
        files: with the largest usage so far, with what is in use now, and with what it consists of.
        cache, shared: names in the last of them, of files' pages with and of shared memory, which is no cache.
    """

    files: tuple[Path, Path, Path]
    cache: str
    shared: str


def group_of(pid: int, container: str, *, proc: Path = Path("/proc"), mounts: Path = MOUNTS) -> Group | None:
    """The group that a container's first process is in; None where it cannot be seen from here.

    Args:
        container: its id; a process that is in no group of this name is another one that was given the same number.
    """
    with suppress(OSError):
        for line in (proc / str(pid) / "cgroup").read_text().splitlines():
            number, controllers, path = line.split(":", 2)
            if container not in path:
                continue
            if "memory" in controllers.split(","):
                folder, names = (
                    mounts / "memory" / path.lstrip("/"),
                    ("memory.max_usage_in_bytes", "memory.usage_in_bytes"),
                )
                cache, shared = "total_cache", "total_shmem"
            elif number == "0":
                folder, names = mounts / path.lstrip("/"), ("memory.peak", "memory.current")
                cache, shared = "file", "shmem"
            else:
                continue
            if (folder / names[0]).exists():
                return Group((folder / names[0], folder / names[1], folder / "memory.stat"), cache, shared)
    return None


class Peak:
    """The largest use of memory of one container, read beside it.

    Args:
        pid: of the container's first process, with which all others end.
        container: its id.
    """

    def __init__(self, pid: int, container: str) -> None:
        self._pid = pid
        self._group = group_of(pid, container)
        self._peak = self._most_cache = self._most_counted = 0
        self._complete = False

    def watch(self, stop: threading.Event) -> None:
        """Read until the container has ended, once more at once, or until told to stop."""
        if self._group is None:
            return
        last = 0.0
        with suppress(OSError, ValueError), ExitStack() as held:  # a measurement is not worth a run
            process = os.pidfd_open(self._pid)
            held.callback(os.close, process)
            peak, usage, stat = (held.enter_context(path.open("rb", buffering=0)) for path in self._group.files)
            ended = select.poll()
            ended.register(process, select.POLLIN)
            while not stop.is_set() and not self._complete:
                over = bool(ended.poll(EVERY * 1000))
                self._complete = over and time.monotonic() - last <= LATE
                self._peak = max(self._peak, int(os.pread(peak.fileno(), 32, 0)))
                self._complete, last = over, time.monotonic()
                self._tell_cache(int(os.pread(usage.fileno(), 32, 0)), os.pread(stat.fileno(), 1 << 16, 0))

    def _tell_cache(self, usage: int, stat: bytes) -> None:
        assert self._group is not None
        found = dict(line.split() for line in stat.decode().splitlines())
        cache = max(int(found.get(self._group.cache, 0)) - int(found.get(self._group.shared, 0)), 0)
        self._most_cache = max(self._most_cache, cache)
        self._most_counted = max(self._most_counted, usage - cache)

    @property
    def bytes(self) -> int | None:
        """What counted against the limit at most; None where the end was not seen.

        Pages of files that were read are in the kernel's peak, but it gives them up before a limit is hit: the most of
        them that was ever seen is taken off, unless more than what is left was seen in use without them.
        """
        if not self._complete:
            return None
        return max(self._peak - self._most_cache, self._most_counted) or None


@contextmanager
def watched(pid: int, container: str) -> Iterator[Peak]:
    """Read beside the block, which should not end before the container has.

    Args:
        pid: of the container's first process; 0 where it is not known.
        container: its id.
    """
    peak, stop = Peak(pid, container), threading.Event()
    threading.Thread(target=peak.watch, args=(stop,), daemon=True, name="apb-memory").start()
    try:
        yield peak
    finally:
        stop.set()
