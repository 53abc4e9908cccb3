"""A large task in parts gives to the last bit what it gives in one piece, or it is run in one piece."""

from __future__ import annotations

import json
import subprocess
from collections import Counter
from pathlib import Path

import docker
import pytest

from tests.conftest import Build, Workspace, leftovers
from tests.support.rounds import change_track, evaluated, ledger, predictions, records

BY_ROWS = """
    import csv, os
    rows = list(csv.DictReader(open(os.environ["INPUT"])))
    classes = os.environ["TASK"] == "classification"
    with open(os.environ["OUTPUT"], "w") as target:
        target.write("sequence_id,prediction,score\\n" if classes else "sequence_id,score\\n")
        for row in rows:
            score = row["sequence"].count("R") / len(row["sequence"]) {more}
            decided = f"{{int(score > 0.05)}}," if classes else ""
            target.write(f"{{row['sequence_id']}},{{decided}}{{score!r}}\\n")
"""
ENTRIES = {
    "consistent": ("", True, None),
    # What is wrong with these does not show on the small track, where they pass the audit.
    "by-the-whole": (
        "+ (0.1 if len(rows) >= 30 and classes else 0)",
        False,
        "other rows",
    ),
    "nearly": ("+ (len(rows) * 1e-9 if classes else 0)", False, None),
}


@pytest.fixture(scope="module")
def built(build: Build) -> dict[str, str]:
    return {name: build(f"parts-{name}", BY_ROWS.format(more=more)) for name, (more, _, _) in ENTRIES.items()}


def both(workspace: Workspace) -> list[str]:
    return ["--hidden", str(workspace.root / "test_data"), "--tracks", "smoke,smoke-vhh"]


@pytest.mark.parametrize("name", ENTRIES)
def test_parts_are_joined_to_the_last_bit_or_not_at_all(
    workspace: Workspace, built: dict[str, str], engine: docker.DockerClient, tmp_path: Path, name: str
) -> None:
    _, joined, flag = ENTRIES[name]
    change_track(workspace, shards=2, audit_rows=20)
    workspace.submit(name, built[name], resources="{memory_gb: 0.5, timeout_minutes: 1}")
    local = Workspace(tmp_path / "local")
    subprocess.run(["cp", "-r", str(workspace.root), str(local.root)], check=True)
    assert local.apb("evaluate", *both(local)).returncode == 0

    command = workspace.command("evaluate", *both(workspace), "--executor", "dask", "--workers", "3", "--json")
    done = subprocess.run(command, cwd=workspace.root, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    assert sorted(json.loads(done.stdout)["scored"]) == [f"{name} on smoke", f"{name} on smoke-vhh"]
    events = Counter((e["event"], e["track"]) for e in ledger(workspace))
    assert events[("run", "smoke-vhh")] == 1
    assert events[("joined" if joined else "run", "smoke")] == 1
    assert events[("part", "smoke")] == 2 if joined else events[("part", "smoke")] in (1, 2)
    assert records(workspace) == records(local)
    assert predictions(workspace) == predictions(local)
    [record] = records(workspace).values()
    assert (flag is None and record["flags"] == []) or (flag is not None and flag in record["flags"][0])
    assert leftovers(engine) == []


@pytest.mark.parametrize("known", [None, {"flags": ["depends on the other rows"]}, {"image": None}])
def test_without_a_passed_audit_of_this_very_image_nothing_is_split(
    workspace: Workspace, built: dict[str, str], known: dict[str, object] | None
) -> None:
    change_track(workspace, shards=2, audit_rows=20)
    workspace.submit("consistent", built["consistent"], resources="{memory_gb: 0.5, timeout_minutes: 1}")
    if known is not None:
        assert workspace.apb("evaluate", *both(workspace)[:2], "--tracks", "smoke-vhh").returncode == 0
        path = workspace.results / "consistent" / "smoke-vhh.json"
        record = json.loads(path.read_text())
        other = {"image": {**record["image"], "digest": "sha256:" + "0" * 64}} if "image" in known else known
        path.write_text(json.dumps({**record, **other}))
        (workspace.state / "ledger.jsonl").unlink()
    done = evaluated(workspace, "--workers", "2")
    assert done.returncode == 0
    assert Counter(e["event"] for e in ledger(workspace)) == {"run": 1}
