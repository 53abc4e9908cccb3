"""Published predictions: checked as strictly as an image's own, scored the same, and never in anybody's rank."""

from __future__ import annotations

import csv
import gzip
import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from evaluator.scoring.files import score_files
from tests.conftest import HONEST, REAL_DATA, ROOT, Build, Workspace
from tests.support.rounds import change_track

ARCHIVED = """name: Published
author: somebody
archived: {source: "https://example.org/paper", protocol: %s, note: as printed}
training_data: [boughter]
"""


def rows(track: str = "smoke") -> list[dict[str, str]]:
    with (ROOT / "test_data" / track / "labels.csv").open() as stream:
        return list(csv.DictReader(stream))


def write(path: Path, lines: list[str]) -> Path:
    path.write_text("sequence_id,prediction,score\n" + "".join(f"{line}\n" for line in lines))
    return path


def honest_lines() -> list[str]:
    """Predictions that are right, but for every fifth."""
    wrong = [k % 5 == 0 for k in range(len(rows()))]
    return [
        f"{r['sequence_id']},{int(r['label']) ^ w},{(int(r['label']) ^ w) * 0.5 + 0.25 + k / 1000}"
        for k, (r, w) in enumerate(zip(rows(), wrong, strict=True))
    ]


def publish(workspace: Workspace, name: str = "published", protocol: str = "trained on other data") -> None:
    (workspace.root / "submissions" / f"{name}.yaml").write_text(ARCHIVED % protocol)


def archive(workspace: Workspace, path: Path, *more: str, name: str = "published") -> Any:
    hidden = str(workspace.root / "test_data")
    return workspace.apb("archive", name, "--track", "smoke", "--predictions", str(path), "--hidden", hidden, *more)


def everything(workspace: Workspace) -> dict[str, bytes]:
    folders = (workspace.results, workspace.state / "predictions")
    return {str(p): p.read_bytes() for folder in folders for p in folder.rglob("*") if p.is_file()}


def test_scores_are_those_of_apb_score_and_twice_changes_nothing(workspace: Workspace, tmp_path: Path) -> None:
    publish(workspace)
    path = write(tmp_path / "p.csv", honest_lines())
    done = archive(workspace, path)
    assert done.returncode == 0 and "archived; " in done.stdout, done.stderr
    record = json.loads((workspace.results / "published" / "smoke.json").read_text())
    expected, _ = score_files(path, ROOT / "test_data" / "smoke" / "labels.csv")
    assert {k: v["value"] for k, v in record["metrics"].items()} == {k: e.value for k, e in expected.metrics.items()}
    assert record["sandbox"] == "archived" and record["runtime"]["seconds"] is None
    before = everything(workspace)
    (tmp_path / "p.csv.gz").write_bytes(gzip.compress(path.read_bytes()))
    again = archive(workspace, tmp_path / "p.csv.gz")
    assert again.returncode == 0 and "nothing changed" in again.stdout, again.stderr
    assert everything(workspace) == before
    verified = workspace.apb("verify", "--hidden", str(workspace.root / "test_data"), "--state", str(workspace.state))
    assert verified.returncode == 0 and "FAIL" not in verified.stdout, verified.stdout
    for_everybody = b"".join(v for k, v in before.items() if k.startswith(str(workspace.results)))
    assert not [r for r in rows() if r["sequence_id"].encode() in for_everybody]


