"""The one reader of sequences, labels and targets: CSV and FASTA, plain or gzipped, every fault told with its row.

Training, testing, predicting and timing all read by it, so that what one of them writes the others take. Of what is not
Python's own it needs Biopython alone, and that only for FASTA: this file goes into images too.
"""

from __future__ import annotations

import csv
import gzip
import io
import math
import re
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from baselines.backbones.tokens import RowError, clean
from baselines.errors import DataError

SUFFIXES = (".csv", ".csv.gz", ".fasta", ".fasta.gz", ".fa", ".fa.gz")
GZIP, ZIP = b"\x1f\x8b", b"PK\x03\x04"
MARKS = {b"\xef\xbb\xbf": "utf-8-sig", b"\xff\xfe": "UTF-16", b"\xfe\xff": "UTF-16"}
NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?", re.ASCII)


@dataclass(frozen=True)
class Table:
    """Columns of a file by their names, as they stand.

    Attributes:
        columns: [n] cells each.
        lines: [n] where each row begins.
    """

    path: Path
    columns: dict[str, tuple[str, ...]]
    lines: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.lines)

    def require(self, *names: str) -> None:
        """Refuse a table without these columns.

        Raises:
            DataError: with the columns that there are.
        """
        if not set(names) <= set(self.columns):
            has = _shown(", ".join(self.columns))
            raise DataError(f"{self.path} needs the columns {' and '.join(names)}; it has {has}.")

    def fault(self, row: int, what: str) -> DataError:
        """What is wrong with a row, from 0."""
        return DataError(f"{self.path} row {row + 1} (line {self.lines[row]}): {what}")

    def ids(self) -> tuple[str, ...]:
        """`sequence_id`, each once; numbers from 1 where there is no such column.

        Raises:
            DataError: one is empty or repeated.
        """
        if "sequence_id" not in self.columns:
            return tuple(map(str, range(1, len(self) + 1)))
        first: dict[str, int] = {}
        for row, cell in enumerate(self.columns["sequence_id"]):
            if not cell:
                raise self.fault(row, "the sequence_id is empty. Each row needs one of its own.")
            if cell in first:
                raise self.fault(row, f"the sequence_id stands in row {first[cell] + 1} already. Each needs its own.")
            first[cell] = row
        return tuple(first)

    def sequences(self) -> tuple[str, ...]:
        """`sequence`, cleaned as by `tokens.clean`.

        Raises:
            DataError: one is no sequence.
        """
        self.require("sequence")
        return self._cleaned("sequence")

    def light(self) -> tuple[str, ...]:
        """`light_sequence`, cleaned in the same way; empty where there is no such column.

        Raises:
            DataError: one is no sequence.
        """
        return self._cleaned("light_sequence") if "light_sequence" in self.columns else ()

    def _cleaned(self, name: str) -> tuple[str, ...]:
        try:
            return tuple(clean(self.columns[name]))
        except RowError as error:
            raise self.fault(error.row - 1, error.what) from error

    def labels(self) -> tuple[int, ...]:
        """`label`, 0 or 1.

        Raises:
            DataError: one is anything else; a number is not cut to a class.
        """
        return tuple(int(cell == "1") for cell in self._checked("label", _no_class))

    def targets(self) -> tuple[float, ...]:
        """`target`, finite.

        Raises:
            DataError: one is no number, or not finite.
        """
        return tuple(float(cell) for cell in self._checked("target", _no_number))

    def _checked(self, name: str, fault: Callable[[str], str]) -> list[str]:
        self.require(name)
        cells = [cell.strip() for cell in self.columns[name]]
        for row, cell in enumerate(cells):
            if why := fault(cell):
                raise self.fault(row, f"the {name} {why}")
        return cells


def _no_class(cell: str) -> str:
    if cell in {"0", "1"}:
        return ""
    if not cell:
        return "is empty. Write 0 or 1, or leave the row out."
    if NUMBER.fullmatch(cell) and float(cell) in {0.0, 1.0}:
        return f"is '{_shown(cell)}'. Write {float(cell):.0f}."
    return f"is '{_shown(cell)}', which is no class. Write 0 or 1; a measured value is a target."


