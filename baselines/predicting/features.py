"""What a head sees of an antibody: plain descriptors, one frozen backbone, or two of them (`esm1v+esm2_650m`).

A name that ends in `_light` sees the light chain, others the heavy one: `antiberty+antiberty_light` is both, joined.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from baselines.backbones.tokens import clean
from baselines.errors import DataError
from baselines.predicting.composition import FEATURES, features

if TYPE_CHECKING:
    from baselines.backbones.embedder import Embedder, Precision

DESCRIPTORS = "composition"
LIGHT = "_light"
Matrix = npt.NDArray[np.float64]


def sees_light(part: str) -> bool:
    """Whether a part of the features is of the light chain."""
    return part.endswith(LIGHT) and not Path(part).is_dir()


def _weights(part: str) -> str:
    """What embeds a part: a light chain's own model where there is one, else the one of heavy chains."""
    from baselines.backbones.wheels import CONTAINS

    return part.removesuffix(LIGHT) if sees_light(part) and part not in CONTAINS else part


def folder_name(name: str) -> str:
    """A backbone's name as one segment of a path.

    Raises:
        DataError: it is none.
    """
    plain = Path(name).resolve().name if Path(name).is_dir() else name
    if not plain or "/" in plain or plain in {".", ".."}:
        raise DataError(f"'{name}' cannot name a folder.")
    return plain


class Features:
    """Sequences to one matrix.

    Args:
        spec: `composition`, a backbone's name or path, or two of these joined by `+`.
        options: for `Embedder`.
    """

    def __init__(self, spec: str, *, cache: Path | None = None, precision: Precision = "fp32", **options: Any) -> None:
        self.parts = [spec] if Path(spec).is_dir() else spec.split("+")
        if len(self.parts) > 2 or "" in self.parts:
            raise DataError(f"'{spec}' is no backbone and no two joined by +.")
        self.options = {"cache": cache, "precision": precision, **options}
        self.embedders: dict[str, Embedder] = {}
        self.described: list[dict[str, Any]] | None = None

    @property
    def name(self) -> str:
        """The parts by their names, as folders and tables show them."""
        return "+".join(folder_name(part) for part in self.parts)

    def matrix(self, sequences: Sequence[str], light: Sequence[str] = (), *, progress: bool = False) -> Matrix:
        """[n, width] in the order of the sequences.

        Args:
            sequences: heavy chains, n of them.
            light: light chains, as many, where a part sees them.

        Raises:
            DataError: a sequence is not one, with its row; a part sees light chains and there are none.
        """
        for part in self.parts:
            if sees_light(part) and len(light) != len(sequences):
                raise DataError(f"{part} sees light chains: a column light_sequence is needed.")
        chains = [light if sees_light(part) else sequences for part in self.parts]
        return np.hstack([self._part(p, c, progress=progress) for p, c in zip(self.parts, chains, strict=True)])

    def describe(self) -> list[dict[str, Any]]:
        """What the numbers follow from, for metadata; told by another process where it has been embedded there."""
        return self.described or [self._describe(part) for part in self.parts]

    def embedder(self) -> Embedder:
        """The embedder of features that are one backbone and nothing else.

        Raises:
            DataError: there is none, or there are two.
        """
        if len(self.parts) != 1 or self.parts[0] == DESCRIPTORS:
            raise DataError(f"'{'+'.join(self.parts)}' is not one backbone.")
        return self._embedder(self.parts[0])

    def _part(self, part: str, sequences: Sequence[str], *, progress: bool) -> Matrix:
        if part == DESCRIPTORS:
            return np.array([features(s) for s in clean(sequences)], dtype=np.float64).reshape(-1, len(FEATURES))
        return self._embedder(part).embed(sequences, progress=progress).vectors.astype(np.float64)

    def _embedder(self, part: str) -> Embedder:
        if part not in self.embedders:
            from baselines.backbones.embedder import Embedder  # torch: not for the plain descriptors

            self.embedders[part] = Embedder(_weights(part), **self.options)
        return self.embedders[part]

    def _describe(self, part: str) -> dict[str, Any]:
        if part == DESCRIPTORS:
            return {"name": DESCRIPTORS, "features": list(FEATURES), "width": len(FEATURES)}
        e = self._embedder(part)
        light = {"chain": "light"} if sees_light(part) else {}
        return {
            "name": folder_name(part) if light else e.checkpoint.name,
            **light,
            "revision": e.checkpoint.revision,
            "sha256": e.checkpoint.sha256,
            "precision": e.precision,
            "pooling": "mean",
            "width": e.width,
        }
