"""A checkout, and what is at hand beside it: tables, and predictions that were kept, published or made again now."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from baselines import package
from evaluator.contract import predictions, tracks
from evaluator.contract.formats import read_bytes
from evaluator.contract.labels import TrackData, TrackFiles, find_data
from evaluator.contract.predictions import MAX_OUTPUT_BYTES
from evaluator.contract.tracks import Track
from evaluator.integrity.overlap import Known
from evaluator.settings import Repository
from evaluator.store.results import Results
from evaluator.store.schemas import Result
from evaluator.store.state import Kept, State

PLAIN = ("net-charge", "random")
"""Reference models that need nothing but Python: these are run again, as plain processes."""


@dataclass(frozen=True)
class Board:
    """A checkout, and what is at hand beside it.

    Attributes:
        hidden: folder with `<track>/{sequences,labels}.csv`, if any.
        published: folder with published files and predictions, at any depth, if any.
        train: training sets in which audits look for relatives.
        state: predictions that were kept.
        work: an empty folder for what is made on the way.
    """

    repository: Repository
    hidden: Path | None
    published: Path | None
    train: Sequence[Known]
    state: State
    work: Path

    @cached_property
    def results(self) -> Results:
        """What is committed."""
        return Results(self.repository.results)

    @cached_property
    def records(self) -> list[Result]:
        """Every record of a run that was scored."""
        return [record for record in self.results.all() if record.status == "ok"]

    @cached_property
    def tracks(self) -> dict[str, Track]:
        """Those that the site shows."""
        scored = {record.track for record in self.records}
        known = tracks.load_all(self.repository.tracks)
        return {t.id: t for t in known.values() if t.purpose == "benchmark" or t.id in scored}

    @cached_property
    def files(self) -> dict[str, TrackFiles]:
        """The tables of each track of which they are at hand; `of_tables` gathers them."""
        found = {name: find_data(track, self.work / "tables") for name, track in self.tracks.items()}
        return {name: one for name, one in found.items() if one}

    def data(self, track: str) -> TrackData | None:
        """A track's rows, if they are at hand."""
        return self.files[track].data if track in self.files else None

    def find(self, name: str) -> list[Path]:
        """Published files of that name."""
        return sorted(self.published.rglob(name)) if self.published and name else []

    @cached_property
    def kept(self) -> dict[str, Kept]:
        """Predictions by the run key of their record: kept, published, or made again now."""
        found = {r.run_key: kept for r in self.records if (kept := self.state.predictions(r.run_key))}
        for record in self.records:
            if record.run_key not in found and (kept := _archived(self, record)):
                found[record.run_key] = kept
        return {**_made_again(self, found), **found}


def _archived(board: Board, record: Result) -> Kept | None:
    """A record's published predictions, where their file is at hand: the very one, by its hash."""
    data = board.data(record.track)
    if record.sandbox != "archived" or data is None:
        return None
    for path in board.find(record.image.reference):
        content = read_bytes(path, MAX_OUTPUT_BYTES + 1)
        for sign, mark in ((1, b""), (-1, b"-")):
            if record.image.digest == f"sha256:{hashlib.sha256(content + mark).hexdigest()}":
                table = predictions.read(content, data.ids, data.track.task)
                return Kept(sign * table.score, table.prediction, 0.0, 0)
    return None


def _made_again(board: Board, kept: Mapping[str, Kept]) -> dict[str, Kept]:
    """Predictions of models that need nothing but Python, run now as plain processes, by their records' run keys."""
    at_hand = {name for name, one in board.files.items() if one.sequences is not None}
    due = [r for r in board.records if r.submission in PLAIN and r.track in at_hand and r.run_key not in kept]
    if not due:
        return {}
    for name in sorted({record.submission for record in due}):
        package.lay_out(name, board.work / "images")
    again = State(board.work / "again" / "state")
    command = [
        *(sys.executable, "-m", "evaluator", "--root", str(board.repository.root), "evaluate"),
        *sorted({record.submission for record in due}),
        *("--tracks", ",".join(sorted({record.track for record in due})), "--hidden", str(board.work / "tables")),
        *("--unsandboxed", str(board.work / "images"), "--results", str(board.work / "again" / "results")),
        *("--state", str(again.folder)),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        print(done.stderr[-2000:], file=sys.stderr)
    made = Results(board.work / "again" / "results")
    found = {}
    for record in due:
        new = made.get(record.submission, record.track)
        if new and (predicted := again.predictions(new.run_key)):
            found[record.run_key] = predicted
    return found