def _no_number(cell: str) -> str:
    if NUMBER.fullmatch(cell):
        return "" if math.isfinite(float(cell)) else f"is '{_shown(cell)}', which is not finite."
    if cell.lower() in {"", "na", "n/a", "nan", "null", "none"}:
        return "is missing. Leave the row out, or write its number."
    return f"is '{_shown(cell)}', which is no finite decimal number."


def _shown(text: str) -> str:
    return ascii(text[:60])[1:-1]


def read(path: Path, *, empty: bool = False) -> Table:
    """The table in a file: FASTA where its first character is `>`, else CSV.

    Args:
        empty: it may have a header and no rows.

    Raises:
        DataError: it is neither.
    """
    text = _text(path)
    first = text.lstrip()[:1]
    if first == ">":
        return _fasta(path, text)
    if first == ";":
        raise DataError(f"{path} begins with a comment (;). Take it out: FASTA begins with >, CSV with its header.")
    table = _csv(path, text)
    if not len(table) and not empty:
        raise DataError(f"{path} has a header and no rows.")
    return table


def _text(path: Path) -> str:
    try:
        data = path.read_bytes()
        data = gzip.decompress(data) if data.startswith(GZIP) else data
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path} cannot be read: {error}") from error
    if data.startswith(ZIP):
        raise DataError(f"{path} is an archive or a spreadsheet. Save it as CSV in UTF-8.")
    coding = next((name for mark, name in MARKS.items() if data.startswith(mark)), "utf-8")
    if coding == "UTF-16":
        raise DataError(f"{path} is UTF-16. Save it as UTF-8.")
    try:
        return data.decode(coding)
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise DataError(f"{path} line {line} is not UTF-8. Save it as UTF-8.") from error


def _csv(path: Path, text: str) -> Table:
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    rows: list[tuple[int, list[str]]] = []
    begins = 1
    try:
        for fields in reader:
            if fields:
                rows.append((begins, fields))
            begins = reader.line_num + 1
    except csv.Error as error:
        raise DataError(f"{path} line {begins} cannot be split into fields: is a quote not closed?") from error
    if not rows:
        raise DataError(f"{path} is empty. A header names the columns, then comes one line for each row.")
    (_, header), *body = rows
    if len(set(header)) < len(header):
        raise DataError(f"{path} names a column twice.")
    for row, (line, fields) in enumerate(body, start=1):
        if len(fields) != len(header):
            what = f"{len(fields)} fields, but the header has {len(header)}. Does a cell hold a comma without quotes?"
            raise DataError(f"{path} row {row} (line {line}): {what}")
    cells = list(zip(*(fields for _, fields in body), strict=True)) or [()] * len(header)
    return Table(path, dict(zip(header, cells, strict=True)), tuple(line for line, _ in body))


def _fasta(path: Path, text: str) -> Table:
    try:
        from Bio import SeqIO
    except ImportError as error:
        raise DataError(f"{path} is FASTA, which needs Biopython: pip install biopython, or give a CSV.") from error
    try:
        records = list(SeqIO.parse(io.StringIO(text.lstrip()), "fasta"))  # type: ignore[no-untyped-call]
    except ValueError as error:
        raise DataError(f"{path} is no FASTA: {error}") from error
    lines = tuple(number for number, line in enumerate(text.splitlines(), start=1) if line.startswith(">"))
    columns = {
        "sequence_id": tuple(str(record.id) for record in records),
        "sequence": tuple(str(record.seq) for record in records),
    }
    return Table(path, columns, lines)


def contradictions(sequences: Sequence[str], labels: Sequence[int]) -> list[str]:
    """Pairs of rows with one and the same sequence and both labels, in words."""
    first: dict[str, int] = {}
    found = []
    for row, (sequence, label) in enumerate(zip(sequences, labels, strict=True)):
        other = first.setdefault(sequence, row)
        if labels[other] != label:
            found.append(f"rows {other + 1} and {row + 1} are one sequence, with labels {labels[other]} and {label}")
    return found
