"""Every command where its files cannot be written: one line, exit status 3, and nothing half-written."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from evaluator.commands.cli import Commands, app
from tests.conftest import HONEST, ROOT, Build, Workspace
from tests.support.disks import fill, tiny_disk
from tests.support.repositories import commit, git

NOWHERE = "/proc/nowhere"
"""Nobody can make a folder there, not even root."""
SMOKE = "--hidden {root}/test_data --tracks smoke"
ON_A_FULL_DISK = {
    "archive": "archive published --track smoke --predictions {root}/p.csv --hidden {root}/test_data",
    "audit-data": "audit-data smoke --hidden {root}/test_data --write",
    "card": "card",
    "check": "check {root}/submissions/ann-model.yaml --report {root}/report.json",
    "commit": "commit",
    "compare": "compare {root}/p.csv --labels {root}/test_data/smoke/labels.csv --report-dir {root}/reports",
    "convert": "convert {root}/panel.csv {root}/panel.tsv",
    "doctor": "doctor",
    "erase": "erase ann-model --reason asked --state {root}/.apb",
    "evaluate": f"evaluate --force {SMOKE}",
    "families": "families smoke --hidden {root}/test_data --out {root}/families.csv",
    "fetch": "fetch vhh48 --to {root}/downloads --mirror http://127.0.0.1:9",
    "gate": "gate --base HEAD~1 --author ann --take {root}/taken --report {root}/gate.json",
    "intake": "intake",
    "new": "new my-model --in {root}",
    "overlap": f"overlap --matrix --sets panel={{root}}/panel.csv {SMOKE} --out {{root}}/overlap.md",
    "plan": f"plan {SMOKE}",
    "prepare": "prepare --new panel --from {root}/panel.csv --hidden {root}/hidden",
    "publish": "publish",
    "recommend": "recommend --labels {root}/p.csv",
    "report": "report {root} --event {root}/p.csv",
    "score": "score {root}/p.csv --labels {root}/test_data/smoke/labels.csv",
    "sign": "sign",
    "similar": "similar",
    "status": "status",
    "verify": "verify",
    "worker": "worker tls://127.0.0.1:9 --tls-dir {root}/tls",
}
WRITES = {
    "archive",
    "audit-data",
    "card",
    "check",
    "commit",
    "compare",
    "convert",
    "erase",
    "evaluate",
    "families",
    "gate",
    "new",
    "overlap",
    "prepare",
    "publish",
    "sign",
}
"""Those that write where they are told to, of the above."""
INTO_NOWHERE = {
    "card --state": "card --state {nowhere}",
    "check --report": "check {root}/submissions/ann-model.yaml --report {nowhere}/report.json",
    "check --state": "check {root}/submissions/ann-model.yaml --state {nowhere}",
    "check --summary": "check {root}/submissions/ann-model.yaml --summary {nowhere}/summary.md",
    "compare --report-dir": "compare {root}/p.csv --labels {root}/test_data/smoke/labels.csv --report-dir {nowhere}",
    "erase --state": "erase ann-model --reason asked --state {nowhere}",
    "evaluate --state": f"evaluate {SMOKE} --state {{nowhere}}",
    "evaluate --results": f"evaluate {SMOKE} --results {{nowhere}}",
    "families --out": "families smoke --hidden {root}/test_data --out {nowhere}/families.csv",
    "gate --take": "gate --base HEAD~1 --author ann --take {nowhere}",
    "overlap --out": f"overlap --matrix --sets panel={{root}}/panel.csv {SMOKE} --out {{nowhere}}/overlap.md",
    "overlap --salted": "overlap --train {root}/panel.csv --salted {nowhere}/hashes.csv",
    "prepare --hidden": "prepare --new panel --from {root}/panel.csv --hidden {nowhere}",
    "publish --out": "publish --out {nowhere}",
    "score": "score /proc/self/mem --labels {root}/test_data/smoke/labels.csv",
    "score --labels": "score {root}/p.csv --labels /proc/self/mem",
}


@pytest.fixture(scope="module")
def seed(build: Build, tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """A small benchmark in git with one scored entry, records not committed yet, and a signer."""
    workspace = Workspace(tmp_path_factory.mktemp("disks") / "benchmark")
    shutil.copytree(ROOT / "test_data", workspace.root / "test_data")
    (workspace.root / "submissions").mkdir()
    published = "name: x\nauthor: tests\narchived: {source: a paper, protocol: trained on other data}\n"
    (workspace.root / "submissions" / "published.yaml").write_text(published)
    key = workspace.root / ".apb" / "key"
    key.parent.mkdir()
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", str(key)], check=True)
    identity = key.with_suffix(".pub").read_text().strip()
    (workspace.root / "pyproject.toml").write_text(f'[tool.apb]\nsigner = "ssh"\nsigner_identity = "{identity}"\n')
    labels = (workspace.root / "test_data" / "smoke" / "labels.csv").read_text().splitlines()[1:]
    rows = "".join(f"{i},{y},0.{y}5\n" for i, y in (line.split(",") for line in labels))
    (workspace.root / "p.csv").write_text(f"sequence_id,prediction,score\n{rows}")
    (workspace.root / "panel.csv").write_text("sequence_id,sequence,label\na,EVQLVES,0\nb,EVQLVRK,1\n")
    (workspace.root / ".gitignore").write_text(".apb/\n")
    git(workspace.root, "init", "--quiet", "--initial-branch=main")
    commit(workspace.root, "start")
    workspace.submit("ann-model", build("disks", HONEST), reproducibility="{card: 1}")
    git(workspace.root, "add", "submissions")
    git(workspace.root, "commit", "--quiet", "--message", "an entry")
    done = workspace.evaluate()
    assert done.returncode == 0, done.stderr
    return workspace


def apb(root: Path, line: str) -> subprocess.CompletedProcess[str]:
    arguments = line.format(root=root, nowhere=NOWHERE).split()
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("GITHUB_", "APB_"))}
    return subprocess.run(
        [sys.executable, "-m", "evaluator", "--root", str(root), *arguments],
        cwd=root,
        env={**environment, "APB_SIGNING_KEY": str(root / ".apb" / "key")},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def tree(root: Path) -> dict[str, bytes]:
    """Every file but for git's own and what a round notes of itself."""
    found = {p.relative_to(root).as_posix(): p for p in root.rglob("*") if p.is_file() or p.is_symlink()}
    return {name: p.read_bytes() for name, p in found.items() if not name.startswith((".git/", "filler"))}


