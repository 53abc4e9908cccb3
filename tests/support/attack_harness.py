"""Builds hostile images, runs them the way `apb evaluate` does, and looks at what came of it and of the host.

`tests/attacks/<name>/expected.yaml` says what must come of an image; keys under `variants` override those above them:

    what, threat    one line for people; the number in the threat table
    code            failure code of the record, or `ok`; patterns; a list where engines may differ
    log_contains    what the private log must hold, and `log_lacks` must not
    not_public      further text that no public file may hold
    record          fields of the public record
    resources       of the submission; `settings` of [tool.apb]; `track`; `audit`: leave the consistency audit on
    build           `args`; `stages`: a stage of the Dockerfile per variant; `archive`: image.py makes the image
                    (without a Dockerfile: attack.py on the common base, with VARIANT in its environment)
    check           run `apb check` too
    engine: own     on an engine of its own, which the image may take down
"""

from __future__ import annotations

import base64
import contextlib
import fcntl
import fnmatch
import functools
import hashlib
import io
import json
import multiprocessing
import os
import queue
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import threading
import time
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from types import FrameType
from typing import Any, TypeVar

import docker
import docker.errors
import yaml

from evaluator.commands import cli
from evaluator.contract import tracks
from evaluator.contract.labels import load_data
from evaluator.running.containers import LABEL, UID, of_scope, owner_labels
from evaluator.running.engine import is_podman
from evaluator.settings import Repository
from leaderboard.build import build as build_site
from scripts import machine
from tests.support import images, lanes

ROOT = Path(__file__).resolve().parents[2]
ATTACKS = ROOT / "tests" / "attacks"
MARK = "apb-attack"
VERSION = str(os.getpid())
"""Of the images, so that two runs of the suite on one engine do not take each other's."""
KIT = f"apb-attack/kit:{VERSION}"
MIB = 2**20
HEADERS = ("sequence_id,sequence", "sequence_id,prediction,score")
"""Lines of the contract, which everybody knows and the site explains."""
DISK_SLACK = 64 * MIB
MEMORY_SLACK = 300 * MIB
TIME_SLACK = 5.0
RUNS_OF_AN_AUDIT = 4
PATIENCE = 100.0
"""Seconds after which an evaluation that hangs is given up."""
Found = TypeVar("Found")
HOST_FILES = ("/etc/passwd", "/etc/group", "/etc/hosts", "/etc/resolv.conf", "/etc/shadow")
HOST_SETTINGS = ("core_pattern", "hostname", "modprobe", "sysrq", "domainname")


@dataclass(frozen=True)
class Attack:
    """One hostile image, and what must come of it."""

    folder: str
    variant: str
    expected: dict[str, Any] = field(repr=False)

    @property
    def name(self) -> str:
        """Also the submission's id."""
        return f"{self.folder}-{self.variant}" if self.variant else self.folder

    @property
    def codes(self) -> list[str]:
        """Patterns of which the outcome must match one."""
        code = self.expected["code"]
        return [code] if isinstance(code, str) else list(code)

    @property
    def track(self) -> str:
        """Where it is evaluated."""
        return str(self.expected.get("track", "smoke"))

    @property
    def resources(self) -> dict[str, float]:
        """What the submission asks for."""
        return {"memory_gb": 0.5, "timeout_minutes": 0.1, **self.expected.get("resources", {})}

    @property
    def seconds_allowed(self) -> float:
        """From the start of the evaluation to its end."""
        runs = RUNS_OF_AN_AUDIT if self.expected.get("audit") else 1
        return runs * self.resources["timeout_minutes"] * 60 + TIME_SLACK


def load_all() -> list[Attack]:
    """Every attack, the honest image first."""
    found = []
    for path in sorted(ATTACKS.glob("[!_]*/expected.yaml")):
        common = yaml.safe_load(path.read_text())
        variants = common.pop("variants", {"": {}})
        found += [Attack(path.parent.name, name, common | own) for name, own in variants.items()]
    return sorted(found, key=lambda a: a.expected["threat"] != "control")


