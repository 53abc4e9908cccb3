"""What is due: every submission x track, decided without running anything."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from evaluator.contract import submissions, tracks
from evaluator.contract.labels import TrackFiles, find_panel
from evaluator.contract.references import Image
from evaluator.contract.submissions import Submission
from evaluator.errors import BenchmarkError, EngineError, EvaluatorError, MachineError, SubmissionError
from evaluator.rounds import task as planning
from evaluator.rounds.job import Job, RoundTracks, Say
from evaluator.rounds.task import Task, has_passed
from evaluator.running.limits import limits_for
from evaluator.store.tries import Tries
from evaluator.text import printable

PATIENCE = 3
"""Rounds in which the same thing may be left undone because of us before it no longer makes the round a failure."""


class Resolver(Protocol):
    """What knows the exact image of a submission."""

    def resolve(self, submission: Submission, *, lock: bool = True) -> Image:
        """The exact image; with `lock` it is written down what a tag was resolved to."""


@dataclass
class Account:
    """What needs no run, or cannot have one.

    Attributes:
        unchanged: `submission on track` of what is up to date.
        failed: what failed by its own fault, with its code, by `submission on track` or a submission's id.
        ours: what was left out because of us, with the reason, by the same.
        unrunnable: what was left out because of us in more than `PATIENCE` rounds, with the reason, by the same; it is
            still tried, and no longer makes the round a failure.
        no_data: tracks without hidden data here.
    """

    unchanged: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)
    ours: dict[str, str] = field(default_factory=dict)
    unrunnable: dict[str, str] = field(default_factory=dict)
    no_data: list[str] = field(default_factory=list)

    def leave_undone(self, name: str, error: Exception, rounds: int) -> str:
        """Note what is left undone because of us, and why, in words that are inert.

        Args:
            rounds: in which it was left undone before.
        """
        why = printable(str(error) if isinstance(error, BenchmarkError) else repr(error), 500)
        # A machine that lacks something lacks it for everybody: that stays a failure until somebody sees to it.
        if rounds >= PATIENCE and not isinstance(error, MachineError):
            self.unrunnable[name] = f"unrunnable here in {rounds + 1} rounds: {why}"
        else:
            self.ours[name] = why
        return why


@dataclass
class Plan(Account):
    """What is due, decided without running anything.

    Attributes:
        run: pairs whose image must run.
        rescore: pairs whose kept predictions are only scored again.
        refused: pairs whose image cannot be had by the submission's own fault, still to be recorded.
    """

    run: list[Task] = field(default_factory=list)
    rescore: list[Task] = field(default_factory=list)
    refused: list[tuple[Task, SubmissionError]] = field(default_factory=list)

    def __str__(self) -> str:
        entries = len({task.submission.id for task in self.run})
        pairs = len({(task.submission.id, task.track.id) for task in self.run})
        runs = f" in {len(self.run):,} runs" if len(self.run) > pairs else ""
        parts = [
            f"{pairs} to run{runs} ({entries} {'entry' if entries == 1 else 'entries'})",
            f"{len(self.rescore)} to score again",
            f"{len(self.unchanged)} up to date",
        ]
        parts += [f"{len(self.failed)} at fault"] * bool(self.failed)
        parts += [f"{len(self.ours)} left out because of this machine"] * bool(self.ours)
        parts += [f"{len(self.unrunnable)} unrunnable here"] * bool(self.unrunnable)
        return ", ".join(parts)

    def as_json(self) -> dict[str, Any]:
        """For programs."""
        return {
            "run": [_due(task) for task in self.run],
            "rescore": [_due(task) for task in self.rescore],
            "unchanged": self.unchanged,
            "failed": self.failed,
            "ours": self.ours,
            "unrunnable": self.unrunnable,
            "no_data": self.no_data,
        }


def _due(task: Task) -> dict[str, Any]:
    return {
        "submission": task.submission.id,
        "track": task.track.id,
        "rows": task.track.n,
        "run": None if task.episode is None else task.splits.episodes[task.episode].name,
        "image": task.image.reference,
        "digest": task.image.digest,
        "limits": task.limits.as_json(),
        "gpus": task.gpus,
    }


def survey(job: Job, found: RoundTracks, resolver: Resolver, say: Say, *, lock: bool) -> Plan:
    """Decide for every pair.

    Args:
        found: the tracks.
        resolver: knows which exact image a submission stands for.
        say: told of what is left out.
        lock: write down what a tag was resolved to.
    """
    plan = Plan(no_data=found.no_data, ours=dict(found.unfit))
    settings, files = job.repository.settings, found.files
    panel = None if job.track_ids else find_panel(job.repository.panel)
    for entry in _submissions(job, plan, say):
        entered = {t.id for t in tracks.entered_tracks(entry, [f.track for f in files])}
        mine = [f for f in files if f.track.id in entered]
        if entry.archived:
            _look_at_archived(job, entry, mine, plan, say)
            continue
        mine = [f for f in mine if f.sequences is not None]
        image = _resolve(job, entry, mine, plan, resolver, say, lock=lock) if mine else None
        if image is None:
            continue
        how: dict[str, Any] = {"settings": settings, "results": job.results, "sandbox": job.sandbox, "force": job.force}
        tasks = [planning.decide(entry, one, image, state=job.state, known=job.known, **how) for one in mine]
        if panel and tracks.takes_panel(panel.track, (one.track for one in mine)):
            tasks.append(planning.decide_on_panel(entry, panel, image, **how))
        for task in tasks:
            if task.due == "current":
                plan.unchanged.append(task.name)
            else:
                (plan.rescore if task.due == "rescore" else plan.run).append(task)
    _leave_out_unfit(plan, say)
    plan.run = [run for task in plan.run for run in task.runs(job.state, force=job.force)]
    return plan


def _look_at_archived(job: Job, entry: Submission, files: Sequence[TrackFiles], plan: Plan, say: Say) -> None:
    """Nothing is run of archived predictions; they are scored again where scorer or labels have changed."""
    for one in files:
        record = job.results.get(entry.id, one.track.id)
        if record is None:
            continue
        level = job.repository.settings.level
        task = planning.archived(entry, one, record, state=job.state, level=level, known=job.known)
        if task is None:
            say(f"{entry.id} on {one.track.id}: its predictions are not kept here; apb archive brings them back")
        elif task.due == "current":
            plan.unchanged.append(task.name)
        else:
            plan.rescore.append(task)


def _leave_out_unfit(plan: Plan, say: Say) -> None:
    """Tasks on tracks whose rows do not fit their description; these are parsed where something is due, not before."""
    for track in {task.track.id: task.files for task in [*plan.run, *plan.rescore]}.values():
        try:
            track.data  # noqa: B018 - parsed when first asked for
        except EvaluatorError as error:
            plan.ours[track.track.id] = str(error)
            say(f"{track.track.id} is left out: {error}")
            plan.run = [task for task in plan.run if task.track.id != track.track.id]
            plan.rescore = [task for task in plan.rescore if task.track.id != track.track.id]


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
    tries, what = Tries(job.state.folder), f"{entry.id} as {entry.docker_image}"

    def leave_out(error: Exception) -> None:
        why = plan.leave_undone(entry.id, error, tries.count(what))
        if lock:
            tries.left_undone(what)
        say(f"{entry.id} was left out: {why}")

    try:
        image = resolver.resolve(entry, lock=lock)
    except SubmissionError as error:
        nothing = Image(entry.docker_image, "", None)
        if has_passed(job.results, entry, nothing, checks=tries.count(what) < PATIENCE):
            leave_out(passed_before(error))
            return None
        for one in files:
            limits = limits_for(entry, one.track, job.repository.settings)
            task = Task(entry, one, nothing, limits, job.sandbox, "run")
            record = job.results.scope(entry.id, one.track.id)
            if record and record.failure == error.code and record.run_key == task.run_key:
                plan.unchanged.append(task.name)
            else:
                plan.failed[task.name] = error.code
                plan.refused.append((task, error))
    except Exception as error:  # noqa: BLE001 - even a mistake in our own code must not stop the others
        leave_out(error)
    else:
        if lock:
            tries.done(what)
        return image
    return None


def passed_before(error: SubmissionError) -> EngineError:
    """The same as our fault: an image that was fit once cannot become unfit, but a registry can lose or hide it."""
    return EngineError(f"This very image has passed before, so no record changes. Now: [{error.code}] {error}")
