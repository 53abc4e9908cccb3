"""Conclusions out of the figures: a sentence says "outperforms" only where an interval excludes 0."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from baselines.similarity.evaluate import REFERENCE
from baselines.similarity.experiment import METHODS
from baselines.similarity.transfer import BUDGETS, GALLERIES, LIKELIEST

AIMS = {"precision@1": 0.98, "mAP": 0.95}
STILL = 1e-5


def ends(of_one: Mapping[str, float], sign: str = "") -> str:
    """A value with its interval."""
    return f"{of_one['value']:{sign}.3f} ({of_one['low']:{sign}.3f} to {of_one['high']:{sign}.3f})"


def verdict(difference: Mapping[str, float]) -> str:
    """What may be said of a difference between the reference and another method."""
    if difference["low"] > 0:
        return "outperforms"
    return "is outperformed by" if difference["high"] < 0 else "cannot be told apart from"


def conclusions(results: Mapping[str, Any]) -> list[str]:
    """A sentence or two each."""
    return [
        _aims(results),
        _compared(results["differences"]["seen"], "On held-out models of seen tasks"),
        _unseen(results),
        _compared(results["differences"]["unseen"], "On unseen tasks"),
        _symmetry(results),
        _shuffled(results),
        _xor(results),
        _lineage(results),
        _disjoint(results),
        *_transfer(results["transfer"]),
    ]


def _aims(results: Mapping[str, Any]) -> str:
    found, seeds = results["retrieval"][REFERENCE], results["methods"][REFERENCE]["seeds"]
    reached = all(found[name]["value"] >= aim for name, aim in AIMS.items())
    aims = " and ".join(f"{name} {aim:.2f}" for name, aim in AIMS.items())
    values = ", ".join(f"{name} {ends(found[name])}" for name in AIMS)
    return (
        f"{METHODS[REFERENCE]} on held-out models of seen tasks, over {seeds} seed{'s' * (seeds > 1)}: {values}. "
        f"The aim, {aims}, is {'reached' if reached else 'missed'}."
    )


def _compared(differences: Mapping[str, Any], where: str) -> str:
    groups: dict[str, list[str]] = {}
    for method, of_method in differences.items():
        groups.setdefault(verdict(of_method["mAP"]), []).append(f"{METHODS[method]} {ends(of_method['mAP'], '+')}")
    said = "; it ".join(f"{word} {', '.join(names)}" for word, names in groups.items())
    return f"{where}, by mAP and its difference, {METHODS[REFERENCE]} {said}."


def _unseen(results: Mapping[str, Any]) -> str:
    found, seen = results["unseen"], results["retrieval"]
    told = (
        f"{METHODS[m]} {ends(found[m]['mAP'])}" for m in (REFERENCE, "transformer_canonical", "behaviour", "random")
    )
    lost = seen[REFERENCE]["mAP"]["value"] - found[REFERENCE]["mAP"]["value"]
    return (
        f"Tasks that no encoder was trained on, mAP: {', '.join(told)}. {METHODS[REFERENCE]} has {lost:.3f} less there "
        "than on seen tasks, with other galleries: what it learns is partly which tasks there are."
    )


def _symmetry(results: Mapping[str, Any]) -> str:
    least = {m: of["min_similarity"] for m, of in results["symmetry"]["both"].items()}
    still = [METHODS[m] for m, value in least.items() if value >= 1 - STILL]
    others = [f"{METHODS[m]} {value:.3f}" for m, value in least.items() if value < 1 - STILL]
    return (
        f"Permuted and scaled, networks keep their embeddings to 1e-5 under {', '.join(still)}. "
        f"The lowest similarity under the others: {', '.join(others)}."
    )


def _shuffled(results: Mapping[str, Any]) -> str:
    found = results["controls"]["shuffled"]
    outside = [f"{METHODS[m]} {name}" for m, of in found.items() for name, one in of.items() if not one["inside"]]
    inside = "all methods lie" if not outside else f"all lie but {', '.join(outside)}"
    return f"Where networks learned shuffled labels, {inside} inside the interval of chance, for precision@1 and mAP."


def _xor(results: Mapping[str, Any]) -> str:
    found = results["controls"]["xor"]
    told = (f"{METHODS[m]} {ends(found[m]['mAP'])}" for m in (REFERENCE, "product", "behaviour"))
    return f"On XOR tasks, whose answer no linear function gives, mAP: {', '.join(told)}."


def _lineage(results: Mapping[str, Any]) -> str:
    own, shared = results["retrieval"]["pca"]["mAP"], results["controls"]["lineage"]["pca"]["mAP"]
    return (
        f"PCA of weights as they stand has mAP {ends(own)} between independent networks and {ends(shared)} between "
        "those of one ancestor: what it compares is lineage."
    )


def _disjoint(results: Mapping[str, Any]) -> str:
    found = results["controls"]["disjoint"]
    told = (f"{METHODS[m]} {ends(found[m]['mAP'])}" for m in (REFERENCE, "product", "behaviour"))
    return f"Where held-out networks learned from other antibodies than the rest, mAP: {', '.join(told)}."


def _transfer(found: Mapping[str, Any]) -> list[str]:
    said = []
    for gallery in GALLERIES:
        gains = []
        for n in map(str, BUDGETS):
            own, likely = found[gallery][METHODS[REFERENCE]][n], found[gallery][LIKELIEST][n]
            gains.append(f"{n} labels {ends(own, '+')}, likelihood {ends(likely, '+')}")
        said.append(
            f"Starting from what {METHODS[REFERENCE]} finds, {gallery}, gains accuracy on starting from scratch by "
            f"{'; '.join(gains)}."
        )
    return said
