"""The board that is committed: whole, of these tracks and submissions, and without a word of what it was scored on."""

from __future__ import annotations

import csv
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from evaluator.scoring.similarity import Behaviours
from evaluator.settings import Repository
from evaluator.store.results import Results
from leaderboard.build import build
from scripts import results
from tests.conftest import REAL_DATA, ROOT

FEW_SHOT = {"fewshot-poly", "fewshot-cr6261"}
RESULTS = ROOT / "leaderboard" / "results"


def records() -> list[dict[str, object]]:
    return [json.loads(path.read_text()) for path in sorted(RESULTS.glob("*/*.json"))]


def test_every_reference_is_on_every_track_that_has_data() -> None:
    found = {(str(r["submission"]), str(r["track"])): r["status"] for r in records()}
    tracks = {"gdpa1", "harvey1k", "jain", "jain137", "shehata", "shehata-psr", "vhh48"}
    for entry in ("antiberty-logreg", "antiberty-svm", "composition-logreg", "net-charge", "random", "sapiens-logreg"):
        assert {track for (name, track) in found if name == entry} - FEW_SHOT == tracks
    few_shot = ("few-shot-ridge", "few-shot-gp", "few-shot-ridge-antiberty", "few-shot-gp-antiberty")
    for entry in ("net-charge", *few_shot, "in-context-sparse", "in-context-reptile"):
        assert {track for (name, track) in found if name == entry} >= FEW_SHOT
    assert set(found.values()) == {"ok"}


def test_the_page_of_results_is_of_these_records() -> None:
    assert (ROOT / results.PAGE).read_text() == results.text(ROOT), "run python -m scripts.results"


def test_what_is_committed_verifies_and_builds_the_site(tmp_path: Path) -> None:
    for name in ("leaderboard/results", "submissions", "test_data"):
        shutil.copytree(ROOT / name, tmp_path / name)
    for arguments in (("publish",), ("verify",)):
        done = subprocess.run(
            [sys.executable, "-m", "evaluator", "--root", str(tmp_path), *arguments],
            cwd=tmp_path, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0 and "FAIL" not in done.stdout, done.stdout + done.stderr
    home = (tmp_path / "leaderboard" / "site" / "index.html").read_text()
    assert "shown above net charge" in home


def test_no_sequence_and_no_prediction_is_in_it() -> None:
    everything = "".join(p.read_text() for p in RESULTS.rglob("*") if p.is_file())
    assert not re.search(r"[ACDEFGHIKLMNPQRSTVWY]{15}", everything)
    assert not list(RESULTS.rglob("*.csv*"))
    if REAL_DATA.is_dir():
        with (REAL_DATA / "hidden" / "jain137" / "labels.csv").open() as stream:
            assert not [row["sequence_id"] for row in csv.DictReader(stream) if row["sequence_id"] in everything]


@pytest.mark.parametrize(
    ("track", "metric", "known"),
    [("jain137", "roc_auc", 0.7063), ("harvey1k", "roc_auc", 0.7712), ("gdpa1", "spearman", 0.3659)],
)
def test_net_charge_has_its_known_values(track: str, metric: str, known: float) -> None:
    found = json.loads((RESULTS / "net-charge" / f"{track}.json").read_text())
    assert found["metrics"][metric]["value"] == pytest.approx(known, abs=5e-5)


@pytest.mark.skipif(not REAL_DATA.is_dir(), reason="the real data are not at hand")
@pytest.mark.parametrize("track", ["jain", "shehata", "harvey"])
def test_archived_esm1v_has_every_published_figure(track: str) -> None:
    expected = json.loads((REAL_DATA / "reference" / "expected.json").read_text())[f"{track}_esm1v"]
    record = json.loads((RESULTS / "esm1v-logreg" / f"{track}.json").read_text())
    found = {"n": record["n"], **record["confusion"], **{k: v["value"] for k, v in record["metrics"].items()}}
    assert {k: found[k] for k in expected} == pytest.approx(expected, rel=0, abs=1e-12)
    assert all(v["low"] < v["value"] < v["high"] for v in record["metrics"].values())
    assert record["sandbox"] == "archived" and (track == "harvey") == (record["sequences_sha256"] is None)


def test_archived_entries_are_in_nobodys_ranking() -> None:
    archived = {str(r["submission"]) for r in records() if r["sandbox"] == "archived"}
    assert len(archived) == 9
    for path in RESULTS.glob("*.standings.json"):
        assert not archived & set(json.loads(path.read_text())["entries"])


def test_a_near_copy_is_found_among_the_entries_and_what_only_correlates_is_not() -> None:
    asked = Results(RESULTS).behaviours("panel-1")
    scores = {i: list(b.scores) for i, b in asked.items() if b.scores}
    assert {"antiberty-logreg", "antiberty-svm", "composition-logreg", "net-charge", "sapiens-logreg"} <= set(scores)
    assert Behaviours.of(scores).near_copies() == []
    rng = np.random.default_rng(0)
    original = np.array(scores["antiberty-svm"])
    copied = original**1.5 * (1 + 1e-5 * rng.normal(size=len(original)))
    found = Behaviours.of({**scores, "planted": copied.clip(0, 1).tolist()})
    assert found.near_copies() == [("antiberty-svm", "planted")]
    nearest = found.neighbours("antiberty-logreg", 1)[0]
    assert nearest.cosine > 0.5 and not nearest.near_copy


def test_every_entry_is_told_whom_it_behaves_like(tmp_path: Path) -> None:
    repository = Repository(ROOT)
    build(repository, submissions=repository.submissions, results=repository.results, out=tmp_path / "site")
    pages = {p.parent.name: p.read_text() for p in (tmp_path / "site" / "submissions").glob("*/index.html")}
    assert [i for i, text in pages.items() if "Behaves like" not in text] == []
