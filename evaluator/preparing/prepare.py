"""From the published source files to a track's `<hidden>/<track>/{sequences,labels}.csv`, the same bytes every time."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pandas as pd
import yaml
from pydantic import ValidationError

from evaluator.contract import tables
from evaluator.contract.labels import KEY_FILE, TrackData, TrackFiles
from evaluator.contract.models import is_id
from evaluator.contract.task_types import FEW_SHOT, KINDS, TaskType
from evaluator.contract.tracks import Track
from evaluator.errors import EvaluatorError, UsageError
from evaluator.files import all_or_nothing, write_bytes
from evaluator.preparing import few_shot, proteingym
from evaluator.preparing.published import SOURCES, known_as
from evaluator.preparing.sources import Prepared
from evaluator.settings import Repository
from evaluator.text import printable
from evaluator.validation import in_words


def prepare(track: Track, source: Path, hidden: Path) -> tuple[Prepared, dict[str, str], dict[str, str]]:
    """Write a known track's files, if they are what the track file says.

    Args:
        source: folder with the published files.
        hidden: where `<track>/` is written.

    Returns:
        What was written, the sha256 of both files, and of how each task of a few-shot track is divided.

    Raises:
        UsageError: a source file is missing, or gives other data than the track file names; nothing is written then.
    """
    name = known_as([track.id, *track.formerly])
    if name is None:
        raise UsageError(f"How {track.id} is made from published files is not known. Known are: {', '.join(SOURCES)}.")
    try:
        made = SOURCES[name].make(source)
        data = check(track, made)
    except EvaluatorError as error:
        raise UsageError(error.what, error.remedy) from error
    files = dict(zip(("sequences", "labels"), made.as_bytes(), strict=True))
    if made.labels_alone:
        del files["sequences"]
    hashes = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
    named = dict(track.sha256)
    if track.sha256.sequences is None and not made.labels_alone:
        named = {}  # the first time that sequences are at hand: both files are new
    for name, found in hashes.items():
        if (expected := named.get(name)) is not None and expected != found:
            raise UsageError(
                f"{source} gives {name} with sha256 {found}, but {track.id} is {expected}. Another version of "
                "the source?"
            )
    folder = hidden / track.id
    paths = {folder / f"{name}.csv": content for name, content in files.items()}
    with all_or_nothing(hidden, folder, *paths):
        _private(hidden, folder)
        for path, content in paths.items():
            write_bytes(path, content, mode=0o600)
    splits = {task.id: data.splits.sha256(task) for task in data.splits.few_shot.tasks} if data.splits else {}
    return made, hashes, splits


def _private(*folders: Path) -> None:
    """Make folders that nobody else can enter, where they are not there."""
    for folder in folders:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)


@contextmanager
def _faults_of_the_source() -> Iterator[None]:
    """What a new track's reader would refuse is wrong with the source that was named."""
    try:
        yield
    except ValidationError as error:
        raise UsageError(f"The track would not be valid. {in_words(error, Track)}", "Correct the source.") from error
    except EvaluatorError as error:
        raise UsageError(error.what, error.remedy) from error


def prepare_new(track_id: str, source: Path, hidden: Path, repository: Repository) -> Path:
    """Make a hidden track of one's own from one CSV, and its track file to be completed; returns that file.

    Args:
        source: `sequence_id,sequence[,light_sequence]` and `label` or `target`, perhaps `family`; with a column `assay`
            a few-shot track, with a line for each antibody and assay.

    Raises:
        UsageError: the CSV is not that, or the track is there already.
    """
    if not is_id(track_id):
        remedy = "Use 3 to 64 of a-z, 0-9 and -, beginning with a letter or digit."
        raise UsageError(f"'{printable(track_id, 80)}' cannot be the id of a track.", remedy)
    with _faults_of_the_source():
        made, content = _new(track_id, source)
        return _write_new(made, content, hidden, repository)


