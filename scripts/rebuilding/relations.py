"""What entries were trained on, held against the tracks again: relatives, and the scores without them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from evaluator.contract import submissions
from evaluator.errors import BenchmarkError
from evaluator.integrity import overlap, relatives
from evaluator.integrity.overlap import Known
from evaluator.scoring.scored import Scored
from scripts.rebuilding.board import Board
from scripts.rebuilding.found import Found, numbers


def of_relatives(board: Board) -> Found:
    """Each set that was compared, on each track: how many relatives, how near, and in which rows."""
    found, at_hand = Found("relatives of training sets"), {known.sha256: known for known in _sets(board)}
    data = [rows for name in board.tracks if (rows := board.data(name)) and rows.columns]
    for name, told in relatives.load(board.repository.public_data / "relatives").items():
        known = at_hand.get(told.sha256)
        again = relatives.compare(replace(known, name=name), data).tracks if known else {}
        for track, one in told.tracks.items():
            then = one.model_dump(mode="json")
            if known is None:
                found.leave("the training sets are not here: TRAIN=name=file names them", len(numbers(then)))
            elif track not in again:
                found.leave("the tables are not here: HIDDEN=dir or PUBLISHED=dir names them", len(numbers(then)))
            else:
                found.compare(f"{name} on {track}", then, again[track].model_dump(mode="json"))
    return found


def _sets(board: Board) -> Iterator[Known]:
    """Training sets at hand, and tracks: some of the sets that are known are a track's own sequences."""
    yield from board.train
    for track in board.tracks:
        path = board.work / "tables" / track / "sequences.csv"
        for file in (path, *([board.hidden / track / path.name] if board.hidden else [])):
            if file.is_file():
                yield overlap.read_known(file, track)
                break


def of_unrelated(board: Board) -> Found:
    """Each record's score without the rows that have a relative in what its entry was trained on."""
    found = Found("scores without relatives")
    known = relatives.load(board.repository.public_data / "relatives")
    for record in board.records:
        if record.unrelated is None:
            continue
        told = record.unrelated.model_dump(mode="json")
        data, kept = board.data(record.track), board.kept.get(record.run_key)
        if data is None or kept is None or data.labels_hash != record.labels_hash:
            found.leave("the scores themselves were not rebuilt, for the reasons above", len(numbers(told)))
            continue
        where = f"{record.submission} on {record.track}, without relatives"
        try:
            entry = submissions.load(board.repository.submissions / f"{record.submission}.yaml")
        except BenchmarkError as error:
            found.differs.append(f"{where}: {error}")
            continue
        related = relatives.of(entry, data.track, known)
        scored = Scored.on(data, kept.score, kept.prediction, record.level)
        again = related and relatives.score(related, scored, data.track.primary_metric).model_dump(mode="json")
        found.compare(where, told, again)
    return found


def of_what_was_seen(board: Board) -> Found:
    """What is not made of predictions and tables, but was seen while images ran or were looked into."""
    found = Found("what was seen of images")
    for record in board.records:
        cost = record.runtime.model_dump(mode="json")
        found.leave("seconds and memory are measured while an image runs: make board HIDDEN=dir", len(numbers(cost)))
    for folder in sorted(p for p in board.repository.results.glob("*") if p.is_dir()):
        panels = len(list((folder / "panel").glob("*.json")))
        found.leave("answers to the panel come from the images (files): make board HIDDEN=dir", panels)
        cards = len(list(folder.glob("*.card")))
        found.leave("cards are of images and of what they point at (files): apb card", cards)
    return found