def in_one_line(done: subprocess.CompletedProcess[str]) -> None:
    assert "Traceback" not in done.stderr, done.stderr
    assert done.returncode == 3, (done.returncode, done.stdout, done.stderr)
    [told] = [line for line in done.stderr.splitlines() if line.startswith("apb: ")]
    assert len(told) < 700


@pytest.fixture
def full(seed: Workspace, tmp_path: Path) -> Iterator[Path]:
    """The same benchmark on a disk without room for a byte more."""
    with tiny_disk(tmp_path / "disk", 8192) as disk:
        root = Path(shutil.copytree(seed.root, disk / "benchmark"))
        fill(disk)
        yield root


def test_every_command_is_tried() -> None:
    assert isinstance(app, Commands) and app.list_commands(click.Context(app)) == sorted(ON_A_FULL_DISK)


@pytest.mark.parametrize("command", ON_A_FULL_DISK)
def test_a_full_disk(full: Path, command: str) -> None:
    before = tree(full)
    done = apb(full, ON_A_FULL_DISK[command])
    assert "Traceback" not in done.stderr, done.stderr
    if command in WRITES:
        in_one_line(done)
        assert "No space left" in done.stderr
    after = tree(full)
    grown = {"leaderboard/results/history.jsonl", "leaderboard/results/chain.jsonl", ".apb/lock", ".apb/ledger.jsonl"}
    for name in {*before, *after} - grown:
        assert after.get(name) == before.get(name), name
    for name in grown & {*before}:
        assert after[name].startswith(before[name]) or name == ".apb/lock", name  # by whole lines, or not at all
        assert name == ".apb/lock" or after[name].endswith(b"\n")


@pytest.mark.parametrize("case", INTO_NOWHERE)
def test_a_place_that_cannot_be_written_or_read(seed: Workspace, case: str) -> None:
    before = tree(seed.root)
    in_one_line(apb(seed.root, INTO_NOWHERE[case]))
    after = {name: content for name, content in tree(seed.root).items() if not name.startswith(".apb/")}
    assert after == {name: content for name, content in before.items() if not name.startswith(".apb/")}


@pytest.mark.parametrize("command", ["verify", "score {root}/p.csv --labels {root}/test_data/smoke/labels.csv"])
def test_output_that_finds_no_room(seed: Workspace, command: str) -> None:
    arguments = command.format(root=seed.root).split()
    with Path("/dev/full").open("w") as nowhere:
        done = subprocess.run(
            seed.command(*arguments), stdout=nowhere, stderr=subprocess.PIPE, text=True, timeout=60, check=False
        )
    assert done.returncode == 3 and done.stderr.count("\n") == 1 and "No space left" in done.stderr


def test_the_zoo_says_it_in_one_line_too(tmp_path: Path) -> None:
    (tmp_path / "p.csv").write_text("")
    for arguments in (["speed", "--help"], ["package", "random", "--no-build", "--context", NOWHERE]):
        with Path("/dev/full").open("w") as nowhere:
            done = subprocess.run(
                [sys.executable, "-c", "from baselines.cli import main; main()", *arguments],
                cwd=ROOT, stdout=nowhere, stderr=subprocess.PIPE, text=True, timeout=60, check=False,
            )  # fmt: skip
        assert done.returncode == 3 and "Traceback" not in done.stderr, done.stderr
