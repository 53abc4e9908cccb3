"""Where each track's published files come from, under which licence, and how the track is made of them."""

from __future__ import annotations

import random
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from evaluator.contract import tables
from evaluator.contract.tables import AMINO_ACIDS
from evaluator.errors import UsageError

HARVEY = (
    "https://raw.githubusercontent.com/debbiemarkslab/nanobody-polyreactivity/"
    "e0f0a31943564bf43a3c62164eaf0837775d0f04/backend/app/experiments/"
)
IMGT = (
    *map(str, range(1, 112)),
    *(f"111{c}" for c in "ABCDE"),
    *(f"112{c}" for c in "EDCBA"),
    *map(str, range(112, 129)),
)
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

    @property
    def labels_alone(self) -> bool:
        """Whether no sequences are at hand."""
        return self.sequences.empty

    def as_bytes(self) -> tuple[bytes, bytes]:
        """Both files."""
        first, second = (t.to_csv(index=False, lineterminator="\n").encode() for t in (self.sequences, self.labels))
        return first, second


def read_table(path: Path) -> pd.DataFrame:
    """Somebody's CSV as text: an id of `NA` stays `NA`.

    Raises:
        EvaluatorError: it cannot be read.
    """
    return pd.DataFrame(tables.read_csv(path))


def unfit(sequence: str) -> bool:
    """Whether this is no protein sequence."""
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
    t = _columns(read_table(path), path, "id", "vh_sequence", "vl_sequence", "label")
    sequences = pd.DataFrame({"sequence_id": t["id"], "sequence": t["vh_sequence"], "light_sequence": t["vl_sequence"]})
    return Prepared(sequences, pd.DataFrame({"sequence_id": t["id"], "label": _class(t["label"], path)}))


def _shehata(folder: Path) -> Prepared:
    heavy_path, light_path = _one(folder, "VH_only_shehata.csv"), _one(folder, "VL_only_shehata.csv")
    heavy, light = (_columns(read_table(p), p, "id", "sequence", "label") for p in (heavy_path, light_path))
    if list(heavy["id"]) != list(light["id"]):
        raise UsageError(f"{heavy_path} and {light_path} do not hold the same ids in the same order.")
    sequences = pd.DataFrame(
        {"sequence_id": heavy["id"], "sequence": heavy["sequence"], "light_sequence": light["sequence"]}
    )
    return Prepared(sequences, pd.DataFrame({"sequence_id": heavy["id"], "label": _class(heavy["label"], heavy_path)}))


def _vhh48(folder: Path) -> Prepared:
    path = _one(folder, "low_throughput_polyspecificity_scores_w_exp.csv")
    t = _columns(read_table(path), path, "Biorep average", *IMGT)
    ids = [f"vhh_{k:02d}" for k in range(1, len(t) + 1)]
    return Prepared(
        pd.DataFrame({"sequence_id": ids, "sequence": _assembled(t)}),
        pd.DataFrame({"sequence_id": ids, "target": t["Biorep average"]}),
    )


def _assembled(table: pd.DataFrame) -> list[str]:
    """Chains from their IMGT columns, insertions included, gaps taken out."""
    return ["".join(row).replace("-", "") for row in table[list(IMGT)].to_numpy()]


def _imgt(path: Path) -> pd.DataFrame:
    """The IMGT columns alone of a large file, which has many more."""
    try:
        header = pd.read_csv(path, nrows=0)
        if missing := [c for c in IMGT if c not in header]:
            raise UsageError(
                f"{path} has no IMGT column {', '.join(missing[:5])}; all are needed, insertions included."
            )
        return pd.read_csv(path, usecols=list(IMGT), dtype=str, keep_default_na=False, na_filter=False)
    except (OSError, ValueError) as error:
        raise UsageError(f"{path} is no CSV in UTF-8 whose rows are all as long as its header.") from error


def _harvey(folder: Path) -> Prepared:
    if found := sorted(folder.glob("harvey_labels.csv*")):
        t = _columns(read_table(found[0]), found[0], "sequence_id", "label")
        return Prepared(
            pd.DataFrame(), t[["sequence_id", "label"]], notes=["labels alone: no image can be run on them"]
        )
    rows: list[tuple[str, str]] = []
    unusable, notes = [], []
    for label, name in (("1", "high"), ("0", "low")):
        path = _one(folder, f"{name}_polyreactivity*.csv")
        table = _imgt(path)
        for line, sequence in enumerate(_assembled(table), start=2):
            if unfit(sequence):
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
        unusable,
        notes,
    )


def _excel(path: Path) -> pd.DataFrame:
    """The first sheet of a workbook, as text."""
    try:
        return pd.read_excel(path, dtype=str, keep_default_na=False)
    except ImportError as error:
        raise UsageError(f"{path} is a workbook, which needs openpyxl: pip install '.[prepare]'.") from error
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise UsageError(f"{path} is no workbook that can be read.") from error


_PSR = "Poly-Specificity Reagent (PSR) SMP Score (0-1)"
JAIN_FLAGS = {"ELISA": 1.9, "BVP ELISA": 4.3, _PSR: 0.27}
"""Above which an assay flags an antibody: the paper's own thresholds, of the worst tenth of approved antibodies."""


