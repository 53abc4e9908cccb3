"""A local image on data of one's own: run and scored as in a round, and nothing of it recorded, locked or published."""

from __future__ import annotations

from collections.abc import Callable, Collection
from pathlib import Path

from evaluator.contract import references, submissions, tracks
from evaluator.contract.labels import find_data
from evaluator.contract.sequences import BlindedInput
from evaluator.contract.tracks import Track
from evaluator.contract.work import Finished, Limits, Run
from evaluator.errors import UsageError
from evaluator.running.audit import run_all
from evaluator.running.limits import limits_for
from evaluator.running.ready import Workbench
from evaluator.running.scratch import Scratch
from evaluator.scoring import metrics
from evaluator.scoring.metrics import Scores
from evaluator.scoring.scored import Scored
from evaluator.settings import Repository

Done = Callable[[Track, Finished, Scores | None], None]


def evaluate(
    repository: Repository,
    path: Path,
    *,
    image: str,
    hidden: Path,
    track_ids: Collection[str],
    scratch: Scratch,
    done: Done,
) -> bool:
    """Run an image of the local engine on every track that the submission enters and whose data are at hand.

    Args:
        path: the submission's file; its image is not looked at.
        hidden: folder with `<track>/sequences.csv` and `<track>/labels.csv`.
        track_ids: only these; all where there are none.
        done: told of each track, with scores where the run did not fail.

    Returns:
        Whether no run failed.

    Raises:
        SubmissionError: the file is not valid.
        UsageError: there is nothing to run on.
        EvaluatorError: this machine or its data are at fault.
    """
    entry = submissions.load(path)
    if entry.archived:
        raise UsageError(f"{entry.id} has published predictions and no image.", "Name a submission with an image.")
    known = tracks.load_all(repository.tracks).values()
    entered = [t for t in tracks.entered_tracks(entry, known) if not track_ids or t.id in track_ids]
    found = [files for t in entered if (files := find_data(t, hidden)) and files.sequences is not None]
    if not found:
        wanted = ", ".join(track_ids) or "the tracks that the submission enters"
        raise UsageError(f"{hidden} has no data of {wanted}.", "apb prepare makes them, also for a track of your own.")
    bench = Workbench(repository.settings, scratch)
    chosen, _ = bench.choose(references.parse(entry.docker_image), image, local_builds=True)
    ready = bench.ready(chosen)
    good = True
    for files in found:
        limits = bench.within(limits_for(entry, files.track, repository.settings))

        def once(given: BlindedInput, limits: Limits = limits, track: Track = files.track) -> Run:
            return ready.run(given, limits, task=track.task)

        finished = run_all(files.data.runs(together=tracks.looks_around(entry, files.track)), once)
        scores = None
        if finished.table is not None:
            scores = metrics.measure(
                Scored.on(files.data, finished.table.score, finished.table.prediction, repository.settings.level)
            )
        done(files.track, finished, scores)
        good = good and scores is not None
    return good
