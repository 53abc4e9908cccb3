"""What is derived is made from what is stored: a round cut short, a lost state, a changed entry leave nothing stale."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from evaluator.scoring.scorer import SCORER_VERSION
from evaluator.store.results import Results
from tests.conftest import HONEST, ROOT, WITHOUT_PANEL, Build, Workspace
from tests.support.cut_short import STAGES

ENTRIES = ("ann-a", "ben-b", "cem-c")
SIGNALS = ("SIGINT", "SIGTERM", "SIGKILL")
FUZZY = {"evaluated_at", "commit", "date"}


@pytest.fixture(scope="module")
def played(build: Build, tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """A benchmark with three scored and ranked entries: to be copied."""
    root = tmp_path_factory.mktemp("derived") / "benchmark"
    shutil.copytree(ROOT / "test_data", root / "test_data", ignore=WITHOUT_PANEL)
    (root / "submissions").mkdir()
    workspace = Workspace(root)
    for k, name in enumerate(ENTRIES):
        image = build(f"derived-{k}", HONEST.replace('count("R")', f'count("{"RKD"[k]}")'))
        workspace.submit(name, image)
    done = workspace.evaluate(timeout=300)
    assert done.returncode == 0, done.stderr
    return workspace


@pytest.fixture
def bench(played: Workspace, tmp_path: Path) -> Workspace:
    shutil.copytree(played.root, tmp_path / "bench")
    return Workspace(tmp_path / "bench")


def derived(workspace: Workspace) -> dict[str, str]:
    """Standings, pairs, tables and records, but for dates."""

    def plain(value: object) -> object:
        if isinstance(value, dict):
            return {k: plain(v) for k, v in value.items() if k not in FUZZY}
        return [plain(v) for v in value] if isinstance(value, list) else value

    found = {}
    for path in sorted(workspace.results.rglob("*")):
        if path.suffix == ".json":
            found[path.relative_to(workspace.results).as_posix()] = json.dumps(plain(json.loads(path.read_bytes())))
        elif path.suffix == ".md":
            found[path.name] = path.read_text()
    return found


def by_an_old_scorer(workspace: Workspace) -> None:
    """Make every record due for scoring again, every ranking anew, and a table: a round without a container."""
    (workspace.root / "pyproject.toml").write_text("[tool.apb]\nlevel = 0.9\n")
    for path in workspace.results.glob("*/smoke.json"):
        path.write_text(path.read_text().replace(f'"scorer": "{SCORER_VERSION}"', '"scorer": "0"'))


@pytest.fixture(scope="module")
def whole(played: Workspace, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What a round that is not cut short leaves."""
    root = tmp_path_factory.mktemp("whole") / "benchmark"
    shutil.copytree(played.root, root)
    by_an_old_scorer(Workspace(root))
    assert Workspace(root).evaluate().returncode == 0
    return derived(Workspace(root))


@pytest.mark.parametrize("stage", STAGES)
def test_a_round_cut_short_at_any_stage_and_started_again_is_as_one_that_was_not(
    bench: Workspace, whole: dict[str, str], stage: str
) -> None:
    by_an_old_scorer(bench)
    for name in SIGNALS:
        cut = Workspace(shutil.copytree(bench.root, bench.root.parent / f"cut-{name}"))
        command = [sys.executable, "-m", "tests.support.cut_short", stage, name, "--", *cut.command("evaluate")[3:]]
        done = subprocess.run([*command, *cut.on_smoke()], cwd=ROOT, capture_output=True, timeout=120, check=False)
        assert done.returncode != 0
        again = cut.evaluate()
        assert again.returncode == 0, again.stderr
        assert derived(cut) == whole, name
    looked = cut.apb("verify")
    assert looked.returncode == 0, looked.stdout


def test_a_lost_state_takes_nobodys_rank(bench: Workspace, played: Workspace) -> None:
    before = Results(bench.results).standings("smoke")
    shutil.rmtree(bench.state)
    bench.submit("new-one", _image_of(bench, "ann-a"))
    done = bench.evaluate()
    assert done.returncode == 3
    for told in ("ranks of smoke", *ENTRIES[1:], "backup", "--force", "takes about 0:00:0"):
        assert told in done.stdout + done.stderr, told
    assert Results(bench.results).standings("smoke") == before
    assert Results(bench.results).get("new-one", "smoke") is not None  # its own score is kept all the same
    site = bench.apb("publish")
    assert (
        site.returncode == 0
        and "left out for now" in (bench.root / "leaderboard/site/tracks/smoke/index.html").read_text()
    )
    shutil.copytree(played.state / "predictions", bench.state / "predictions", dirs_exist_ok=True)  # the backup
    assert bench.evaluate().returncode == 0
    after = Results(bench.results).standings("smoke")
    assert after is not None and set(after.entries) == {*ENTRIES, "new-one"}


