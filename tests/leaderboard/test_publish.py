"""The board: complete, the same bytes every time, and inert whatever strangers wrote."""

from __future__ import annotations

import json
from html.parser import HTMLParser

import pytest

from evaluator.errors import EvaluatorError
from tests.conftest import Workspace
from tests.support.sites import METRIC_NAMES, publish, put


def test_failed_not_run_and_zero_are_three_things(workspace: Workspace) -> None:
    for name in ("works", "zero", "fails", "waits"):
        workspace.submit(name, "docker.io/me/x:1")
    metrics = {name: {"value": 0.7} for name in METRIC_NAMES}
    put(workspace, "works", metrics=metrics)
    put(workspace, "zero", metrics={name: {"value": 0.0} for name in METRIC_NAMES})
    put(workspace, "fails", status="failed", failure="TIMEOUT", metrics={})
    site = publish(workspace)

    columns = json.loads((site / "data/v1/results/jain.json").read_text())["columns"]
    assert columns["submission"] == ["works", "zero", "fails", "waits"]
    assert columns["status"] == ["ok", "ok", "failed", "not_run"]
    assert columns["roc_auc"] == [0.7, 0.0, None, None]
    assert columns["failure"] == [None, None, "TIMEOUT", None]
    html = (site / "tracks" / "jain" / "index.html").read_text()
    assert "TIMEOUT" in html and "not run yet" in html and "0.000" in html
    page = (site / "submissions" / "fails" / "index.html").read_text()
    assert "not done within timeout_minutes; what to do: be faster, or ask for more" in page
    html = (site / "tracks" / "vhh48" / "index.html").read_text()
    assert "Too few rows to rank" in html and "positives" not in html  # there are none where the truth is a number


def test_two_builds_are_the_same_bytes(workspace: Workspace) -> None:
    workspace.submit("entry", "docker.io/me/x:1")
    put(workspace, "entry", metrics={name: {"value": 0.7} for name in METRIC_NAMES})
    first = {p.relative_to(workspace.root): p.read_bytes() for p in publish(workspace).rglob("*") if p.is_file()}
    second = {p.relative_to(workspace.root): p.read_bytes() for p in publish(workspace).rglob("*") if p.is_file()}
    assert first == second


HOSTILE = ["<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "</title>{{ 7*7 }}", "=cmd()"]


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_are_text(workspace: Workspace, name: str) -> None:
    path = workspace.root / "submissions" / "entry.yaml"
    path.write_text(f"name: {json.dumps(name)}\ndocker_image: docker.io/me/x:1\nauthor: {json.dumps(name)}\n")
    put(workspace, "entry")
    site = publish(workspace)
    for page in ("index.html", "tracks/jain/index.html", "submissions/entry/index.html"):
        tags = Tags()
        tags.feed((site / page).read_text())
        assert name in tags.text
        assert "img" not in tags.names
        assert set(tags.scripts) <= {"../../static/table.js"}


class Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.names: set[str] = set()
        self.text = ""
        self.scripts: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.add(tag)
        if tag == "script":
            self.scripts.append(str(dict(attrs).get("src")))
        assert not any(key.startswith("on") for key, _ in attrs)

    def handle_data(self, data: str) -> None:
        self.text += data


def test_what_an_entry_was_trained_on_is_shown(workspace: Workspace) -> None:
    workspace.submit("clean", "docker.io/me/x:1", training_data="[boughter]")
    workspace.submit("seen", "docker.io/me/x:1", training_data="[gdpa1]")
    workspace.submit("silent", "docker.io/me/x:1")
    workspace.submit("secret", "docker.io/me/x:1", training_data="[boughter, private]")
    own = {"name": "of our own", "role": "train", "evidence": {"doi": "10.1234/x"}}
    card = json.dumps({"card": 1, "open_data": {"status": "yes", "sets": [own]}})
    workspace.submit("unheard-of", "docker.io/me/x:1", training_data="[private]", reproducibility=card)
    columns = json.loads((publish(workspace) / "data/v1/results/jain.json").read_text())["columns"]
    assert dict(zip(columns["submission"], columns["trained_on"], strict=True)) == {
        "clean": "no", "seen": "yes", "silent": "undisclosed", "secret": "unknown",
        "unheard-of": "unknown",
    }  # fmt: skip


def test_a_site_without_the_table_of_coverage_is_refused(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("leaderboard.pages.COVERAGE", workspace.root / "coverage.csv")
    with pytest.raises(EvaluatorError, match=r"coverage\.csv is missing"):
        publish(workspace)


def test_a_broken_record_stops_the_build_and_leaves_the_old_site(workspace: Workspace) -> None:
    workspace.submit("entry", "docker.io/me/x:1")
    site = publish(workspace)
    put(workspace, "entry", status="great")
    done = workspace.apb("publish")
    assert done.returncode == 3 and "entry/jain.json" in done.stderr
    assert (site / "index.html").is_file()
    assert [p.name for p in site.parent.iterdir() if p.name.startswith(".site")] == []


def test_scores_without_relatives_stand_beside_the_scores(workspace: Workspace) -> None:
    for name in ("known", "unknown"):
        workspace.submit(name, "docker.io/me/x:1")
    value = {"value": 0.612, "low": 0.5, "high": 0.7}
    told = {"sets": {"boughter": 2}, "unknown": ["oas"], "rows": 84, "value": value}
    put(workspace, "known", unrelated=told)
    nothing = {"value": None, "reason": "what it was trained on was never compared with this track"}
    put(workspace, "unknown", unrelated={"sets": {}, "unknown": ["undisclosed"], "rows": 86, "value": nothing})
    site = publish(workspace)
    page = (site / "submissions" / "known" / "index.html").read_text()
    assert "boughter: 2" in page and "0.612" in page and "84" in page and "oas" in page
    page = (site / "submissions" / "unknown" / "index.html").read_text()
    assert "undisclosed</span>" in page and "never compared" in page
    columns = json.loads((site / "data/v1/results/jain.json").read_text())["columns"]
    assert sorted(zip(columns["submission"], columns["unrelated"], columns["unrelated_rows"], strict=True)) == [
        ("known", 0.612, 84), ("unknown", None, None),
    ]  # fmt: skip
    board = (site / "tracks" / "jain" / "index.html").read_text()
    assert "2 rows left out; unknown: oas" in board and ">unknown<" in board


def test_the_page_of_a_dataset_says_by_which_rule_its_families_are_made(workspace: Workspace) -> None:
    site = publish(workspace)
    pages = {name: (site / "datasets" / name / "index.html").read_text() for name in ("jain", "harvey", "fewshot-poly")}
    assert "vh-complete-linkage-0.90 v1" in pages["jain"] and "Complete linkage of the heavy chains" in pages["jain"]
    assert "cdr-h3-one-substitution v2" in pages["harvey"] and "until then rows count as independent" in pages["harvey"]
    assert "not used: intervals are over groups" in pages["fewshot-poly"]
