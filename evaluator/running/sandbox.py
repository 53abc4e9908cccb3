"""One offline run of one image: nothing comes in but `/data`, nothing goes out but `/output/predictions.csv`."""

from __future__ import annotations

import resource
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

import docker
import docker.errors
import docker.models.containers
import docker.models.images
import docker.models.volumes
import requests.exceptions
from docker.types import DeviceRequest, LogConfig, Mount, Ulimit

from evaluator.contract.work import Limits, Run
from evaluator.errors import EngineError, SubmissionError
from evaluator.running import accounts, surroundings
from evaluator.running.containers import confined, removed
from evaluator.running.covered import volumes
from evaluator.running.engine import ENGINE_FAULTS, is_podman
from evaluator.running.memory import Peak, watched
from evaluator.running.output import HOLDER, holder, output_mount, output_volume, read_output, require_alive
from evaluator.text import printable

T = TypeVar("T")
LOG_BYTES = 1024**2
LOG_SECONDS = 2.0
_DOCKER_LOG = LogConfig(type="local", config={"max-size": "1m", "max-file": "1", "compress": "false"})
_PODMAN_LOG = LogConfig(type="k8s-file", config={"max-size": "1m"})


@dataclass(frozen=True)
class Device:
    """What a run is given beyond the default.

    Attributes:
        gpu: UUID of one GPU that nobody else is using; never "all".
        runtime: an OCI runtime that the engine knows, such as `runsc`.
    """

    gpu: str | None = None
    runtime: str | None = None


class Cancelled(Exception):  # noqa: N818 - not an error: the maintainer stopped the round
    """The round is being stopped; the container is gone."""


def run(
    engine: docker.DockerClient,
    image: docker.models.images.Image,
    data: Path,
    limits: Limits,
    *,
    task: str,
    device: Device = Device(),
    stop: threading.Event | None = None,
) -> Run:
    """Run an image once on the folder `data`, which it sees read-only as /data.

    Args:
        data: absolute; readable by everyone, holds sequences.csv and nothing else.
        task: what is to be predicted; the run sees it as TASK.
        device: the GPU and the container runtime to use.
        stop: when set, the run is killed and `Cancelled` raised.

    Raises:
        EngineError: the engine failed us; nothing is the submission's fault.
        Cancelled: `stop` was set.
    """
    try:
        with output_volume(engine, limits.output, limits.output_inodes) as volume, holder(engine, volume) as keeper:
            try:
                with _job(engine, image, data, volume, limits, task, device) as job:
                    _accounts(engine, job)
                    result = _supervise(job, limits, stop or threading.Event())
            except SubmissionError as error:
                result = Run(failure=error)
            except _Refused as refusal:
                if not _control_starts(engine, data, volume, limits, task, device):
                    raise refusal.error from refusal
                result = Run(failure=_unusable(refusal.error))
            if result.failure is None:
                try:
                    return replace(result, output=read_output(engine, keeper, limits.output))
                except SubmissionError as error:
                    result = replace(result, failure=error)
            require_alive(keeper)
            return result
    except ENGINE_FAULTS as error:
        raise EngineError(f"The Docker engine failed during a run: {type(error).__name__}: {error}"[:500]) from error


# -- the three parts of a run, each removed on the way out ------------------------------------------------------------


@contextmanager
def _job(
    engine: docker.DockerClient,
    image: docker.models.images.Image,
    data: Path,
    volume: docker.models.volumes.Volume,
    limits: Limits,
    task: str,
    device: Device,
) -> Iterator[docker.models.containers.Container]:
    # A VOLUME of the image would be a writable folder on the host's disk: a tiny tmpfs takes its place.
    tmpfs = dict.fromkeys(volumes(image), "rw,nosuid,nodev,noexec,size=1m")
    podman = is_podman(engine)
    inodes = "" if podman else ",nr_inodes=65536"  # Podman knows no such option; the memory limit covers inodes too
    tmpfs["/tmp"] = f"rw,nosuid,nodev,exec,size={limits.tmp},mode=1777{inodes}"  # noqa: S108 - exec: JIT compilers need it
    job = _or_refused(
        engine.containers.create,
        str(image.id),
        mounts=[
            output_mount(volume, read_only=False),
            Mount("/data", str(data), type="bind", read_only=True, propagation="rprivate"),
        ],
        tmpfs=tmpfs,
        mem_limit=limits.memory,
        memswap_limit=limits.memory,
        shm_size=limits.shm,
        nano_cpus=int(limits.cpus * 1e9),
        pids_limit=limits.pids,
        ulimits=_ulimits(limits, podman=podman),
        log_config=_PODMAN_LOG if podman else _DOCKER_LOG,
        runtime=device.runtime,
        device_requests=[DeviceRequest(device_ids=[device.gpu], capabilities=[["gpu"]])] if device.gpu else None,
        environment={
            **({} if device.gpu else {"NVIDIA_VISIBLE_DEVICES": "void"}),
            **surroundings.environment(task, limits.cpus, (image.attrs.get("Config") or {}).get("Env") or ()),
            "INPUT": "/data/sequences.csv",
            "OUTPUT": "/output/predictions.csv",
            "HOME": "/tmp",  # noqa: S108
        },
        init=True,
        extra_hosts=surroundings.NAMES,
        dns=[surroundings.RESOLVER],
        dns_search=["."],
        **confined(podman=podman),
    )
    with removed(job):
        yield job


class _Refused(Exception):  # noqa: N818 - whose fault it is is not known yet
    """The engine answers that it cannot create or start the job."""

    def __init__(self, error: docker.errors.APIError | requests.exceptions.HTTPError) -> None:
        super().__init__(str(error))
        self.error = error


