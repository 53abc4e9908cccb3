"""What the engine or a registry does to us is never recorded against a submission."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import textwrap
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import docker
import docker.errors
import pytest

from tests.conftest import HONEST, Build, Workspace, leftovers
from tests.support import images


@dataclass
class OwnEngine:
    """A second Docker engine, which a test may stop as it likes."""

    folder: Path
    process: subprocess.Popen[bytes] | None = None

    @property
    def host(self) -> str:
        return f"unix://{self.folder}/docker.sock"

    def start(self) -> docker.DockerClient:
        # In a network of its own: an engine that starts without a bridge removes docker0, which is the other engine's.
        command = [
            "unshare", "--net", "dockerd", "--host", self.host, "--data-root", f"{self.folder}/data",
            "--exec-root", f"{self.folder}/exec",
            "--pidfile", f"{self.folder}/pid", "--bridge", "none", "--iptables=false", "--ip-forward=false",
        ]  # fmt: skip
        (self.folder / "pid").unlink(missing_ok=True)
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log)
        for _ in range(200):
            time.sleep(0.1)
            try:
                client = docker.DockerClient(base_url=self.host, timeout=30)
                client.ping()
            except docker.errors.DockerException:
                continue
            return client
        raise AssertionError((self.folder / "log").read_text()[-2000:])

    def stop(self, how: signal.Signals) -> None:
        assert self.process is not None
        self.process.send_signal(how)
        self.process.wait(timeout=300)
        # A killed engine takes its containerd for alive as long as nobody has reaped that process.
        (self.folder / "exec" / "containerd" / "containerd.pid").unlink(missing_ok=True)


SLOW = "import time; time.sleep(4)\n" + HONEST.replace("\n    ", "\n")


@pytest.fixture(scope="module")
def own(engine: docker.DockerClient, base: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[OwnEngine]:
    own = OwnEngine(tmp_path_factory.mktemp("own") / "e")
    own.folder.mkdir()
    client = own.start()
    client.images.load(b"".join(engine.images.get(base).save(named=base)))
    for name, predict in {"slow": SLOW, "honest": HONEST}.items():
        program = {"predict.py": textwrap.dedent(predict)}
        images.add(client, base, f"apb/{name}:1", program, Cmd=["python3", "/predict.py"])
    yield own
    if own.process and own.process.poll() is None:
        own.stop(signal.SIGTERM)
    for line in reversed(Path("/proc/mounts").read_text().splitlines()):
        if line.split()[1].startswith(str(own.folder)):
            subprocess.run(["umount", "--lazy", line.split()[1]], check=False)
    shutil.rmtree(own.folder, ignore_errors=True)


def begin(workspace: Workspace, own: OwnEngine) -> subprocess.Popen[str]:
    """Start a round and wait until the slow image is running."""
    workspace.submit("slow", "apb/slow:1")
    environment = {**os.environ, "DOCKER_HOST": own.host}
    process = subprocess.Popen(
        workspace.command("evaluate", *workspace.on_smoke(), "--json"),
        env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    client = docker.DockerClient(base_url=own.host)
    for _ in range(300):
        if len(client.containers.list()) == 2:
            time.sleep(1)
            return process
        time.sleep(0.05)
    raise AssertionError("the run never began")


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_an_engine_restarted_in_mid_run_is_nobodys_fault(
    own: OwnEngine, workspace: Workspace, how: signal.Signals
) -> None:
    process = begin(workspace, own)
    own.stop(how)
    client = own.start()
    out, err = process.communicate(timeout=300)
    path = workspace.results / "slow" / "smoke.json"
    assert process.returncode in (0, 3), err
    if process.returncode == 0:
        assert json.loads(path.read_text())["status"] == "ok"
        assert json.loads(out)["failed"] == {}
    else:
        assert not path.exists()
    assert leftovers(client) == []


def test_an_engine_that_is_gone_stops_the_round(own: OwnEngine, workspace: Workspace) -> None:
    workspace.submit("z-honest", "apb/honest:1")
    process = begin(workspace, own)
    own.stop(signal.SIGTERM)
    _, err = process.communicate(timeout=300)
    assert process.returncode == 3
    assert "engine" in err
    assert not workspace.results.exists()

    client = own.start()  # and when it is back, the next round does the rest and clears up
    done = subprocess.run(
        workspace.command("evaluate", *workspace.on_smoke()), env={**os.environ, "DOCKER_HOST": own.host}, check=False
    )
    assert done.returncode == 0
    assert leftovers(client) == []
    assert len(list(workspace.results.glob("*/smoke.json"))) == 2


def test_an_image_retagged_during_a_run_does_not_change_what_runs(
    engine: docker.DockerClient, build: Build, workspace: Workspace
) -> None:
    image = build("slow-here", SLOW)
    workspace.submit("slow", image)
    before = engine.images.get(image).id
    process = subprocess.Popen(workspace.command("evaluate", *workspace.on_smoke()))
    while not list((workspace.state / "runs").glob("*/data/sequences.csv")):
        time.sleep(0.05)
    engine.images.get(build("evil", "raise SystemExit(1)")).tag(image)
    assert process.wait(timeout=300) == 0
    record = json.loads((workspace.results / "slow" / "smoke.json").read_text())
    assert record["status"] == "ok"
    assert record["image"]["digest"] == before
