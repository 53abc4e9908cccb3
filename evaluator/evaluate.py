"""The main job: what is due -> run offline -> check what was written -> score -> record."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from evaluator import executors, metrics, rescoring, standings, tracks
from evaluator import plan as planning
from evaluator import submission as submissions
from evaluator.doctor import require_fit
from evaluator.errors import BenchmarkError, EngineError, EvaluatorError, SubmissionError
from evaluator.images import Image
from evaluator.metrics import SCORER_VERSION
from evaluator.plan import Task
from evaluator.records import Records
from evaluator.results import Change, Results
from evaluator.runs import Finished, SandboxedRuns, UnsandboxedRuns
from evaluator.sandbox import Run
from evaluator.settings import Repository
from evaluator.state import Kept, State
from evaluator.submission import Submission
from evaluator.tracks import TrackData

NOTHING_RAN = Finished(0, Run())


class Progress(Protocol):
    """Who is told how the round goes."""

    def say(self, line: str) -> None:
        """One line of news."""

    def total(self, count: int) -> None:
        """How many runs are to come."""

    def begin(self, name: str) -> None:
        """A run has begun."""

    def end(self, name: str, outcome: str) -> None:
        """A run has ended."""


@dataclass
class Summary:
    """What a round did, by `submission on track` or a submission's id, with the reason where there is one."""

    scored: list[str] = field(default_factory=list)
    rescored: list[str] = field(default_factory=list)
    unchanged: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)
    ours: dict[str, str] = field(default_factory=dict)
    no_data: list[str] = field(default_factory=list)
    reaped: int = 0
    rescoring: str | None = None

    @property
    def exit_code(self) -> int:
        """0, or 3 where something is left to do because of us; a failed submission is a result like any other."""
        return EvaluatorError.exit_code if self.ours else 0


@dataclass(frozen=True)
class Round:
    """Everything one round works with."""

    repository: Repository
    results: Results
    state: State
    runs: SandboxedRuns | UnsandboxedRuns
    progress: Progress
    records: Records
    summary: Summary = field(default_factory=Summary)
    rescored: list[Change] = field(default_factory=list)


def evaluate(
    repository: Repository,
    *,
    hidden: Path,
    submissions_folder: Path,
    results: Results,
    state: State,
    progress: Progress,
    ids: Sequence[str] = (),
    track_ids: Sequence[str] = (),
    jobs: int = 1,
    force: bool = False,
    unsandboxed: Path | None = None,
    runtime: str | None = None,
) -> Summary:
    """Bring every record up to date.

    Args:
        hidden: folder with `<track>/{sequences,labels}.csv`.
        ids: submissions to look at; default all.
        track_ids: tracks to look at; default every benchmark track.
        jobs: runs at a time.
        force: run again what is up to date.
        runtime: an OCI runtime of the engine, e.g. `runsc`; default the engine's own.
        unsandboxed: run reference models from these build contexts as plain processes.

    Raises:
        EvaluatorError: our machine, data or engine is not fit; nothing is recorded against anybody.
    """
    data, no_data = _load_tracks(repository, hidden, track_ids)
    if not unsandboxed:
        require_fit(runtime)
    with state.locked():
        runs = (
            UnsandboxedRuns(unsandboxed, state)
            if unsandboxed
            else SandboxedRuns(repository.settings, state, results, runtime)
        )
        this = Round(repository, results, state, runs, progress, Records(repository, results, runs.hardware()))
        this.summary.no_data = no_data
        for track_id in no_data:
            progress.say(f"no data for {track_id}")
        this.summary.reaped = runs.reap()
        state.drop_old_logs(repository.settings.log_days)
        entries = _submissions(this, submissions_folder, ids)
        due = list(_plan(this, entries, data, force=force))
        progress.total(len(due))
        try:
            _run_all(this, due, jobs)
        finally:
            _clear(this)
        _rank(this, data, submissions_folder)
        if this.rescored:
            this.summary.rescoring = str(rescoring.write(this.results, this.rescored))
    return this.summary


def _rank(this: Round, data: Sequence[TrackData], submissions_folder: Path) -> None:
    """Rank the tracks on which anything has changed, among all their entries, not only those of this round."""
    changed = {
        name.rpartition(" on ")[2] for name in (*this.summary.scored, *this.summary.rescored, *this.summary.failed)
    }
    if not changed & {d.track.id for d in data}:
        return
    entries = {}
    for path in submissions_folder.glob("*.yaml"):
        with suppress(SubmissionError):  # told already
            entries[path.stem] = submissions.load(path)
    for track_data in data:
        if track_data.track.id in changed:
            standings.update(track_data, entries, this.results, this.state, this.repository.settings.level)


def _clear(this: Round) -> None:
    """What a failing engine kept us from removing; the next round tries again if it still cannot be."""
    try:
        this.runs.reap(mine=True)
    except EngineError as error:
        this.progress.say(str(error))


def _load_tracks(repository: Repository, hidden: Path, wanted: Sequence[str]) -> tuple[list[TrackData], list[str]]:
    known = tracks.load_all(repository.tracks)
    if unknown := [t for t in wanted if t not in known]:
        raise EvaluatorError(f"There is no track {', '.join(unknown)}.", f"Known are: {', '.join(known)}.")
    if not hidden.is_dir():
        raise EvaluatorError(f"{hidden} is not a folder.", "Name the folder with the hidden data with --hidden.")
    chosen = [t for t in known.values() if t.id in wanted or (not wanted and t.purpose == "benchmark")]
    loaded = {track.id: tracks.load_data(track, hidden) for track in chosen}
    return [d for d in loaded.values() if d], [track_id for track_id, d in loaded.items() if d is None]


