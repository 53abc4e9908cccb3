"""A registry of our own, and images in it."""

from __future__ import annotations

import docker

from tests.conftest import LocalRegistry, Workspace


def settings(workspace: Workspace, registry: LocalRegistry, **more: object) -> None:
    lines = [f'insecure_registries = ["{registry.host}"]', *(f"{k} = {v}" for k, v in more.items())]
    (workspace.root / "pyproject.toml").write_text("[tool.apb]\n" + "\n".join(lines) + "\n")


def push(engine: docker.DockerClient, local: str, name: str) -> str:
    image = engine.images.get(local)
    image.tag(name)
    for line in engine.images.push(name, stream=True, decode=True):
        assert "error" not in line, line
    engine.images.remove(name)
    return name
