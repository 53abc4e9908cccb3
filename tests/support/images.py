"""Small images made on the spot: one more layer on an image that the engine has."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import docker

from evaluator.running.engine import is_podman
from tests.support import lanes


def add(
    engine: docker.DockerClient, base: str, tag: str, files: Mapping[str, str] | None = None, **config: Any
) -> None:
    """Make the image that `FROM base` with a `COPY` of these files makes, and with this configuration.

    A build starts a container for each of its lines. This is one call: Docker reads no layer that it already has.
    """
    if is_podman(engine):
        _build(engine, base, tag, files or {}, config)
    else:
        _load(engine, base, tag, files or {}, config)


def _load(
    engine: docker.DockerClient, base: str, tag: str, files: Mapping[str, str], config: Mapping[str, Any]
) -> None:
    parent = engine.api.inspect_image(base)  # type: ignore[no-untyped-call]
    layers = list(parent["RootFS"]["Layers"])
    parts = {f"{number}.tar": b"" for number in range(len(layers))}
    if files:
        own = tar({name: text.encode() for name, text in files.items()})
        parts[f"{len(layers)}.tar"] = own
        layers.append(f"sha256:{hashlib.sha256(own).hexdigest()}")
    known = parent["Config"]
    added = {
        "Labels": {**(known.get("Labels") or {}), **config.get("Labels", {})},
        "Env": [*(known.get("Env") or []), *config.get("Env", [])],
    }
    image = {
        "architecture": parent["Architecture"], "os": parent["Os"], "config": {**known, **config, **added},
        "rootfs": {"type": "layers", "diff_ids": layers},
    }  # fmt: skip
    manifest = [{"Config": "config.json", "RepoTags": [tag], "Layers": list(parts)}]
    wanted = {name: content for name, content in parts.items() if content}
    index = {"config.json": json.dumps(image).encode(), "manifest.json": json.dumps(manifest).encode()}
    engine.images.load(tar({**wanted, **index}))


def prune(engine: docker.DockerClient, filters: Mapping[str, Any]) -> None:
    """Remove images without a name; an engine does that for one at a time and refuses it to others meanwhile."""
    with lanes.sole("prune"):
        engine.images.prune(filters=dict(filters))


def tar(files: Mapping[str, bytes]) -> bytes:
    """Files of root's, which all may read."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


def _build(
    engine: docker.DockerClient, base: str, tag: str, files: Mapping[str, str], config: Mapping[str, Any]
) -> None:
    """Podman wants every layer of what it loads."""
    with tempfile.TemporaryDirectory() as folder:
        lines = [f"FROM {base}", *(f'COPY ["{name}", "/{name}"]' for name in files)]
        lines += [f"ENV {variable}" for variable in config.get("Env", ())]
        lines += [f"CMD {json.dumps(config['Cmd'])}"] if "Cmd" in config else []
        for name, text in files.items():
            (Path(folder) / name).parent.mkdir(parents=True, exist_ok=True)
            (Path(folder) / name).write_text(text)
        (Path(folder) / "Dockerfile").write_text("\n".join(lines) + "\n")
        engine.images.build(
            path=folder, tag=tag, rm=True, forcerm=True, nocache=True, network_mode="none", labels=config.get("Labels")
        )
