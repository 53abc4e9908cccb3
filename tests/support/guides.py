"""Guides, run as they stand, in a clone of this project."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from tests.conftest import ROOT
from tests.support.repositories import commit, git

WHO = {f"GIT_{role}_{part}": "t@example.org" for role in ("AUTHOR", "COMMITTER") for part in ("NAME", "EMAIL")}


def commands(name: str, start: str = "", until: str = "") -> list[str]:
    """The shell blocks of a document, in order; of the part between two of its lines, where they are named."""
    text = (ROOT / name).read_text()
    for line in (start, until):
        assert not line or text.count(f"\n{line}\n") == 1, line
    text = text.partition(f"\n{start}\n")[2] if start else text
    text = text.partition(f"\n{until}\n")[0] if until else text
    return re.findall(r"^```sh\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def clone(folder: Path, insecure_registries: Sequence[str] = ()) -> Path:
    """A clone of this project as it is now, but without its results, and a bare remote behind it."""
    seed = folder / "seed"
    seed.mkdir()
    listed = git(ROOT, "ls-files", "-z", "--cached", "--others", "--exclude-standard").split("\0")
    for name in filter(None, listed):
        if (ROOT / name).is_file() and not name.startswith(("tests/", "docs/screenshots/", "leaderboard/results/")):
            (seed / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, seed / name)
    settings = seed / "pyproject.toml"
    hosts = ", ".join(f'"{host}"' for host in insecure_registries)
    settings.write_text(settings.read_text().replace("[tool.apb]\n", f"[tool.apb]\ninsecure_registries = [{hosts}]\n"))
    git(seed, "init", "--quiet", "--initial-branch=main")
    commit(seed, "the benchmark")
    git(folder, "clone", "--quiet", "--bare", str(seed), str(folder / "remote.git"))
    git(folder, "clone", "--quiet", str(folder / "remote.git"), str(folder / "fork"))
    return folder / "fork"


def shell(script: str, place: Path, environment: dict[str, str]) -> str:
    """What a script prints; it must succeed, line by line."""
    done = subprocess.run(
        ["bash", "-eux", "-c", script],
        cwd=place,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=500,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout
