"""The main job on this machine: reference images -> apb evaluate -> apb publish -> a page to open.

Everything it writes is under --work. Without --hidden it uses the two practice tracks that ship with the project.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path

from baselines import package
from baselines.training.composition_logreg import composition_logreg, save
from baselines.training.data import SOURCES, read_training_set
from baselines.training.synthetic import antibodies
from scripts.machine import Missing, base_image, engine, say

ROOT = Path(__file__).resolve().parent.parent
REFERENCES = ("composition-logreg", "net-charge", "random")


def training_file(work: Path, hidden: Path | None, named: str) -> Path:
    """The training CSV: the one named, the fetched one, one beside the hidden data, else a synthetic one made now."""
    if named:
        return Path(named)
    beside = [hidden.parent / "train" / "boughter_vh.csv"] if hidden else []
    for path in (ROOT / "data" / "boughter_vh.csv", *beside):
        if path.is_file():
            return path
    path = work / "synthetic_training.csv"
    path.parent.mkdir(parents=True, exist_ok=True)
    antibodies(400, seed=1).to_csv(path, index=False, lineterminator="\n")
    return path


def reference_images(work: Path, training: Path, base: str | None, submissions: Path | None = None) -> None:
    """Train, lay out and (with a base image) build the three reference models, and write their submissions.

    Args:
        submissions: where those are written; by default beside the rest.
    """
    data = read_training_set(training)
    say(f"training composition-logreg on {len(data.labels)} {data.name} sequences")
    if data.name == "synthetic":
        say(f"(synthetic: for real data run apb-zoo fetch {min(SOURCES)}, or name a file with TRAIN=)")
    model = save(composition_logreg(data), work / "models" / "composition" / "logreg" / "model.json")
    submissions = submissions or work / "submissions"
    submissions.mkdir(parents=True, exist_ok=True)
    for name in REFERENCES:
        context = package.lay_out(name, work / "images", model)
        (submissions / f"{name}.yaml").write_text(package.submission(name, context), encoding="utf-8")
        if base:
            say(f"building {package.build(context, base)}")


def apb(*arguments: str) -> None:
    """Run `apb` as its user would."""
    command = [sys.executable, "-m", "evaluator", *arguments]
    say("apb " + " ".join(arguments))
    if status := subprocess.run(command, cwd=ROOT, check=False).returncode:
        raise SystemExit(status)


def table(site: Path) -> str:
    """The closing table, from the site's own data."""
    lines = []
    for path in sorted((site / "data" / "v1" / "results").glob("*.json")):
        board = json.loads(path.read_text())
        columns = board["columns"]
        if set(columns["status"]) == {"not_run"}:
            continue
        metric = "roc_auc" if "roc_auc" in columns else "spearman"
        for name, value, status in zip(columns["name"], columns[metric], columns["status"], strict=True):
            shown = status.replace("_", " ") if value is None else f"{value:.3f}"
            lines.append(f"  {board['track']:<12}{name:<22}{metric:<10}{shown:>8}")
    return "\n".join(lines)


def main() -> None:
    """Run the demo."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--hidden", default="", help="folder with <track>/{sequences,labels}.csv")
    parser.add_argument("--train", default="", help="CSV with sequence,label for composition-logreg")
    parser.add_argument("--work", type=Path, default=ROOT / ".apb" / "demo", help="where everything is written")
    options = parser.parse_args()
    work: Path = options.work
    begun = time.monotonic()
    hidden = Path(options.hidden).resolve() if options.hidden else None
    folders = ["--submissions", f"{work}/submissions", "--results", f"{work}/results"]
    arguments = ["evaluate", "--state", f"{work}/state", "--jobs", "2", *folders]
    arguments += (
        ["--hidden", str(hidden)] if hidden else ["--hidden", f"{ROOT}/test_data", "--tracks", "smoke,smoke-vhh"]
    )
    try:
        base = base_image(engine())
    except Missing as error:
        say(f"no Docker engine: {error}")
        say("going on without one: only the reference models are run, as plain processes, and marked unsandboxed")
        base = None
        arguments += ["--unsandboxed", f"{work}/images"]
    reference_images(work, training_file(work, hidden, options.train), base)
    apb(*arguments)
    apb("publish", *folders, "--out", f"{work}/site")
    print(f"\n{table(work / 'site')}\n\n  Open {work}/site/index.html   (done in {time.monotonic() - begun:.0f} s)")


if __name__ == "__main__":
    main()