FAULTS: dict[str, tuple[Callable[[list[str]], list[str]], str]] = {
    "a row is missing": (lambda lines: lines[:-1], "MISSING_ID"),
    "an id stands twice": (lambda lines: [*lines, lines[0]], "DUPLICATE_ID"),
    "an id is of nobody": (lambda lines: ["nobody,0,0.1", *lines[1:]], "UNKNOWN_ID"),
    "another track's rows": (
        lambda _: [f"{r['sequence_id']},0,0.1" for r in rows("smoke-vhh")], "MISSING_ID"),
    "no number": (lambda lines: [lines[0].rpartition(",")[0] + ",nan", *lines[1:]], "NAN"),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_what_is_not_for_exactly_these_rows_is_refused(workspace: Workspace, tmp_path: Path, fault: str) -> None:
    publish(workspace)
    change, code = FAULTS[fault]
    done = archive(workspace, write(tmp_path / "p.csv", change(honest_lines())))
    assert done.returncode == 1 and code in done.stderr, done.stderr
    assert "MISSING" in code or "row " in done.stderr
    assert not everything(workspace)


def hide(workspace: Workspace) -> None:
    change_track(workspace, disclosure="hidden", sha256={}, labels_hmac_sha256="0" * 64)


def take_labels(workspace: Workspace) -> None:
    for path in (workspace.root / "test_data" / "smoke").iterdir():
        path.unlink()
    (workspace.root / "test_data" / "smoke").rmdir()


def with_an_image(workspace: Workspace) -> None:
    workspace.submit("published", "docker.io/me/x:1")


def withdraw(workspace: Workspace) -> None:
    with (workspace.root / "submissions" / "published.yaml").open("a") as stream:
        stream.write("withdrawn: wrong file\n")


def elsewhere(workspace: Workspace) -> None:
    with (workspace.root / "submissions" / "published.yaml").open("a") as stream:
        stream.write("tracks: [smoke-vhh]\n")


@pytest.mark.parametrize(
    ("change", "said"),
    [(hide, "hidden"), (take_labels, "no labels"), (with_an_image, "image"), (withdraw, "withdrawn"),
     (elsewhere, "does not take part"), (lambda w: change_track(w, retired="It is full."), "closed")],
)  # fmt: skip
def test_what_cannot_be_archived_says_why(
    workspace: Workspace, tmp_path: Path, change: Callable[[Workspace], None], said: str
) -> None:
    publish(workspace)
    change(workspace)
    done = archive(workspace, write(tmp_path / "p.csv", honest_lines()))
    assert done.returncode == 2 and said in done.stderr, done.stderr
    assert not everything(workspace)


def test_other_predictions_are_not_taken_by_accident(workspace: Workspace, tmp_path: Path) -> None:
    publish(workspace)
    assert archive(workspace, write(tmp_path / "p.csv", honest_lines())).returncode == 0
    other = write(tmp_path / "q.csv", [line.replace(",1,", ",0,") for line in honest_lines()])
    before = everything(workspace)
    done = archive(workspace, other)
    assert done.returncode == 2 and "--replace" in done.stderr
    assert everything(workspace) == before
    assert archive(workspace, other, "--replace").returncode == 0
    assert [json.loads(x)["kind"] for x in (workspace.results / "history.jsonl").read_text().splitlines()] == [
        "new", "rerun",
    ]  # fmt: skip


def test_it_takes_no_rank_and_counts_in_nobodys(workspace: Workspace, build: Build, tmp_path: Path) -> None:
    image = build("archive", HONEST)
    for name in ("net-charge", "second-one"):
        workspace.submit(name, image, resources="{memory_gb: 0.5, timeout_minutes: 1}")
    change_track(workspace, purpose="benchmark", ranked="tiers")
    assert workspace.evaluate().returncode == 0
    standings = workspace.results / "smoke.standings.json"
    before = json.loads(standings.read_text())
    publish(workspace, "mine", "cross-validated on this track")
    publish(workspace)
    for name in ("published", "mine"):
        assert archive(workspace, write(tmp_path / "p.csv", honest_lines()), name=name).returncode == 0
    after = json.loads(standings.read_text())
    assert after["entries"] == before["entries"] and set(before["entries"]) == {"net-charge", "second-one"}
    assert set(after["archived"]) == {"published", "mine"}
    of = {n: json.loads((workspace.results / n / "smoke.json").read_text()) for n in ("published", "net-charge")}
    apart = [of[n]["metrics"]["roc_auc"]["value"] for n in ("published", "net-charge")]
    assert after["archived"]["published"]["value"] == pytest.approx(apart[0] - apart[1], abs=1e-12)
    done = workspace.evaluate()
    assert done.returncode == 0 and "4 up to date" in done.stderr, done.stderr
    assert workspace.apb("publish").returncode == 0
    site = workspace.root / "leaderboard" / "site"
    table = json.loads((site / "data" / "v1" / "results" / "smoke.json").read_text())["columns"]
    [k] = [k for k, name in enumerate(table["submission"]) if name == "mine"]
    assert (table["archived"][k], table["tier"][k], table["trained_on"][k], table["status"][k]) == (
        1,
        None,
        "yes",
        "ok",
    )
    for page in ("submissions/published/index.html", "tracks/smoke/index.html"):
        assert "from published predictions, not run here" in (site / page).read_text()
    assert "None of 1 entry is shown above net charge" in (site / "index.html").read_text()
    assert workspace.apb("verify").returncode == 0


def test_a_new_level_scores_them_again(workspace: Workspace, tmp_path: Path) -> None:
    publish(workspace)
    assert archive(workspace, write(tmp_path / "p.csv", honest_lines())).returncode == 0
    (workspace.root / "pyproject.toml").write_text("[tool.apb]\nlevel = 0.9\n")
    done = workspace.evaluate()
    assert done.returncode == 0, done.stderr
    record = json.loads((workspace.results / "published" / "smoke.json").read_text())
    assert record["level"] == 0.9 and record["image"]["reference"] == "p.csv"


def test_a_check_of_such_an_entry_says_that_there_is_nothing_to_try(workspace: Workspace) -> None:
    publish(workspace)
    done = workspace.apb("check", "submissions/published.yaml")
    assert done.returncode == 0 and "no image to try" in done.stdout + done.stderr


def test_labels_alone_are_enough_and_no_image_is_run_on_them(
    workspace: Workspace, build: Build, tmp_path: Path
) -> None:
    (workspace.root / "test_data" / "smoke" / "sequences.csv").unlink()
    labels = (workspace.root / "test_data" / "smoke" / "labels.csv").read_bytes()
    change_track(workspace, sha256={"labels": hashlib.sha256(labels).hexdigest()})
    publish(workspace)
    workspace.submit("with-image", build("archive", HONEST))
    assert archive(workspace, write(tmp_path / "p.csv", honest_lines())).returncode == 0
    done = workspace.evaluate()
    assert done.returncode == 0 and "no sequences of smoke" in done.stderr, done.stderr
    assert not (workspace.results / "with-image").exists()
    record = json.loads((workspace.results / "published" / "smoke.json").read_text())
    assert record["sequences_sha256"] is None
    assert workspace.apb("publish").returncode == 0 and workspace.apb("verify").returncode == 0
    page = (workspace.root / "leaderboard" / "site" / "submissions" / "published" / "index.html").read_text()
    assert "sequences of this track are not at hand" in page


@pytest.mark.skipif(not REAL_DATA.is_dir(), reason="the real data are not at hand")
def test_published_folds_have_their_published_correlations(tmp_path: Path) -> None:
    published = json.loads((REAL_DATA / "archive" / "gdpa1" / "published_spearman_by_fold.json").read_text())
    with (REAL_DATA / "fewshot" / "gdpa1_assays.csv").open() as stream:
        fold = {row["sequence_id"]: row["fold"] for row in csv.DictReader(stream)}
    with (REAL_DATA / "hidden" / "gdpa1" / "labels.csv").open() as stream:
        target = {row["sequence_id"]: row["target"] for row in csv.DictReader(stream)}
    for model, by_fold in published.items():
        with (REAL_DATA / "archive" / "gdpa1" / f"{model}.csv").open() as stream:
            score = {row["sequence_id"]: row["score"] for row in csv.DictReader(stream)}
        for number, expected in by_fold.items():
            ids = [i for i in target if fold[i] == number]
            for name, column, values in (("labels", "target", target), ("predictions", "score", score)):
                lines = "".join(f"{i},{values[i]}\n" for i in ids)
                (tmp_path / f"{name}.csv").write_text(f"sequence_id,{column}\n{lines}")
            found, _ = score_files(tmp_path / "predictions.csv", tmp_path / "labels.csv")
            assert found.metrics["spearman"].value == pytest.approx(expected, rel=0, abs=1e-9), (model, number)
