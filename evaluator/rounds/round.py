"""The main job: what is due -> run offline -> check what was written -> score -> record."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace

import numpy as np

from evaluator.contract.labels import open_to_others
from evaluator.contract.task_types import METRICS
from evaluator.contract.work import NOTHING_RAN, Finished
from evaluator.errors import EngineError, SubmissionError
from evaluator.files import set_torn_end_aside
from evaluator.rounds import derived
from evaluator.rounds.dispatch import Dispatch
from evaluator.rounds.durations import Durations
from evaluator.rounds.executors import Executor
from evaluator.rounds.job import Job, RoundTracks, find_tracks
from evaluator.rounds.machinery import Machinery
from evaluator.rounds.plan import PATIENCE, Plan, Resolver, passed_before, survey
from evaluator.rounds.recording import Recorder
from evaluator.rounds.summary import Summary
from evaluator.rounds.task import ASKED_AGAIN, Task, has_passed
from evaluator.rounds.watch import Progress, Watch
from evaluator.running.pinning import Pinning
from evaluator.running.unsandboxed import UnsandboxedRuns
from evaluator.scoring import metrics
from evaluator.store.state import Kept
from evaluator.store.tries import Tries


class Round:
    """One round: what is due is run, scored, recorded and ranked.

    Args:
        progress: told how it goes.
        machinery: what runs the images: this machine, or others.
    """

    def __init__(self, job: Job, progress: Progress, machinery: Machinery) -> None:
        self.job = job
        self.progress = progress
        self.machinery = machinery
        self.settings = job.repository.settings
        self.recorder = Recorder(job.repository, job.results, job.known)
        self.summary = Summary()
        self._tries = Tries(job.state.folder)
        self._kept: set[str] = set()
        self._missing: dict[tuple[str, str], set[int]] = {}
        self._sharing: Counter[str] = Counter()
        self._dispatch: Dispatch
        self._watch: Watch

    def evaluate(self) -> Summary:
        """Bring every record up to date.

        Raises:
            EvaluatorError: our machine, data or engine is not fit; nothing is recorded against anybody.
        """
        begun = time.monotonic()
        found = find_tracks(self.job)
        self.machinery.require_fit()
        with self.job.state.locked():
            self.job.scratch.clear()  # what an earlier, killed process left half-done
            self._bring_up_to_date(found)
        self.summary.seconds = time.monotonic() - begun
        return self.summary

    def _bring_up_to_date(self, found: RoundTracks) -> None:
        job, say = self.job, self.progress.say
        for path in (job.results.history_file, job.results.chain, job.state.ledger):
            if aside := set_torn_end_aside(path):
                say(f"{path} ended in half a line, which is set aside in {aside}")
        for line in found.told():
            say(line)
        self.summary.reaped = self.machinery.reap()
        for path in open_to_others(job.hidden, found.files):
            say(f"{path} can be read by other users of this machine: chmod 600 {path}; chmod 700 {path.parent}")
        if odd := job.state.drop_old_logs(self.settings.log_days):
            say(f"the clock: {odd}")
        plan = survey(job, found, self.machinery.resolver, say, lock=True)
        self.summary.take(plan)
        say(f"plan: {plan}")
        durations = Durations.of(job.results.timings() if plan.run else ())
        self._watch = Watch(job.state, self.progress, durations, self.machinery.where)
        self._watch.start(plan.run, len(plan.refused))
        for task, error in plan.refused:
            self._record_failure(task, error, NOTHING_RAN)
        try:
            self._score_again(plan.rescore)
            if plan.run:
                with self.machinery.executor(plan.run, say) as executor:
                    self._watch.places = lambda: len(executor.places())
                    self._run_all(plan.run, executor)
        finally:
            self._watch.close()
            self.summary.freed_bytes = self.machinery.clear(say)
        left, tables = derived.make_anew(job, found.files, say)
        self.summary.ours.update(left)
        self.summary.rescoring = str(tables[-1]) if tables else None

    def _score_again(self, tasks: Sequence[Task]) -> None:
        for task in tasks:
            kept = self.job.state.predictions(task.run_key)
            assert kept is not None
            self.job.results.put(self.recorder.scored(task, kept, None))
            self.summary.rescored.append(task.name)

    def _run_all(self, due: Sequence[Task], executor: Executor[Task, Finished]) -> None:
        self._dispatch = Dispatch(executor, self._consistent, self._watch)
        for task in due:
            if task.episode is not None:
                self._missing.setdefault(_pair(task), set()).add(task.episode)
        self._sharing.update(key for _, key in {(_pair(t), t.run_key) for t in due if t.episode is not None})
        threading.Thread(target=metrics.prepare, daemon=True).start()  # while the first container runs
        with closing(self._dispatch.run(due)) as outcomes:
            for task, told in outcomes:
                if task.episode is not None and _pair(task) not in self._missing:
                    self._watch.dropped(task)
                    continue
                outcome = told if isinstance(told, Exception) else self.machinery.confirmed(task, told)
                if isinstance(outcome, Finished):
                    self._finish(task, outcome)
                else:
                    self._leave_undone(task, outcome)

    def _leave_undone(self, task: Task, error: Exception) -> None:
        """Even a mistake in our own code is not this submission's fault, and no reason to stop the others."""
        why = self.summary.leave_undone(task.name, error, self._tries.count(_trial(task)))
        self._tries.left_undone(_trial(task))
        self.job.state.note(event="interrupted", submission=task.submission.id, track=task.track.id, why=why)
        self._watch.end(task, "ours", f"not done, and not its fault: {why}")
        if isinstance(error, EngineError) and not self.machinery.alive():
            raise EngineError(
                "The Docker engine is gone.", "Start it and run apb evaluate again; it goes on from here."
            )

    def _consistent(self, task: Task) -> bool:
        """Whether this very image has passed the consistency audit, on whatever track."""
        return any(
            record.status == "ok" and record.image.digest == task.image.digest and not record.flags
            for record in self.job.results.of(task.submission.id)
        )

    def _finish(self, task: Task, finished: Finished) -> None:
        """Score what a run wrote, and record it; whatever is wrong with it is recorded too."""
        run, table, state = finished.run, finished.table, self.job.state
        state.keep_log(task.submission.id, task.track.id, run.log)
        if task.track.purpose == "panel":
            self._take_behaviour(task, finished)
            return
        if finished.failure:
            self._give_up(task)
            self._fail(task, finished.failure, finished)
            return
        assert table is not None
        kept = Kept(table.score, table.prediction, run.seconds, run.peak_memory or 0, finished.flags)
        if task.episode is not None:
            state.keep_predictions(task.kept_as, kept)
            self._missing[_pair(task)].discard(task.episode)
            whole = None if self._missing[_pair(task)] else self._gathered(task)
            if whole is None:
                self._watch.note(task, finished, "ok")
                self._watch.end(task, "scored", f"{run.seconds:.2f} s", run.seconds)
                return
            kept = whole
        if task.run_key in self._kept:  # another entry with the same image: the first word counts for both
            kept = state.predictions(task.run_key) or kept
        state.keep_predictions(task.run_key, kept)
        self._kept.add(task.run_key)
        self._forget_runs(task)
        result = self.recorder.scored(task, kept, finished)
        self.job.results.put(result)
        self._tries.done(_trial(task))
        self.summary.scored.append(replace(task, episode=None).name)
        self._watch.note(task, finished, "ok")
        primary = result.metrics.get(task.track.primary_metric)
        shown = "undefined" if primary is None or primary.value is None else f"{primary.value:.3f}"
        title = METRICS[task.track.primary_metric].title
        self._watch.end(task, "scored", f"{title} {shown}, {run.seconds:.2f} s", run.seconds)

    def _take_behaviour(self, task: Task, finished: Finished) -> None:
        """Record what an entry said of the panel; a failure there is told, and takes nothing from its other tracks."""
        self.job.results.put_behaviour(self.recorder.behaviour(task, finished))
        self._tries.done(_trial(task))
        if finished.failure:
            self.summary.failed[task.name] = finished.failure.code
        else:
            self.summary.asked.append(task.name)
        outcome = finished.failure.code if finished.failure else "ok"
        self._watch.note(task, finished, outcome)
        shown = f"failed: {outcome}" if finished.failure else f"asked, {finished.run.seconds:.2f} s"
        self._watch.end(task, "failed" if finished.failure else "scored", shown, finished.run.seconds)

    def _gathered(self, task: Task) -> Kept | None:
        """What all runs of a few-shot track predicted, one after the other; None where one was left undone.

        Another entry with the same image may have gathered them already.
        """
        if task.run_key in self._kept:
            return self.job.state.predictions(task.run_key)
        parts = [self.job.state.predictions(key) for key in task.keys]
        found = [part for part in parts if part is not None]
        if len(found) < len(parts):
            return None
        return Kept(
            np.concatenate([part.score for part in found]),
            None,
            sum(part.seconds for part in found),
            max(part.peak_memory for part in found),
            tuple(dict.fromkeys(flag for part in found for flag in part.flags)),
        )

    def _forget_runs(self, task: Task) -> None:
        """Delete the runs of a pair that is recorded, unless another entry with the same image still needs them."""
        if task.episode is None:
            return
        self._missing.pop(_pair(task), None)
        self._sharing[task.run_key] -= 1
        if not self._sharing[task.run_key]:
            self.job.state.drop_predictions(task.keys)

    def _give_up(self, task: Task) -> None:
        """Where one run of a pair has failed, the others say nothing any more."""
        if _pair(task) in self._missing:
            self._forget_runs(task)
            self._watch.withdrawn(self._dispatch.withdraw(_pair(task)))

    def _fail(self, task: Task, error: SubmissionError, finished: Finished) -> None:
        """Record a failure, unless it is said of an image that cannot have become unfit, or is on record already."""
        before = self.job.results.scope(task.submission.id, task.track.id)
        if error.code in ASKED_AGAIN and before and (before.failure, before.run_key) == (error.code, task.run_key):
            self.summary.unchanged.append(task.name)
            self._watch.end(task, "failed", f"still {error.code}")
            return
        never_began = error.code.startswith("IMAGE_") and finished.image_bytes is None
        patient = self._tries.count(_trial(task)) < PATIENCE
        if never_began and has_passed(self.job.results, task.submission, task.image, checks=patient):
            self._leave_undone(task, passed_before(error))
            return
        self._tries.done(_trial(task))
        self._record_failure(task, error, finished)

    def _record_failure(self, task: Task, error: SubmissionError, finished: Finished) -> None:
        self.job.results.put(self.recorder.failed(task, error.code, finished))
        self.summary.failed[replace(task, episode=None).name] = error.code
        self._watch.note(task, finished, error.code)
        self._watch.end(task, "failed", f"failed: {error.code}", finished.run.seconds or None)


def _pair(task: Task) -> tuple[str, str]:
    return task.submission.id, task.track.id


def _trial(task: Task) -> str:
    """What tries are counted of: this very image, on these very data, within these very limits."""
    return f"{task.name} as {task.run_key}"


def evaluate(job: Job, progress: Progress, machinery: Machinery) -> Summary:
    """One round; see `Round`."""
    return Round(job, progress, machinery).evaluate()


def dry_run(job: Job, progress: Progress) -> Plan:
    """What `evaluate` would do now; nothing is run, locked or written.

    Raises:
        EvaluatorError: as there.
    """
    found = find_tracks(job)
    resolver: Resolver = (
        UnsandboxedRuns(job.unsandboxed, job.scratch)
        if job.unsandboxed
        else Pinning(job.repository.settings, job.results)
    )
    return survey(job, found, resolver, progress.say, lock=False)
