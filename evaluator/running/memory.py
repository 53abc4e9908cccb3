"""How much memory a container uses, sampled beside its run: the engine takes up to a second for one answer."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

import docker
import docker.models.containers

from evaluator.running.engine import ENGINE_FAULTS

EVERY = 0.25


@dataclass
class Peak:
    """The largest figure seen so far, in bytes; None where the run was too quick to be seen."""

    bytes: int | None = None


@contextmanager
def sampled(engine: docker.DockerClient, container: docker.models.containers.Container) -> Iterator[Peak]:
    """Sample while the block runs; an answer that is still under way then is not waited for."""
    peak, over = Peak(), threading.Event()

    def sample() -> None:
        while not over.is_set():
            if (now := _memory(engine, str(container.id))) and not over.is_set():
                peak.bytes = max(peak.bytes or 0, now)
            over.wait(EVERY)

    threading.Thread(target=sample, daemon=True, name="apb-memory").start()
    try:
        yield peak
    finally:
        over.set()


def _memory(engine: docker.DockerClient, container: str) -> int | None:
    """Bytes in use now, or the kernel's own high-water mark where the engine passes it on (cgroup v1)."""
    with suppress(*ENGINE_FAULTS, ValueError):  # a measurement is not worth a run
        memory = engine.api.stats(container, stream=False, one_shot=True).get("memory_stats", {})
        return int(memory.get("max_usage") or memory.get("usage") or 0) or None
    return None
