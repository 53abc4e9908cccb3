"""What a head sees of an antibody: plain descriptors, one frozen backbone, or two of them (`esm1v+esm2_650m`).

A name that ends in `_light` sees the light chain, others the heavy one: `antiberty+antiberty_light` is both, joined.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from baselines.backbones.tokens import clean
from baselines.errors import DataError
from baselines.predicting.composition import AMINO_ACIDS, FEATURES, HYDROPATHY, features, net_charge, plain

if TYPE_CHECKING:
    from baselines.backbones.embedder import Embedder, Pooling, Precision

DESCRIPTORS = "composition"
SELF_TEST = "selftest.npy"
"""In an image, beside a backbone's weights: what the stock model, which is not there, said of the self-test."""
LIGHT = "_light"
Matrix = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Residues:
    """What a head sees that pools by itself.

    Attributes:
        rows: [residues, width] float32 of each antibody.
        clusters: [n] which of them are near copies of each other; empty where nothing is learned from them.
    """

    rows: Sequence[npt.NDArray[np.float32]]
    clusters: Ints

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, which: Ints) -> Residues:
        return Residues([self.rows[k] for k in which], self.clusters[which] if len(self.clusters) else self.clusters)

    @property
    def width(self) -> int:
        """Of a residue."""
        return int(self.rows[0].shape[1])


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


def part_name(part: str) -> str:
    """A part of the features as one segment of a path: of a light chain's, its backbone's name and `_light`.

    Raises:
        DataError: it is none.
    """
    return folder_name(Path(part).name if sees_light(part) else part)


def _described(sequence: str) -> list[list[float]]:
    """Each residue as which of the twenty amino acids it is, its charge and its hydropathy; zeros for other letters."""
    return [
        [*(float(a == letter) for a in AMINO_ACIDS), float(net_charge(letter)), HYDROPATHY.get(letter, 0.0)]
        for letter in plain(sequence)
    ]


def shown(names: Sequence[str], pooling: str) -> str:
    """Backbones and their pooling as folders and tables show them; what most have goes without saying."""
    return "+".join(names) + ("" if pooling in {"mean", "attention"} else f"_{pooling}")


def shown_in(parts: Sequence[Mapping[str, Any]]) -> str:
    """The same of what metadata know of the parts."""
    pooling = next((p["pooling"] for p in parts if "pooling" in p), "mean")
    return shown([folder_name(part["name"]) for part in parts], pooling)


