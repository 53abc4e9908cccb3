"""Few-shot tracks on a real engine: what a run shows is used, what fails is told once, what is done is kept."""

from __future__ import annotations

import json
import subprocess
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import docker
import pytest
import yaml

from evaluator.cluster.fleet import sequences_of
from evaluator.contract.episodes import EpisodeSequences
from evaluator.contract.labels import find_data
from evaluator.contract.references import Image
from evaluator.contract.submissions import Submission
from evaluator.contract.tracks import load_all
from evaluator.contract.work import Limits
from evaluator.rounds.task import Task
from evaluator.store.results import Results
from tests.conftest import ROOT, Build, Workspace, leftovers

NEAREST = """
    import csv, os, pathlib
    data = pathlib.Path(os.environ["INPUT"]).parent
    assert os.environ["TASK"] == "few_shot"
    assert sorted(os.listdir(data)) == ["sequences.csv", "support.csv", "tasks.csv"]
    read = lambda name: list(csv.DictReader(open(data / name)))
    support = read("support.csv")
    def near(a, b):
        return sum(x == y for x, y in zip(a, b))
    with open(os.environ["OUTPUT"], "w") as target:
        target.write("sequence_id,score\\n")
        for row in read("sequences.csv"):
            mine = [s for s in support if s["task_id"] == row["task_id"]]
            weights = [2.0 ** (near(row["sequence"], s["sequence"]) - 125) for s in mine]
            score = sum(w * float(s["target"]) for w, s in zip(weights, mine)) / sum(weights) if mine else 0.0
            target.write(f"{row['sequence_id']},{score!r}\\n")
"""
ZERO_SHOT = """
    import csv, os
    with open(os.environ["OUTPUT"], "w") as target:
        target.write("sequence_id,prediction,score\\n")
        for row in csv.DictReader(open(os.environ["INPUT"])):
            target.write(f"{row['sequence_id']},1,{row['sequence'].count('R') / 200!r}\\n")
"""
FORGETS_AT_16 = NEAREST.replace(
    "if mine else 0.0", "if mine else 0.0\n            if mine and row['sequence'][-1]: continue"
)
LOOKS_AROUND = (
    ZERO_SHOT.replace("for row in csv", "rows = list(csv")
    .replace('(open(os.environ["INPUT"])):', '(open(os.environ["INPUT"])))\n        for row in rows:')
    .replace("/ 200!r", "/ len(rows)!r")
)


@pytest.fixture
def landscape(workspace: Workspace) -> Workspace:
    """The practice landscape with more replicates and canaries."""
    path = workspace.root / "test_data" / "tracks" / "smoke-landscape.yaml"
    content = yaml.safe_load(path.read_text())
    content["few_shot"] |= {"replicates": 2, "canaries": 1, "reference": "zero"}
    path.write_text(yaml.safe_dump(content, sort_keys=False))
    return workspace


def evaluate(workspace: Workspace, *arguments: str) -> subprocess.CompletedProcess[str]:
    return workspace.apb(
        "evaluate", "--hidden", str(workspace.root / "test_data"), "--tracks", "smoke-landscape", *arguments
    )


