"""Our own CSVs: sequences, labels and families, every fault told with its line."""

from __future__ import annotations

import csv
import gzip
import io
import math
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from evaluator.contract.task_types import KINDS, TaskType
from evaluator.errors import EvaluatorError

AMINO_ACIDS = frozenset("ACDEFGHIKLMNPQRSTVWYXBZUO")


Table = dict[str, tuple[str, ...]]
"""Columns by name, every cell as it stands: an id of `NA` stays `NA`."""


def read_csv(path: Path) -> Table:
    """One of our own CSVs (`.csv` or `.csv.gz`) as text.

    Raises:
        EvaluatorError: it cannot be read.
    """
    try:
        content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    except (OSError, EOFError, zlib.error) as error:
        raise EvaluatorError(f"{path} cannot be read: {error}", "Name a CSV file (.csv or .csv.gz).") from error
    return parse(content, path)


def parse(data: bytes, path: Path) -> Table:
    """The content of a CSV as text; empty lines count for nothing.

    Raises:
        EvaluatorError: it cannot be read.
    """
    try:
        reader = csv.reader(io.StringIO(data.decode("utf-8-sig"), newline=""), strict=True)
        header, *rows = (fields for fields in reader if fields)
    except (ValueError, csv.Error) as error:
        raise EvaluatorError(f"{path} cannot be read: {error}", "Name a CSV file in UTF-8, with a header.") from error
    uneven = next((row for row, fields in enumerate(rows, start=2) if len(fields) != len(header)), None)
    if uneven is not None:
        raise EvaluatorError(f"{path} line {uneven} does not have as many fields as the header.", "Correct the line.")
    if len(set(header)) != len(header):
        raise EvaluatorError(f"{path} names a column twice.", "Name each column once.")
    return dict(zip(header, zip(*rows, strict=True), strict=True)) if rows else dict.fromkeys(header, ())


def id_column(table: Table, path: Path) -> tuple[str, ...]:
    """The ids, each once.

    Raises:
        EvaluatorError: one is empty or repeated.
    """
    if "sequence_id" not in table:
        raise EvaluatorError(f"{path} has no column sequence_id.", "Its header names the columns.")
    ids = table["sequence_id"]
    if len(set(ids)) != len(ids) or "" in ids:
        raise EvaluatorError(f"{path} has an empty or repeated sequence_id.", "Each row needs an id of its own.")
    return ids


def sequence_columns(table: Table, path: Path, names: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """The columns of chains, every cell a protein sequence.

    Raises:
        EvaluatorError: a column is missing, or a cell holds something else.
    """
    missing = [name for name in names if name not in table]
    if missing:
        raise EvaluatorError(f"{path} has no column {', '.join(missing)}.", f"The track needs {', '.join(names)}.")
    for name in names:
        bad = [row for row, value in enumerate(table[name], start=2) if not value or not AMINO_ACIDS.issuperset(value)]
        if bad:
            raise EvaluatorError(f"{path} line {bad[0]}: {name} is not a protein sequence.", "Use one-letter codes.")
    return {name: table[name] for name in names}


def truth_column(table: Table, path: Path) -> tuple[TaskType, npt.NDArray[np.int8] | npt.NDArray[np.float64]]:
    """The `label` (0/1, int8) or `target` (finite float64) column of a labels file, [n], and the task it implies.

    Raises:
        EvaluatorError: neither column is there, or a value is not of its kind.
    """
    for task, kind in KINDS.items():
        if kind.truth in table:
            read = _classes if kind.has_classes else _targets
            return task, read(table[kind.truth], path)
    columns = " nor a column ".join(kind.truth for kind in KINDS.values())
    raise EvaluatorError(f"{path} has neither a column {columns}.", "Add one.")


def _classes(cells: Sequence[str], path: Path) -> npt.NDArray[np.int8]:
    bad = [row for row, value in enumerate(cells, start=2) if value not in {"0", "1"}]
    if bad:
        raise EvaluatorError(f"{path} line {bad[0]}: a label is 0 or 1.", "Correct the labels.")
    return np.array([value == "1" for value in cells], dtype=np.int8)


def _targets(cells: Sequence[str], path: Path) -> npt.NDArray[np.float64]:
    try:
        values = np.array([float(v) for v in cells], dtype=np.float64)
    except ValueError as error:
        raise EvaluatorError(f"{path}: {error}.", "Every target is a number.") from error
    if not all(math.isfinite(v) for v in values):
        raise EvaluatorError(f"{path} has a target that is not finite.", "Correct it.")
    return values


def family_column(table: Table, path: Path) -> npt.NDArray[np.int64]:
    """Which rows of a labels file belong together, by its column `family`: [n] from 0.

    Raises:
        EvaluatorError: there is no such column, or a row names no family.
    """
    if "family" not in table or "" in table["family"]:
        raise EvaluatorError(f"{path} needs a column family with a value in every row.", "Add it.")
    number = {name: k for k, name in enumerate(dict.fromkeys(table["family"]))}
    return np.array([number[name] for name in table["family"]], dtype=np.int64)


def row_order(labels: Table, ids: tuple[str, ...], path: Path) -> list[int]:
    """For each row of sequences.csv its row in labels.csv.

    Raises:
        EvaluatorError: the two do not hold the same ids.
    """
    label_ids = id_column(labels, path)
    if set(label_ids) != set(ids):
        raise EvaluatorError(f"{path} and sequences.csv beside it do not hold the same ids.", "Correct either.")
    row = {label_id: index for index, label_id in enumerate(label_ids)}
    return [row[i] for i in ids]
