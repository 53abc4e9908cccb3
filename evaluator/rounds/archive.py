"""Predictions that were published elsewhere: checked, kept and scored; no rank, since nobody can run them here."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path

from evaluator.contract import predictions, submissions, tracks
from evaluator.contract.formats import read_bytes
from evaluator.contract.labels import TrackFiles, find_data
from evaluator.contract.predictions import MAX_OUTPUT_BYTES, Predictions
from evaluator.contract.references import Image
from evaluator.contract.submissions import Submission
from evaluator.contract.task_types import KINDS, METRICS
from evaluator.contract.tracks import Track
from evaluator.contract.work import NO_LIMITS
from evaluator.errors import SubmissionError, UsageError
from evaluator.files import set_torn_end_aside
from evaluator.integrity import disclosure
from evaluator.rounds import derived
from evaluator.rounds.job import Job, Say, choose_tracks
from evaluator.rounds.recording import Recorder
from evaluator.rounds.task import Task
from evaluator.store.schemas import Result
from evaluator.store.state import Kept


@dataclass(frozen=True)
class Archived:
    """What came of archiving.

    Attributes:
        record: of the predictions, as it stands now.
        new: whether it was written now.
    """

    track: Track
    record: Result
    new: bool

    def __str__(self) -> str:
        done = "archived" if self.new else "archived already, nothing changed"
        name = self.track.primary_metric
        value = self.record.metrics[name].value
        shown = f"{METRICS[name].title} {'undefined' if value is None else f'{value:.4f}'}"
        return f"{self.record.submission} on {self.track.id}: {done}; {self.record.n:,} rows, {shown}"


def archive(
    job: Job, entry_id: str, track_id: str, published: Path, *, negate: bool, replaces: bool, say: Say
) -> Archived:
    """Check and keep published predictions, and score them.

    Args:
        published: `.csv` or `.csv.gz` with the ids of the track's rows.
        negate: a lower score means more polyreactive there; only where scores are compared by rank.
        replaces: other predictions of the same entry on the same track may give way.

    Raises:
        UsageError: the entry is not one with archived predictions, or the track can have none.
        SubmissionError: the predictions are not for exactly this track's rows; nothing is kept then.
    """
    entry = _entry(job, entry_id)
    [track] = choose_tracks(job.repository, [track_id])
    files = _files(job, entry, track)
    content = _content(published)
    table = predictions.read(content, files.data.ids, track.task)
    if negate:
        table = _turned_round(table, track)
    digest = f"sha256:{hashlib.sha256(content + b'-' * negate).hexdigest()}"
    task = Task(entry, files, Image(published.name, digest, None), NO_LIMITS, "archived", "run")
    with job.state.locked():
        set_torn_end_aside(job.results.history_file)
        before = job.results.get(entry.id, track.id)
        if before and before.image.digest != digest and not replaces:
            raise UsageError(
                f"Other predictions of {entry.id} on {track.id} are archived, as {before.image.reference}.",
                "Name --replace where they were wrong.",
            )
        recorder = Recorder(job.repository, job.results, job.known)
        kept = Kept(table.score, table.prediction, 0.0, 0)
        fresh = recorder.scored(task, kept, None)
        new = before is None or replace_date(fresh, before) != before
        if new or not job.state.keeps(task.run_key):
            job.state.keep_predictions(task.run_key, kept)
        if new:
            job.results.put(fresh)
        derived.make_anew(job, [files], say)
    return Archived(track, fresh if new or before is None else before, new)


def replace_date(fresh: Result, before: Result) -> Result:
    """A record as if it had been made when another was, by the same software."""
    return fresh.model_copy(
        update={name: getattr(before, name) for name in ("evaluated_at", "software", "commit", "image")}
    )


def _entry(job: Job, entry_id: str) -> Submission:
    path = job.submissions / f"{entry_id}.yaml"
    if not path.is_file():
        raise UsageError(f"{job.submissions} has no {entry_id}.yaml.", "Write it first, with a field 'archived'.")
    entry = submissions.load(path)
    if entry.archived is None:
        raise UsageError(
            f"{entry_id} names an image, which is run.", "Archived predictions need an entry of their own."
        )
    if entry.withdrawn:
        raise UsageError(
            f"{entry_id} is withdrawn: {entry.withdrawn}", "Take the line 'withdrawn' out of its file first."
        )
    return entry


def _files(job: Job, entry: Submission, track: Track) -> TrackFiles:
    if disclosure.is_hidden(track):
        raise UsageError(
            f"The labels of {track.id} are hidden: predictions for it cannot have been published.",
            "Archive predictions on tracks whose labels are in print.",
        )
    if track.few_shot:
        raise UsageError(
            f"{track.id} is a few-shot track: its scores come from many runs.", "Submit the model's image."
        )
    if track.retired:
        raise UsageError(f"{track.id} is closed: {track.retired}")
    if not tracks.names(entry, track):
        raise UsageError(f"{entry.id} does not take part in {track.id}.", "Add it to 'tracks' in its file.")
    files = find_data(track, job.hidden)
    if files is None:
        raise UsageError(f"{job.hidden} has no labels of {track.id}.", f"Put them into {job.hidden / track.id}.")
    return files


def _content(path: Path) -> bytes:
    try:
        return read_bytes(path, MAX_OUTPUT_BYTES + 1)
    except ValueError as error:
        raise UsageError(f"{path} {error}.", "Name a .csv or .csv.gz file.") from error


def _turned_round(table: Predictions, track: Track) -> Predictions:
    if KINDS[track.task].has_classes:
        raise SubmissionError(
            "NEGATED",
            f"{track.id} asks for classes and probabilities, which have no other sign.",
            "Leave out --negate.",
        )
    return replace(table, score=-table.score)