@dataclass
class Outcome:
    """What was observed; the attack holds if there are no `faults`."""

    attack: Attack
    code: str = "nothing recorded"
    seconds: float = 0.0
    faults: list[str] = field(default_factory=list)
    host: list[str] = field(default_factory=list)

    @property
    def perhaps_of_others(self) -> bool:
        """Whether all that is wrong is time and disk, which others on this machine use too."""
        found = self.faults + self.host
        return bool(found) and all(fault.startswith(("took ", "disk used ")) for fault in found)

    def expect(self, holds: bool, fault: str) -> None:
        """Note a fault unless it holds."""
        if not holds:
            self.faults.append(fault)


# -- images -----------------------------------------------------------------------------------------------------------


class Images:
    """The images of the suite in one engine; all of them carry a label, which their descendants inherit."""

    def __init__(self, engine: docker.DockerClient) -> None:
        self.engine = engine
        self.built: set[str] = set()

    @cached_property
    def kit(self) -> str:
        """The image that attacks are built on: Python, and the small helpers of kit.py."""
        self._add(machine.base_image(self.engine), KIT, "_kit/kit.py", Cmd=["python3", "/attack/attack.py"])
        return KIT

    def make(self, attack: Attack) -> str:
        """Build an attack's image; returns its tag."""
        tag = f"apb/attack-{attack.name}:{VERSION}"
        how = attack.expected.get("build", {})
        if how.get("archive"):
            self.engine.images.load(_archive(ATTACKS / attack.folder / "image.py", attack.variant, tag))
            self.built.add(tag)
            return tag
        if not (ATTACKS / attack.folder / "Dockerfile").exists():
            self._add(self.kit, tag, f"{attack.folder}/attack.py", Env=[f"VARIANT={attack.variant}"])
            return tag
        arguments = {"BASE_IMAGE": self.kit, "VARIANT": attack.variant, **how.get("args", {})}
        self._build(ATTACKS / attack.folder, tag, arguments, attack.variant if how.get("stages") else None)
        return tag

    def _add(self, base: str, tag: str, file: str, **config: Any) -> None:
        text = (ATTACKS / file).read_text()
        with self._alone():
            images.add(self.engine, base, tag, {f"attack/{Path(file).name}": text}, Labels={MARK: VERSION}, **config)
        self.built.add(tag)

    def _build(self, context: Path, tag: str, arguments: dict[str, str], stage: str | None) -> None:
        with self._alone():
            self.engine.images.build(
                path=str(context), tag=tag, buildargs=arguments, target=stage, network_mode="none", rm=True,
                forcerm=True, nocache=self.podman,
            )  # fmt: skip
        self.built.add(tag)

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        """Podman, asked for two builds at once, mixes up what they have in cache."""
        with (Path(tempfile.gettempdir()) / f"{MARK}.build").open("w") as lock:
            if self.podman:
                fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    @cached_property
    def podman(self) -> bool:
        """Whether the engine is Podman."""
        return is_podman(self.engine)

    def ids(self) -> set[str]:
        """Every image that descends from the suite's."""
        return {str(i.id) for i in self.engine.images.list(all=True, filters={"label": f"{MARK}={VERSION}"})}

    def remove(self) -> None:
        """Remove all that was built, the common base last."""
        mine: dict[str, Any] = {"label": f"{MARK}={VERSION}"}
        for container in self.engine.containers.list(all=True, filters=mine, ignore_removed=True):
            container.remove(force=True)  # a busy engine's builder may leave one
        for tag in sorted(self.built, key=lambda t: t == KIT):
            with contextlib.suppress(docker.errors.ImageNotFound):
                self.engine.images.remove(tag, force=True)
        images.prune(self.engine, {"dangling": True, **mine})
        self.built.clear()


