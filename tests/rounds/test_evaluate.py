"""The main job on a real engine: whatever an image does is recorded with its code, and hurts nobody else."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import stat
import subprocess
import time
from pathlib import Path
from typing import Any

import docker
import pytest
import yaml

from evaluator.scoring.scorer import SCORER_VERSION
from tests.conftest import HONEST, Build, Workspace, leftovers

BAD = {
    "exits-three": ("import sys; sys.exit(3)", "EXIT_NONZERO"),
    "hangs": ("import time; time.sleep(600)", "TIMEOUT"),
    "writes-nothing": ("print('done')", "NO_OUTPUT"),
    "writes-garbage": ("open('/output/predictions.csv', 'wb').write(bytes(range(1, 256)) * 50)", "BAD_FORMAT:ENCODING"),
    "forgets-a-row": (
        HONEST + "\n    lines = open('/output/predictions.csv').readlines()\n"
        "    open('/output/predictions.csv', 'w').writelines(lines[:-1])\n",
        "BAD_FORMAT:MISSING_ID",
    ),
    "eats-memory": ("x = []\nwhile True: x.append(bytearray(10**7))", "OUT_OF_MEMORY"),
}
SMALL = "{memory_gb: 0.25, timeout_minutes: 0.1}"


def record(workspace: Workspace, name: str, track: str = "smoke") -> dict[str, Any]:
    content: dict[str, Any] = json.loads((workspace.results / name / f"{track}.json").read_text())
    return content


@pytest.fixture(scope="module")
def honest(build: Build) -> str:
    return build("honest", HONEST)


@pytest.fixture(scope="module")
def slow(build: Build) -> str:
    return build("slow", "import time; time.sleep(3)\n" + HONEST.replace("\n    ", "\n"))


def test_every_failure_has_its_code_and_harms_nobody(
    engine: docker.DockerClient, build: Build, honest: str, workspace: Workspace
) -> None:
    workspace.submit("honest", honest, resources=SMALL)
    for name, (predict, _) in BAD.items():
        workspace.submit(name, build(name, predict), resources=SMALL)

    done = workspace.evaluate("--jobs", "2", "--json")

    assert done.returncode == 0, done.stderr
    for name, (_, code) in BAD.items():
        assert record(workspace, name)["failure"] == code
        assert record(workspace, name)["status"] == "failed"
        assert record(workspace, name)["metrics"] == {}
    assert record(workspace, "honest")["status"] == "ok"
    summary = json.loads(done.stdout)
    assert summary["scored"] == ["honest on smoke"]
    assert len(summary["failed"]) == len(BAD)
    assert leftovers(engine) == []

    again = json.loads(workspace.evaluate("--json").stdout)
    assert again["scored"] == [] and again["failed"] == {}
    assert len(again["unchanged"]) == len(BAD) + 1

    build("writes-nothing", HONEST + "\n    print('mended')\n")  # its author mends it: the same tag, another image
    mended = json.loads(workspace.evaluate("--json").stdout)
    assert mended["scored"] == ["writes-nothing on smoke"]
    assert len(mended["unchanged"]) == len(BAD)


def test_a_record_holds_what_a_reader_needs(honest: str, workspace: Workspace) -> None:
    workspace.submit("honest", honest)
    workspace.evaluate()
    found = record(workspace, "honest")

    assert found["n"] == 60
    assert sum(found["confusion"].values()) == 60
    assert 0 <= found["metrics"]["roc_auc"]["value"] <= 1
    assert set(found["metrics"]["accuracy"]) == {"value", "low", "high", "reason"}
    assert found["image"]["digest"].startswith("sha256:")
    assert found["sandbox"] == "docker"
    assert found["curves"]["roc"]["tpr"][-1] == 1
    ids = [line.split(",")[0] for line in (workspace.root / "test_data/smoke/labels.csv").read_text().splitlines()[1:]]
    public = (workspace.results / "honest" / "smoke.json").read_text()
    assert not any(i in public for i in ids)


def test_the_container_sees_its_input_and_nothing_else(build: Build, workspace: Workspace) -> None:
    spy = build(
        "spy",
        """
        import os, subprocess
        print("DATA", sorted(os.listdir("/data")))
        print("HEAD", open("/data/sequences.csv").read(200))
        print("ENV", os.environ["INPUT"], os.environ["OUTPUT"], os.environ["HOME"], os.getuid(), os.getgid())
        print("NET", sorted(os.listdir("/sys/class/net")))
        for path in ("/data/x", "/x", "/etc/x"):
            try:
                open(path, "w")
            except OSError as error:
                print("DENIED", path, error.errno)
        open("/tmp/x", "w")
        """,
    )
    workspace.submit("spy", spy)
    workspace.evaluate()
    log = workspace.state / "logs" / "spy" / "smoke.log"
    said = log.read_text()

    assert "DATA ['sequences.csv']" in said
    assert "HEAD sequence_id,sequence\n" in said
    assert "synthetic_" not in said  # the ids are opaque
    assert "ENV /data/sequences.csv /output/predictions.csv /tmp 65532 65532" in said
    assert "NET ['lo']" in said
    assert said.count("DENIED") == 3
    assert stat.S_IMODE(log.stat().st_mode) == 0o600


def test_ids_and_order_are_fresh_for_every_run(build: Build, workspace: Workspace) -> None:
    show = build("show", "print(open('/data/sequences.csv').read())")
    workspace.submit("show", show)
    logs = []
    for _ in range(2):
        workspace.evaluate("--force")
        logs.append((workspace.state / "logs" / "show" / "smoke.log").read_text().split("\n", 1)[1])
    first, second = ([line.split(",") for line in log.split()] for log in logs)
    assert not {i for i, _ in first} & {i for i, _ in second}
    assert [s for _, s in first] != [s for _, s in second]
    assert sorted(s for _, s in first) == sorted(s for _, s in second)


def test_killed_in_mid_run_it_goes_on_where_it_stopped(
    engine: docker.DockerClient, honest: str, slow: str, workspace: Workspace
) -> None:
    workspace.submit("a-honest", honest)
    workspace.submit("b-slow", slow)
    process = subprocess.Popen(workspace.command("evaluate", *workspace.on_smoke()), cwd=workspace.root)
    deadline = time.monotonic() + 60
    while not ((workspace.results / "a-honest" / "smoke.json").exists() and len(leftovers(engine)) >= 3):
        assert time.monotonic() < deadline, "the second run never began"
        time.sleep(0.02)
    process.kill()
    process.wait()
    assert leftovers(engine) != []
    assert not (workspace.results / "b-slow").exists()

    done = workspace.evaluate("--json")

    assert done.returncode == 0, done.stderr
    summary = json.loads(done.stdout)
    assert summary["reaped"] >= 3
    assert summary["scored"] == ["b-slow on smoke"]
    assert summary["unchanged"] == ["a-honest on smoke"]
    assert leftovers(engine) == []
    assert list(workspace.results.rglob("*.tmp")) == []
    assert list((workspace.state / "runs").glob("*")) == []


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_stopped_by_hand_it_leaves_no_container(
    engine: docker.DockerClient, build: Build, workspace: Workspace, how: signal.Signals
) -> None:
    workspace.submit("hangs", build("hangs", BAD["hangs"][0]))
    process = subprocess.Popen(
        workspace.command("evaluate", *workspace.on_smoke()), cwd=workspace.root, stderr=subprocess.PIPE, text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509 - background jobs ignore it
    )  # fmt: skip
    try:
        deadline = time.monotonic() + 60
        while len(leftovers(engine)) < 3:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        process.send_signal(how)
        assert process.wait(timeout=5) in (130, 143)
        assert leftovers(engine) == []
    finally:
        process.kill()
    assert not (workspace.results / "hangs").exists()


def test_a_second_evaluate_on_the_same_state_is_refused(slow: str, workspace: Workspace) -> None:
    workspace.submit("slow", slow)
    first = subprocess.Popen(workspace.command("evaluate", *workspace.on_smoke()), cwd=workspace.root)
    while not (workspace.state / "runs").exists():
        time.sleep(0.02)
    second = workspace.evaluate()
    assert second.returncode == 3
    assert f"Process {first.pid} is using" in second.stderr
    assert first.wait(timeout=300) == 0
    assert record(workspace, "slow")["status"] == "ok"


def test_changed_hidden_data_are_refused(honest: str, workspace: Workspace) -> None:
    workspace.submit("honest", honest)
    labels = workspace.root / "test_data" / "smoke" / "labels.csv"
    labels.write_text(labels.read_text().replace("synthetic_0001,0", "synthetic_0001,1"))
    done = workspace.evaluate()
    assert done.returncode == 3
    assert "labels.csv" in done.stderr
    assert not workspace.results.exists()


def test_a_track_without_data_is_told_and_passed_over(honest: str, workspace: Workspace) -> None:
    workspace.submit("honest", honest)
    done = workspace.apb("evaluate", "--hidden", str(workspace.root / "test_data"), "--tracks", "harvey,smoke")
    assert done.returncode == 0
    assert "no data for harvey" in done.stderr
    assert record(workspace, "honest")["status"] == "ok"


def test_one_broken_submission_file_does_not_stop_the_others(honest: str, workspace: Workspace) -> None:
    workspace.submit("honest", honest)
    (workspace.root / "submissions" / "broken.yaml").write_text("name: [")
    done = workspace.evaluate()
    assert done.returncode == 0
    assert "broken" in done.stdout and "YAML_SYNTAX" in done.stdout
    assert record(workspace, "honest")["status"] == "ok"


def test_an_image_that_was_not_built_is_our_fault(honest: str, workspace: Workspace) -> None:
    workspace.submit("honest", honest)
    workspace.submit("unbuilt", "apb/never-built:1")
    done = workspace.evaluate()
    assert done.returncode == 3
    assert record(workspace, "honest")["status"] == "ok"
    assert not (workspace.results / "unbuilt").exists()


def test_no_engine_is_our_fault(workspace: Workspace) -> None:
    workspace.submit("honest", "apb/test-honest:1")
    environment = {**os.environ, "DOCKER_HOST": f"unix://{workspace.root}/nothing.sock"}
    done = subprocess.run(
        workspace.command("evaluate", *workspace.on_smoke()),
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 3
    assert "No Docker engine answers" in done.stderr
    assert not workspace.results.exists()


def test_kept_predictions_are_scored_again_without_a_run(honest: str, workspace: Workspace) -> None:
    workspace.submit("honest", honest)
    workspace.evaluate()
    path = workspace.results / "honest" / "smoke.json"
    before = json.loads(path.read_text())
    path.write_text(json.dumps({**before, "scorer": "0", "metrics": {}}))
    summary = json.loads(workspace.evaluate("--json").stdout)
    assert summary["rescored"] == ["honest on smoke"] and summary["scored"] == []
    assert record(workspace, "honest")["metrics"] == before["metrics"]
    table = Path(summary["rescoring"]).read_text()
    assert f"Scorer 0 -> {SCORER_VERSION}" in table
    assert f"| honest | smoke | ROC-AUC | none | {before['metrics']['roc_auc']['value']:.6f} |" in table
    kinds = [json.loads(line)["kind"] for line in (workspace.results / "history.jsonl").read_text().splitlines()]
    assert kinds == ["new", "rescored"]


def test_every_entry_is_held_against_net_charge(honest: str, build: Build, workspace: Workspace) -> None:
    workspace.submit("net-charge", honest)
    workspace.submit("lysines", build("lysines", HONEST.replace('"R"', '"K"')))
    assert workspace.evaluate().returncode == 0
    entries = json.loads((workspace.results / "smoke.standings.json").read_text())["entries"]
    assert entries["net-charge"]["to_floor"] is None
    found = entries["lysines"]["to_floor"]
    values = {name: record(workspace, name)["metrics"]["roc_auc"]["value"] for name in entries}
    assert found["value"] == pytest.approx(values["lysines"] - values["net-charge"])
    assert found["low"] < found["value"] < found["high"]
    assert workspace.apb("publish").returncode == 0
    page = (workspace.root / "leaderboard" / "site" / "tracks" / "smoke" / "index.html").read_text()
    assert "Δ to charge" in page and f"{found['value']:+.3f}" in page


def test_another_level_scores_again_and_a_second_round_changes_nothing(honest: str, workspace: Workspace) -> None:
    workspace.submit("honest", honest)
    workspace.evaluate()
    before = record(workspace, "honest")["metrics"]["roc_auc"]
    (workspace.root / "pyproject.toml").write_text("[tool.apb]\nlevel = 0.8\n")
    assert json.loads(workspace.evaluate("--json").stdout)["rescored"] == ["honest on smoke"]
    after = record(workspace, "honest")
    assert after["level"] == 0.8
    assert before["low"] < after["metrics"]["roc_auc"]["low"] < after["metrics"]["roc_auc"]["high"] < before["high"]
    assert json.loads(workspace.evaluate("--json").stdout)["unchanged"] == ["honest on smoke"]


def test_families_widen_the_intervals(honest: str, workspace: Workspace) -> None:
    """The rows of the smoke track, each with the next one as its family."""
    workspace.submit("honest", honest)
    workspace.evaluate()
    alone = record(workspace, "honest")["metrics"]
    labels = workspace.root / "test_data" / "smoke" / "labels.csv"
    header, *rows = labels.read_text().splitlines()
    labels.write_text("\n".join([f"{header},family", *(f"{r},f{i // 6}" for i, r in enumerate(rows))]) + "\n")
    track = workspace.root / "test_data" / "tracks" / "smoke.yaml"
    text = track.read_text()
    old = yaml.safe_load(text)["sha256"]["labels"]
    new = hashlib.sha256(labels.read_bytes()).hexdigest()
    track.write_text(text.replace(old, new) + "families: six rows in a row\n")
    assert json.loads(workspace.evaluate("--json").stdout)["rescored"] == ["honest on smoke"]
    after = record(workspace, "honest")
    assert after["families"] == 10
    assert {k: v["value"] for k, v in after["metrics"].items()} == {k: v["value"] for k, v in alone.items()}
    wider = [v["high"] - v["low"] >= alone[k]["high"] - alone[k]["low"] - 1e-12 for k, v in after["metrics"].items()]
    assert all(wider)
    standings = json.loads((workspace.results / "smoke.standings.json").read_text())
    assert standings["families"] == 10


def test_regression_tracks_are_ranked_and_pairs_are_told(build: Build, honest: str, workspace: Workspace) -> None:
    workspace.submit("by-r", honest)
    workspace.submit("by-k", build("by-k", HONEST.replace('count("R")', 'count("K")')))
    constant = HONEST.replace('row["sequence"].count("R") / len(row["sequence"])', "0.5")
    workspace.submit("constant", build("constant", constant))
    workspace.apb("evaluate", "--hidden", str(workspace.root / "test_data"), "--tracks", "smoke-vhh")
    assert record(workspace, "constant", "smoke-vhh")["metrics"]["spearman"]["value"] is None  # and so it has no rank
    standings = json.loads((workspace.results / "smoke-vhh.standings.json").read_text())
    assert standings["metric"] == "spearman"
    assert set(standings["entries"]) == {"by-r", "by-k"}
    pairs = json.loads((workspace.results / "smoke-vhh.pairs.json").read_text())
    values = {n: record(workspace, n, "smoke-vhh")["metrics"]["spearman"]["value"] for n in ("by-r", "by-k")}
    assert pairs["submissions"] == sorted(values, key=lambda n: -values[n])
    assert pairs["value"] == pytest.approx(sorted(values.values(), reverse=True))
    assert [len(row) for row in pairs["deviation"]] == [0, 1]


def test_regression_tracks_take_the_score_alone(build: Build, honest: str, workspace: Workspace) -> None:
    only_score = HONEST.replace("sequence_id,prediction,score", "sequence_id,score").replace(
        "{int(score > 0.05)},{score!r}", "{score * 1000}"
    )
    workspace.submit("only-score", build("only-score", only_score))
    workspace.submit("honest", honest)
    workspace.apb("evaluate", "--hidden", str(workspace.root / "test_data"), "--tracks", "smoke-vhh")
    a, b = (record(workspace, name, "smoke-vhh")["metrics"]["spearman"]["value"] for name in ("only-score", "honest"))
    assert a == pytest.approx(b, abs=1e-12)


def test_honest_entries_score_the_same_in_a_crowd(build: Build, workspace: Workspace) -> None:
    for i in range(6):
        image = build(f"crowd-{i}", HONEST.replace('count("R")', f'count("{"RKDEWY"[i]}")'))
        workspace.submit(f"crowd-{i}", image, resources=SMALL)
    alone = []
    for i in range(6):
        workspace.evaluate(f"crowd-{i}")
        alone.append(record(workspace, f"crowd-{i}")["metrics"])
    for name in ("eats-memory", "exits-three"):
        workspace.submit(name, build(name, BAD[name][0]), resources=SMALL)
    workspace.evaluate("--force", "--jobs", "4")
    assert [record(workspace, f"crowd-{i}")["metrics"] for i in range(6)] == alone


def test_temporary_inputs_are_gone_and_private_state_is_private(honest: str, workspace: Workspace) -> None:
    workspace.submit("honest", honest)
    workspace.evaluate()
    assert list((workspace.state / "runs").glob("*")) == []
    assert stat.S_IMODE(workspace.state.stat().st_mode) == 0o700
    kept: list[Path] = list((workspace.state / "predictions").glob("*.npz"))
    assert len(kept) == 1
    assert stat.S_IMODE(kept[0].stat().st_mode) == 0o600
    assert len((workspace.state / "ledger.jsonl").read_text().splitlines()) == 1


@pytest.mark.parametrize(
    ("dockerfile", "code"),
    [
        ('VOLUME /\nCMD ["true"]\n', "IMAGE_VOLUME"),
        ('VOLUME /proc/x\nCMD ["true"]\n', "IMAGE_VOLUME"),
        ('VOLUME /data/../dev\nCMD ["true"]\n', "IMAGE_VOLUME"),
        ('RUN rm -rf /data && touch /data\nCMD ["true"]\n', ("IMAGE_CONFIG", "IMAGE_COMMAND")),
        ('RUN rm -rf /tmp && touch /tmp\nCMD ["true"]\n', ("IMAGE_CONFIG", "IMAGE_COMMAND")),
        ('RUN ln -s /etc /output\nCMD ["true"]\n', "NO_OUTPUT"),
        ('CMD ["/no/such/program"]\n', "IMAGE_COMMAND"),
        ('CMD ["/etc/passwd"]\n', "IMAGE_COMMAND"),
        ('CMD ["false"]\n', "EXIT_NONZERO"),
    ],
)
def test_a_strange_image_is_its_authors_fault(
    engine: docker.DockerClient, build: Build, workspace: Workspace, dockerfile: str, code: str | tuple[str, ...]
) -> None:
    workspace.submit("strange", build("strange", "", dockerfile), resources=SMALL)
    done = workspace.evaluate()
    assert done.returncode == 0, done.stderr
    assert record(workspace, "strange")["failure"] in ([code] if isinstance(code, str) else code)
    assert leftovers(engine) == []


def test_what_scores_allow_for_is_scored_again_without_a_run(honest: str, workspace: Workspace) -> None:
    """Another rule of families, and a training set that is compared: kept predictions are scored again."""
    workspace.submit("honest", honest, training_data="[boughter, oas]")
    workspace.evaluate()
    before = record(workspace, "honest")
    assert before["basis"] and before["unrelated"]["unknown"] == ["boughter", "oas"]  # not compared with smoke
    rows = (workspace.root / "test_data" / "smoke" / "sequences.csv").read_text().splitlines()
    (workspace.root / "few.csv").write_text("\n".join(rows[:6]) + "\n")
    done = workspace.apb("overlap", "--train", "few.csv", *workspace.on_smoke(), "--write", "boughter")
    assert done.returncode == 0, done.stderr
    assert json.loads(workspace.evaluate("--json").stdout)["rescored"] == ["honest on smoke"]
    after = record(workspace, "honest")
    assert after["metrics"] == before["metrics"] and after["run_key"] == before["run_key"]
    assert after["unrelated"]["sets"] == {"boughter": 60 - after["unrelated"]["rows"]}
    assert after["unrelated"]["unknown"] == ["oas"] and after["unrelated"]["value"]["low"] is not None
    track = workspace.root / "test_data" / "tracks" / "smoke.yaml"
    track.write_text(track.read_text() + "families: vh-complete-linkage-0.90 v1\n")
    assert json.loads(workspace.evaluate("--json").stdout)["rescored"] == ["honest on smoke"]
    families = json.loads(workspace.apb("families", "smoke", "--hidden", "test_data", "--json").stdout)["count"]
    assert record(workspace, "honest")["families"] == families
    assert json.loads(workspace.evaluate("--json").stdout)["unchanged"] == ["honest on smoke"]
