"""Which entry fits a few labels: by likelihood, with what cannot answer told and left out."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import log_loss

from evaluator.scoring.likelihood import gain
from tests.conftest import HONEST, ROOT, Build, Workspace

KNOWS = HONEST.replace(
    'score = row["sequence"].count("R") / len(row["sequence"])', 'score = 0.1 + 0.8 * (row["sequence"][0] == "E")'
)


@pytest.fixture(autouse=True)
def _panel(workspace: Workspace) -> None:
    shutil.copytree(ROOT / "test_data" / "panel", workspace.root / "test_data" / "panel")


@pytest.fixture
def labels(tmp_path: Path) -> Path:
    """Of practice sequences: 1 where the first residue is E."""
    with (ROOT / "test_data" / "smoke" / "sequences.csv").open() as stream:
        rows = list(csv.DictReader(stream))[:20]
    path = tmp_path / "mine.csv"
    path.write_text(
        "sequence_id,sequence,label\n"
        + "".join(f"{r['sequence_id']},{r['sequence']},{int(r['sequence'][0] == 'E')}\n" for r in rows)
    )
    return path


def test_gains_are_log_losses() -> None:
    rng = np.random.default_rng(1)
    truth = rng.integers(0, 2, 25).astype(np.int8)
    score = np.clip(truth * 0.3 + rng.uniform(0.1, 0.6, 25), 0.02, 0.98)
    share = (truth.sum() + 1) / 27
    expected = (log_loss(truth, np.full(25, share)) - log_loss(truth, score)) / np.log(2)
    found = gain(truth, score)
    assert found.value == pytest.approx(expected) and found.low < expected < found.high
    assert gain(np.zeros(5, dtype=np.int8), np.full(5, 0.01)).helps  # of one class: less than a constant is told too


def test_images_and_published_predictions_are_ranked_together(
    workspace: Workspace, build: Build, labels: Path, tmp_path: Path
) -> None:
    workspace.submit("knows", build("recommend-knows", KNOWS))
    workspace.submit("other", build("recommend-other", HONEST))
    workspace.submit("fails", build("recommend-fails", "raise SystemExit(1)"))
    with labels.open() as stream:
        rows = list(csv.DictReader(stream))
    folder = tmp_path / "published"
    folder.mkdir()
    half = "".join(f"{r['sequence_id']},0.5\n" for r in rows)
    (folder / "undecided.csv").write_text("sequence_id,score\n" + half)
    (folder / "short.csv").write_text("sequence_id,score\n" + half.splitlines()[0] + "\n")
    (folder / "wide.csv").write_text("sequence_id,score\n" + half.replace("0.5", "7"))
    done = workspace.apb(
        *(
            "recommend",
            "--labels",
            str(labels),
            "--predictions",
            str(folder),
            "--entries",
            "knows,other,fails",
            "--json",
        )
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found[0]["name"] == "knows" and found[0]["helps"]
    assert {one["name"] for one in found} == {"knows", "other", "undecided"}
    for told in (
        "short.csv is left out",
        "wide.csv is left out",
        "fails is left out: The run ended with exit status 1",
    ):
        assert told in done.stderr
    assert not list(workspace.results.glob("*/*.json"))  # nothing is recorded


def test_what_cannot_be_told_is_refused(workspace: Workspace, labels: Path, tmp_path: Path) -> None:
    few = tmp_path / "few.csv"
    few.write_text("".join(labels.read_text().splitlines(keepends=True)[:4]))
    refused = workspace.apb("recommend", "--labels", str(few))
    assert refused.returncode == 2 and "fewer than 4" in refused.stderr
    refused = workspace.apb("recommend", "--labels", str(labels), "--entries", "nobody")
    assert refused.returncode == 2 and "nobody cannot be asked" in refused.stderr
    targets = tmp_path / "targets.csv"
    targets.write_text(labels.read_text().replace("label", "target"))
    refused = workspace.apb("recommend", "--labels", str(targets))
    assert refused.returncode == 2 and "needs classes" in refused.stderr
