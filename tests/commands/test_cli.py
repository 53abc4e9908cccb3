"""Every command explains itself, and its exit status says whose fault it was."""

from __future__ import annotations

import gzip
import re
import subprocess
import sys
from pathlib import Path

import click
import pytest

from evaluator.commands.cli import Commands
from evaluator.commands.options import For
from evaluator.errors import EvaluatorError, SubmissionError
from evaluator.scoring.files import read_files
from evaluator.settings import Repository
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


SCORED = "sequence_id,label\na,0\nb,1\n"
PREDICTED = "sequence_id,prediction,score\na,0,0.1\nb,1,0.9\n"
FILES: dict[str, tuple[bytes, str]] = {
    "semicolons": (PREDICTED.replace(",", ";").encode(), "[DELIMITER]"),
    "semicolons in the rows": (PREDICTED.replace("a,0,0.1", "a;0;0.1").encode(), "not separated with commas"),
    "a comma at the end": (PREDICTED.replace("0.1", "0.1,").encode(), "ends with a comma"),
    "empty": (b"", "[EMPTY]"),
    "an empty line": (b"\n", "[EMPTY]"),
    "UTF-16": (PREDICTED.encode("utf-16"), "UTF-16"),
    "UTF-32": (PREDICTED.encode("utf-32"), "UTF-32"),
    "UTF-32, big end first": (b"\x00\x00\xfe\xff" + PREDICTED.encode("utf-32-be"), "UTF-32"),
    "UTF-16 without a mark": (PREDICTED.encode("utf-16-le"), "UTF-16"),
    "gzip": (gzip.compress(PREDICTED.encode(), mtime=0), "gzip"),
    "a workbook": (b"PK\x03\x04" + bytes(100), "Excel"),
}


@pytest.mark.parametrize("case", FILES)
def test_score_calls_a_file_by_what_it_is(tmp_path: Path, case: str) -> None:
    content, told = FILES[case]
    (tmp_path / "good-labels.csv").write_text(SCORED)
    (tmp_path / "good.csv").write_text(PREDICTED)
    (tmp_path / "bad.csv").write_bytes(content)
    with pytest.raises(SubmissionError) as theirs:
        read_files(tmp_path / "bad.csv", tmp_path / "good-labels.csv")
    assert told in str(theirs.value)
    labels = content.replace(b"prediction", b"label") if content[:11] == b"sequence_id" else content
    (tmp_path / "bad-labels.csv").write_bytes(labels)
    with pytest.raises(EvaluatorError) as ours:
        read_files(tmp_path / "good.csv", tmp_path / "bad-labels.csv")
    assert "bad-labels.csv" in str(ours.value) and "unpack" not in str(ours.value)


def test_score_says_where_a_name_promises_gzip(tmp_path: Path) -> None:
    (tmp_path / "p.csv.gz").write_text(PREDICTED)
    (tmp_path / "labels.csv").write_text(SCORED)
    with pytest.raises(SubmissionError, match="not a whole file of gzip"):
        read_files(tmp_path / "p.csv.gz", tmp_path / "labels.csv")


def test_help_groups_the_commands_by_who_needs_them(workspace: Workspace) -> None:
    printed = workspace.apb("--help").stdout
    places = [printed.index(group.value) for group in For]
    assert places == sorted(places)
    named = [line.split()[0] for line in printed[places[0] :].splitlines() if line.startswith("  ") and line.strip()]
    assert sorted(named) == Commands("apb").list_commands(click.Context(click.Command("apb")))


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
    assert "max_memory_gigs" in done.stderr and "Known are: registries," in done.stderr


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('cpus = "four"', "'cpus' must be a number"), ("cpus = 0", "'cpus' should be more than 0"),
        ("weekly_quota = 1.5", "'weekly_quota' must be a whole number"), ("registries = 'docker.io'", "must be a list"),
        ('signer = "me"', "Known are: none, ssh, sigstore"), ('site_url = "http://x"', "is not of the form"),
        ('maintainers = ["keeper"]', "https://api.github.com/users/LOGIN"), ("cpus = ", "is not TOML at line 2"),
    ],
)  # fmt: skip
def test_a_wrong_setting_is_told_in_plain_words(tmp_path: Path, text: str, told: str) -> None:
    (tmp_path / "pyproject.toml").write_text(f"[tool.apb]\n{text}\n")
    with pytest.raises(EvaluatorError) as caught:
        assert Repository(tmp_path).settings
    assert told in str(caught.value)
    assert not re.search("pydantic|validation error|Input should|Expected", str(caught.value))


def test_doctor_looks_at_the_engine(workspace: Workspace) -> None:
    done = workspace.apb("doctor")
    assert done.returncode in (0, 3)
    assert "seccomp" in done.stdout and "memory limits" in done.stdout


def test_the_shipped_submissions_are_valid(workspace: Workspace) -> None:
    from evaluator.contract.submissions import load

    names = {load(path).id for path in (ROOT / "submissions").glob("*.yaml")}
    assert {"random", "net-charge", "composition-logreg"} <= names
