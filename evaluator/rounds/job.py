"""What a round is about: which tracks and entries, and where everything is."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from evaluator.contract import tracks
from evaluator.contract.labels import TrackFiles, find_data
from evaluator.contract.tracks import Track
from evaluator.contract.work import Sandbox
from evaluator.errors import EvaluatorError
from evaluator.integrity import relatives
from evaluator.integrity.relatives import KnownSet
from evaluator.running.scratch import Scratch
from evaluator.settings import Repository
from evaluator.store.results import Results
from evaluator.store.state import State

Say = Callable[[str], None]


@dataclass(frozen=True)
class Job:
    """What a round is about.

    Attributes:
        hidden: folder with `<track>/{sequences,labels}.csv`.
        ids: submissions to look at; none for all.
        track_ids: tracks to look at; none for every benchmark track.
        force: run again what is up to date.
        unsandboxed: run reference models from these build contexts as plain processes.
        runtime: an OCI runtime of the engine, e.g. `runsc`; None for the engine's own.
    """

    repository: Repository
    hidden: Path
    submissions: Path
    results: Results
    state: State
    ids: Sequence[str] = ()
    track_ids: Sequence[str] = ()
    force: bool = False
    unsandboxed: Path | None = None
    runtime: str | None = None

    @cached_property
    def known(self) -> dict[str, KnownSet]:
        """Training sets that were compared with tracks, by name."""
        return relatives.load(self.repository.public_data / "relatives")

    @property
    def scratch(self) -> Scratch:
        """For the inputs of runs on this machine."""
        return Scratch(self.state.folder)

    @property
    def sandbox(self) -> Sandbox:
        """How runs are confined."""
        return "unsandboxed" if self.unsandboxed else "docker"


def choose_tracks(repository: Repository, wanted: Sequence[str]) -> list[Track]:
    """The tracks that are named; every benchmark track where none is.

    Raises:
        EvaluatorError: a track is unknown.
    """
    known = tracks.load_all(repository.tracks)
    if unknown := [t for t in wanted if t not in known]:
        raise EvaluatorError(f"There is no track {', '.join(unknown)}.", f"Known are: {', '.join(known)}.")
    return [t for t in known.values() if t.id in wanted or (not wanted and t.purpose == "benchmark")]


@dataclass(frozen=True)
class RoundTracks:
    """The tracks of a round.

    Attributes:
        files: those that can be scored.
        no_data: those without data here.
        unfit: those whose data are not what the track file says, with what is wrong.
    """

    files: list[TrackFiles]
    no_data: list[str]
    unfit: dict[str, str]

    def told(self) -> Iterator[str]:
        """What of the tracks is not as one might expect, a line each."""
        for track_id in self.no_data:
            yield f"no data for {track_id}"
        for one in self.files:
            if one.sequences is None:
                yield f"no sequences of {one.track.id}: no image can be run on it, archived predictions are scored"
        for track_id, why in self.unfit.items():
            yield f"{track_id} is left out: {why}"


def find_tracks(job: Job) -> RoundTracks:
    """The tracks of a round; one whose data are wrong does not keep the others from being scored.

    Raises:
        EvaluatorError: a track is unknown, or there is no hidden data at all.
    """
    chosen, hidden = choose_tracks(job.repository, job.track_ids), job.hidden
    if not hidden.is_dir():
        raise EvaluatorError(f"{hidden} is not a folder.", "Name the folder with the hidden data with --hidden.")
    found = RoundTracks([], [], {})
    for track in chosen:
        try:
            files = find_data(track, hidden)
        except EvaluatorError as error:
            found.unfit[track.id] = str(error)
            continue
        if files:
            found.files.append(files)
        elif not track.retired:
            found.no_data.append(track.id)
    return found
