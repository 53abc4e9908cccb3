"""The main job: what is due -> run offline -> check what was written -> score -> record."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Sequence
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
from evaluator.summary import Plan, Summary
from evaluator.tracks import TrackFiles

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


@dataclass(frozen=True)
class Round:
    """Everything one round works with."""

    job: Job
    runs: SandboxedRuns | UnsandboxedRuns
    progress: Progress
    records: Records
    summary: Summary = field(default_factory=Summary)
    rescored: list[Change] = field(default_factory=list)
    dry: bool = False

    @property
    def repository(self) -> Repository:
        """The benchmark."""
        return self.job.repository

    @property
    def results(self) -> Results:
        """Where records are kept."""
        return self.job.results

    @property
    def state(self) -> State:
        """What is private."""
        return self.job.state


def evaluate(job: Job, progress: Progress, jobs: int = 1) -> Summary:
    """Bring every record up to date.

    Args:
        jobs: runs at a time.

    Raises:
        EvaluatorError: our machine, data or engine is not fit; nothing is recorded against anybody.
    """
    begun = time.monotonic()
    files, no_data = _find_tracks(job)
    if not job.unsandboxed:
        require_fit(job.runtime)
    with job.state.locked():
        this = _round(job, progress)
        for track_id in no_data:
            progress.say(f"no data for {track_id}")
        this.summary.reaped = this.runs.reap()
        job.state.drop_old_logs(job.repository.settings.log_days)
        plan = _plan(this, files, no_data)
        this.summary.take(plan)
        progress.say(f"plan: {plan}")
        progress.total(len(plan.run))
        try:
            _score_again(this, plan.rescore)
            _run_all(this, plan.run, jobs)
        finally:
            _clear(this)
        _rank(this, files)
        if this.rescored:
            this.summary.rescoring = str(rescoring.write(this.results, this.rescored))
    this.summary.seconds = time.monotonic() - begun
    return this.summary


def dry_run(job: Job, progress: Progress) -> Plan:
    """What `evaluate` would do now; nothing is run, locked or written.

    Raises:
        EvaluatorError: as there.
    """
    files, no_data = _find_tracks(job)
    return _plan(_round(job, progress, dry=True), files, no_data)


def _round(job: Job, progress: Progress, *, dry: bool = False) -> Round:
    settings = job.repository.settings
    runs = (
        UnsandboxedRuns(job.unsandboxed, job.state)
        if job.unsandboxed
        else SandboxedRuns(settings, job.state, job.results, job.runtime)
    )
    return Round(job, runs, progress, Records(job.repository, job.results, runs.hardware()), dry=dry)


def _rank(this: Round, files: Sequence[TrackFiles]) -> None:
    """Rank the tracks on which anything has changed, among all their entries, not only those of this round."""
    changed = {
        name.rpartition(" on ")[2] for name in (*this.summary.scored, *this.summary.rescored, *this.summary.failed)
    }
    if not changed & {f.track.id for f in files}:
        return
    entries = {}
    for path in this.job.submissions.glob("*.yaml"):
        with suppress(SubmissionError):  # told already
            entries[path.stem] = submissions.load(path)
    for one in files:
        if one.track.id in changed:
            standings.update(one.data, entries, this.results, this.state, this.repository.settings.level)


def _clear(this: Round) -> None:
    """Containers and images that are not needed any more; what a failing engine keeps is left to the next round."""
    try:
        this.runs.reap(mine=True)
        this.summary.freed_bytes = this.runs.clear()
    except EngineError as error:
        this.progress.say(str(error))


def _find_tracks(job: Job) -> tuple[list[TrackFiles], list[str]]:
    known, wanted, hidden = tracks.load_all(job.repository.tracks), job.track_ids, job.hidden
    if unknown := [t for t in wanted if t not in known]:
        raise EvaluatorError(f"There is no track {', '.join(unknown)}.", f"Known are: {', '.join(known)}.")
    if not hidden.is_dir():
        raise EvaluatorError(f"{hidden} is not a folder.", "Name the folder with the hidden data with --hidden.")
    chosen = [t for t in known.values() if t.id in wanted or (not wanted and t.purpose == "benchmark")]
    found = {track.id: tracks.find_data(track, hidden) for track in chosen}
    return [f for f in found.values() if f], [track_id for track_id, f in found.items() if f is None]


def _plan(this: Round, files: Sequence[TrackFiles], no_data: list[str]) -> Plan:
    """Decide for every pair; nothing is run. What cannot run by its own fault is recorded at once."""
    plan = Plan(no_data=no_data)
    for entry in _submissions(this, plan):
        entered = {t.id for t in planning.entered_tracks(entry, [f.track for f in files])}
        mine = [f for f in files if f.track.id in entered]
        image = _resolve(this, entry, mine, plan) if mine else None
        if image is None:
            continue
        for one in mine:
            task = planning.decide(
                entry, one, image, settings=this.repository.settings, results=this.results, state=this.state,
                sandbox=this.runs.kind, force=this.job.force,
            )  # fmt: skip
            if task.due == "current":
                plan.unchanged.append(task.name)
            else:
                (plan.rescore if task.due == "rescore" else plan.run).append(task)
    return plan


def _submissions(this: Round, plan: Plan) -> Iterator[Submission]:
    """Every valid submission; one that is not is told, and does not stop the others."""
    folder, ids = this.job.submissions, this.job.ids
    if missing := [i for i in ids if not (folder / f"{i}.yaml").is_file()]:
        raise EvaluatorError(f"{folder} has no {', '.join(missing)}.", "Name submissions by the stems of their files.")
    for path in sorted(folder.glob("*.yaml")):
        if ids and path.stem not in ids:
            continue
        try:
            yield submissions.load(path)
        except SubmissionError as error:
            plan.failed[path.stem] = error.code
            this.progress.say(f"{path.name} is not valid: {error.code}")


def _resolve(this: Round, entry: Submission, files: Sequence[TrackFiles], plan: Plan) -> Image | None:
    """The submission's exact image; where there is none, that is recorded on each of its tracks."""
    try:
        return this.runs.resolve(entry, lock=not this.dry)
    except SubmissionError as error:
        nothing = Image(entry.docker_image, "", None)
        for one in files:
            limits = planning.limits_for(entry, one.track, this.repository.settings)
            task = Task(entry, one, nothing, limits, this.runs.kind, "run")
            record = this.results.scope(entry.id, one.track.id)
            if record and record.failure == error.code and record.run_key == task.run_key:
                plan.unchanged.append(task.name)
            else:
                plan.failed[task.name] = error.code
                if not this.dry:
                    _record_failure(this, task, error, NOTHING_RAN)
    except EvaluatorError as error:
        plan.ours[entry.id] = str(error)
        this.progress.say(f"{entry.id} was left out: {error}")
    except Exception as error:  # noqa: BLE001 - a mistake in our own code must not stop the others
        plan.ours[entry.id] = repr(error)
        this.progress.say(f"{entry.id} was left out: {error!r}")
    return None


