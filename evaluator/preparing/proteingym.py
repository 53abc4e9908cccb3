"""The few-shot track of ProteinGym's substitution assays, out of its published files.

`DMS_substitutions.csv` has a line for each assay; one CSV an assay has `mutant,mutated_sequence,DMS_score`
(Notin et al. 2023, ProteinGym, NeurIPS Datasets and Benchmarks).
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from evaluator.contract import tables
from evaluator.contract.identity import nearest
from evaluator.contract.models import is_id
from evaluator.errors import EvaluatorError, UsageError
from evaluator.preparing.sources import Prepared, unfit
from evaluator.text import printable

TRACK = "fewshot-proteingym"
LONGEST = 750
"""Residues; longer proteins are left out, which leaves 121 assays of single mutants and 68 of multiple ones."""
SIZES, QUERIES, ROWS, SEED = (0, 16, 128), 100, 2000, 20_260_101
HELD_OUT = {
    "BLAT_ECOLX_Jacquier_2013",
    "CALM1_HUMAN_Weile_2017",
    "DLG4_RAT_McLaughlin_2012",
    "DYR_ECOLI_Thompson_2019",
    "P53_HUMAN_Giacomelli_2018_WT_Nutlin",
    "REV_HV1H2_Fernandes_2016",
    "RL40A_YEAST_Roscoe_2013",
    "TAT_HV1BR_Fernandes_2016",
    "CAPSD_AAV2S_Sinai_2021",
    "GFP_AEQVI_Sarkisyan_2016",
    "GRB2_HUMAN_Faure_2021",
    "HIS7_YEAST_Pokusaeva_2019",
    "PABP_YEAST_Melamed_2013",
}
"""Assays that are kept for the test, eight of single mutants and five of multiple ones: the first eight are those of
ProteinNPT; the last five have not been held against a published list."""
PUBLISHED = Counter(single=121, multiple=68)
"""Assays within `LONGEST`, by what they mutate."""
_TRUTH = {"true": True, "1": True, "false": False, "0": False}
_MUTATION = re.compile(r"([A-Z])([1-9]\d*)([A-Z])", re.ASCII)
_REFERENCE = ("DMS_id", "UniProt_ID", "target_seq", "includes_multiple_mutants")


@dataclass(frozen=True)
class Assay:
    """A line of `DMS_substitutions.csv`; `multiple`: whether a variant may have several mutations."""

    line: int
    name: str
    protein: str
    parent: str
    multiple: bool


@dataclass
class Converted:
    """What the files give.

    Attributes:
        few_shot: the part of the track file, without the hashes of splits.
        counts: assays of single and of multiple mutants that the files have within `LONGEST`.
        problems: what keeps it from being the published comparison.
        related: every assay that is no task, with the identity of its protein with the nearest one of a task.
    """

    made: Prepared
    few_shot: dict[str, Any]
    counts: Counter[str]
    related: dict[str, float]
    problems: list[str]


def convert(folder: Path, *, everything: bool) -> Converted:
    """Both tables and the tasks.

    Args:
        folder: with `DMS_substitutions.csv`, and the assays' CSVs in it or below it.
        everything: all assays; else those that are held out.

    Raises:
        UsageError: a file is missing or there twice, or a row of an assay is not what it should be.
    """
    assays = _reference(folder)
    files: dict[str, list[Path]] = defaultdict(list)
    for path in sorted(folder.rglob("*.csv")):
        files[path.stem].append(path)
    measured, tasks, notes = [], [], list[str]()
    counts: Counter[str] = Counter()
    proteins: Counter[str] = Counter()
    for assay in assays:
        name, parent, kind = assay.name, assay.parent, "multiple" if assay.multiple else "single"
        if len(parent) > LONGEST:
            continue
        counts[kind] += 1
        if not (everything or name in HELD_OUT):
            continue
        rows, note = _rows(_file_of(name, files[name], folder), assay)
        notes += [f"{name}: {note}"] if note else []
        if len(rows) < max(SIZES) + QUERIES:
            notes.append(f"{name}: left out, its {len(rows)} variants are fewer than {max(SIZES) + QUERIES}")
            continue
        protein = assay.protein
        proteins[protein] += 1
        measured.append(rows.assign(assay=name))
        task = {"id": name.lower().replace("_", "-"), "title": name, "support": name, "queries": name}
        # two assays of one protein never in one run: what is given of one would tell of the other
        tasks.append({**task, "kind": kind, "cluster": protein, "run": f"r{proteins[protein]}", "wild_type": parent})
    if not tasks:
        why = f" {'; '.join(notes)}." if notes else ""
        raise UsageError(f"{folder} has no assay to make a task of.{why}", "--all-assays takes those not held out too.")
    missing = [] if everything else sorted(HELD_OUT - {task["title"] for task in tasks})
    problems = [f"Not all held-out assays are in it: it is without {', '.join(missing)}."] if missing else []
    if counts != PUBLISHED:
        notes.append(f"not the published files, which have {PUBLISHED['single']} and {PUBLISHED['multiple']} assays")
    few_shot = {"sizes": list(SIZES), "replicates": 3, "queries": QUERIES, "chunk": QUERIES, "seed": SEED}
    few_shot |= {"mode": "inductive", "canaries": 1, "reference": "few-shot-ridge", "tasks": tasks}
    rows = pd.concat(measured, ignore_index=True)
    _require_one_protein(rows, assays)
    rows["sequence_id"] = [f"variant-{k:06d}" for k in pd.factorize(rows["sequence"])[0] + 1]
    sequences = rows[["sequence_id", "sequence"]].drop_duplicates(ignore_index=True)
    made = Prepared(sequences, rows[["sequence_id", "assay", "target"]], notes=[*notes, *problems])
    return Converted(made, few_shot, counts, _related(assays, tasks), problems)


def _file_of(name: str, found: list[Path], folder: Path) -> Path:
    if not found:
        raise UsageError(f"{folder} has no {name}.csv.", "Unpack DMS_ProteinGym_substitutions.zip there.")
    if len(found) > 1:
        paths = " and ".join(str(path.relative_to(folder)) for path in found[:2])
        remedy = "Keep the one of DMS_ProteinGym_substitutions.zip there, and no folds for cross-validation."
        raise UsageError(f"{folder} has two files of {name}: {paths}.", remedy)
    return found[0]


def _require_one_protein(rows: pd.DataFrame, assays: list[Assay]) -> None:
    """Refuse variants that two proteins share: their tasks would pass as independent."""
    protein = {assay.name: assay.protein for assay in assays}
    lines = {assay.name: assay.line for assay in assays}
    first: dict[str, str] = {}
    for sequence, name in zip(rows["sequence"], rows["assay"], strict=True):
        other = first.setdefault(sequence, name)
        if protein[other] != protein[name]:
            what = f"DMS_substitutions.csv lines {lines[other]} and {lines[name]}: {other} and {name} share variants"
            raise UsageError(f"{what}, and have two UniProt_IDs.", "Give both the protein's one.")


def _related(assays: list[Assay], tasks: list[dict[str, Any]]) -> dict[str, float]:
    """Whole proteins are compared: of an assay that has but a domain of one, the identity is too low."""
    asked = {task["title"] for task in tasks}
    others = {assay.name: assay.parent for assay in assays if assay.name not in asked}
    identity = nearest([*others.values()], [task["wild_type"] for task in tasks])
    return {name: round(one, 3) for name, one in zip(others, identity.tolist(), strict=True)}


def _reference(folder: Path) -> list[Assay]:
    path = folder / "DMS_substitutions.csv"
    try:
        table = tables.read_csv(path)
    except EvaluatorError as error:
        raise UsageError(error.what, error.remedy) from error
    if missing := [name for name in _REFERENCE if name not in table]:
        raise UsageError(f"{path} has no column {', '.join(missing)}.")
    first: dict[str, int] = {}
    found = []
    for line, name, protein, parent, multiple in zip(table.lines, *(table[c] for c in _REFERENCE), strict=True):
        place = f"DMS_substitutions.csv line {line}"
        if not is_id(name.lower().replace("_", "-")):
            raise UsageError(f"{place}: '{printable(name, 60)}' is no DMS_id.", "It has letters, digits and _.")
        if (other := first.setdefault(name.casefold(), line)) != line:
            raise UsageError(f"{place}: {name} stands in line {other} already.")
        if unfit(parent):
            raise UsageError(f"{place}: the target_seq of {name} is no protein sequence.")
        if not protein.strip():
            raise UsageError(f"{place}: {name} has no UniProt_ID.", "It tells which assays are of one protein.")
        if multiple.lower() not in _TRUTH:
            what = f"{place}: includes_multiple_mutants of {name} is '{printable(multiple, 40)}'."
            raise UsageError(what, "It is True or False.")
        found.append(Assay(line, name, protein, parent, _TRUTH[multiple.lower()]))
    return found


def _rows(path: Path, assay: Assay) -> tuple[pd.DataFrame, str]:
    """A seeded sample of an assay's variants, each once with the mean of its scores.

    Raises:
        UsageError: a row is not what it should be.
    """
    try:
        table = tables.read_csv(path)
    except EvaluatorError as error:
        raise UsageError(error.what, error.remedy) from error
    if missing := [name for name in ("mutant", "mutated_sequence", "DMS_score") if name not in table]:
        raise UsageError(f"{path} has no column {', '.join(missing)}.")
    cells = (table[name] for name in ("mutant", "mutated_sequence", "DMS_score"))
    for line, mutant, sequence, score in zip(table.lines, *cells, strict=True):
        if fault := _fault(assay, mutant, sequence):
            raise UsageError(f"{path} line {line}: the {fault[0]}.", fault[1])
        if score and (fault := tables.no_target(score)):
            raise UsageError(f"{path} line {line}: the DMS_score {fault[0]}.", fault[1])
    scores = pd.to_numeric(pd.Series(table["DMS_score"]), errors="coerce")
    every = pd.DataFrame({"sequence": table["mutated_sequence"], "target": scores, "line": table.lines})
    there = every.dropna()
    if fault := tables.no_ranks(there["target"].to_numpy()):
        raise UsageError(f"{path} has {fault[0]}.", fault[1])
    means = there.groupby("sequence")["target"].mean().sort_index().reset_index()
    left = [f"{len(every) - len(there)} without a score"] * (len(there) < len(every))
    left += [_repeated(there, len(means))] * (len(means) < len(there))
    if len(means) > ROWS:
        left.append(f"{ROWS:,} of {len(means):,} variants, drawn with seed {SEED}")
        means = means.sample(ROWS, random_state=SEED).sort_values("sequence", ignore_index=True)
    means["target"] = means["target"].map(repr)
    return means, "; ".join(left)


def _fault(assay: Assay, mutant: str, sequence: str) -> tables.Fault:
    """Why a variant is not what its name says of the parent; None where it is."""
    if len(sequence) != len(assay.parent) or unfit(sequence):
        return "mutated_sequence is no substitution in the parent's sequence", "Its length and letters are a protein's."
    made = list(assay.parent)
    for mutation in mutant.split(":"):
        found = _MUTATION.fullmatch(mutation)
        if found is None:
            return f"mutant '{printable(mutant, 60)}' is no list of mutations", "Write them as A23T:G41D."
        place = int(found[2]) - 1
        if place >= len(made) or made[place] != found[1]:
            return (
                f"mutant {printable(mutant, 60)} is not of target_seq",
                "In A23T the parent's 23rd residue is A.",
            )
        made[place] = found[3]
    if ":" in mutant and not assay.multiple:
        return f"mutant {printable(mutant, 60)} has several mutations", "includes_multiple_mutants says that none has."
    if "".join(made) != sequence:
        return f"mutant {printable(mutant, 60)} does not give mutated_sequence", "Correct either."
    return None


def _repeated(there: pd.DataFrame, variants: int) -> str:
    """What is said of variants that are listed more than once, with the first that were measured differently."""
    said = f"{len(there) - variants} repeated, the mean counts"
    differ = there[there.groupby("sequence")["target"].transform("nunique") > 1]
    if differ.empty:
        return said
    first = differ[differ["sequence"] == differ["sequence"].iloc[0]]["line"].tolist()
    count = differ["sequence"].nunique()
    return f"{said}; {count:,} with different scores, the first in lines {' and '.join(map(str, first[:2]))}"
