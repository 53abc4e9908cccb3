"""What the benchmark needs of a machine, installed and started where that is possible; nothing is done twice.

`python -m scripts.machine engine registry browser cluster` brings up what is named. A running engine is used as it is.
Packages are installed only by root on Debian or Ubuntu; elsewhere one paragraph says what to install.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import docker
import docker.errors

PYTHON_IMAGE = "python:3.11-slim"
DEBIAN_IMAGE = "apb-base/debian-python:bookworm"
R_AND_JAVA_IMAGE = "apb-base/debian-r-java:bookworm"
PULL_SECONDS = 120
ENGINE_LOG = Path("/var/log/apb-dockerd.log")


class Missing(Exception):  # noqa: N818
    """Something cannot be had here; the message says what to install."""


def say(line: str) -> None:
    """One line of progress."""
    print(f"==> {line}", flush=True)


def engine() -> docker.DockerClient:
    """A Docker engine: the running one, else one that is installed and started now.

    Raises:
        Missing: there is none and none can be installed.
    """
    if (client := _connect()) is not None:
        return client
    with _alone():
        return _connect() or _brought_up()


def _brought_up() -> docker.DockerClient:
    if os.environ.get("DOCKER_HOST"):
        raise Missing(
            f"DOCKER_HOST is set to {os.environ['DOCKER_HOST']}, and nothing answers there. Start it, or unset it."
        )
    if not _may_install():
        raise Missing(
            "No Docker engine answers, and only root on Debian or Ubuntu can have it installed by this script. Install "
            "Docker 20.10 or newer (Docker Desktop, docker-ce, or your system's docker.io package), start it, and make "
            "sure that your user may use it (usually: sudo usermod -aG docker $USER, then log in again)."
        )
    if not shutil.which("dockerd"):
        say("installing the Docker engine (Debian's docker.io)")
        install("docker.io", "ca-certificates")
    if (client := _connect()) is not None:  # on a machine with systemd the package starts it
        return client
    say("starting the Docker engine")
    with ENGINE_LOG.open("ab") as log:
        subprocess.Popen(["dockerd"], stdout=log, stderr=log, stdin=subprocess.DEVNULL, start_new_session=True)
    for _ in range(120):
        time.sleep(0.25)
        if (client := _connect()) is not None:
            return client
    tail = "\n".join(ENGINE_LOG.read_text(errors="replace").splitlines()[-5:])
    raise Missing(
        f"dockerd was started and does not answer; it needs a privileged machine. The end of {ENGINE_LOG}:\n{tail}"
    )


def _connect() -> docker.DockerClient | None:
    try:
        client = docker.from_env(timeout=30)
        client.ping()
    except docker.errors.DockerException:
        return None
    return client


def base_image(client: docker.DockerClient) -> str:
    """An image with Python 3 to build on: python:3.11-slim, or one made from Debian where no registry answers."""
    if found := _base_that_is_there(client):
        return found
    with _alone():
        return _base_that_is_there(client) or _new_base(client)


def _base_that_is_there(client: docker.DockerClient) -> str | None:
    return next((name for name in (PYTHON_IMAGE, DEBIAN_IMAGE) if _has(client, name)), None)


def _new_base(client: docker.DockerClient) -> str:
    say(f"pulling {PYTHON_IMAGE}")
    try:
        docker.from_env(timeout=PULL_SECONDS).images.pull(PYTHON_IMAGE)
    except (docker.errors.DockerException, OSError):
        say("no registry answers: building a base image from Debian packages (about 20 s)")
        _build_from_debian(client, DEBIAN_IMAGE, "python3", ["doc", "man", "locale", "info"])
        return DEBIAN_IMAGE
    return PYTHON_IMAGE


def _has(client: docker.DockerClient, name: str) -> bool:
    try:
        client.images.get(name)
    except docker.errors.ImageNotFound:
        return False
    return True


def r_and_java(client: docker.DockerClient) -> str:
    """An image with R, a Java runtime and BeanShell, which runs Java's source, for the tests."""
    with _alone():
        if not _has(client, R_AND_JAVA_IMAGE):
            say("building an image with R and Java from Debian packages (about 40 s)")
            _build_from_debian(client, R_AND_JAVA_IMAGE, "r-base-core,openjdk-17-jre-headless,libbsh-java", ["doc"])
    return R_AND_JAVA_IMAGE


def _build_from_debian(client: docker.DockerClient, image: str, packages: str, without: Sequence[str]) -> None:
    if not _may_install():
        raise Missing(f"{image} cannot be pulled, and only root on Debian or Ubuntu can build one instead.")
    if not shutil.which("mmdebstrap"):
        install("mmdebstrap", "debian-archive-keyring")
    with tempfile.TemporaryDirectory() as folder:
        tar = Path(folder) / "base.tar"
        lean = [f"--dpkgopt=path-exclude=/usr/share/{part}/*" for part in without]
        _run("mmdebstrap", "--variant=minbase", f"--include={packages}", *lean, "bookworm", str(tar))
        name, _, tag = image.partition(":")
        answer = client.api.import_image_from_file(str(tar), repository=name, tag=tag)
        client.api.tag(json.loads(answer.splitlines()[-1])["status"], name, tag)  # Podman calls it latest


def registry() -> str:
    """The path of a registry server (Debian's docker-registry), for the tests."""
    return _program("docker-registry", "docker-registry")


def browser() -> str:
    """The path of Chromium, for the tests."""
    return _program("chromium", "chromium")


def npm() -> str:
    """The path of npm, for the tests."""
    return _program("npm", "npm")


def ip() -> str:
    """The path of ip, for tests with two network namespaces."""
    return _program("ip", "iproute2")


def slurm() -> str:
    """The path of slurmctld, and with it all of SLURM and munge, for the tests."""
    _program("munged", "munge")
    return _program("slurmctld", "slurm-wlm")


def _program(name: str, package: str) -> str:
    with _alone():
        if not shutil.which(name):
            if not _may_install():
                raise Missing(f"{name} is not installed. Install it, for example with: sudo apt-get install {package}")
            say(f"installing {package}")
            install(package)
    return str(shutil.which(name))


@contextmanager
def _alone() -> Iterator[None]:
    """One process at a time changes the machine; who has waited for another looks again at what there is."""
    with (Path(tempfile.gettempdir()) / f"apb-machine-{os.getuid()}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _may_install() -> bool:
    return os.geteuid() == 0 and shutil.which("apt-get") is not None


def install(*packages: str) -> None:
    """Install Debian packages, with a fresh package list only where the old one does not do."""
    command = ("apt-get", "install", "--yes", "--no-install-recommends", *packages)
    try:
        _run(*command)
    except Missing:
        _run("apt-get", "update")
        _run(*command)


def _run(*command: str) -> None:
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        tail = "\n".join((done.stdout + done.stderr).splitlines()[-8:])
        raise Missing(f"'{' '.join(command)}' failed:\n{tail}")


def main(wanted: list[str]) -> int:
    """Bring up what is named."""
    try:
        if "engine" in wanted:
            base_image(engine())
        if "registry" in wanted:
            registry()
        if "browser" in wanted:
            browser()
        if "cluster" in wanted:
            ip()
            slurm()
    except Missing as error:
        print(error, file=sys.stderr)
        return 3
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
