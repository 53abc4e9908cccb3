"""Logistic regression on plain descriptors; the model is a list of numbers in model.json."""

import csv
import json
import math
import os
import pathlib
import sys

HERE = pathlib.Path(__file__).parent
sys.path.insert(0, str(HERE))  # isolated mode leaves the script's own folder out

from composition import FEATURES, features

INPUT = os.environ.get("INPUT", "/data/sequences.csv")
OUTPUT = os.environ.get("OUTPUT", "/output/predictions.csv")

model = json.loads((HERE / "model.json").read_text())
if tuple(model["features"]) != FEATURES:
    sys.exit("model.json was trained on other features than this image computes")


def score(sequence: str) -> float:
    """Probability of the positive class."""
    terms = zip(features(sequence), model["mean"], model["scale"], model["coefficients"], strict=True)
    logit = model["intercept"] + sum((x - mean) / scale * weight for x, mean, scale, weight in terms)
    return 1 / (1 + math.exp(-max(-700.0, min(700.0, logit))))


with open(INPUT, newline="", encoding="utf-8") as source, open(OUTPUT, "w", newline="", encoding="utf-8") as target:
    writer = csv.writer(target, lineterminator="\n")
    writer.writerow(["sequence_id", "prediction", "score"])
    for row in csv.DictReader(source):
        value = score(row["sequence"])
        writer.writerow([row["sequence_id"], int(value >= 0.5), repr(value)])
