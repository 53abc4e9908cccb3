"""A real engine, a real registry, and small images made on the spot."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path

import docker
import docker.errors
import pytest
import requests
from xdist.remote import Producer

from evaluator.running.containers import of_scope
from scripts import machine
from tests.support import images, lanes

ROOT = Path(__file__).resolve().parent.parent
REAL_DATA = Path(os.environ.get("APB_REAL_DATA", ROOT.parent / "shared" / "data"))
"""Published data that the project may not pass on; tests that need them are left out where they are not at hand."""
BIN = Path(sys.executable).parent

Build = Callable[..., str]
MINE: dict[str, str | list[str] | bool] = {"label": f"apb-test={lanes.SCOPE}"}
"""Images of this lane."""
os.environ["APB_SCOPE"] = lanes.SCOPE  # of all that tests start
os.environ.setdefault("OMP_NUM_THREADS", "1")  # several at a time: threads would wait for cores that others have


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """Lanes are for the whole suite, and for the attacks; to start them takes longer than most rooms alone."""
    attacks = ROOT / "tests" / "running" / "test_attacks.py"
    named = [Path(argument).resolve() for argument in config.args]
    return lanes.LANES if any(attacks.is_relative_to(path) for path in named) else 0


@pytest.hookimpl(tryfirst=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> lanes.Scheduling:
    config.option.loadscopereorder = False  # the order is ours
    return lanes.Scheduling(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: lanes.rank(item.nodeid))


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Every test takes a place; to wait for one is not the test's own time."""
    takes_its_own = "carry_out" in getattr(item, "fixturenames", ())
    with nullcontext() if takes_its_own else lanes.place():
        return (yield)


@pytest.fixture(scope="session")
def engine() -> docker.DockerClient:
    return machine.engine()


@pytest.fixture(scope="session")
def base(engine: docker.DockerClient) -> str:
    return machine.base_image(engine)


@pytest.fixture(scope="session")
def build(engine: docker.DockerClient, base: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Build]:
    """Make `apb/test-<name>:<lane>` from the text of a predict.py (or build a Dockerfile); removed at the end."""
    mine = f"apb/test:{lanes.SCOPE}"
    images.add(engine, base, mine, Labels={"apb-test": lanes.SCOPE})

    def make(name: str, predict: str = "", dockerfile: str = "") -> str:
        tag = f"apb/test-{name}:{lanes.SCOPE}"
        if not dockerfile:
            program = {"predict.py": textwrap.dedent(predict)}
            images.add(engine, mine, tag, program, Cmd=["python3", "/predict.py"])
            return tag
        context = tmp_path_factory.mktemp(name)
        (context / "Dockerfile").write_text(f"FROM {mine}\n{dockerfile}")
        engine.images.build(path=str(context), tag=tag, rm=True, forcerm=True)
        return tag

    yield make
    for image in engine.images.list(filters=MINE):
        with suppress(docker.errors.ImageNotFound):  # it has gone with another
            engine.images.remove(str(image.id), force=True)


WITHOUT_PANEL = shutil.ignore_patterns("panel")
"""Where the panel is not what a test is about, a round need not ask every entry about it: a run each."""
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

    def apb(self, *arguments: str, timeout: float = 300) -> subprocess.CompletedProcess[str]:
        """Run `apb` as its user would."""
        return subprocess.run(
            self.command(*arguments), cwd=self.root, capture_output=True, text=True, timeout=timeout, check=False
        )

    def evaluate(self, *arguments: str, timeout: float = 300) -> subprocess.CompletedProcess[str]:
        return self.apb("evaluate", *self.on_smoke(), *arguments, timeout=timeout)

    def on_smoke(self) -> list[str]:
        return ["--hidden", str(self.root / "test_data"), "--tracks", "smoke"]


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    root = tmp_path / "benchmark"
    shutil.copytree(ROOT / "test_data", root / "test_data", ignore=WITHOUT_PANEL)
    (root / "submissions").mkdir()
    return Workspace(root)


def leftovers(engine: docker.DockerClient) -> list[str]:
    """Containers and volumes of the evaluator that are still there, of this lane's."""
    containers = engine.containers.list(all=True, filters=of_scope(), ignore_removed=True)
    return [str(c.name) for c in containers] + [str(v.name) for v in engine.volumes.list(filters=of_scope())]


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
