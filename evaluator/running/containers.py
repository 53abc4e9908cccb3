"""What holds for every container that we start, and how none is left behind."""

from __future__ import annotations

import json
import os
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

import docker
import docker.errors
import docker.models.containers

from evaluator.errors import EngineError
from evaluator.processes import boot, process_start
from evaluator.running.engine import ENGINE_FAULTS
from evaluator.running.surroundings import HOSTNAME

UID = 65532
LABEL = "antibody-polyreactivity-benchmark"


def scope() -> str:
    """Whose our containers and volumes are; two scopes on one machine neither count nor remove each other's."""
    return os.environ.get("APB_SCOPE", "run")


def of_scope() -> dict[str, str | list[str] | bool]:
    """What the engine is asked for, to list those of our scope."""
    return {"label": f"{LABEL}={scope()}"}


@cache
def _seccomp() -> str:
    """The system calls that a run may make: what Docker's default profile allows to a process without capabilities, on
    x86-64 only, less vsock (a way to the hypervisor that no network setting closes), io_uring and kernel keyrings.
    """
    return "seccomp=" + json.dumps(json.loads((Path(__file__).parent / "seccomp.json").read_text()))


def confined(*, podman: bool = False) -> dict[str, Any]:
    """What holds for every container that we start, ours and theirs."""
    # Podman takes a path there, on its own machine, and has a profile of its own.
    profile = [] if podman else [_seccomp()]
    return {
        "user": f"{UID}:{UID}",
        "network_mode": "none",
        "read_only": True,
        "cap_drop": ["ALL"],
        "security_opt": ["no-new-privileges:true", *profile],
        "privileged": False,
        "ipc_mode": "private",
        "cgroupns": "private",
        "healthcheck": {"test": ["NONE"]},
        "use_config_proxy": False,
        "detach": True,
        "tty": False,
        "stdin_open": False,
        "hostname": HOSTNAME,
        "labels": owner_labels(),
    }


_task: ContextVar[dict[str, str]] = ContextVar("task", default={})  # noqa: B039 - never changed in place


@contextmanager
def labelled(**labels: str) -> Iterator[None]:
    """What this thread starts within the block says what for, e.g. `run` and `task`."""
    token = _task.set({f"{LABEL}.{name}": value for name, value in labels.items()})
    try:
        yield
    finally:
        _task.reset(token)


def owner_labels() -> dict[str, str]:
    """Labels that say which process on which machine a container or volume belongs to, and what it is for."""
    pid = os.getpid()
    return {
        **_task.get(),
        LABEL: scope(),
        f"{LABEL}.host": socket.gethostname(),
        f"{LABEL}.process": f"{boot()}/{pid}/{process_start(pid)}",
    }


def _orphaned(labels: dict[str, str]) -> bool:
    if labels.get(f"{LABEL}.host") != socket.gethostname():
        return False
    its_boot, _, process = labels.get(f"{LABEL}.process", "").partition("/")
    pid, _, start = process.partition("/")
    return its_boot != boot() or not pid.isdecimal() or process_start(int(pid)) != start


def reap(engine: docker.DockerClient, *, mine: bool = False) -> int:
    """Remove what killed processes of this machine and scope have left; returns how many containers and volumes.

    Args:
        mine: also what this process has left, which must have no run in progress.
    """
    count = 0

    def _left(labels: dict[str, str]) -> bool:
        return _orphaned(labels) or (mine and owner_labels().items() <= labels.items())

    try:
        # Only what the list itself says: to look each of them up fails for one that is just being removed.
        for container in engine.api.containers(all=True, filters=of_scope()):
            if _left(container.get("Labels") or {}):
                remove(partial(engine.api.remove_container, container["Id"], force=True, v=True))
                count += 1
        for volume in engine.volumes.list(filters=of_scope()):
            if _left(volume.attrs.get("Labels") or {}):
                remove(partial(volume.remove, force=True))
                count += 1
    except ENGINE_FAULTS as error:
        raise EngineError(f"The Docker engine failed while leftovers were removed: {error}"[:500]) from error
    return count


@contextmanager
def removed(container: docker.models.containers.Container) -> Iterator[None]:
    """Remove a container on the way out, running or not."""
    try:
        yield
    finally:
        remove(partial(container.remove, force=True, v=True))


PATIENCE = 16.0
"""Seconds that an engine which is being restarted is waited for, by all removals together."""


@dataclass
class _Silence:
    """Since when the engine has answered no removal; none where it answers."""

    since: float | None = None


_silence = _Silence()


def remove(action: Callable[[], None]) -> None:
    """Remove, or leave it to the next `reap`: a failure here must not hide what went wrong before.

    An engine that is being restarted is waited for; one that is gone, not once more for every single thing.
    """
    pause, begun = 0.2, time.monotonic()
    while True:
        try:
            action()
        except docker.errors.NotFound:
            _silence.since = None
            return
        except ENGINE_FAULTS:
            now = time.monotonic()
            _silence.since = _silence.since or now
            if now + pause > PATIENCE + min(begun, _silence.since):
                return
            time.sleep(pause)
            pause = min(2 * pause, 4.0)
        else:
            _silence.since = None
            return
