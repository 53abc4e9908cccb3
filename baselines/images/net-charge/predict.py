"""Net charge of the heavy variable domain; squashed to [0, 1] for classes, plain on a regression track."""

import csv
import math
import os
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent))  # isolated mode leaves the script's own folder out

from composition import net_charge

INPUT = os.environ.get("INPUT", "/data/sequences.csv")
OUTPUT = os.environ.get("OUTPUT", "/output/predictions.csv")
MIDDLE, WIDTH = 3.0, 2.0  # a fixed monotone squash: 3 charges give 0.5; nothing was fitted


def probability(charge: int) -> float:
    """A strictly increasing function of the charge, within (0, 1)."""
    return 1 / (1 + math.exp(-(charge - MIDDLE) / WIDTH))


with open(INPUT, newline="", encoding="utf-8") as source, open(OUTPUT, "w", newline="", encoding="utf-8") as target:
    writer = csv.writer(target, lineterminator="\n")
    if os.environ.get("TASK") == "regression":
        writer.writerow(["sequence_id", "score"])
        writer.writerows([row["sequence_id"], net_charge(row["sequence"])] for row in csv.DictReader(source))
    else:
        writer.writerow(["sequence_id", "prediction", "score"])
        for row in csv.DictReader(source):
            score = probability(net_charge(row["sequence"]))
            writer.writerow([row["sequence_id"], int(score > 0.5), repr(score)])
