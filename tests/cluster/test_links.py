"""Two network namespaces as two hosts: scheduler and head on one, the worker on the other, and a link that is cut."""

from __future__ import annotations

import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import docker
import pytest

from scripts import machine
from tests.conftest import HONEST, Build, Workspace, leftovers
from tests.support import lanes
from tests.support.clusters import make_certificates, on, scheduler_command, worker_command
from tests.support.rounds import change_track, dask, jobs_of, ledger, running, submit, until

CUT_SECONDS = 20
HEAD, WORKER = "10.201.77.1", "10.201.77.2"


class Link:
    """Two namespaces and the cable between them."""

    def __init__(self) -> None:
        self.ip = machine.ip()
        for k in (1, 2):
            self.run("netns", "add", self.name(k))
            self.run("-n", self.name(k), "link", "set", "lo", "up")
        ends = ("name", "e1", "netns", self.name(1), "type", "veth", "peer", "name", "e2", "netns", self.name(2))
        self.run("link", "add", *ends)
        for k, address in ((1, HEAD), (2, WORKER)):
            self.run("-n", self.name(k), "addr", "add", f"{address}/24", "dev", f"e{k}")
            self.run("-n", self.name(k), "link", "set", f"e{k}", "up")

    def name(self, k: int) -> str:
        return f"{lanes.SCOPE}-{k}"

    def run(self, *arguments: str, check: bool = True) -> None:
        subprocess.run([self.ip, *arguments], check=check, capture_output=True)

    def down(self) -> None:
        for k in (1, 2):
            self.run("netns", "delete", self.name(k), check=False)

    def cut(self, seconds: float) -> None:
        self.run("-n", self.name(1), "link", "set", "e1", "down")
        time.sleep(seconds)
        self.run("-n", self.name(1), "link", "set", "e1", "up")

    def on_host(self, k: int, command: list[str]) -> list[str]:
        return [self.ip, "netns", "exec", self.name(k), *command]


@pytest.fixture
def link() -> Iterator[Link]:
    link = Link()
    yield link
    link.down()


def test_a_link_that_is_cut_for_a_while_costs_nothing_but_time(
    workspace: Workspace, build: Build, engine: docker.DockerClient, link: Link, tmp_path: Path
) -> None:
    change_track(workspace, audit_rows=0)
    image = build("link-slow", "import time; time.sleep(6)\n" + HONEST.replace("\n    ", "\n"))
    submit(workspace, image, "entry")
    certificates = make_certificates(tmp_path)
    address = f"tls://{HEAD}:8786"
    worker = worker_command(address, certificates, tmp_path / "worker")
    with (
        running(link.on_host(1, scheduler_command(certificates, HEAD, 8786))),
        running(link.on_host(2, worker)),
        running(link.on_host(1, dask(workspace, *on(address, certificates))), cwd=workspace.root) as round_,
    ):
        until(lambda: jobs_of(engine))
        link.cut(CUT_SECONDS)
        said, _ = round_.communicate(timeout=300)
        assert round_.returncode == 0, said
    assert Counter(e["event"] for e in ledger(workspace)) == {"run": 1}, said
    until(lambda: not leftovers(engine), 10)
