"""The report's plots as SVG: the same figures give the same files."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np

mpl.use("svg")
import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from sklearn.manifold import TSNE

from baselines.similarity import evaluate
from baselines.similarity.experiment import LEARNED, MAIN, METHODS, Experiment, Fit
from baselines.similarity.symmetry import KINDS
from baselines.similarity.tasks import Floats, Ints
from baselines.similarity.transfer import BUDGETS, GALLERIES

PERPLEXITY = 30
Ends = Mapping[str, float]
COLOURS = [plt.get_cmap("tab20")(k) for k in range(20)]


def drawn(results: Mapping[str, Any], experiment: Experiment, folder: Path) -> None:
    """Every plot of the report, into a folder."""
    mpl.rcParams["svg.hashsalt"] = "retrieval"
    folder.mkdir(parents=True, exist_ok=True)
    for name, title in (("precision", "precision@k"), ("recall", "recall@k"), ("f1", "F1@k")):
        curves = {METHODS[m]: of[name] for m, of in results["curves"].items()}
        _lines(curves, "k", title, folder / f"{name}_at_k.svg")
    _bars({METHODS[m]: of["mAP"] for m, of in results["retrieval"].items()}, "mAP", folder / "map.svg")
    _transfer(results["transfer"], folder / "transfer.svg")
    for name in ("similarity", "distance"):
        _symmetry(results["symmetry"], name, folder / f"symmetry_{name}.svg")
    _clustering(results["clustering"], folder / "clustering.svg")
    _overall(results, folder / "overall.svg")
    for part, title in zip(evaluate.HISTORY, ("loss", "contrastive loss", "panel loss"), strict=True):
        _history(results["history"], part, title, folder / f"training_{part}.svg")
    main = experiment.zoos[MAIN]
    rows = np.flatnonzero(main.held_out)
    for method in METHODS:
        vectors = experiment.outcomes[Fit(MAIN, method, 0)].vectors[rows]
        _picture(vectors, main.task[rows], main.names, METHODS[method], folder / f"embedding_{method}.svg")


def _axes(width: float = 7, height: float = 4) -> tuple[Figure, Axes]:
    return plt.subplots(figsize=(width, height), layout="constrained")


def _saved(figure: Figure, path: Path) -> None:
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)


def _legend(axes: Axes) -> None:
    axes.legend(loc="center left", bbox_to_anchor=(1, 0.5), frameon=False, fontsize="small")


def _lines(curves: Mapping[str, Sequence[float]], across: str, up: str, path: Path) -> None:
    figure, axes = _axes(8)
    for colour, (name, values) in zip(COLOURS, curves.items(), strict=False):
        axes.plot(range(1, len(values) + 1), values, color=colour, label=name)
    axes.set_xlabel(across)
    axes.set_ylabel(up)
    _legend(axes)
    _saved(figure, path)


def _bars(values: Mapping[str, Ends], title: str, path: Path) -> None:
    """Values with their intervals, a line each."""
    figure, axes = _axes(7, 1 + 0.3 * len(values))
    for place, of_one in enumerate(values.values()):
        axes.plot([of_one["low"], of_one["high"]], [place, place], color="grey")
        axes.plot(of_one["value"], place, "o", color=COLOURS[0])
    axes.set_yticks(range(len(values)), list(values))
    axes.invert_yaxis()
    axes.set_xlabel(title)
    _saved(figure, path)


def _transfer(found: Mapping[str, Any], path: Path) -> None:
    figure, all_axes = plt.subplots(1, 2, figsize=(11, 4.5), layout="constrained", sharey=True)
    names = list(found[GALLERIES[0]])
    for axes, gallery in zip(all_axes, GALLERIES, strict=True):
        for colour, name in zip(COLOURS, names, strict=False):
            if of_one := found[gallery].get(name):
                axes.plot(
                    range(len(BUDGETS)), [of_one[str(n)]["value"] for n in BUDGETS], "o-", color=colour, label=name
                )
        axes.axhline(0, color="grey", linewidth=0.8)
        axes.set_xticks(range(len(BUDGETS)), [str(n) for n in BUDGETS])
        axes.set_title(gallery)
        axes.set_xlabel("labels")
    all_axes[0].set_ylabel("accuracy less that from scratch")
    figure.legend(*all_axes[0].get_legend_handles_labels(), loc="outside right center", frameon=False, fontsize="small")
    _saved(figure, path)


def _grouped(groups: Mapping[str, Mapping[str, float]], up: str, path: Path) -> None:
    """Bars by method, a group of each name."""
    methods = list(next(iter(groups.values())))
    figure, axes = _axes(8, 1 + 0.4 * len(methods))
    height = 0.8 / len(groups)
    for number, (name, values) in enumerate(groups.items()):
        places = np.arange(len(methods)) + number * height
        axes.barh(places, [values[m] for m in methods], height, color=COLOURS[2 * number], label=name)
    axes.set_yticks(np.arange(len(methods)) + 0.4 - height / 2, [METHODS[m] for m in methods])
    axes.invert_yaxis()
    axes.set_xlabel(up)
    _legend(axes)
    _saved(figure, path)


def _symmetry(found: Mapping[str, Any], what: str, path: Path) -> None:
    worst = "min" if what == "similarity" else "max"
    groups = {
        f"{kind}, {which}": {m: of[f"{which}_{what}"] for m, of in found[kind].items()}
        for kind in KINDS
        for which in ("mean", worst)
    }
    _grouped(groups, what, path)


def _clustering(found: Mapping[str, Any], path: Path) -> None:
    names = {"silhouette": "silhouette (higher is better)", "davies_bouldin": "Davies-Bouldin (lower is better)"}
    _grouped({title: {m: of[name] for m, of in found.items()} for name, title in names.items()}, "", path)


def _overall(results: Mapping[str, Any], path: Path) -> None:
    found = results["retrieval"]
    groups = {name: {m: of[name]["value"] for m, of in found.items()} for name in ("precision@1", "mAP")}
    groups["mAP, unseen tasks"] = {m: of["mAP"]["value"] for m, of in results["unseen"].items()}
    groups["mAP, XOR tasks"] = {m: of["mAP"]["value"] for m, of in results["controls"]["xor"].items()}
    _grouped(groups, "value", path)


def _history(found: Mapping[str, Any], part: str, title: str, path: Path) -> None:
    """The mean over seeds, and between which values they lie."""
    figure, axes = _axes(8)
    for colour, (method, of_method) in zip(COLOURS[::2], found.items(), strict=False):
        curves = np.array(of_method[part])
        epochs = np.arange(1, curves.shape[1] + 1)
        axes.fill_between(epochs, curves.min(0), curves.max(0), color=colour, alpha=0.2)
        axes.plot(epochs, curves.mean(0), color=colour, label=LEARNED[method])
    axes.set_xlabel("epoch")
    axes.set_ylabel(title)
    _legend(axes)
    _saved(figure, path)


def _picture(vectors: Floats, task: Ints, names: Sequence[str], title: str, path: Path) -> None:
    """Held-out networks in the plane by t-SNE (van der Maaten and Hinton 2008), each task in its colour."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        flat = TSNE(
            perplexity=min(PERPLEXITY, (len(vectors) - 1) / 3), init="pca", method="exact", max_iter=500, random_state=0
        ).fit_transform(vectors)
    figure, axes = _axes(7, 5)
    for number, name in enumerate(names):
        axes.scatter(flat[task == number, 0], flat[task == number, 1], s=14, color=COLOURS[number], label=name)
    axes.set_title(title)
    axes.set_xticks([])
    axes.set_yticks([])
    _legend(axes)
    _saved(figure, path)
