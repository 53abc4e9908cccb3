"""Every command explains itself, and its exit status says whose fault it was."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT, Workspace

COMMANDS = ["new", "check", "evaluate", "score", "publish", "doctor"]


@pytest.mark.parametrize("command", COMMANDS)
def test_help_has_an_example(workspace: Workspace, command: str) -> None:
    done = workspace.apb(command, "--help")
    assert done.returncode == 0
    assert "Examples:" in done.stdout
    assert f"apb {command}" in done.stdout.split("Examples:")[1]


@pytest.mark.parametrize(
    "arguments", [["nonsense"], ["score"], ["evaluate"], ["evaluate", "--jobs", "0", "--hidden", "x"]]
)
def test_wrong_usage_exits_two(workspace: Workspace, arguments: list[str]) -> None:
    assert workspace.apb(*arguments).returncode == 2


def test_score_reads_gz_and_prints_json(workspace: Workspace) -> None:
    labels = workspace.root / "test_data" / "smoke" / "labels.csv"
    rows = [line.split(",") for line in labels.read_text().splitlines()[1:]]
    predictions = workspace.root / "p.csv"
    predictions.write_text("sequence_id,prediction,score\n" + "".join(f"{i},{y},0.{y}5\n" for i, y in rows))
    subprocess.run(["gzip", "-k", str(predictions)], check=True)
    for name in ("p.csv", "p.csv.gz"):
        done = workspace.apb("score", str(workspace.root / name), "--labels", str(labels), "--json")
        assert done.returncode == 0
        assert '"roc_auc": {\n   "value": 1.0' in done.stdout


def test_score_tells_whose_fault_it_is(workspace: Workspace) -> None:
    labels = str(workspace.root / "test_data" / "smoke" / "labels.csv")
    bad = workspace.root / "bad.csv"
    bad.write_text("sequence_id;prediction;score\n")
    theirs = workspace.apb("score", str(bad), "--labels", labels)
    assert theirs.returncode == 1 and "DELIMITER" in theirs.stderr
    assert workspace.apb("score", str(workspace.root / "none.csv"), "--labels", labels).returncode == 1
    ours = workspace.apb("score", str(bad), "--labels", str(workspace.root / "none.csv"))
    assert ours.returncode == 3 and "none.csv" in ours.stderr


def test_outside_a_benchmark_the_installed_one_is_used(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "evaluator", "check"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "0 .yaml files" in done.stderr


def test_settings_are_checked(workspace: Workspace) -> None:
    (workspace.root / "pyproject.toml").write_text("[tool.apb]\nmax_memory_gigs = 3\n")
    workspace.submit("entry", "docker.io/me/x:1")
    done = workspace.apb("check", "submissions/entry.yaml")
    assert done.returncode == 3
    assert "max_memory_gigs" in done.stderr


def test_doctor_looks_at_the_engine(workspace: Workspace) -> None:
    done = workspace.apb("doctor")
    assert done.returncode in (0, 3)
    assert "seccomp" in done.stdout and "memory limits" in done.stdout


def test_the_shipped_submissions_are_valid(workspace: Workspace) -> None:
    from evaluator.contract.submissions import load

    names = {load(path).id for path in (ROOT / "submissions").glob("*.yaml")}
    assert {"random", "net-charge", "composition-logreg"} <= names
