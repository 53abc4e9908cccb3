"""Few-shot tracks: of published panels, whose antibodies partly are the same, of a landscape, and of one's own CSV."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from evaluator.contract import tables
from evaluator.contract.arrays import Floats
from evaluator.contract.episodes import Splits, sharing
from evaluator.contract.few_shot import MAX_TITLE, MIN_QUERIES, FewShot
from evaluator.contract.task_types import SUPPORT_SIZES
from evaluator.errors import EvaluatorError, UsageError
from evaluator.preparing import sources
from evaluator.preparing.sources import PSR, Prepared
from evaluator.text import printable

CHAINS = ["sequence", "light_sequence"]


def poly(folder: Path) -> Prepared:
    """Seven polyreactivity assays of four panels; an antibody of two panels has one id.

    Raises:
        UsageError: a file is missing or has other columns.
    """
    jain, values = sources.jain137_assays(folder)
    gdpa1, ginkgo = sources.gdpa1_assays(folder)
    shehata, vhh48 = sources.shehata_psr(folder), sources.vhh48(folder)
    panels = {
        "jain": (jain, {"psr": values[PSR], "elisa": values["ELISA"], "bvp": values["BVP ELISA"]}),
        "gdpa1": (gdpa1, {"cho": ginkgo["PR_CHO"], "ova": ginkgo["PR_Ova"]}),
        "shehata": (shehata.sequences, {"psr": shehata.labels["target"]}),
        "vhh48": (vhh48.sequences, {"psr": vhh48.labels["target"]}),
    }
    rows = pd.concat([_long(panel, *about) for panel, about in panels.items()], ignore_index=True)
    rows["sequence_id"] = rows.groupby(CHAINS, sort=False)["sequence_id"].transform("first")
    return _written(rows)


def _long(panel: str, antibodies: pd.DataFrame, assays: Mapping[str, pd.Series[str]]) -> pd.DataFrame:
    """A line for each antibody and assay that measured it."""
    chains = antibodies.reindex(columns=["sequence_id", *CHAINS], fill_value="").reset_index(drop=True)
    each = [
        chains.assign(assay=f"{panel}-{name}", target=values.reset_index(drop=True)) for name, values in assays.items()
    ]
    return pd.concat([t[t["target"] != ""] for t in each], ignore_index=True)


def _written(rows: pd.DataFrame) -> Prepared:
    """Both tables; what an assay measured twice of one antibody is averaged."""
    try:
        rows["target"] = pd.to_numeric(rows["target"])
    except ValueError as error:
        raise UsageError(f"An assay value is no number: {error}.") from error
    keys = ["sequence_id", "assay"]
    twice = int(rows.duplicated(keys).sum())
    notes = [f"{twice} antibodies were measured twice by an assay; the mean counts"] if twice else []
    means = rows.groupby(keys, sort=False)["target"].mean()
    labels = means.map(repr).to_frame().reset_index()
    sequences = rows[["sequence_id", *CHAINS]].drop_duplicates("sequence_id", ignore_index=True)
    if not sequences["light_sequence"].any():
        sequences = sequences.drop(columns="light_sequence")
    return Prepared(sequences, labels, notes=notes)


def cr6261(folder: Path) -> Prepared:
    """One landscape: combinations of the mutations between a germline antibody and CR6261, by affinity to H1.

    Raises:
        UsageError: the file is missing or has other columns.
    """
    table = sources.one_table(folder, "cr6261_h1.csv", "mutant", "mutated_sequence", "DMS_score")
    names = {"sequence_id": table["mutant"], "sequence": table["mutated_sequence"], "light_sequence": ""}
    return _written(pd.DataFrame(names).assign(assay="h1", target=table["DMS_score"]))


def require_names(table: tables.Table, source: Path) -> None:
    """Refuse assays of one's own CSV whose names cannot be told apart, or shown.

    Raises:
        EvaluatorError: with the line.
    """
    first: dict[str, tuple[int, str]] = {}
    for line, name in zip(table.lines, table["assay"], strict=True):
        if not name.strip():
            raise EvaluatorError(f"{source} line {line}: the assay is empty.", "Name the assay of each row.")
        if name != name.strip() or printable(name, MAX_TITLE) != name:
            what = f"{source} line {line}: the assay '{printable(name, 60)}' is no name that can be shown."
            remedy = f"Name it in at most {MAX_TITLE} visible characters, without spaces around them."
            raise EvaluatorError(what, remedy)
        alike = " ".join(unicodedata.normalize("NFKC", name).casefold().split())
        if (other := first.setdefault(alike, (line, name)))[1] != name:
            what = f"{source} line {line}: the assay '{name}' is spelt '{other[1]}' in line {other[0]}."
            raise EvaluatorError(what, "Spell it alike, or give another assay another name.")


def described(
    source: Path, ids: tuple[str, ...], columns: dict[str, tuple[str, ...]], targets: dict[str, Floats]
) -> dict[str, Any]:
    """A task for each assay, with the largest supports that leave enough to be asked for.

    Raises:
        EvaluatorError: an assay is too small for any, or all are for a support of the smallest size.
    """
    for name, values in targets.items():
        if (n := int(np.isfinite(values).sum())) < MIN_QUERIES:
            what = f"{source}: the assay '{name}' has {n} antibodies; at least {MIN_QUERIES} are needed."
            raise EvaluatorError(what, "Measure more of them, or leave the assay's rows out.")
    tasks: list[dict[str, Any]] = [
        {"id": f"task-{k}", "title": name, "support": name, "queries": name, "kind": "panel"}
        for k, name in enumerate(targets, start=1)
    ]
    described: dict[str, Any] = {"replicates": 20, "queries": 100, "seed": 1, "reference": "few-shot-ridge"}
    for number, group in enumerate(sharing(targets), start=1):
        mine = [task for task in tasks if task["support"] in group]
        sizes = _fitting(ids, columns, {name: targets[name] for name in group}, described, mine)
        for task in mine:
            task |= {"cluster": f"group-{number}", "sizes": sizes[str(task["support"])]}
    sizes_of_track = sorted({k for task in tasks for k in task["sizes"]})
    if sizes_of_track == [0]:
        beside = f"a support of {SUPPORT_SIZES[1]} and {MIN_QUERIES} antibodies beside it"
        what = f"{source}: No assay has {beside} in every draw."
        raise EvaluatorError(what, "A few-shot track needs more of them.")
    return {"sizes": sizes_of_track, **described, "canaries": 5, "tasks": tasks}


def _fitting(
    ids: tuple[str, ...],
    columns: dict[str, tuple[str, ...]],
    targets: dict[str, Floats],
    described: dict[str, Any],
    tasks: list[dict[str, Any]],
) -> dict[str, list[int]]:
    """The sizes of each of some assays that share antibodies: those of all must fit together."""
    measured = {name: int(np.isfinite(values).sum()) for name, values in targets.items()}
    for top in reversed(SUPPORT_SIZES):
        sizes = {n: [k for k in SUPPORT_SIZES if k <= top and k + MIN_QUERIES <= m] or [0] for n, m in measured.items()}
        union = sorted({k for of_assay in sizes.values() for k in of_assay})
        asked = [{**task, "cluster": "all", "sizes": sizes[task["support"]]} for task in tasks]
        try:
            Splits(FewShot.model_validate({**described, "sizes": union, "tasks": asked}), ids, columns, targets)
        except EvaluatorError:
            if not top:
                raise
        else:
            return sizes
    raise AssertionError("unreachable")
