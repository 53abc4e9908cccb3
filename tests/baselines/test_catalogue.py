"""Many models at once: counts that add up, hostile files named and left out, and models ranked by a few labels."""

from __future__ import annotations

import json
import pickle
import shutil
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result
from safetensors.numpy import save_file
from sklearn.metrics import log_loss

from baselines.catalogue import recommend
from baselines.cli import app
from baselines.few_shot import store as few_shot
from baselines.training.synthetic import antibodies
from evaluator.settings import Repository
from leaderboard.build import build
from tests.conftest import ROOT


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(a) for a in arguments])


def stats(*arguments: object) -> Any:
    done = run("stats", *arguments, "--json")
    assert done.exit_code == 0, done.output
    return json.loads(done.output)


@pytest.fixture(scope="module")
def zoo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two heads, and a few-shot network."""
    folder = tmp_path_factory.mktemp("zoo")
    antibodies(120, seed=5).to_csv(folder / "train.csv", index=False)
    for head in ("logreg", "svm"):
        done = run(
            "train", "model=composition", f"classifier={head}", f"data.train={folder / 'train.csv'}", f"out={folder}"
        )
        assert done.exit_code == 0, done.output
    settings = {"type": "reptile", "width": 8, "finetune_steps": 1, "inner_rate": 0.1}
    metadata = {"name": "r", "settings": settings, "meta_training": ["synthetic"], "training": {}}
    few_shot.save(folder / "checkpoints" / "reptile", few_shot.network(settings), metadata)
    return folder / "checkpoints"


def test_counts_add_up(zoo: Path, tmp_path: Path) -> None:
    told = stats(zoo, "--out", tmp_path)
    assert told["total_models"] == 3 and not told["refused"]
    for what in ("type", "task", "dataset", "architecture", "backbone", "head"):
        assert sum(told[f"models_by_{what}"].values()) == 3 and (tmp_path / f"models_by_{what}.svg").is_file()
    assert told["models_by_head"] == {"logreg": 1, "svm": 1, "reptile": 1}
    made = few_shot.trained(zoo / "reptile")[0]
    size = told["parameter_count"]
    assert size["max"] == max(size["max"], sum(p.numel() for p in made.parameters())) and size["models"] == 3
    assert json.loads((tmp_path / "stats.json").read_text()) == told
    assert "| models | 3 |" in (tmp_path / "stats.md").read_text()


class _Planted:
    """A pickle that would leave a mark."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> Any:
        return (Path.touch, (self.mark,))


def _header(told: dict[str, Any], data: bytes = b"") -> bytes:
    text = json.dumps(told).encode()
    return struct.pack("<Q", len(text)) + text + data


def _hostile(zoo: Path, folder: Path) -> dict[str, str]:
    """Models of a folder that are not what they seem, and what is said of each."""
    mark = folder.parent / "mark"
    for name in ("pickle", "disguised", "wrong-shapes", "nan", "huge", "long", "skops-nan", "no-metadata", "metadata"):
        shutil.copytree(zoo / "reptile", folder / name)
    (folder / "pickle" / "extra.pkl").write_bytes(pickle.dumps(_Planted(mark)))
    (folder / "disguised" / "model.safetensors").write_bytes(pickle.dumps(_Planted(mark)))
    settings = {"type": "reptile", "width": 9, "finetune_steps": 1, "inner_rate": 0.1}
    few_shot.save(folder / "wrong-shapes", few_shot.network(settings), {"settings": settings, "name": "w"})
    path = folder / "wrong-shapes" / "metadata.json"
    path.write_text(path.read_text().replace('"width": 9', '"width": 8'))
    save_file({"a": np.array([1.0, np.nan], dtype=np.float32)}, folder / "nan" / "model.safetensors")
    tensor = {"dtype": "F32", "shape": [2_500_000_000], "data_offsets": [0, 10_000_000_000]}
    (folder / "huge" / "model.safetensors").write_bytes(_header({"a": tensor}))
    (folder / "long" / "model.safetensors").write_bytes(struct.pack("<Q", 10_000_000_000) + b"{}")
    shutil.rmtree(folder / "skops-nan")
    shutil.copytree(zoo / "composition" / "logreg", folder / "skops-nan")
    (folder / "skops-nan" / "model.skops").write_bytes(b"PK\x03\x04 no zip")
    (folder / "no-metadata" / "metadata.json").unlink()
    (folder / "metadata" / "metadata.json").write_text("[" * 100_000)
    return {
        "pickle": "extra.pkl is a pickle", "disguised": "is a pickle", "wrong-shapes": "holds no such network",
        "nan": "NaN or infinity", "huge": "does not fit", "long": "header of 10,000,000,000 bytes",
        "skops-nan": "no model in skops", "no-metadata": "nobody knows what they are", "metadata": "metadata.json",
    }  # fmt: skip


def test_a_hostile_checkpoint_is_named_and_stops_no_other(zoo: Path, tmp_path: Path) -> None:
    folder = tmp_path / "checkpoints"
    shutil.copytree(zoo, folder)
    expected = _hostile(zoo, folder)
    told = stats(folder)
    assert told["total_models"] == 3 and set(told["refused"]) == set(expected)
    assert {name: why for name, why in expected.items() if why not in told["refused"][name]} == {}
    assert not (tmp_path / "mark").exists()


def test_a_board_is_counted_by_what_it_publishes(tmp_path: Path) -> None:
    repository = Repository(ROOT)
    build(repository, submissions=repository.submissions, results=repository.results, out=tmp_path / "site")
    folder = tmp_path / "site" / "data" / "v1"
    told = stats("--board", folder)
    published = json.loads((folder / "index.json").read_text())
    assert told["total_models"] == len(published["submissions"]) - len(published["withdrawn"])
    assert sum(told["models_by_task"].values()) == told["total_models"] and not told["refused"]


def test_gains_are_log_losses() -> None:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, 30)
    probability = np.clip(labels * 0.4 + rng.uniform(0.1, 0.5, 30), 0.02, 0.98)
    found = recommend.candidate("m", probability, labels)
    share = (labels.sum() + 1) / 32
    expected = (log_loss(labels, np.full(30, share)) - log_loss(labels, probability)) / np.log(2)
    assert found.gain == pytest.approx(expected) and found.low < found.gain < found.high and found.helps


def test_models_and_published_predictions_are_ranked_together(zoo: Path, tmp_path: Path) -> None:
    own = antibodies(40, seed=6)
    own.to_csv(tmp_path / "mine.csv", index=False)
    good = own[["sequence_id"]].assign(score=own["label"] * 0.8 + 0.1)
    good.to_csv(tmp_path / "oracle.csv", index=False)
    good.iloc[:9].to_csv(tmp_path / "short.csv", index=False)
    good.assign(score=5.0).to_csv(tmp_path / "wide.csv", index=False)
    files = [x for name in ("oracle", "short", "wide") for x in ("--predictions", tmp_path / f"{name}.csv")]
    done = run("recommend", "--labels", tmp_path / "mine.csv", "--models", zoo, *files, "--json")
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert found[0]["name"] == "oracle" and found[0]["helps"] and found[0]["roc_auc"] == 1
    assert {f["name"] for f in found} == {"oracle", "composition/logreg", "composition/svm"}
    for told in ("short is left out", "wide is left out", "reptile is left out"):
        assert told in done.stderr
    own.iloc[:3].to_csv(tmp_path / "few.csv", index=False)
    refused = run("recommend", "--labels", tmp_path / "few.csv", "--models", zoo)
    assert "fewer than 4" in str(refused.exception)
