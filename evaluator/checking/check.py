"""One submission on the public smoke track: what a contributor runs at home and what CI runs, step for step."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from evaluator.checking import forecast
from evaluator.checking.forecast import Measured
from evaluator.contract import references, submissions, tracks
from evaluator.contract.labels import TrackFiles, find_data
from evaluator.contract.references import Image
from evaluator.contract.sequences import BlindedInput
from evaluator.contract.submissions import Submission
from evaluator.contract.task_types import KINDS, METRICS
from evaluator.contract.tracks import Track
from evaluator.contract.verdicts import MAX_FINDINGS, MAX_TEXT, Expectation, Finding, Step, Verdict, duration
from evaluator.contract.work import Limits, Run
from evaluator.errors import Problem, SubmissionError
from evaluator.running import images, pinning
from evaluator.running.audit import run_and_audit
from evaluator.running.limits import limits_for
from evaluator.running.ready import Ready, Workbench
from evaluator.running.scratch import Scratch
from evaluator.scoring import metrics
from evaluator.scoring.metrics import estimate_json
from evaluator.scoring.scored import Scored
from evaluator.settings import Repository
from evaluator.store.results import Results
from evaluator.text import printable

SHOWN_LOG = 4000
Say = Callable[[str, str], None]


def check(
    repository: Repository, path: Path, *, image: str | None, scratch: Scratch, say: Callable[[str], None]
) -> Verdict:
    """Check one submission file and its image; nothing hidden is touched.

    The digest of an image that passes is locked where the file is one of the benchmark's own submissions: what is
    evaluated is what was checked, wherever its tag points by then.

    Args:
        image: take this image of the local engine instead of the one that the file names.
        say: told of each step as it is done.

    Raises:
        EvaluatorError: this machine cannot check anything.
    """
    verdict = Verdict(submission=printable(path.stem, 80))

    def passed(step: str, outcome: str) -> None:
        verdict.steps.append(Step(step=step, outcome=outcome))
        say(f"ok   {step}: {outcome}")

    try:
        entry = submissions.load(path)
        verdict.sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
        _known_tracks(repository, entry)
        reference = references.parse(entry.docker_image)
        images.require_allowed(reference, repository.settings)
        passed("file", f"{path.name} is valid")
        bench = Workbench(repository.settings, scratch)
        chosen, how = bench.choose(reference, image, local_builds=not os.environ.get("CI"))
        verdict.digest = chosen.digest
        ready = bench.ready(chosen)
        passed("image", f"{how}, {ready.size / 1e6:,.0f} MB, {chosen.digest}")
        for files in _practice(repository, entry):
            limits = bench.within(limits_for(entry, files.track, repository.settings))
            _smoke(_Trial(entry, files, limits, ready, repository), verdict, passed)
        if chosen.pull:
            _lock(repository, path, entry, chosen, verdict)
        verdict.passed = True
    except SubmissionError as error:
        verdict.code = error.code
        verdict.problems = [Finding.of(p) for p in _placed(path, error)[:MAX_FINDINGS]]
    return verdict


def _placed(path: Path, error: SubmissionError) -> list[Problem]:
    """Problems, each with its line where it is one of the file."""
    fields = {"IMAGE_": "docker_image", "FIELD_": "tracks"}  # other fields' problems know their lines already
    field = next((name for prefix, name in fields.items() if error.code.startswith(prefix)), None)
    if field is None or all(p.where for p in error.problems):
        return list(error.problems)
    try:
        where = submissions.place(path, field)
    except SubmissionError:
        return list(error.problems)
    return [replace(p, where=p.where or where) for p in error.problems]


def _lock(repository: Repository, path: Path, entry: Submission, image: Image, verdict: Verdict) -> None:
    if path.resolve().parent != repository.submissions.resolve():
        return
    if kept := pinning.lock_checked(Results(repository.results), entry, image):
        what = f"{entry.docker_image} is {image.digest} now; the benchmark has evaluated {kept} and keeps to it."
        remedy = "Submit a changed image as a new entry."
        verdict.notes.append(Finding(code="TAG_MOVED", what=what, remedy=remedy))


def _known_tracks(repository: Repository, entry: Submission) -> None:
    known = tracks.load_all(repository.tracks)
    if unknown := [t for t in entry.tracks or () if t not in known and t not in tracks.former_ids(known.values())]:
        raise SubmissionError(
            "FIELD_VALUE",
            f"'tracks' names {', '.join(unknown)}.",
            f"Known are: {', '.join(t.id for t in known.values() if t.purpose == 'benchmark' and not t.retired)}.",
        )


def _practice(repository: Repository, entry: Submission) -> list[TrackFiles]:
    """The public practice tracks whose task the submission enters."""
    known = tracks.load_all(repository.tracks)
    tasks = {known[t].task for t in entry.tracks or () if t in known} or {next(iter(KINDS))}
    wanted = [t for t in known.values() if t.purpose == "practice" and t.task in tasks]
    found = [find_data(t, repository.public_data) for t in wanted]
    return [f for f in found if f is not None]


@dataclass(frozen=True)
class _Trial:
    """One practice track, and what it takes to run the image on it."""

    submission: Submission
    files: TrackFiles
    limits: Limits
    ready: Ready
    repository: Repository

    @property
    def track(self) -> Track:
        return self.files.track

    def once(self, given: BlindedInput) -> Run:
        """One run, within what this machine has."""
        return self.ready.run(given, self.limits, task=self.track.task)


def _smoke(trial: _Trial, verdict: Verdict, say: Say) -> None:
    """Run on one practice track, logs and all; then check, audit, score and time what was written."""
    track, data = trial.track, trial.files.data
    done = run_and_audit(data.sequences, trial.once)
    verdict.log = printable(done.run.log[-SHOWN_LOG:].decode(errors="replace"), SHOWN_LOG, keep="\n\t")[:MAX_TEXT]
    if done.failure:
        raise done.failure
    assert done.table is not None
    memory = f", {done.run.peak_memory / 1e6:,.0f} MB" if done.run.peak_memory else ""
    say(f"run on {track.id}", f"{data.n} sequences in {done.run.seconds:.2f} s{memory}")
    verdict.notes += [Finding.of(n) for n in done.table.notes[:MAX_FINDINGS]]
    scores = metrics.measure(Scored.on(data, done.table.score, done.table.prediction))
    verdict.metrics[track.id] = {name: estimate_json(e) for name, e in scores.metrics.items()}
    value = scores.metrics[track.primary_metric].value
    shown = "undefined" if value is None else f"{value:.3f}"
    title = METRICS[track.primary_metric].title
    say(f"predictions on {track.id}", f"complete and valid; {title} {shown} on synthetic data, which says nothing")
    if done.flags:
        remedy = "The board will say so. Score each sequence by itself, and fix every seed."
        for flag in done.flags:
            verdict.notes.append(Finding(code="INCONSISTENT", what=f"On {track.id}: {flag}.", remedy=remedy))
    else:
        say(f"consistency on {track.id}", "the same scores for fewer rows in another order")
    _foretell(trial, Measured(data.n, done.run.seconds, done.run.peak_memory), verdict, say)


def _foretell(trial: _Trial, first: Measured, verdict: Verdict, say: Say) -> None:
    """What the tracks of this kind will take, by further and longer runs."""
    entry, task = trial.submission, trial.track.task
    known = tracks.load_all(trial.repository.tracks).values()
    wanted = [t for t in tracks.entered_tracks(entry, known) if t.purpose == "benchmark" and t.task == task]
    second = first
    while rows := forecast.rows_for(first, second, wanted):
        given = forecast.enlarged(trial.files.data.sequences, rows).blinded(0)
        run = trial.once(given)
        if run.failure:
            what = (
                f"On {rows:,} public rows it failed with {run.failure.code}; {max(t.n for t in wanted):,} are to come."
            )
            finding = Finding(code="LARGER_RUN", what=what, remedy=run.failure.remedy)
            verdict.notes.append(finding)
            return
        second = Measured(rows, run.seconds, run.peak_memory)
        say(f"run on {rows:,} rows", f"{run.seconds:.2f} s")
    for track in wanted:
        told = forecast.extrapolated(first, second, track.n)
        limits = limits_for(entry, track, trial.repository.settings)
        found = Expectation(
            track=track.id,
            rows=track.n,
            seconds=round(told.seconds, 1),
            limit_seconds=limits.seconds,
            memory_mb=None if told.memory is None else round(told.memory / 1e6),
            limit_mb=round(limits.memory / 1e6),
        )
        verdict.forecast.append(found)
        if told.seconds > limits.seconds or (told.memory or 0) > limits.memory:
            what = (
                f"{track.id} would take about {duration(told.seconds)} and {(told.memory or 0) / 1e6:,.0f} MB here; "
                f"{duration(limits.seconds)} and {limits.memory / 1e6:,.0f} MB are allowed."
            )
            remedy = "Be faster or leaner, ask for more in resources, or leave the track out with tracks: [...]."
            verdict.notes.append(Finding(code="FORECAST", what=what, remedy=remedy))
