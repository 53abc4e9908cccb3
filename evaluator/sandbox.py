"""One offline run of one image: nothing comes in but `/data`, nothing goes out but `/output/predictions.csv`.

`/output` is a tmpfs volume of limited size and inodes. Its pages vanish with the last container that mounts it, so a
trusted holder mounts it too, read-only; the job is removed first, and only then is the file read through the holder.
What the job did to the file (link, FIFO, terabyte of holes) is seen from its metadata, before a byte is read.
"""

from __future__ import annotations

import base64
import io
import json
import os
import socket
import stat
import struct
import tarfile
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from functools import cache, partial
from pathlib import Path
from typing import Any

import docker
import docker.errors
import docker.models.containers
import docker.models.images
import docker.models.volumes
import requests.exceptions
from docker.types import DeviceRequest, LogConfig, Mount, Ulimit

from evaluator.errors import EngineError, SubmissionError
from evaluator.settings import MAX_OUTPUT_BYTES

UID = 65532
MIB = 1024**2
GIB = 1024**3
LABEL = "antibody-polyreactivity-benchmark"
LOG_BYTES = MIB
HOLDER = f"{LABEL}/holder:1"
_ENGINE_FAULTS = (docker.errors.DockerException, requests.exceptions.RequestException)


@dataclass(frozen=True)
class Limits:
    """What one run may use; `memory` covers the processes and all they write to /tmp, /dev/shm and /output."""

    seconds: float
    memory: int = 8 * GIB
    cpus: float = 4
    pids: int = 512
    output: int = MAX_OUTPUT_BYTES
    output_inodes: int = 256

    @property
    def tmp(self) -> int:
        """Size of /tmp in bytes."""
        return min(2 * GIB, self.memory // 4)

    @property
    def shm(self) -> int:
        """Size of /dev/shm in bytes."""
        return min(GIB, self.memory // 8)

    def as_json(self) -> dict[str, float]:
        """For the record and the key of a result."""
        return asdict(self)


@dataclass(frozen=True)
class Device:
    """What a run is given beyond the default.

    Attributes:
        gpu: UUID of one GPU that nobody else is using; never "all".
        runtime: an OCI runtime that the engine knows, such as `runsc`.
    """

    gpu: str | None = None
    runtime: str | None = None


@dataclass(frozen=True)
class Run:
    """What came of one run: `output` bytes or a `failure`, and what was measured and said meanwhile.

    Attributes:
        seconds: wall-clock time of the container.
        peak_memory: bytes, as seen by the engine; None where it was too quick to be seen.
        log: the last bytes of stdout and stderr; hostile.
    """

    output: bytes | None = None
    failure: SubmissionError | None = None
    seconds: float = 0.0
    peak_memory: int | None = None
    log: bytes = field(default=b"", repr=False)


class Cancelled(Exception):  # noqa: N818 - not an error: the maintainer stopped the round
    """The round is being stopped; the container is gone."""


def run(
    engine: docker.DockerClient,
    image: docker.models.images.Image,
    data: Path,
    limits: Limits,
    *,
    environment: dict[str, str] | None = None,
    device: Device = Device(),
    stop: threading.Event | None = None,
) -> Run:
    """Run an image once on the folder `data`, which it sees read-only as /data.

    Args:
        data: absolute; readable by everyone, holds sequences.csv and nothing else.
        environment: added to the contract's INPUT, OUTPUT and HOME.
        device: the GPU and the container runtime to use.
        stop: when set, the run is killed and `Cancelled` raised.

    Raises:
        EngineError: the engine failed us; nothing is the submission's fault.
        Cancelled: `stop` was set.
    """
    try:
        with _output_volume(engine, limits) as volume, _holder(engine, volume) as holder:
            with _job(engine, image, data, volume, limits, environment or {}, device) as job:
                result = _supervise(engine, job, limits, stop or threading.Event())
            if result.failure is None:
                try:
                    return replace(result, output=_read_output(engine, holder, limits.output))
                except SubmissionError as error:
                    result = replace(result, failure=error)
            _require_alive(holder)
            return result
    except _ENGINE_FAULTS as error:
        raise EngineError(f"The Docker engine failed during a run: {type(error).__name__}: {error}"[:500]) from error


# -- the three parts of a run, each removed on the way out ------------------------------------------------------------


@contextmanager
def _output_volume(engine: docker.DockerClient, limits: Limits) -> Iterator[docker.models.volumes.Volume]:
    options = f"size={limits.output},nr_inodes={limits.output_inodes},mode=0777,nosuid,nodev,noexec"
    volume = engine.volumes.create(
        f"apb-output-{uuid.uuid4().hex}", driver="local", labels=owner_labels(),
        driver_opts={"type": "tmpfs", "device": "tmpfs", "o": options},
    )  # fmt: skip
    try:
        yield volume
    finally:
        _remove(partial(volume.remove, force=True))


@contextmanager
def _holder(
    engine: docker.DockerClient, volume: docker.models.volumes.Volume
) -> Iterator[docker.models.containers.Container]:
    holder = engine.containers.create(
        _holder_image(engine), mounts=[_output_mount(volume, read_only=True)],
        mem_limit=32 * MIB, memswap_limit=32 * MIB, init=True,
        pids_limit=8, log_config=LogConfig(type="none"), **_confined(),
    )  # fmt: skip
    with _removed(holder):
        holder.start()
        yield holder


@contextmanager
def _job(
    engine: docker.DockerClient,
    image: docker.models.images.Image,
    data: Path,
    volume: docker.models.volumes.Volume,
    limits: Limits,
    environment: dict[str, str],
    device: Device,
) -> Iterator[docker.models.containers.Container]:
    # A VOLUME of the image would be a writable folder on the host's disk: a tiny tmpfs takes its place.
    volumes = (image.attrs.get("Config") or {}).get("Volumes") or {}
    tmpfs = {p: "rw,nosuid,nodev,noexec,size=1m" for p in volumes if p.rstrip("/") not in {"/data", "/output", "/tmp"}}  # noqa: S108
    tmpfs["/tmp"] = f"rw,nosuid,nodev,exec,size={limits.tmp},nr_inodes=65536,mode=1777"  # noqa: S108 - exec: JIT compilers need it
    job = engine.containers.create(
        str(image.id),
        mounts=[
            _output_mount(volume, read_only=False),
            Mount("/data", str(data), type="bind", read_only=True, propagation="rprivate"),
        ],
        tmpfs=tmpfs,
        mem_limit=limits.memory,
        memswap_limit=limits.memory,
        shm_size=limits.shm,
        nano_cpus=int(limits.cpus * 1e9),
        pids_limit=limits.pids,
        ulimits=[
            Ulimit(name="nofile", soft=4096, hard=4096),
            Ulimit(name="core", soft=0, hard=0),
            Ulimit(name="fsize", soft=(size := max(limits.tmp, limits.shm, limits.output)), hard=size),
        ],
        log_config=LogConfig(type="local", config={"max-size": "1m", "max-file": "1", "compress": "false"}),
        runtime=device.runtime,
        device_requests=[DeviceRequest(device_ids=[device.gpu], capabilities=[["gpu"]])] if device.gpu else None,
        environment={
            **({} if device.gpu else {"NVIDIA_VISIBLE_DEVICES": "void"}),
            **environment,
            "INPUT": "/data/sequences.csv",
            "OUTPUT": "/output/predictions.csv",
            "HOME": "/tmp",  # noqa: S108
        },
        init=True,
        **_confined(),
    )
    with _removed(job):
        yield job


def _confined() -> dict[str, Any]:
    """What holds for every container that we start, ours and theirs."""
    return {
        "user": f"{UID}:{UID}", "network_mode": "none", "network_disabled": True, "read_only": True,
        "cap_drop": ["ALL"], "security_opt": ["no-new-privileges:true"], "privileged": False,
        "ipc_mode": "private", "cgroupns": "private", "healthcheck": {"test": ["NONE"]},
        "use_config_proxy": False, "detach": True, "tty": False, "stdin_open": False,
        "hostname": "sandbox", "labels": owner_labels(),
    }  # fmt: skip


def _output_mount(volume: docker.models.volumes.Volume, *, read_only: bool) -> Mount:
    # no_copy: otherwise a file baked into the image at /output would be copied in and taken for a result
    return Mount("/output", str(volume.name), type="volume", read_only=read_only, no_copy=True)


# -- while it runs ----------------------------------------------------------------------------------------------------


def _supervise(
    engine: docker.DockerClient, job: docker.models.containers.Container, limits: Limits, stop: threading.Event
) -> Run:
    """Start the job and poll it against our own clock; the engine's `wait` is no deadline, it can hang or break off."""
    try:
        job.start()
    except docker.errors.APIError as error:
        job.reload()
        if job.attrs["State"].get("ExitCode") in (126, 127):  # runc's own codes for a command that is not there
            return Run(failure=_cannot_start())
        raise EngineError(f"A container could not be started: {error}"[:500]) from error
    begun, pause, peak = time.monotonic(), 0.01, None
    while True:
        job.reload()
        elapsed = time.monotonic() - begun
        if not job.attrs["State"]["Running"]:
            return _verdict(job, elapsed, peak)
        if elapsed > limits.seconds or stop.is_set():
            with suppress(docker.errors.APIError):  # it may have ended this instant
                job.kill("SIGKILL")
            if stop.is_set():
                raise Cancelled
            failure = SubmissionError(
                "TIMEOUT", f"The run was not done after {limits.seconds:g} seconds.",
                "Make it faster, or ask for more resources.timeout_minutes.",
            )  # fmt: skip
            return Run(None, failure, elapsed, peak, _log(job))
        peak = max(filter(None, (peak, _memory(engine, job))), default=None)
        stop.wait(pause)
        pause = min(pause * 1.5, 0.25)


def _verdict(job: docker.models.containers.Container, elapsed: float, peak: int | None) -> Run:
    state, log = job.attrs["State"], _log(job)
    elapsed = _duration(state) or elapsed
    code = state["ExitCode"]
    if state.get("OOMKilled"):  # also when only a child was killed and its parent went on to exit 0
        failure = SubmissionError(
            "OUT_OF_MEMORY", "The run used more memory than it asked for.",
            "Ask for more resources.memory_gb, or work in smaller batches; /tmp, /dev/shm and /output count too.",
        )  # fmt: skip
    elif code in (126, 127):
        failure = _cannot_start()
    elif code != 0:
        failure = SubmissionError("EXIT_NONZERO", f"The run ended with exit status {code}, not 0.", "Read its log.")
    else:
        return Run(None, None, elapsed, peak, log)
    return Run(None, failure, elapsed, peak, log)


def _require_alive(holder: docker.models.containers.Container) -> None:
    """An engine that is stopped or restarted stops its containers, the holder among them; that is nobody's fault.

    The holder's program ends on the first signal, so that it is gone within the second that we wait.

    Raises:
        EngineError: the holder is not running any more.
    """
    time.sleep(1)
    holder.reload()
    if holder.status != "running":
        raise EngineError("The Docker engine was stopped during a run.", "Start it and run apb evaluate again.")


def _duration(state: dict[str, Any]) -> float | None:
    """Seconds between start and end by the engine's clock, without our polling and its own overhead."""
    try:
        begun, ended = (datetime.fromisoformat(state[key]) for key in ("StartedAt", "FinishedAt"))
    except (KeyError, ValueError):
        return None
    return max((ended - begun).total_seconds(), 0.0)


def _cannot_start() -> SubmissionError:
    return SubmissionError(
        "IMAGE_COMMAND", "The image's command was not found or cannot be executed.",
        "Check CMD and ENTRYPOINT, the executable bit, the first line of scripts, and the architecture.",
    )  # fmt: skip


def _memory(engine: docker.DockerClient, job: docker.models.containers.Container) -> int | None:
    """Bytes in use now, or the kernel's own high-water mark where the engine passes it on (cgroup v1)."""
    with suppress(*_ENGINE_FAULTS, ValueError):  # a measurement is not worth a run
        memory = engine.api.stats(str(job.id), stream=False, one_shot=True).get("memory_stats", {})
        return int(memory.get("max_usage") or memory.get("usage") or 0) or None
    return None


def _log(job: docker.models.containers.Container) -> bytes:
    """At most the last MiB: the engine's log driver keeps no more, and we read no more."""
    kept = bytearray()
    for chunk in job.logs(stdout=True, stderr=True, stream=True, follow=False):
        kept += chunk
        del kept[:-LOG_BYTES]
    return bytes(kept)


# -- reading what was written -----------------------------------------------------------------------------------------

_GO_TYPE_BITS = {
    31: "a folder", 27: "a symbolic link", 26: "a device", 25: "a named pipe", 24: "a socket", 21: "a device",
    19: "no plain file",
}  # fmt: skip


def _read_output(engine: docker.DockerClient, holder: docker.models.containers.Container, limit: int) -> bytes:
    """The bytes of /output/predictions.csv, judged by its metadata before it is opened.

    Raises:
        SubmissionError: `NO_OUTPUT`, `BAD_FORMAT:NOT_A_FILE`, `BAD_FORMAT:TOO_LARGE`.
    """
    api, path = engine.api, {"path": "/output/predictions.csv"}
    url = f"{api.base_url}/v{api.api_version}/containers/{holder.id}/archive"
    answer = api.head(url, params=path, timeout=api.timeout)
    if answer.status_code == requests.codes.not_found:
        raise SubmissionError(
            "NO_OUTPUT", "The run ended well but wrote no /output/predictions.csv.", "Write it to the path in $OUTPUT."
        )
    answer.raise_for_status()
    found = json.loads(base64.b64decode(answer.headers["X-Docker-Container-Path-Stat"]))
    for bit, kind in _GO_TYPE_BITS.items():
        if found["mode"] >> bit & 1:
            raise SubmissionError("BAD_FORMAT:NOT_A_FILE", f"predictions.csv is {kind}.", "Write a plain file.")
    if found["size"] > limit:
        raise SubmissionError(
            "BAD_FORMAT:TOO_LARGE", f"predictions.csv has more than {limit // MIB} MiB.", "Write one row per sequence."
        )
    stream, _ = holder.get_archive(path["path"])
    archive = bytearray()
    for chunk in stream:
        archive += chunk
        if len(archive) > limit + MIB:
            raise EngineError("The engine sent more of predictions.csv than it announced.")
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        members = tar.getmembers()
        content = tar.extractfile(members[0]) if len(members) == 1 and members[0].isreg() else None
        if content is None:
            raise EngineError("The engine sent something else than predictions.csv.")
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
    try:
        return str(engine.images.get(HOLDER).id)
    except docker.errors.ImageNotFound:
        name, _, tag = HOLDER.partition(":")
        engine.api.import_image_from_data(_holder_archive(), repository=name, tag=tag, changes=['CMD ["/pause"]'])
        return str(engine.images.get(HOLDER).id)


# -- leaving nothing behind -------------------------------------------------------------------------------------------


def _process_start(pid: int) -> str | None:
    """When a process began, in clock ticks since boot; None if it is not there. A pid alone may be used again."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except OSError:
        return None


@cache
def _boot() -> str:
    with suppress(OSError):
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    return "unknown"


def owner_labels() -> dict[str, str]:
    """Labels that say which process on which machine a container or volume belongs to."""
    pid = os.getpid()
    return {
        LABEL: "run",
        f"{LABEL}.host": socket.gethostname(),
        f"{LABEL}.process": f"{_boot()}/{pid}/{_process_start(pid)}",
    }


def _orphaned(labels: dict[str, str]) -> bool:
    if labels.get(f"{LABEL}.host") != socket.gethostname():
        return False
    boot, _, process = labels.get(f"{LABEL}.process", "").partition("/")
    pid, _, start = process.partition("/")
    return boot != _boot() or not pid.isdecimal() or _process_start(int(pid)) != start


def reap(engine: docker.DockerClient, *, mine: bool = False) -> int:
    """Remove what killed processes of this machine have left in the engine; returns how many containers and volumes.

    Args:
        mine: also what this process has left, which must have no run in progress.
    """
    count = 0

    def _left(labels: dict[str, str]) -> bool:
        return _orphaned(labels) or (mine and owner_labels().items() <= labels.items())

    try:
        for container in engine.containers.list(all=True, filters={"label": LABEL}, ignore_removed=True):
            if _left(container.labels):
                _remove(partial(container.remove, force=True, v=True))
                count += 1
        for volume in engine.volumes.list(filters={"label": LABEL}):
            if _left(volume.attrs.get("Labels") or {}):
                _remove(partial(volume.remove, force=True))
                count += 1
    except _ENGINE_FAULTS as error:
        raise EngineError(f"The Docker engine failed while leftovers were removed: {error}"[:500]) from error
    return count


@contextmanager
def _removed(container: docker.models.containers.Container) -> Iterator[None]:
    try:
        yield
    finally:
        _remove(partial(container.remove, force=True, v=True))


def _remove(remove: Callable[[], None]) -> None:
    """Remove, or leave it to the next `reap`: a failure here must not hide what went wrong before.

    An engine that is being restarted is waited for.
    """
    for pause in (0.2, 0.5, 1.0, 2.0, 4.0, 8.0):
        try:
            remove()
        except docker.errors.NotFound:
            return
        except _ENGINE_FAULTS:
            time.sleep(pause)
        else:
            return
