"""Net charge of the variable domains, VH or VH + VL; squashed to [0, 1] for classes, plain on a regression track."""

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


def charge(row: dict[str, str]) -> int:
    """Of all chains that are there."""
    return net_charge(row["sequence"]) + net_charge(row.get("light_sequence") or "")


def probability(charges: int) -> float:
    """A strictly increasing function of the charge, within (0, 1)."""
    return 1 / (1 + math.exp(-(charges - MIDDLE) / WIDTH))


with open(INPUT, newline="", encoding="utf-8") as source, open(OUTPUT, "w", newline="", encoding="utf-8") as target:
    writer = csv.writer(target, lineterminator="\n")
    if os.environ.get("TASK") == "regression":
        writer.writerow(["sequence_id", "score"])
        writer.writerows([row["sequence_id"], charge(row)] for row in csv.DictReader(source))
    else:
        writer.writerow(["sequence_id", "prediction", "score"])
        for row in csv.DictReader(source):
            score = probability(charge(row))
            writer.writerow([row["sequence_id"], int(score > 0.5), repr(score)])