def prepare_proteingym(
    source: Path, hidden: Path, repository: Repository, *, everything: bool
) -> tuple[Path, list[str]]:
    """Make the few-shot track of ProteinGym's published files; returns its track file, and what is to be known of it.

    Raises:
        UsageError: the files are not what they should be, or the track is there already.
    """
    found = proteingym.convert(source, everything=everything)
    content = _description(proteingym.TRACK, FEW_SHOT, len(found.made.sequences), "VH") | {
        "title": "ProteinGym few-shot",
        "summary": "Deep mutational scans of many proteins, to be predicted from 0, 16 or 128 measured variants.",
        "assay": "one deep mutational scan a task",
        "species": "many; the chain is any protein, not an antibody",
        "label_rule": "DMS_score, higher is fitter; a variant that is listed twice has the mean",
        "source": {"citation": "Notin et al. 2023, ProteinGym, NeurIPS Datasets and Benchmarks"},
        "licence": "MIT (ProteinGym); each assay's own terms hold",
        "disclosure": "open",
        "known_problems": ["All scores are public. Nothing stops a model from having seen them.", *found.problems],
        "same_labels": ["proteingym", "dms-substitutions", "dms-proteingym-substitutions"],
        "related_assays": found.related,
        FEW_SHOT: found.few_shot,
    }
    with _faults_of_the_source():
        path = _write_new(found.made, content, hidden, repository)
    counts = ", ".join(f"{n} assays of {kind} mutants" for kind, n in sorted(found.counts.items(), reverse=True))
    asked = Counter(task["kind"] for task in found.few_shot["tasks"])
    tasks = ", ".join(f"{n} of {kind} mutants" for kind, n in sorted(asked.items(), reverse=True))
    return path, [*found.made.notes, f"{counts} within {proteingym.LONGEST} residues; tasks: {tasks}"]


def _write_new(made: Prepared, content: dict[str, Any], hidden: Path, repository: Repository) -> Path:
    """Write a new track's two tables and its file, with the hashes of both and of how few-shot tasks are divided."""
    track_id = content["id"]
    path = repository.tracks / f"{track_id}.yaml"
    if path.exists() or (hidden / track_id).exists():
        raise UsageError(f"There is a track {track_id} already. Choose another id.")
    try:
        track = Track.model_validate(content)
    except ValidationError as error:
        raise EvaluatorError(
            f"The track would not be valid. {in_words(error, Track)}", "Correct the source."
        ) from error
    data = check(track, made)
    if data.splits is not None:
        for task, described in zip(data.splits.few_shot.tasks, content[FEW_SHOT]["tasks"], strict=True):
            described["split_sha256"] = data.splits.sha256(task)
    sequences_csv, labels_csv = made.as_bytes()
    content["sha256"] = {"sequences": hashlib.sha256(sequences_csv).hexdigest()}
    folder = hidden / track_id
    with all_or_nothing(hidden, hidden / KEY_FILE, folder, path):
        _private(hidden, folder)
        if content["disclosure"] == "open":
            content["sha256"]["labels"] = hashlib.sha256(labels_csv).hexdigest()
        else:
            content["labels_hmac_sha256"] = hmac.new(_key(hidden), labels_csv, hashlib.sha256).hexdigest()
        write_bytes(folder / "sequences.csv", sequences_csv, mode=0o600)
        write_bytes(folder / "labels.csv", labels_csv, mode=0o600)
        write_bytes(path, yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=110).encode())
    return path


