"""The way to the local Docker engine, and all that it throws."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import docker
import docker.errors
import requests.exceptions

from evaluator.errors import EngineError
from evaluator.text import printable

CALL_TIMEOUT = 60
ENGINE_FAULTS = (docker.errors.DockerException, requests.exceptions.RequestException)


def connect() -> docker.DockerClient:
    """The local engine, with a time limit on every call.

    Raises:
        EngineError: it does not answer.
    """
    try:
        client = docker.from_env(timeout=CALL_TIMEOUT, max_pool_size=64)
        client.ping()
    except ENGINE_FAULTS as error:
        raise EngineError(
            f"No Docker engine answers: {printable(str(error), 200)}", "Install and start Docker, or set DOCKER_HOST."
        ) from error
    return client


@cache
def is_podman(engine: docker.DockerClient) -> bool:
    """Whether the Docker socket is in truth Podman's."""
    return speaks_podman(engine.version())


def speaks_podman(version: dict[str, Any]) -> bool:
    """Whether an engine's own account of its version is Podman's."""
    return any("podman" in str(c.get("Name", "")).lower() for c in version.get("Components") or [])


@contextmanager
def answering(what: str = "The Docker engine does not answer", remedy: str = "") -> Iterator[None]:
    """Whatever the engine throws in the block is our fault, and says what did not work.

    Raises:
        EngineError: `what`, with the engine's own words.
    """
    try:
        yield
    except (*ENGINE_FAULTS, OSError) as error:
        raise EngineError(f"{what}: {printable(str(error), 300)}", remedy) from error
