"""What an image holds and its runs never see, since something else is mounted there."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

import docker
import docker.models.containers
import docker.models.images
import requests.exceptions

from evaluator.running.containers import confined, removed
from evaluator.running.engine import answering, is_podman
from evaluator.running.output import look
from evaluator.text import clean_path, printable

HEAD = 64 * 1024
"""Of the archive of a folder; its first two entries are in it."""
MOUNTED = ("/data", "/output", "/tmp")  # noqa: S108 - a path inside the container


@dataclass(frozen=True)
class Covered:
    """A folder of the image that a run sees without what the image has in it.

    Attributes:
        volume: the image declares it with VOLUME; otherwise it is one of the contract's own.
        example: one thing that lies in it, for people.
    """

    path: str
    volume: bool
    example: str


def volumes(image: docker.models.images.Image) -> list[str]:
    """The folders that an image declares with VOLUME, but for those that the contract mounts anyhow."""
    declared = map(clean_path, (image.attrs.get("Config") or {}).get("Volumes") or {})
    return sorted({path for path in declared if path not in MOUNTED})


def covered(engine: docker.DockerClient, image: docker.models.images.Image) -> list[Covered]:
    """Folders of an image whose content is hidden in a run; the image is looked into and not started.

    What the engine refuses to look into is left out: the run that follows tells whose fault that is.

    Raises:
        EngineError: the engine does not answer.
    """
    declared = volumes(image)
    with (
        answering("The Docker engine could not look into the image"),
        suppress(requests.exceptions.HTTPError),
        unstarted(engine, image) as container,
    ):
        found = [(path, _first(engine, container, path)) for path in (*declared, *MOUNTED)]
        return [Covered(path, path in declared, printable(name, 100)) for path, name in found if name]
    return []


@contextmanager
def unstarted(
    engine: docker.DockerClient, image: docker.models.images.Image
) -> Iterator[docker.models.containers.Container]:
    """A container that is never started, to look into an image through it; gone afterwards."""
    container = engine.containers.create(
        str(image.id),
        entrypoint=["/never-started"],
        tmpfs=dict.fromkeys(volumes(image), "size=1m"),  # else the engine copies all of it into a volume
        network_disabled=True,
        **confined(podman=is_podman(engine)),
    )
    with removed(container):
        yield container


def _first(engine: docker.DockerClient, container: docker.models.containers.Container, path: str) -> str:
    """The name of the first thing in a folder; empty where there is none. No more than its head is read."""
    place = look(engine, container, path)
    if place and place.link:
        path = place.link
        place = look(engine, container, path)
    if place is None or place.oddity != "a folder":
        return ""
    api = engine.api
    url = f"{api.base_url}/v{api.api_version}/containers/{container.id}/archive"
    with api.get(url, params={"path": path}, stream=True, timeout=api.timeout) as answer:
        answer.raise_for_status()
        head = bytearray()
        for chunk in answer.iter_content(HEAD):
            head += chunk
            if len(head) >= HEAD:
                break
    with suppress(tarfile.TarError), tarfile.open(fileobj=io.BytesIO(head)) as archive:
        archive.next()  # the folder itself
        if first := archive.next():
            return first.name.partition("/")[2]
    return ""
