"""A comparison of models as CSV, markdown and a plot."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

PLOTTED = "roc_auc"


def write(table: pd.DataFrame, out: Path) -> pd.DataFrame:
    """Write `comparison.csv`, `comparison.md` and `comparison.svg`; the table as it was given."""
    out.mkdir(parents=True, exist_ok=True)
    table.to_csv(out / "comparison.csv", index=False, lineterminator="\n")
    (out / "comparison.md").write_text(markdown(table), encoding="utf-8")
    _plot(table, out / "comparison.svg")
    return table


def markdown(table: pd.DataFrame) -> str:
    """Mean and standard deviation in one cell, three decimals."""
    columns = [str(c) for c in table.columns]
    pairs = [c.removesuffix(" mean") for c in columns if c.endswith(" mean")]
    single = [c for c in columns if not str(c).endswith((" mean", " sd")) and c not in ("backbone", "head")]
    names = ["backbone", "head", *pairs, *single]
    lines = ["| " + " | ".join(names) + " |", "|---|---|" + "--:|" * (len(names) - 2)]
    for _, row in table.iterrows():
        cells = [str(row["backbone"]), str(row["head"])]
        cells += [f"{row[f'{p} mean']:.3f} ± {row[f'{p} sd']:.3f}" for p in pairs]
        cells += ["" if pd.isna(row[c]) else f"{row[c]:.3f}" for c in single]
        lines.append("| " + " | ".join(cells) + " |")
    note = "CV: 10 stratified folds; cluster CV: 10 folds that keep near copies (95 % identity) on one side."
    note += " Where a backbone is fine-tuned for each, there are 5."
    if any(name.startswith("without ") for name in names):
        note += " Without a family: trained on all others and tested on it; empty where it has one class only."
    return "# Comparison\n\n" + "\n".join(lines) + f"\n\n{note} ± is the standard deviation over folds.\n"


def _plot(table: pd.DataFrame, path: Path) -> None:
    import matplotlib as mpl

    mpl.use("svg")
    mpl.rcParams["svg.hashsalt"] = "comparison"  # the same table gives the same file
    import matplotlib.pyplot as plt

    columns = {"cluster CV": "cluster CV roc_auc mean"} | {
        str(c).removesuffix(f" {PLOTTED}"): str(c) for c in table if str(c).endswith(f" {PLOTTED}")
    }
    labels = [f"{b} {h}" for b, h in zip(table["backbone"], table["head"], strict=True)]
    figure, axes = plt.subplots(figsize=(7, 1.2 + 0.3 * len(labels)), layout="constrained")
    for (name, column), mark in zip(columns.items(), "osD^vP*X" * 4, strict=False):
        axes.plot(table[column], range(len(labels)), mark, label=name, alpha=0.8)
    axes.axvline(0.5, color="grey", linewidth=0.8)
    axes.set_yticks(range(len(labels)), labels)
    axes.invert_yaxis()
    axes.set_xlabel("ROC-AUC")
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.15), ncols=4, frameon=False)
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)
