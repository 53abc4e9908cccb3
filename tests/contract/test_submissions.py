"""A submission's YAML: valid files come back as written, every other file is refused with code, line and remedy."""

from __future__ import annotations

import gzip
import json
import re
import string
import time
import unicodedata
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from evaluator.contract.submissions import Submission, load, notes, parse
from evaluator.contract.training_sets import NAMES
from evaluator.errors import SubmissionError
from evaluator.text import is_inert

MINIMAL = 'name: "Model"\ndocker_image: docker.io/user/model:1.0\nauthor: a@b.edu\n'
NEXT_LINE = MINIMAL.count("\n") + 1  # where whatever is appended to MINIMAL stands
DIGEST = "sha256:" + "0123456789abcdef" * 4

CARD: dict[str, Any] = {
    "card": 1,
    "research_type": "experimental",
    "affiliation": "mixed",
    "pseudocode": {
        "status": "yes",
        "evidence": {
            "repository": "https://github.com/user/repo", "commit": "0" * 40, "path": "docs/a.md",
            "quote": "for x in sequences: yield f(x)",
        },
    },
    "open_code": {
        "status": "partial", "reason": "no training", "repository": "https://gitlab.com/g/s/r", "commit": "a" * 40,
        "license": "MIT",
    },
    "open_data": {
        "status": "yes",
        "sets": [
            {"name": "boughter", "role": "train", "license": "CC-BY-4.0", "evidence": {"doi": "10.7554/eLife.61393"}},
            {"name": "oas", "role": "pretrain", "evidence": {"url": "https://a.org/x", "sha256": "1" * 64}},
        ],
    },
    "splits": {"status": "yes", "method": "family", "seed": 1},
    "hardware": {"status": "no", "reason": "forgotten", "training": "1 x A100"},
    "software": {"status": "yes", "lock_file": "/app/requirements.txt", "sha256": "2" * 64},
    "experiment": {"status": "yes", "seeds": [1, 2], "trials": 40, "selection": "mean of folds"},
    "weights": {"status": "yes", "evidence": {"file": "/app/w.safetensors", "sha256": "3" * 64}},
    "determinism": "tolerance",
    "test_exposure": {"labels_seen": "no"},
    "predictions": {"status": "not_applicable", "reason": "it is an image", "sha256": ["4" * 64]},
}  # fmt: skip
FREE: dict[str, Any] = {"seeds": [1, 2], "deterministic": True, "notes": {"cuda": "12.4"}, "loss": 0.5, "none": None}
"""As entries had it before there was a card."""
FULL: dict[str, Any] = {
    "name": "ESM2-XGBoost-v1",
    "docker_image": f"ghcr.io/user/esm2-xgb@{DIGEST}",
    "author": "Jürgen Müller",
    "paper": "https://arxiv.org/abs/2101.00001",
    "description": "ESM2 embeddings → XGBoost, 5 % held out.",
    "code": "https://github.com/user/repo?tab=readme#usage",
    "license": "MIT",
    "affiliation": "University, 東京",
    "team": "Team O'Neil & Co. <3",
    "tracks": ["jain", "shehata"],
    "training_data": ["boughter", "oas"],
    "model": {"backbone": "esm2_650m", "head": "xgboost", "parameters": 652_000_000},
    "resources": {"gpu": True, "memory_gb": 16.5, "timeout_minutes": 90},
    "few_shot": {"mode": "transductive", "meta_training": ["ProteinGym, 113 assays", "synthetic"]},
    "training_sequences": {"url": "https://zenodo.org/records/1/files/train.csv", "sha256": "0123456789abcdef" * 4},
    "withdrawn": "replaced by version 2",
    "reproducibility": CARD,
}


def read(text: str | bytes) -> Submission:
    return parse(text.encode() if isinstance(text, str) else text, "my-model")


def problem(text: str | bytes) -> SubmissionError:
    """The refusal of a file: within a second, and safe to print on a terminal."""
    start = time.process_time()
    with pytest.raises(SubmissionError) as caught:
        read(text)
    assert time.process_time() - start < 1
    assert inert(str(caught.value))
    return caught.value


def outcome(data: bytes) -> Submission | SubmissionError:
    try:
        return parse(data, "abc")
    except SubmissionError as error:
        return error


