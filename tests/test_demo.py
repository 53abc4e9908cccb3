"""The demo on a machine with an engine, without one, and on real data."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import docker
import pytest

from tests.conftest import REAL_DATA, ROOT
from tests.support import lanes


def demo(work: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [sys.executable, "-m", "scripts.demo", "--work", str(work), *arguments],
        cwd=ROOT, env={**os.environ, **environment}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done


@pytest.fixture
def references(engine: docker.DockerClient, base: str) -> Iterator[None]:
    """The demo's images have the same names for everybody."""
    with lanes.sole("references"):
        yield


def columns(work: Path, track: str) -> dict[str, list[Any]]:
    content: dict[str, list[Any]] = json.loads((work / "site/data/v1/results" / f"{track}.json").read_text())["columns"]
    return content


def test_the_demo_fills_the_board(references: None, tmp_path: Path) -> None:
    done = demo(tmp_path)
    assert f"Open {tmp_path}/site/index.html" in done.stdout
    assert columns(tmp_path, "smoke")["sandbox"] == ["docker"] * 3
    assert columns(tmp_path, "smoke-vhh")["status"] == ["ok"] * 3
    assert "trained on synthetic data" in (tmp_path / "site" / "tracks" / "smoke" / "index.html").read_text()
    assert "nothing to run" in demo(tmp_path).stderr


def test_without_an_engine_only_reference_models_run_and_are_marked(tmp_path: Path) -> None:
    nowhere = f"unix://{tmp_path}/no.sock"
    done = demo(tmp_path, DOCKER_HOST=nowhere)
    assert "no Docker engine" in done.stdout
    assert columns(tmp_path, "smoke")["sandbox"] == ["unsandboxed"] * 3
    assert "unsandboxed" in (tmp_path / "site" / "tracks" / "smoke" / "index.html").read_text()

    strangers = {
        "stranger": "docker.io/me/x:1",
        "imitator": "docker.io/apb/random:1.0",
        "other": "apb/random:2.0",
    }
    for name, image in strangers.items():
        (tmp_path / "submissions" / f"{name}.yaml").write_text(f"name: x\nauthor: y\ndocker_image: {image}\n")
    refused = subprocess.run(
        [
            sys.executable, "-m", "evaluator", "evaluate", "--hidden", "test_data", "--tracks", "smoke",
            "--state", f"{tmp_path}/state", "--submissions", f"{tmp_path}/submissions",
            "--results", f"{tmp_path}/results",
            "--unsandboxed", f"{tmp_path}/images", "--json",
        ],
        cwd=ROOT, env={**os.environ, "DOCKER_HOST": nowhere}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert refused.returncode == 3
    assert set(json.loads(refused.stdout)["ours"]) == {"stranger", "imitator", "other"}
    assert not (tmp_path / "results" / "stranger").exists()


@pytest.mark.skipif(not REAL_DATA.exists(), reason="the real data are not at hand")
def test_real_data_give_real_scores(references: None, tmp_path: Path) -> None:
    demo(tmp_path, "--hidden", str(REAL_DATA / "hidden"))
    jain = columns(tmp_path, "jain")
    scores = dict(zip(jain["submission"], jain["roc_auc"], strict=True))
    assert scores["net-charge"] == pytest.approx(0.644, abs=0.001)
    assert all(columns(tmp_path, track)["status"] == ["ok"] * 3 for track in ("jain", "shehata", "vhh48"))
    assert columns(tmp_path, "harvey")["status"] == ["not_run"] * 3
    entry = json.loads((tmp_path / "site/data/v1/submissions/composition-logreg.json").read_text())
    assert entry["training_data"] == ["boughter"]