def _or_refused(action: Callable[..., T], *arguments: Any, **options: Any) -> T:
    try:
        return action(*arguments, **options)
    except docker.errors.APIError as error:
        raise _Refused(error) from error


def _control_starts(
    engine: docker.DockerClient,
    data: Path,
    volume: docker.models.volumes.Volume,
    limits: Limits,
    task: str,
    device: Device,
) -> bool:
    """Whether a trusted image starts just as the refused one should have: then the refusal is about the image.

    The engine's message would not do to tell: it repeats names that the image's author has chosen.
    """
    trusted = engine.images.get(HOLDER)
    try:
        with _job(engine, trusted, data, volume, limits, task, device) as control:
            control.start()
    except (_Refused, *ENGINE_FAULTS):
        return False
    return True


def _accounts(engine: docker.DockerClient, job: docker.models.containers.Container) -> None:
    try:
        accounts.require_plain(engine, job)
    except requests.exceptions.HTTPError as error:
        raise _Refused(error) from error


def _ulimits(limits: Limits, *, podman: bool) -> list[Ulimit]:
    # core 1, not 0: a core_pattern that pipes to a program of the host ignores 0, and takes 1 for "none" (core(5))
    largest = max(limits.tmp, limits.shm, limits.output)
    values = {"nofile": 4096, "core": 1, "fsize": largest}
    if podman:  # its own default may lie above what this machine allows; not a limit per run: it counts per user id
        values["nproc"] = min(resource.getrlimit(resource.RLIMIT_NPROC)[1] % 2**63, 2**15)
    return [Ulimit(name=name, soft=value, hard=value) for name, value in values.items()]


# -- while it runs ----------------------------------------------------------------------------------------------------


def _supervise(job: docker.models.containers.Container, limits: Limits, stop: threading.Event) -> Run:
    """Start the job and poll it against our own clock; the engine's `wait` is no deadline, it can hang or break off."""
    try:
        _or_refused(job.start)
    except _Refused:
        job.reload()
        if job.attrs["State"].get("ExitCode") in (126, 127):  # runc's own codes for a command that is not there
            return Run(failure=_cannot_start())
        raise
    job.reload()
    with watched(int(job.attrs["State"].get("Pid") or 0), str(job.id)) as peak:
        return _wait(job, limits, stop, peak)


def _wait(job: docker.models.containers.Container, limits: Limits, stop: threading.Event, peak: Peak) -> Run:
    begun, pause = time.monotonic(), 0.01
    while True:
        job.reload()
        elapsed = time.monotonic() - begun
        if not job.attrs["State"]["Running"]:
            return _verdict(job, elapsed, peak.bytes)
        if elapsed > limits.seconds or stop.is_set():
            with suppress(docker.errors.APIError):  # it may have ended this instant
                job.kill("SIGKILL")
            if stop.is_set():
                raise Cancelled
            failure = SubmissionError(
                "TIMEOUT",
                f"The run was not done after {limits.seconds:g} seconds.",
                "Make it faster, or ask for more resources.timeout_minutes.",
            )
            return Run(None, failure, elapsed, peak.bytes, _log(job))
        stop.wait(pause)
        pause = min(pause * 1.5, 0.25)


def _verdict(job: docker.models.containers.Container, elapsed: float, peak: int | None) -> Run:
    state, log = job.attrs["State"], _log(job)
    elapsed = _duration(state) or elapsed
    code = state["ExitCode"]
    if state.get("OOMKilled"):  # also when only a child was killed and its parent went on to exit 0
        failure = SubmissionError(
            "OUT_OF_MEMORY",
            "The run used more memory than it asked for.",
            "Ask for more resources.memory_gb, or work in smaller batches; /tmp, /dev/shm and /output count too.",
        )
    elif code in (126, 127):
        failure = _cannot_start()
    elif code != 0:
        failure = SubmissionError("EXIT_NONZERO", f"The run ended with exit status {code}, not 0.", "Read its log.")
    else:
        return Run(None, None, elapsed, peak, log)
    return Run(None, failure, elapsed, peak, log)


def _duration(state: dict[str, Any]) -> float | None:
    """Seconds between start and end by the engine's clock, without our polling and its own overhead."""
    try:
        begun, ended = (datetime.fromisoformat(state[key]) for key in ("StartedAt", "FinishedAt"))
    except (KeyError, ValueError):
        return None
    return max((ended - begun).total_seconds(), 0.0)


def _unusable(error: docker.errors.APIError | requests.exceptions.HTTPError) -> SubmissionError:
    reason = printable(str(getattr(error, "explanation", None) or error), 200)
    return SubmissionError(
        "IMAGE_CONFIG",
        f"The engine cannot run the image as it is: {reason}",
        "Check WORKDIR, VOLUME, STOPSIGNAL and ENV, and that /data, /output and /tmp are no files in the image.",
    )


def _cannot_start() -> SubmissionError:
    return SubmissionError(
        "IMAGE_COMMAND",
        "The image's command was not found or cannot be executed.",
        "Check CMD and ENTRYPOINT, the executable bit, the first line of scripts, and the architecture.",
    )


def _log(job: docker.models.containers.Container) -> bytes:
    """At most the last MiB: the engine's log driver keeps no more, and we read no more."""
    kept, begun = bytearray(), time.monotonic()
    for chunk in job.logs(stdout=True, stderr=True, stream=True, follow=False):
        kept += chunk
        del kept[:-LOG_BYTES]
        if time.monotonic() - begun > LOG_SECONDS:  # a million empty lines are a million messages
            break
    return bytes(kept)
