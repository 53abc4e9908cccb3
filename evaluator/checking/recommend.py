"""Which entry fits a few labels of one's own: images run on them here, or published predictions held against them."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from evaluator.contract import predictions, references, submissions, tables, tracks
from evaluator.contract.arrays import Floats, LabelArray
from evaluator.contract.labels import find_panel
from evaluator.contract.sequences import Sequences
from evaluator.contract.submissions import Submission
from evaluator.contract.task_types import KINDS, TaskType
from evaluator.contract.tracks import Track
from evaluator.errors import BenchmarkError, EvaluatorError, UsageError
from evaluator.running.limits import limits_for
from evaluator.running.ready import Workbench
from evaluator.running.scratch import Scratch
from evaluator.scoring.likelihood import Gain, gain
from evaluator.settings import Repository

MIN_LABELS = 4


@dataclass(frozen=True, eq=False)
class Labelled:
    """One's own antibodies: n ids, chains by their column, and classes."""

    ids: tuple[str, ...]
    columns: dict[str, tuple[str, ...]]
    task: TaskType
    labels: LabelArray


@dataclass(frozen=True)
class Recommended:
    """An entry, or a file of predictions, and what it says of the labels."""

    name: str
    gain: Gain


def read(path: Path) -> Labelled:
    """A CSV with sequence_id, sequence, label, and light_sequence where entries see light chains.

    Raises:
        EvaluatorError: it is none.
        UsageError: it holds targets in place of labels, or fewer than 4.
    """
    table = tables.read_csv(path)
    ids = tables.id_column(table, path)
    chains = ("sequence", "light_sequence") if "light_sequence" in table else ("sequence",)
    columns = tables.sequence_columns(table, path, chains)
    task, truth = tables.truth_column(table, path)
    if not KINDS[task].has_classes:
        raise UsageError(f"{path} has targets.", "A likelihood needs classes: a column label with 0 and 1.")
    if len(ids) < MIN_LABELS:
        raise UsageError(f"{path} has {len(ids)} labels.", f"With fewer than {MIN_LABELS} nothing can be told.")
    return Labelled(ids, columns, task, truth.astype("int8"))


def of_entries(
    repository: Repository,
    ids: Sequence[str],
    own: Labelled,
    scratch: Scratch,
    say: Callable[[str], None],
) -> Iterator[Recommended]:
    """Run the images of entries on one's own sequences, in the sandbox, offline; what fails is told and left out.

    Raises:
        EvaluatorError: this machine is not fit.
    """
    panel = find_panel(repository.panel)
    if panel is None:
        raise EvaluatorError(f"{repository.panel} holds no panel.", "Run apb inside a clone of the benchmark.")
    track = panel.track.model_copy(update={"n": len(own.ids), "task": own.task})
    bench = Workbench(repository.settings, scratch)
    for entry in _entries(repository, panel.track, ids):
        try:
            image, _ = bench.choose(references.parse(entry.docker_image), None, local_builds=True)
            given = Sequences(own.columns, own.task, 0).blinded(secrets.randbits(64))
            limits = bench.within(limits_for(entry, track, repository.settings))
            run = bench.ready(image).run(given, limits, task=own.task)
            if run.failure:
                raise run.failure
            table = predictions.read(run.output or b"", given.ids, own.task)
        except BenchmarkError as error:
            say(f"{entry.id} is left out: {error}")
            continue
        yield Recommended(entry.id, gain(own.labels, table.score, repository.settings.level))


def _entries(repository: Repository, panel: Track, ids: Sequence[str]) -> list[Submission]:
    """Those named, or all that have an image and are asked about the panel."""
    found, known = [], tracks.load_all(repository.tracks).values()
    for path in sorted(repository.submissions.glob("*.yaml")):
        if ids and path.stem not in ids:
            continue
        entry = submissions.load(path)
        if not entry.archived and tracks.takes_panel(panel, tracks.entered_tracks(entry, known)):
            found.append(entry)
    if missing := sorted(set(ids) - {entry.id for entry in found}):
        raise UsageError(
            f"{', '.join(missing)} cannot be asked: no entry, or one without an image of its own.",
            f"Name entries of {repository.submissions}; published predictions are given with --predictions.",
        )
    return found


def of_predictions(
    paths: Sequence[Path], own: Labelled, say: Callable[[str], None], level: float
) -> Iterator[Recommended]:
    """Files of predictions, by one's own ids; one that does not fit is told and left out."""
    for path in paths:
        try:
            scores = _scores(path, own)
        except BenchmarkError as error:
            say(f"{path} is left out: {error}")
            continue
        yield Recommended(path.name.partition(".")[0], gain(own.labels, scores, level))


def _scores(path: Path, own: Labelled) -> Floats:
    table = tables.read_csv(path)
    scores = tables.score_column(table, path)
    known = dict(zip(tables.id_column(table, path), scores.tolist(), strict=True))
    if missing := [i for i in own.ids if i not in known]:
        raise UsageError(f"it says nothing of {len(missing)} of {len(own.ids)} ids.", "Ids are those of the labels.")
    found = np.array([known[i] for i in own.ids], dtype=np.float64)
    if found.min() < 0 or found.max() > 1:
        raise UsageError("it has scores outside 0 to 1.", "No likelihood follows from them.")
    return found
