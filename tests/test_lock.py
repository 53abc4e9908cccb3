"""Nothing is installed that the lock does not name, and the lock is what pyproject.toml asks for.

Where APB_NEWEST is set (the workflow `newest`), the environment is not compared: there the newest versions are wanted.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Iterable, Iterator
from importlib import metadata
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from tests.conftest import ROOT

PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
PROJECT = PYPROJECT["project"]
EVERYTHING = ROOT / "constraints.txt"
HASHED = ROOT / "requirements.txt"
OF_EVERY_ENVIRONMENT = {"pip", "setuptools", "wheel", PROJECT["name"]}
REMEDY = "rm -r .venv, and make sets it up from the lock; where pyproject.toml has changed, make lock first"


def pins(path: Path) -> Iterator[tuple[Requirement, int]]:
    """Every requirement of a file, and how many hashes stand behind it."""
    lines = path.read_text().replace("\\\n", " ").splitlines()
    for line in (re.sub(r"(^|\s)#.*", "", line) for line in lines):
        requirement, *hashes = re.split(r"\s+--hash=sha256:(?=[0-9a-f]{64}\b)", line)
        if requirement and not requirement.startswith("--"):
            yield Requirement(requirement), len(hashes)


def versions(path: Path) -> dict[str, Version]:
    """Of each name the one version, which holds on every Python and platform."""
    found: dict[str, Version] = {}
    for requirement, _ in pins(path):
        [pin] = requirement.specifier
        name = canonicalize_name(requirement.name)
        assert pin.operator == "==" and name not in found, requirement
        found[name] = Version(pin.version)
    return found


def foreign(distributions: Iterable[metadata.Distribution]) -> list[str]:
    """What is installed and not so in the lock; a local label such as +cpu says only how a version was built."""
    lock = versions(EVERYTHING)
    installed = {(canonicalize_name(found.name), Version(found.version)) for found in distributions}
    return [
        f"{name} {version} (in the lock: {lock.get(name, 'nothing of that name')})"
        for name, version in sorted(installed)
        if name not in OF_EVERY_ENVIRONMENT and Version(version.public) != lock.get(name)
    ]


# --- the environment -------------------------------------------------------------------------------------------------


@pytest.mark.skipif("APB_NEWEST" in os.environ, reason="these are the newest versions, and not the lock's")
def test_nothing_is_installed_that_the_lock_does_not_name() -> None:
    found = foreign(metadata.distributions())
    assert not found, f"{', '.join(found)}: {REMEDY}"


def test_what_is_foreign_is_named(tmp_path: Path) -> None:
    lock = versions(EVERYTHING)
    for name, version in {"Stranger": "1.0", "ruff": "0.0.1", "torch": f"{lock['torch']}+cpu", "pip": "1"}.items():
        (tmp_path / f"{name}-{version}.dist-info").mkdir()
        (tmp_path / f"{name}-{version}.dist-info" / "METADATA").write_text(f"Name: {name}\nVersion: {version}\n")
    assert foreign(metadata.distributions(path=[str(tmp_path)])) == [
        f"ruff 0.0.1 (in the lock: {lock['ruff']})",
        "stranger 1.0 (in the lock: nothing of that name)",
    ]


# --- the lock --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("extra", ["", *PROJECT["optional-dependencies"]])
def test_the_lock_is_what_pyproject_asks_for(extra: str) -> None:
    lock = versions(EVERYTHING)
    wanted = PROJECT["optional-dependencies"][extra] if extra else PROJECT["dependencies"]
    for requirement in map(Requirement, wanted):
        name = canonicalize_name(requirement.name)
        assert name == PROJECT["name"] or name in lock, f"{requirement} is not in constraints.txt: make lock"
        assert name == PROJECT["name"] or lock[name] in requirement.specifier, f"{requirement}: {lock[name]} is locked"


def test_what_evaluates_is_locked_by_hash_in_the_same_versions() -> None:
    lock, hashed = versions(EVERYTHING), versions(HASHED)
    assert hashed.items() <= lock.items(), "make lock"
    assert all(hashes for _, hashes in pins(HASHED)), "pip would refuse all of it"
    assert not any(hashes for _, hashes in pins(EVERYTHING)), "pip would want a hash of this package too"
    backend = PROJECT["optional-dependencies"]["build"]
    assert set(PYPROJECT["build-system"]["requires"]) <= set(backend)
    for requirement in map(Requirement, PROJECT["dependencies"] + backend):
        assert canonicalize_name(requirement.name) in hashed, f"{requirement} is not in requirements.txt: make lock"
    assert "torch" not in hashed and "ruff" not in hashed
    assert "--only-binary :all:" in HASHED.read_text().splitlines()  # else unlocked builders would come along


@pytest.mark.parametrize("path", [EVERYTHING, HASHED], ids=lambda path: path.name)
def test_the_lock_names_no_place(path: Path) -> None:
    assert not re.search(r"://|@ |--(extra-)?index-url|--find-links", path.read_text())


def test_hooks_are_of_the_locked_version() -> None:
    lock = versions(EVERYTHING)
    repos = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"]
    revisions = {repo["repo"].rpartition("/")[2]: repo.get("rev") for repo in repos}
    assert revisions == {"ruff-pre-commit": f"v{lock['ruff']}", "local": None}, "set rev in .pre-commit-config.yaml"


# --- the release -----------------------------------------------------------------------------------------------------


def test_the_changelog_tells_of_this_version() -> None:
    headings = re.findall(r"^## (\d+\.\d+\.\d+) \(\d{4}-\d\d-\d\d\)$", (ROOT / "CHANGELOG.md").read_text(), re.M)
    assert headings[0] == PROJECT["version"]
    assert headings == sorted(headings, key=Version, reverse=True)


def test_the_wheel_carries_types(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(tmp_path)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    [wheel] = tmp_path.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    assert {f"{package}/py.typed" for package in ("evaluator", "leaderboard", "baselines")} <= set(names)
