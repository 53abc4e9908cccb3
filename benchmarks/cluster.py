"""What a round costs beyond the containers' own runs: here, on workers, in parts, and on a simulated cluster."""

from __future__ import annotations

import hashlib
import heapq
import json
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import textwrap
import threading
import time
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path

import dask.config
import yaml

from evaluator.cluster import fleet
from evaluator.cluster.executor import DaskExecutor, quiet
from evaluator.cluster.worker import CONFIGURATION
from evaluator.contract.work import GIB
from evaluator.rounds import executors
from evaluator.rounds.executors import Executor, LocalExecutor, LostError, Place
from scripts import machine

ROOT = Path(__file__).resolve().parent.parent
LARGE = 141_021
JOB_SECONDS, PARTS_SECONDS = 60.0, 120.0
TASKS = 1000
WORKERS = 4
RESIDUES = "ACDEFGHIKLMNPQRSTVWY"
# One core for so many seconds per 141,021 rows; nothing but the rows decides how long.
PREDICT = """
    import csv, os, time
    rows = list(csv.DictReader(open(os.environ["INPUT"])))
    until = time.process_time() + {seconds} * len(rows) / 141021
    while time.process_time() < until:
        pass
    with open(os.environ["OUTPUT"], "w") as target:
        target.write("sequence_id,prediction,score\\n")
        for row in rows:
            score = row["sequence"].count("R") / len(row["sequence"])
            target.write(f"{{row['sequence_id']}},{{int(score > 0.05)}},{{score!r}}\\n")
"""


# --- beside a bare `docker run` ---------------------------------------------------------------------------------------


def _image(name: str, seconds: float) -> str:
    client = machine.engine()
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "predict.py").write_text(textwrap.dedent(PREDICT.format(seconds=seconds)))
        dockerfile = f'FROM {machine.base_image(client)}\nCOPY predict.py /\nCMD ["python3", "/predict.py"]\n'
        (Path(folder) / "Dockerfile").write_text(dockerfile)
        client.images.build(path=folder, tag=f"apb/bench-{name}:1", rm=True, forcerm=True)
    return f"apb/bench-{name}:1"


