"""From the published source files to a track's `<hidden>/<track>/{sequences,labels}.csv`, the same bytes every time."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from evaluator.contract import tables
from evaluator.contract.labels import KEY_FILE, TrackFiles
from evaluator.contract.models import is_id
from evaluator.contract.task_types import KINDS, TaskType
from evaluator.contract.tracks import Track
from evaluator.errors import EvaluatorError, UsageError
from evaluator.files import all_or_nothing, write_bytes
from evaluator.preparing.sources import SOURCES, Prepared, known_as
from evaluator.settings import Repository
from evaluator.text import printable


def prepare(track: Track, source: Path, hidden: Path) -> tuple[Prepared, dict[str, str]]:
    """Write a known track's files, if they are what the track file says.

    Args:
        source: folder with the published files.
        hidden: where `<track>/` is written.

    Returns:
        What was written, and the sha256 of both files.

    Raises:
        UsageError: a source file is missing, or gives other data than the track file names; nothing is written then.
    """
    name = known_as([track.id, *track.formerly])
    if name is None:
        raise UsageError(f"How {track.id} is made from published files is not known. Known are: {', '.join(SOURCES)}.")
    try:
        made = SOURCES[name].make(source)
        check(track, made)
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
    return made, hashes


def _private(*folders: Path) -> None:
    """Make folders that nobody else can enter, where they are not there."""
    for folder in folders:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)


def prepare_new(track_id: str, source: Path, hidden: Path, repository: Repository) -> Path:
    """Make a hidden track of one's own from one CSV, and its track file to be completed; returns that file.

    Args:
        source: `sequence_id,sequence[,light_sequence]` and `label` or `target`, perhaps `family`.

    Raises:
        UsageError: the CSV is not that, or the track is there already.
    """
    if not is_id(track_id):
        remedy = "Use 3 to 64 of a-z, 0-9 and -, beginning with a letter or digit."
        raise UsageError(f"'{printable(track_id, 80)}' cannot be the id of a track.", remedy)
    path = repository.tracks / f"{track_id}.yaml"
    if path.exists() or (hidden / track_id).exists():
        raise UsageError(f"There is a track {track_id} already. Choose another id.")
    try:
        made, content = _new(track_id, source)
        check(Track.model_validate(content), made)
    except EvaluatorError as error:
        raise UsageError(error.what, error.remedy) from error
    sequences_csv, labels_csv = made.as_bytes()
    content["sha256"] = {"sequences": hashlib.sha256(sequences_csv).hexdigest()}
    folder = hidden / track_id
    with all_or_nothing(hidden, hidden / KEY_FILE, folder, path):
        _private(hidden, folder)
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
    tables.id_column(table, source)
    chains = ["sequence", "light_sequence"] if "light_sequence" in table else ["sequence"]
    tables.sequence_columns(table, source, chains)
    task, truth = tables.truth_column(table, source)
    content = _description(track_id, task, len(truth), chains)
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


def check(track: Track, made: Prepared) -> None:
    """Hold what is about to be written against what will read it.

    Raises:
        EvaluatorError: the reader would refuse it.
    """
    sequences_csv, labels_csv = made.as_bytes()
    fitting = track.model_copy(update={"n": len(made.labels), "classes": None})
    sequences = None if made.labels_alone else sequences_csv
    assert TrackFiles(fitting, sequences, labels_csv, "", "", Path(track.id)).data


def _description(track_id: str, task: TaskType, rows: int, chains: list[str]) -> dict[str, Any]:
    """What can be said of a track before its maintainer completes its file."""
    return {
        "id": track_id,
        "title": track_id,
        "summary": "To be written.",
        "assay": "To be written.",
        "species": "To be written.",
        "chains": "VH+VL" if len(chains) == 2 else "VH",
        "task": task,
        "n": rows,
        "label_rule": "To be written.",
        "source": {"citation": "To be written."},
        "licence": "To be written.",
        "disclosure": "hidden",
        "primary_metric": KINDS[task].primary[0],
        "secondary_metric": KINDS[task].secondary,
        "ranked": "tiers",
        "known_problems": [],
        "same_labels": [],
    }


def _key(hidden: Path) -> bytes:
    """The maintainer's key for hashes of hidden labels, made where there is none."""
    path = hidden / KEY_FILE
    if not path.is_file():
        write_bytes(path, secrets.token_hex(32).encode() + b"\n", mode=0o600)
    return path.read_bytes().strip()
