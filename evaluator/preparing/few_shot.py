"""Few-shot tracks out of published files: assays of panels, whose antibodies partly are the same, and a landscape."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from evaluator.errors import UsageError
from evaluator.preparing import sources
from evaluator.preparing.sources import PSR, Prepared

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
    tables = [_long(panel, *about) for panel, about in panels.items()]
    rows = pd.concat(tables, ignore_index=True)
    rows["sequence_id"] = rows.groupby(CHAINS, sort=False)["sequence_id"].transform("first")
    return _written(rows)


def _long(panel: str, antibodies: pd.DataFrame, assays: Mapping[str, pd.Series[str]]) -> pd.DataFrame:
    """A line for each antibody and assay that measured it."""
    chains = antibodies.reindex(columns=["sequence_id", *CHAINS], fill_value="").reset_index(drop=True)
    tables = [
        chains.assign(assay=f"{panel}-{name}", target=values.reset_index(drop=True)) for name, values in assays.items()
    ]
    return pd.concat([t[t["target"] != ""] for t in tables], ignore_index=True)


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