def inert(message: str) -> bool:
    """No escape sequence, text-direction override, or other invisible character but our own line ends."""
    return all(c == "\n" or unicodedata.category(c) not in {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"} for c in message)


def names_line(error: SubmissionError, line: int) -> bool:
    return re.search(rf"\bline {line}\b", str(error), re.IGNORECASE) is not None


# --- what is accepted ------------------------------------------------------------------------------------------------


def test_minimal_file_has_the_documented_defaults() -> None:
    submission = read(MINIMAL)
    assert (submission.id, submission.name, submission.author) == ("my-model", "Model", "a@b.edu")
    assert submission.docker_image == "docker.io/user/model:1.0"
    assert submission.training_data == ("undisclosed",)
    assert submission.tracks is None
    assert (submission.paper, submission.description, submission.code, submission.license) == (None,) * 4
    assert (submission.affiliation, submission.team, submission.reproducibility) == (None,) * 3
    assert submission.resources.model_dump() == {"gpu": False, "memory_gb": 8, "timeout_minutes": 60}
    assert submission.model.model_dump() == {"backbone": None, "head": None, "parameters": None}


def test_full_file_comes_back_as_written() -> None:
    assert read(yaml.safe_dump(FULL, allow_unicode=True)).model_dump(mode="json") == {**FULL, "archived": None}


def test_free_fields_of_old_are_read_as_they_were_and_declare_nothing() -> None:
    found = read(yaml.safe_dump({**FULL, "reproducibility": FREE}))
    assert found.model_dump(mode="json")["reproducibility"] == FREE
    assert found.reproducibility is not None and found.reproducibility.free == FREE and found.card is None


def test_submission_cannot_be_changed() -> None:
    with pytest.raises(ValidationError):
        read(MINIMAL).name = "other"  # type: ignore[misc]


def test_byte_order_mark_and_windows_line_ends_are_read() -> None:
    assert read(b"\xef\xbb\xbf" + MINIMAL.replace("\n", "\r\n").encode()) == read(MINIMAL)


def test_date_as_name_is_the_text_that_was_written() -> None:
    assert read(MINIMAL.replace('"Model"', "2024-01-01")).name == "2024-01-01"


def test_line_breaks_of_a_block_of_text_become_spaces() -> None:
    assert read(MINIMAL + "description: |\n  Two\n  lines.\n").description == "Two lines."


@pytest.mark.parametrize("value", ["mit", "Apache-2.0 OR MIT", "CC-BY-4.0", "LicenseRef-Proprietary"])
def test_spdx_expressions_are_accepted(value: str) -> None:
    license_ = read(MINIMAL + f"license: {value}\n").license
    assert license_ is not None
    assert license_.lower() == value.lower()


@pytest.mark.parametrize("name", ["x" * 60, "x", "東" * 60])
def test_name_of_up_to_60_characters_is_accepted(name: str) -> None:
    assert read(MINIMAL.replace("Model", name)).name == name


def test_file_of_exactly_16_kib_is_read() -> None:
    assert read(MINIMAL.ljust(16 * 1024, "#")) == read(MINIMAL + "#")


# --- the file's name -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("good", ["abc", "0ab", "a-b", "a" * 64])
def test_good_ids(good: str) -> None:
    assert parse(MINIMAL.encode(), good).id == good


@pytest.mark.parametrize(
    "bad",
    ["", "ab", "a" * 65, "Abc", "-abc", "a_b", "a.b", "a b", "abc\n", "../abc", "\u0430bc", "a\x1b[31mb", "ab\u0663"],
)
def test_bad_ids_are_refused(bad: str) -> None:
    with pytest.raises(SubmissionError) as caught:
        parse(MINIMAL.encode(), bad)
    assert caught.value.code == "ID"
    assert "3 to 64" in str(caught.value)
    assert inert(str(caught.value))


def test_load_takes_the_id_from_the_file_name(tmp_path: Path) -> None:
    path = tmp_path / "my-model.yaml"
    path.write_text(MINIMAL)
    assert load(path) == read(MINIMAL)


def test_load_refuses_links_folders_other_suffixes_and_missing_files(tmp_path: Path) -> None:
    real = tmp_path / "my-model.yaml"
    real.write_text(MINIMAL)
    (tmp_path / "link.yaml").symlink_to(real)
    (tmp_path / "folder.yaml").mkdir()
    (tmp_path / "model.yml").write_text(MINIMAL)
    for name in ("link.yaml", "folder.yaml", "model.yml", "absent.yaml"):
        with pytest.raises(SubmissionError) as caught:
            load(tmp_path / name)
        assert caught.value.code == "YAML_MISSING"
        assert name in str(caught.value)


def test_load_does_not_read_a_huge_file_to_refuse_it(tmp_path: Path) -> None:
    path = tmp_path / "huge.yaml"
    with path.open("wb") as stream:
        stream.truncate(10**12)  # sparse: reading it all would end the test
    with pytest.raises(SubmissionError) as caught:
        load(path)
    assert caught.value.code == "YAML_TOO_LARGE"


# --- the file as YAML ------------------------------------------------------------------------------------------------

BOMB = "a: &a [x, x]\n" + "".join(f"{b}: &{b} [*{a}, *{a}]\n" for a, b in zip("abcdefgh", "bcdefghi", strict=True))

STRUCTURE: dict[str, tuple[str, str, int | None, str]] = {
    "billion laughs": (BOMB, "YAML_ALIAS", 1, "Write it out"),
    "anchor alone": (MINIMAL + "team: &t x\n", "YAML_ALIAS", NEXT_LINE, "Write it out"),
    "alias alone": (MINIMAL + "team: *t\n", "YAML_ALIAS", NEXT_LINE, "Write it out"),
    "anchor on a key": (MINIMAL + "&k team: x\n", "YAML_ALIAS", NEXT_LINE, "Write it out"),
    "alias to itself": ("&a [*a]", "YAML_ALIAS", 1, "Write it out"),
    "merge key": (MINIMAL + "<<: {team: x}\n", "YAML_KEY", NEXT_LINE, "plain text"),
    "10,000 open brackets": ("[" * 10_000, "YAML_DEPTH", 1, "Flatten"),
    "10,000 open brackets as a value": (MINIMAL + "team: " + "[" * 10_000, "YAML_DEPTH", NEXT_LINE, "Flatten"),
    "deep flow mappings": ("{a: " * 4_000, "YAML_DEPTH", 1, "Flatten"),
    "8,000 nested block sequences": ("- " * 8_000 + "x", "YAML_DEPTH", 1, "Flatten"),
    "deep block mappings": ("\n".join(" " * i + "a:" for i in range(170)), "YAML_DEPTH", 9, "Flatten"),
    "deep complex keys": ("? " * 8_000 + "x", "YAML_DEPTH", 1, "Flatten"),
    "10,000 nested block sequences": ("- " * 10_000, "YAML_TOO_LARGE", None, "16,384"),
    "deep reproducibility": (MINIMAL + "reproducibility: {a: " + "[" * 9 + "]" * 9 + "}", "YAML_DEPTH", 4, "Flatten"),
    "duplicate key": (MINIMAL + "name: Other\n", "YAML_DUPLICATE_KEY", NEXT_LINE, "'name' is given twice"),
    "duplicate key, escaped": (MINIMAL + '"na\\x6de": Other\n', "YAML_DUPLICATE_KEY", NEXT_LINE, "'name' is given"),
    "duplicate key, nested": (
        MINIMAL + "model:\n  head: a\n  parameters: 1\n  head: b\n", "YAML_DUPLICATE_KEY", NEXT_LINE + 3, "Keep one",
    ),
    "duplicate key, in a list": (
        MINIMAL + "reproducibility: {a: [{b: 1, b: 2}]}\n", "YAML_DUPLICATE_KEY", NEXT_LINE, "'b' is given twice",
    ),
    "one byte over 16 KiB": (MINIMAL.ljust(16 * 1024 + 1, "#"), "YAML_TOO_LARGE", None, "16,384"),
    "python object tag": ("!!python/object/apply:os.system ['id']", "YAML_TAG", 1, "plain value"),
    "python object as a value": (MINIMAL + "team: !!python/object:os.system x\n", "YAML_TAG", NEXT_LINE, "plain value"),
    "tag on a key": (MINIMAL + "!!str team: x\n", "YAML_TAG", NEXT_LINE, "plain value"),
    "own tag": (MINIMAL + "team: !secret x\n", "YAML_TAG", NEXT_LINE, "plain value"),
    "binary": (MINIMAL + "team: !!binary aGk=\n", "YAML_TAG", NEXT_LINE, "plain value"),
    "non-specific tag": (MINIMAL + "team: ! x\n", "YAML_TAG", NEXT_LINE, "plain value"),
    "empty": ("", "YAML_NOT_A_MAPPING", None, "key: value"),
    "comment only": ("# nothing\n\n", "YAML_NOT_A_MAPPING", None, "key: value"),
    "list": ("- name: x\n", "YAML_NOT_A_MAPPING", None, "key: value"),
    "text": ("hello", "YAML_NOT_A_MAPPING", None, "key: value"),
    "two documents": (MINIMAL + "---\n" + MINIMAL, "YAML_SYNTAX", NEXT_LINE, "another document"),
    "second document empty": (MINIMAL + "---\n", "YAML_SYNTAX", NEXT_LINE, "another document"),
    "unclosed quote": (MINIMAL + "team: 'x\n", "YAML_SYNTAX", NEXT_LINE + 1, "Correct"),
    "tab as indentation": (MINIMAL + "model:\n\thead: x\n", "YAML_SYNTAX", NEXT_LINE + 1, "Correct"),
    "number as key": (MINIMAL + "1: x\n", "YAML_KEY", NEXT_LINE, "quotes"),
    "boolean as key": (MINIMAL + "yes: x\n", "YAML_KEY", NEXT_LINE, "quotes"),
    "null as key": (MINIMAL + "~: x\n", "YAML_KEY", NEXT_LINE, "quotes"),
    "list as key": (MINIMAL + "? [a, b]\n: x\n", "YAML_KEY", NEXT_LINE, "plain text"),
    "mapping as key": (MINIMAL + "? {a: b}\n: x\n", "YAML_KEY", NEXT_LINE, "plain text"),
    "number as nested key": (MINIMAL + "reproducibility: {a: {1: x}}\n", "YAML_KEY", NEXT_LINE, "quotes"),
    "raw escape character": (MINIMAL + "team: \x1b[31mred\n", "YAML_SYNTAX", NEXT_LINE, "Correct"),
    "raw NUL": (MINIMAL + "team: x\0\n", "YAML_SYNTAX", NEXT_LINE, "Correct"),
}  # fmt: skip


@pytest.mark.parametrize("case", STRUCTURE)
def test_structure_is_refused_with_line_and_remedy(case: str) -> None:
    text, code, line, remedy = STRUCTURE[case]
    error = problem(text)
    assert error.code == code
    assert remedy in str(error)
    assert line is None or names_line(error, line), str(error)


@pytest.mark.parametrize(
    "data",
    [MINIMAL.encode("utf-16"), MINIMAL.encode() + b"team: caf\xe9\n", b"\xff", b"a: \xed\xa0\x80", b"\xc0\xaf"],
)
def test_other_encodings_are_refused(data: bytes) -> None:
    error = problem(data)
    assert error.code == "YAML_ENCODING"
    assert "UTF-8" in str(error)


@pytest.mark.parametrize(
    "text",
    [
        MINIMAL + "tracks: [" + "a," * 8_000 + "]",
        MINIMAL + "training_data: [" + "zz," * 5_000 + "]",
        MINIMAL + "model: {" + "a," * 8_000 + "}",
        "?\n" * 8_000,
        "---\n" * 4_000,
        MINIMAL + "team: " + "9" * 16_000 + ".e",
        MINIMAL + "team: 1" + ":59" * 5_000 + ".0",
        MINIMAL + "paper: https://a.b/" + "%" * 16_000,
        MINIMAL + "license: " + "(" * 16_000,
        MINIMAL.replace("docker.io/user/model:1.0", "a" * 16_000),
    ],
)
def test_costly_files_are_refused_within_a_second(text: str) -> None:
    assert len(text) <= 16 * 1024
    problem(text)


@pytest.mark.parametrize(
    "number",
    ["9" * 5_000, "-" + "9" * 5_000, "9" * 4_000, "0x" + "f" * 15_000, "0b" + "1" * 15_000, "1" + ":59" * 5_000],
    ids=["decimal", "negative", "4000 digits", "hexadecimal", "binary", "sexagesimal"],
)
@pytest.mark.parametrize("field", ["model: {parameters: %s}", "reproducibility: {steps: %s}"])
def test_huge_integers_are_refused(field: str, number: str) -> None:
    assert names_line(problem(MINIMAL + field % number + "\n"), NEXT_LINE)


def test_huge_integer_is_explained_in_the_contributors_terms() -> None:
    message = str(problem(MINIMAL + f"model: {{parameters: {'9' * 5_000}}}\n"))
    assert "set_int_max_str_digits" not in message


# --- the fields ------------------------------------------------------------------------------------------------------

FIELDS: dict[str, tuple[str, str, str, str]] = {
    "unknown key": ("colour: red", "FIELD_UNKNOWN", "colour", "Known are: name, docker_image, author"),
    "unknown nested key": (
        "model: {layers: 3}",
        "FIELD_UNKNOWN",
        "model.layers",
        "not a field of model. Known are: backbone, head, parameters.",
    ),
    "unknown key in resources": (
        "resources: {gpus: 1}",
        "FIELD_UNKNOWN",
        "resources.gpus",
        "Known are: gpu, memory_gb, timeout_minutes.",
    ),
    "escape sequence in a key": ('"\\e[31m": x', "FIELD_UNKNOWN", "\\x1b[31m", "Known are"),
    "id": ("id: other", "FIELD_UNKNOWN", "id", "file name"),
    "number for text": ("team: 3", "FIELD_TYPE", "team", "in quotes"),
    "yes for text": ("team: yes", "FIELD_TYPE", "team", "in quotes"),
    "list for text": ("team: [a]", "FIELD_TYPE", "team", "must be text"),
    "mapping for text": ("team: {a: b}", "FIELD_TYPE", "team", "must be text"),
    "text for list": ("tracks: jain", "FIELD_TYPE", "tracks", "list such as [jain"),
    "mapping for list": ("training_data: {a: b}", "FIELD_TYPE", "training_data", "list"),
    "number in list": ("tracks: [1]", "FIELD_TYPE", "tracks", "must be text"),
    "text for mapping": ("model: esm", "FIELD_TYPE", "model", "mapping"),
    "list for reproducibility": ("reproducibility: [a]", "FIELD_TYPE", "reproducibility", "mapping"),
    "exponent without a sign": (
        "model: {parameters: 6.5e8}",
        "FIELD_TYPE",
        "model.parameters",
        "Write 650000000, with",
    ),
    "exponent": ("model: {parameters: 6.5e+8}", "FIELD_TYPE", "model.parameters", "Write 650000000, with"),
    "thousands": ("model: {parameters: '650,000,000'}", "FIELD_TYPE", "model.parameters", "Write 650000000, without"),
    "decimal comma": (
        "resources: {memory_gb: '0,5'}",
        "FIELD_TYPE",
        "resources.memory_gb",
        "Write 0.5, without quotes",
    ),
    "a unit": ("resources: {memory_gb: 16GB}", "FIELD_TYPE", "resources.memory_gb", "must be a number"),
    "text for boolean": ("resources: {gpu: 'true'}", "FIELD_TYPE", "resources.gpu", "true or false"),
    "number for boolean": ("resources: {gpu: 1}", "FIELD_TYPE", "resources.gpu", "true or false"),
    "text for number": ("resources: {memory_gb: '8'}", "FIELD_TYPE", "resources.memory_gb", "number"),
    "boolean for number": ("resources: {memory_gb: true}", "FIELD_TYPE", "resources.memory_gb", "number"),
    "fraction for whole number": ("model: {parameters: 1.5}", "FIELD_TYPE", "model.parameters", "whole number"),
    "boolean for whole number": ("model: {parameters: true}", "FIELD_TYPE", "model.parameters", "whole number"),
    "negative parameters": ("model: {parameters: -1}", "FIELD_VALUE", "model.parameters", "0"),
    "too much memory": ("resources: {memory_gb: 1025}", "FIELD_VALUE", "resources.memory_gb", "1024"),
    "no memory": ("resources: {memory_gb: 0}", "FIELD_VALUE", "resources.memory_gb", "0.25"),
    "no time": ("resources: {timeout_minutes: 0}", "FIELD_VALUE", "resources.timeout_minutes", "0"),
    "memory NaN": ("resources: {memory_gb: .nan}", "FIELD_VALUE", "resources.memory_gb", "should be"),
    "memory inf": ("resources: {memory_gb: .inf}", "FIELD_VALUE", "resources.memory_gb", "1024"),
    "memory -inf": ("resources: {memory_gb: -.inf}", "FIELD_VALUE", "resources.memory_gb", "0.25"),
    "time NaN": ("resources: {timeout_minutes: .nan}", "FIELD_VALUE", "resources.timeout_minutes", "should be"),
    "time 1e999": ("resources: {timeout_minutes: 1.0e+999}", "FIELD_VALUE", "resources.timeout_minutes", "10080"),
    "reproducibility NaN": ("reproducibility: {a: .nan}", "FIELD_VALUE", "reproducibility", "finite"),
    "reproducibility inf, deep": ("reproducibility: {a: [{b: -.inf}]}", "FIELD_VALUE", "reproducibility", "finite"),
    "reproducibility overflow": ("reproducibility: {a: 1.0e+9999}", "FIELD_VALUE", "reproducibility", "finite"),
    "escape in reproducibility": ('reproducibility: {a: ["\\e[31m"]}', "FIELD_VALUE", "reproducibility", "remove"),
    "escape in its keys": ('reproducibility: {"\\u202e": 1}', "FIELD_VALUE", "reproducibility", "remove"),
    "blank text": ("team: '  '", "FIELD_VALUE", "team", "empty"),
    "long affiliation": (f"affiliation: {'x' * 201}", "FIELD_VALUE", "affiliation", "200"),
    "long description": (f"description: {'x' * 501}", "FIELD_VALUE", "description", "500"),
    "unknown licence": ("license: My own licence", "FIELD_VALUE", "license", "MIT, Apache-2.0"),
    "empty licence": ("license: ''", "FIELD_VALUE", "license", "SPDX"),
    "half a licence": ("license: MIT OR", "FIELD_VALUE", "license", "SPDX"),
    "code as licence": ("license: '__import__'", "FIELD_VALUE", "license", "SPDX"),
    "markup as licence": ("license: 'LicenseRef-<b>'", "FIELD_VALUE", "license", "SPDX"),
    "unknown training set": ("training_data: [imagenet]", "FIELD_VALUE", "training_data", "boughter"),
    "upper-case training set": ("training_data: [Jain]", "FIELD_VALUE", "training_data", "jain"),
    "none and a set": ("training_data: [none, jain]", "FIELD_VALUE", "training_data", "'none' beside other"),
    "undisclosed and a set": ("training_data: [oas, undisclosed]", "FIELD_VALUE", "training_data", "keep one"),
    "none and undisclosed": ("training_data: [none, undisclosed]", "FIELD_VALUE", "training_data", "keep one"),
    "training set twice": ("training_data: [jain, jain]", "FIELD_VALUE", "training_data", "once"),
    "no training set": ("training_data: []", "FIELD_VALUE", "training_data", "at least 1"),
    "track twice": ("tracks: [jain, jain]", "FIELD_VALUE", "tracks", "once"),
    "no track": ("tracks: []", "FIELD_VALUE", "tracks", "at least 1"),
    "track as path": ("tracks: [../../etc]", "FIELD_VALUE", "tracks", "3 to 64 of a-z"),
    "track with line end": ('tracks: ["jain\\n"]', "FIELD_VALUE", "tracks", "3 to 64 of a-z"),
}


@pytest.mark.parametrize("case", FIELDS)
def test_field_is_refused_with_line_name_and_remedy(case: str) -> None:
    line, code, field, remedy = FIELDS[case]
    error = problem(MINIMAL + line + "\n")
    assert error.code == code
    assert f"'{field}'" in str(error)
    assert remedy in str(error)
    assert names_line(error, NEXT_LINE), str(error)


NUMBERS = {
    "resources: {timeout_minutes: 010}": "Write 8, or 10 if that is meant",
    "resources: {timeout_minutes: -012}": "Write -10, or -12 if that is meant",
    "model: {parameters: 0650}": "Write 424, or 650 if that is meant",
    "model: {parameters: 0x10}": "Write 16;",
    "model: {parameters: 0b11}": "Write 3;",
    "model: {parameters: 1_000}": "Write 1000;",
    "resources: {memory_gb: 1_0.5}": "Write 10.5;",
    "resources: {timeout_minutes: 1:30}": "Write 90;",
    "resources: {timeout_minutes: 1:30.5}": "Write 90.5;",
    "reproducibility: {seeds: [0x1F]}": "Write 31;",
    "team: 12:30": "in quotes if it is text",
    "team: 007": "in quotes if it is text",
}


@pytest.mark.parametrize("line", NUMBERS)
def test_numbers_that_yaml_reads_by_another_rule_are_refused_with_the_decimal(line: str) -> None:
    error = problem(f"{MINIMAL}{line}\n")
    assert error.code == "YAML_NUMBER" and NUMBERS[line] in str(error)
    assert names_line(error, NEXT_LINE)


@pytest.mark.parametrize("number", ["0", "-0", "+8", "8", "8.5", "8.", ".5", "1.0e+3"])
def test_plain_numbers_are_read(number: str) -> None:
    card = read(f"{MINIMAL}reproducibility: {{x: {number}}}\n").reproducibility
    assert card is not None and card.free == {"x": float(number)}


EMPTY = ["resources", "model", "training_data", "tracks", "paper", "reproducibility", "license", "withdrawn"]


@pytest.mark.parametrize("field", EMPTY)
def test_an_empty_field_is_as_if_it_were_left_out_and_noted(field: str) -> None:
    for empty in (f"{field}:\n", f"{field}: null\n", f"{field}:\n  # later\n"):
        assert read(MINIMAL + empty) == read(MINIMAL)
        [note] = notes((MINIMAL + empty).encode())
        assert note.code == "EMPTY_FIELD" and note.where == f"line {NEXT_LINE}" and f"'{field}'" in note.what


def test_an_empty_field_within_another_is_the_same() -> None:
    text = MINIMAL + "resources:\n  gpu:\n  memory_gb: 4\nmodel: {head: }\n"
    assert read(text).resources.model_dump() == {"gpu": False, "memory_gb": 4, "timeout_minutes": 60}
    assert [n.where for n in notes(text.encode())] == [f"line {NEXT_LINE + 1}", f"line {NEXT_LINE + 3}"]


@pytest.mark.parametrize(
    ("line", "read_as"),
    [
        ("team: Model #2", "Model"),
        ("team: Model # 2", "Model"),
        ("model: {head: x #y", None),
        ("model:\n  head: tree #3", "tree"),
        ("team: 'Model #2'", None),
        ("team: Model#2", None),
        ("team: Model  # ours", None),
    ],
)
def test_what_a_comment_has_cut_is_noted(line: str, read_as: str | None) -> None:
    if line.count("{") > line.count("}"):
        problem(MINIMAL + line)
        return
    found = notes((MINIMAL + line + "\n").encode())
    assert [note.code for note in found] == (["COMMENT"] if read_as else [])
    assert all(f"is '{read_as}'" in note.what and "quotes" in note.remedy for note in found)


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (MINIMAL.encode("utf-16"), "UTF-16"), (MINIMAL.encode("utf-16-le"), "UTF-16"),
        (MINIMAL.encode("utf-32"), "UTF-32"), (MINIMAL.encode("utf-32-be"), "UTF-32"),
        (gzip.compress(MINIMAL.encode(), mtime=0), "compressed with gzip"), (b"PK\x03\x04", "zip archive"),
    ],
)  # fmt: skip
def test_what_is_no_text_is_called_by_its_name(data: bytes, name: str) -> None:
    error = problem(data)
    assert error.code == "YAML_ENCODING" and name in str(error)


FOREIGN_WORDS = [
    "Input should",
    "validation error",
    "pydantic",
    "dictionary",
    "expected <",
    "context",
    "token",
    "tuple",
]


@pytest.mark.parametrize(
    "text",
    [
        *(MINIMAL + FIELDS[case][0] for case in FIELDS), *(STRUCTURE[case][0] for case in STRUCTURE),
        "a: b: c\n", "a: @b\n", "a: `b`\n", "a: %b\n", "a: [b\n", "a: {b\n", "a: 'b\n", 'a: "\\q"\n', "a\nb: c\n",
        "a:\n b: 1\n  c: 2\n",
        "- a\nb: c\n", "a: |x\n b\n", "? a\n: b\n: c\n", "a: -\n", "\ta: b\n", "%YAML 3.0\n---\na: b\n", "a: 'b' c\n",
        "]\n",
    ],
)  # fmt: skip
def test_no_word_of_the_libraries_reaches_a_person(text: str) -> None:
    result = outcome(text.encode())
    assert not [word for word in FOREIGN_WORDS if word in str(result) and isinstance(result, SubmissionError)], result


@pytest.mark.parametrize("field", ["name", "docker_image", "author"])
def test_missing_field_is_named(field: str) -> None:
    error = problem("".join(line for line in MINIMAL.splitlines(keepends=True) if not line.startswith(field)))
    assert error.code == "FIELD_MISSING"
    assert f"'{field}' is required" in str(error)


