"""Processes of this machine, told apart also where a number is used again: by when they began, and since which boot."""

from __future__ import annotations

from contextlib import suppress
from functools import cache
from pathlib import Path


def process_start(pid: int) -> str | None:
    """When a process began, in clock ticks since boot; None if it is dead. A pid alone may be used again."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] == "Z" else fields[19]


@cache
def boot() -> str:
    """What tells this boot of the machine from every other; `unknown` where the kernel does not say."""
    with suppress(OSError):
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    return "unknown"
