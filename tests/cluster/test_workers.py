"""Rounds on many workers: whatever dies, every result is there once and right, and no container outlives its task."""

from __future__ import annotations

import json
import os
import pickle
import signal
import subprocess
import threading
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path

import docker
import docker.errors
import pytest
from distributed import Client

from evaluator.cluster.certificates import security_of
from evaluator.cluster.fleet import sequences_of
from evaluator.cluster.worker import Bench
from evaluator.contract import submissions, tracks
from evaluator.contract.labels import find_data
from evaluator.contract.references import Image
from evaluator.contract.work import Limits
from evaluator.rounds import task as plan
from evaluator.settings import Settings
from tests.conftest import HONEST, Build, LocalRegistry, Workspace, leftovers
from tests.support.clusters import free_port, make_certificates, on, scheduler_command, worker_command
from tests.support.registries import push, settings
from tests.support.rounds import (
    SECONDS,
    change_track,
    dask,
    evaluated,
    jobs_of,
    ledger,
    running,
    same_as_local,
    submit,
    until,
)


@pytest.fixture(scope="module")
def slow(build: Build) -> str:
    return build("cluster-slow", f"import time; time.sleep({SECONDS})\n" + HONEST.replace("\n    ", "\n"))


@pytest.fixture(scope="module")
def quick(build: Build) -> str:
    return build("cluster-quick", HONEST)


@pytest.fixture
def bench(workspace: Workspace, engine: docker.DockerClient) -> Workspace:
    """A benchmark whose track has no audit, so that every task is one run."""
    change_track(workspace, audit_rows=0)
    return workspace


def test_a_killed_worker_costs_nothing_but_time(
    bench: Workspace, slow: str, engine: docker.DockerClient, tmp_path: Path
) -> None:
    names = [f"entry-{k}" for k in range(3)]
    submit(bench, slow, *names)
    with running(dask(bench, "--workers", "2"), cwd=bench.root) as round_:
        [(first, worker), *_] = until(lambda: jobs_of(engine))
        os.kill(worker, signal.SIGKILL)
        said, _ = round_.communicate(timeout=300)
    assert round_.returncode == 0, said
    assert leftovers(engine) == []
    events = Counter((e["event"], e["submission"]) for e in ledger(bench))
    lost = first.partition(" on ")[0]
    assert events == {**{("run", name): 1 for name in names}, ("lost", lost): 1}, said
    assert f"{first}: its worker" in said
    same_as_local(bench, tmp_path, names)
    told = {e["record"] for e in map(json.loads, (bench.results / "chain.jsonl").open())}
    assert len({name for name in told if "/" in name}) == 3


def test_the_only_worker_comes_back_and_goes_on(bench: Workspace, slow: str, engine: docker.DockerClient) -> None:
    submit(bench, slow, "entry-1", "entry-2", "entry-3")
    with running(dask(bench, "--workers", "1"), cwd=bench.root) as round_:
        [(_, worker)] = until(lambda: jobs_of(engine))
        os.kill(worker, signal.SIGKILL)
        said, _ = round_.communicate(timeout=300)
    assert round_.returncode == 0, said
    assert Counter(e["event"] for e in ledger(bench)) == {"run": 3, "lost": 1}, said
    assert leftovers(engine) == []


def test_a_worker_pulls_by_digest_and_leaves_no_image(
    bench: Workspace, build: Build, engine: docker.DockerClient, registry: LocalRegistry
) -> None:
    settings(bench, registry)
    name = push(engine, build("cluster-pushed", HONEST + "    # pushed\n"), f"{registry.host}/tests/cluster:1.0")
    submit(bench, name, "pushed")
    submit(bench, f"{registry.host}/tests/nothing:1.0", "absent")
    done = evaluated(bench, "--workers", "1", "--json")
    summary = json.loads(done.stdout)
    assert done.returncode == 0, done.stderr
    assert summary["scored"] == ["pushed on smoke"]
    assert summary["failed"] == {"absent on smoke": "IMAGE_NOT_FOUND"}
    lock = json.loads((bench.results / "pushed" / "image.lock").read_text())
    assert lock["digest"] in registry.accesses()
    with pytest.raises(docker.errors.ImageNotFound):
        engine.images.get(lock["pull"])


