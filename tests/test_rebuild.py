"""`make rebuild`: every number is made again or said not to be, and one that was tampered with is found."""

from __future__ import annotations

import csv
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner

from baselines import package
from evaluator.commands import cli
from evaluator.integrity import overlap
from evaluator.settings import Repository
from evaluator.store.state import State
from scripts import results
from scripts.rebuild import rebuild
from scripts.rebuilding import site, tables
from scripts.rebuilding.board import Board
from scripts.rebuilding.found import Found
from tests.conftest import REAL_DATA, ROOT

ARCHIVED = (
    "name: {0}\nauthor: somebody\ntraining_data: [flab]\narchived: {{source: there, protocol: trained on other data}}\n"
)
PUBLISHED, TRAINED = "published_scores.csv", "trained_on.csv"


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One track, its two plain reference models, and published predictions of a third entry."""
    root = tmp_path_factory.mktemp("small") / "benchmark"
    for name in ("tracks/smoke.yaml", "smoke/sequences.csv", "smoke/labels.csv"):
        (root / "test_data" / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / "test_data" / name, root / "test_data" / name)
    (root / "submissions").mkdir()
    for name in ("net-charge", "random"):
        shutil.copy(ROOT / "submissions" / f"{name}.yaml", root / "submissions")
        package.lay_out(name, root / "images")
    (root / "submissions" / "other.yaml").write_text(ARCHIVED.format("Other"))
    with (root / "test_data" / "smoke" / "labels.csv").open() as stream:
        rows = [(r["sequence_id"], int(r["label"]) ^ (k % 9 == 0)) for k, r in enumerate(csv.DictReader(stream))]
    (root / "papers").mkdir()
    lines = [f"{name},{y},{0.3 + 0.4 * y}\n" for name, y in rows]
    (root / "papers" / PUBLISHED).write_text("sequence_id,prediction,score\n" + "".join(lines))
    few = (root / "test_data" / "smoke" / "sequences.csv").read_text().splitlines()[:20]
    (root / "papers" / TRAINED).write_text("\n".join(few) + "\n")
    of_smoke = ("--hidden", str(root / "test_data"))
    for command in (
        ("overlap", "--train", str(root / "papers" / TRAINED), *of_smoke, "--tracks", "smoke", "--write", "flab"),
        ("evaluate", "--all", *of_smoke, "--tracks", "smoke", "--unsandboxed", str(root / "images")),
        ("archive", "other", *of_smoke, "--track", "smoke", "--predictions", str(root / "papers" / PUBLISHED)),
        ("audit-data", "smoke", *of_smoke, "--train", f"flab={root / 'papers' / TRAINED}", "--write"),
        ("publish",),
    ):
        done = CliRunner().invoke(cli.app, ["--root", str(root), *command])
        assert done.exit_code == 0, done.output
    (root / "docs").mkdir()
    results.write(root)
    return root


def parts(root: Path, work: Path, state: Path | None = None) -> dict[str, Found]:
    work.mkdir()
    train = [overlap.read_known(root / "papers" / TRAINED, "flab")]
    board = Board(Repository(root), None, root / "papers", train, State(state or root / ".apb"), work)
    return {found.what: found for found in rebuild(board)}


def test_with_all_at_hand_every_number_is_equal(small: Path, tmp_path: Path) -> None:
    found = parts(small, tmp_path / "work")
    assert [line for part in found.values() for line in part.differs] == []
    left = {part.what for part in found.values() if part.left}
    assert left == {"coverage of the intervals", "what was seen of images"}, "simulated, and measured"
    assert found["scores without relatives"].equal >= 4 and found["relatives of training sets"].equal > 20
    records = [json.loads(p.read_text()) for p in (small / "leaderboard" / "results").glob("*/*.json")]
    intervals = sum(v[end] is not None for r in records for v in r["metrics"].values() for end in ("value", "low"))
    assert len(records) == 3 and found["scores, intervals and curves"].equal > intervals
    assert found["tiers, ranks and paired differences"].equal > 10 and found["site (files)"].equal > 20
    assert found["audits of the tracks' data"].equal > 10 and found["tables at hand (hashes)"].equal == 2


def test_without_kept_predictions_public_things_are_rebuilt(
    small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "benchmark"
    shutil.copytree(small, root, ignore=shutil.ignore_patterns(".apb"))
    full = parts(root, tmp_path / "again")  # published predictions, and the two models run as plain processes
    assert not full["scores, intervals and curves"].left and not full["scores, intervals and curves"].differs
    assert not full["tiers, ranks and paired differences"].left
    (root / "papers" / PUBLISHED).unlink()
    monkeypatch.setattr("scripts.rebuilding.board.PLAIN", ())
    less = parts(root, tmp_path / "less")
    assert not [line for part in less.values() for line in part.differs]
    assert {why.partition(":")[0] for why in less["scores, intervals and curves"].left} == {
        "the image must run again", "the published predictions are not here",
    }  # fmt: skip
    assert less["scores, intervals and curves"].equal >= 3 * 4
    assert less["tiers, ranks and paired differences"].equal > 4


def edited(name: str, *path: str | int) -> Callable[[Path], None]:
    """Adds a little to one number of a file."""

    def apply(root: Path) -> None:
        file = root / "leaderboard" / name
        content = json.loads(file.read_text())
        place = content
        for step in path[:-1]:
            place = place[step]
        place[path[-1]] += 1 if isinstance(place[path[-1]], int) else 0.004
        file.write_text(json.dumps(content))

    return apply


def page(root: Path) -> None:
    file = root / "leaderboard" / "site" / "tracks" / "smoke" / "index.html"
    file.write_text(file.read_text().replace("0.", "0.9", 1))


def told(root: Path) -> None:
    file = root / results.PAGE
    file.write_text(file.read_text().replace("95 %", "99 %"))


def history(root: Path) -> None:
    file = root / "leaderboard" / "results" / "history.jsonl"
    file.write_text(re.sub(r'"roc_auc":\[null,0\.\d', '"roc_auc":[null,0.1', file.read_text(), count=1))


def sequences(root: Path) -> None:
    file = root / "test_data" / "smoke" / "sequences.csv"
    file.write_text(file.read_text().replace("QVQ", "QVE", 1).replace("EVQ", "EVE", 1))


TAMPERED: list[list[tuple[Callable[[Path], None], str]]] = [
    [
        (edited("results/other/smoke.json", "metrics", "brier", "low"), "other on smoke: metrics.brier.low"),
        (edited("results/random/smoke.json", "curves", "roc", "tpr", 5), "random on smoke: curves.roc.tpr.5"),
        (edited("results/smoke.standings.json", "entries", "random", "to_best", "value"), "random.to_best.value"),
        (edited("results/smoke.pairs.json", "deviation", 1, 0), "deviation.1.0"),
        (history, "the history of"),
        (edited("results/other/smoke.json", "unrelated", "value", "high"), "smoke, without relatives: value.high"),
        (edited("../test_data/relatives/flab.json", "tracks", "smoke", "rows", 3), "flab on smoke: rows.3"),
    ],
    [
        (page, "tracks/smoke/index.html of the site"),
        (told, "docs/results.md line"),
        (sequences, "smoke: "),
    ],
]


@pytest.mark.parametrize("changes", TAMPERED, ids=["records and rankings", "pages and tables"])
def test_each_number_that_was_changed_is_found(
    small: Path, tmp_path: Path, changes: list[tuple[Callable[[Path], None], str]]
) -> None:
    shutil.copytree(small, tmp_path / "benchmark")
    for tamper, _ in changes:
        tamper(tmp_path / "benchmark")
    differs = [line for part in parts(tmp_path / "benchmark", tmp_path / "work").values() for line in part.differs]
    assert [named for _, named in changes if not any(named in line for line in differs)] == []


def test_a_changed_rate_is_found_without_predictions(
    small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "benchmark"
    shutil.copytree(small, root, ignore=shutil.ignore_patterns(".apb"))
    monkeypatch.setattr("scripts.rebuilding.board.PLAIN", ())
    edited("results/net-charge/smoke.json", "metrics", "recall", "high")(root)
    found = parts(root, tmp_path / "work")["scores, intervals and curves"]
    assert [line.partition(" is ")[0] for line in found.differs] == ["net-charge on smoke: recall.high"]


def test_sealed_labels_are_said_to_be_sealed(small: Path, tmp_path: Path) -> None:
    root = tmp_path / "benchmark"
    shutil.copytree(small, root)
    shutil.rmtree(root / "test_data" / "smoke")
    track = root / "test_data" / "tracks" / "smoke.yaml"
    text = re.sub(r"\n  labels: (\w+)", r"\nlabels_hmac_sha256: \1", track.read_text())
    track.write_text(text.replace("disclosure: open", "disclosure: hidden"))
    found = parts(root, tmp_path / "work")
    assert set(found["scores, intervals and curves"].left) == {"the labels are sealed"}
    assert found["scores, intervals and curves"].equal and not found["scores, intervals and curves"].differs
    assert set(found["tiers, ranks and paired differences"].left) == {"the labels are sealed"}


def test_the_command_says_it_all_and_fails(small: Path, tmp_path: Path) -> None:
    root = tmp_path / "benchmark"
    shutil.copytree(small, root)
    edited("results/other/smoke.json", "metrics", "roc_auc", "value")(root)
    command = [sys.executable, "-m", "scripts.rebuild", "--root", str(root), "--published", str(root / "papers")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stderr
    assert "DIFFERS  other on smoke: metrics.roc_auc.value" in done.stdout
    assert "not rebuilt  coverage of the intervals" in done.stdout
    assert done.stdout.splitlines()[0].split() == ["part", "equal", "differ", "not", "rebuilt"]


@pytest.mark.skipif(not REAL_DATA.is_dir(), reason="the real data are not at hand")
def test_the_real_tables_and_the_ceiling_are_made_of_published_files(tmp_path: Path) -> None:
    board = Board(Repository(ROOT), None, REAL_DATA, [], State(tmp_path / "state"), tmp_path)
    made, _ = tables.of_tables(board)
    assert made.equal == 19 and not made.differs and not made.left
    assert site.of_ceilings(board).equal == 3