@pytest.mark.parametrize("value", ["", "~", "1", "[x]", "true", "1.5"])
def test_name_of_another_type_is_refused(value: str) -> None:
    error = problem(MINIMAL.replace('"Model"', value))
    assert error.code == "FIELD_TYPE"
    assert names_line(error, 1)


def test_long_name_is_refused_in_characters() -> None:
    error = problem(MINIMAL.replace("Model", "x" * 61))
    assert error.code == "FIELD_VALUE"
    assert names_line(error, 1)
    assert "60 characters" in str(error)


@pytest.mark.parametrize("field", ["name", "author", "description", "affiliation", "team"])
@pytest.mark.parametrize(
    "escape", ["\\e[31m", "\\0", "\\a", "\\b", "\\x7f", "\\x9b", "\\u202e", "\\u2066", "\\u200b", "\\ufeff", "\\ud800"]
)
def test_control_and_direction_characters_are_refused(field: str, escape: str) -> None:
    text = "".join(line for line in MINIMAL.splitlines(keepends=True) if not line.startswith(field))
    error = problem(f'{text}{field}: "a{escape}b"\n')
    if escape == "\\ud800":  # half of a surrogate pair is no text at all
        assert error.code == "YAML_SYNTAX"
        return
    assert error.code == "FIELD_VALUE"
    assert f"'{field}'" in str(error)


