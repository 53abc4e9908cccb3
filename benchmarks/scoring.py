"""Scoring 141,021 rows, and comparing many entries in pairs, against what a user would write."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn import metrics as sk

from evaluator.scoring import metrics, ranking

DATA = Path(__file__).resolve().parents[2] / "shared" / "data" / "reference"
N1, N0 = 71_759, 69_262
RESAMPLES, TIMED_RESAMPLES = 1000, 5
SKLEARN: tuple[Callable[..., object], ...] = (
    sk.accuracy_score, sk.precision_score, sk.recall_score, sk.f1_score, sk.matthews_corrcoef,
    sk.balanced_accuracy_score, sk.confusion_matrix,
)  # fmt: skip
SKLEARN_OF_SCORES: tuple[Callable[..., object], ...] = (
    sk.roc_auc_score, sk.average_precision_score, sk.brier_score_loss,
)  # fmt: skip

Classes = npt.NDArray[np.int8]
Floats = npt.NDArray[np.float64]


def table() -> tuple[str, Classes, Floats, Classes]:
    """Real predictions where they are at hand, else synthetic ones of the same size."""
    path = DATA / "harvey_esm1v.csv.gz"
    if path.is_file():
        p = pd.read_csv(path)
        labels = pd.read_csv(DATA / "harvey_labels.csv.gz")
        truth = labels["label"].to_numpy(np.int8)
        return path.name, truth, p["score"].to_numpy(), p["prediction"].to_numpy(np.int8)
    rng = np.random.default_rng(0)
    truth = np.r_[np.ones(N1), np.zeros(N0)].astype(np.int8)
    score = 1 / (1 + np.exp(-rng.normal(truth - 0.5, 1.0)))
    return "synthetic", truth, score, (score > 0.5).astype(np.int8)


def best(action: Callable[[], object], times: int = 7) -> float:
    """Shortest of several timings, in seconds."""
    found = []
    for _ in range(times):
        begun = time.perf_counter()
        action()
        found.append(time.perf_counter() - begun)
    return min(found)


def with_sklearn(truth: Classes, score: Floats, predicted: Classes) -> None:
    """Every point value, as a user would compute them."""
    for function in SKLEARN:
        function(truth, predicted)
    sk.recall_score(truth, predicted, pos_label=0)
    for function in SKLEARN_OF_SCORES:
        function(truth, score)


def all_pairs(m: int, n1: int, n0: int) -> float:
    """Seconds for tiers and rank intervals of m entries."""
    rng = np.random.default_rng(0)
    truth = np.r_[np.ones(n1), np.zeros(n0)].astype(np.int8)
    shared = rng.normal(size=n1 + n0)
    scores = np.stack([shared + rng.normal(size=n1 + n0) + truth * rng.uniform(0, 1) for _ in range(m)])
    return best(lambda: ranking.rank(ranking.compare(truth, scores)), times=1)


def main() -> None:
    """Print the table."""
    name, truth, score, predicted = table()
    ours = best(lambda: metrics.score(truth, score, predicted))
    argsort = best(lambda: np.argsort(score))
    sklearn = best(lambda: with_sklearn(truth, score, predicted), times=3)
    rng = np.random.default_rng(0)

    def resample() -> None:
        rows = rng.integers(0, len(truth), len(truth))
        with_sklearn(truth[rows], score[rows], predicted[rows])

    bootstrap = best(resample, TIMED_RESAMPLES) * RESAMPLES
    print(f"{name}, {len(truth):,} rows: every metric with its interval in {ours * 1000:.0f} ms")
    print(f"  (a) one numpy.argsort              {argsort * 1000:9.0f} ms   ours takes {ours / argsort:8.1f} x as long")
    print(f"  (b) scikit-learn, point values     {sklearn * 1000:9.0f} ms   ours takes {ours / sklearn:8.2f} x as long")
    print(f"  (c) bootstrap, {RESAMPLES} resamples    {bootstrap:9.0f} s    ours is {bootstrap / ours:11,.0f} x faster")
    print(f"      (timed on {TIMED_RESAMPLES} resamples and scaled)")
    print(f"all pairs, tiers, rank intervals: 300 entries x {N1 + N0:,} rows {all_pairs(300, N1, N0):.1f} s; ", end="")
    print(f"2,000 entries x 398 rows {all_pairs(2000, 7, 391):.1f} s")


if __name__ == "__main__":
    main()
