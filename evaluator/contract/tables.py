"""Our own CSVs: sequences, labels and families, every fault told with its line."""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from evaluator.contract.formats import foreign, read_bytes
from evaluator.contract.sequences import AMINO_ACIDS
from evaluator.contract.task_types import KINDS, TaskType
from evaluator.errors import EvaluatorError
from evaluator.text import printable

_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?", re.ASCII)
MAX_TARGET, MIN_SPREAD = 1e100, 1e-100
"""Of few-shot targets: what is larger, or differs by less, cannot be squared."""
_MISSING = {"", "na", "n/a", "nan", "null", "none", "-"}
Fault = tuple[str, str] | None
"""Why a cell is refused, and how to mend it. The cell is not shown: it may be hidden, and a log may be public."""


class Table(dict[str, tuple[str, ...]]):
    """Columns by name, every cell as it stands: an id of `NA` stays `NA`.

    Attributes:
        lines: of the file, one for each row.
    """

    def __init__(self, columns: Mapping[str, tuple[str, ...]], lines: Sequence[int]) -> None:
        super().__init__(columns)
        self.lines = tuple(lines)


def read_csv(path: Path) -> Table:
    """One of our own CSVs (`.csv` or `.csv.gz`) as text.

    Raises:
        EvaluatorError: it cannot be read.
    """
    try:
        content = read_bytes(path)
    except ValueError as error:
        raise EvaluatorError(f"{path} {error}.", "Name a CSV file (.csv or .csv.gz).") from error
    return parse(content, path)


def parse(data: bytes, path: Path) -> Table:
    """The content of a CSV as text; empty lines count for nothing.

    Raises:
        EvaluatorError: it cannot be read.
    """
    if name := foreign(data):
        raise EvaluatorError(f"{path} is {name}.", "Name a CSV file in UTF-8 (.csv, or .csv.gz for one by gzip).")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise EvaluatorError(f"{path} line {line} is not UTF-8.", "Save it as UTF-8.") from error
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        rows = [(reader.line_num, fields) for fields in reader if fields]
    except csv.Error as error:
        what = f"{path} line {reader.line_num} cannot be split into fields."
        raise EvaluatorError(what, "Is a quote not closed, or does one stand within a field?") from error
    if not rows:
        raise EvaluatorError(f"{path} is empty.", "Its first line names the columns; then comes one line a row.")
    (_, header), *body = rows
    if len(header) == 1 and (marks := [mark for mark in ";\t|" if mark in header[0]]):
        what = f"{path} separates its columns with {'tabs' if marks[0] == chr(9) else repr(marks[0])}."
        raise EvaluatorError(what, "Separate them with commas, and write decimals with a point.")
    for line, fields in body:
        if len(fields) != len(header):
            comma = " It ends with a comma." if len(fields) == len(header) + 1 and not fields[-1] else ""
            what = f"{path} line {line} has {len(fields)} fields, the header {len(header)}.{comma}"
            raise EvaluatorError(what, "Correct the line.")
    if len(set(header)) != len(header):
        raise EvaluatorError(f"{path} names a column twice.", "Name each column once.")
    if not body:
        raise EvaluatorError(f"{path} has a header and no rows.", "Write one line for each row.")
    cells = zip(*(fields for _, fields in body), strict=True)
    return Table(dict(zip(header, cells, strict=True)), [line for line, _ in body])


def _require(table: Table, path: Path, column: str, fault: Callable[[str], Fault]) -> None:
    """Refuse a column with a cell that has a fault; the first is told with its line, the others are counted."""
    bad = [(line, found) for line, cell in zip(table.lines, table[column], strict=True) if (found := fault(cell))]
    if bad:
        line, (why, remedy) = bad[0]
        more = f" {len(bad) - 1:,} more lines have such a fault." if len(bad) > 1 else ""
        raise EvaluatorError(f"{path} line {line}: the {column} {why}.{more}", remedy)