@pytest.mark.parametrize("escape", ["\\n", "\\r", "\\t", "\\v", "\\f", "\\x1c", "\\x1f", "\\N", "\\L", "\\P", "\\_"])
def test_line_breaks_in_text_never_reach_the_reader(escape: str) -> None:
    result = outcome((MINIMAL + f'team: "a{escape}b"\n').encode())
    if isinstance(result, Submission):
        assert result.team == "a b"
    else:
        assert result.code == "FIELD_VALUE"


@pytest.mark.parametrize("field", ["paper", "code"])
@pytest.mark.parametrize(
    "url",
    [
        "http://example.org/", "ftp://example.org/", "javascript:alert(1)", "javascript://example.org/%0aalert(1)",
        "JavaScript:alert(1)//https://example.org", "data:text/html,x", "//example.org/x", "example.org", "https://",
        "https:example.org", "https://localhost/", "https://user@example.org/", "https://user:pw@example.org/",
        "https://:pw@example.org/", "https://@example.org/", "https://example.org:99999/", "https://example.org:x/",
        "https://[example.org/", "https://example.org\\@evil.org/", "https://ex\u0430mple.org/",
        "https://example.org/ x", 'https://example.org/"onclick=', "https://example.org/<b>", "",
        "https://example.org/" + "x" * 300, "https://example.org/\u202e", "https://example.org/\n",
    ],
)  # fmt: skip
def test_other_addresses_are_refused(field: str, url: str) -> None:
    error = problem(MINIMAL + f"{field}: {json.dumps(url)}\n")
    assert error.code == "FIELD_VALUE"
    assert f"'{field}'" in str(error)
    assert names_line(error, NEXT_LINE)


