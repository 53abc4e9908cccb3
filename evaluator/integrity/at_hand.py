"""The tracks that are asked for, with their rows where these are at hand."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from evaluator.contract.labels import TrackData, load_data
from evaluator.contract.tracks import Track, load_all
from evaluator.errors import UsageError
from evaluator.text import printable


def chosen(folder: Path, names: Sequence[str]) -> list[Track]:
    """The tracks of these names; every benchmark track where none is named.

    Raises:
        UsageError: one is unknown.
    """
    known = load_all(folder)
    if unknown := [name for name in names if name not in known]:
        what = f"There is no track {printable(', '.join(unknown), 60)}."
        raise UsageError(what, f"Known are: {', '.join(known)}.")
    return [known[name] for name in names] or [t for t in known.values() if t.purpose == "benchmark"]


def data_of(track: Track, hidden: Path) -> TrackData:
    """One track's rows.

    Raises:
        UsageError: they are not there.
        EvaluatorError: they are not what the track's file says.
    """
    found = load_data(track, hidden)
    if found is None:
        raise UsageError(f"{hidden} has no folder {track.id}.", "Name where <track>/sequences.csv and labels.csv are.")
    return found


def heavy_of(data: TrackData) -> tuple[str, ...]:
    """Its heavy chains.

    Raises:
        UsageError: labels alone are at hand.
    """
    if not data.columns:
        raise UsageError(f"The sequences of {data.track.id} are not at hand.", "There are labels alone of it.")
    return data.columns["sequence"]


def with_sequences(folder: Path, names: Sequence[str], hidden: Path) -> Iterator[TrackData]:
    """The rows of the tracks that are named, or else of those benchmark tracks whose sequences are at hand.

    Raises:
        UsageError: one that is named is unknown or not at hand.
        EvaluatorError: files are not what a track's file says.
    """
    for track in chosen(folder, names):
        found = data_of(track, hidden) if names else load_data(track, hidden)
        if found is not None and (names or found.columns):
            heavy_of(found)
            yield found