def record(workspace: Workspace, name: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((workspace.results / name / "smoke-landscape.json").read_text())
    return content


def submit(workspace: Workspace, name: str, image: str, mode: str = "inductive") -> Path:
    return workspace.submit(name, image, few_shot=f"{{mode: {mode}}}")


def test_a_support_is_worth_something_and_a_shuffled_one_nothing(
    engine: docker.DockerClient, build: Build, landscape: Workspace
) -> None:
    submit(landscape, "nearest", build("nearest", NEAREST))
    submit(landscape, "copy", build("nearest", NEAREST))  # of one image two runs may end at the same time
    submit(landscape, "zero", build("zero", ZERO_SHOT))
    landscape.submit("asks-for-nothing", build("zero", ZERO_SHOT))

    done = evaluate(landscape, "--json", "--jobs", "2")

    assert done.returncode == 0, done.stderr
    summary = json.loads(done.stdout)
    assert sorted(summary["scored"]) == [f"{name} on smoke-landscape" for name in ("copy", "nearest", "zero")]
    assert record(landscape, "copy")["metrics"] == record(landscape, "nearest")["metrics"]
    found = record(landscape, "nearest")
    values = {name: v["value"] for name, v in found["metrics"].items()}
    assert values["spearman_k16"] > 0.4 and values["spearman_k0"] == 0
    assert abs(values["spearman_shuffled"]) < 0.45
    assert "no interval for others" in found["metrics"]["spearman_few"]["reason"]
    assert [(t["task"], t["size"]) for t in found["tasks"]] == [("made-up", 0), ("made-up", 16)]
    assert found["flags"] == []
    standings = Results(landscape.results).standings("smoke-landscape")
    assert standings is not None
    to_reference = standings.entries["nearest"].to_floor
    assert to_reference is not None and to_reference.low is not None and to_reference.value is not None
    assert to_reference.value > 0 and standings.entries["zero"].to_floor is None
    kept = sorted(p.name for p in (landscape.state / "predictions").glob("*"))
    assert kept == sorted(f"{record(landscape, name)['run_key']}.npz" for name in ("nearest", "zero"))
    assert leftovers(engine) == []

    again = json.loads(evaluate(landscape, "--json").stdout)
    assert again["scored"] == [] and len(again["unchanged"]) == 3
    shown = landscape.apb("publish", "--out", str(landscape.root / "site"))
    assert shown.returncode == 0, shown.stderr
    page = (landscape.root / "site" / "tracks" / "smoke-landscape" / "index.html").read_text()
    assert "Is the support used?" in page and "Made-up landscape" in page
    verified = landscape.apb("verify", "--hidden", str(landscape.root / "test_data"))
    assert "the metrics of 3 records follow from their predictions" in verified.stdout, verified.stdout


def test_a_run_that_fails_ends_the_pair_once(build: Build, landscape: Workspace) -> None:
    submit(landscape, "forgets", build("forgets-at-16", FORGETS_AT_16))
    done = evaluate(landscape, "--json")
    assert json.loads(done.stdout)["failed"] == {"forgets on smoke-landscape": "BAD_FORMAT:MISSING_ID"}
    assert record(landscape, "forgets")["failure"] == "BAD_FORMAT:MISSING_ID"
    ledger = [json.loads(line) for line in (landscape.state / "ledger.jsonl").read_text().splitlines()]
    assert [line["run"] for line in ledger if line["event"] == "run"] == [
        *(f"k = 0, replicate {k}" for k in (1, 2)),
        "k = 16, replicate 1",
    ]
    assert json.loads(evaluate(landscape, "--json").stdout)["unchanged"] == ["forgets on smoke-landscape"]


def test_one_that_looks_at_other_queries_is_told_unless_it_may(build: Build, landscape: Workspace) -> None:
    submit(landscape, "looks", build("looks-around", LOOKS_AROUND))
    evaluate(landscape)
    assert record(landscape, "looks")["flags"][0].startswith("depends on the other rows")

    path = landscape.root / "test_data" / "tracks" / "smoke-landscape.yaml"
    path.write_text(path.read_text().replace("mode: inductive", "mode: transductive"))
    content = yaml.safe_load(path.read_text())
    content["few_shot"]["mode"] = "transductive"
    path.write_text(yaml.safe_dump(content, sort_keys=False))
    submit(landscape, "looks", build("looks-around", LOOKS_AROUND), "transductive")
    assert evaluate(landscape).returncode == 0
    assert record(landscape, "looks")["flags"] == []


def test_killed_between_runs_it_goes_on_with_what_is_missing(build: Build, landscape: Workspace) -> None:
    submit(
        landscape, "nearest", build("slow-nearest", "import time; time.sleep(0.3)\n" + NEAREST.replace("\n    ", "\n"))
    )
    hidden = ["--hidden", str(landscape.root / "test_data"), "--tracks", "smoke-landscape"]
    process = subprocess.Popen(landscape.command("evaluate", *hidden), cwd=landscape.root)
    kept, deadline = landscape.state / "predictions", time.monotonic() + 60
    while len(list(kept.glob("*.npz"))) < 2:
        assert time.monotonic() < deadline, "two runs never ended"
        time.sleep(0.02)
    process.kill()
    process.wait()
    before = {path.name for path in kept.glob("*.npz")}
    assert not (landscape.results / "nearest").exists()

    done = evaluate(landscape, "--json")

    assert done.returncode == 0, done.stderr
    ledger = [json.loads(line) for line in (landscape.state / "ledger.jsonl").read_text().splitlines()]
    runs = [line["run"] for line in ledger if line["event"] == "run"]
    assert len(runs) == len(set(runs)) == 5
    assert len(before) >= 2
    assert record(landscape, "nearest")["metrics"]["spearman_k16"]["value"] > 0.4


def test_workers_are_sent_what_runs_are_given_and_nothing_of_what_they_ask_for() -> None:
    tracks = load_all(ROOT / "test_data" / "tracks")
    files = find_data(tracks["smoke-panels"], ROOT / "test_data")
    assert files is not None and files.data.splits is not None
    entry = Submission(id="mine", name="m", docker_image="a/b:1", author="a", few_shot={"mode": "inductive"})  # type: ignore[arg-type]
    task = Task(entry, files, Image("a/b:1", "sha256:" + "0" * 64, None), Limits(60.0), "docker", "run")
    splits = files.data.splits
    due = [replace(task, episode=k) for k in range(len(splits.episodes))]

    sent = sequences_of(due)

    assert set(sent) == {run.work().sequences for run in due} and len(sent) == len(due)
    for run, episode in zip(due, splits.episodes, strict=True):
        given = sent[run.work().sequences]
        assert isinstance(given, EpisodeSequences)
        assert [len(shown.targets) for shown in given.tasks] == [episode.size] * len(episode.asked)
        shown = {float(target) for about in given.tasks for target in about.targets}
        asked = {
            splits.targets[splits.few_shot.tasks[one.task].queries][k] for one in episode.asked for k in one.queries
        }
        assert not shown & asked


def test_a_mode_is_part_of_what_was_run(landscape: Workspace) -> None:
    path = landscape.root / "test_data" / "tracks" / "smoke-landscape.yaml"
    content = yaml.safe_load(path.read_text())
    content["few_shot"]["mode"] = "transductive"
    path.write_text(yaml.safe_dump(content, sort_keys=False))
    files = find_data(load_all(path.parent)["smoke-landscape"], landscape.root / "test_data")
    assert files is not None
    keys = set()
    for mode in ("inductive", "transductive"):
        entry = Submission(id="mine", name="m", docker_image="a/b:1", author="a", few_shot={"mode": mode})  # type: ignore[arg-type]
        keys.add(Task(entry, files, Image("a/b:1", "sha256:" + "0" * 64, None), Limits(60.0), "docker", "run").run_key)
    assert len(keys) == 2


def test_a_title_decides_nothing(landscape: Workspace) -> None:
    path = landscape.root / "test_data" / "tracks" / "smoke-landscape.yaml"
    keys = set()
    for title in ("Made-up landscape", "Another title"):
        path.write_text(path.read_text().replace("Made-up landscape", title))
        files = find_data(load_all(path.parent)["smoke-landscape"], landscape.root / "test_data")
        assert files is not None
        keys.add(files.given_sha256)
    assert len(keys) == 1