@pytest.mark.parametrize(
    "image",
    ["-v", "--privileged", "-x/y:1", " a/b:1", "a/b :1", "a/b:1\n", "a b", "d\u043ecker.io/u/x:1", "", "a/b:1\x00"],
)
def test_image_reference_that_is_not_plain_is_refused(image: str) -> None:
    error = problem(MINIMAL.replace("docker.io/user/model:1.0", json.dumps(image)))
    assert error.code == "FIELD_VALUE"
    assert "'docker_image'" in str(error)
    assert "docker.io/user/model:1.0" in str(error)
    assert names_line(error, 2)


# --- several problems at once ----------------------------------------------------------------------------------------


def test_all_problems_are_reported_together() -> None:
    error = problem("name: 3\nauthor: ' '\npaper: http://a.b\ncolour: red\nresources: {gpu: 1, memory_gb: .nan}\n")
    assert sorted((p.where, p.code) for p in error.problems) == [
        ("line 1", "FIELD_MISSING"),  # docker_image: a missing field stands nowhere, so the document's first line
        ("line 1", "FIELD_TYPE"),
        ("line 2", "FIELD_VALUE"),
        ("line 3", "FIELD_VALUE"),
        ("line 4", "FIELD_UNKNOWN"),
        ("line 5", "FIELD_TYPE"),
        ("line 5", "FIELD_VALUE"),
    ]
    assert error.code == error.problems[0].code
    assert all(str(p) in str(error) for p in error.problems)


