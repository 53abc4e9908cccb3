"""One submission on one track, and whether its image, data, contract or limits have changed since its last record."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, replace
from typing import Literal

from evaluator.contract.episodes import Splits
from evaluator.contract.families import RULES
from evaluator.contract.labels import TrackData, TrackFiles
from evaluator.contract.references import Image
from evaluator.contract.sequences import Sequences, rows_of
from evaluator.contract.submissions import Submission
from evaluator.contract.tracks import Track, looks_around
from evaluator.contract.work import NO_LIMITS, Limits, Sandbox, Work, run_key
from evaluator.integrity import relatives
from evaluator.integrity.relatives import Sets
from evaluator.running.limits import limits_for
from evaluator.scoring.scorer import SCORER_VERSION
from evaluator.settings import Settings
from evaluator.store.results import Results
from evaluator.store.schemas import Result, Scope
from evaluator.store.state import State

Due = Literal["run", "rescore", "current"]
ASKED_AGAIN = ("IMAGE_NOT_FOUND", "IMAGE_NOT_PUBLIC", "IMAGE_INCOMPLETE")
"""Failures that say what a registry had on a day: it is asked again in every round, which costs no run."""


@dataclass(frozen=True, eq=False)
class Task:
    """One submission on one track."""

    submission: Submission
    files: TrackFiles
    image: Image
    limits: Limits
    sandbox: Sandbox
    due: Due
    rows: range | None = None
    """Only these rows: one part of a larger task."""
    episode: int | None = None
    """Which run of a few-shot track; None for the pair as a whole."""

    @property
    def track(self) -> Track:
        """What the track is."""
        return self.files.track

    @property
    def data(self) -> TrackData:
        """The track's rows, parsed when first asked for."""
        return self.files.data

    @property
    def run_key(self) -> str:
        """The same key is never run twice."""
        return run_key(self.image.digest, self.given, self.limits, self.sandbox)

    @property
    def given(self) -> str | None:
        """sha256 of what its runs are given."""
        return _given(self.submission, self.files)

    @property
    def splits(self) -> Splits:
        """The runs of the track, which is a few-shot one."""
        assert self.data.splits is not None
        return self.data.splits

    @property
    def kept_as(self) -> str:
        """The key of what this very run predicts."""
        return self.run_key if self.episode is None else self.keys[self.episode]

    @property
    def keys(self) -> list[str]:
        """Of every run of a few-shot track."""
        return [f"{self.run_key}-{episode.key}" for episode in self.splits.episodes]

    def runs(self, state: State, *, force: bool) -> list[Task]:
        """What is to be run of a pair: itself, or the runs of a few-shot track that are not kept yet.

        Where all are kept and only the record is missing, the last one is run again.
        """
        if self.track.few_shot is None:
            return [self]
        missing = [k for k, key in enumerate(self.keys) if force or not state.keeps(key)]
        return [replace(self, episode=k) for k in missing or [len(self.keys) - 1]]

    @property
    def sequences(self) -> Sequences:
        """What a run is about."""
        if self.episode is None:
            return rows_of(self.data.sequences, self.rows)
        return self.data.run(self.episode, together=looks_around(self.submission, self.track))

    @property
    def memory(self) -> int:
        """Bytes that the run may use."""
        return self.limits.memory

    @property
    def gpus(self) -> int:
        """GPUs that the run needs."""
        return int(self.submission.resources.gpu)

    @property
    def seconds(self) -> float:
        """How long the run may take."""
        return self.limits.seconds

    @property
    def name(self) -> str:
        """For people."""
        part = "" if self.rows is None else f", part {self.rows.start + 1} of {self.rows.step}"
        part += "" if self.episode is None else f", {self.splits.episodes[self.episode].name}"
        return f"{self.submission.id} on {self.track.id}{part}"

    def work(self) -> Work:
        """What a machine is told of it: never a label of what is asked for."""
        assert self.files.sequences_sha256 is not None
        return Work(
            self.name,
            self.image,
            self.limits,
            bool(self.gpus),
            self.files.sequences_sha256 if self.episode is None else self.kept_as,
            self.rows,
        )


