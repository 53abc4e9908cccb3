"""The container contract, for any model of the zoo: sequences in, a score for each out."""

from __future__ import annotations

import csv
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from baselines.backbones.processor import allowed_cpus
from baselines.errors import DataError
from baselines.predicting import store, tables
from baselines.predicting.features import DESCRIPTORS, Features

WEIGHTS = "weights"
RESIDUES_OF = 4096
"""Sequences whose residues are kept in memory at once."""


def predict(folder: Path, source: Path, target: Path, *, backbone: str = "", progress: bool = False) -> int:
    """Score a CSV with `sequence_id,sequence`, or FASTA, and write `sequence_id,prediction,score`; returns how many.

    Args:
        folder: of a trained model; in an image also with `weights/<backbone>/`, and in it the backbone's self-test.
        backbone: where its weights are; default by the name in the metadata.

    Raises:
        DataError: the model or the sequences are not what they should be.
    """
    trained = store.load(folder)
    features = _features(folder, trained, backbone)
    table = tables.read(source, empty=True)
    table.require("sequence_id", "sequence")
    ids, sequences = table.ids(), table.sequences()
    scores = np.empty(0)
    if ids:
        scores = _scores(trained, features, sequences, table.light(), progress=progress)
    with target.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(["sequence_id", "prediction", "score"])
        writer.writerows((name, int(s >= 0.5), repr(float(s))) for name, s in zip(ids, scores, strict=True))
    return len(ids)


def _scores(
    trained: store.Trained, features: Features, sequences: Sequence[str], light: Sequence[str], *, progress: bool
) -> npt.NDArray[np.float64]:
    """A probability for each sequence; where all residues must be at hand, of some sequences at a time."""
    at_once = RESIDUES_OF if features.pooling == "attention" else len(sequences)
    found = []
    for at in range(0, len(sequences), at_once):
        x = features.seen(sequences[at : at + at_once], light[at : at + at_once], progress=progress)
        found.append(trained.model.predict_proba(x)[:, 1])
    return np.concatenate(found).clip(0.0, 1.0)


def _features(folder: Path, trained: store.Trained, backbone: str) -> Features:
    """Of the weights beside the model, which were held against the stock model when they were packaged, or by name."""
    if (folder / WEIGHTS).is_dir():
        names = [str(part["name"]) for part in trained.metadata["backbone"]]
        here = [name if name == DESCRIPTORS else str(folder / WEIGHTS / name) for name in names]
        return store.features_of(trained, here)
    return store.features_of(trained, backbone)


def main() -> None:
    """Score what the container contract mounts; an image starts this."""
    here = Path(os.environ.get("MODEL", "/app/model"))
    source = Path(os.environ.get("INPUT", "/data/sequences.csv"))
    target = Path(os.environ.get("OUTPUT", "/output/predictions.csv"))
    if allowed := allowed_cpus():
        import torch

        torch.set_num_threads(allowed)
    try:
        predict(here, source, target)
    except DataError as error:
        raise SystemExit(str(error)) from error


if __name__ == "__main__":
    main()
