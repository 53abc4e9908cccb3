"""A sweep as jobs of a real SLURM, and what is told where it cannot be."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from baselines.errors import DataError
from baselines.training import launch
from baselines.training.schema import Sweep
from baselines.training.synthetic import antibodies
from tests.support.slurm import started


def test_heads_are_trained_by_jobs_of_slurm(tmp_path: Path) -> None:
    antibodies(150, seed=3).to_csv(tmp_path / "train.csv", index=False)
    with started(tmp_path / "slurm") as cluster:
        done = subprocess.run(
            [Path(sys.executable).with_name("apb-zoo"), "train", "-m", "classifier=logreg,calibrated",
             f"data.train={tmp_path / 'train.csv'}", f"out={tmp_path / 'out'}", "sweep=slurm", "sweep.jobs=2",
             "sweep.cpus=1", "sweep.memory_gb=2", f"sweep.shared_folder={tmp_path / 'shared'}"],
            env=cluster.environment, capture_output=True, text=True, check=False, timeout=300,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        assert "composition logreg: trained" in done.stdout and "composition calibrated: trained" in done.stdout
        assert list((tmp_path / "shared" / "logs").iterdir())
        assert not cluster.run("squeue", "--noheader", "--states=RUNNING,PENDING").strip()
    assert (tmp_path / "out" / "checkpoints" / "composition" / "calibrated" / "metadata.json").is_file()


def test_where_slurm_cannot_be_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DataError, match="shared_folder"), launch.launched(Sweep("slurm", 2)):
        pass
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(DataError, match="no sbatch"), launch.launched(Sweep("slurm", 2, shared_folder=str(tmp_path))):
        pass
