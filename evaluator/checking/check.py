"""One submission on the public practice tracks: what a contributor runs at home and what CI runs, step for step."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from evaluator.checking import forecast, observing, training
from evaluator.checking.forecast import Measured
from evaluator.contract import references, submissions, tracks
from evaluator.contract.labels import TrackFiles, find_data
from evaluator.contract.observed import NOTHING_SEEN, Observed, Tried
from evaluator.contract.references import Image
from evaluator.contract.sequences import BlindedInput
from evaluator.contract.submissions import Submission
from evaluator.contract.task_types import METRICS
from evaluator.contract.tracks import Track
from evaluator.contract.verdicts import MAX_FINDINGS, MAX_TEXT, Expectation, Finding, Step, Verdict, duration
from evaluator.contract.work import Finished, Limits, Run
from evaluator.errors import Problem, SubmissionError
from evaluator.integrity import card as cards
from evaluator.integrity.evidence import Lookup
from evaluator.running import images, pinning
from evaluator.running.audit import run_all
from evaluator.running.covered import Covered
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
QUICK, FEW = 5.0, 8
"""An image whose runs take more seconds is tried on so few rows of all shapes but the first."""
_PLAINEST = "VH, classification"
Say = Callable[[str, str], None]


def check(
    repository: Repository,
    path: Path,
    *,
    image: str | None,
    scratch: Scratch,
    say: Callable[[str], None],
    train: Path | None = None,
    hidden: Path | None = None,
    exact: Image | None = None,
) -> Verdict:
    """Check one submission file and its image; nothing hidden is given to it.

    The digest of an image that passes is locked where the file is one of the benchmark's own submissions: what is
    evaluated is what was checked, wherever its tag points by then.

    Args:
        image: take this image of the local engine instead of the one that the file names.
        say: told of each step as it is done.
        train: a copy of the training file that the submission names.
        hidden: where tracks' sequences are, for relatives among what it was trained on; their labels are not read.
        exact: take this image, wherever the tag points that the file names.

    Raises:
        EvaluatorError: this machine cannot check anything.
    """
    verdict = Verdict(submission=printable(path.stem, 80))

    def passed(step: str, outcome: str) -> None:
        verdict.steps.append(Step(step=step, outcome=outcome))
        say(f"ok   {step}: {outcome}")

    entry: Submission | None = None
    seen = NOTHING_SEEN
    try:
        entry = submissions.load(path)
        verdict.sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
        verdict.notes += [Finding.of(n) for n in submissions.notes(path.read_bytes())[:MAX_FINDINGS]]
        _known_tracks(repository, entry)
        place = submissions.place(path, training.FIELD)
        if exact is None:  # else a maintainer's machine looks again, which asks no address that a stranger names
            looked = training.look(repository, entry, place, train=train, hidden=hidden, say=passed)
            verdict.notes += map(Finding.of, looked)
        if entry.archived:
            passed("file", f"{path.name} is valid; its predictions are published ones, so there is no image to try")
            verdict.passed = True
            return _with_card(repository, entry, seen, verdict)
        reference = references.parse(entry.docker_image)
        images.require_allowed(reference, repository.settings)
        passed("file", f"{path.name} is valid")
        bench = Workbench(repository.settings, scratch)
        local_builds = not os.environ.get("CI")
        chosen, how = (exact, "as locked") if exact else bench.choose(reference, image, local_builds=local_builds)
        verdict.digest = chosen.digest
        ready = bench.ready(chosen)
        passed("image", f"{how}, {ready.size / 1e6:,.0f} MB, {chosen.digest}")
        verdict.notes += map(_told, ready.covered())
        if entry.card:
            seen = observing.of_image(entry.card, chosen, ready, repository.settings)
        trials = [
            _Trial(entry, files, bench.within(limits_for(entry, files.track, repository.settings)), ready, repository)
            for files in _practice(repository, entry, verdict)
        ]
        try:
            _try_all(trials, verdict, passed)
        finally:
            seen = replace(seen, tried=next((tried for trial in trials[:1] for tried in trial.tried), None))
        if chosen.pull:
            _lock(repository, path, entry, chosen, verdict)
        verdict.passed = True
    except SubmissionError as error:
        verdict.code = error.code
        verdict.problems = [Finding.of(p) for p in _placed(path, error)[:MAX_FINDINGS]]
        seen = observing.failed(seen, error.code)
    return _with_card(repository, entry, seen, verdict) if entry else verdict


def _with_card(repository: Repository, entry: Submission, seen: Observed, verdict: Verdict) -> Verdict:
    """The verdict with what became of the reproducibility card; whatever it says, a submission passes."""
    if entry.card is None:
        if entry.reproducibility:
            what = "'reproducibility' has free fields, which declare nothing: they are no reproducibility card."
            verdict.notes.append(Finding(code="NO_CARD", what=what, remedy="Begin it with card: 1; see the guide."))
        return verdict
    known = tracks.load_all(repository.tracks).values()
    seen = observing.of_elsewhere(entry, entry.card, Results(repository.results), seen, Lookup(), verdict.digest)
    verdict.card = cards.held(entry, known, seen)
    for name, found in verdict.card.items():
        if found.outcome == "contradicted":
            remedy = "The board will say so. Correct the card, or the image."
            verdict.notes.append(Finding(code="CONTRADICTED", what=f"'{name}': {found.detail}.", remedy=remedy))
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


def _practice(repository: Repository, entry: Submission, verdict: Verdict) -> list[TrackFiles]:
    """A public practice track for every shape of the tracks that the submission enters, the plainest first.

    An entry that names no tracks takes part in all there will be: it is tried on the plainest shape in any case.
    """
    known = tracks.load_all(repository.tracks).values()
    practice = {t.shape: t for t in known if t.purpose == "practice"}  # of two of one shape the last one
    wanted = {t.shape for t in known if tracks.names(entry, t) and (entry.tracks or t.purpose == "benchmark")}
    if not wanted or entry.tracks is None:
        wanted |= {_PLAINEST}
    for shape in sorted(wanted - practice.keys()):
        what = f"There is no practice track with {shape}: nothing of that kind was tried."
        verdict.notes.append(Finding(code="UNTRIED", what=what))
    found = [find_data(t, repository.public_data) for shape, t in practice.items() if shape in wanted]
    return sorted((f for f in found if f is not None), key=lambda f: f.track.shape != _PLAINEST)


def _told(hidden: Covered) -> Finding:
    """A folder of the image that no run sees as it is, as a note."""
    if hidden.volume:
        what = f"VOLUME {hidden.path} hides what the image has there, such as {hidden.example}: runs find it empty."
        return Finding(code="HIDDEN_FILES", what=what, remedy="Remove that VOLUME from the Dockerfile.")
    what = f"Every run has a {hidden.path} of its own, without what the image has there, such as {hidden.example}."
    return Finding(code="HIDDEN_FILES", what=what, remedy="Keep what the program needs elsewhere, such as in /app.")


@dataclass(frozen=True)
class _Trial:
    """One practice track, and what it takes to run the image on it."""

    submission: Submission
    files: TrackFiles
    limits: Limits
    ready: Ready
    repository: Repository
    runs: list[Measured] = field(default_factory=list)
    tried: list[Tried] = field(default_factory=list)

    @property
    def quick(self) -> bool:
        """Whether its runs take so little that further shapes can be tried in full."""
        return max(run.seconds for run in self.runs) <= QUICK

    @property
    def track(self) -> Track:
        return self.files.track

    def once(self, given: BlindedInput) -> Run:
        """One run, within what this machine has; how long it took is kept in `runs`."""
        run = self.ready.run(given, self.limits, task=self.track.task)
        if not run.failure:
            self.runs.append(Measured(len(given.ids), run.seconds, run.peak_memory))
        return run


def _try_all(trials: list[_Trial], verdict: Verdict, say: Say) -> None:
    """Run on every practice track; where an image does something at all, each shape that fails is told.

    Raises:
        SubmissionError: of all that failed.
    """
    failed: list[SubmissionError] = []
    for number, trial in enumerate(trials):
        begun = time.monotonic()
        try:
            _try(trial, verdict, say, first=not number, in_full=not number or trials[0].quick)
        except SubmissionError as error:
            failed.append(_on(trial.track, error))
            if not number or time.monotonic() - begun > QUICK:
                break
    if failed:
        problems = [p for error in failed for p in error.problems]
        raise SubmissionError(failed[0].code, failed[0].what, failed[0].remedy, problems)


def _on(track: Track, error: SubmissionError) -> SubmissionError:
    """The same, saying on which shape of input."""
    where = f"On {track.id} ({track.shape}): "
    problems = [replace(p, what=where + p.what) for p in error.problems]
    return SubmissionError(error.code, where + error.what, error.remedy, problems)


def _try(trial: _Trial, verdict: Verdict, say: Say, *, first: bool, in_full: bool) -> None:
    """Run on one practice track, logs and all; then check, audit, score and time what was written.

    Args:
        first: it is audited too; further shapes are run once, so that a check stays quick.
        in_full: else a few rows are run, once: enough to see whether the shape is understood.
    """
    track, data = trial.track, trial.files.data
    runs = data.runs(together=tracks.looks_around(trial.submission, track))
    runs = [s if in_full else s.take(range(FEW)) for s in runs]
    done = run_all([s if first else replace(s, audit_rows=0) for s in runs], trial.once)
    if done.failure or not verdict.log:
        log = printable(done.run.log[-SHOWN_LOG:].decode(errors="replace"), SHOWN_LOG, keep="\n\t")
        verdict.log = f"{verdict.log}\n{track.id} ({track.shape}):\n{log}".strip("\n")[-MAX_TEXT:]
    if done.failure:
        raise done.failure
    assert done.table is not None
    rows = sum(s.n for s in runs)
    trial.tried.append(
        observing.of_run(done, trial.limits, rows=rows, audited=first and any(s.audit_rows for s in runs))
    )
    memory = f", {done.run.peak_memory / 1e6:,.0f} MB" if done.run.peak_memory else ""
    count = f"{rows} sequences" + (f", {len(runs)} runs," if len(runs) > 1 else "")
    say(f"run on {track.id}", f"{track.shape}: {count} in {done.run.seconds:.2f} s{memory}")
    verdict.notes += [f for n in done.table.notes[:MAX_FINDINGS] if (f := Finding.of(n)) not in verdict.notes]
    if in_full:
        _judge(trial, done, verdict, say)
    else:
        say(f"predictions on {track.id}", "complete and valid")
    _foretell(trial, verdict, say)


def _judge(trial: _Trial, done: Finished, verdict: Verdict, say: Say) -> None:
    """Score what was written, and say what the audit found."""
    track, data = trial.track, trial.files.data
    assert done.table is not None
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
    elif len({run.rows for run in trial.runs}) > 1:
        say(f"consistency on {track.id}", "the same scores for fewer rows in another order")


def _foretell(trial: _Trial, verdict: Verdict, say: Say) -> None:
    """What the tracks of this shape will take, by further runs: longer ones, or a shorter one where these take long."""
    entry, shape = trial.submission, trial.track.shape
    known = tracks.load_all(trial.repository.tracks).values()
    if trial.track.few_shot:
        return  # many short runs, each of about the size that was tried
    wanted = [t for t in tracks.entered_tracks(entry, known) if t.purpose == "benchmark" and t.shape == shape]
    largest = max((t.n for t in wanted), default=0)
    seconds = min(forecast.SECONDS, trial.limits.seconds / 4)
    while rows := forecast.rows_for(trial.runs, largest, seconds):
        given = forecast.enlarged(trial.files.data.sequences, rows).blinded(0)
        run = trial.once(given)
        if run.failure:
            what = f"On {rows:,} public rows ({shape}) it failed with {run.failure.code}; {largest:,} are to come."
            verdict.notes.append(Finding(code="LARGER_RUN", what=what, remedy=run.failure.remedy))
            return
        memory = f", {run.peak_memory / 1e6:,.0f} MB" if run.peak_memory else ""
        say(f"run on {rows:,} rows", f"{shape}: {run.seconds:.2f} s{memory}")
    for track in wanted:
        found = _expectation(trial, track)
        verdict.forecast.append(found)
        if not found.fits:
            what = (
                f"{track.id} would take {found.time} and {found.memory or 'unknown memory'} here, judged by "
                f"{found.basis}; {duration(found.limit_seconds)} and {found.limit_mb:,.0f} MB are allowed."
            )
            remedy = "Be faster or leaner, ask for more in resources, or leave the track out with tracks: [...]."
            verdict.notes.append(Finding(code="FORECAST", what=what, remedy=remedy))


def _expectation(trial: _Trial, track: Track) -> Expectation:
    told = forecast.foretold(trial.runs, track.n)
    limits = limits_for(trial.submission, track, trial.repository.settings)
    memory = told.memory
    return Expectation(
        track=track.id,
        rows=track.n,
        seconds=round(told.seconds.value, 1),
        limit_seconds=limits.seconds,
        memory_mb=None if memory is None else round(memory.value / 1e6),
        limit_mb=round(limits.memory / 1e6),
        seconds_range=(round(told.seconds.low, 1), round(told.seconds.high, 1)),
        memory_range_mb=None if memory is None else (round(memory.low / 1e6), round(memory.high / 1e6)),
        longest=max(run.rows for run in trial.runs),
        thin=told.thin,
    )