def _new(track_id: str, source: Path) -> tuple[Prepared, dict[str, Any]]:
    """Both tables, and what can be said of them; what the reader of hidden data would refuse is told by its line here.

    Raises:
        EvaluatorError: the CSV is not what it must be.
    """
    table = tables.read_csv(source)
    if "assay" in table:
        return _new_few_shot(track_id, table, source)
    tables.id_column(table, source)
    chains = ["sequence", "light_sequence"] if "light_sequence" in table else ["sequence"]
    tables.sequence_columns(table, source, chains)
    task, truth = tables.truth_column(table, source)
    content = _description(track_id, task, len(truth), "VH+VL" if len(chains) == 2 else "VH")
    if KINDS[task].has_classes:
        positive = int(truth.sum())
        content["classes"] = {"negative": len(truth) - positive, "positive": positive}
    columns = ["sequence_id", KINDS[task].truth]
    if "family" in table:
        tables.family_column(table, source)
        columns.append("family")
        content["families"] = "To be written: how the column family was made."
    sequences, labels = ({name: table[name] for name in names} for names in (["sequence_id", *chains], columns))
    return Prepared(pd.DataFrame(sequences), pd.DataFrame(labels)), content


def _new_few_shot(track_id: str, table: tables.Table, source: Path) -> tuple[Prepared, dict[str, Any]]:
    """The same of a CSV with a line for each antibody and assay: a task for each assay.

    Raises:
        EvaluatorError: the CSV is not what it must be.
    """
    chains = ["sequence", "light_sequence"] if "light_sequence" in table else ["sequence"]
    columns = tables.sequence_columns(table, source, chains, optional=chains[1:])
    if "sequence_id" not in table:
        raise EvaluatorError(f"{source} has no column sequence_id.", "Its header names the columns.")
    tables.require_distinct(columns, table["sequence_id"], source, table.lines)
    few_shot.require_names(table, source)
    assays = list(dict.fromkeys(table["assay"]))
    ids = tuple(dict.fromkeys(table["sequence_id"]))
    targets = tables.assay_columns(table, source, ids, assays)
    rows = pd.DataFrame({name: table[name] for name in ("sequence_id", *chains)}).drop_duplicates()
    if repeated := [name for name, count in Counter(rows["sequence_id"]).items() if count > 1]:
        raise EvaluatorError(f"{source} has two sequences for {repeated[0]}.", "Each antibody needs an id of its own.")
    kinds = "VH" if len(chains) == 1 else "VH+VL" if all(table["light_sequence"]) else "mixed"
    content = _description(track_id, FEW_SHOT, len(ids), kinds)
    of_each = {name: tuple(rows[name]) for name in chains}
    content[FEW_SHOT] = few_shot.described(source, ids, of_each, targets)
    labels = pd.DataFrame({name: table[name] for name in ("sequence_id", "assay", "target")})
    return Prepared(rows, labels), content


def check(track: Track, made: Prepared) -> TrackData:
    """Hold what is about to be written against what will read it.

    Returns:
        What the reader makes of it.

    Raises:
        EvaluatorError: the reader would refuse it.
    """
    sequences_csv, labels_csv = made.as_bytes()
    rows = made.labels if made.labels_alone else made.sequences
    fitting = track.model_copy(update={"n": len(rows), "classes": None})
    sequences = None if made.labels_alone else sequences_csv
    return TrackFiles(fitting, sequences, labels_csv, "", "", Path(track.id)).data


def _description(track_id: str, task: TaskType, rows: int, chains: str) -> dict[str, Any]:
    """What can be said of a track before its maintainer completes its file."""
    return {
        "id": track_id,
        "title": track_id,
        "summary": "To be written.",
        "assay": "To be written.",
        "species": "To be written.",
        "chains": chains,
        "task": task,
        "n": rows,
        "label_rule": "To be written.",
        "source": {"citation": "To be written."},
        "licence": "To be written.",
        "disclosure": "hidden",
        "primary_metric": KINDS[task].primary[0],
        "secondary_metric": KINDS[task].secondary,
        "ranked": "intervals" if task == FEW_SHOT else "tiers",
        "known_problems": [],
        "same_labels": [],
    }


def _key(hidden: Path) -> bytes:
    """The maintainer's key for hashes of hidden labels, made where there is none."""
    path = hidden / KEY_FILE
    if not path.is_file():
        write_bytes(path, secrets.token_hex(32).encode() + b"\n", mode=0o600)
    return path.read_bytes().strip()
