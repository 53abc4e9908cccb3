"""ROC and precision-recall curves for drawing, as finely as a track's disclosure allows."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from evaluator.scoring.scored import Scored


def full(x: Scored, points: int) -> dict[str, dict[str, list[float]]] | None:
    """ROC and precision-recall curves for drawing, thinned to at most `points` vertices; None with one class only."""
    if not x.n1 or not x.n0:
        return None
    fp, tp = x.thresholds
    keep = np.unique(np.linspace(0, len(tp) - 1, min(points - 1, len(tp))).round().astype(int))
    keep[-1] = len(tp) - 1
    fpr, tpr = fp[keep] / x.n0, tp[keep] / x.n1
    ppv = tp[keep] / (tp[keep] + fp[keep])
    return {
        "roc": {"fpr": _short([0.0, *fpr]), "tpr": _short([0.0, *tpr])},
        "pr": {"recall": _short([0.0, *tpr]), "precision": _short([float(ppv[0]), *ppv])},
    }


def coarse(x: Scored) -> dict[str, dict[str, list[float]]] | None:
    """ROC and precision-recall curves on a fixed grid of eleven points, to 3 decimals; None with one class only.

    A full curve of a small set gives away its labels to whoever knows their own scores (docs/hidden-tracks.md). Between
    vertices the ROC curve is linear; precision at recall r is the best at any recall of r or more.
    """
    if not x.n1 or not x.n0:
        return None
    fp, tp = x.thresholds
    grid = np.linspace(0, 1, 11)
    tpr = np.interp(grid, np.append(0, fp / x.n0), np.append(0, tp / x.n1))
    reached, precision_there = tp / x.n1, tp / (tp + fp)
    best = [float(precision_there[reached >= r - 1e-12].max()) for r in grid]
    return {
        "roc": {"fpr": _short(grid, 1), "tpr": _short(tpr, 3)},
        "pr": {"recall": _short(grid, 1), "precision": _short(best, 3)},
    }


def _short(values: Iterable[float], decimals: int = 5) -> list[float]:
    return [round(float(v), decimals) for v in values]