def _archive(script: Path, variant: str, tag: str) -> bytes:
    """An image as `docker load` takes it, from the configuration and the layer that a script prints."""
    command = [sys.executable, str(script), variant]
    content = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
    layer = base64.b64decode(content.pop("layer"))
    if content["config"] is not None:
        content["config"].setdefault("Labels", {MARK: VERSION})
    content["rootfs"] = {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(layer).hexdigest()}"]}
    manifest = [{"Config": "config.json", "RepoTags": [tag], "Layers": ["layer.tar"]}]
    files = {
        "config.json": json.dumps(content).encode(), "layer.tar": layer, "manifest.json": json.dumps(manifest).encode(),
    }  # fmt: skip
    return images.tar(files)


# -- the host ---------------------------------------------------------------------------------------------------------


class Host:
    """What an attack must not change: measured before it, during it and after it.

    Args:
        hidden: folder with the hidden data.
    """

    def __init__(self, images: Images, hidden: Path) -> None:
        self.images = images
        self.engine = images.engine
        self.hidden = hidden
        folder = Path(str(self.engine.info()["DockerRootDir"]))
        self.disk = folder if folder.exists() else Path("/")

    @contextlib.contextmanager
    def watched(self, outcome: Outcome) -> Iterator[None]:
        """Note in `outcome.host` what the block changed."""
        files, settings, images = _hash(self.hidden), _settings(), self.images.ids()
        begun, memory = time.time(), _memory_reset()
        free = self._free()
        lowest, over = [free], threading.Event()

        def sample() -> None:
            while not over.wait(0.05):
                lowest.append(self._free())

        sampler = threading.Thread(target=sample, daemon=True)
        sampler.start()
        try:
            yield
        finally:
            over.set()
            sampler.join()
        found = {
            "disk used meanwhile": _beyond(DISK_SLACK, free - min(lowest)),
            "disk used afterwards": _lasting(lambda: _beyond(DISK_SLACK, free - self._free())),
            "the evaluator's memory grew": _beyond(MEMORY_SLACK, _status("VmHWM") - memory),
            "left in the engine": _lasting(self._leftovers),
            "processes left": _lasting(lambda: self._processes(begun)),
            "images left": self.images.ids() - images,
            "the hidden data have changed": _hash(self.hidden) != files,
            "settings or files of the host have changed": _settings() != settings,
        }
        outcome.host += [f"{fault}: {value}" for fault, value in found.items() if value]

    def _free(self) -> int:
        found = os.statvfs(self.disk)
        return found.f_bavail * found.f_frsize

    def _leftovers(self) -> list[str]:
        """Containers and volumes that this process has made through the evaluator."""
        mine = owner_labels().items()  # compared here: of several labels Podman wants any, Docker all
        containers = self.engine.api.containers(all=True, filters=of_scope())
        volumes = self.engine.volumes.list(filters=of_scope())
        return [str(c["Names"][0]) for c in containers if mine <= (c.get("Labels") or {}).items()] + [
            str(v.name) for v in volumes if mine <= (v.attrs.get("Labels") or {}).items()
        ]

    def _processes(self, since: float) -> list[str]:
        """Processes of the sandbox's user in a container that this process has started, or in none at all."""
        process = f"{LABEL}.process={owner_labels()[f'{LABEL}.process']}"
        now: Any = f"{time.time():.6f}"  # the engine knows fractions of a second, the client's types do not
        events = self.engine.events(
            since=int(since), until=now, decode=True, filters={"type": "container", "label": process}
        )
        ours = {event["Actor"]["ID"] for event in events}
        found = []
        for folder in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                groups = (folder / "cgroup").read_text()
                contained = "docker" in groups or "libpod" in groups
                if folder.stat().st_uid == UID and (not contained or any(i in groups for i in ours)):
                    found.append(f"{folder.name} {(folder / 'comm').read_text().strip()}")
        return found


def _beyond(slack: int, size: int) -> str:
    return f"{size // MIB} MiB" if size > slack else ""


