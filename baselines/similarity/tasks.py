"""Tasks made from antibodies: what a small network sees of a sequence, and what it is asked to tell.

Inputs are the descriptors of `composition`, standardised and whitened. A task asks which half a sequence is in by one
property; a task of the XOR kind, whether it is in the upper half by exactly one of two.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from baselines.errors import DataError
from baselines.predicting.composition import FEATURES, features
from baselines.training.data import read_training_set
from baselines.training.synthetic import antibodies

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
PARTS = {"zoo": 0.5, "panel": 0.1, "few": 0.15, "test": 0.25}
"""Shares of the sequences: what zoos learn from, the unlabelled panel, few labels of a query, and what scores it."""
FEWEST = 700
"""Sequences; with fewer there are no 100 labels for a query."""
SMALLEST_VARIANCE = 1e-2
"""Of a principal component of the standardised descriptors that is an input; fractions add up to 1."""
LOOP = re.compile(r"C(\w{2,40}?)[WF]G.G")
SYNTHETIC_SEED = 3


def cdr3(sequence: str) -> str:
    """The third loop of a heavy chain, about: from behind the second cysteine to before the motif [WF]GxG.

    Where there is no such motif, what stands between the usual lengths of the frameworks.
    """
    found = LOOP.search(sequence, 80)
    return found[1] if found else sequence[96:-11]


def _feature(name: str, of: Callable[[str], str] = str) -> Callable[[str], float]:
    number = FEATURES.index(name)
    return lambda sequence: features(of(sequence))[number]


PROPERTIES: dict[str, tuple[str, Callable[[str], float]]] = {
    "net charge": ("whole domain", _feature("net_charge")),
    "CDR3 length": ("third loop", _feature("length", cdr3)),
    "hydropathy": ("whole domain", _feature("mean_hydropathy")),
    "aromatic residues": ("whole domain", _feature("fraction_aromatic")),
    "VH3-like": ("germline", lambda sequence: float("SGGG" in sequence[:14])),
    "serine": ("whole domain", _feature("fraction_S")),
    "CDR3 charge": ("third loop", _feature("net_charge", cdr3)),
    "CDR3 tyrosine": ("third loop", _feature("fraction_Y", cdr3)),
    "CDR3 hydropathy": ("third loop", _feature("mean_hydropathy", cdr3)),
    "glycine": ("whole domain", _feature("fraction_G")),
    "threonine": ("whole domain", _feature("fraction_T")),
}
"""The type of a task, and the property that it asks about."""
MEASURED = "polyreactivity"
MAIN = (MEASURED, *(name for name in PROPERTIES if name not in {"glycine", "threonine"}))
XOR = (
    *(("net charge", "hydropathy"), ("net charge", "serine"), ("aromatic residues", "serine")),
    *(("net charge", "glycine"), ("hydropathy", "glycine"), ("aromatic residues", "net charge")),
    *(("serine", "threonine"), ("glycine", "threonine")),
)


@dataclass(frozen=True, eq=False)
class Tasks:
    """Sequences as numbers, and their labels for each task.

    Attributes:
        source: `boughter`, `synthetic` or `other`.
        inputs: [sequences, width] whitened.
        names, types: of the tasks.
        labels: [tasks, sequences] 0/1.
        xor_names: of the tasks of two properties each.
        xor_labels: [tasks, sequences] 0/1.
        parts: rows of each part.
    """

    source: str
    sha256: str
    inputs: Floats
    names: tuple[str, ...]
    types: tuple[str, ...]
    labels: Ints
    xor_names: tuple[str, ...]
    xor_labels: Ints
    parts: dict[str, Ints]

    def described(self) -> dict[str, Any]:
        """What the report tells of the data."""
        return {
            "source": self.source,
            "sha256": self.sha256,
            "sequences": len(self.inputs),
            "inputs": self.inputs.shape[1],
            "parts": {name: len(rows) for name, rows in self.parts.items()},
            "positives": dict(zip(self.names, self.labels.mean(1).round(4).tolist(), strict=True)),
        }


@cache
def made(train: Path | None, synthetic: int, tasks: int, seed: int) -> Tasks:
    """Tasks from a training set, or from synthetic antibodies.

    Args:
        tasks: how many, in the order of `MAIN`.
        seed: of the split of the sequences.

    Raises:
        DataError: the file holds no training set, there are too few sequences, or a property is the same for all.
    """
    if train is None:
        table = antibodies(synthetic, SYNTHETIC_SEED)
        source, sequences, labels = "synthetic", list(table["sequence"]), table["label"].to_numpy()
        digest = hashlib.sha256("\n".join(sequences).encode()).hexdigest()
    else:
        known = read_training_set(train)
        source, sequences, labels, digest = known.name, list(known.sequences), np.array(known.labels), known.sha256
    if len(sequences) < FEWEST:
        raise DataError(f"{train or 'data.synthetic'}: {len(sequences)} sequences; {FEWEST} are needed at least.")
    halves = {MEASURED: labels.astype(np.int64)}
    halves |= {name: _upper_half(name, np.array([f(s) for s in sequences])) for name, (_, f) in PROPERTIES.items()}
    parts = _parts(len(sequences), seed)
    names = MAIN[:tasks]
    pairs = XOR[: min(tasks, len(XOR))]
    return Tasks(
        source,
        digest,
        _whitened(np.array([features(s) for s in sequences]), parts["zoo"]),
        names,
        tuple("measured" if name == MEASURED else PROPERTIES[name][0] for name in names),
        np.stack([halves[name] for name in names]),
        tuple(f"{a} XOR {b}" for a, b in pairs),
        np.stack([halves[a] ^ halves[b] for a, b in pairs]),
        parts,
    )


def _upper_half(name: str, values: Floats) -> Ints:
    """Above the median, or not below it: whichever is nearer to one half."""
    cut = np.median(values)
    upper = min((values > cut, values >= cut), key=lambda half: abs(half.mean() - 0.5))
    if not 0.05 < upper.mean() < 0.95:
        raise DataError(f"The task '{name}' cannot be made of these sequences: nearly all are alike in it.")
    return upper.astype(np.int64)


def _parts(count: int, seed: int) -> dict[str, Ints]:
    order = np.random.default_rng(seed).permutation(count)
    ends = np.floor(np.cumsum(list(PARTS.values())) * count + 1e-6).astype(int)[:-1]
    return {name: np.sort(rows) for name, rows in zip(PARTS, np.split(order, ends), strict=True)}


def _whitened(described: Floats, known: Ints) -> Floats:
    """[sequences, width] by the principal components of some rows, each with spread 1."""
    spread = described[known].std(0)
    scaled = (described - described[known].mean(0)) / np.where(spread > 0, spread, np.inf)
    variances, axes = np.linalg.eigh(np.cov(scaled[known].T))
    kept = variances > SMALLEST_VARIANCE
    found: Floats = scaled @ (axes[:, kept] / np.sqrt(variances[kept]))
    return found
