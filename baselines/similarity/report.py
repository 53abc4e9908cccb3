"""The experiment as one report: markdown, JSON and plots."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from baselines.similarity import evaluate, experiment, plots
from baselines.similarity.conclusions import conclusions, ends
from baselines.similarity.experiment import FOLDER, LEARNED, MAIN, METHODS
from baselines.similarity.metrics import AT
from baselines.similarity.schema import Config
from baselines.similarity.symmetry import KINDS
from baselines.similarity.transfer import BUDGETS, GALLERIES, MORE_STEPS, QUERY_STEPS

ZOOS = {
    "xor": "XOR tasks",
    "lineage": "one ancestor",
    "disjoint": "other antibodies",
    "shuffled": "shuffled labels",
}


def written(config: Config, say: Callable[[str], None] = lambda _: None) -> Path:
    """Run the experiment, and write it to `<out>/retrieval.md`, `retrieval.json` and the plots; where the page is.

    Raises:
        DataError: the data do not do, or a kept stage is damaged; with its name.
    """
    found = experiment.run(config, say)
    say("figures and plots")
    out = Path(config.out)
    with experiment.one_thread():
        results = evaluate.evaluated(found)
        plots.drawn(results, found, out / FOLDER)
    models = [fact for of in found.zoos.values() for fact in of.facts]
    pd.DataFrame(models).to_csv(out / FOLDER / "models.csv", index=False, lineterminator="\n")
    (out / "retrieval.json").write_text(json.dumps(results, indent=1, allow_nan=False) + "\n", encoding="utf-8")
    path = out / "retrieval.md"
    path.write_text(text(results), encoding="utf-8")
    return path


def text(results: Mapping[str, Any]) -> str:
    """The page, from what stands in the JSON."""
    sections = [
        ("Dataset statistics", _statistics(results)),
        ("Hyperparameters", _hyperparameters(results)),
        ("Retrieval performance", _retrieval(results)),
        ("Transfer learning performance", _transfer(results)),
        ("Symmetry robustness", _symmetry(results)),
        ("Clustering quality", _clustering(results)),
        ("Overall model comparison", [_image("overall", "precision@1 and mAP, on unseen and on XOR tasks")]),
        ("Embedding visualisations", _embeddings()),
        ("Training history", _history()),
        ("Conclusions", [f"- {sentence}" for sentence in conclusions(results)]),
        ("Limitations and future work", _limitations(results)),
    ]
    lines = ["# Retrieval over models", "", *_introduction(results)]
    for number, (title, body) in enumerate(sections, 1):
        lines += ["", f"## {number}. {title}", "", *body]
    return "\n".join(lines) + "\n"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """In markdown."""
    return [f"| {' | '.join(head)} |", "|---|" + "--:|" * (len(head) - 1), *(f"| {' | '.join(row)} |" for row in rows)]


def _image(name: str, what: str) -> str:
    return f"![{what}]({FOLDER}/{name}.svg)"


def _introduction(results: Mapping[str, Any]) -> list[str]:
    data, preset = results["data"], results["configuration"]["preset"]
    parts = ", ".join(f"{count} {name}" for name, count in data["parts"].items())
    return [
        f"Written by `apb-zoo retrieval preset={preset['name']}`. {preset['models']} networks of two hidden layers "
        f"were trained for {preset['tasks']} tasks made from {data['sequences']} heavy chains ({data['source']}; "
        f"{parts}), each network from its own random weights. {preset['held_out']:.0%} of each task's networks are "
        "held out: of each of these, the most similar held-out ones should be of its task.",
        "",
        "Intervals are at 95 %, by how tasks differ (Student's t with as many degrees of freedom as tasks less one). "
        "Values of several seeds are means; ± is the standard deviation over seeds.",
    ]


def _statistics(results: Mapping[str, Any]) -> list[str]:
    found = results["statistics"][MAIN]
    rows = []
    for name, value in found.items():
        if name == "missing":
            shown = ", ".join(f"{field} {count}" for field, count in value.items()) or "nothing"
        elif isinstance(value, dict):
            shown = ", ".join(f"{key} {count:,.0f}" for key, count in value.items())
        else:
            shown = f"{value:,}"
        rows.append((name, shown))
    accuracy = ", ".join(f"{name} {value:.2f}" for name, value in results["accuracy"][MAIN].items())
    return [
        *table(("Statistic", "Value"), rows),
        "",
        f"Each count adds up to {found['total_models']}. `missing` counts networks of which a field is not known; "
        "those of independent initialisation have no parent. "
        f"Accuracy on antibodies that no network saw, by task: {accuracy}.",
    ]


def _hyperparameters(results: Mapping[str, Any]) -> list[str]:
    training = results["configuration"]["preset"]["training"]
    sizes = [
        (of["title"], str(of["seeds"]), f"{of['parameters']:,}", f"{of['seconds']:.0f}")
        for m, of in results["methods"].items()
        if m in LEARNED
    ]
    return [
        *table(("Hyperparameter", "Value"), [(name, f"{value:g}") for name, value in training.items()]),
        "",
        *table(("Model", "Seeds", "Parameters", "Seconds of one core"), sizes),
        "",
        f"All methods, on controls and unseen tasks too, took {results['core_seconds'] / 60:.0f} minutes of one core.",
    ]


def _retrieval(results: Mapping[str, Any]) -> list[str]:
    found = results["retrieval"]
    columns = (*(f"precision@{k}" for k in AT), "mAP")
    ceilings = [f"{results['ceilings'][name]:.3f}" for name in columns[:-1]]
    first = [(METHODS[m], *(f"{of[name]['value']:.4f}" for name in columns)) for m, of in found.items()]
    more = (*(f"recall@{k}" for k in AT), *(f"f1@{k}" for k in AT), "r_precision")
    second = [(METHODS[m], *(f"{of[name]['value']:.3f}" for name in more)) for m, of in found.items()]
    return [
        *table(("Model", *columns), [*first, ("*Ceiling*", *ceilings, "1.000")]),
        "",
        "With intervals, and over seeds; then with every other network in the gallery, and of tasks that no encoder "
        "was trained on:",
        "",
        *_with_intervals(results),
        "",
        "Recall, F1 and precision among as many as there are:",
        "",
        *table(("Model", *more), second),
        "",
        *(_image(f"{name}_at_k", f"{name} at k") for name in ("precision", "recall", "f1")),
        _image("map", "mAP with intervals"),
        "",
        "### Controls",
        "",
        *_controls(results),
        "",
        "### EquivariantGNN less each other method",
        "",
        *_differences(results),
    ]


def _with_intervals(results: Mapping[str, Any]) -> list[str]:
    head = ("Model", "precision@1", "mAP", "mAP, full gallery", "precision@1, unseen tasks", "mAP, unseen tasks")
    rows = []
    for m, of in results["retrieval"].items():
        seeded = [
            ends(of[name]) + (f" ± {of[name]['seed_sd']:.3f}" if "seed_sd" in of[name] else "")
            for name in ("precision@1", "mAP")
        ]
        others = [results["full_gallery"][m]["mAP"], *(results["unseen"][m][name] for name in ("precision@1", "mAP"))]
        rows.append((METHODS[m], *seeded, *map(ends, others)))
    return table(head, rows)


def _controls(results: Mapping[str, Any]) -> list[str]:
    found = results["controls"]
    head = ("Model", *(f"{name}, {what}" for what in ZOOS.values() for name in ("precision@1", "mAP")))
    rows = [
        (METHODS[m], *(f"{found[kind][m][name]['value']:.3f}" for kind in ZOOS for name in ("precision@1", "mAP")))
        for m in METHODS
    ]
    chance = []
    for m, of in found["shuffled"].items():
        cells = []
        for name in ("precision@1", "mAP"):
            one = of[name]
            said = "inside" if one["inside"] else "OUTSIDE"
            cells.append(f"{one['first_seed']:.3f}, {said} {one['chance_low']:.3f} to {one['chance_high']:.3f}")
        chance.append((METHODS[m], *cells))
    return [
        "XOR tasks; all networks from one ancestor's weights; held-out networks that learned from other antibodies "
        "than those that encoders were trained on; and networks that learned shuffled labels:",
        "",
        *table(head, rows),
        "",
        "Where labels were shuffled, a first seed's values and between what they lie by chance, if tasks are dealt to "
        "the same embeddings anew; all intervals of a column hold together at 95 %:",
        "",
        *table(("Model", "precision@1", "mAP"), chance),
    ]


def _differences(results: Mapping[str, Any]) -> list[str]:
    seen, unseen = results["differences"]["seen"], results["differences"]["unseen"]
    names = ("precision@1", "mAP")
    rows = [(METHODS[m], *(ends(where[m][name], "+") for where in (seen, unseen) for name in names)) for m in seen]
    return table(("Model", *names, *(f"{name}, unseen tasks" for name in names)), rows)


def _transfer(results: Mapping[str, Any]) -> list[str]:
    found = results["transfer"]
    scratch = ", ".join(f"{found['scratch'][str(n)]['value']:.3f} from {n} labels" for n in BUDGETS)
    lines = [
        f"A query is a network trained on n labels for {QUERY_STEPS} steps. What it finds is trained on the same "
        f"labels for {MORE_STEPS} steps, and so is the query itself: its accuracy then, {scratch}, is taken from that "
        "of what was found. This gain stands below with its interval, and then how often a network of the query's own "
        "task was found."
    ]
    for gallery in GALLERIES:
        head = ("Model", *(f"Budget {n}" for n in BUDGETS))
        rows = [
            (name, *(f"{ends(of[str(n)], '+')}, {of[str(n)]['own_task']:.0%}" for n in BUDGETS))
            for name, of in found[gallery].items()
        ]
        lines += ["", f"With networks of the query's {gallery} the gallery:", "", *table(head, rows)]
    return [*lines, "", _image("transfer", "Gain in accuracy by budget")]


def _symmetry(results: Mapping[str, Any]) -> list[str]:
    lines = [
        "Held-out networks and equivalents of them, whose outputs on the panel were found equal to 1e-5 first. "
        "Distance is that of vectors of length 1.",
    ]
    names = ("mean_similarity", "min_similarity", "mean_distance", "max_distance")
    for kind in KINDS:
        rows = [(METHODS[m], *(f"{of[name]:.6f}" for name in names)) for m, of in results["symmetry"][kind].items()]
        title = {"permutation": "Permutation", "scaling": "Scaling", "both": "Permutation and scaling"}[kind]
        head = ("Model", "Mean Similarity", "Min Similarity", "Mean Distance", "Max Distance")
        lines += ["", f"{title}:", "", *table(head, rows)]
    images = [_image(f"symmetry_{name}", f"{name} under symmetries") for name in ("similarity", "distance")]
    return [*lines, "", *images]


def _clustering(results: Mapping[str, Any]) -> list[str]:
    found = results["clustering"]
    rows = [(METHODS[m], f"{of['silhouette']:.4f}", f"{of['davies_bouldin']:.4f}") for m, of in found.items()]
    return [
        *table(("Model", "Silhouette Score", "Davies-Bouldin Score"), rows),
        "",
        "The contrastive loss optimises such figures directly: they come second to retrieval.",
        "",
        _image("clustering", "Silhouette and Davies-Bouldin"),
    ]


def _embeddings() -> list[str]:
    return [
        "Held-out networks by t-SNE, of the first seed.",
        "",
        *(_image(f"embedding_{m}", METHODS[m]) for m in METHODS),
    ]


def _history() -> list[str]:
    titles = {"loss": "Loss", "contrastive": "Contrastive loss", "panel": "Loss of predicting scores on the panel"}
    return [_image(f"training_{name}", title) for name, title in titles.items()]


def _limitations(results: Mapping[str, Any]) -> list[str]:
    data = results["data"]
    found = [
        "- Networks are small, of one shape, and see 20 or so whitened descriptors; whether any of this holds for "
        "deeper networks, other activations or language models is not known.",
        f"- Intervals rest on {results['configuration']['preset']['tasks']} tasks, and with so few are rough. Several "
        "tasks ask about related properties.",
        "- Antibodies of the parts may be relatives: accuracies are no estimates for other antibodies.",
        "- Networks of one task mostly learned from the same antibodies: part of what is recognised may be these. The "
        "control with other antibodies has half as many for each network.",
        "- A supervised contrastive loss learns which tasks there are. Unseen tasks say what is left without that.",
        "- Encoders saw scores on the panel in training; at the test they see weights alone. Vectors of behaviour on "
        "the panel need the networks to be run.",
        "- One set of hyperparameters serves all encoders of weights; none was sought for each.",
    ]
    if data["source"] == "synthetic":
        made_up = (
            "- **The antibodies are synthetic, and their measured label follows a made-up rule**: figures say how the "
            "methods work, and nothing about antibodies. `data.train=FILE` takes real ones."
        )
        found.insert(0, made_up)
    return found