def test_id_in_the_file_does_not_hide_the_other_problems() -> None:
    error = problem("id: x\nname: 3\ncolour: red\n")
    text = str(error)
    assert all(f"'{field}'" in text for field in ("id", "name", "colour", "docker_image", "author"))


def test_more_than_ten_problems_are_counted() -> None:
    error = problem(MINIMAL + "".join(f"key{i:02}: x\n" for i in range(25)))
    assert len(error.problems) == 25
    assert str(error).count("[FIELD_UNKNOWN]") == 10
    assert "15 more" in str(error)


# --- anything at all -------------------------------------------------------------------------------------------------


def check_any(data: bytes) -> None:
    """A submission that can be written out as JSON, or a refusal that can be printed; never anything else."""
    result = outcome(data)
    if isinstance(result, Submission):
        assert inert(json.dumps(result.model_dump(mode="json"), allow_nan=False, ensure_ascii=False))
    else:
        assert result.problems
        assert re.fullmatch(r"(YAML|FIELD)_[A-Z_]+", result.code)
        assert inert(str(result))


YAML_TOKENS = [
    "name: ", "docker_image: ", "author: ", "team: ", "model: ", "resources: ", "reproducibility: ", "tracks: ",
    "{", "}", "[", "]", ", ", "- ", "? ", ": ", ":", "\n", "\n  ", "    ", "'", '"', "&a ", "*a", "!!str ", "!",
    "|\n", ">-\n", "#", "---\n", "...\n", "%YAML 1.1\n", "%TAG ! x:\n", "0x_", "0b_", "1:59:59", "1e9", "1.0e+999",
    ".nan", "-.inf", "~", "yes", "<<: ", "=", "2024-01-01", "\t", "\u202e", "\\ud800", "\\x1b", "\\U00110000",
    "\x85", "\ufeff", "x", "1", "jain", MINIMAL,
]  # fmt: skip


