"""What the simple models see: positions of a landscape, descriptors or embeddings of a panel.

Nothing here is estimated from queries: means and spreads are those of the support.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from baselines.few_shot.episodes import Antibody, Floats
from baselines.predicting.composition import AMINO_ACIDS, FEATURES, HYDROPATHY, features
from baselines.predicting.features import Features

OTHER = len(AMINO_ACIDS)
"""The number of every letter that is none of the twenty amino acids."""
_NUMBERS = np.full(128, OTHER, dtype=np.int64)
_NUMBERS[[ord(a) for a in AMINO_ACIDS]] = range(len(AMINO_ACIDS))
# In the order of AMINO_ACIDS: volumes in cubic angstrom, Zamyatnin 1972, Prog. Biophys. Mol. Biol. 24:107; helix
# propensities in kcal/mol, Pace and Scholtz 1998, Biophys. J. 75:422.
VOLUME = (88.6, 108.5, 111.1, 138.4, 189.9, 60.1, 153.2, 166.7, 168.6, 166.7,
          162.9, 114.1, 112.7, 143.8, 173.4, 89.0, 116.1, 140.0, 227.8, 193.6)  # fmt: skip
HELIX = (0.0, 0.68, 0.69, 0.40, 0.54, 1.0, 0.61, 0.41, 0.26, 0.21,
         0.24, 0.65, 3.16, 0.39, 0.21, 0.50, 0.66, 0.61, 0.49, 0.53)  # fmt: skip


def _properties() -> Floats:
    raw = np.array(
        [
            [HYDROPATHY[a] for a in AMINO_ACIDS],
            VOLUME,
            [float(a in "KR") - float(a in "DE") for a in AMINO_ACIDS],
            [float(a in "FWY") for a in AMINO_ACIDS],
            HELIX,
        ]
    ).T
    return np.vstack([(raw - raw.mean(0)) / raw.std(0), np.zeros(raw.shape[1])])


PROPERTIES = _properties()
"""[21, 5] hydropathy, volume, charge, aromaticity and helix propensity, standardised; zeros for `OTHER`."""
DESCRIPTORS = 2 * len(FEATURES)


def numbers(sequences: Sequence[str]) -> npt.NDArray[np.int64]:
    """[n, length] which amino acid each residue of equally long sequences is."""
    text = np.frombuffer("".join(sequences).encode("ascii"), dtype=np.uint8)
    return _NUMBERS[text].reshape(len(sequences), -1)


def one_hot(variants: Sequence[str]) -> Floats:
    """[n, 20 * length] of equally long sequences."""
    return np.eye(OTHER + 1)[numbers(variants)][..., :OTHER].reshape(len(variants), -1)


def with_properties(variants: Sequence[str]) -> Floats:
    """One-hot, and the properties of the residue at each position: [n, 25 * length]."""
    return np.hstack([one_hot(variants), PROPERTIES[numbers(variants)].reshape(len(variants), -1)])


def hamming(a: Sequence[str], b: Sequence[str]) -> Floats:
    """[len(a), len(b)] at how many positions equally long sequences differ."""
    first, second = numbers(a), numbers(b)
    return np.stack([(second != row).sum(1) for row in first]).astype(np.float64)


def descriptors(antibodies: Sequence[Antibody]) -> Floats:
    """[n, 48] of heavy and light chain side by side; NaN where there is no light chain."""
    missing = [np.nan] * len(FEATURES)
    rows = [[*features(a.heavy), *(features(a.light) if a.light else missing)] for a in antibodies]
    return np.array(rows, dtype=np.float64).reshape(-1, DESCRIPTORS)


class Embeddings:
    """Mean embeddings of a language model, each heavy chain's computed once in a run: tasks share antibodies.

    Light chains are left out: they would double what a run takes, and nanobodies have none.

    Args:
        backbone: a name, or the path of a checkpoint.
    """

    def __init__(self, backbone: str) -> None:
        self.backbone = Features([backbone])
        self.known: dict[str, Floats] = {}

    def of(self, antibodies: Sequence[Antibody]) -> Floats:
        """[n, width] of heavy chains."""
        if new := [chain for chain in dict.fromkeys(a.heavy for a in antibodies) if chain not in self.known]:
            self.known.update(zip(new, self.backbone.matrix(new), strict=True))
        return np.stack([self.known[a.heavy] for a in antibodies])


def standardised(support: Floats, queries: Floats) -> tuple[Floats, Floats]:
    """Both by the support's means and spreads, column by column.

    Zero stands for what is missing, and in both for columns that do not vary in the support.
    """
    known = ~np.isnan(support)
    count = np.maximum(known.sum(0), 1)
    mean = np.where(known, support, 0.0).sum(0) / count
    spread = np.sqrt((np.where(known, support - mean, 0.0) ** 2).sum(0) / count)
    scale = np.where(spread > 1e-9, spread, np.inf)
    return np.nan_to_num((support - mean) / scale, nan=0.0), np.nan_to_num((queries - mean) / scale, nan=0.0)
