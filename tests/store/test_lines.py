"""Files that only grow: a line is there whole or not at all, and half a line is set aside, never glued to."""

from __future__ import annotations

import tempfile
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaluator import files
from evaluator.store.results import Results
from evaluator.store.schemas import Result
from evaluator.store.state import State
from tests.conftest import Workspace
from tests.support.disks import fill, tiny_disk
from tests.support.sites import put


@pytest.fixture
def grown(tmp_path: Path) -> Path:
    path = tmp_path / "grown.jsonl"
    for line in (b'{"a": 1}', b'{"b": 2}'):
        files.append_line(path, line)
    return path


def test_lines_are_added_whole(grown: Path) -> None:
    assert files.whole_lines(grown) == [b'{"a": 1}', b'{"b": 2}'] and files.set_torn_end_aside(grown) is None


@pytest.mark.parametrize("torn", [b"{", b'{"c": 3}', b"x" * 10_000, "\u2028ä".encode()])
def test_half_a_line_is_set_aside_and_told(grown: Path, torn: bytes) -> None:
    with grown.open("ab") as stream:
        stream.write(torn)
    assert files.whole_lines(grown) == [b'{"a": 1}', b'{"b": 2}']  # readers are not disturbed meanwhile
    aside = files.set_torn_end_aside(grown)
    assert aside is not None and aside.read_bytes() == torn + b"\n"
    files.append_line(grown, b'{"d": 4}')
    assert grown.read_bytes() == b'{"a": 1}\n{"b": 2}\n{"d": 4}\n'


@given(st.lists(st.binary(max_size=20).filter(lambda line: b"\n" not in line), max_size=5), st.integers(0, 60))
def test_wherever_a_file_is_cut_the_next_line_stands_alone(lines: list[bytes], cut: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "grown.jsonl"
        path.write_bytes(b"".join(line + b"\n" for line in lines)[:cut])
        before = files.whole_lines(path)
        files.append_line(path, b"next")
        assert files.whole_lines(path) == [*before, b"next"] and before == lines[: len(before)]


def test_a_full_disk_leaves_no_half_line(tmp_path: Path) -> None:
    with tiny_disk(tmp_path / "disk", 64) as disk:
        path = disk / "grown.jsonl"
        files.append_line(path, b"first")
        filler = fill(disk)
        with pytest.raises(OSError, match="No space"):
            files.append_line(path, b"x" * 20_000)
        assert path.read_bytes() == b"first\n"
        filler.unlink()
        files.append_line(path, b"second")
        assert files.whole_lines(path) == [b"first", b"second"]


def test_a_record_that_found_no_room_can_be_written_later(tmp_path: Path, workspace: Workspace) -> None:
    put(workspace, "made-up")
    record = Results(workspace.results).get("made-up", "jain")
    assert isinstance(record, Result)
    with tiny_disk(tmp_path / "disk", 80) as disk:
        results = Results(disk / "results")
        results.put(record.model_copy(update={"submission": "first"}))
        for leave in range(0, 6000, 400):  # wherever in the story the room ends
            filler = fill(disk, leave)
            with suppress(OSError):
                results.put(record.model_copy(update={"submission": "second", "scorer": str(leave)}))
            filler.unlink()
        results.put(record.model_copy(update={"submission": "second"}))
        assert {c.submission for c in results.history()} == {"first", "second"}
        assert results.get("second", "jain") is not None


def test_the_ledger_goes_on_after_half_a_line(tmp_path: Path) -> None:
    state = State(tmp_path)
    state.note(event="one")
    with state.ledger.open("a") as stream:
        stream.write('{"event": "to')
    state.note(event="two")
    assert [line.split(b'"event": ')[1][:5] for line in files.whole_lines(state.ledger)] == [b'"one"', b'"two"']