class Features:
    """Sequences to one matrix.

    Args:
        spec: `composition`, a backbone's name or path, or two of these, joined by `+` or in a list.
        pooling: how residues become one vector; with `attention` the head does it, and is given `residues`.
        options: for `Embedder`.
    """

    def __init__(
        self,
        spec: str | Sequence[str],
        *,
        cache: Path | None = None,
        precision: Precision = "fp32",
        pooling: Pooling = "mean",
        **options: Any,
    ) -> None:
        if isinstance(spec, str):
            spec = [spec] if Path(spec).is_dir() else spec.split("+")
        self.parts = list(spec)
        if len(self.parts) > 2 or "" in self.parts:
            raise DataError(f"'{'+'.join(spec)}' is no backbone and no two joined by +.")
        if pooling in {"cls", "regions"} and DESCRIPTORS in self.parts:
            raise DataError(f"{DESCRIPTORS} has no pooling '{pooling}': it describes whole sequences.")
        self.pooling = pooling
        self.options = {"cache": cache, "precision": precision, "pooling": pooling, **options}
        self.embedders: dict[str, Embedder] = {}
        self.described: list[dict[str, Any]] | None = None

    @property
    def name(self) -> str:
        """The parts by their names, as folders and tables show them."""
        return shown([part_name(part) for part in self.parts], self.pooling)

    def matrix(self, sequences: Sequence[str], light: Sequence[str] = (), *, progress: bool = False) -> Matrix:
        """[n, width] in the order of the sequences.

        Args:
            sequences: heavy chains, n of them.
            light: light chains, as many, where a part sees them.

        Raises:
            DataError: a sequence is not one, with its row; a part sees light chains and there are none.
        """
        chains = self._chains(sequences, light)
        return np.hstack([self._part(p, c, progress=progress) for p, c in zip(self.parts, chains, strict=True)])

    def residues(
        self,
        sequences: Sequence[str],
        light: Sequence[str] = (),
        clusters: Ints | None = None,
        *,
        progress: bool = False,
    ) -> Residues:
        """Every residue of each antibody; of two parts, those of the second behind those of the first.

        Args:
            clusters: [n] which of them are near copies of each other.

        Raises:
            DataError: as above; the two parts' residues are not of one width.
        """
        chains = self._chains(sequences, light)
        found = [self._residues(p, c, progress=progress) for p, c in zip(self.parts, chains, strict=True)]
        if sequences and len({part[0].shape[1] for part in found}) > 1:
            raise DataError(f"{self.name}: residues of different widths cannot be pooled together.")
        rows = [np.concatenate(of_one) for of_one in zip(*found, strict=True)]
        return Residues(rows, np.empty(0, dtype=np.int64) if clusters is None else clusters)

    def seen(self, sequences: Sequence[str], light: Sequence[str] = (), *, progress: bool = False) -> Matrix | Residues:
        """What a trained head of this pooling is given."""
        if self.pooling == "attention":
            return self.residues(sequences, light, progress=progress)
        return self.matrix(sequences, light, progress=progress)

    def _chains(self, sequences: Sequence[str], light: Sequence[str]) -> list[Sequence[str]]:
        """What each part sees."""
        for part in self.parts:
            if sees_light(part) and len(light) != len(sequences):
                raise DataError(f"{part} sees light chains: a column light_sequence is needed.")
        return [light if sees_light(part) else sequences for part in self.parts]

    def parameters(self) -> int:
        """Weights of all backbones."""
        names = [part for part in self.parts if part != DESCRIPTORS]
        return sum(t.numel() for name in names for t in self.embedder(name).checkpoint.tensors().values())

    def describe(self) -> list[dict[str, Any]]:
        """What the numbers follow from, for metadata; told by another process where it has been embedded there."""
        return self.described or [self._describe(part) for part in self.parts]

    def _part(self, part: str, sequences: Sequence[str], *, progress: bool) -> Matrix:
        if part == DESCRIPTORS:
            described = [features(s) for s in clean(sequences)]
            return np.array(described, dtype=np.float64).reshape(-1, len(FEATURES))
        return self.embedder(part).embed(sequences, progress=progress).vectors.astype(np.float64)

    def _residues(self, part: str, sequences: Sequence[str], *, progress: bool) -> list[npt.NDArray[np.float32]]:
        if part == DESCRIPTORS:
            return [np.array(_described(s), dtype=np.float32) for s in clean(sequences)]
        return self.embedder(part).residues(sequences, progress=progress)

    def embedder(self, part: str) -> Embedder:
        """The embedder of a part that is a backbone."""
        if part not in self.embedders:
            from baselines.backbones.embedder import Embedder  # torch: not for the plain descriptors

            told = Path(part) / SELF_TEST
            expected = np.load(told, allow_pickle=False) if told.is_file() else None
            self.embedders[part] = Embedder(_weights(part), expected=expected, **self.options)
        return self.embedders[part]

    def _describe(self, part: str) -> dict[str, Any]:
        if part == DESCRIPTORS:
            if self.pooling == "attention":
                return {"name": DESCRIPTORS, "pooling": self.pooling, "width": len(_described("A")[0])}
            return {"name": DESCRIPTORS, "features": list(FEATURES), "width": len(FEATURES)}
        from baselines.backbones import regions

        e = self.embedder(part)
        light = {"chain": "light"} if sees_light(part) else {}
        return {
            "name": part_name(part) if light else e.checkpoint.name,
            **light,
            "revision": e.checkpoint.revision,
            **({"finetuned": {**tuned, "base": Path(tuned["base"]).name}} if (tuned := e.checkpoint.tuned) else {}),
            "sha256": e.checkpoint.sha256,
            "precision": e.precision,
            "pooling": self.pooling,
            **({"numbering": f"anarcii {regions.version()}"} if self.pooling == "regions" else {}),
            "width": e.pooled_width if self.pooling != "attention" else e.width,
        }
