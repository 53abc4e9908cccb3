"""What is derived from records, kept predictions, submissions and track files: rankings, and tables of rescoring.

It is made from what is stored, never from what one process happens to know, and only where it is not of today.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

from evaluator.contract import submissions, tracks
from evaluator.contract.labels import TrackFiles
from evaluator.contract.submissions import Submission
from evaluator.contract.tracks import Track
from evaluator.errors import EvaluatorError, SubmissionError
from evaluator.integrity import disclosure
from evaluator.rounds import rescoring, standings
from evaluator.rounds.durations import Durations
from evaluator.rounds.job import Job, Say

SHOWN = 10


def make_anew(job: Job, files: Sequence[TrackFiles], say: Say) -> tuple[dict[str, str], list[Path]]:
    """Rank the tracks whose ranking is not of today, among all their entries, and write the tables of rescoring.

    Args:
        files: the tracks to look at.
        say: told of each ranking that is left as it was.

    Returns:
        `ranks of <track>` with the reason for each ranking that is left as it was, and the tables that are new.
    """
    entries, level, left = valid_entries(job.submissions), job.repository.settings.level, {}
    for one in files:
        try:
            lost = standings.update(one, entries, job.results, job.state, level)
            why = _would_lose(job, one.track, lost) if lost else ""
        except EvaluatorError as error:
            why = str(error)
        if why:
            left[f"ranks of {one.track.id}"] = why
            say(f"ranks of {one.track.id}: {why}")
    known = tracks.load_all(job.repository.tracks).values()
    return left, rescoring.write(job.results, {t.id for t in known if disclosure.is_hidden(t)})


def valid_entries(folder: Path) -> Mapping[str, Submission]:
    """Every valid submission, by id."""
    found = {}
    for path in sorted(folder.glob("*.yaml")):
        with suppress(SubmissionError):  # such a file is told of elsewhere, and has no rank
            found[path.stem] = submissions.load(path)
    return found


def _would_lose(job: Job, track: Track, entries: list[str]) -> str:
    """Why a ranking is left as it was: this state does not have what it is made of."""
    expected = Durations.of(job.results.timings())
    seconds = sum(expected.expected(entry, track.id, track.n).seconds * track.runs for entry in entries)
    shown = ", ".join(entries[:SHOWN]) + (f" and {len(entries) - SHOWN} more" if len(entries) > SHOWN else "")
    return (
        f"left as they were, since {len(entries)} of the entries would lose theirs: the predictions of {shown} are "
        f"not in {job.state.folder}. Put them back from a backup of the state folder, or have them run (or archived) "
        f"again, "
        f"which takes about {timedelta(seconds=round(seconds))}: "
        f"apb evaluate {' '.join(entries[:SHOWN])} --force --tracks {track.id} --hidden {job.hidden}"
    )
