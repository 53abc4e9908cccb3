"""A predictions file: read exactly, or refused with a code, the row and the remedy."""

from __future__ import annotations

import csv
import io
import math
import random
import re
import struct
import time
import unicodedata

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from evaluator.contract.predictions import MAX_OUTPUT_BYTES, Predictions, read
from evaluator.contract.task_types import TaskType
from evaluator.errors import SubmissionError

IDS = ("a1", "b2", "c3")
HEADER = "sequence_id,prediction,score\n"
GOOD = HEADER + "a1,0,0.125\nb2,1,0.875\nc3,1,0.5\n"


def table(text: str | bytes, ids: tuple[str, ...] = IDS, task: TaskType = "classification") -> Predictions:
    return read(text.encode() if isinstance(text, str) else text, ids, task)


def refusal(text: str | bytes, ids: tuple[str, ...] = IDS, task: TaskType = "classification") -> SubmissionError:
    """The refusal of a file: within a second, safe to print, and with the code of its first problem."""
    data = text.encode() if isinstance(text, str) else text
    start = time.process_time()
    with pytest.raises(SubmissionError) as caught:
        read(data, ids, task)
    assert time.process_time() - start < 1
    error = caught.value
    assert inert(str(error))
    assert error.code == f"BAD_FORMAT:{error.problems[0].code}"
    return error


