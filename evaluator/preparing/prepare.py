"""From the published source files to a track's `<hidden>/<track>/{sequences,labels}.csv`, the same bytes every time."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from pathlib import Path
from typing import Any

import yaml

from evaluator.contract.labels import KEY_FILE
from evaluator.contract.task_types import KINDS, TaskType
from evaluator.contract.tracks import Track
from evaluator.errors import UsageError
from evaluator.files import all_or_nothing, write_bytes
from evaluator.preparing.sources import SOURCES, Prepared, read_table, unfit
from evaluator.settings import Repository


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
    if track.id not in SOURCES:
        raise UsageError(f"How {track.id} is made from published files is not known. Known are: {', '.join(SOURCES)}.")
    made = SOURCES[track.id].make(source)
    files = dict(zip(("sequences", "labels"), made.as_bytes(), strict=True))
    hashes = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
    for name, expected in (("sequences", track.sha256.sequences), ("labels", track.sha256.labels)):
        if expected is not None and expected != hashes[name]:
            raise UsageError(
                f"{source} gives {name} with sha256 {hashes[name]}, but {track.id} is {expected}. Another version of "
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
    path = repository.tracks / f"{track_id}.yaml"
    if path.exists() or (hidden / track_id).exists():
        raise UsageError(f"There is a track {track_id} already. Choose another id.")
    table = read_table(source)
    task = next((name for name, kind in KINDS.items() if kind.truth in table), None)
    missing = [c for c in ("sequence_id", "sequence") if c not in table] + ([] if task else ["label or target"])
    if missing:
        raise UsageError(f"{source} has no column {', '.join(missing)}.")
    assert task is not None
    chains = ["sequence", "light_sequence"] if "light_sequence" in table else ["sequence"]
    bad = [i for i, row in zip(table["sequence_id"], table[chains].to_numpy(), strict=True) if unfit("".join(row))]
    if bad or table["sequence_id"].duplicated().any():
        raise UsageError(f"{source}: a sequence_id is repeated, or these are no protein sequences: {bad[:5]}.")
    labels = table[["sequence_id", KINDS[task].truth, *(["family"] if "family" in table else [])]]
    made = Prepared(table[["sequence_id", *chains]], labels)
    sequences_csv, labels_csv = made.as_bytes()
    content = {
        **_description(track_id, task, len(table), chains),
        "sha256": {"sequences": hashlib.sha256(sequences_csv).hexdigest()},
    }
    if KINDS[task].has_classes:
        if not set(table["label"]) <= {"0", "1"}:
            raise UsageError(f"{source}: a label is 0 or 1.")
        positive = int((table["label"] == "1").sum())
        content["classes"] = {"negative": len(table) - positive, "positive": positive}
    if "family" in table:
        content["families"] = "To be written: how the column family was made."
    Track.model_validate(content)
    folder = hidden / track_id
    with all_or_nothing(hidden, hidden / KEY_FILE, folder, path):
        _private(hidden, folder)
        content["labels_hmac_sha256"] = hmac.new(_key(hidden), labels_csv, hashlib.sha256).hexdigest()
        write_bytes(folder / "sequences.csv", sequences_csv, mode=0o600)
        write_bytes(folder / "labels.csv", labels_csv, mode=0o600)
        write_bytes(path, yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=110).encode())
    return path


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