def decide(
    submission: Submission,
    files: TrackFiles,
    image: Image,
    *,
    settings: Settings,
    results: Results,
    state: State,
    sandbox: Sandbox,
    known: Sets,
    force: bool,
) -> Task:
    """Whether a pair must be run, only scored again from kept predictions, or is up to date."""
    limits = limits_for(submission, files.track, settings)
    key = run_key(image.digest, _given(submission, files), limits, sandbox)
    record = results.scope(submission.id, files.track.id)
    due: Due = "run"
    if not force and record and _is_current(record, key, files, settings.level, basis(submission, files, known)):
        due = "current"
    elif not force and not (record and record.status == "failed" and record.run_key == key) and state.keeps(key):
        due = "rescore"
    return Task(submission, files, image, limits, sandbox, due)


def decide_on_panel(
    submission: Submission,
    panel: TrackFiles,
    image: Image,
    *,
    settings: Settings,
    results: Results,
    sandbox: Sandbox,
    force: bool,
) -> Task:
    """Whether an entry has yet to be asked about the panel's sequences."""
    limits = limits_for(submission, panel.track, settings)
    task = Task(submission, panel, image, limits, sandbox, "run")
    known = results.behaviour(submission.id, panel.track.id)
    current = known is not None and known.run_key == task.run_key and known.failure not in ASKED_AGAIN
    return replace(task, due="current") if current and not force else task


def archived(
    submission: Submission, files: TrackFiles, record: Result, *, state: State, level: float, known: Sets
) -> Task | None:
    """What is due of predictions that were archived: to be scored again, or nothing.

    Args:
        record: of them on this track.

    Returns:
        None where they are not kept here for today's data: they must be archived again.
    """
    published = Image(record.image.reference, record.image.digest or "", None)
    task = Task(submission, files, published, NO_LIMITS, "archived", "rescore")
    if _is_current(record, task.run_key, files, level, basis(submission, files, known)):
        return replace(task, due="current")
    return task if state.keeps(task.run_key) else None


def has_passed(results: Results, submission: Submission, image: Image, *, checks: bool) -> bool:
    """Whether this very image has run well before: then it has not become unfit, whatever is said of it now.

    Args:
        image: without a digest where nobody could tell what its reference means.
        checks: a check that it has passed counts too.
    """

    def same(reference: str, digest: str | None) -> bool:
        return digest == image.digest if image.digest else reference == image.reference

    lock = results.lock(submission.id, submission.docker_image)
    if checks and lock and lock.checked and same(lock.reference, lock.digest):
        return True
    return any(r.status == "ok" and same(r.image.reference, r.image.digest) for r in results.of(submission.id))


def _given(submission: Submission, files: TrackFiles) -> str | None:
    """Of what a run is given, and whether its audit lets it look at other queries."""
    mark = "together" if looks_around(submission, files.track) else ""
    return f"{files.given_sha256}{mark}" if files.given_sha256 else None


def basis(submission: Submission, files: TrackFiles, known: Sets) -> str | None:
    """Hash of what scores allow for beside labels: the rule of families, and relatives of what the entry has seen.

    None where they allow for neither.
    """
    rule = RULES.get(files.track.families or "") if files.sequences is not None else None
    found = relatives.of(submission, files.track, known)
    if rule is None and found is None:
        return None
    parts = [rule.version if rule else None, found.version if found else None]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def _is_current(record: Scope | Result, key: str, files: TrackFiles, level: float, allows_for: str | None) -> bool:
    if record.run_key != key or record.failure in ASKED_AGAIN:
        return False
    now = (files.labels_hash, SCORER_VERSION, level, allows_for)
    scored_alike = (record.labels_hash, record.scorer, record.level, record.basis) == now
    return record.status == "failed" or scored_alike