@settings(deadline=None, max_examples=300)
@given(st.binary(max_size=300))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    check_any(data)


@settings(deadline=None, max_examples=500)
@given(st.lists(st.sampled_from(YAML_TOKENS) | st.text(max_size=5), max_size=25).map("".join))
def test_any_yaml_like_text_is_read_or_refused(text: str) -> None:
    check_any(text.encode("utf-8", "surrogatepass"))


ANY_VALUE: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10) | st.dates(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@settings(deadline=None, max_examples=300)
@given(st.dictionaries(st.sampled_from([*FULL, "id", "extra"]), ANY_VALUE, max_size=6))
def test_any_values_in_the_fields_are_read_or_refused(values: dict[str, Any]) -> None:
    check_any(yaml.safe_dump({**FULL, **values}, allow_unicode=True).encode("utf-8", "surrogatepass"))


# --- round trip ------------------------------------------------------------------------------------------------------


def texts(max_size: int) -> st.SearchStrategy[str]:
    """Visible text with single spaces inside, as `parse` hands it back."""
    visible = st.text(st.characters(categories=["L", "N", "P", "S"]), min_size=1, max_size=12).filter(is_inert)
    return st.lists(visible, min_size=1, max_size=5).map(lambda words: " ".join(words)[:max_size].strip())


HOSTS = st.lists(st.text(string.ascii_lowercase + string.digits, min_size=1, max_size=8), min_size=2, max_size=3)
URLS = st.builds(
    lambda host, path: f"https://{'.'.join(host)}.org/{path}",
    HOSTS,
    st.text(string.ascii_letters + "/-._~?&=%+@", max_size=30),
)
LEAVES = st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False)
VALUES = LEAVES | st.just("") | texts(40)
NESTED = st.lists(VALUES, max_size=3) | st.dictionaries(texts(10), VALUES, max_size=3)
SETS = sorted(set(NAMES) - {"none", "undisclosed"})
OPTIONAL: dict[str, st.SearchStrategy[Any]] = {
    "paper": URLS,
    "code": URLS,
    "description": texts(500),
    "license": st.sampled_from(["MIT", "Apache-2.0", "BSD-3-Clause", "CC-BY-4.0", "GPL-3.0-or-later OR MIT"]),
    "affiliation": texts(200),
    "team": texts(200),
    "tracks": st.lists(st.from_regex(r"[a-z0-9][a-z0-9-]{2,20}", fullmatch=True), min_size=1, max_size=4, unique=True),
    "training_data": st.just(["none"]) | st.lists(st.sampled_from(SETS), min_size=1, unique=True),
    "reproducibility": st.dictionaries(texts(10), VALUES | NESTED, max_size=3),
}


@st.composite
def submissions(draw: st.DrawFn) -> dict[str, Any]:
    required = {
        "name": draw(texts(60)),
        "author": draw(texts(60)),
        "docker_image": draw(st.from_regex(r"[a-z0-9][a-z0-9./:@_-]{0,60}", fullmatch=True)),
    }
    optional = draw(st.fixed_dictionaries({}, optional=OPTIONAL))
    model = {"backbone": draw(texts(60)), "head": None, "parameters": draw(st.integers(0, 10**13))}
    resources = {
        "gpu": draw(st.booleans()),
        "memory_gb": draw(st.floats(0.25, 1024)),
        "timeout_minutes": draw(st.floats(0, 10080, exclude_min=True)),
    }
    return {**required, **optional, "model": model, "resources": resources}


@settings(deadline=None, max_examples=200)
@given(submissions(), st.booleans(), st.sampled_from([None, False, True]))
def test_valid_submissions_come_back_as_written(
    document: dict[str, Any], allow_unicode: bool, flow: bool | None
) -> None:
    data = yaml.safe_dump(document, allow_unicode=allow_unicode, default_flow_style=flow)
    parsed = parse(data.encode(), "abc").model_dump(mode="json")
    assert {key: parsed[key] for key in document} == document
    assert parsed.get("training_data") == document.get("training_data", ["undisclosed"])
