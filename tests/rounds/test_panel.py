"""Entries on the panel: asked once in their normal round, compared, and never hurt by what they answer there."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from evaluator.settings import Repository
from evaluator.store.results import Results
from tests.conftest import HONEST, ROOT, Build, Workspace
from tests.support.rounds import change_track, submit

SCORE = 'score = row["sequence"].count("R") / len(row["sequence"])'
COPY = HONEST.replace(SCORE, SCORE + " * 0.5 + 0.1")
RELATED = HONEST.replace(SCORE, 'score = (2 * row["sequence"].count("R") + row["sequence"].count("K")) / 300')
CONSTANT = HONEST.replace(
    SCORE, "score = 0.5 if os.path.getsize(os.environ['INPUT']) > 30_000 else len(row['sequence']) / 999"
)
BROKEN = HONEST.replace(SCORE, "score = 1 / (os.path.getsize(os.environ['INPUT']) < 30_000)")


@pytest.fixture(autouse=True)
def _panel(workspace: Workspace) -> None:
    shutil.copytree(ROOT / "test_data" / "panel", workspace.root / "test_data" / "panel")


def similar(workspace: Workspace, *arguments: str) -> Any:
    done = workspace.apb("similar", *arguments, "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_a_round_asks_every_entry_once_and_tells_who_is_like_whom(
    workspace: Workspace, build: Build, tmp_path: Path
) -> None:
    change_track(workspace, purpose="benchmark", ranked="tiers")
    for name, program in {
        "original": HONEST, "copy": COPY, "related": RELATED, "constant": CONSTANT, "broken": BROKEN,
    }.items():  # fmt: skip
        submit(workspace, build(f"panel-{name}", program), f"the-{name}")
    everything = ("evaluate", "--hidden", str(workspace.root / "test_data"))
    first = workspace.apb(*everything)
    assert first.returncode == 0 and "10 to run" in first.stderr + first.stdout, first.stderr
    results = Results(workspace.results)
    asked = results.behaviours("panel-1")
    assert {i: (b.status, b.failure) for i, b in asked.items()} == {
        "the-original": ("ok", None), "the-copy": ("ok", None), "the-related": ("ok", None),
        "the-constant": ("ok", None), "the-broken": ("failed", "EXIT_NONZERO"),
    }  # fmt: skip
    assert len(asked["the-original"].scores or ()) == 512
    broken = results.get("the-broken", "smoke")
    assert broken is not None and broken.status == "ok"  # the panel takes nothing from an entry's tracks
    again = workspace.apb(*everything)
    assert "0 to run" in again.stderr + again.stdout, again.stderr

    found = similar(workspace)
    assert found["near_copies"] == [["the-copy", "the-original"]]
    [nearest, other] = similar(workspace, "the-original")["neighbours"]
    assert nearest["id"] == "the-copy" and nearest["near_copy"] and nearest["spearman"] == 1
    assert other["id"] == "the-related" and not other["near_copy"] and 0.5 < other["cosine"] < 0.999
    for name, why in (("the-constant", "one score"), ("the-broken", "EXIT_NONZERO"), ("nobody", "not asked")):
        refused = workspace.apb("similar", name)
        assert refused.returncode == 2 and why in refused.stderr

    mine = tmp_path / "mine.csv"
    lines = (ROOT / "test_data" / "panel" / "sequences.csv").read_text().splitlines()[1:]
    scored = [(i, s.count("R") / len(s)) for i, s in (line.split(",") for line in lines)]
    mine.write_text("sequence_id,prediction,score\n" + "".join(f"{i},0,{score!r}\n" for i, score in scored))
    assert {n["id"]: n["near_copy"] for n in similar(workspace, "--predictions", str(mine))["neighbours"]} == {
        "the-original": True, "the-copy": True, "the-related": False,
    }  # fmt: skip
    mine.write_text("sequence_id,prediction,score\npanel_001,0,0.5\n")
    short = workspace.apb("similar", "--predictions", str(mine))
    assert short.returncode == 1 and "MISSING" in short.stderr, short.stderr

    verified = workspace.apb("verify", *everything[1:], "--state", str(workspace.state))
    assert verified.returncode == 0 and "FAIL" not in verified.stdout, verified.stdout
    assert workspace.apb("publish").returncode == 0
    site = Repository(workspace.root).site
    told = json.loads((site / "data" / "v1" / "similar.json").read_text())
    assert told["submissions"] == ["the-copy", "the-original", "the-related"]
    page = (site / "submissions" / "the-original" / "index.html").read_text()
    assert "Behaves like" in page and "near copy" in page and "same errors" in page
    models = (site / "models" / "index.html").read_text()
    assert "EXIT_NONZERO" in models and "gives every sequence one score" in models

    path = workspace.results / "the-copy" / "panel" / "panel-1.json"
    path.write_text(path.read_text().replace("0.1", "0.2", 1))
    assert "the-copy/panel/panel-1.json" in workspace.apb("verify").stdout


def test_who_names_tracks_gets_those_alone(workspace: Workspace, build: Build) -> None:
    submit(workspace, build("panel-original", HONEST), "the-original")
    done = workspace.apb("evaluate", "--hidden", str(workspace.root / "test_data"), "--tracks", "smoke", "--dry-run")
    assert [task["track"] for task in json.loads(done.stdout)["run"]] == ["smoke"]