def _benchmark(root: Path, rows: int, image: str, **track: object) -> None:
    """A benchmark of one entry and one track with so many rows."""
    rng = random.Random(0)  # noqa: S311
    (root / "test_data" / "tracks").mkdir(parents=True)
    (root / "submissions").mkdir()
    hidden = root / "hidden" / "rows"
    hidden.mkdir(parents=True)
    sequences = "".join(f"s{k},{''.join(rng.choices(RESIDUES, k=120))}\n" for k in range(rows))
    files = {
        "sequences": f"sequence_id,sequence\n{sequences}",
        "labels": "sequence_id,label\n" + "".join(f"s{k},{k % 2}\n" for k in range(rows)),
    }
    for kind, text in files.items():
        (hidden / f"{kind}.csv").write_text(text)
    described = {
        **yaml.safe_load((ROOT / "test_data" / "tracks" / "smoke.yaml").read_text()), "id": "rows", "n": rows,
        "purpose": "benchmark", "classes": {"negative": rows - rows // 2, "positive": rows // 2},
        "sha256": {kind: hashlib.sha256(text.encode()).hexdigest() for kind, text in files.items()}, **track,
    }  # fmt: skip
    (root / "test_data" / "tracks" / "rows.yaml").write_text(yaml.safe_dump(described))
    resources = "{memory_gb: 2, timeout_minutes: 30}"
    (root / "submissions" / "entry.yaml").write_text(
        f"name: Entry\ndocker_image: {image}\nauthor: bench\nresources: {resources}\n"
    )


def _evaluate(root: Path, *more: str) -> tuple[float, float]:
    """Seconds of the whole command, and of the containers' own runs as far as they are recorded."""
    for path in (root / ".apb" / "predictions", root / "leaderboard" / "results" / "entry" / "rows.json"):
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
    command = [sys.executable, "-m", "evaluator", "--root", str(root), "evaluate", "--hidden", str(root / "hidden")]
    begun = time.monotonic()
    done = subprocess.run([*command, *more], capture_output=True, text=True, check=False)
    taken = time.monotonic() - begun
    if done.returncode:
        raise RuntimeError(done.stderr)
    last = json.loads((root / ".apb" / "ledger.jsonl").read_text().splitlines()[-1])
    return taken, float(last["seconds"])


def _bare(root: Path, image: str) -> float:
    """The same image on the same data, by `docker run` alone."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o777)
        command = [
            "docker", "run", "--rm", "--network", "none", "-e", "INPUT=/data/sequences.csv",
            "-e", "OUTPUT=/output/predictions.csv", "-v", f"{root}/hidden/rows:/data:ro", "-v", f"{folder}:/output",
            image,
        ]  # fmt: skip
        begun = time.monotonic()
        subprocess.run(command, check=True)
        return time.monotonic() - begun


def overhead(work: Path) -> tuple[float, float]:
    """One evaluation against one bare run.

    Returns:
        Seconds that an evaluation takes whatever its rows, and seconds per row beyond.
    """
    taken = {}
    for rows, seconds, times in ((86, 0.0, 5), (LARGE, JOB_SECONDS, 1)):
        root, image = work / f"rows-{rows}", _image(f"{rows}", seconds)
        _benchmark(root, rows, image)
        found = [(_evaluate(root)[0], _bare(root, image)) for _ in range(times)]
        ours, bare = (statistics.median(values) for values in zip(*found, strict=True))
        taken[rows] = ours
        print(
            f"one evaluation of {rows:,} rows, audit and all: {ours:.2f} s, docker run {bare:.2f} s: "
            f"{ours - bare:+.2f} s, {ours / bare:.2f}x (bar {'1.5 s' if rows == 86 else '1.15x'})"
        )
    return taken[86], (taken[LARGE] - taken[86]) / LARGE


def in_parts(work: Path) -> None:
    """A large entry on one worker and on two."""
    root, image = work / "parts", _image("parts", PARTS_SECONDS)
    _benchmark(root, LARGE, image, shards=2)
    whole, _ = _evaluate(root, "--executor", "dask", "--workers", "1")  # this run's audit allows parts in the next
    record = root / "leaderboard" / "results" / "entry" / "rows.json"
    kept = record.read_text()
    elsewhere = {**json.loads(kept), "track": "other"}
    (root / "leaderboard" / "results" / "entry" / "other.json").write_text(json.dumps(elsewhere))
    split, _ = _evaluate(root, "--executor", "dask", "--workers", "2")
    same = all(
        json.loads(kept)[key] == json.loads(record.read_text())[key] for key in ("metrics", "confusion", "curves")
    )
    print(
        f"{LARGE:,} rows on one worker {whole:.1f} s, in two parts on two {split:.1f} s: {whole / split:.2f}x "
        f"(bar 1.8x); the same scores: {same}"
    )


# --- many small tasks -------------------------------------------------------------------------------------------------


@dataclass(eq=False)
class Job:
    """A task of the benchmark."""

    name: str
    memory: int = 1
    gpus: int = 0
    seconds: float = 1.0
    work: float = 0.0


def nothing(name: str) -> str:
    """What a stub runner does."""
    return name


def many(work: Path) -> None:
    """1,000 tasks that do nothing, through both executors."""

    def seconds(engine: Executor[Job, str]) -> float:
        jobs = [Job(str(k)) for k in range(TASKS)]
        begun = time.monotonic()
        outcomes = [outcome for _, outcome in executors.run(jobs, engine)]
        taken = time.monotonic() - begun
        if sorted(map(str, outcomes)) != sorted(str(k) for k in range(TASKS)):
            raise RuntimeError("tasks were lost")
        return taken

    local: LocalExecutor[Job, str] = LocalExecutor(
        lambda job: nothing(job.name), jobs=WORKERS, memory=8 * GIB, gpus=0, halt=threading.Event()
    )
    print(f"{TASKS:,} tasks that do nothing: local {seconds(local) / TASKS * 1000:.2f} ms each (bar 5 ms)")
    quiet()
    begun = time.monotonic()
    (work / "many").mkdir()
    with dask.config.set(CONFIGURATION), fleet.own_cluster(work / "many", WORKERS) as (client, _):
        started = time.monotonic() - begun
        remote: DaskExecutor[Job, str, str] = DaskExecutor(client, nothing, lambda job: job.name)
        taken = seconds(remote)
    print(f"  dask, {WORKERS} workers over TLS {taken / TASKS * 1000:.2f} ms each (bar 5 ms), up in {started:.1f} s")


# --- a cluster that we do not have ------------------------------------------------------------------------------------

ENTRIES, GPUS = 1000, 32
TRACKS = {"jain": 86, "shehata": 398, "vhh48": 48, "harvey": LARGE}
SPREAD = 0.7
"""How much entries differ in their seconds per row: standard deviation of the logarithm."""
LOSSES, BROKEN, RETURN = 0.02, 0.05, 25.0
"""Share of runs whose worker is lost, of entries that fail half-way, and seconds until a lost worker is replaced."""


@dataclass
class Simulated:
    """Workers in a time of their own: the loop is the real one, only waiting takes no time."""

    count: int
    rng: random.Random
    heartbeat: float | None = 0.0
    now: float = 0.0
    useful: float = 0.0
    lost: int = 0
    _ends: list[tuple[float, int, str, Callable[[], None]]] = field(default_factory=list)
    _away: dict[str, float] = field(default_factory=dict)
    _number: int = 0

    def places(self) -> Mapping[str, Place]:
        """All that are up, after the next thing has happened."""
        if self._ends:
            self.now, _, _, happen = heapq.heappop(self._ends)
            happen()
        up = [name for name in map(str, range(self.count)) if self._away.get(name, 0.0) <= self.now]
        return {name: Place(name, 64 * GIB, 1) for name in up}

    def prospects(self) -> Collection[Place]:
        """A lost worker is replaced."""
        return [Place("", 64 * GIB, 1)]

    def dismiss(self, place: str) -> None:
        """None goes away."""

    def submit(self, task: Job, place: str) -> Future[float]:
        """It ends when its time has come, or is lost on the way."""
        future: Future[float] = Future()
        if self.rng.random() < LOSSES:
            self._after(self.rng.random() * task.work, place, lambda: self._lose(place, future))
        else:
            self.useful += task.work
            self._after(task.work, place, lambda: future.set_result(task.work))
        return future

    def _lose(self, place: str, future: Future[float]) -> None:
        self.lost += 1
        self._away[place] = self.now + RETURN
        self._after(RETURN, place, lambda: None)
        future.set_exception(LostError("died"))

    def _after(self, seconds: float, place: str, happen: Callable[[], None]) -> None:
        self._number += 1
        heapq.heappush(self._ends, (self.now + seconds, self._number, place, happen))

    def stop(self) -> None:
        """Nothing runs."""


def simulate(seed: int, start: float, per_row: float, *, known: bool) -> tuple[float, int, int]:
    """Makespan over the lower bound, tasks that have an outcome, and workers lost.

    Args:
        start: seconds that every run takes, measured.
        per_row: seconds per row of a middling entry, measured.
        known: whether it is known from an earlier round, within a fifth, how long each task takes; else only its rows.
    """
    rng = random.Random(seed)  # noqa: S311
    jobs, expected = [], {}
    for entry in range(ENTRIES):
        pace, broken = per_row * rng.lognormvariate(0, SPREAD), rng.random() < BROKEN
        for track, rows in TRACKS.items():
            work = (start + rows * pace) * (0.5 if broken else 1.0)
            jobs.append(Job(f"{entry} on {track}", 16 * GIB, 1, 7200.0, work))
            expected[jobs[-1]] = work * rng.uniform(0.8, 1.2) if known else rows
    jobs.sort(key=lambda job: expected[job], reverse=True)
    engine = Simulated(GPUS, rng)
    done = sum(1 for _ in executors.run(jobs, engine))
    return engine.now / (engine.useful / GPUS), done, engine.lost


def simulation(start: float, per_row: float) -> None:
    """Ten rounds of 1,000 entries on 32 GPUs, with failures, of tasks that take what was measured here."""
    for known in (True, False):
        found = [simulate(seed, start, per_row, known=known) for seed in range(10)]
        ratios, done, lost = zip(*found, strict=True)
        what = "times known within a fifth" if known else "times unknown, only rows"
        print(
            f"simulated, {ENTRIES:,} entries x {len(TRACKS)} tracks on {GPUS} GPUs, {what}: makespan {max(ratios):.3f}x"
            f" the lower bound at worst of {len(found)} (bar 1.10x), {sum(done):,} of "
            f"{len(found) * ENTRIES * len(TRACKS):,} tasks done, {sum(lost):,} workers lost"
        )


def main() -> None:
    """Print the lines."""
    with tempfile.TemporaryDirectory() as folder:
        many(Path(folder))
        measured = overhead(Path(folder))
        in_parts(Path(folder))
    simulation(*measured)


if __name__ == "__main__":
    main()
