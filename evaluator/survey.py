"""What a round is about, and what is due of it: every submission x track, decided without running anything."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from evaluator import plan as planning
from evaluator import submission as submissions
from evaluator import tracks
from evaluator.errors import EvaluatorError, SubmissionError
from evaluator.images import Image
from evaluator.plan import Sandbox, Task
from evaluator.results import Results
from evaluator.settings import Repository
from evaluator.state import State
from evaluator.submission import Submission
from evaluator.summary import Plan
from evaluator.tracks import Track, TrackFiles

Say = Callable[[str], None]


class Resolver(Protocol):
    """What knows the exact image of a submission."""

    def resolve(self, submission: Submission, *, lock: bool = True) -> Image:
        """The exact image; with `lock` it is written down what a tag was resolved to."""


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


def find_tracks(job: Job) -> tuple[list[TrackFiles], list[str]]:
    """The tracks of a round, and those among them without data here.

    Raises:
        EvaluatorError: a track is unknown, or its data are not what its file says.
    """
    chosen, hidden = choose_tracks(job.repository, job.track_ids), job.hidden
    if not hidden.is_dir():
        raise EvaluatorError(f"{hidden} is not a folder.", "Name the folder with the hidden data with --hidden.")
    found = {track.id: tracks.find_data(track, hidden) for track in chosen}
    return [f for f in found.values() if f], [track_id for track_id, f in found.items() if f is None]


def survey(job: Job, files: Sequence[TrackFiles], resolver: Resolver, say: Say, *, lock: bool) -> Plan:
    """Decide for every pair.

    Args:
        files: tracks with data.
        resolver: knows which exact image a submission stands for.
        say: told of what is left out.
        lock: write down what a tag was resolved to.
    """
    plan = Plan()
    settings = job.repository.settings
    for entry in _submissions(job, plan, say):
        entered = {t.id for t in planning.entered_tracks(entry, [f.track for f in files])}
        mine = [f for f in files if f.track.id in entered]
        image = _resolve(job, entry, mine, plan, resolver, say, lock=lock) if mine else None
        if image is None:
            continue
        for one in mine:
            task = planning.decide(
                entry, one, image, settings=settings, results=job.results, state=job.state, sandbox=job.sandbox,
                force=job.force,
            )  # fmt: skip
            if task.due == "current":
                plan.unchanged.append(task.name)
            else:
                (plan.rescore if task.due == "rescore" else plan.run).append(task)
    return plan


def _submissions(job: Job, plan: Plan, say: Say) -> Iterator[Submission]:
    """Every valid submission; one that is not is told, and does not stop the others."""
    folder, ids = job.submissions, job.ids
    if missing := [i for i in ids if not (folder / f"{i}.yaml").is_file()]:
        raise EvaluatorError(f"{folder} has no {', '.join(missing)}.", "Name submissions by the stems of their files.")
    for path in sorted(folder.glob("*.yaml")):
        if ids and path.stem not in ids:
            continue
        try:
            yield submissions.load(path)
        except SubmissionError as error:
            plan.failed[path.stem] = error.code
            say(f"{path.name} is not valid: {error.code}")


def _resolve(
    job: Job, entry: Submission, files: Sequence[TrackFiles], plan: Plan, resolver: Resolver, say: Say, *, lock: bool
) -> Image | None:
    """The submission's exact image; where there is none by its own fault, each of its tracks is to say so."""
    try:
        return resolver.resolve(entry, lock=lock)
    except SubmissionError as error:
        nothing = Image(entry.docker_image, "", None)
        for one in files:
            limits = planning.limits_for(entry, one.track, job.repository.settings)
            task = Task(entry, one, nothing, limits, job.sandbox, "run")
            record = job.results.scope(entry.id, one.track.id)
            if record and record.failure == error.code and record.run_key == task.run_key:
                plan.unchanged.append(task.name)
            else:
                plan.failed[task.name] = error.code
                plan.refused.append((task, error))
    except EvaluatorError as error:
        plan.ours[entry.id] = str(error)
        say(f"{entry.id} was left out: {error}")
    except Exception as error:  # noqa: BLE001 - a mistake in our own code must not stop the others
        plan.ours[entry.id] = repr(error)
        say(f"{entry.id} was left out: {error!r}")
    return None