def inert(message: str) -> bool:
    """No escape sequence, text-direction override, or other invisible character but our own line ends."""
    return all(c == "\n" or unicodedata.category(c) not in {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"} for c in message)


def with_score(cell: str) -> str:
    """GOOD with another score in row 3."""
    return GOOD.replace("0.875", cell)


def bits(value: float) -> bytes:
    return struct.pack("<d", value)


# --- what is accepted ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("end", ["\n", "\r\n"], ids=["LF", "CR LF, as Python's csv module writes it"])
def test_plain_file_is_read_without_notes(end: str) -> None:
    found = table(GOOD.replace("\n", end))
    assert found.score.tolist() == [0.125, 0.875, 0.5]
    assert found.score.dtype == np.float64
    assert found.prediction is not None
    assert found.prediction.tolist() == [0, 1, 1]
    assert found.notes == ()


@pytest.mark.parametrize(
    ("text", "note"),
    [
        ("\ufeff" + GOOD, "BOM"),
        (GOOD.replace("a1,0,0.125", '"a1","0","0.125"'), "QUOTED"),
        (GOOD.replace("sequence_id", '"sequence_id"'), "QUOTED"),
    ],
)
def test_unambiguous_oddities_are_read_with_a_note(text: str, note: str) -> None:
    found = table(text)
    assert [n.code for n in found.notes] == [note]
    assert found.score.tolist() == [0.125, 0.875, 0.5]


def test_all_oddities_at_once_are_read_with_all_notes() -> None:
    quoted = "\r\n".join(",".join(f'"{cell}"' for cell in line.split(",")) for line in GOOD.splitlines())
    found = table("\ufeff" + quoted)
    assert {n.code for n in found.notes} == {"BOM", "QUOTED"}
    assert found.score.tolist() == [0.125, 0.875, 0.5]


@pytest.mark.parametrize(
    "text",
    [
        GOOD.rstrip("\n"),
        GOOD + "\n" * 50,
        GOOD + "\r\n\r\n",
        HEADER + "c3,1,0.5\na1,0,0.125\nb2,1,0.875\n",
        "score,extra,sequence_id,note,prediction\n0.5,x,c3,,1\n0.875,,b2,\u202e,1\n0.125,9,a1,nan,0\n",
        "sequence_id,extra,prediction,score,extra\na1,,0,0.125,\nb2,,1,0.875,\nc3,,1,0.5,\n",
        'sequence_id,prediction,score,why\na1,0,0.125,"a, \'b\'\nand ""c"""\nb2,1,0.875,\nc3,1,0.5,\n',
    ],
    ids=[
        "no last line end",
        "blank lines",
        "blank CRLF lines",
        "row order",
        "column order",
        "extra twice",
        "extra quoted",
    ],
)
def test_order_extra_columns_and_blank_lines_do_not_matter(text: str) -> None:
    found = table(text)
    assert found.score.tolist() == [0.125, 0.875, 0.5]
    assert found.prediction is not None
    assert found.prediction.tolist() == [0, 1, 1]


@pytest.mark.parametrize(
    "cell",
    ["0", "1", "0.0", "1.0", "1.", ".5", "+0.5", "-0.0", "5e-324", "1E-3", "1e-400", "0.1e1", "00.5", "0." + "3" * 500],
)
def test_every_ordinary_number_within_bounds_is_read(cell: str) -> None:
    assert bits(table(with_score(cell)).score[1]) == bits(float(cell))


def test_id_that_looks_like_something_else_stays_what_it_is() -> None:
    ids = ("NA", "007", "1e5", "nan", "Ünï", " x", 'say "hi"', "a,b")
    buffer = io.StringIO()
    csv.writer(buffer).writerows([("sequence_id", "prediction", "score"), *((i, 1, n / 10) for n, i in enumerate(ids))])
    assert table(buffer.getvalue(), ids).score.tolist() == [n / 10 for n in range(len(ids))]


# --- regression ------------------------------------------------------------------------------------------------------


def test_regression_needs_no_prediction_and_takes_any_finite_score() -> None:
    found = table("sequence_id,score\nb2,-1e308\na1,123.5\nc3,5e-324\n", task="regression")
    assert found.prediction is None
    assert found.score.tolist() == [123.5, -1e308, 5e-324]


def test_regression_ignores_a_prediction_column() -> None:
    found = table(HEADER + "a1,maybe,2\nb2,,3\nc3,1,4\n", task="regression")
    assert found.prediction is None
    assert found.score.tolist() == [2, 3, 4]


@pytest.mark.parametrize("cell", ["nan", "inf", "-1e999", "", "x"])
def test_regression_needs_finite_scores(cell: str) -> None:
    error = refusal(f"sequence_id,score\na1,1\nb2,{cell}\nc3,2\n", task="regression")
    assert "row 3" in str(error)


# --- the file as a whole ---------------------------------------------------------------------------------------------

WHOLE: dict[str, tuple[bytes, str, str | None, str]] = {
    "empty": (b"", "EMPTY", None, "header"),
    "blank": (b" \n\r\n\t", "EMPTY", None, "header"),
    "byte-order mark only": (b"\xef\xbb\xbf", "EMPTY", None, "header"),
    "no header": (GOOD.removeprefix(HEADER).encode(), "HEADER", "row 1", "sequence_id,prediction,score"),
    "other header": (GOOD.replace("score", "proba").encode(), "HEADER", "row 1", "sequence_id,prediction,score"),
    "upper-case header": (GOOD.replace("score", "Score").encode(), "HEADER", "row 1", "lacks score"),
    "spaces in header": (GOOD.replace(",score", ", score").encode(), "HEADER", "row 1", "lacks score"),
    "no prediction column": (b"sequence_id,score\na1,0.5\n", "HEADER", "row 1", "lacks prediction"),
    "index column first": (GOOD.replace("sequence_id", "").encode(), "HEADER", "row 1", "lacks sequence_id"),
    "repeated column": (b"sequence_id,prediction,score,score\na1,0,0.1,0.9\n", "HEADER", "row 1", "score twice"),
    "repeated id column": (b"sequence_id,sequence_id,prediction,score\n", "HEADER", "row 1", "sequence_id twice"),
    "escapes in header": (b"\x1b[2J,prediction,score\n", "HEADER", "row 1", "\\x1b[2J"),
    "semicolons": (GOOD.replace(",", ";").encode(), "DELIMITER", "row 1", "commas"),
    "tabs": (GOOD.replace(",", "\t").encode(), "DELIMITER", "row 1", "commas"),
    "NUL byte": (GOOD.replace("0.875", "0.8\0").encode(), "NUL_BYTE", "row 3", "UTF-8"),
    "NUL bytes only": (b"\0" * 1000, "NUL_BYTE", "row 1", "UTF-8"),
    "UTF-16": (GOOD.encode("utf-16"), "ENCODING", None, "UTF-8"),
    "UTF-16, big-endian": (b"\xfe\xff" + GOOD.encode("utf-16-be"), "ENCODING", None, "UTF-8"),
    "UTF-16, unmarked": (GOOD.encode("utf-16-le"), "ENCODING", None, "UTF-8"),
    "Latin-1": (GOOD.replace("b2", "b\xe9").encode("latin-1"), "ENCODING", "row 3", "UTF-8"),
    "overlong UTF-8": (GOOD.encode().replace(b"b2", b"\xc0\xaf"), "ENCODING", "row 3", "UTF-8"),
    "gzip": (b"\x1f\x8b\x08" + GOOD.encode(), "ENCODING", None, "gzip"),
    "1 MB field": (GOOD.replace("c3", "c" * 2**20).encode(), "FIELD_TOO_LONG", "row 4", "to_csv"),
    "1 MB number": (with_score("1" * 2**20).encode(), "FIELD_TOO_LONG", "row 3", "to_csv"),
    "1 MB header": (b"x" * 2**20, "FIELD_TOO_LONG", "row 1", "to_csv"),
    "1 MB of commas": (b"," * 2**20, "TOO_MANY_COLUMNS", "", "needed columns only"),
    "1 MB of quotes": (b'"' * 2**20, "FIELD_TOO_LONG", "row 1", "to_csv"),
    "text after a quote": (GOOD.replace("b2", '"b"2').encode(), "QUOTING", "row 3", "to_csv"),
    "unbalanced quote": (GOOD.replace("b2", '"b2').encode(), "QUOTING", "row 3", "to_csv"),
    "unbalanced quote, last row": (GOOD.replace("0.5", '"0.5').encode(), "QUOTING", "row 4", "to_csv"),
    "header only": (HEADER.encode(), "MISSING_ID", None, "3 of 3"),
}  # fmt: skip


@pytest.mark.parametrize("case", WHOLE)
def test_file_is_refused_with_code_row_and_remedy(case: str) -> None:
    data, code, row, remedy = WHOLE[case]
    error = refusal(data)
    assert error.problems[0].code == code
    assert remedy in str(error)
    assert row is None or re.search(rf"\b{row}\b", str(error)), str(error)


def test_file_over_the_size_limit_is_refused() -> None:
    error = refusal(GOOD.encode().ljust(MAX_OUTPUT_BYTES + 1, b"\n"))
    assert error.code == "BAD_FORMAT:TOO_LARGE"
    assert "2 MiB" in str(error)  # room for a few rows; a track of 141,021 rows has 64 MiB


@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"])
def test_ten_times_too_many_rows_are_refused_before_they_are_parsed(line_end: str) -> None:
    ids = tuple(f"s{i}" for i in range(200))
    rows = "".join(f"{i},0,0.5\n" for i in ids)
    error = refusal((HEADER + rows * 10).replace("\n", line_end), ids)
    assert error.code == "BAD_FORMAT:TOO_MANY_ROWS"
    assert "2,001 lines for 200 sequences" in str(error)


def test_number_followed_by_something_else_is_refused_quickly() -> None:
    assert refusal(with_score("1" * 10_000 + "x")).code == "BAD_FORMAT:NOT_A_NUMBER"


def test_unbalanced_quote_is_found_where_it_opens_also_in_a_long_file() -> None:
    ids = tuple(f"s{i}" for i in range(20_000))
    error = refusal(HEADER + "".join(f"{i},0,0.5\n" for i in ids).replace("s3,", '"s3,', 1), ids)
    assert (error.problems[0].code, error.problems[0].where) == ("QUOTING", "row 5")


# --- the rows --------------------------------------------------------------------------------------------------------

ROWS: dict[str, tuple[str, str, str]] = {
    "unknown id": (GOOD + "d4,0,0.5\n", "UNKNOWN_ID row 5", "from the input"),
    "id with a space": (GOOD.replace("b2", "b2 "), "UNKNOWN_ID row 3", "unchanged"),
    "id with escapes": (GOOD + "\x1b[31mz\u202e,0,0.5\n", "UNKNOWN_ID row 5", "\\x1b[31mz\\u202e"),
    "duplicate id": (GOOD + "a1,0,0.125\n", "DUPLICATE_ID row 5", "once"),
    "too few fields": (GOOD.replace("b2,1,0.875", "b2,1"), "ROW_LENGTH row 3", "2 fields, the header 3"),
    "too many fields": (GOOD.replace("b2,1,0.875", "b2,1,0.875,"), "ROW_LENGTH row 3", "4 fields, the header 3"),
    "decimal comma": (with_score("0,875"), "ROW_LENGTH row 3", "4 fields, the header 3"),
    "prediction 2": (GOOD.replace("b2,1", "b2,2"), "PREDICTION row 3", "threshold"),
    "prediction 1.0": (GOOD.replace("b2,1", "b2,1.0"), "PREDICTION row 3", "threshold"),
    "prediction True": (GOOD.replace("b2,1", "b2,True"), "PREDICTION row 3", "neither 0 nor 1"),
    "prediction missing": (GOOD.replace("b2,1", "b2,"), "PREDICTION row 3", "neither 0 nor 1"),
    "prediction +1": (GOOD.replace("b2,1", "b2,+1"), "PREDICTION row 3", "neither 0 nor 1"),
    "prediction, other digit": (GOOD.replace("b2,1", "b2,\u0661"), "PREDICTION row 3", "neither 0 nor 1"),
    "NaN": (with_score("nan"), "NAN row 3", "finite"),
    "-NaN": (with_score("-NaN"), "NAN row 3", "finite"),
    "NA": (with_score("NA"), "NAN row 3", "finite"),
    "no score": (with_score(""), "NAN row 3", "finite"),
    "inf": (with_score("inf"), "INFINITE row 3", "finite"),
    "-Infinity": (with_score("-Infinity"), "INFINITE row 3", "finite"),
    "1e999": (with_score("1e999"), "INFINITE row 3", "finite"),
    "-1e999": (with_score("-1e999"), "INFINITE row 3", "finite"),
    "over 1": (with_score("1.0000000000000002"), "OUT_OF_RANGE row 3", "[0, 1]"),
    "under 0": (with_score("-5e-324"), "OUT_OF_RANGE row 3", "[0, 1]"),
    "percent": (with_score("87.5"), "OUT_OF_RANGE row 3", "[0, 1]"),
    "1_0": (with_score("1_0"), "NOT_A_NUMBER row 3", "decimal number"),
    "0_1": (with_score("0.1_0"), "NOT_A_NUMBER row 3", "decimal number"),
    "Arabic digits": (with_score("\u0660.\u0669"), "NOT_A_NUMBER row 3", "decimal number"),
    "full-width digits": (with_score("\uff10.\uff19"), "NOT_A_NUMBER row 3", "decimal number"),
    "Unicode minus": (with_score("\u22120.5"), "NOT_A_NUMBER row 3", "decimal number"),
    "hexadecimal": (with_score("0x1"), "NOT_A_NUMBER row 3", "decimal number"),
    "hexadecimal float": (with_score("0x1p-1"), "NOT_A_NUMBER row 3", "decimal number"),
    "percent sign": (with_score("87%"), "NOT_A_NUMBER row 3", "decimal number"),
    "formula": (with_score("=0.5"), "NOT_A_NUMBER row 3", "decimal number"),
    "tensor": (with_score("tensor(0.9)"), "NOT_A_NUMBER row 3", "decimal number"),
    "point only": (with_score("."), "NOT_A_NUMBER row 3", "decimal number"),
    "e only": (with_score("1e"), "NOT_A_NUMBER row 3", "decimal number"),
    "escape": (with_score("\x1b[31m"), "NOT_A_NUMBER row 3", "\\x1b[31m"),
}


@pytest.mark.parametrize("case", ROWS)
def test_row_is_refused_with_code_row_and_remedy(case: str) -> None:
    text, found, remedy = ROWS[case]
    first = refusal(text).problems[0]
    assert f"{first.code} {first.where}" == found
    assert remedy in str(first)


def test_missing_ids_are_counted_and_the_first_is_named() -> None:
    error = refusal(HEADER + "b2,1,0.5\n")
    assert error.code == "BAD_FORMAT:MISSING_ID"
    assert "2 of 3" in str(error)
    assert "'a1'" in str(error)


def test_rows_are_counted_as_an_editor_shows_them() -> None:
    text = HEADER + "\n\na1,0,0.125\n\nb2,1,x\nc3,1,0.5\n"
    assert text.splitlines()[6 - 1] == "b2,1,x"
    assert refusal(text).problems[0].where == "row 6"


# --- several problems at once ----------------------------------------------------------------------------------------


def test_all_problems_are_reported_in_the_order_of_the_file() -> None:
    error = refusal(HEADER + "a1,7,nan\nzz,0,0.5\na1,0,2\nb2,1\n")
    assert [(p.where, p.code) for p in error.problems[-1:]] == [("", "MISSING_ID")]
    assert sorted((p.where, p.code) for p in error.problems[:-1]) == [
        ("row 2", "NAN"),
        ("row 2", "PREDICTION"),
        ("row 3", "UNKNOWN_ID"),
        ("row 4", "DUPLICATE_ID"),
        ("row 4", "OUT_OF_RANGE"),
        ("row 5", "ROW_LENGTH"),
    ]
    assert [p.where for p in error.problems] == sorted((p.where for p in error.problems), key=lambda w: w or "row 9")
    assert all(p.remedy for p in error.problems)


def test_one_fault_in_many_rows_is_told_once_with_its_count_and_rows() -> None:
    ids = tuple(f"s{i}" for i in range(25))
    error = refusal(HEADER + "".join(f"{i},{'FALSE' if k % 2 else 'TRUE'},0.5\n" for k, i in enumerate(ids)), ids)
    [problem] = error.problems
    assert (problem.code, problem.where) == ("PREDICTION", "rows 2-26")
    assert "'TRUE'" in problem.what and "25 rows" in problem.what
    assert "as.integer" in problem.remedy and "astype(int)" in problem.remedy

    error = refusal(HEADER + "".join(f"{i},0,{'nan' if k % 3 else '0.5'}\n" for k, i in enumerate(ids)), ids)
    [problem] = error.problems
    assert "16 rows" in problem.what
    assert problem.where == "rows 3-4, 6-7, 9-10, 12-13, 15-16, 18-19, ..."
    assert "row 2:" not in str(error)


# --- anything at all -------------------------------------------------------------------------------------------------


def check_any(data: bytes, task: TaskType) -> None:
    """Finite, aligned arrays, or a refusal that can be printed; never anything else."""
    try:
        found = read(data, IDS, task)
    except SubmissionError as error:
        message, code = str(error), error.code
    else:
        assert found.score.shape == (3,)
        assert np.isfinite(found.score).all()
        return
    assert inert(message)
    assert re.fullmatch(r"BAD_FORMAT:[A-Z_]+", code)


TASKS = st.sampled_from(["classification", "regression"])
CSV_TOKENS = [
    HEADER, "sequence_id,score\n", "a1", "b2", "c3", "a1,0,0.5\n", "b2,1,1\n", "c3,0,0\n", "a1,0.5\n", ",", ";",
    "\n", "\r", "\r\n", '"', '""', "0", "1", "0.5", "nan", "1e999", "-", "+", "1_0", "\t", " ", "\ufeff", "\x1b[0m",
    "\u0661", "\0",
]  # fmt: skip


@settings(deadline=None, max_examples=200)
@given(st.binary(max_size=200), TASKS)
@example(b"\xef\xbb\xbf\xef\xbb\xbf" + GOOD.encode(), "classification")
@example(b'"', "classification")
@example(b"\r", "regression")
def test_any_bytes_are_read_or_refused(data: bytes, task: TaskType) -> None:
    check_any(data, task)
    check_any(HEADER.encode() + data, task)


@settings(deadline=None, max_examples=500)
@given(st.lists(st.sampled_from(CSV_TOKENS) | st.text(max_size=3), max_size=20).map("".join), TASKS)
def test_any_csv_like_text_is_read_or_refused(text: str, task: TaskType) -> None:
    check_any(text.encode("utf-8", "surrogatepass"), task)


# --- exactness -------------------------------------------------------------------------------------------------------

PROBABILITIES = st.floats(0, 1) | st.sampled_from([0.0, -0.0, 1.0, 5e-324, math.nextafter(1, 0), 0.1])
ANY_ID = st.text(st.characters(exclude_categories=["Cc", "Cs"], exclude_characters="\ufeff"), min_size=1, max_size=8)
FINITE = st.floats(allow_nan=False, allow_infinity=False)
CELLS = (
    st.from_regex(re.compile(r"[+-]?[0-9]{0,20}\.?[0-9]{0,20}([eE][+-]?[0-9]{1,3})?", re.ASCII), fullmatch=True)
    | st.text("0123456789.eE+-_ xinfatyNIF\u0661\uff11\xb2\u00a0\u2212", max_size=8)
    | FINITE.map(repr)
    | FINITE.map(lambda x: f"{x:.17e}")
)


def written(rows: list[tuple[str, int, float]], extra: bool, quote: bool, line_end: str) -> bytes:
    buffer = io.StringIO()
    writer = csv.writer(buffer, quoting=csv.QUOTE_ALL if quote else csv.QUOTE_MINIMAL, lineterminator=line_end)
    writer.writerow([*(["note"] if extra else []), "sequence_id", "prediction", "score"])
    writer.writerows([*(['any, "thing"\n'] if extra else []), i, p, repr(s)] for i, p, s in rows)
    return buffer.getvalue().encode()


@settings(deadline=None, max_examples=200)
@given(
    rows=st.lists(
        st.tuples(ANY_ID, st.integers(0, 1), PROBABILITIES), min_size=1, max_size=30, unique_by=lambda row: row[0],
    ),
    order=st.randoms(use_true_random=False), extra=st.booleans(), quote=st.booleans(),
    line_end=st.sampled_from(["\n", "\r\n"]),
)  # fmt: skip
def test_valid_tables_come_back_bit_identical_and_aligned(
    rows: list[tuple[str, int, float]], order: random.Random, extra: bool, quote: bool, line_end: str
) -> None:
    ids = [row[0] for row in rows]
    shuffled = order.sample(rows, len(rows))
    data = written(shuffled, extra, quote, line_end)
    found = read(data, ids, "classification")
    assert found.score.tobytes() == np.array([row[2] for row in rows]).tobytes()
    assert found.prediction is not None
    assert found.prediction.tolist() == [row[1] for row in rows]


@settings(deadline=None, max_examples=100)
@given(st.lists(FINITE, min_size=1, max_size=30), st.randoms(use_true_random=False))
def test_regression_tables_come_back_bit_identical(scores: list[float], order: random.Random) -> None:
    ids = [f"id{n}" for n in range(len(scores))]
    rows = order.sample(list(zip(ids, scores, strict=True)), len(ids))
    data = "sequence_id,score\n" + "".join(f"{i},{s!r}\n" for i, s in rows)
    assert read(data.encode(), ids, "regression").score.tobytes() == np.array(scores).tobytes()


@settings(deadline=None, max_examples=500)
@given(CELLS)
@example("1e400")
@example("179769313486231580793e289")
@example("2.4703282292062327e-324")
def test_no_cell_is_read_as_another_number_than_python_reads(cell: str) -> None:
    try:
        found = bits(read(f"sequence_id,score\nx,{cell}\n".encode(), ["x"], "regression").score[0])
    except SubmissionError:
        found = None
    if found is not None:
        assert found == bits(float(cell))
    plain = re.fullmatch(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?", cell)
    assert (found is not None) == (plain is not None and math.isfinite(float(cell)))