def _jain137(folder: Path) -> Prepared:
    sequences_path, results_path = _one(folder, "pnas.*.sd02.xlsx"), _one(folder, "pnas.*.sd03.xlsx")
    chains = _columns(_excel(sequences_path), sequences_path, "Name", "VH", "VL")
    results = _columns(_excel(results_path), results_path, "Name", *JAIN_FLAGS)
    results = results[results["Name"].isin(chains["Name"])]  # footnotes stand below
    if list(results["Name"]) != list(chains["Name"]):
        raise UsageError(f"{sequences_path} and {results_path} do not hold the same antibodies in the same order.")
    try:
        flagged = [pd.to_numeric(results[name]) > threshold for name, threshold in JAIN_FLAGS.items()]
    except ValueError as error:
        raise UsageError(f"{results_path} has an assay value that is no number: {error}") from error
    label = (flagged[0] | flagged[1] | flagged[2]).astype(int).astype(str)
    names = {"sequence_id": chains["Name"], "sequence": chains["VH"], "light_sequence": chains["VL"]}
    return Prepared(pd.DataFrame(names), pd.DataFrame({"sequence_id": results["Name"], "label": label}))


def _shehata_psr(folder: Path) -> Prepared:
    classes = _shehata(folder)
    path = _one(folder, "VH_only_shehata.csv")
    t = _columns(read_table(path), path, "id", "psr_score")
    return Prepared(classes.sequences, pd.DataFrame({"sequence_id": t["id"], "target": t["psr_score"]}))


def _gdpa1(folder: Path) -> Prepared:
    path = _one(folder, "GDPa1_v1.2_*.csv")
    t = _columns(read_table(path), path, "antibody_name", "vh_protein_sequence", "vl_protein_sequence", "PR_CHO")
    measured = t[t["PR_CHO"] != ""]
    names = {"sequence_id": "antibody_name", "sequence": "vh_protein_sequence", "light_sequence": "vl_protein_sequence"}
    return Prepared(
        pd.DataFrame({name: measured[column] for name, column in names.items()}),
        pd.DataFrame({"sequence_id": measured["antibody_name"], "target": measured["PR_CHO"]}),
        notes=[f"{len(t) - len(measured)} of {len(t)} antibodies have no value of CHO polyreactivity"],
    )


def _harvey1k(folder: Path) -> Prepared:
    path = _one(folder, "harvey_sample_1000.csv")
    t = _columns(read_table(path), path, "sequence_id", "sequence", "label")
    return Prepared(t[["sequence_id", "sequence"]], t[["sequence_id", "label"]])


@dataclass(frozen=True)
class File:
    """One published file: the beginning of its sha256, or of its id as a git blob."""

    name: str
    sha256: str = ""
    blob: str = ""


@dataclass(frozen=True)
class Source:
    """One track's published files.

    Attributes:
        make: turns the folder that holds them into the track's tables.
        address: of the folder on the web, with a slash at the end; empty where no licence allows a download.
        files: that are downloaded.
        ask: whom to ask for them, and what they are called, where they cannot be downloaded.
    """

    make: Callable[[Path], Prepared]
    address: str = ""
    files: tuple[File, ...] = ()
    licence: str = ""
    ask: str = ""


SOURCES = {
    "jain": Source(
        make=_jain,
        ask="Jain et al. 2017, PNAS 114:944, doi 10.1073/pnas.1616408114: the supplement, or its authors. The subset "
        "of 86 antibodies comes as a table id,vh_sequence,vl_sequence,label, named jain_86*.csv.",
    ),
    "shehata": Source(
        make=_shehata,
        ask="Shehata et al. 2019, Cell Reports 28:3300, doi 10.1016/j.celrep.2019.08.056: the supplement, or its "
        "authors. It comes as VH_only_shehata.csv and VL_only_shehata.csv, each id,sequence,label.",
    ),
    "jain137": Source(
        make=_jain137,
        ask="Jain et al. 2017, PNAS 114:944, doi 10.1073/pnas.1616408114: the supplement itself, "
        "pnas.1616408114.sd02.xlsx (sequences) and pnas.1616408114.sd03.xlsx (results of twelve assays).",
    ),
    "shehata-psr": Source(
        make=_shehata_psr,
        ask="Shehata et al. 2019, Cell Reports 28:3300, doi 10.1016/j.celrep.2019.08.056: the supplement, or its "
        "authors. The same files as of shehata; the column psr_score counts.",
    ),
    "gdpa1": Source(
        make=_gdpa1,
        ask="Ginkgo Datapoints, GDPa1 v1.2 (huggingface.co/datasets/ginkgo-datapoints/GDPa1): register there and "
        "accept its terms. It comes as GDPa1_v1.2_20250814.csv.",
    ),
    "harvey1k": Source(
        make=_harvey1k,
        ask="A random sample of the two pools of Harvey et al. 2022, Nature Communications 13:7554 (MIT), published by "
        "a later work; it comes as harvey_sample_1000.csv, sequence_id,sequence,label.",
    ),
    "vhh48": Source(
        make=_vhh48,
        address=HARVEY,
        files=(
            File(
                "low_throughput_polyspecificity_scores_w_exp.csv",
                sha256="dace0c41e6b51f54bd4ebb77d581950aff2ccda9f044a72d681a42a724f8e395",
            ),
        ),
        licence="MIT",
    ),
    "harvey": Source(
        make=_harvey,
        address=HARVEY,
        files=(
            File("high_polyreactivity_high_throughput.csv", blob="0d56825e"),
            File("low_polyreactivity_high_throughput.csv", blob="6532c700"),
        ),
        licence="MIT",
    ),
}


def known_as(names: Sequence[str]) -> str | None:
    """Under which of a track's ids, today's and earlier ones, its source is known."""
    return next((name for name in names if name in SOURCES), None)
