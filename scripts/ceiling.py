"""What replicates of an assay agree on, for a track file: `python -m scripts.ceiling FILE COLUMN COLUMN ...`."""

from __future__ import annotations

import argparse
import math
from collections.abc import Sequence
from itertools import combinations
from pathlib import Path

import numpy as np
import scipy

from evaluator.contract.arrays import Floats
from evaluator.contract.tables import read_csv
from evaluator.scoring import influence

LEVEL = 0.95


def agreement(replicates: Sequence[Floats]) -> tuple[float, float, float]:
    """Mean rank correlation of all pairs of replicates, and its interval by the rows' influences, on Fisher's z scale.

    Args:
        replicates: two or more, [n] each.
    """
    pairs = list(combinations(replicates, 2))
    value = float(np.mean([influence.rank_correlation(a, b) for a, b in pairs]))
    of_rows = np.mean([influence.spearman(a, b) for a, b in pairs], axis=0)
    n = len(of_rows)
    error = math.sqrt(float(of_rows @ of_rows) * n / (n - 1)) / (1 - value**2)
    half = float(scipy.special.stdtrit(n - 1, 0.5 + LEVEL / 2)) * error
    z = math.atanh(value)
    return value, math.tanh(z - half), math.tanh(z + half)


def main() -> None:
    """Print the lines of a track file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", type=Path)
    parser.add_argument("columns", nargs="+")
    options = parser.parse_args()
    table = read_csv(options.file)
    value, low, high = agreement([np.array(table[name], dtype=np.float64) for name in options.columns])
    print(f"ceiling:\n  value: {value:.4f}\n  low: {low:.4f}\n  high: {high:.4f}")


if __name__ == "__main__":
    main()
