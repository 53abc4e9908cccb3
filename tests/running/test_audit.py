"""The consistency audit tells what depends on the other rows from what is merely random."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.conftest import HONEST, Build, Workspace

DEPENDS = """
    import csv, os
    rows = list(csv.DictReader(open(os.environ["INPUT"])))
    mean = sum(len(r["sequence"]) for r in rows) / len(rows)
    with open(os.environ["OUTPUT"], "w") as target:
        target.write("sequence_id,prediction,score\\n")
        for place, row in enumerate(rows):
            score = {score}
            target.write(f"{{row['sequence_id']}},0,{{score!r}}\\n")
"""
CASES = {
    "by-mean": (DEPENDS.format(score="1 / (1 + 2 ** -(len(row['sequence']) - mean))"), "depends on the other rows"),
    "by-place": (DEPENDS.format(score="place / len(rows)"), "depends on the other rows"),
    "by-id": (DEPENDS.format(score="int(row['sequence_id'], 16) / 16**12"), "depends on the other rows"),
    "by-chance": (DEPENDS.format(score="__import__('random').random()"), "not deterministic"),
    "by-tiny-chance": (DEPENDS.format(score="0.5 + __import__('random').random() * 1e-6"), None),
    "fails-on-fewer": (DEPENDS.format(score="0.5 if len(rows) == 60 else 1/0"), "fails on fewer rows"),
    "consistent": (HONEST, None),
}


def flags(workspace: Workspace, name: str) -> list[str]:
    content: dict[str, Any] = json.loads((workspace.results / name / "smoke.json").read_text())
    assert content["status"] == "ok"
    found: list[str] = content["flags"]
    return found


def test_entries_are_flagged_for_what_they_do(build: Build, workspace: Workspace) -> None:
    for name, (predict, _) in CASES.items():
        workspace.submit(name, build(name, predict), resources="{memory_gb: 0.25, timeout_minutes: 1}")
    assert workspace.evaluate("--jobs", "2").returncode == 0
    for name, (_, expected) in CASES.items():
        found = flags(workspace, name)
        assert (found == []) if expected is None else found[0].startswith(expected), (name, found)
    assert workspace.apb("publish").returncode == 0
    html = (workspace.root / "leaderboard" / "site" / "tracks" / "smoke" / "index.html").read_text()
    assert html.count("depends on the other rows") == 3
    assert html.count("not deterministic") == 1


@pytest.mark.parametrize("name", ["by-mean", "consistent"])
def test_check_tells_the_author_first(build: Build, workspace: Workspace, name: str) -> None:
    done = workspace.apb("check", str(workspace.submit(name, build(name, CASES[name][0]))))
    assert done.returncode == 0
    assert ("INCONSISTENT" in done.stdout) == (name == "by-mean")
