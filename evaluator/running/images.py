"""From an image reference to a pinned image in the local engine, within limits.

A reference such as `docker.io/user/model:1.0` is parsed, held against the allow-list, resolved to a digest once, and
from then on pulled and run by that digest only. `apb/<name>:<version>` are the benchmark's own reference images: they
are built on this machine and never pulled.
"""

from __future__ import annotations

import re
import shutil
import time
from pathlib import Path

import docker
import docker.errors
import docker.models.images

from evaluator.contract.references import Image, Reference, parse
from evaluator.errors import EngineError, EvaluatorError, SubmissionError
from evaluator.running.engine import CALL_TIMEOUT, ENGINE_FAULTS, answering
from evaluator.running.registry import LATER, PLATFORM, Manifest, Registry, platform_of, wrong_platform
from evaluator.settings import Settings
from evaluator.text import clean_path, is_inert, printable

MAX_VOLUMES = 16
CONTRACT_FOLDERS = ("/data", "/output", "/tmp")  # noqa: S108
PULL_TIMEOUT = 1800
PULL_SLACK = 256 * 1024 * 1024
_UNFIT = re.compile(
    r"max depth exceeded|layers from manifest don't match image configuration|mismatched image rootfs|wrong diff id"
    r"|unsupported media type"
    r"|failed to (register|extract) layer.*(archive/tar: |gzip: invalid|flate: corrupt|unexpected EOF)"
)
"""What engines say of layers that arrived as the manifest promised them and still are none: no other try helps."""


def require_allowed(reference: Reference, settings: Settings) -> None:
    """Hold a reference against the allow-list of registries.

    Raises:
        SubmissionError: `IMAGE_REGISTRY`.
    """
    allowed = (*settings.registries, *settings.insecure_registries)
    if reference.registry is not None and reference.registry not in allowed:
        raise SubmissionError(
            "IMAGE_REGISTRY",
            f"Images from '{printable(reference.registry, 100)}' are not accepted.",
            f"Push it to one of {', '.join(settings.registries)}.",
        )


def resolve(reference: Reference, settings: Settings, engine: docker.DockerClient) -> Image:
    """Find out which exact image a reference means now, without pulling it.

    Raises:
        SubmissionError: `IMAGE_REGISTRY`, `IMAGE_NOT_FOUND`, `IMAGE_PLATFORM`, `IMAGE_TOO_LARGE`, ...
        EvaluatorError: a reference image was not built; the registry does not answer.
    """
    if reference.registry is None:
        return local_image(str(reference), engine)
    return from_registry(reference, settings)


def from_registry(reference: Reference, settings: Settings) -> Image:
    """What a registry's reference means now; no engine is needed for that.

    Raises:
        SubmissionError: `IMAGE_REGISTRY`, `IMAGE_NOT_FOUND`, `IMAGE_PLATFORM`, `IMAGE_TOO_LARGE`, ...
        EngineError: the registry does not answer.
    """
    _, manifest = _described(reference, settings)
    return by_digest(reference, manifest.digest)


def by_digest(reference: Reference, digest: str) -> Image:
    """The image of a registry that has this digest, without asking anybody."""
    return Image(str(reference), digest, f"{reference.registry}/{reference.repository}@{digest}")


def require_there(pull: str, settings: Settings) -> None:
    """Before a pull: the image is still there, with all its layers, and small enough.

    Raises:
        SubmissionError: `IMAGE_NOT_FOUND`, `IMAGE_INCOMPLETE`, `IMAGE_LAYERS`, `IMAGE_TOO_LARGE`, ...
        EngineError: the registry does not answer.
    """
    reference = parse(pull)
    registry, manifest = _described(reference, settings)
    registry.require_layers(reference.repository, manifest)


def _described(reference: Reference, settings: Settings) -> tuple[Registry, Manifest]:
    """What the registry says of an image, if it may be pulled."""
    require_allowed(reference, settings)
    assert reference.registry is not None
    registry = Registry(reference.registry, insecure=reference.registry in settings.insecure_registries)
    manifest = registry.manifest(reference.repository, reference.digest or str(reference.tag))
    if manifest.size > settings.max_image_gb * 1e9:
        raise _too_large(manifest.size, settings)
    return registry, manifest


def local_image(name: str, engine: docker.DockerClient) -> Image:
    """An image that is only in the local engine: a reference image, or one that its author is still working on.

    Raises:
        EvaluatorError: it is not there.
    """
    try:
        return Image(name, str(engine.images.get(name).id), None)
    except docker.errors.ImageNotFound as error:
        raise EvaluatorError(
            f"The local engine has no image {printable(name, 200)}.",
            "Build it first; the benchmark's own images are built with apb-zoo package.",
        ) from error


def ensure(image: Image, settings: Settings, engine: docker.DockerClient) -> docker.models.images.Image:
    """The image in the local engine, pulled by digest if need be, checked before anything of it runs.

    Raises:
        SubmissionError: `IMAGE_NOT_FOUND`, `IMAGE_TOO_LARGE`, `IMAGE_PLATFORM`, `IMAGE_NO_COMMAND`, `IMAGE_VOLUME`,
            `IMAGE_LAYERS`, `IMAGE_INCOMPLETE`, ...
        EngineError: it cannot be pulled now.
    """
    name = image.pull or image.digest
    found = _get(name, engine)
    if found is None:
        if image.pull is None:
            raise EngineError(
                f"The image {printable(image.reference, 200)} is not in the local engine.",
                "Build it here, or hand it over as a tar: apb evaluate --images.",
            )
        require_there(image.pull, settings)
        found = _pull(image.pull, settings, engine)
    try:
        _inspect(found, settings)
    except SubmissionError:
        if image.pull:
            discard(image.pull, engine)
        raise
    return found


def _pull(name: str, settings: Settings, engine: docker.DockerClient) -> docker.models.images.Image:
    """Pull by digest, and give up when it takes too long or fills the disk: a small layer can unpack to a large one."""
    folder, begun = folder_of(engine), time.monotonic()
    free_before = shutil.disk_usage(folder).free
    client = docker.from_env(timeout=CALL_TIMEOUT)
    try:
        events = client.api.pull(name, platform=PLATFORM, stream=True, decode=True)
        for event in events:
            if "error" in event:
                raise _not_pulled(name, str(event["error"]))
            if (used := free_before - shutil.disk_usage(folder).free) > settings.max_image_gb * 1e9 + PULL_SLACK:
                raise _too_large(used, settings)
            if time.monotonic() - begun > PULL_TIMEOUT:
                raise EngineError(f"{name} could not be pulled within {PULL_TIMEOUT} s.", LATER)
        return client.images.get(name)
    except (*ENGINE_FAULTS, OSError) as error:
        raise _not_pulled(name, str(error)) from error
    finally:
        events = None  # drops the connection: the engine then cancels a pull that is still going on
        client.close()


def _not_pulled(name: str, said: str) -> SubmissionError | EngineError:
    """Whose fault it is, by the engine's words."""
    if _UNFIT.search(said):
        return SubmissionError(
            "IMAGE_LAYERS",
            f"The engine cannot unpack the image: {printable(said, 200)}.",
            "Build it anew and push it with docker push.",
        )
    return EngineError(f"{name} could not be pulled: {printable(said, 300)}", LATER)


def present(image: Image, engine: docker.DockerClient) -> bool:
    """Whether the engine has an image already."""
    return _get(image.pull or image.digest, engine) is not None


def _get(name: str, engine: docker.DockerClient) -> docker.models.images.Image | None:
    with answering():
        try:
            return engine.images.get(name)
        except docker.errors.ImageNotFound:
            return None


def folder_of(engine: docker.DockerClient) -> Path:
    """Where the engine keeps images, as far as this machine can see it.

    Raises:
        EngineError: it does not answer.
    """
    with answering():
        folder = Path(str(engine.info().get("DockerRootDir", "/")))
    return folder if folder.exists() else Path("/")


def free_bytes(engine: docker.DockerClient) -> int:
    """Disk space that is left where the engine keeps images."""
    return shutil.disk_usage(folder_of(engine)).free


def discard(name: str, engine: docker.DockerClient) -> bool:
    """Remove an image by the name that it was pulled by; whether it is gone. One with other names too stays."""
    try:
        engine.images.remove(name)
    except docker.errors.ImageNotFound:
        return True
    except ENGINE_FAULTS:
        return False
    return True


def _inspect(image: docker.models.images.Image, settings: Settings) -> None:
    attrs = image.attrs
    platform = platform_of(attrs.get("Os"), attrs.get("Architecture"), attrs.get("Variant"))
    if platform != PLATFORM:
        raise wrong_platform([platform])
    if attrs["Size"] > settings.max_image_gb * 1e9:
        raise _too_large(attrs["Size"], settings)
    config = attrs.get("Config") or {}
    if not config.get("Cmd") and not config.get("Entrypoint"):
        raise SubmissionError(
            "IMAGE_NO_COMMAND", "The image has neither CMD nor ENTRYPOINT.", 'Add CMD ["python3", "predict.py"].'
        )
    _require_harmless_volumes(list(config.get("Volumes") or {}))


def _require_harmless_volumes(paths: list[str]) -> None:
    """A VOLUME is replaced by a tiny tmpfs, which must not hide what the contract or the system puts there."""
    system = ("/proc", "/sys", "/dev")
    for path in paths:
        plain = clean_path(path)
        inside = any(plain.startswith(f"{folder}/") for folder in (*CONTRACT_FOLDERS, *system))
        if not plain.startswith("/") or plain == "/" or plain in system or inside or not is_inert(plain):
            raise SubmissionError(
                "IMAGE_VOLUME",
                f"VOLUME {printable(path, 60)} lies where the benchmark or the system needs the place.",
                "Remove it; write to /tmp and /output only.",
            )
    if len(paths) > MAX_VOLUMES:
        raise SubmissionError("IMAGE_VOLUME", f"The image declares {len(paths)} volumes.", f"At most {MAX_VOLUMES}.")


def _too_large(size: int, settings: Settings) -> SubmissionError:
    return SubmissionError(
        "IMAGE_TOO_LARGE",
        f"The image has {size / 1e9:.1f} GB; at most {settings.max_image_gb:g} GB are accepted.",
        "Leave out caches and build tools: use a multi-stage build, and a CPU build of torch if you need no GPU.",
    )