def _image_of(workspace: Workspace, name: str) -> str:
    lines = (workspace.root / "submissions" / f"{name}.yaml").read_text().splitlines()
    return next(line.partition(": ")[2] for line in lines if line.startswith("docker_image"))


def test_what_has_changed_since_is_told_not_shown_and_made_anew(bench: Workspace) -> None:
    page = bench.root / "leaderboard/site/tracks/smoke/index.html"
    entry = bench.root / "submissions" / "ann-a.yaml"
    original = entry.read_text()
    track = bench.root / "test_data" / "tracks" / "smoke.yaml"
    track.write_text(track.read_text() + "same_labels: [synthetic]\n")
    assert bench.evaluate().returncode == 0
    for change in ("withdrawn: a mistake", "training_data: [synthetic]"):
        entry.write_text(f"{original}{change}\n")
        looked = bench.apb("verify")
        assert "FAIL     the ranking of smoke is not of today's records" in looked.stdout and looked.returncode == 3
        assert bench.apb("publish").returncode == 0 and "left out for now" in page.read_text()
        done = bench.evaluate()
        assert done.returncode == 0 and "0 scored" in done.stdout, done.stderr
        after = Results(bench.results).standings("smoke")
        assert after is not None and set(after.entries) == set(ENTRIES[1:])
        assert all(entry.to_best.value is not None and entry.to_best.value <= 0 for entry in after.entries.values())
        assert bench.apb("publish").returncode == 0 and "left out for now" not in page.read_text()
        entry.write_text(original)
        assert bench.evaluate().returncode == 0


def test_another_primary_metric_makes_another_ranking(bench: Workspace) -> None:
    track = bench.root / "test_data" / "tracks" / "smoke.yaml"
    track.write_text(track.read_text().replace("primary_metric: roc_auc", "primary_metric: accuracy"))
    done = bench.evaluate()
    assert done.returncode == 0 and "0 scored" in done.stdout
    after = Results(bench.results).standings("smoke")
    assert after is not None and after.metric == "accuracy"


def test_edited_ranks_and_history_do_not_verify(bench: Workspace) -> None:
    assert bench.apb("verify").returncode == 0
    standings, history = bench.results / "smoke.standings.json", bench.results / "history.jsonl"
    edits: list[tuple[Path, Callable[[str], str], str]] = [
        (standings, lambda t: t.replace('"rank_low": null', '"rank_low": 1'), "smoke.standings.json is not as it"),
        (history, lambda t: t.replace('"status":"ok"', '"status":"failed"', 1), "changed or removed"),
        (history, lambda t: t.partition("\n")[2], "1 lines of the history were changed or removed"),
    ]
    for path, edit, told in edits:
        original = path.read_text()
        path.write_text(edit(original))
        assert path.read_text() != original
        looked = bench.apb("verify")
        assert looked.returncode == 3 and told in looked.stdout, looked.stdout
        path.write_text(original)


def test_hidden_data_that_are_not_there_keep_verify_from_nothing(bench: Workspace) -> None:
    looked = bench.apb("verify", "--hidden", str(bench.root / "nowhere"))
    assert looked.returncode == 0 and "the chain of" in looked.stdout and "nowhere is no folder" in looked.stdout


def test_one_bad_track_leaves_the_others(bench: Workspace) -> None:
    labels = bench.root / "test_data" / "smoke-vhh" / "labels.csv"
    labels.write_text(labels.read_text().replace(",1", ",0", 1))
    bench.submit("new-one", _image_of(bench, "ann-a"))
    done = bench.apb("evaluate", "--hidden", str(bench.root / "test_data"), "--tracks", "smoke,smoke-vhh")
    assert done.returncode == 3 and "smoke-vhh is left out" in done.stderr
    assert Results(bench.results).get("new-one", "smoke") is not None


def test_half_a_line_is_told_and_the_round_goes_on(bench: Workspace) -> None:
    with (bench.results / "history.jsonl").open("a") as stream:
        stream.write('{"date": "20')
    by_an_old_scorer(bench)
    done = bench.evaluate()
    assert done.returncode == 0 and "ended in half a line, which is set aside in" in done.stderr
    assert len(Results(bench.results).history()) == 6 and bench.apb("verify").returncode == 0
