"""`/output/predictions.csv`: hostile bytes in, a checked table out, or every problem with its row and remedy.

What cannot be misread is read: line ends as Python's csv module writes them need no word, quoted fields and a UTF-8
byte-order mark are noted.
"""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from evaluator.contract.formats import foreign
from evaluator.contract.task_types import KINDS, TaskType
from evaluator.errors import Problem, SubmissionError
from evaluator.text import printable

MAX_OUTPUT_BYTES = 64 * 1024 * 1024
ROOM, ROOM_PER_ROW = 2 * 1024 * 1024, 1024
MAX_COLUMNS = 64
MAX_SPANS = 6
_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_WRITE_CSV = (
    "Write it with pandas: table.to_csv('/output/predictions.csv', index=False); "
    "or in R: write.csv(table, '/output/predictions.csv', row.names = FALSE)."
)
_WRITE_CLASS = (
    "Apply your threshold and write a whole number: (score > 0.5).astype(int) with pandas, "
    "as.integer(score > 0.5) in R."
)

# A row of the file: its line number and its fields, in the order of the header.
Row = tuple[int, list[str]]


@dataclass(frozen=True, eq=False)
class Predictions:
    """Checked predictions, in the order of the ids that were asked for.

    Attributes:
        score: [n] finite float64; within [0, 1] on a classification track.
        prediction: [n] int8 0/1, or None on a regression track.
        notes: what was unusual but unambiguous.
    """

    score: npt.NDArray[np.float64]
    prediction: npt.NDArray[np.int8] | None
    notes: tuple[Problem, ...] = ()


def read(data: bytes, ids: Sequence[str], task: TaskType) -> Predictions:
    """Check the bytes of a predictions file against the ids that were asked for.

    Args:
        data: the file, at most `MAX_OUTPUT_BYTES` and about a kilobyte a row.
        ids: each must have exactly one row; any order.
        task: which columns there must be (see `task_types`); further ones are ignored.

    Raises:
        SubmissionError: `BAD_FORMAT:<code>` of the first problem; `problems` holds them all.
    """
    notes = _screen(data, len(ids))
    rows = _rows(data)
    header = next(rows, (1, []))[1]
    columns = _columns(header, task)
    problems: list[Problem] = []
    body = list(_complete(rows, len(header), problems))
    index = _match_ids([(line, fields[columns["sequence_id"]]) for line, fields in body], ids, problems)
    score = _scores([(line, fields[columns["score"]]) for line, fields in body], task, problems)
    prediction = None
    if KINDS[task].has_classes:
        prediction = _classes([(line, fields[columns["prediction"]]) for line, fields in body], problems)
    if problems:
        problems.sort(key=lambda p: int(p.where.removeprefix("row ")) if p.where else math.inf)
        raise SubmissionError.of(_folded(problems), prefix="BAD_FORMAT:")
    return Predictions(score[index], None if prediction is None else prediction[index], notes)


def _folded(problems: list[Problem]) -> list[Problem]:
    """One problem for all of a kind, with how many rows have it and which: a fault in a program is in every row."""
    kinds: dict[tuple[str, str], list[Problem]] = {}
    for problem in problems:
        kinds.setdefault((problem.code, problem.remedy), []).append(problem)
    return [
        some[0] if len(some) == 1 else replace(some[0], what=_counted(some), where=_rows_shown([p.where for p in some]))
        for some in kinds.values()
    ]


def _counted(some: list[Problem]) -> str:
    return f"{some[0].what} So it is in {len(some):,} rows, of which this is the first."


def _rows_shown(places: list[str]) -> str:
    """`rows 2-61, 70` for people, cut where there are many gaps."""
    spans: list[list[int]] = []
    for row in sorted({int(place.removeprefix("row ")) for place in places}):
        if spans and row == spans[-1][1] + 1:
            spans[-1][1] = row
        else:
            spans.append([row, row])
    shown = [str(low) if low == high else f"{low}-{high}" for low, high in spans[:MAX_SPANS]]
    return f"rows {', '.join(shown)}{', ...' if len(spans) > MAX_SPANS else ''}"


