"""From the published source files to a track's `<hidden>/<track>/{sequences,labels}.csv`, the same bytes every time."""

from __future__ import annotations

import hashlib
import hmac
import random
import secrets
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from evaluator.errors import EvaluatorError, UsageError
from evaluator.files import write_bytes
from evaluator.settings import Repository
from evaluator.tables import AMINO_ACIDS
from evaluator.tracks import KEY_FILE, Track

IMGT = (
    *map(str, range(1, 112)), *(f"111{c}" for c in "ABCDE"), *(f"112{c}" for c in "EDCBA"), *map(str, range(112, 129)),
)  # fmt: skip
"""IMGT positions in the order of the chain; the insertions at 112 run backwards (Lefranc et al. 2003)."""
SHUFFLE_SEED = 20_221_206


@dataclass
class Prepared:
    """A track's two tables as they are written.

    Attributes:
        sequences, labels: columns in order; the same rows.
        unusable: rows of the source that were left out, each with the reason.
        notes: what a maintainer should know.
    """

    sequences: pd.DataFrame
    labels: pd.DataFrame
    unusable: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def as_bytes(self) -> tuple[bytes, bytes]:
        """Both files."""
        first, second = (t.to_csv(index=False, lineterminator="\n").encode() for t in (self.sequences, self.labels))
        return first, second


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
    made = SOURCES[track.id](source)
    files = dict(zip(("sequences", "labels"), made.as_bytes(), strict=True))
    hashes = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
    for name, expected in (("sequences", track.sha256.sequences), ("labels", track.sha256.labels)):
        if expected is not None and expected != hashes[name]:
            raise UsageError(
                f"{source} gives {name} with sha256 {hashes[name]}, but {track.id} is {expected}. Another version of "
                "the source?"
            )
    for name, content in files.items():
        write_bytes(hidden / track.id / f"{name}.csv", content, mode=0o600)
    return made, hashes


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
    table = _read(source)
    truth = next((c for c in ("label", "target") if c in table), None)
    missing = [c for c in ("sequence_id", "sequence") if c not in table] + ([] if truth else ["label or target"])
    if missing:
        raise UsageError(f"{source} has no column {', '.join(missing)}.")
    assert truth is not None
    chains = ["sequence", "light_sequence"] if "light_sequence" in table else ["sequence"]
    bad = [i for i, row in zip(table["sequence_id"], table[chains].to_numpy(), strict=True) if _unfit("".join(row))]
    if bad or table["sequence_id"].duplicated().any():
        raise UsageError(f"{source}: a sequence_id is repeated, or these are no protein sequences: {bad[:5]}.")
    labels = table[["sequence_id", truth, *(["family"] if "family" in table else [])]]
    made = Prepared(table[["sequence_id", *chains]], labels)
    sequences_csv, labels_csv = made.as_bytes()
    key = _key(hidden)
    content: dict[str, Any] = {
        "id": track_id, "title": track_id, "summary": "To be written.", "assay": "To be written.",
        "species": "To be written.", "chains": "VH+VL" if len(chains) == 2 else "VH",
        "task": "classification" if truth == "label" else "regression", "n": len(table),
        "label_rule": "To be written.", "source": {"citation": "To be written."}, "licence": "To be written.",
        "disclosure": "hidden", "primary_metric": "roc_auc" if truth == "label" else "spearman",
        "secondary_metric": "average_precision" if truth == "label" else "spearman", "ranked": "tiers",
        "known_problems": [], "same_labels": [],
        "sha256": {"sequences": hashlib.sha256(sequences_csv).hexdigest()},
        "labels_hmac_sha256": hmac.new(key, labels_csv, hashlib.sha256).hexdigest(),
    }  # fmt: skip
    if truth == "label":
        if not set(table["label"]) <= {"0", "1"}:
            raise UsageError(f"{source}: a label is 0 or 1.")
        positive = int((table["label"] == "1").sum())
        content["classes"] = {"negative": len(table) - positive, "positive": positive}
    if "family" in table:
        content["families"] = "To be written: how the column family was made."
    Track.model_validate(content)
    write_bytes(hidden / track_id / "sequences.csv", sequences_csv, mode=0o600)
    write_bytes(hidden / track_id / "labels.csv", labels_csv, mode=0o600)
    write_bytes(path, yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=110).encode())
    return path


def _read(path: Path) -> pd.DataFrame:
    """Somebody's CSV as text: an id of `NA` stays `NA`.

    Raises:
        EvaluatorError: it cannot be read.
    """
    try:
        return pd.read_csv(path, dtype=str, keep_default_na=False, na_filter=False)
    except (OSError, EOFError, ValueError, zlib.error) as error:
        raise EvaluatorError(f"{path} cannot be read: {error}", "Name a CSV file (.csv or .csv.gz).") from error