def id_column(table: Table, path: Path) -> tuple[str, ...]:
    """The ids, each once.

    Raises:
        EvaluatorError: one is empty or repeated.
    """
    if "sequence_id" not in table:
        raise EvaluatorError(f"{path} has no column sequence_id.", "Its header names the columns.")
    first: dict[str, int] = {}
    for line, cell in zip(table.lines, table["sequence_id"], strict=True):
        if not cell or cell in first:
            why = f"stands in line {first[cell]} already" if cell else "is empty"
            raise EvaluatorError(f"{path} line {line}: the sequence_id {why}.", "Each row needs an id of its own.")
        first[cell] = line
    return table["sequence_id"]


def sequence_columns(
    table: Table, path: Path, names: Sequence[str], *, optional: Sequence[str] = ()
) -> dict[str, tuple[str, ...]]:
    """The columns of chains, every cell a protein sequence.

    Args:
        optional: columns whose cells may be empty.

    Raises:
        EvaluatorError: a column is missing, or a cell holds something else.
    """
    missing = [name for name in names if name not in table]
    if missing:
        raise EvaluatorError(f"{path} has no column {', '.join(missing)}.", f"It needs {', '.join(names)}.")
    for name in names:
        may_be_empty = name in optional
        _require(table, path, name, lambda cell, empty=may_be_empty: None if empty and not cell else _no_protein(cell))  # type: ignore[misc]
    return {name: table[name] for name in names}


def require_distinct(
    columns: Mapping[str, tuple[str, ...]], ids: Sequence[str], path: Path, lines: Sequence[int]
) -> None:
    """Refuse an antibody that stands under two ids: one could be measured and the other asked for.

    Raises:
        EvaluatorError: with both ids and the line of the second.
    """
    first: dict[tuple[str, ...], str] = {}
    for line, name, *chains in zip(lines, ids, *columns.values(), strict=True):
        if (other := first.setdefault(tuple(chains), name)) != name:
            what = f"{path} line {line}: {printable(name, 60)} has the sequence of {printable(other, 60)}."
            raise EvaluatorError(what, "Keep one of them, with the mean of its targets if both are measured.")


def assay_columns(
    table: Table, path: Path, ids: Sequence[str], names: Sequence[str]
) -> dict[str, npt.NDArray[np.float64]]:
    """The targets of each assay from `sequence_id,assay,target`, [n] in the order of `ids`; NaN where there is none.

    Raises:
        EvaluatorError: a cell is not of its kind, an assay unknown or missing, an antibody measured twice, or an assay
            has nothing to rank.
    """
    if missing := [name for name in ("sequence_id", "assay", "target") if name not in table]:
        raise EvaluatorError(f"{path} has no column {', '.join(missing)}.", "It needs sequence_id,assay,target.")
    number, first = {name: k for k, name in enumerate(ids)}, dict[tuple[str, str], int]()
    found = {name: np.full(len(ids), np.nan) for name in names}
    _require(
        table,
        path,
        "sequence_id",
        lambda cell: (
            ("is empty", "Each antibody needs an id of its own.")
            if not cell
            else None
            if cell in number
            else ("is not in sequences.csv", "Correct either.")
        ),
    )
    known = f"The track's assays are {', '.join(names)}."
    _require(
        table,
        path,
        "assay",
        lambda cell: (
            ("is empty", f"Name the assay of each row. {known}")
            if not cell.strip()
            else None
            if cell in found
            else (f"'{printable(cell, 60)}' is unknown", known)
        ),
    )
    _require(table, path, "target", no_target)
    for line, name, assay, target in zip(
        table.lines, table["sequence_id"], table["assay"], table["target"], strict=True
    ):
        if (other := first.setdefault((name, assay), line)) != line:
            what = f"{path} line {line}: {printable(name, 60)} was measured by {assay} in line {other} already."
            raise EvaluatorError(what, "Keep one line, with the mean of the targets.")
        found[assay][number[name]] = float(target)
    for name, values in found.items():
        if fault := no_ranks(values[np.isfinite(values)]):
            of_assay = [line for line, assay in zip(table.lines, table["assay"], strict=True) if assay == name]
            place = f"; the first of its {len(of_assay):,} rows is line {of_assay[0]}" if of_assay else ""
            raise EvaluatorError(f"{path} has {fault[0]} of {printable(name, 60)}{place}.", fault[1])
    return found


