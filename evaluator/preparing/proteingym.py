"""The few-shot track of ProteinGym's substitution assays, out of its published files.

`DMS_substitutions.csv` has a line for each assay; one CSV an assay has `mutant,mutated_sequence,DMS_score`
(Notin et al. 2023, ProteinGym, NeurIPS Datasets and Benchmarks).
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from evaluator.contract.identity import nearest
from evaluator.errors import EvaluatorError, UsageError
from evaluator.preparing.sources import Prepared, read_table, unfit
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
_REFERENCE = ("DMS_id", "UniProt_ID", "target_seq", "includes_multiple_mutants")


@dataclass
class Converted:
    """What the files give.

    Attributes:
        few_shot: the part of the track file, without the hashes of splits.
        counts: assays of single and of multiple mutants that the files have within `LONGEST`.
        related: every assay that is no task, with the identity of its protein with the nearest one of a task.
    """

    made: Prepared
    few_shot: dict[str, Any]
    counts: Counter[str]
    related: dict[str, float]


def convert(folder: Path, *, everything: bool) -> Converted:
    """Both tables and the tasks.

    Args:
        folder: with `DMS_substitutions.csv`, and the assays' CSVs in it or below it.
        everything: all assays; else those that are held out.

    Raises:
        UsageError: a file is missing, or a row of an assay is not what it should be.
    """
    table = _reference(folder)
    if twice := [name for name, n in Counter(table["DMS_id"].str.casefold()).items() if n > 1]:
        raise UsageError(f"DMS_substitutions.csv has two lines for {printable(twice[0], 60)}.")
    files = {path.stem: path for path in sorted(folder.rglob("*.csv"))}
    measured, tasks, notes = [], [], list[str]()
    counts: Counter[str] = Counter()
    proteins: Counter[str] = Counter()
    for line, assay in enumerate(table.to_dict("records"), start=2):
        name, parent = str(assay["DMS_id"]), str(assay["target_seq"])
        if unfit(parent):
            raise UsageError(f"DMS_substitutions.csv line {line}: the target_seq of {name} is no protein sequence.")
        if len(parent) > LONGEST:
            continue
        kind = "multiple" if str(assay["includes_multiple_mutants"]).lower() == "true" else "single"
        counts[kind] += 1
        if not (everything or name in HELD_OUT):
            continue
        if name not in files:
            raise UsageError(f"{folder} has no {name}.csv.", "Unpack DMS_ProteinGym_substitutions.zip there.")
        rows, note = _rows(files[name], parent)
        notes += [f"{name}: {note}"] if note else []
        if len(rows) < max(SIZES) + QUERIES:
            notes.append(f"{name}: left out, its {len(rows)} variants are fewer than {max(SIZES) + QUERIES}")
            continue
        protein = str(assay["UniProt_ID"])
        proteins[protein] += 1
        measured.append(rows.assign(assay=name))
        task = {"id": name.lower().replace("_", "-"), "title": name, "support": name, "queries": name}
        # two assays of one protein never in one run: what is given of one would tell of the other
        tasks.append({**task, "kind": kind, "cluster": protein, "run": f"r{proteins[protein]}", "wild_type": parent})
    if not tasks:
        why = f" {'; '.join(notes)}." if notes else ""
        raise UsageError(f"{folder} has no assay to make a task of.{why}", "--all-assays takes those not held out too.")
    few_shot = {"sizes": list(SIZES), "replicates": 3, "queries": QUERIES, "chunk": QUERIES, "seed": SEED}
    few_shot |= {"mode": "inductive", "canaries": 1, "reference": "few-shot-ridge", "tasks": tasks}
    rows = pd.concat(measured, ignore_index=True)
    rows["sequence_id"] = [f"variant-{k:06d}" for k in pd.factorize(rows["sequence"])[0] + 1]
    sequences = rows[["sequence_id", "sequence"]].drop_duplicates(ignore_index=True)
    made = Prepared(sequences, rows[["sequence_id", "assay", "target"]], notes=notes)
    return Converted(made, few_shot, counts, _related(table, tasks))


def _related(table: pd.DataFrame, tasks: list[dict[str, Any]]) -> dict[str, float]:
    """Whole proteins are compared: of an assay that has but a domain of one, the identity is too low."""
    asked = {task["title"] for task in tasks}
    others = {str(a["DMS_id"]): str(a["target_seq"]) for a in table.to_dict("records") if a["DMS_id"] not in asked}
    identity = nearest([*others.values()], [task["wild_type"] for task in tasks])
    return {name: round(one, 3) for name, one in zip(others, identity.tolist(), strict=True)}


def _reference(folder: Path) -> pd.DataFrame:
    path = folder / "DMS_substitutions.csv"
    try:
        table = read_table(path)
    except EvaluatorError as error:
        raise UsageError(error.what, error.remedy) from error
    if missing := [name for name in _REFERENCE if name not in table]:
        raise UsageError(f"{path} has no column {', '.join(missing)}.")
    return table


def _rows(path: Path, parent: str) -> tuple[pd.DataFrame, str]:
    """A seeded sample of an assay's variants, each once with the mean of its scores.

    Raises:
        UsageError: a row is not what it should be.
    """
    try:
        table = read_table(path)
    except EvaluatorError as error:
        raise UsageError(error.what, error.remedy) from error
    if missing := [name for name in ("mutant", "mutated_sequence", "DMS_score") if name not in table]:
        raise UsageError(f"{path} has no column {', '.join(missing)}.")
    scores = pd.to_numeric(table["DMS_score"], errors="coerce")
    for line, (sequence, score, text) in enumerate(
        zip(table["mutated_sequence"], scores, table["DMS_score"], strict=True), start=2
    ):
        if unfit(sequence) or len(sequence) != len(parent):
            raise UsageError(f"{path} line {line}: the mutated_sequence is no substitution in the parent's sequence.")
        if text and not np.isfinite(score):
            raise UsageError(f"{path} line {line}: the DMS_score is no finite number.")
    there = pd.DataFrame({"sequence": table["mutated_sequence"], "target": scores}).dropna()
    means = there.groupby("sequence")["target"].mean().sort_index().reset_index()
    left = [f"{len(table) - len(there)} without a score"] * (len(there) < len(table))
    left += [f"{len(there) - len(means)} repeated, the mean counts"] * (len(means) < len(there))
    if len(means) > ROWS:
        left.append(f"{ROWS:,} of {len(means):,} variants, drawn with seed {SEED}")
        means = means.sample(ROWS, random_state=SEED).sort_values("sequence", ignore_index=True)
    means["target"] = means["target"].map(repr)
    return means, "; ".join(left)
