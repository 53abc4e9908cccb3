"""How each track's two tables are made of published files."""

from __future__ import annotations

import random
import zipfile
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from evaluator.contract import tables
from evaluator.contract.sequences import AMINO_ACIDS
from evaluator.errors import UsageError

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


def one_table(folder: Path, pattern: str, *names: str) -> pd.DataFrame:
    """The only file of that name, with the columns that are needed.

    Raises:
        UsageError: there is no such file or column.
    """
    path = _one(folder, pattern)
    return _columns(read_table(path), path, *names)


def _class(values: pd.Series[str], path: Path) -> pd.Series[str]:
    """0 or 1, also where the source says 0.0 or 1.0."""
    plain = values.str.removesuffix(".0")
    if not plain.isin(["0", "1"]).all():
        raise UsageError(f"{path} has a label that is neither 0 nor 1.")
    return plain


def jain(folder: Path) -> Prepared:
    """The subset of 86 antibodies."""
    path = _one(folder, "jain_86*.csv")
    t = _columns(read_table(path), path, "id", "vh_sequence", "vl_sequence", "label")
    sequences = pd.DataFrame({"sequence_id": t["id"], "sequence": t["vh_sequence"], "light_sequence": t["vl_sequence"]})
    return Prepared(sequences, pd.DataFrame({"sequence_id": t["id"], "label": _class(t["label"], path)}))


def shehata(folder: Path) -> Prepared:
    """The 398 antibodies, with the class."""
    heavy_path, light_path = _one(folder, "VH_only_shehata.csv"), _one(folder, "VL_only_shehata.csv")
    heavy, light = (_columns(read_table(p), p, "id", "sequence", "label") for p in (heavy_path, light_path))
    if list(heavy["id"]) != list(light["id"]):
        raise UsageError(f"{heavy_path} and {light_path} do not hold the same ids in the same order.")
    sequences = pd.DataFrame(
        {"sequence_id": heavy["id"], "sequence": heavy["sequence"], "light_sequence": light["sequence"]}
    )
    return Prepared(sequences, pd.DataFrame({"sequence_id": heavy["id"], "label": _class(heavy["label"], heavy_path)}))


def vhh48(folder: Path) -> Prepared:
    """The 48 nanobodies, with the mean of the biological replicates."""
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


def harvey(folder: Path) -> Prepared:
    """The nanobodies of both pools, or their labels alone."""
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


PSR = "Poly-Specificity Reagent (PSR) SMP Score (0-1)"
JAIN_FLAGS = {"ELISA": 1.9, "BVP ELISA": 4.3, PSR: 0.27}
"""Above which an assay flags an antibody: the paper's own thresholds, of the worst tenth of approved antibodies."""


def jain137_assays(folder: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    """All antibodies with both chains, and the results of the assays in the same order."""
    sequences_path, results_path = _one(folder, "pnas.*.sd02.xlsx"), _one(folder, "pnas.*.sd03.xlsx")
    chains = _columns(_excel(sequences_path), sequences_path, "Name", "VH", "VL")
    results = _columns(_excel(results_path), results_path, "Name", *JAIN_FLAGS)
    results = results[results["Name"].isin(chains["Name"])]  # footnotes stand below
    if list(results["Name"]) != list(chains["Name"]):
        raise UsageError(f"{sequences_path} and {results_path} do not hold the same antibodies in the same order.")
    names = {"sequence_id": chains["Name"], "sequence": chains["VH"], "light_sequence": chains["VL"]}
    return pd.DataFrame(names), results


def jain137(folder: Path) -> Prepared:
    """All 137 antibodies, with a class by the paper's flags."""
    sequences, results = jain137_assays(folder)
    try:
        flagged = [pd.to_numeric(results[name]) > threshold for name, threshold in JAIN_FLAGS.items()]
    except ValueError as error:
        raise UsageError(f"pnas.*.sd03.xlsx in {folder} has an assay value that is no number: {error}") from error
    label = (flagged[0] | flagged[1] | flagged[2]).astype(int).astype(str)
    return Prepared(sequences, pd.DataFrame({"sequence_id": results["Name"], "label": label}))


def shehata_psr(folder: Path) -> Prepared:
    """The 398 antibodies, with the continuous score."""
    classes = shehata(folder)
    path = _one(folder, "VH_only_shehata.csv")
    t = _columns(read_table(path), path, "id", "psr_score")
    return Prepared(classes.sequences, pd.DataFrame({"sequence_id": t["id"], "target": t["psr_score"]}))


def gdpa1_assays(folder: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    """All antibodies with both chains, and the source's own columns in the same order."""
    names = {"sequence_id": "antibody_name", "sequence": "vh_protein_sequence", "light_sequence": "vl_protein_sequence"}
    t = one_table(folder, "GDPa1_v1.2_*.csv", *names.values(), "PR_CHO")
    return pd.DataFrame({name: t[column] for name, column in names.items()}), t


def gdpa1(folder: Path) -> Prepared:
    """The antibodies with a value of CHO polyreactivity."""
    sequences, t = gdpa1_assays(folder)
    measured = t["PR_CHO"] != ""
    return Prepared(
        sequences[measured],
        pd.DataFrame({"sequence_id": sequences["sequence_id"], "target": t["PR_CHO"]})[measured],
        notes=[f"{len(t) - int(measured.sum())} of {len(t)} antibodies have no value of CHO polyreactivity"],
    )


def harvey1k(folder: Path) -> Prepared:
    """A random thousand of the nanobodies."""
    path = _one(folder, "harvey_sample_1000.csv")
    t = _columns(read_table(path), path, "sequence_id", "sequence", "label")
    return Prepared(t[["sequence_id", "sequence"]], t[["sequence_id", "label"]])