def _submissions(this: Round, folder: Path, ids: Sequence[str]) -> list[Submission]:
    """Every valid submission; one that is not is told, and does not stop the others."""
    if missing := [i for i in ids if not (folder / f"{i}.yaml").is_file()]:
        raise EvaluatorError(f"{folder} has no {', '.join(missing)}.", "Name submissions by the stems of their files.")
    found = []
    for path in sorted(folder.glob("*.yaml")):
        if ids and path.stem not in ids:
            continue
        try:
            found.append(submissions.load(path))
        except SubmissionError as error:
            this.summary.failed[path.stem] = error.code
            this.progress.say(f"{path.name} is not valid: {error.code}")
    return found


def _plan(this: Round, entries: Iterable[Submission], data: Sequence[TrackData], *, force: bool) -> Iterable[Task]:
    """Decide for every pair; what needs no run is done at once."""
    for entry in entries:
        entered = {t.id for t in planning.entered_tracks(entry, [d.track for d in data])}
        mine = [d for d in data if d.track.id in entered]
        if not mine:
            continue
        image = _resolve(this, entry, mine)
        if image is None:
            continue
        for track_data in mine:
            task = planning.decide(
                entry, track_data, image, settings=this.repository.settings, results=this.results, state=this.state,
                sandbox=this.runs.kind, force=force,
            )  # fmt: skip
            kept = this.state.predictions(task.run_key) if task.due == "rescore" else None
            if task.due == "current":
                this.summary.unchanged.append(task.name)
            elif kept:
                change = this.results.put(this.records.scored(task, kept, None))
                this.rescored.extend([change] if change else [])
                this.summary.rescored.append(task.name)
            else:
                yield task


def _resolve(this: Round, entry: Submission, data: Sequence[TrackData]) -> Image | None:
    """The submission's exact image; where there is none, that is recorded on each of its tracks."""
    try:
        return this.runs.resolve(entry)
    except SubmissionError as error:
        nothing = Image(entry.docker_image, "", None)
        for track_data in data:
            limits = planning.limits_for(entry, track_data.track, this.repository.settings)
            task = Task(entry, track_data, nothing, limits, this.runs.kind, "run")
            record = this.results.get(entry.id, track_data.track.id)
            if record and record.failure == error.code and record.run_key == task.run_key:
                this.summary.unchanged.append(task.name)
            else:
                _record_failure(this, task, error, NOTHING_RAN)
    except EvaluatorError as error:
        this.summary.ours[entry.id] = str(error)
        this.progress.say(f"{entry.id} was left out: {error}")
    return None


def _run_all(this: Round, due: Sequence[Task], jobs: int) -> None:
    def run(task: Task) -> Finished:
        this.progress.begin(task.name)
        return this.runs.run(task)

    for task, outcome in executors.local(due, run, this.runs.slots(jobs), this.runs.stop):
        if isinstance(outcome, Finished):
            _finish(this, task, outcome)
        else:  # even a mistake in our own code is not this submission's fault, and no reason to stop the others
            why = str(outcome) if isinstance(outcome, BenchmarkError) else repr(outcome)
            this.summary.ours[task.name] = why
            this.state.note(event="interrupted", submission=task.submission.id, track=task.data.track.id, why=why)
            this.progress.end(task.name, f"not done, and not its fault: {why}")
            if isinstance(outcome, EngineError) and not this.runs.alive():
                raise EngineError(
                    "The Docker engine is gone.", "Start it and run apb evaluate again; it goes on from here."
                )


def _finish(this: Round, task: Task, finished: Finished) -> None:
    """Score what a run wrote, and record it; whatever is wrong with it is recorded too."""
    run, table = finished.run, finished.table
    this.state.keep_log(task.submission.id, task.data.track.id, run.log)
    if finished.failure:
        _record_failure(this, task, finished.failure, finished)
        return
    assert table is not None
    kept = Kept(table.score, table.prediction, run.seconds, run.peak_memory or 0, finished.flags)
    this.state.keep_predictions(task.run_key, kept)
    result = this.records.scored(task, kept, finished.image_bytes)
    this.results.put(result)
    this.summary.scored.append(task.name)
    _note(this, task, finished, "ok")
    primary = result.metrics.get(task.data.track.primary_metric)
    shown = "undefined" if primary is None or primary.value is None else f"{primary.value:.3f}"
    this.progress.end(
        task.name, f"{metrics.METRICS[task.data.track.primary_metric].title} {shown}, {run.seconds:.2f} s"
    )


def _record_failure(this: Round, task: Task, error: SubmissionError, finished: Finished) -> None:
    this.results.put(this.records.failed(task, error.code, finished.image_bytes))
    this.summary.failed[task.name] = error.code
    _note(this, task, finished, error.code)
    this.progress.end(task.name, f"failed: {error.code}")


def _note(this: Round, task: Task, finished: Finished, outcome: str) -> None:
    this.state.note(
        event="run", submission=task.submission.id, track=task.data.track.id, outcome=outcome, image=task.image.digest,
        run_key=task.run_key, seed=finished.seed, seconds=round(finished.run.seconds, 3),
        peak_memory=finished.run.peak_memory, scorer=SCORER_VERSION,
    )  # fmt: skip
