"""Score one predictions file on its own."""

from __future__ import annotations

import gzip
import zlib
from pathlib import Path

import numpy as np
import numpy.typing as npt

from evaluator.contract import predictions, tables
from evaluator.contract.arrays import Truth
from evaluator.contract.predictions import MAX_OUTPUT_BYTES
from evaluator.contract.task_types import METRICS
from evaluator.errors import EvaluatorError, SubmissionError
from evaluator.scoring import metrics
from evaluator.scoring.metrics import Scores
from evaluator.text import printable


def score_files(
    predictions_file: Path, labels_file: Path, level: float = 0.95
) -> tuple[Scores, predictions.Predictions]:
    """Check a predictions file against a labels file and score it; arguments and errors as in `read_files`."""
    truth, table, families = read_files(predictions_file, labels_file)
    return metrics.score(truth, table.score, table.prediction, level, families), table


def read_files(
    predictions_file: Path, labels_file: Path
) -> tuple[Truth, predictions.Predictions, npt.NDArray[np.int64] | None]:
    """Truth, predictions and sequence families (or None) in the order of the labels.

    Args:
        labels_file: `sequence_id,label` or `sequence_id,target`; a column `family` says which rows belong together.

    Raises:
        SubmissionError: something is wrong with the predictions.
        EvaluatorError: something is wrong with the labels.
    """
    labels = tables.read_csv(labels_file)
    if "sequence_id" not in labels or len(set(labels["sequence_id"])) < len(labels["sequence_id"]):
        raise EvaluatorError(f"{labels_file} needs a column sequence_id without repeats.", "Correct the labels.")
    task, truth = tables.truth_column(labels, labels_file)
    families = tables.family_column(labels, labels_file) if "family" in labels else None
    return truth, predictions.read(_bytes(predictions_file), list(labels["sequence_id"]), task), families


def _bytes(path: Path) -> bytes:
    try:
        if path.suffix == ".gz":
            with gzip.open(path, "rb") as stream:
                return stream.read(MAX_OUTPUT_BYTES + 1)
        with path.open("rb") as plain:
            return plain.read(MAX_OUTPUT_BYTES + 1)
    except (FileNotFoundError, NotADirectoryError, gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise SubmissionError("NO_OUTPUT", f"{path} cannot be read: {error}", "Name a .csv or .csv.gz file.") from error


def as_text(scores: Scores, level: float = 0.95) -> str:
    """The scores for a terminal."""
    lines = [f"n = {scores.n:,}; {level * 100:g} % intervals"]
    if c := scores.confusion:
        lines += [
            "",
            "              predicted 0   predicted 1",
            f"  class 0   {c.tn:>13,} {c.fp:>13,}",
            f"  class 1   {c.fn:>13,} {c.tp:>13,}",
        ]
    lines.append("")
    for name, estimate in scores.metrics.items():
        value = f"undefined: {estimate.reason}" if estimate.value is None else f"{estimate.value:.4f}"
        if estimate.low is not None and estimate.high is not None:
            value += f"   {estimate.low:.4f} to {estimate.high:.4f}"
        lines.append(f"  {METRICS[name].title:<20} {printable(value)}")
    return "\n".join(lines)
