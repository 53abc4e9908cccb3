"""The real board, `make board HIDDEN=dir`: reference images, apb evaluate, apb archive, apb publish.

Published predictions are looked for beside the hidden data, or in PUBLISHED=dir: `reference/` and `archive/<track>/`.
What it writes into `submissions/` and `leaderboard/results/` is to be committed; predictions stay in the private state.
"""

from __future__ import annotations

import argparse
import hashlib
import subprocess
import sys
import time
from pathlib import Path

from baselines.backbones import wheels as weights
from baselines.predicting import store
from scripts import results
from scripts.demo import ROOT, apb, reference_images, training_file
from scripts.machine import base_image, engine, say

LANGUAGE_MODELS = {
    ("antiberty", "logreg"): ("model=antiberty", "classifier.tune=true"),
    ("antiberty", "svm"): ("model=antiberty", "classifier.tune=true"),
    ("sapiens", "logreg"): ("model=sapiens", "classifier.tune=true"),
    ("sapiens+antiberty", "cross_stacking"): ("model=pair", "model.backbone=sapiens+antiberty"),
}
"""Backbone and head, and how they are trained; the last is the best by clusters of fine-tuned backbones, attention
heads and stacks over two backbones (docs/model-zoo.md)."""
FEW_SHOT = {
    "few-shot-ridge": "",
    "few-shot-gp": "",
    "few-shot-ridge-antiberty": "",
    "few-shot-gp-antiberty": "",
    "in-context-sparse": "sparse-cpu",
    "in-context-reptile": "reptile",
}
"""Images of few-shot models, and the preset that each is meta-trained with; none where it is not."""
PREPARED = {
    "harvey": ("reference", "harvey_labels.csv.gz"),
    "fewshot-poly": ("source", "low_throughput_polyspecificity_scores_w_exp.csv"),
    "fewshot-cr6261": ("fewshot", "cr6261_h1.csv"),
}
"""Tracks that are made of published files where these lie beside the hidden data: their folder, and one of them."""
ARCHIVED = [
    ("esm1v-logreg", "jain", "reference/jain_esm1v.csv", ""),
    ("esm1v-logreg", "shehata", "reference/shehata_esm1v.csv", ""),
    ("esm1v-logreg", "harvey", "reference/harvey_esm1v.csv.gz", ""),
    ("vhh48-onehot", "vhh48", "reference/vhh48_onehot.csv", "--negate"),
    *(
        (f"abdev-{name}".replace("_", "-"), "gdpa1", f"archive/gdpa1/{name}.csv", "")
        for name in (
            "ablang2_elastic_net",
            "deepsp_ridge",
            "esm2_ridge",
            "esm2_tap_rf",
            "onehot_ridge",
            "random_predictor",
            "tap_linear",
        )
    ),
]
"""Entry, track, file of published predictions, and an option of `apb archive`."""


def main() -> None:
    """Build, evaluate, publish, and write docs/results.md."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--hidden", type=Path, required=True, help="folder with <track>/{sequences,labels}.csv")
    parser.add_argument("--published", default="", help="folder with published predictions  [default: hidden/..]")
    parser.add_argument("--train", default="", help="CSV with sequence,label for composition-logreg")
    options = parser.parse_args()
    begun = time.monotonic()
    training = training_file(ROOT / ".apb", options.hidden.resolve(), options.train)
    if training.name == "synthetic_training.csv":
        raise SystemExit(
            "The board is of real data: run apb-zoo fetch boughter, or name the training set with TRAIN=FILE."
        )
    work, base = ROOT / ".apb" / "board", base_image(engine())
    reference_images(work, training, base, ROOT / "submissions")
    for backbone, head in LANGUAGE_MODELS:
        _language_model(backbone, head, training, work, base)
    for name, preset in FEW_SHOT.items():
        _few_shot_model(name, preset, work, base)
    published = Path(options.published or options.hidden.resolve().parent)
    hidden = str(_hidden(options.hidden.resolve(), published))
    apb("evaluate", "--all", "--hidden", hidden)
    for entry, track, name, option in ARCHIVED:
        if (published / name).is_file():
            predictions = ("--predictions", str(published / name))
            apb("archive", entry, "--track", track, *predictions, "--hidden", hidden, *filter(None, [option]))
        else:
            say(f"{published / name} is not here: {entry} keeps what is archived of it on {track}")
    apb("publish")
    results.write(ROOT)
    say(
        f"leaderboard/results/, docs/results.md and leaderboard/site/ are of today, in {time.monotonic() - begun:.0f} s"
    )


def _language_model(backbone: str, head: str, training: Path, work: Path, base: str) -> None:
    """Train a head on a language model's embeddings, and build its image; the same files give the same image."""
    for part in backbone.split("+"):
        if not (weights.store() / part / "config.json").is_file():
            zoo("fetch-weights", part)
    model = work / "models" / "checkpoints" / backbone / head
    known = (store.read_metadata(model) or {}).get("training", {})
    if known.get("sha256") != hashlib.sha256(training.read_bytes()).hexdigest():
        named = (f"data.train={training}", f"out={work / 'models'}", f"cache={work / 'embeddings'}")
        zoo("train", f"classifier={head}", *LANGUAGE_MODELS[backbone, head], *named)
    made = ("--base-image", base, "--context", str(work / "images"), "--submissions", str(ROOT / "submissions"))
    zoo("package", backbone, head, "--model", str(model), *made)


def _few_shot_model(name: str, preset: str, work: Path, base: str) -> None:
    """Meta-train a few-shot model where it needs that and was not yet, and build its image."""
    model = work / "few_shot" / preset
    if preset:
        named = (f"preset={preset}", "preset.cpu_seconds=330", f"out={work / 'few_shot'}")
        zoo("meta-train", *named)  # what is finished is kept
    made = ("--base-image", base, "--context", str(work / "images"), "--submissions", str(ROOT / "submissions"))
    zoo("package", name, *(("--model", str(model)) if preset else ()), *made)


def zoo(*arguments: str) -> None:
    """Run `apb-zoo` as its user would."""
    say("apb-zoo " + " ".join(arguments))
    if status := subprocess.run([Path(sys.executable).with_name("apb-zoo"), *arguments], check=False).returncode:
        raise SystemExit(status)


def _hidden(hidden: Path, published: Path) -> Path:
    """The hidden data, and beside them what can be made of published files here."""
    missing = {
        track: published / folder
        for track, (folder, name) in PREPARED.items()
        if not (hidden / track).exists() and (published / folder / name).is_file()
    }
    if not missing:
        return hidden
    target = ROOT / ".apb" / "board" / "hidden"
    target.mkdir(parents=True, exist_ok=True, mode=0o700)
    for folder in hidden.iterdir():
        if not (target / folder.name).exists():
            (target / folder.name).symlink_to(folder)
    for track, source in missing.items():
        if not (target / track).exists():
            apb("prepare", track, "--from", str(source), "--hidden", str(target))
    return target


if __name__ == "__main__":
    main()