def _lasting(find: Callable[[], Found]) -> Found:
    """What is found, if it is still found after a second: others use the same machine."""
    for _ in range(10):
        if not (found := find()):
            return found
        time.sleep(0.1)
    return find()


def _status(key: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{key}:"))


def _memory_reset() -> int:
    """Bytes resident now; the kernel's high-water mark is set back to them where it lets itself be."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")
    return _status("VmRSS") if _status("VmHWM") < _status("VmRSS") + MIB else _status("VmHWM")


def _hash(folder: Path) -> str:
    digest = hashlib.sha256()
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        digest.update(f"{path} {path.stat().st_mode} {path.stat().st_mtime_ns}".encode() + path.read_bytes())
    return digest.hexdigest()


def _settings() -> list[bytes]:
    kernel = [Path("/proc/sys/kernel") / name for name in HOST_SETTINGS]
    return [p.read_bytes() for p in (*kernel, *map(Path, HOST_FILES)) if p.is_file()]


# -- one attack -------------------------------------------------------------------------------------------------------


class Hung(Exception):  # noqa: N818
    """An evaluation did not end in time."""


@contextlib.contextmanager
def _given_up_after(seconds: float) -> Iterator[None]:
    def give_up(_signal: int, _frame: FrameType | None) -> None:
        raise Hung

    before = signal.signal(signal.SIGALRM, give_up)
    timer = signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, *timer)
        signal.signal(signal.SIGALRM, before)


class Bench:
    """Where attacks are carried out: a benchmark of its own in a temporary folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.root = folder / "benchmark"
        shutil.copytree(ROOT / "test_data", self.root / "test_data", ignore=shutil.ignore_patterns("panel"))
        self.hidden = self.root / "test_data"
        self.tracks = {p.name: p.read_text() for p in (self.root / "test_data" / "tracks").glob("smoke*.yaml")}
        self.images = Images(machine.engine())
        self.host = Host(self.images, self.hidden)

    def run(self, attack: Attack) -> Outcome:
        """Carry out one attack; for what may be its neighbours' doing, once more, and then without neighbours."""
        for turn in (lanes.place, lanes.place, lanes.all_places):
            with turn():
                outcome = self._run(attack)
            if not outcome.perhaps_of_others:
                break
        outcome.faults += outcome.host
        return outcome

    def _run(self, attack: Attack) -> Outcome:
        self._configure(attack)
        work = Path(tempfile.mkdtemp(dir=self.folder))
        try:
            if attack.expected.get("engine") == "own":
                return _run_on_own_engine(attack, self, work)
            outcome = Outcome(attack)
            _submit(attack, self.images.make(attack), work)
            with self.host.watched(outcome), _listening():
                said = self._evaluate(attack, work, outcome)
            _judge(self, attack, work, said, outcome)
            if attack.expected.get("check"):
                said = _quietly(self._command("check", f"{work}/submissions/{attack.name}.yaml"))
                outcome.expect(not (raw := _raw(said)), f"apb check printed raw {raw}")
            return outcome
        finally:
            shutil.rmtree(work, ignore_errors=True)

    def _configure(self, attack: Attack) -> None:
        settings = "".join(f"{key} = {value}\n" for key, value in attack.expected.get("settings", {}).items())
        (self.root / "pyproject.toml").write_text(f"[tool.apb]\n{settings}")
        audit = "" if attack.expected.get("audit") else "audit_rows: 0\n"
        for name, text in self.tracks.items():
            (self.root / "test_data" / "tracks" / name).write_text(text + audit)

    def _command(self, *arguments: str) -> list[str]:
        return ["--root", str(self.root), *arguments]

    def evaluate_command(self, attack: Attack, work: Path) -> list[str]:
        """`apb evaluate` for one attack."""
        folders = [f"--{name}={work}/{name}" for name in ("submissions", "results", "state")]
        return self._command("evaluate", f"--hidden={self.hidden}", f"--tracks={attack.track}", *folders)

    def _evaluate(self, attack: Attack, work: Path, outcome: Outcome) -> str:
        begun = time.monotonic()
        said = ""
        try:
            with _given_up_after(PATIENCE):
                said = _quietly(self.evaluate_command(attack, work))
        except Hung:
            outcome.faults.append(f"given up after {PATIENCE:.0f} s")
        outcome.seconds = time.monotonic() - begun
        return said

    def close(self) -> None:
        """Leave nothing behind."""
        self.images.remove()


def _quietly(arguments: list[str]) -> str:
    """What `apb` prints to either stream, run in this process."""
    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said), contextlib.suppress(SystemExit):
        cli.app.main(arguments, standalone_mode=False)
    return said.getvalue()


