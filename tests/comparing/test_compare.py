"""`apb compare`: what a maintainer trusts before a model is replaced."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import accuracy_score, confusion_matrix

from evaluator.comparing.compare import compare
from evaluator.comparing.sides import Sources
from evaluator.contract.task_types import KINDS, METRICS
from evaluator.errors import UsageError
from evaluator.store.results import Results
from evaluator.store.state import State
from tests.conftest import HONEST, Build, Workspace

N = 40
LABELS = [int(i < 15) for i in range(N)]


def write(folder: Path, name: str, wrong: int, noise: float = 0.0) -> Path:
    """Predictions that are wrong on the first `wrong` rows."""
    rng = np.random.default_rng(len(name))
    lines = ["sequence_id,prediction,score"]
    for i, label in enumerate(LABELS):
        predicted = 1 - label if i < wrong else label
        score = min(max(0.1 + 0.8 * predicted + noise * rng.normal(), 0), 1)
        lines.append(f"s{i},{predicted},{score}")
    path = folder / f"{name}.csv"
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.fixture
def files(tmp_path: Path) -> Path:
    (tmp_path / "labels.csv").write_text("sequence_id,label\n" + "".join(f"s{i},{y}\n" for i, y in enumerate(LABELS)))
    for name, wrong in (("perfect", 0), ("one", 1), ("two", 2), ("three", 3), ("ten", 10)):
        write(tmp_path, name, wrong)
    return tmp_path


def run(workspace: Workspace, files: Path, *arguments: str) -> tuple[int, str, str]:
    done = workspace.apb("compare", *arguments, "--report-dir", str(files / "reports"))
    assert done.returncode in (0, 1), done.stderr
    return done.returncode, done.stdout, (files / "reports" / "validation_report.md").read_text()


@pytest.mark.parametrize(
    ("candidate", "baseline", "code"),
    [("three", "three", 0), ("one", "ten", 0), ("three", "one", 0), ("three", "perfect", 1), ("ten", "one", 1)],
)
def test_a_drop_beyond_the_threshold_halts(
    workspace: Workspace, files: Path, candidate: str, baseline: str, code: int
) -> None:
    """Two of 40 rows are a drop of 0.05 exactly, which passes; three are not."""
    labels = str(files / "labels.csv")
    arguments = [str(files / f"{candidate}.csv"), str(files / f"{baseline}.csv"), "--labels", labels]
    found, said, report = run(workspace, files, *arguments)
    assert found == code
    assert ("DEPLOYMENT HALTED" in report) == ("DEPLOYMENT HALTED" in said) == (code == 1)
    assert ("## Next steps" in report) == (code == 1)
    assert ("PASSED" in said) == (code == 0)
    assert run(workspace, files, *arguments, "--threshold", "0.5")[0] == 0


def test_the_report_holds_both_sides(workspace: Workspace, files: Path) -> None:
    _, _, report = run(
        workspace, files, str(files / "ten.csv"), str(files / "one.csv"), "--labels", str(files / "labels.csv")
    )
    assert f"class 1   {10:>13}{5:>13}" in report  # the candidate misses the first ten positives
    assert f"class 1   {1:>13}{14:>13}" in report
    assert "only the candidate on 0, only the baseline on 9" in report
    assert f"p = {stats.binomtest(0, 9).pvalue:.3g}" in report
    assert all(METRICS[name].title in report for name in KINDS["classification"].metrics)


def test_json_is_scikit_learns(workspace: Workspace, files: Path) -> None:
    done = workspace.apb(
        "compare", str(files / "ten.csv"), str(files / "one.csv"), "--labels", str(files / "labels.csv"), "--json",
        "--report-dir", str(files),
    )  # fmt: skip
    row = json.loads(done.stdout)["tracks"][0]["differences"]["accuracy"]
    predicted = [1 - y if i < 10 else y for i, y in enumerate(LABELS)]
    assert row["candidate"]["value"] == accuracy_score(LABELS, predicted)
    assert row["value"] == pytest.approx(-9 / 40)
    assert row["paired"] and row["low"] < row["value"] < row["high"] < 0
    assert confusion_matrix(LABELS, predicted).tolist() == [[25, 0], [10, 5]]


@pytest.mark.parametrize(
    "stated",
    [
        '{"accuracy": 0.9}', '{"metrics": {"accuracy": {"value": 0.9, "low": 0.8, "high": 0.95}, "auc": 0.7}}',
        '{"accuracy": 0.9, "confusion_matrix": [[23, 2], [2, 13]]}',
    ],
)  # fmt: skip
def test_a_baseline_may_be_stated(workspace: Workspace, files: Path, stated: str) -> None:
    (files / "stated.json").write_text(stated)
    for given in (stated, str(files / "stated.json")):
        arguments = [str(files / "ten.csv"), "--labels", str(files / "labels.csv"), "--baseline-metrics", given]
        code, said, _ = run(workspace, files, *arguments)
        assert code == 1
        assert "accuracy fell by 0.1500" in said


def test_what_apb_score_prints_is_a_baseline(workspace: Workspace, files: Path) -> None:
    labels = str(files / "labels.csv")
    scored = workspace.apb("score", str(files / "one.csv"), "--labels", labels, "--json").stdout
    (files / "old.json").write_text(scored)
    code, said, report = run(workspace, files, str(files / "ten.csv"), str(files / "old.json"), "--labels", labels)
    assert code == 1
    assert "accuracy fell by 0.2250" in said
    assert "not paired" in report
    assert report.count("```") == 4


def test_without_a_baseline_the_candidate_stands_alone(workspace: Workspace, files: Path) -> None:
    code, said, report = run(workspace, files, str(files / "ten.csv"), "--labels", str(files / "labels.csv"))
    assert code == 0
    assert "NOT COMPARED" in said
    assert "comparison is not available" in report
    assert "0.7500" in report


@pytest.mark.parametrize(
    "arguments",
    [
        ["nobody"], ["{files}/one.csv"], ["{files}/none.csv", "--labels", "{files}/labels.csv"],
        ["{files}/one.csv", "--labels", "{files}/labels.csv", "--baseline-metrics", "{"],
        ["{files}/one.csv", "--labels", "{files}/labels.csv", "--baseline-metrics", "[0.9]"],
        ["{files}/one.csv", "--labels", "{files}/labels.csv", "--baseline-metrics", '{"accuracy": 91}'],
        ["{files}/one.csv", "--labels", "{files}/labels.csv", "--baseline-metrics", '{"accuracy": NaN}'],
        ["{files}/one.csv", "--labels", "{files}/labels.csv", "--baseline-metrics", '{"accuracy": true}'],
        ["{files}/one.csv", "--labels", "{files}/labels.csv", "--baseline-metrics", '{"wisdom": 1}'],
        ["{files}/one.csv", "nobody", "--labels", "{files}/labels.csv"],
        ["{files}/one.csv", "{files}/one.csv", "--labels", "{files}/labels.csv", "--baseline-metrics", "{}"],
    ],
)  # fmt: skip
def test_what_cannot_be_compared_is_said(workspace: Workspace, files: Path, arguments: list[str]) -> None:
    done = workspace.apb("compare", *(a.replace("{files}", str(files)) for a in arguments))
    assert done.returncode in (1, 2)
    assert done.returncode == 2 or "none.csv" in done.stderr
    assert "Traceback" not in done.stderr and done.stderr.strip()


def test_results_are_compared_in_pairs_where_the_predictions_are_kept(build: Build, workspace: Workspace) -> None:
    workspace.submit("first", build("compare-first", HONEST))
    workspace.submit("second", build("compare-second", HONEST.replace('count("R")', 'count("K")')))
    workspace.submit("broken", build("compare-broken", "raise SystemExit(3)"))
    assert workspace.evaluate().returncode == 0
    hidden = ["--hidden", str(workspace.root / "test_data")]
    paired = json.loads(workspace.apb("compare", "first", "second", *hidden, "--threshold", "1", "--json").stdout)
    alone = json.loads(workspace.apb("compare", "first", "second", "--threshold", "1", "--json").stdout)
    for name in ("roc_auc", "accuracy", "mcc", "brier"):
        a, b = (found["tracks"][0]["differences"][name] for found in (paired, alone))
        assert a["value"] == b["value"] and a["paired"] and not b["paired"]
    assert paired["tracks"][0]["pairs"]["both"] > 0
    failed = workspace.apb("compare", "broken", "first")
    assert failed.returncode == 1 and "EXIT_NONZERO" in failed.stdout
    assert workspace.apb("compare", "first", "broken").returncode == 0
    assert (workspace.root / "reports" / "validation_report.md").is_file()


def test_paired_intervals_cover(tmp_path: Path) -> None:
    """Two entries of equal worth, correlated as real ones are: nominal 95 % holds 0 in 91 to 99 %."""
    rng, covered = np.random.default_rng(4), {"roc_auc": 0, "mcc": 0, "brier": 0, "accuracy": 0}
    (tmp_path / "labels.csv").write_text("sequence_id,label\n" + "".join(f"s{i},{int(i < 27)}\n" for i in range(86)))
    truth = np.r_[np.ones(27), np.zeros(59)]
    sources = Sources(Results(tmp_path), State(tmp_path), tmp_path, labels=tmp_path / "labels.csv")
    times = 200
    for _ in range(times):
        shared = rng.normal(size=86) + truth
        for name in ("a", "b"):
            score = 1 / (1 + np.exp(0.5 - shared - 0.7 * rng.normal(size=86)))
            rows = (f"s{i},{int(s > 0.5)},{s}\n" for i, s in enumerate(score))
            (tmp_path / f"{name}.csv").write_text("sequence_id,prediction,score\n" + "".join(rows))
        (found,) = compare(str(tmp_path / "a.csv"), str(tmp_path / "b.csv"), sources)
        for name in covered:
            row = found.differences[name]
            assert row.low is not None and row.high is not None
            covered[name] += row.low <= 0 <= row.high
    assert all(0.91 * times <= count <= 0.99 * times for count in covered.values()), covered


def test_names_from_outside_are_inert(workspace: Workspace, files: Path) -> None:
    evil = files / "<script>`|x|`\x1b[31m.csv"
    evil.write_text((files / "one.csv").read_text())
    _, said, report = run(workspace, files, str(evil), "--labels", str(files / "labels.csv"))
    assert "\x1b" not in said + report
    assert "<script>" not in re.sub(r"`[^`]*`", "", report).replace("\\<", "")  # in code, markdown acts on nothing


def test_a_result_of_nobody_is_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError):
        compare("nobody", None, Sources(Results(tmp_path), State(tmp_path), tmp_path))


def test_it_says_whether_the_candidate_is_above_net_charge(workspace: Workspace, build: Build, files: Path) -> None:
    charge = HONEST.replace('row["sequence"].count("R")', 'row["sequence"].count("K")')
    workspace.submit("net-charge", build("compare-charge", charge))
    workspace.submit("candidate", build("compare", HONEST))
    assert workspace.evaluate().returncode == 0
    hidden = ("--hidden", str(workspace.root / "test_data"))
    code, said, report = run(workspace, files, "candidate", *hidden)
    found = json.loads(workspace.apb("compare", "candidate", *hidden, "--json").stdout)["tracks"][0]["to_charge"]
    one, other = (json.loads((workspace.results / n / "smoke.json").read_text()) for n in ("candidate", "net-charge"))
    assert found["value"] == one["metrics"]["roc_auc"]["value"] - other["metrics"]["roc_auc"]["value"]
    assert found["metric"] == "roc_auc" and found["paired"] and found["low"] < found["value"] < found["high"]
    assert code == 0 and "to net charge by ROC-AUC" in said and "To net charge by ROC-AUC" in report
    assert "to net charge" not in run(workspace, files, "net-charge", *hidden)[1]
