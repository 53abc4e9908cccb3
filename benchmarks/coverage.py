"""How often each interval holds the true value, by simulation: `python -m benchmarks.coverage` writes the table.

Scores are binormal: negatives N(0, 1), positives N(d, 1), through the logistic function, cut at the middle. So every
metric has a true value, by formula or by integration. Class counts are those of the tracks, 7 and 391 (Shehata), 27 and
59, 91 and 46 (Jain), 70,000 each (Harvey's size), and smaller ones. The separation d goes as far as entries that are
perfect on most draws of a small track.
"""

from __future__ import annotations

import argparse
import csv
import math
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy import integrate, stats
from scipy.special import expit

from evaluator.contract.task_types import METRICS
from evaluator.scoring import metrics
from evaluator.scoring.scored import Estimate

ROOT = Path(__file__).resolve().parent.parent
TABLE, FIGURE = ROOT / "docs" / "coverage.csv", ROOT / "docs" / "coverage.svg"
SIZES = ((3, 9), (7, 391), (10, 30), (27, 59), (91, 46), (500, 500), (70_000, 70_000))
SEPARATIONS = (0.0, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 4.0)
ROWS, CORRELATIONS = (10, 48, 197, 400), (0.0, 0.5, 0.8, 0.9, 0.95, 0.99)
LEVEL = 0.95
SEED = 20_240_601
FAMILY_SIZE, SHARED = 5, 0.7
"""Of the runs with families: rows in each, and the share of a score's variance that a family has in common."""

Floats = npt.NDArray[np.float64]
Setting = tuple[int, int, float, str]


def area(separation: float) -> float:
    """The area under the ROC curve at this distance of the classes' means, in standard deviations."""
    return float(stats.norm.cdf(separation / math.sqrt(2)))


def truth_of(n1: int, n0: int, d: float) -> dict[str, float]:
    """The true value of every metric, at these class counts and this separation."""
    se = sp = float(stats.norm.cdf(d / 2))
    share = n1 / (n1 + n0)
    flagged = n1 * se + n0 * (1 - sp)

    def precision(x: float) -> float:
        above = share * stats.norm.sf(x - d)
        return float(above / (above + (1 - share) * stats.norm.sf(x))) if above else 1.0

    def of_class(mean: float, target: float) -> float:
        return float(
            integrate.quad(lambda x: (expit(x - d / 2) - target) ** 2 * stats.norm.pdf(x - mean), mean - 9, mean + 9)[0]
        )

    return {
        "roc_auc": area(d), "recall": se, "specificity": sp, "accuracy": se, "balanced_accuracy": se,
        "precision": n1 * se / flagged, "f1": 2 * n1 * se / (flagged + n1),
        "mcc": math.sqrt(n1 * n0) * (se + sp - 1) / math.sqrt(flagged * (n1 + n0 - flagged)),
        "average_precision": integrate.quad(lambda x: precision(x) * stats.norm.pdf(x - d), d - 9, d + 9)[0],
        "brier": share * of_class(d, 1) + (1 - share) * of_class(0, 0),
    }  # fmt: skip