def _score_again(this: Round, tasks: Sequence[Task]) -> None:
    for task in tasks:
        kept = this.state.predictions(task.run_key)
        assert kept is not None
        change = this.results.put(this.records.scored(task, kept, None))
        this.rescored.extend([change] if change else [])
        this.summary.rescored.append(task.name)


def _run_all(this: Round, due: Sequence[Task], jobs: int) -> None:
    left = Counter(task.image.pull or task.image.digest for task in due)

    def run(task: Task) -> Finished:
        this.progress.begin(task.name)
        return this.runs.run(task)

    for task, outcome in executors.local(due, run, this.runs.slots(jobs), this.runs.stop):
        if isinstance(outcome, Finished):
            _finish(this, task, outcome)
        else:  # even a mistake in our own code is not this submission's fault, and no reason to stop the others
            why = str(outcome) if isinstance(outcome, BenchmarkError) else repr(outcome)
            this.summary.ours[task.name] = why
            this.state.note(event="interrupted", submission=task.submission.id, track=task.track.id, why=why)
            this.progress.end(task.name, f"not done, and not its fault: {why}")
            if isinstance(outcome, EngineError) and not this.runs.alive():
                raise EngineError(
                    "The Docker engine is gone.", "Start it and run apb evaluate again; it goes on from here."
                )
        name = task.image.pull or task.image.digest
        left[name] -= 1
        if not left[name]:
            this.runs.spare(task.image)


def _finish(this: Round, task: Task, finished: Finished) -> None:
    """Score what a run wrote, and record it; whatever is wrong with it is recorded too."""
    run, table = finished.run, finished.table
    this.state.keep_log(task.submission.id, task.track.id, run.log)
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
    primary = result.metrics.get(task.track.primary_metric)
    shown = "undefined" if primary is None or primary.value is None else f"{primary.value:.3f}"
    this.progress.end(task.name, f"{metrics.METRICS[task.track.primary_metric].title} {shown}, {run.seconds:.2f} s")


def _record_failure(this: Round, task: Task, error: SubmissionError, finished: Finished) -> None:
    this.results.put(this.records.failed(task, error.code, finished.image_bytes))
    this.summary.failed[task.name] = error.code
    _note(this, task, finished, error.code)
    this.progress.end(task.name, f"failed: {error.code}")


def _note(this: Round, task: Task, finished: Finished, outcome: str) -> None:
    this.state.note(
        event="run", submission=task.submission.id, track=task.track.id, outcome=outcome, image=task.image.digest,
        run_key=task.run_key, seed=finished.seed, seconds=round(finished.run.seconds, 3),
        peak_memory=finished.run.peak_memory, scorer=SCORER_VERSION,
    )  # fmt: skip