@contextlib.contextmanager
def _listening() -> Iterator[None]:
    """An abstract socket of the host, for an attack to find."""
    with socket.socket(socket.AF_UNIX) as server:
        with contextlib.suppress(OSError):  # another run of the suite has it; that is as good
            server.bind("\0apb-attack-canary")
            server.listen()
        yield


def _submit(attack: Attack, tag: str, work: Path) -> None:
    folder = work / "submissions"
    folder.mkdir()
    entry = {"name": attack.name, "docker_image": tag, "author": "attack suite", "resources": attack.resources}
    (folder / f"{attack.name}.yaml").write_text(yaml.safe_dump(entry))


def _judge(bench: Bench, attack: Attack, work: Path, said: str, outcome: Outcome) -> None:
    """Hold what was recorded, logged and published against what is expected."""
    record = _record(attack, work, outcome)
    log = _log(attack, work, outcome)
    for text in attack.expected.get("log_contains", ()):
        outcome.expect(text in log, f"the log lacks {text!r}")
    for text in attack.expected.get("log_lacks", ()):
        line = next((line for line in log.splitlines() if text in line), "")
        outcome.expect(text not in log, f"the log has {line[:160]!r}")
    for key, value in attack.expected.get("record", {}).items():
        outcome.expect(record.get(key) == value, f"the record's {key} is {record.get(key)!r}")
    limit = attack.seconds_allowed
    outcome.expect(outcome.seconds <= limit, f"took {outcome.seconds:.1f} s, {limit:.1f} s allowed")
    _judge_public(bench, attack, work, said, log, outcome)


def _record(attack: Attack, work: Path, outcome: Outcome) -> dict[str, Any]:
    path = work / "results" / attack.name / f"{attack.track}.json"
    record: dict[str, Any] = json.loads(path.read_text()) if path.is_file() else {}
    if record:
        outcome.code = record["failure"] or record["status"]
    ledger = work / "state" / "ledger.jsonl"
    if not record and ledger.is_file():
        outcome.code = f"ours: {json.loads(ledger.read_text().splitlines()[-1]).get('why', '?')[:120]}"
    expected = any(fnmatch.fnmatchcase(outcome.code, pattern) for pattern in attack.codes)
    outcome.expect(expected, f"the outcome is {outcome.code}")
    return record


def _log(attack: Attack, work: Path, outcome: Outcome) -> str:
    path = work / "state" / "logs" / attack.name / f"{attack.track}.log"
    if not path.is_file():
        return ""
    found = path.stat()
    outcome.expect(found.st_size <= MIB, f"the log has {found.st_size:,} bytes")
    outcome.expect(stat.S_IMODE(found.st_mode) == 0o600, "the log can be read by others")
    return path.read_text(errors="replace")