def draw(rng: np.random.Generator, n: int, mean: float, families: bool) -> Floats:
    """Scores of one class; in families, each row's score is in part its family's."""
    own = rng.normal(size=n)
    if families:
        common = np.repeat(rng.normal(size=-(-n // FAMILY_SIZE)), FAMILY_SIZE)[:n]
        own = math.sqrt(SHARED) * common + math.sqrt(1 - SHARED) * own
    return np.asarray(expit(mean + own))


def estimates(setting: Setting, rng: np.random.Generator) -> dict[str, Estimate]:
    """Every metric of one simulated entry. `setting` is (n1, n0, separation, independent | families | ignored)."""
    n1, n0, d, rows = setting
    scores = np.r_[draw(rng, n1, d / 2, rows != "independent"), draw(rng, n0, -d / 2, rows != "independent")]
    truth = np.r_[np.ones(n1), np.zeros(n0)].astype(np.int8)
    families = None
    if rows == "families":
        first = np.arange(n1) // FAMILY_SIZE
        families = np.r_[first, first[-1] + 1 + np.arange(n0) // FAMILY_SIZE]
    return metrics.score(truth, scores, (scores > 0.5).astype(np.int8), LEVEL, families).metrics


def correlation(n: int, rho: float, rng: np.random.Generator) -> Estimate:
    """Spearman's of one simulated entry with bivariate normal target and score."""
    target = rng.normal(size=n)
    score = rho * target + math.sqrt(1 - rho * rho) * rng.normal(size=n)
    return metrics.score(target, score, None, LEVEL).metrics["spearman"]


def simulate(setting: Setting, times: int) -> list[dict[str, object]]:
    """One row a metric: how often its interval held the true value, and how often that lay below or above."""
    n1, n0, d, rows = setting
    true = truth_of(n1, n0, d)
    rng = np.random.default_rng([SEED, n1, round(d * 100), len(rows)])
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in true}
    for _ in range(times):
        for name, e in estimates(setting, rng).items():
            if e.low is not None and e.high is not None:
                found[name].append((e.low, e.high))
    return [_row(name, n1, n0, d, rows, true[name], ends) for name, ends in found.items()]


def simulate_spearman(n: int, rho: float, times: int) -> list[dict[str, object]]:
    """The same for a rank correlation of bivariate normal rows, whose true value is 6/pi asin(rho / 2)."""
    rng = np.random.default_rng([SEED, n, round(rho * 100)])
    ends = [(e.low, e.high) for e in (correlation(n, rho, rng) for _ in range(times)) if e.low is not None]
    true = 6 / math.pi * math.asin(rho / 2)
    return [_row("spearman", n, 0, rho, "independent", true, [(lo, hi) for lo, hi in ends if hi is not None])]


def _row(
    name: str, n1: int, n0: int, strength: float, rows: str, true: float, ends: list[tuple[float, float]]
) -> dict[str, object]:
    low, high = np.array(ends).T
    slack = 1e-12
    return {
        "metric": name, "positives": n1, "negatives": n0, "separation": strength, "rows": rows, "true": f"{true:.4f}",
        "covered": f"{np.mean((low <= true + slack) & (true <= high + slack)):.4f}",
        "true_below": f"{np.mean(true < low - slack):.4f}", "true_above": f"{np.mean(true > high + slack):.4f}",
        "width": f"{np.mean(high - low):.4f}", "simulations": len(ends),
    }  # fmt: skip


def figure(rows: list[dict[str, object]]) -> str:
    """One panel a metric, coverage over separation, one line a track size; the band is 93 to 97 %."""
    colours = {
        "3": "#E69F00", "7": "#D55E00", "10": "#56B4E9", "27": "#0072B2", "91": "#000000", "70000": "#009E73",
        "families": "#CC79A7",
    }  # fmt: skip
    names = list(dict.fromkeys(str(r["metric"]) for r in rows if r["negatives"]))
    wide, high, across = 190, 130, 5
    parts = []
    for k, name in enumerate(names):
        x0, y0 = 40 + k % across * wide, 50 + k // across * (high + 40)

        def y(covered: float, y0: int = y0) -> float:
            return y0 + (1 - max(covered, 0.85)) / 0.15 * high

        def x(d: float, x0: int = x0) -> float:
            return x0 + d / SEPARATIONS[-1] * (wide - 45)

        parts.append(f'<text x="{x0}" y="{y0 - 6}" font-weight="bold">{METRICS[name].title}</text>')
        parts.append(
            f'<rect x="{x0}" y="{y(0.97):.1f}" width="{wide - 45}" height="{y(0.93) - y(0.97):.1f}" fill="#ddd"/>'
        )
        parts += [f'<text x="{x0 - 4}" y="{y(c) + 3:.1f}" text-anchor="end">{c:.0%}</text>' for c in (0.85, 0.95, 1.0)]
        parts += [
            f'<text x="{x(a):.1f}" y="{y0 + high + 12}" text-anchor="middle">{a:g}</text>' for a in (0, 1, 2, 3, 4)
        ]
        for key, colour in colours.items():
            line = [
                f"{x(float(str(r['separation']))):.1f},{y(float(str(r['covered']))):.1f}"
                for r in rows
                if r["metric"] == name
                and ((r["rows"], str(r["positives"])) == ("independent", key) or r["rows"] == key)
            ]
            parts.append(f'<polyline points="{" ".join(line)}" fill="none" stroke="{colour}" stroke-width="1.5"/>')
    legend = {str(n1): f"{n1:,} + {n0:,}" for n1, n0 in SIZES} | {"families": "50 families of 5"}
    legend = {key: legend[key] for key in colours}
    for k, (key, label) in enumerate(legend.items()):
        parts.append(f'<text x="{40 + k * 125}" y="20" fill="{colours[key]}">&#9473; {label}</text>')
    size = f"{60 + across * wide} {60 + -(-len(names) // across) * (high + 40)}"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {size}" font-family="sans-serif" font-size="10">'
        "<title>Share of simulations in which the 95 % interval holds the true value, over the separation</title>"
        f'<rect width="100%" height="100%" fill="white"/>{"".join(parts)}</svg>\n'
    )


def _jobs(times: int) -> Iterator[tuple[str, Setting, int]]:
    for n1, n0 in reversed(SIZES):  # the longest first
        for d in SEPARATIONS:
            yield "classes", (n1, n0, d, "independent"), times if n1 < 1000 else max(times // 4, 1)
    for d in SEPARATIONS:
        for rows in ("families", "ignored"):
            yield "classes", (100, 150, d, rows), times
    for n in ROWS:
        for rho in CORRELATIONS:
            yield "ranks", (n, 0, rho, ""), times


def _simulate(job: tuple[str, Setting, int]) -> list[dict[str, object]]:
    kind, setting, times = job
    return simulate(setting, times) if kind == "classes" else simulate_spearman(setting[0], setting[2], times)


def main() -> None:
    """Write docs/coverage.csv, which the site shows, and docs/coverage.svg."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--simulations", type=int, default=4000, help="per setting; a quarter for the large one")
    parser.add_argument("--out", type=Path, help="a folder for both files, to try things out")
    options = parser.parse_args()
    with ProcessPoolExecutor() as pool:
        rows = [row for some in pool.map(_simulate, _jobs(options.simulations)) for row in some]
    table, drawing = (options.out / path.name if options.out else path for path in (TABLE, FIGURE))
    with table.open("w", newline="") as target:
        writer = csv.DictWriter(target, rows[0].keys(), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    drawing.write_text(figure(rows))
    inside = sum(0.93 <= float(str(r["covered"])) <= 0.97 for r in rows if r["rows"] != "ignored")
    print(f"{inside} of {sum(r['rows'] != 'ignored' for r in rows)} intervals cover 93 to 97 %: {table}, {drawing}")


if __name__ == "__main__":
    main()