def test_a_poison_task_does_not_take_its_neighbours_down(
    bench: Workspace, quick: str, slow: str, engine: docker.DockerClient
) -> None:
    submit(bench, slow, "poison")
    submit(bench, quick, *(f"neighbour-{k}" for k in range(6)))
    over = threading.Event()

    def poisoned() -> None:
        while not over.wait(0.05):
            for _, worker in jobs_of(engine, "poison"):
                with suppress(ProcessLookupError):  # its container outlives it by a moment
                    os.kill(worker, signal.SIGKILL)
                    over.wait(1)

    killer = threading.Thread(target=poisoned)
    killer.start()
    try:
        done = evaluated(bench, "--workers", "2", "--json")
    finally:
        over.set()
        killer.join()
    summary = json.loads(done.stdout)
    assert done.returncode == 3
    assert sorted(summary["scored"]) == [f"neighbour-{k} on smoke" for k in range(6)]
    assert "tried 3 times" in summary["ours"]["poison on smoke"]
    assert Counter(e["event"] for e in ledger(bench) if e["submission"] == "poison") == {"lost": 3, "interrupted": 1}
    assert not [e for e in ledger(bench) if e["event"] == "lost" and e["submission"] != "poison"]
    assert not (bench.results / "poison" / "smoke.json").exists()
    assert leftovers(engine) == []


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_round_that_is_ended_leaves_no_container(
    bench: Workspace, slow: str, engine: docker.DockerClient, how: signal.Signals
) -> None:
    submit(bench, slow, "entry-1", "entry-2", timeout_minutes=2)
    with running(dask(bench, "--workers", "2"), cwd=bench.root, start_new_session=True) as round_:
        until(lambda: len(jobs_of(engine)) == 2)
        round_.send_signal(how)
        ended = time.monotonic()
        until(lambda: not leftovers(engine), 5)
        assert time.monotonic() - ended < 5
        assert round_.wait(timeout=30) == {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGKILL: -9}[how]
    assert not (bench.results / "entry-1").exists()
    assert until(lambda: not workers_of(bench)), "workers outlive their round"