def _judge_public(bench: Bench, attack: Attack, work: Path, said: str, log: str, outcome: Outcome) -> None:
    repository = Repository(bench.root)
    build_site(repository, submissions=work / "submissions", results=work / "results", out=work / "site")
    public = {"the terminal": said}
    for folder in ("results", "site"):
        for path in (work / folder).rglob("*"):
            if path.is_file() and path.suffix != ".zip":  # which holds the files beside it once more
                public[str(path.relative_to(work))] = path.read_text(errors="replace")
    secrets = {*_hidden_text(bench, attack, work), *_lines(log)}
    for where, text in public.items():
        found = next((s for s in secrets if s in text), None)
        outcome.expect(found is None, f"{where} gives away {found!r:.80}")
        if raw := _raw(text):
            outcome.faults.append(f"{where} holds raw {raw}")
    own = {where: text for where, text in public.items() if where.startswith(("results", "the terminal"))}
    for text in attack.expected.get("not_public", ()):
        places = [where for where, content in own.items() if text in _without_hashes(content)]
        outcome.expect(not places, f"{places} hold {text!r}")


def _without_hashes(text: str) -> str:
    """The record without digests, which hold any three digits sooner or later."""
    return "\n".join(line for line in text.splitlines() if not any(k in line for k in ("sha256", "hash", "run_key")))


def _hidden_text(bench: Bench, attack: Attack, work: Path) -> Iterable[str]:
    """Sequences, true ids, and the opaque ids of this very run."""
    track = tracks.load_all(bench.root / "test_data" / "tracks")[attack.track]
    data = load_data(track, bench.hidden)
    assert data is not None
    yield from data.ids
    yield from (s[:40] for s in data.columns["sequence"])
    ledger = work / "state" / "ledger.jsonl"
    for line in ledger.read_text().splitlines() if ledger.is_file() else ():
        if seed := json.loads(line).get("seed"):
            yield from data.sequences.blinded(seed).ids


def _lines(log: str) -> set[str]:
    """Lines that only the log can have."""
    lines = {line.strip()[:60] for line in log.splitlines()[:5000]}
    return {line for line in lines if len(line) >= 12 and line not in HEADERS}


def _raw(text: str) -> str:
    """A character that a terminal or a reader could be fooled by."""
    seen = set(text) - set("\n\t")
    return next((repr(c) for c in sorted(seen) if unicodedata.category(c) in {"Cc", "Cf", "Co", "Cs"}), "")


# -- an engine of its own ---------------------------------------------------------------------------------------------


@contextlib.contextmanager
def _own_engine(folder: Path) -> Iterator[str]:
    """A second engine; it is killed, for it may not be able to end. Yields its address."""
    folder.mkdir()
    address = f"unix://{folder}/docker.sock"
    # In a network of its own: an engine that starts without a bridge removes docker0, which is the other engine's.
    command = [
        "unshare", "--net", "dockerd", "--host", address, "--data-root", f"{folder}/data",
        "--exec-root", f"{folder}/exec", "--pidfile", f"{folder}/pid",
        "--bridge", "none", "--iptables=false", "--ip-forward=false",
    ]  # fmt: skip
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
    try:
        for _ in range(200):
            time.sleep(0.1)
            with contextlib.suppress(docker.errors.DockerException):
                docker.DockerClient(base_url=address).ping()
                break
        yield address
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        for _ in range(50):
            if not _kill_mentioning(str(folder / "exec")):
                break
            time.sleep(0.1)
        for line in Path("/proc/mounts").read_text().splitlines():
            if str(folder) in line.split()[1]:
                subprocess.run(["umount", "--lazy", line.split()[1]], check=False, stderr=subprocess.DEVNULL)


def _kill_mentioning(path: str) -> int:
    """Kill the processes whose command line names a path under our own temporary folder."""
    count = 0
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if path.encode() in (folder / "cmdline").read_bytes():
                os.kill(int(folder.name), signal.SIGKILL)
                count += 1
    return count


