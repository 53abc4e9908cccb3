"""A real engine, a real registry, and small images made on the spot."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import docker
import pytest
import requests

from evaluator.running.containers import LABEL
from scripts import machine

ROOT = Path(__file__).resolve().parent.parent
REAL_DATA = Path(os.environ.get("APB_REAL_DATA", ROOT.parent / "shared" / "data"))
"""Published data that the project may not pass on; tests that need them are left out where they are not at hand."""
BIN = Path(sys.executable).parent

Build = Callable[..., str]


@pytest.fixture(scope="session")
def engine() -> docker.DockerClient:
    return machine.engine()


@pytest.fixture(scope="session")
def base(engine: docker.DockerClient) -> str:
    return machine.base_image(engine)


@pytest.fixture(scope="session")
def build(engine: docker.DockerClient, base: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Build]:
    """Build `apb/test-<name>:1` from the text of a predict.py (or a whole Dockerfile); removed at the end."""
    tags = []

    def make(name: str, predict: str = "", dockerfile: str = "") -> str:
        context = tmp_path_factory.mktemp(name)
        (context / "predict.py").write_text(textwrap.dedent(predict))
        dockerfile = dockerfile or 'COPY predict.py /predict.py\nCMD ["python3", "/predict.py"]\n'
        (context / "Dockerfile").write_text(f"FROM {base}\n{dockerfile}")
        tag = f"apb/test-{name}:1"
        engine.images.build(path=str(context), tag=tag, rm=True, forcerm=True)
        tags.append(tag)
        return tag

    yield make
    for tag in set(tags):
        engine.images.remove(tag, force=True)


HONEST = """
    import csv, os
    with open(os.environ["INPUT"]) as source, open(os.environ["OUTPUT"], "w") as target:
        target.write("sequence_id,prediction,score\\n")
        for row in csv.DictReader(source):
            score = row["sequence"].count("R") / len(row["sequence"])
            target.write(f"{row['sequence_id']},{int(score > 0.05)},{score!r}\\n")
"""


@dataclass
class Workspace:
    """A benchmark of its own in a temporary folder."""

    root: Path

    @property
    def results(self) -> Path:
        return self.root / "leaderboard" / "results"

    @property
    def state(self) -> Path:
        return self.root / ".apb"

    def submit(self, name: str, image: str, **fields: object) -> Path:
        """Write submissions/<name>.yaml."""
        lines = {"name": name, "docker_image": image, "author": "tests", **fields}
        path = self.root / "submissions" / f"{name}.yaml"
        path.write_text("".join(f"{k}: {v}\n" for k, v in lines.items()))
        return path

    def command(self, *arguments: str) -> list[str]:
        return [sys.executable, "-m", "evaluator", "--root", str(self.root), *arguments]

    def apb(self, *arguments: str, timeout: float = 120) -> subprocess.CompletedProcess[str]:
        """Run `apb` as its user would."""
        return subprocess.run(
            self.command(*arguments), cwd=self.root, capture_output=True, text=True, timeout=timeout, check=False
        )

    def evaluate(self, *arguments: str, timeout: float = 120) -> subprocess.CompletedProcess[str]:
        return self.apb("evaluate", *self.on_smoke(), *arguments, timeout=timeout)

    def on_smoke(self) -> list[str]:
        return ["--hidden", str(self.root / "test_data"), "--tracks", "smoke"]


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    root = tmp_path / "benchmark"
    shutil.copytree(ROOT / "test_data", root / "test_data")
    (root / "submissions").mkdir()
    return Workspace(root)


def leftovers(engine: docker.DockerClient) -> list[str]:
    """Containers and volumes of the evaluator that are still there."""
    containers = engine.containers.list(all=True, filters={"label": LABEL}, ignore_removed=True)
    return [str(c.name) for c in containers] + [str(v.name) for v in engine.volumes.list(filters={"label": LABEL})]


@dataclass
class LocalRegistry:
    """A registry server of our own on loopback."""

    host: str
    log: Path
    process: subprocess.Popen[bytes]

    def accesses(self) -> str:
        return self.log.read_text()


@pytest.fixture(scope="session")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalRegistry]:
    program = machine.registry()
    folder = tmp_path_factory.mktemp("registry")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    (folder / "config.yml").write_text(
        f"version: 0.1\nlog: {{accesslog: {{disabled: false}}, level: info}}\n"
        f"storage: {{filesystem: {{rootdirectory: {folder}/data}}, delete: {{enabled: true}}}}\n"
        f"http: {{addr: '127.0.0.1:{port}'}}\n"
    )
    log = folder / "access.log"
    with log.open("wb") as stream:
        server = subprocess.Popen([program, "serve", str(folder / "config.yml")], stdout=stream, stderr=stream)
    try:
        for _ in range(100):
            try:
                requests.get(f"http://127.0.0.1:{port}/v2/", timeout=1)
                break
            except requests.ConnectionError:
                time.sleep(0.1)
        yield LocalRegistry(f"127.0.0.1:{port}", log, server)
    finally:
        server.kill()
        server.wait()
