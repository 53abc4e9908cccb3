"""`/output`: a tmpfs of limited size that outlives the job, and the reading of what the job left in it.

The pages of a tmpfs volume vanish with the last container that mounts it, so a trusted holder mounts it too, read-only.
The job is removed first, and only then is the file read through the holder. What the job did to the file (link, FIFO,
terabyte of holes) is seen from its metadata, before a byte is read.
"""

from __future__ import annotations

import base64
import io
import json
import stat
import struct
import tarfile
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache, partial

import docker
import docker.errors
import docker.models.containers
import docker.models.volumes
import requests
from docker.types import LogConfig, Mount

from evaluator.errors import EngineError, SubmissionError
from evaluator.running.containers import LABEL, confined, owner_labels, remove, removed
from evaluator.running.engine import is_podman

MIB = 1024**2
PAGE = 4096
HOLDER = f"{LABEL}/holder-1:latest"  # Podman imports under no other tag
_IMPORT = threading.Lock()


@contextmanager
def output_volume(engine: docker.DockerClient, size: int, inodes: int) -> Iterator[docker.models.volumes.Volume]:
    """A fresh volume for one run, gone afterwards."""
    options = f"nr_blocks={size // PAGE},nr_inodes={inodes},mode=0777,nosuid,nodev,noexec"
    volume = engine.volumes.create(
        f"apb-output-{uuid.uuid4().hex}",
        driver="local",
        labels=owner_labels(),
        driver_opts={"type": "tmpfs", "device": "tmpfs", "o": options},
    )
    try:
        yield volume
    finally:
        remove(partial(volume.remove, force=True))


@contextmanager
def holder(
    engine: docker.DockerClient, volume: docker.models.volumes.Volume
) -> Iterator[docker.models.containers.Container]:
    """The container that keeps the volume alive, and through which it is read."""
    keeper = engine.containers.create(
        _holder_image(engine),
        mounts=[output_mount(volume, read_only=True)],
        mem_limit=32 * MIB,
        memswap_limit=32 * MIB,
        init=True,
        pids_limit=8,
        log_config=LogConfig(type="none"),
        network_disabled=True,
        **confined(podman=is_podman(engine)),
    )
    with removed(keeper):
        keeper.start()
        yield keeper


def output_mount(volume: docker.models.volumes.Volume, *, read_only: bool) -> Mount:
    """The volume at /output."""
    # no_copy: otherwise a file baked into the image at /output would be copied in and taken for a result
    return Mount("/output", str(volume.name), type="volume", read_only=read_only, no_copy=True)


def require_alive(keeper: docker.models.containers.Container) -> None:
    """An engine that is stopped or restarted stops its containers, the holder among them; that is nobody's fault.

    The holder's program ends on the first signal, so that it is gone within the second that we wait.

    Raises:
        EngineError: the holder is not running any more.
    """
    time.sleep(1)
    keeper.reload()
    if keeper.status != "running":
        raise EngineError("The Docker engine was stopped during a run.", "Start it and run apb evaluate again.")


_GO_TYPE_BITS = {
    31: "a folder",
    27: "a symbolic link",
    26: "a device",
    25: "a named pipe",
    24: "a socket",
    21: "a device",
    19: "no plain file",
}


@dataclass(frozen=True)
class Found:
    """What stands at a path of a container, by its metadata alone.

    Attributes:
        oddity: what it is if it is no plain file, such as "a named pipe".
        size: in bytes.
        link: where a symbolic link leads, resolved within the container; else empty.
    """

    oddity: str | None
    size: int
    link: str


