"""The tracks' tables again: made of their published files, or at hand."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

from evaluator.contract.labels import KEY_FILE, find_data
from evaluator.contract.tracks import Track
from evaluator.errors import BenchmarkError
from evaluator.integrity import disclosure
from evaluator.preparing import fetch
from evaluator.preparing.published import SOURCES, known_as
from scripts.rebuilding.board import Board
from scripts.rebuilding.found import Found


def of_tables(board: Board) -> Iterator[Found]:
    """Each track's tables, by their hashes: made of its published files, and as they are at hand."""
    made, at_hand = Found("tables out of published files (hashes)"), Found("tables at hand (hashes)")
    for track in board.tracks.values():
        if track.purpose == "benchmark":
            _make(board, track, made)
        _take(board, track, at_hand)
    yield made
    yield at_hand


def _make(board: Board, track: Track, found: Found) -> None:
    """Make a track's tables, and keep them where they are what its file names."""
    named = {name: sha256 for name, sha256 in dict(track.sha256).items() if sha256}
    content, why = _made(board, track)
    if why:
        found.leave(why, len(named))
        return
    hashes = {name: hashlib.sha256(content.get(name, b"")).hexdigest() for name in named}
    differs = [f"{track.id}: {n}.csv is {named[n]}, rebuilt {hashes[n]}" for n in named if hashes[n] != named[n]]
    found.differs += differs
    found.equal += len(named) - len(differs)
    if not differs:
        folder = board.work / "tables" / track.id
        folder.mkdir(parents=True, exist_ok=True)
        for name in named:
            (folder / f"{name}.csv").write_bytes(content[name])


def _take(board: Board, track: Track, found: Found) -> None:
    """Hold tables that are at hand against their hashes, and take those that could not be made."""
    folder, count = board.work / "tables" / track.id, sum(h is not None for h in dict(track.sha256).values())
    source = board.repository.public_data if track.purpose == "practice" else board.hidden
    if source is None or not (source / track.id).is_dir():
        if not folder.exists():
            found.leave("they are not here: HIDDEN=dir names them", count)
        return
    try:
        find_data(track, source)
    except BenchmarkError as error:
        found.differs.append(f"{track.id}: {error}")
        return
    found.equal += count
    if not folder.exists():
        folder.parent.mkdir(parents=True, exist_ok=True)
        folder.symlink_to((source / track.id).resolve())
        key = folder.parent / KEY_FILE
        if disclosure.is_hidden(track) and not key.exists():
            key.symlink_to((source / KEY_FILE).resolve())


def _made(board: Board, track: Track) -> tuple[dict[str, bytes], str]:
    """A track's tables out of its published files, or why there are none."""
    name = known_as([track.id, *track.formerly])
    if name is None:
        return {}, "no public source of them is known" if not disclosure.is_hidden(track) else "they are sealed"
    folders = [board.published, *board.published.glob("*/")] if board.published else []
    why = "their files are not here, and not passed on: apb fetch TRACK says whom to ask, PUBLISHED=dir names them"
    if SOURCES[name].files and track.sha256.sequences:
        folders.append(board.work / "downloads" / name)
    for folder in folders:
        try:
            if board.work in folder.parents:
                fetch.fetch(name, folder)
            found = SOURCES[name].make(folder)
        except BenchmarkError as error:
            if board.work in folder.parents:
                why = str(error)
            continue
        sequences, labels = found.as_bytes()
        return {"labels": labels} if found.labels_alone else {"sequences": sequences, "labels": labels}, ""
    return {}, why