def _refuse(code: str, what: str, remedy: str, where: str = "") -> SubmissionError:
    return SubmissionError.of([Problem(code, what, remedy, where)], prefix="BAD_FORMAT:")


def _screen(data: bytes, n: int) -> tuple[Problem, ...]:
    """Refuse what is not a text table of about the right size before anything is parsed; note what is unusual."""
    limit = min(MAX_OUTPUT_BYTES, ROOM + n * ROOM_PER_ROW)
    if len(data) > limit:
        raise _refuse("TOO_LARGE", f"The file is larger than {limit >> 20} MiB.", "Write one row per sequence.")
    if name := foreign(data):
        raise _refuse("ENCODING", f"The file is {name}.", f"Write it as plain text in UTF-8. {_WRITE_CSV}")
    if b"\0" in data:
        line = data.count(b"\n", 0, data.index(b"\0")) + 1
        raise _refuse("NUL_BYTE", "The row holds a NUL byte.", "Write plain UTF-8 text.", f"row {line}")
    if (lines := max(data.count(b"\n"), data.count(b"\r"))) > 2 * n + 100:
        raise _refuse("TOO_MANY_ROWS", f"The file has {lines:,} lines for {n:,} sequences.", "Write one row for each.")
    if data.count(b",") > MAX_COLUMNS * (n + 100):
        raise _refuse("TOO_MANY_COLUMNS", f"More than {MAX_COLUMNS} columns.", "Write the needed columns only.")
    if not data.strip().removeprefix(b"\xef\xbb\xbf"):
        raise _refuse("EMPTY", "The file is empty.", "Write a header and one row per sequence.")
    notes = [
        Problem(code, what, "It was read all the same.")
        for code, what, present in (
            ("BOM", "The file begins with a byte-order mark.", data.startswith(b"\xef\xbb\xbf")),
            ("QUOTED", "Fields are quoted.", b'"' in data),
        )
        if present
    ]
    return tuple(notes)


def _rows(data: bytes) -> Iterator[Row]:
    """Rows as they are decoded: a whole file of text with one rare letter would take four bytes a letter."""
    reader = csv.reader(io.TextIOWrapper(io.BytesIO(data), encoding="utf-8-sig", newline=""), strict=True)
    start = 1
    try:
        for fields in reader:
            if fields:
                yield reader.line_num, fields
            start = reader.line_num + 1
    except UnicodeDecodeError as error:
        raise _refuse(
            "ENCODING", "The row is not UTF-8.", "Write it as UTF-8.", f"row {_undecodable_row(data)}"
        ) from error
    except csv.Error as error:
        what = printable(str(error), 100)
        code = "FIELD_TOO_LONG" if "field limit" in what and start >= reader.line_num else "QUOTING"
        raise _refuse(code, f"The row cannot be split into fields: {what}.", _WRITE_CSV, f"row {start}") from error


def _undecodable_row(data: bytes) -> int:
    for number, line in enumerate(data.split(b"\n"), start=1):
        try:
            line.decode()
        except UnicodeDecodeError:
            return number
    return 1


def _columns(header: list[str], task: TaskType) -> dict[str, int]:
    """Where each needed column stands."""
    needed = KINDS[task].columns
    shown = printable(",".join(header), 120)
    if len(header) == 1 and any(mark in header[0] for mark in ";\t|"):
        raise _refuse("DELIMITER", f"The header is '{shown}'.", "Separate the columns with commas.", "row 1")
    missing = [name for name in needed if name not in header]
    twice = [name for name in needed if header.count(name) > 1]
    if missing or twice:
        fault = f"lacks {', '.join(missing)}" if missing else f"names {', '.join(twice)} twice"
        raise _refuse(
            "HEADER", f"The header '{shown}' {fault}.", f"The first line must be {','.join(needed)}.", "row 1"
        )
    return {name: header.index(name) for name in needed}


