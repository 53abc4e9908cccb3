"""The main job: what is due -> run offline -> check what was written -> score -> record."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field
from functools import partial

from evaluator.contract import submissions
from evaluator.contract.labels import TrackFiles
from evaluator.contract.task_types import METRICS
from evaluator.contract.work import NOTHING_RAN, Finished
from evaluator.errors import BenchmarkError, EngineError, SubmissionError
from evaluator.rounds import rescoring, standings
from evaluator.rounds.dispatch import Dispatch
from evaluator.rounds.durations import Durations
from evaluator.rounds.executors import Engine
from evaluator.rounds.job import Job, find_tracks
from evaluator.rounds.machinery import Machinery
from evaluator.rounds.plan import Plan, Resolver, survey
from evaluator.rounds.recording import Recorder
from evaluator.rounds.summary import Summary
from evaluator.rounds.task import Task
from evaluator.rounds.watch import Progress, Watch
from evaluator.running.pinning import Pinning
from evaluator.running.unsandboxed import UnsandboxedRuns
from evaluator.scoring import metrics
from evaluator.scoring.scorer import SCORER_VERSION
from evaluator.settings import Repository
from evaluator.store.results import Results
from evaluator.store.schemas import Change
from evaluator.store.state import Kept, State


@dataclass(frozen=True)
class Round:
    """Everything one round works with."""

    job: Job
    progress: Progress
    records: Recorder
    summary: Summary = field(default_factory=Summary)
    rescored: list[Change] = field(default_factory=list)
    kept: set[str] = field(default_factory=set)

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


def evaluate(job: Job, progress: Progress, machinery: Machinery) -> Summary:
    """Bring every record up to date.

    Args:
        machinery: what runs the images: this machine, or others.

    Raises:
        EvaluatorError: our machine, data or engine is not fit; nothing is recorded against anybody.
    """
    begun = time.monotonic()
    files, no_data = find_tracks(job)
    machinery.require_fit()
    with job.state.locked():
        job.scratch.clear()
        this = Round(job, progress, Recorder(job.repository, job.results))
        for track_id in no_data:
            progress.say(f"no data for {track_id}")
        this.summary.reaped = machinery.reap()
        job.state.drop_old_logs(job.repository.settings.log_days)
        plan = survey(job, files, machinery.resolver, progress.say, lock=True)
        plan.no_data = no_data
        this.summary.take(plan)
        progress.say(f"plan: {plan}")
        watch = Watch(job.state, progress, Durations.of(this.results.timings() if plan.run else ()), machinery.where)
        watch.start(plan.run, len(plan.refused))
        for task, error in plan.refused:
            _record_failure(this, watch, task, error, NOTHING_RAN)
        try:
            _score_again(this, plan.rescore)
            if plan.run:
                with machinery.engine(plan.run, progress.say) as engine:
                    watch.places = lambda: len(engine.places())
                    _run_all(this, plan.run, engine, watch, machinery)
        finally:
            watch.close()
            this.summary.freed_bytes = machinery.clear(progress.say)
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
    files, no_data = find_tracks(job)
    resolver: Resolver = (
        UnsandboxedRuns(job.unsandboxed, job.scratch)
        if job.unsandboxed
        else Pinning(job.repository.settings, job.results)
    )
    plan = survey(job, files, resolver, progress.say, lock=False)
    plan.no_data = no_data
    return plan


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


def _score_again(this: Round, tasks: Sequence[Task]) -> None:
    for task in tasks:
        kept = this.state.predictions(task.run_key)
        assert kept is not None
        change = this.results.put(this.records.scored(task, kept, None))
        this.rescored.extend([change] if change else [])
        this.summary.rescored.append(task.name)


def _run_all(
    this: Round, due: Sequence[Task], engine: Engine[Task, Finished], watch: Watch, machinery: Machinery
) -> None:
    dispatch = Dispatch(
        engine, consistent=partial(_consistent, this), expected=watch.expected, begun=watch.begun, lost=watch.lost,
        part=partial(_part, this, watch), divided=watch.split, undivided=watch.whole,
    )  # fmt: skip
    threading.Thread(target=metrics.prepare, daemon=True).start()  # while the first container runs
    with closing(dispatch.run(due)) as outcomes:
        for task, told in outcomes:
            outcome = told if isinstance(told, Exception) else machinery.confirmed(task, told)
            if isinstance(outcome, Finished):
                _finish(this, watch, task, outcome)
                continue
            # even a mistake in our own code is not this submission's fault, and no reason to stop the others
            why = str(outcome) if isinstance(outcome, BenchmarkError) else repr(outcome)
            this.summary.ours[task.name] = why
            this.state.note(event="interrupted", submission=task.submission.id, track=task.track.id, why=why)
            watch.end(task, "ours", f"not done, and not its fault: {why}")
            if isinstance(outcome, EngineError) and not machinery.alive():
                raise EngineError(
                    "The Docker engine is gone.", "Start it and run apb evaluate again; it goes on from here."
                )


def _consistent(this: Round, task: Task) -> bool:
    """Whether this very image has passed the consistency audit, on whatever track."""
    return any(
        record.status == "ok" and record.image.digest == task.image.digest and not record.flags
        for record in this.results.of(task.submission.id)
    )


def _part(this: Round, watch: Watch, task: Task, outcome: Finished | Exception) -> None:
    if isinstance(outcome, Finished):
        said = outcome.failure.code if outcome.failure else "; ".join(outcome.flags) or "ok"
        _note(this, task, outcome, said)
        watch.part(task, f"{said}, {outcome.run.seconds:.2f} s")
    else:
        watch.part(task, f"not done: {outcome}")


def _finish(this: Round, watch: Watch, task: Task, finished: Finished) -> None:
    """Score what a run wrote, and record it; whatever is wrong with it is recorded too."""
    run, table = finished.run, finished.table
    this.state.keep_log(task.submission.id, task.track.id, run.log)
    if finished.failure:
        _record_failure(this, watch, task, finished.failure, finished)
        return
    assert table is not None
    kept = Kept(table.score, table.prediction, run.seconds, run.peak_memory or 0, finished.flags)
    if task.run_key in this.kept:  # another entry with the same image: the first word counts for both
        kept = this.state.predictions(task.run_key) or kept
    this.state.keep_predictions(task.run_key, kept)
    this.kept.add(task.run_key)
    result = this.records.scored(task, kept, finished)
    this.results.put(result)
    this.summary.scored.append(task.name)
    _note(this, task, finished, "ok")
    primary = result.metrics.get(task.track.primary_metric)
    shown = "undefined" if primary is None or primary.value is None else f"{primary.value:.3f}"
    title = METRICS[task.track.primary_metric].title
    watch.end(task, "scored", f"{title} {shown}, {run.seconds:.2f} s", run.seconds)


def _record_failure(this: Round, watch: Watch, task: Task, error: SubmissionError, finished: Finished) -> None:
    this.results.put(this.records.failed(task, error.code, finished))
    this.summary.failed[task.name] = error.code
    _note(this, task, finished, error.code)
    watch.end(task, "failed", f"failed: {error.code}", finished.run.seconds or None)


def _note(this: Round, task: Task, finished: Finished, outcome: str) -> None:
    kind = "part" if task.rows is not None else "joined" if finished.joined else "run"
    this.state.note(
        event=kind, submission=task.submission.id, track=task.track.id, outcome=outcome, image=task.image.digest,
        run_key=task.run_key, seed=finished.seed, host=finished.host, seconds=round(finished.run.seconds, 3),
        peak_memory=finished.run.peak_memory, scorer=SCORER_VERSION,
    )  # fmt: skip
