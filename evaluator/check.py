"""One submission on the public smoke track: what a contributor runs at home and what CI runs, step for step."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import docker
import docker.errors
import docker.models.images

from evaluator import containers, images, metrics, plan, sandbox, tracks
from evaluator import submission as submissions
from evaluator.errors import EvaluatorError, Problem, SubmissionError
from evaluator.images import Image
from evaluator.metrics import estimate_json
from evaluator.plan import Task
from evaluator.runs import run_and_audit
from evaluator.settings import Repository
from evaluator.state import State
from evaluator.submission import Submission
from evaluator.text import printable
from evaluator.tracks import BlindedInput, TrackFiles

SHOWN_LOG = 4000
Say = Callable[[str, str], None]


@dataclass
class Report:
    """What a check found, step by step.

    Attributes:
        steps: name and outcome of each step that passed.
        problems: empty if the submission passed.
        code: the failure's stable code.
    """

    submission: str
    steps: list[tuple[str, str]] = field(default_factory=list)
    notes: list[Problem] = field(default_factory=list)
    problems: tuple[Problem, ...] = ()
    code: str | None = None
    log: str = ""
    metrics: dict[str, dict[str, Any]] = field(default_factory=dict)

    @property
    def passed(self) -> bool:
        """Whether this may be submitted."""
        return self.code is None

    def as_json(self) -> dict[str, Any]:
        """For programs."""
        return {
            "submission": self.submission, "passed": self.passed, "code": self.code,
            "steps": [{"step": name, "outcome": outcome} for name, outcome in self.steps],
            "notes": [vars(n) for n in self.notes], "problems": [vars(p) for p in self.problems],
            "metrics": self.metrics, "log": self.log,
        }  # fmt: skip


def check(repository: Repository, path: Path, *, image: str | None, state: State, say: Callable[[str], None]) -> Report:
    """Check one submission file and its image; nothing is recorded, nothing hidden is touched.

    Args:
        image: take this image of the local engine instead of the one that the file names.
        say: told of each step as it is done.

    Raises:
        EvaluatorError: this machine cannot check anything.
    """
    report = Report(path.stem)

    def passed(step: str, outcome: str) -> None:
        report.steps.append((step, outcome))
        say(f"ok   {step}: {outcome}")

    try:
        entry = submissions.load(path)
        _known_tracks(repository, entry)
        reference = images.parse(entry.docker_image)
        images.require_allowed(reference, repository.settings)
        passed("file", f"{path.name} is valid")
        engine = images.connect()
        containers.reap(engine)
        chosen, how = _choose(entry, image, repository, engine)
        ready = images.ensure(chosen, repository.settings, engine)
        passed("image", f"{how}, {ready.attrs['Size'] / 1e6:,.0f} MB, {chosen.digest}")
        for files in _practice(repository, entry):
            limits = plan.limits_for(entry, files.track, repository.settings)
            _smoke(Task(entry, files, chosen, limits, "docker", "run"), ready, engine, state, report, passed)
    except SubmissionError as error:
        report.code, report.problems = error.code, error.problems
    return report


def _known_tracks(repository: Repository, entry: Submission) -> None:
    known = tracks.load_all(repository.tracks)
    if unknown := [t for t in entry.tracks or () if t not in known]:
        raise SubmissionError(
            "FIELD_VALUE", f"'tracks' names {', '.join(unknown)}.",
            f"Known are: {', '.join(t.id for t in known.values() if t.purpose == 'benchmark')}.",
        )  # fmt: skip


def _choose(
    entry: Submission, image: str | None, repository: Repository, engine: docker.DockerClient
) -> tuple[Image, str]:
    """The image to check: the one given, a local build of the same name (not in CI), or what the registry has."""
    reference = images.parse(entry.docker_image)
    if image:
        return images.local_image(image, engine), f"local image {printable(image, 100)}"
    if not reference.local and not os.environ.get("CI"):
        try:
            local = images.local_image(str(reference).removeprefix("docker.io/"), engine)
        except EvaluatorError:
            pass
        else:
            return local, "your local build (push it before you open the pull request)"
    return images.resolve(reference, repository.settings, engine), "found" if reference.local else "in the registry"


def _practice(repository: Repository, entry: Submission) -> list[TrackFiles]:
    """The public practice tracks whose task the submission enters."""
    known = tracks.load_all(repository.tracks)
    tasks = {known[t].task for t in entry.tracks or () if t in known} or {"classification"}
    wanted = [t for t in known.values() if t.purpose == "practice" and t.task in tasks]
    found = [tracks.find_data(t, repository.public_data) for t in wanted]
    return [f for f in found if f is not None]


def _smoke(
    task: Task, image: docker.models.images.Image, engine: docker.DockerClient, state: State, report: Report, say: Say
) -> None:
    """Run on one practice track, logs and all; then check, audit and score what was written."""
    track = task.track
    info = engine.info()
    limits = replace(
        task.limits, cpus=min(task.limits.cpus, info["NCPU"]), memory=min(task.limits.memory, info["MemTotal"])
    )

    def once(given: BlindedInput) -> sandbox.Run:
        with state.input_folder(given.csv) as folder:
            return sandbox.run(engine, image, folder, limits, environment={"TASK": track.task})

    done = run_and_audit(task, once)
    report.log = printable(done.run.log[-SHOWN_LOG:].decode(errors="replace"), SHOWN_LOG, keep="\n\t")
    if done.failure:
        raise done.failure
    assert done.table is not None
    memory = f", {done.run.peak_memory / 1e6:,.0f} MB" if done.run.peak_memory else ""
    say(f"run on {track.id}", f"{task.data.n} sequences in {done.run.seconds:.2f} s{memory}")
    report.notes += done.table.notes
    predicted = done.table.prediction if track.task == "classification" else None
    scores = metrics.score(task.data.truth, done.table.score, predicted)
    report.metrics[track.id] = {name: estimate_json(e) for name, e in scores.metrics.items()}
    value = scores.metrics[track.primary_metric].value
    shown = "undefined" if value is None else f"{value:.3f}"
    title = metrics.METRICS[track.primary_metric].title
    say(f"predictions on {track.id}", f"complete and valid; {title} {shown} on synthetic data, which says nothing")
    if done.flags:
        remedy = "The board will say so. Score each sequence by itself, and fix every seed."
        report.notes += [Problem("INCONSISTENT", f"On {track.id}: {flag}.", remedy) for flag in done.flags]
    else:
        say(f"consistency on {track.id}", "the same scores for fewer rows in another order")