def _key(hidden: Path) -> bytes:
    """The maintainer's key for hashes of hidden labels, made where there is none."""
    path = hidden / KEY_FILE
    if not path.is_file():
        write_bytes(path, secrets.token_hex(32).encode() + b"\n", mode=0o600)
    return path.read_bytes().strip()


def _unfit(sequence: str) -> bool:
    return not sequence or not AMINO_ACIDS.issuperset(sequence)


def _one(folder: Path, pattern: str) -> Path:
    found = sorted(folder.glob(pattern))
    if len(found) != 1:
        raise UsageError(f"{folder} has {len(found)} files {pattern}; one is needed.")
    return found[0]


def _columns(table: pd.DataFrame, path: Path, *names: str) -> pd.DataFrame:
    if missing := [n for n in names if n not in table]:
        raise UsageError(f"{path} has no column {', '.join(missing[:5])}.")
    return table


def _class(values: pd.Series[str], path: Path) -> pd.Series[str]:
    """0 or 1, also where the source says 0.0 or 1.0."""
    plain = values.str.removesuffix(".0")
    if not plain.isin(["0", "1"]).all():
        raise UsageError(f"{path} has a label that is neither 0 nor 1.")
    return plain


def _jain(folder: Path) -> Prepared:
    path = _one(folder, "jain_86*.csv")
    t = _columns(_read(path), path, "id", "vh_sequence", "vl_sequence", "label")
    sequences = pd.DataFrame({"sequence_id": t["id"], "sequence": t["vh_sequence"], "light_sequence": t["vl_sequence"]})
    return Prepared(sequences, pd.DataFrame({"sequence_id": t["id"], "label": _class(t["label"], path)}))


def _shehata(folder: Path) -> Prepared:
    heavy_path, light_path = _one(folder, "VH_only_shehata.csv"), _one(folder, "VL_only_shehata.csv")
    heavy, light = (_columns(_read(p), p, "id", "sequence", "label") for p in (heavy_path, light_path))
    if list(heavy["id"]) != list(light["id"]):
        raise UsageError(f"{heavy_path} and {light_path} do not hold the same ids in the same order.")
    sequences = pd.DataFrame(
        {"sequence_id": heavy["id"], "sequence": heavy["sequence"], "light_sequence": light["sequence"]}
    )
    return Prepared(sequences, pd.DataFrame({"sequence_id": heavy["id"], "label": _class(heavy["label"], heavy_path)}))


def _vhh48(folder: Path) -> Prepared:
    path = _one(folder, "low_throughput_polyspecificity_scores_w_exp.csv")
    t = _columns(_read(path), path, "Biorep average", *IMGT)
    ids = [f"vhh_{k:02d}" for k in range(1, len(t) + 1)]
    return Prepared(
        pd.DataFrame({"sequence_id": ids, "sequence": _assembled(t)}),
        pd.DataFrame({"sequence_id": ids, "target": t["Biorep average"]}),
    )


def _assembled(table: pd.DataFrame) -> list[str]:
    """Chains from their IMGT columns, insertions included, gaps taken out."""
    return ["".join(row).replace("-", "") for row in table[list(IMGT)].to_numpy()]


def _harvey(folder: Path) -> Prepared:
    rows: list[tuple[str, str]] = []
    unusable, notes = [], []
    for label, name in (("1", "high"), ("0", "low")):
        path = _one(folder, f"{name}_polyreactivity*.csv")
        header = pd.read_csv(path, nrows=0)
        if missing := [c for c in IMGT if c not in header]:
            raise UsageError(
                f"{path} has no IMGT column {', '.join(missing[:5])}; all are needed, insertions included."
            )
        table = pd.read_csv(path, usecols=list(IMGT), dtype=str, keep_default_na=False, na_filter=False)
        for line, sequence in enumerate(_assembled(table), start=2):
            if _unfit(sequence):
                unusable.append(f"{path.name} line {line}: no protein sequence")
            else:
                rows.append((sequence, label))
    random.Random(SHUFFLE_SEED).shuffle(rows)  # noqa: S311 - the source's order tells the label; nothing secret here
    notes.append(f"rows shuffled with seed {SHUFFLE_SEED}, since the source's order tells the label")
    repeated = len(rows) - len({sequence for sequence, _ in rows})
    if repeated:
        notes.append(f"{repeated:,} rows repeat a sequence; they are kept, as in the source")
    ids = [f"harvey_{k:06d}" for k in range(1, len(rows) + 1)]
    return Prepared(
        pd.DataFrame({"sequence_id": ids, "sequence": [s for s, _ in rows]}),
        pd.DataFrame({"sequence_id": ids, "label": [y for _, y in rows]}),
        unusable, notes,
    )  # fmt: skip


SOURCES: dict[str, Callable[[Path], Prepared]] = {
    "jain": _jain, "shehata": _shehata, "vhh48": _vhh48, "harvey": _harvey,
}  # fmt: skip