def no_ranks(targets: npt.NDArray[np.float64]) -> Fault:
    """Why nothing can be ranked by an assay's targets; None where it can."""
    spread = float(np.ptp(targets)) if len(targets) else 0.0
    if spread == 0:
        return "fewer than two different targets", "There is nothing to rank: leave the assay out."
    if spread < MIN_SPREAD:
        return f"targets that differ by less than {MIN_SPREAD:g}", "State them in another unit, or leave the assay out."
    return None


def no_target(cell: str) -> Fault:
    """Why a cell is no target of a few-shot assay; None where it is."""
    if fault := _no_number(cell):
        return fault
    return (f"is beyond {MAX_TARGET:g}", "State it in another unit.") if abs(float(cell)) > MAX_TARGET else None


def _no_protein(cell: str) -> Fault:
    other = [letter for letter in cell if letter not in AMINO_ACIDS]
    if cell and not other:
        return None
    if not cell:
        return "is empty", "Write the one-letter codes of its amino acids."
    if AMINO_ACIDS.issuperset("".join(other).upper()):
        return "is in lower case", "Write capital letters."
    worst = next((mark for mark in "-.*" if mark in other), other[0])
    if worst in "-.":
        return f"has gaps ('{worst}')", "Take the gaps of the alignment out."
    if worst == "*" or worst.isspace():
        return f"has {'a stop' if worst == '*' else 'a space'} ('{printable(worst)}')", "Take it out."
    return f"has '{printable(worst)}', which is no amino acid", "Write the one-letter codes of its amino acids."


def truth_column(table: Table, path: Path) -> tuple[TaskType, npt.NDArray[np.int8] | npt.NDArray[np.float64]]:
    """The `label` (0/1, int8) or `target` (finite float64) column of a labels file, [n], and the task it implies.

    Raises:
        EvaluatorError: neither column is there, or a value is not of its kind.
    """
    for task, kind in KINDS.items():
        if kind.truth in table:
            _require(table, path, kind.truth, _no_class if kind.has_classes else _no_number)
            cells = table[kind.truth]
            if kind.has_classes:
                return task, np.array([cell == "1" for cell in cells], dtype=np.int8)
            return task, np.array([float(cell) for cell in cells], dtype=np.float64)
    columns = " nor a column ".join(dict.fromkeys(kind.truth for kind in KINDS.values()))
    raise EvaluatorError(f"{path} has neither a column {columns}.", "Add one.")


def _no_class(cell: str) -> Fault:
    if cell in {"0", "1"}:
        return None
    return "is empty" if cell in _MISSING else "is something else", "A label is 0 or 1."


def _no_number(cell: str) -> Fault:
    plain = cell.strip()
    if _NUMBER.fullmatch(plain):
        return None if math.isfinite(float(plain)) else ("is not finite", "Every target is a finite number.")
    if plain.lower() in _MISSING:
        return "is missing", "Leave the row out, or write its number."
    if re.fullmatch(r"[+-]?\d+,\d+", plain):
        return "has a decimal comma", "Write a decimal point."
    if plain.lower().lstrip("+-") in {"inf", "infinity"}:
        return "is not finite", "Every target is a finite number."
    if plain[0] in "<>\u2264\u2265~":
        return "is a bound and no number", "Decide on a number for it (and say so in the label_rule), or leave it out."
    return "is not a number", "Write a plain decimal number such as 0.731."


def score_column(table: Table, path: Path) -> npt.NDArray[np.float64]:
    """The `score` column of published predictions, finite, [n].

    Raises:
        EvaluatorError: there is no such column, or a score is no number.
    """
    if "score" not in table:
        raise EvaluatorError(f"{path} has no column score.", "Name the column of its scores so.")
    _require(table, path, "score", _no_number)
    return np.array([float(cell) for cell in table["score"]], dtype=np.float64)


def family_column(table: Table, path: Path) -> npt.NDArray[np.int64]:
    """Which rows of a labels file belong together, by its column `family`: [n] from 0.

    Raises:
        EvaluatorError: there is no such column, or a row names no family.
    """
    if "family" not in table:
        remedy = "Add it, with a value in every row, or name a rule under `families` in the track's file."
        raise EvaluatorError(f"{path} has no column family.", remedy)
    remedy = "Name a family in every row; a row that has no relatives is a family of its own."
    _require(table, path, "family", lambda cell: None if cell.strip() else ("is empty", remedy))
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
