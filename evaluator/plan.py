"""What is due: every submission x track whose image, data, contract or limits have changed since its last record."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from evaluator.images import Image
from evaluator.metrics import SCORER_VERSION
from evaluator.results import Results, Scope
from evaluator.sandbox import GIB, Limits
from evaluator.settings import CONTRACT_VERSION, Settings
from evaluator.state import State
from evaluator.submission import Submission
from evaluator.tracks import Track, TrackData, TrackFiles
from evaluator.work import Work

Sandbox = Literal["docker", "unsandboxed"]
Due = Literal["run", "rescore", "current"]


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
        return run_key(self.image.digest, self.files.sequences_sha256, self.limits, self.sandbox)

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
        return f"{self.submission.id} on {self.track.id}{part}"

    def work(self) -> Work:
        """What a machine is told of it: never a label."""
        return Work(
            self.name, self.image, self.limits, bool(self.gpus),
            self.files.sequences_sha256, self.rows,
        )  # fmt: skip


def run_key(digest: str | None, sequences_sha256: str, limits: Limits, sandbox: Sandbox) -> str:
    """Hash of all that decides what a run predicts: image, sequences, contract, limits, and how it was confined."""
    parts = [digest, sequences_sha256, CONTRACT_VERSION, limits.as_json(), sandbox]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:32]


def limits_for(submission: Submission, track: Track, settings: Settings) -> Limits:
    """What a submission asks for, cut to what the track and the benchmark allow."""
    asked = submission.resources
    minutes = min(asked.timeout_minutes, track.timeout_minutes, settings.max_timeout_minutes)
    memory = min(asked.memory_gb, settings.max_memory_gb)
    return Limits(seconds=float(minutes * 60), memory=int(memory * GIB), cpus=float(settings.cpus))


def entered_tracks(submission: Submission, tracks: Iterable[Track]) -> list[Track]:
    """The tracks that a submission takes part in: those it names, else all; practice tracks are for every entry.

    A classification entry serves regression tracks too: its score is compared by rank.
    """
    if submission.withdrawn:
        return []
    return [t for t in tracks if t.purpose == "practice" or submission.tracks is None or t.id in submission.tracks]


def decide(
    submission: Submission,
    files: TrackFiles,
    image: Image,
    *,
    settings: Settings,
    results: Results,
    state: State,
    sandbox: Sandbox,
    force: bool,
) -> Task:
    """Whether a pair must be run, only scored again from kept predictions, or is up to date."""
    limits = limits_for(submission, files.track, settings)
    key = run_key(image.digest, files.sequences_sha256, limits, sandbox)
    record = results.scope(submission.id, files.track.id)
    due: Due = "run"
    if not force and record and _is_current(record, key, files, settings.level):
        due = "current"
    elif not force and not (record and record.status == "failed" and record.run_key == key) and state.keeps(key):
        due = "rescore"
    return Task(submission, files, image, limits, sandbox, due)


def _is_current(record: Scope, key: str, files: TrackFiles, level: float) -> bool:
    if record.run_key != key:
        return False
    scored_alike = (record.labels_hash, record.scorer, record.level) == (files.labels_hash, SCORER_VERSION, level)
    return record.status == "failed" or scored_alike
