"""A few-shot track: what each of its many runs costs beyond the model's own time."""

from __future__ import annotations

import csv
import json
import random
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import yaml

from evaluator.contract.sequences import AMINO_ACIDS
from evaluator.preparing.prepare import prepare_new
from evaluator.settings import Repository
from scripts.machine import base_image, engine

ROOT = Path(__file__).resolve().parent.parent
TASKS, ANTIBODIES, REPLICATES = 9, 150, 20
SLEEPS = """import csv, os, time
time.sleep(1)
with open(os.environ["INPUT"]) as source, open(os.environ["OUTPUT"], "w") as target:
    target.write("sequence_id,score\\n")
    target.writelines(f"{row['sequence_id']},{len(row['sequence'])}\\n" for row in csv.DictReader(source))
"""


def main() -> None:
    """Print the line."""
    docker = engine()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "benchmark"
        shutil.copytree(ROOT / "test_data", root / "test_data")
        repository = Repository(root)
        _panel(Path(folder) / "panel.csv")
        path = prepare_new("nine-tasks", Path(folder) / "panel.csv", root / "hidden", repository)
        content = yaml.safe_load(path.read_text())
        runs = REPLICATES * len(content["few_shot"]["sizes"])
        content["few_shot"]["canaries"] = 0
        path.write_text(yaml.safe_dump(content))
        context = Path(folder) / "image"
        context.mkdir()
        (context / "predict.py").write_text(SLEEPS)
        (context / "Dockerfile").write_text(
            f'FROM {base_image(docker)}\nCOPY predict.py /\nCMD ["python3", "/predict.py"]\n'
        )
        docker.images.build(path=str(context), tag="apb/bench-one-second:1.0", rm=True, forcerm=True)
        entry = repository.submissions / "sleeps.yaml"
        entry.parent.mkdir(parents=True)
        entry.write_text(
            "name: Sleeps\ndocker_image: apb/bench-one-second:1.0\nauthor: a@b.org\nfew_shot: {mode: inductive}\n"
        )
        job = [sys.executable, "-m", "evaluator", "--root", str(root), "evaluate", "sleeps", "--tracks", "nine-tasks"]
        done = subprocess.run(
            [*job, "--hidden", str(root / "hidden"), "--json"], capture_output=True, text=True, check=True
        )
        taken = json.loads(done.stdout)["seconds"]
        beyond = taken / (runs + 1) - 1  # one run is audited by another
        print(f"{runs} runs of {TASKS} tasks, a model that takes 1 s: {beyond:.2f} s a run beyond it (bar 1.5 s)")


def _panel(path: Path) -> None:
    rng = random.Random(1)  # noqa: S311 - not a secret
    with path.open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["sequence_id", "sequence", "assay", "target"])
        letters = sorted(AMINO_ACIDS - {"X"})
        for task in range(TASKS):
            for k in range(ANTIBODIES):
                writer.writerow(
                    [f"t{task}-{k}", "".join(rng.choices(letters, k=120)), f"assay-{task}", rng.gauss(0, 1)]
                )


if __name__ == "__main__":
    main()
