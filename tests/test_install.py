"""Installed as users install it: a wheel by pip, without any extra, in a clean environment and outside any clone."""

from __future__ import annotations

import os
import subprocess
import sys
import venv
import zipfile
from collections.abc import Callable
from pathlib import Path

import docker
import pytest

from evaluator.commands.cli import NO_COMMANDS
from scripts import example_store
from tests.conftest import ROOT
from tests.support import lanes

MODULES = {path.stem for path in (ROOT / "evaluator" / "commands").glob("*.py")} - NO_COMMANDS
COMMANDS = sorted(name.replace("_", "-") for name in MODULES)
Run = Callable[..., subprocess.CompletedProcess[str]]


def python(*arguments: object) -> None:
    subprocess.run([sys.executable, "-m", *map(str, arguments)], cwd=ROOT, check=True, capture_output=True, text=True)


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sdist and the wheel of this tree."""
    folder = tmp_path_factory.mktemp("dist")
    python("hatchling", "build", "-d", folder)
    return folder


@pytest.fixture(scope="module")
def run(dist: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Runs one of the installed commands, in a folder that is no clone and lies in none."""
    place = tmp_path_factory.mktemp("elsewhere")
    venv.create(place / "env", with_pip=True)
    (wheel,) = dist.glob("*.whl")
    pip = [str(place / "env" / "bin" / "python"), "-m", "pip", "install", "--quiet"]
    with_its_needs = ["--no-compile", "-c", str(ROOT / "constraints.txt"), str(wheel)]  # which need no bytecode here
    compiled = ["--force-reinstall", "--no-deps", str(wheel)]
    for arguments in (with_its_needs, compiled):
        subprocess.run([*pip, *arguments], check=True, capture_output=True, text=True, cwd=place)
    unlike_a_users = ("PYTHON", "GITHUB", "VIRTUAL", "APB_HIDDEN", "APB_STATE")
    environment = {k: v for k, v in os.environ.items() if not k.startswith(unlike_a_users)}

    def call(*arguments: object, at: Path = place) -> subprocess.CompletedProcess[str]:
        command = [str(place / "env" / "bin" / str(arguments[0])), *map(str, arguments[1:])]
        return subprocess.run(command, cwd=at, env=environment, capture_output=True, text=True, check=False)

    return call


def test_the_sdist_gives_the_same_wheel(dist: Path, tmp_path: Path) -> None:
    (sdist,), (wheel,) = dist.glob("*.tar.gz"), dist.glob("*.whl")
    python("pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "-w", tmp_path, sdist)
    (again,) = tmp_path.glob("*.whl")
    assert sorted(zipfile.ZipFile(again).namelist()) == sorted(zipfile.ZipFile(wheel).namelist())


def test_every_command_explains_itself(run: Run) -> None:
    for name in COMMANDS:
        done = run("apb", name, "--help")
        assert done.returncode == 0 and f"apb {name}" in done.stdout.split("Examples:")[1], done.stderr
    assert run("apb-zoo", "--help").returncode == 0


def test_a_submission_is_begun_and_checked(run: Run, engine: docker.DockerClient, base: str, tmp_path: Path) -> None:
    done = run("apb", "new", "jane-first", at=tmp_path)
    assert done.returncode == 0, done.stderr
    folder = tmp_path / "jane-first"
    assert {path.name for path in folder.iterdir()} == {"Dockerfile", "README.md", "jane-first.yaml", "predict.py"}
    image = f"apb/test-installed:{lanes.SCOPE}"
    engine.images.build(path=str(folder), tag=image, buildargs={"BASE_IMAGE": base}, rm=True, forcerm=True)
    try:
        done = run("apb", "check", "--image", image, at=folder)
    finally:
        engine.images.remove(image, force=True)
    assert done.returncode == 0 and "jane-first: PASSED" in done.stdout, done.stdout + done.stderr


def test_files_are_scored_and_compared(run: Run, tmp_path: Path) -> None:
    labels = ROOT / "test_data" / "smoke" / "labels.csv"
    rows = [line.split(",") for line in labels.read_text().splitlines()[1:]]
    text = "sequence_id,prediction,score\n" + "".join(f"{i},{y},0.{y}5\n" for i, y in rows)
    (tmp_path / "p.csv").write_text(text)
    done = run("apb", "score", "p.csv", "--labels", labels, at=tmp_path)
    assert done.returncode == 0 and "ROC-AUC" in done.stdout, done.stderr
    done = run("apb", "compare", "p.csv", "p.csv", "--labels", labels, at=tmp_path)
    assert done.returncode == 0 and "PASSED" in done.stdout, done.stdout + done.stderr


def test_a_store_is_published(run: Run, tmp_path: Path) -> None:
    example_store.make(tmp_path / "store", 3)
    done = run("apb", "--root", tmp_path / "store", "publish", "--out", tmp_path / "site")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "site" / "index.html").is_file()


@pytest.mark.parametrize(
    "arguments",
    [
        ["commit"], ["evaluate", "--hidden", "h"], ["gate", "--base", "main", "--author", "me"], ["intake"],
        ["plan", "--hidden", "h"], ["prepare", "--new", "our-panel", "--from", "x.csv", "--hidden", "h"], ["publish"],
        ["report", "verdict", "--event", "event.json"], ["sign"], ["status"], ["verify"],
    ],
    ids=lambda arguments: arguments[0],
)  # fmt: skip
def test_what_needs_a_clone_says_so_in_one_line(run: Run, arguments: list[str]) -> None:
    done = run("apb", *arguments)
    assert done.returncode == 2 and done.stdout == ""
    assert done.stderr.splitlines() == [
        f"apb: `apb {arguments[0]}` needs a clone of the benchmark. Run it inside one, or name one with apb --root."
    ]


def test_what_needs_an_extra_says_so_in_one_line(run: Run, tmp_path: Path) -> None:
    done = run("apb", "worker", "tls://head:8786", "--tls", "x", at=tmp_path)
    assert done.returncode == 3 and len(done.stderr.splitlines()) == 1, done.stderr
    assert "pip install" in done.stderr