def workers_of(workspace: Workspace) -> list[int]:
    """Processes that work for this benchmark."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = path.read_bytes()
        except OSError:
            continue
        if b"evaluator\0worker" in line and str(workspace.root).encode() in line:
            found.append(int(path.parent.name))
    return found


def test_what_no_worker_can_ever_do_is_told_at_once(bench: Workspace, quick: str) -> None:
    submit(bench, quick, "usual")
    submit(bench, quick, "graphic", gpu=True)
    (bench.root / "pyproject.toml").write_text("[tool.apb]\nmax_memory_gb = 100000\n")
    bench.submit("huge", quick, resources="{memory_gb: 1024}")
    done = evaluated(bench, "--workers", "1", "--json")
    summary = json.loads(done.stdout)
    assert done.returncode == 3
    assert summary["scored"] == ["usual on smoke"]
    assert "needs 1024.0 GiB" in summary["ours"]["huge on smoke"]
    assert "1 GPU" in summary["ours"]["graphic on smoke"]


# --- a cluster that is already running --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_certificates(tmp_path_factory.mktemp("certificates"))


def test_a_round_whose_scheduler_is_killed_goes_on_when_it_is_back(
    bench: Workspace, slow: str, quick: str, engine: docker.DockerClient, certificates: Path, tmp_path: Path
) -> None:
    submit(bench, quick, "done-before")
    submit(bench, slow, "entry-1", "entry-2")
    port = free_port()
    address = f"tls://127.0.0.1:{port}"
    with running(worker_command(address, certificates, tmp_path / "worker", "--slots", "2")) as worker:
        with running(scheduler_command(certificates, "127.0.0.1", port)) as scheduler:
            with running(dask(bench, *on(address, certificates)), cwd=bench.root) as round_:
                until(lambda: (bench.results / "done-before" / "smoke.json").exists() and jobs_of(engine))
                going = subprocess.run(bench.command("status"), capture_output=True, text=True, check=False)
                assert going.returncode == 0
                assert "running  entry-" in going.stdout
                scheduler.kill()
                said, _ = round_.communicate(timeout=300)
            assert round_.returncode == 3, said
            assert "scheduler" in said
        until(lambda: not leftovers(engine), 10)
        events = Counter((e["event"], e["submission"]) for e in ledger(bench))
        with running(scheduler_command(certificates, "127.0.0.1", port)):
            done = evaluated(bench, *on(address, certificates), "--json")
            assert done.returncode == 0, done.stderr
            summary = json.loads(done.stdout)
            assert sorted(summary["scored"]) == ["entry-1 on smoke", "entry-2 on smoke"]
            assert summary["unchanged"] == ["done-before on smoke"]
            worker.terminate()
            assert worker.wait(timeout=30) == 0
    assert events[("run", "done-before")] == 1
    assert len(list((bench.results).glob("*/smoke.json"))) == 3
    assert leftovers(engine) == []
    assert not list((tmp_path / "worker" / "runs").glob("*"))


def test_a_head_that_is_killed_takes_its_containers_along(
    bench: Workspace, slow: str, engine: docker.DockerClient, certificates: Path, tmp_path: Path
) -> None:
    submit(bench, slow, "entry-1", "entry-2")
    port = free_port()
    address = f"tls://127.0.0.1:{port}"
    with (
        running(scheduler_command(certificates, "127.0.0.1", port)),
        running(worker_command(address, certificates, tmp_path / "worker")) as worker,
    ):
        with running(dask(bench, *on(address, certificates)), cwd=bench.root) as round_:
            until(lambda: jobs_of(engine))
            round_.kill()
            until(lambda: not leftovers(engine), 5)
        with Client(address, security=security_of(certificates, address, insecure=False)) as client:
            assert list(client.run(lambda dask_worker: "apb" in dask_worker.plugins).values()) == [False]
        worker.terminate()
        assert worker.wait(timeout=30) == 0


def test_without_the_certificate_nobody_takes_part(
    bench: Workspace, quick: str, certificates: Path, tmp_path: Path
) -> None:
    submit(bench, quick, "entry")
    stranger = make_certificates(tmp_path)
    port = free_port()
    address = f"tls://127.0.0.1:{port}"
    with running(scheduler_command(certificates, "127.0.0.1", port)):
        refused = subprocess.run(
            worker_command(address, stranger, tmp_path / "worker", "--once", "--death-timeout", "3"),
            capture_output=True, text=True, timeout=300, check=False,
        )  # fmt: skip
        assert refused.returncode == 3
        assert "same certificates" in refused.stderr
        head = evaluated(bench, *on(address, stranger))
        assert head.returncode == 3
        assert "same certificates" in head.stderr
        plain = evaluated(bench, "--scheduler", f"tcp://127.0.0.1:{port}")
        assert plain.returncode == 2
        assert "not encrypted" in plain.stderr
        nobody = evaluated(bench, *on(address, certificates)[:-1], "2")
        assert nobody.returncode == 3
        assert "no worker" in nobody.stderr
    assert not bench.results.exists()


def test_a_worker_is_given_sequences_and_never_a_label(bench: Workspace) -> None:
    track = tracks.load_all(bench.root / "test_data" / "tracks")["smoke"]
    files = find_data(track, bench.root / "test_data")
    assert files is not None
    (bench.root / "submissions" / "entry.yaml").write_text("name: E\ndocker_image: apb/x:1\nauthor: t\n")
    entry = submissions.load(bench.root / "submissions" / "entry.yaml")
    image = Image("apb/x:1", "sha256:" + "0" * 64, None)
    task = plan.Task(entry, files, image, Limits(60.0), "docker", "run")
    sent = pickle.dumps((Bench("round", Settings(), sequences_of([task])), task.work()))
    assert task.data.columns["sequence"][0].encode() in sent
    assert files.labels not in sent
    assert task.data.truth.tobytes() not in sent
    assert b"truth" not in sent
    assert b"label" not in sent.replace(b"_label", b"")  # the round's own name
    ids = [i.encode() for i in task.data.ids]
    assert not any(i in sent for i in ids)