def _complete(rows: Iterator[Row], width: int, problems: list[Problem]) -> Iterator[Row]:
    for line, fields in rows:
        if len(fields) == width:
            yield line, fields
        else:
            what, remedy = f"The row has {len(fields)} fields, the header {width}.", _WRITE_CSV
            if len(fields) == width + 1 and not fields[-1]:
                what, remedy = f"{what} It ends with a comma.", "Remove the comma at the end."
            elif len(fields) == 1 and any(mark in fields[0] for mark in ";\t|"):
                what = f"{what} Its fields are not separated with commas."
            problems.append(Problem("ROW_LENGTH", what, remedy, f"row {line}"))


def _match_ids(cells: list[tuple[int, str]], ids: Sequence[str], problems: list[Problem]) -> npt.NDArray[np.int64]:
    """For each asked id, which row of the file answers it."""
    found: dict[str, int] = {}
    asked = set(ids)
    for position, (line, cell) in enumerate(cells):
        if cell not in asked:
            remedy = "Copy sequence_id from the input, unchanged."
            problems.append(Problem("UNKNOWN_ID", f"'{printable(cell, 40)}' was not asked for.", remedy, f"row {line}"))
        elif cell in found:
            problems.append(Problem("DUPLICATE_ID", f"'{cell}' stands twice.", "Write each id once.", f"row {line}"))
        else:
            found[cell] = position
    if len(found) < len(asked):
        absent = [i for i in ids if i not in found]
        what = f"{len(absent):,} of {len(ids):,} ids have no row, the first is '{printable(absent[0], 40)}'."
        problems.append(Problem("MISSING_ID", what, "Write a row for every input row, also for those you find hard."))
    return np.array([found.get(i, 0) for i in ids], dtype=np.int64)


def _scores(cells: list[tuple[int, str]], task: TaskType, problems: list[Problem]) -> npt.NDArray[np.float64]:
    values = np.array([_number(cell) for _, cell in cells], dtype=np.float64)
    inside = np.isfinite(values)
    if KINDS[task].has_classes:
        inside &= (values >= 0) & (values <= 1)
    for position in np.flatnonzero(~inside):
        line, cell = cells[position]
        problems.append(_score_problem(cell, line))
    return values


def _number(cell: str) -> float:
    """The number in a cell; NaN for anything but an ordinary decimal number (`float` alone also takes `1_0`)."""
    return float(cell) if _NUMBER.fullmatch(cell) else math.nan


def _score_problem(cell: str, line: int) -> Problem:
    shown = f"The score '{printable(cell, 40)}'"
    word = cell.strip().lower().lstrip("+-")
    if word in {"nan", "na", "n/a", "null", "none", ""}:
        return Problem("NAN", f"{shown} is missing.", "Every row needs a finite number.", f"row {line}")
    if word in {"inf", "infinity"} or (_NUMBER.fullmatch(cell) and math.isinf(float(cell))):
        return Problem("INFINITE", f"{shown} is infinite.", "Every row needs a finite number.", f"row {line}")
    if not _NUMBER.fullmatch(cell):
        return Problem(
            "NOT_A_NUMBER", f"{shown} is not a number.", "Write a decimal number such as 0.731.", f"row {line}"
        )
    return Problem(
        "OUT_OF_RANGE", f"{shown} is outside [0, 1].", "Squash or clip it; higher = more polyreactive.", f"row {line}"
    )


def _classes(cells: list[tuple[int, str]], problems: list[Problem]) -> npt.NDArray[np.int8]:
    for line, cell in cells:
        if cell not in {"0", "1"}:
            what = f"The prediction '{printable(cell, 40)}' is neither 0 nor 1."
            problems.append(Problem("PREDICTION", what, _WRITE_CLASS, f"row {line}"))
    return np.array([cell == "1" for _, cell in cells], dtype=np.int8)