def _run_on_own_engine(attack: Attack, bench: Bench, work: Path) -> Outcome:
    """An evaluation that may never end, by an engine that nobody else needs."""
    outcome = Outcome(attack)
    with tempfile.TemporaryDirectory(dir="/tmp", prefix="apb-") as short, _own_engine(Path(short) / "e") as address:
        client = docker.DockerClient(base_url=address, timeout=30)
        tag = f"apb/attack-{attack.name}:{VERSION}"
        client.images.load(_archive(ATTACKS / attack.folder / "image.py", attack.variant, tag))
        _submit(attack, tag, work)
        begun = time.monotonic()
        command = [sys.executable, "-m", "evaluator", *bench.evaluate_command(attack, work)]
        limit = attack.seconds_allowed
        engine_memory = _engine_memory(Path(short) / "e")
        with (work / "said").open("w") as said:
            process = subprocess.Popen(
                command, stdout=said, stderr=said, cwd=ROOT, env={**os.environ, "DOCKER_HOST": address}
            )
            try:
                process.wait(timeout=limit + 5)
            except subprocess.TimeoutExpired:
                outcome.faults.append("the evaluation hangs")
                process.kill()
                process.wait()
        outcome.seconds = time.monotonic() - begun
        try:
            docker.DockerClient(base_url=address, timeout=5).containers.list(all=True)
        except Exception as error:  # noqa: BLE001
            outcome.faults.append(f"the engine hangs: {type(error).__name__}")
        grown = _engine_memory(Path(short) / "e") - engine_memory
        outcome.expect(grown < MEMORY_SLACK, f"the engine's memory grew by {grown // MIB} MiB")
        _judge(bench, attack, work, (work / "said").read_text(), outcome)
    return outcome


def _engine_memory(folder: Path) -> int:
    pid = (folder / "pid").read_text().strip()
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:"))


# -- all of them ------------------------------------------------------------------------------------------------------


@functools.cache
def _bench() -> Bench:
    """This process's own."""
    return Bench(Path(tempfile.mkdtemp(prefix="apb-attacks-")))


def _carry_out(attack: Attack) -> Outcome:
    try:
        return _bench().run(attack)
    except docker.errors.DockerException as error:
        return Outcome(attack, faults=[f"not carried out: {error}"])


def _close() -> None:
    _bench().close()
    shutil.rmtree(_bench().folder, ignore_errors=True)


@contextlib.contextmanager
def apart() -> Iterator[Callable[[Attack], Outcome]]:
    """What carries out an attack, one at a time, in a process with measures and images of its own."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as process:
        try:
            yield lambda attack: process.submit(_carry_out, attack).result()
        finally:
            process.submit(_close).result()


def main(wanted: list[str]) -> int:
    """Run the attacks whose names begin with one of `wanted` (default all), and print a table."""
    attacks = [a for a in load_all() if not wanted or a.name.startswith(tuple(wanted))]
    width = max((len(a.name) for a in attacks), default=0)
    failed, begun = 0, time.monotonic()
    with contextlib.ExitStack() as processes, ThreadPoolExecutor(lanes.LANES) as pool:
        free: queue.SimpleQueue[Callable[[Attack], Outcome]] = queue.SimpleQueue()
        for _ in range(lanes.LANES):
            free.put(processes.enter_context(apart()))

        def next_free(attack: Attack) -> Outcome:
            carry_out = free.get()
            try:
                return carry_out(attack)
            finally:
                free.put(carry_out)

        for attack, outcome in zip(attacks, pool.map(next_free, attacks), strict=True):
            failed += bool(outcome.faults)
            host = "disturbed" if outcome.host else "unharmed"
            print(  # noqa: T201
                f"{'FAIL' if outcome.faults else 'ok':<5}{attack.name:<{width + 2}}{attack.expected['threat']:<8}"
                f"{' | '.join(attack.codes):<34.34} {outcome.code:<28.28} {host:<10}{outcome.seconds:6.1f} s",
                *(f"       {fault}" for fault in outcome.faults), sep="\n", flush=True,
            )  # fmt: skip
    print(f"{len(attacks) - failed} of {len(attacks)} hold, {time.monotonic() - begun:.0f} s")  # noqa: T201
    return 1 if failed else 0
