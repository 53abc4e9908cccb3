"""Rounds on many workers: whatever dies, every result is there once and right, and no container outlives its task."""

from __future__ import annotations

import json
import os
import pickle
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import docker
import docker.errors
import numpy as np
import pytest
import yaml
from distributed import Client

from evaluator.cluster.certificates import security_of
from evaluator.cluster.fleet import sequences_of
from evaluator.cluster.worker import Bench
from evaluator.contract import submissions, tracks
from evaluator.contract.labels import find_data
from evaluator.contract.references import Image
from evaluator.contract.work import Limits
from evaluator.rounds import task as plan
from evaluator.running.containers import LABEL
from evaluator.settings import Settings
from tests.conftest import HONEST, Build, LocalRegistry, Workspace, leftovers
from tests.test_check import push, settings

TIMES = {"evaluated_at", "hardware", "runtime"}
SECONDS = 2
TLS_FILES = ("ca.pem", "cert.pem", "key.pem")


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


def change_track(workspace: Workspace, **fields: object) -> None:
    path = workspace.root / "test_data" / "tracks" / "smoke.yaml"
    path.write_text(yaml.safe_dump({**yaml.safe_load(path.read_text()), **fields}))


def submit(workspace: Workspace, image: str, *names: str, **resources: object) -> None:
    for name in names:
        limits = {"memory_gb": 0.5, "timeout_minutes": 1, **resources}
        workspace.submit(name, image, resources=json.dumps(limits))


def records(workspace: Workspace) -> dict[str, dict[str, Any]]:
    """Every record, but for what may differ between two runs of the same thing."""
    found = {p.parent.name: json.loads(p.read_text()) for p in sorted(workspace.results.glob("*/smoke.json"))}
    return {name: {k: v for k, v in record.items() if k not in TIMES} for name, record in found.items()}


def predictions(workspace: Workspace) -> dict[str, tuple[bytes, bytes]]:
    """What every run predicted, byte for byte."""
    found = {}
    for path in sorted((workspace.state / "predictions").glob("*.npz")):
        with np.load(path, allow_pickle=False) as arrays:
            found[path.stem] = arrays["score"].tobytes(), arrays.get("prediction", np.empty(0)).tobytes()
    return found


def ledger(workspace: Workspace) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (workspace.state / "ledger.jsonl").read_text().splitlines()]


def same_as_local(workspace: Workspace, to: Path, names: list[str]) -> None:
    """All these entries, of one image, have what the first of them has when this machine alone evaluates it."""
    copy = Workspace(to / "local")
    subprocess.run(["cp", "-r", str(workspace.root), str(copy.root)], check=True)
    for path in (copy.state, copy.results):
        subprocess.run(["rm", "-rf", str(path)], check=True)
    done = copy.evaluate(names[0])
    assert done.returncode == 0, done.stderr
    found, [local] = records(workspace), records(copy).values()
    assert found == {name: {**local, "submission": name} for name in names}
    assert predictions(workspace) == predictions(copy)


def jobs_of(engine: docker.DockerClient, task: str = "") -> list[tuple[str, int]]:
    """Task and worker process of every container of a submission that is running."""
    found = []
    for container in engine.api.containers(filters={"label": LABEL}):
        labels = container["Labels"]
        name = labels.get(f"{LABEL}.task", "")
        if container["Mounts"] and any(m["Destination"] == "/data" for m in container["Mounts"]) and task in name:
            found.append((name, int(labels[f"{LABEL}.process"].split("/")[1])))
    return found


def until(condition: Callable[[], Any], seconds: float = 30) -> Any:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if found := condition():
            return found
        time.sleep(0.05)
    raise AssertionError("it did not come about in time")


@contextmanager
def running(command: list[str], **options: Any) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **options)
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


def dask(workspace: Workspace, *arguments: str) -> list[str]:
    return workspace.command("evaluate", *workspace.on_smoke(), "--executor", "dask", *arguments)


def evaluated(workspace: Workspace, *arguments: str) -> subprocess.CompletedProcess[str]:
    return workspace.evaluate("--executor", "dask", *arguments)


def test_a_killed_worker_costs_nothing_but_time(
    bench: Workspace, slow: str, engine: docker.DockerClient, tmp_path: Path
) -> None:
    names = [f"entry-{k}" for k in range(3)]
    submit(bench, slow, *names)
    with running(dask(bench, "--workers", "2"), cwd=bench.root) as round_:
        [(first, worker), *_] = until(lambda: jobs_of(engine))
        os.kill(worker, signal.SIGKILL)
        said, _ = round_.communicate(timeout=90)
    assert round_.returncode == 0, said
    assert leftovers(engine) == []
    events = Counter((e["event"], e["submission"]) for e in ledger(bench))
    lost = first.partition(" on ")[0]
    assert events == {**{("run", name): 1 for name in names}, ("lost", lost): 1}, said
    assert f"{first}: its worker" in said
    same_as_local(bench, tmp_path, names)
    assert len({e["record"] for e in map(json.loads, (bench.results / "chain.jsonl").open())}) == 3


def test_the_only_worker_comes_back_and_goes_on(bench: Workspace, slow: str, engine: docker.DockerClient) -> None:
    submit(bench, slow, "entry-1", "entry-2", "entry-3")
    with running(dask(bench, "--workers", "1"), cwd=bench.root) as round_:
        [(_, worker)] = until(lambda: jobs_of(engine))
        os.kill(worker, signal.SIGKILL)
        said, _ = round_.communicate(timeout=90)
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


def make_certificates(folder: Path) -> Path:
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
         "-subj", "/CN=apb", "-keyout", "key.pem", "-out", "cert.pem"],
        cwd=folder, check=True, capture_output=True,
    )  # fmt: skip
    (folder / "ca.pem").write_bytes((folder / "cert.pem").read_bytes())
    return folder


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def scheduler_command(certificates: Path, host: str, port: int) -> list[str]:
    ca, cert, key = (str(certificates / name) for name in TLS_FILES)
    return [
        sys.executable, "-m", "distributed.cli.dask_scheduler", "--protocol", "tls", "--host", host,
        "--port", str(port), "--no-dashboard", "--tls-ca-file", ca, "--tls-cert", cert, "--tls-key", key,
    ]  # fmt: skip


def worker_command(address: str, certificates: Path, state: Path, *more: str) -> list[str]:
    return [
        sys.executable, "-m", "evaluator", "worker", address, "--tls", str(certificates), "--state", str(state), *more,
    ]  # fmt: skip


def on(address: str, certificates: Path) -> list[str]:
    return ["--scheduler", address, "--tls", str(certificates), "--patience", "20"]


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
                said, _ = round_.communicate(timeout=60)
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
            capture_output=True, text=True, timeout=60, check=False,
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
