"""The real board, `make board HIDDEN=dir`: reference images -> apb evaluate on the hidden data -> apb publish.

What it writes into `submissions/` and `leaderboard/results/` is to be committed; predictions stay in the private state.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

from scripts import results
from scripts.demo import ROOT, apb, reference_images, training_file
from scripts.machine import base_image, engine, say


def main() -> None:
    """Build, evaluate, publish, and write docs/results.md."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--hidden", type=Path, required=True, help="folder with <track>/{sequences,labels}.csv")
    parser.add_argument("--train", default="", help="CSV with sequence,label for composition-logreg")
    options = parser.parse_args()
    begun = time.monotonic()
    training = training_file(ROOT / ".apb", options.hidden.resolve(), options.train)
    if training.name == "synthetic_training.csv":
        raise SystemExit(
            "The board is of real data: run apb-zoo fetch boughter, or name the training set with TRAIN=FILE."
        )
    reference_images(ROOT / ".apb" / "board", training, base_image(engine()), ROOT / "submissions")
    apb("evaluate", "--all", "--hidden", str(options.hidden.resolve()))
    apb("publish")
    results.write(ROOT)
    say(
        f"leaderboard/results/, docs/results.md and leaderboard/site/ are of today, in {time.monotonic() - begun:.0f} s"
    )


if __name__ == "__main__":
    main()