def look(engine: docker.DockerClient, container: docker.models.containers.Container, path: str) -> Found | None:
    """Look at a path of a container, running or not, without opening anything; None where there is nothing."""
    api = engine.api
    url = f"{api.base_url}/v{api.api_version}/containers/{container.id}/archive"
    answer = api.head(url, params={"path": path}, timeout=api.timeout)
    if answer.status_code == requests.codes.not_found:
        return None
    answer.raise_for_status()
    found = json.loads(base64.b64decode(answer.headers["X-Docker-Container-Path-Stat"]))
    oddity = next((kind for bit, kind in _GO_TYPE_BITS.items() if found["mode"] >> bit & 1), None)
    return Found(oddity, int(found["size"]), str(found.get("linkTarget") or ""))


def read_output(engine: docker.DockerClient, keeper: docker.models.containers.Container, limit: int) -> bytes:
    """The bytes of /output/predictions.csv, judged by its metadata before it is opened.

    Raises:
        SubmissionError: `NO_OUTPUT`, `BAD_FORMAT:NOT_A_FILE`, `BAD_FORMAT:TOO_LARGE`.
    """
    path = "/output/predictions.csv"
    try:
        found = look(engine, keeper, path)
    except requests.HTTPError as error:
        look(engine, keeper, "/output")  # raises too where it is the engine that fails
        raise SubmissionError(
            "BAD_FORMAT:NOT_A_FILE", "predictions.csv is a link that leads nowhere.", "Write a plain file."
        ) from error
    if found is None:
        raise SubmissionError(
            "NO_OUTPUT", "The run ended well but wrote no /output/predictions.csv.", "Write it to the path in $OUTPUT."
        )
    if found.oddity:
        raise SubmissionError("BAD_FORMAT:NOT_A_FILE", f"predictions.csv is {found.oddity}.", "Write a plain file.")
    if found.size > limit:
        raise SubmissionError(
            "BAD_FORMAT:TOO_LARGE", f"predictions.csv has more than {limit // MIB} MiB.", "Write one row per sequence."
        )
    return read_file(keeper, path, limit)


def read_file(container: docker.models.containers.Container, path: str, limit: int) -> bytes:
    """A plain file of a container, which `look` has found to be one of at most `limit` bytes.

    Raises:
        EngineError: the engine sends something else.
    """
    stream, _ = container.get_archive(path)
    archive = bytearray()
    for chunk in stream:
        archive += chunk
        if len(archive) > limit + MIB:
            raise EngineError(f"The engine sent more of {path} than it announced.")
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        members = tar.getmembers()
        content = tar.extractfile(members[0]) if len(members) == 1 and members[0].isreg() else None
        if content is None:
            raise EngineError(f"The engine sent something else than {path}.")
        return content.read()


# -- the holder's image -----------------------------------------------------------------------------------------------


@cache
def _holder_archive() -> bytes:
    """A root file system of one file: a static x86-64 program that calls pause(2) for ever.

    So the holder needs no base image, and has nothing in it that could be misused.
    """
    code = bytes.fromhex("b8220000000f05ebf7")  # loop: mov eax, 34 (pause); syscall; jmp loop
    base, offset = 0x400000, 64 + 56
    header = struct.pack(
        "<16sHHIQQQIHHHHHH", b"\x7fELF\x02\x01\x01", 2, 62, 1, base + offset, 64, 0, 0, 64, 56, 1, 0, 0, 0
    )
    segment = struct.pack("<IIQQQQQQ", 1, 5, 0, base, base, offset + len(code), offset + len(code), 0x1000)
    program = header + segment + code
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        member = tarfile.TarInfo("pause")
        member.size, member.mode = len(program), stat.S_IRUSR | stat.S_IXUSR | 0o555
        tar.addfile(member, io.BytesIO(program))
    return buffer.getvalue()


def _holder_image(engine: docker.DockerClient) -> str:
    """The id of the holder's image, imported on first use."""
    with _IMPORT:
        try:
            return str(engine.images.get(HOLDER).id)
        except docker.errors.ImageNotFound:
            name, _, tag = HOLDER.partition(":")
            start = ['CMD ["/pause"]']
            engine.api.import_image_from_data(_holder_archive(), repository=name, tag=tag, changes=start)
            return str(engine.images.get(HOLDER).id)
