"""Which residues of a variable domain are CDRs: IMGT numbering by ANARCII, whose weights come with its package.

Greenshields-Watson et al. 2025, bioRxiv 2025.04.16.648720 (ANARCII); Lefranc et al. 2003, Dev. Comp. Immunol. 27:55.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib import metadata
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from baselines.errors import DataError

REGIONS = ("cdr1", "cdr2", "cdr3", "framework")
CDRS = ((27, 38), (56, 65), (105, 117))
"""First and last position of each CDR in IMGT's numbering."""
FRAMEWORK, OUTSIDE = len(CDRS), -1
AT_ONCE = 512
Labels = npt.NDArray[np.int8]


def version() -> str:
    """Of what numbers residues; `none` where it is not installed."""
    try:
        return metadata.version("anarcii")
    except metadata.PackageNotFoundError:
        return "none"


def of(sequences: Sequence[str]) -> list[Labels]:
    """The region of each residue, by its place in `REGIONS`; -1 outside the variable domain, or where none is found.

    Args:
        sequences: clean ones, of heavy or light chains.

    Raises:
        DataError: ANARCII is not installed.
    """
    try:
        from anarcii import Anarcii
    except ImportError as error:
        raise DataError("anarcii, which numbers residues, is not installed: pip install '.[baselines]'") from error
    threads = torch.get_num_threads()
    numbers = Anarcii(seq_type="antibody", batch_size=64, cpu=True, ncpu=threads, mode="accuracy", verbose=False)
    found: list[Labels] = []
    try:
        for at in range(0, len(sequences), AT_ONCE):
            some = {f"s{k}": text for k, text in enumerate(sequences[at : at + AT_ONCE])}
            numbered = numbers.number(some)
            found += [_labels(text, numbered.get(name) or {}) for name, text in some.items()]
    finally:
        torch.set_num_threads(threads)
    return found


def means(residues: npt.NDArray[np.float32], labels: Labels) -> npt.NDArray[np.float32]:
    """The mean over each region, side by side, [4 * width]; a region that is not there has the mean over all residues.

    Args:
        residues: [residues, width].
        labels: [residues].
    """
    every = residues.mean(0)
    parts = [residues[labels == k].mean(0) if (labels == k).any() else every for k in range(len(REGIONS))]
    return np.concatenate(parts)


def _labels(text: str, numbered: dict[str, Any]) -> Labels:
    labels = np.full(len(text), OUTSIDE, dtype=np.int8)
    place = numbered.get("query_start")
    if numbered.get("error") or place is None:
        return labels
    for (position, _insertion), letter in numbered["numbering"]:
        if letter == "-":
            continue
        if place >= len(text) or text[place] != letter:  # it has numbered something else than it was given
            return np.full(len(text), OUTSIDE, dtype=np.int8)
        labels[place] = next((k for k, (a, b) in enumerate(CDRS) if a <= position <= b), FRAMEWORK)
        place += 1
    return labels
