"""Sequences to ESM tokens by one table look-up per residue, and every fault of a sequence told with its row.

The vocabulary is that of every ESM-1b, ESM-1v and ESM-2 checkpoint. The letters are those that it has a token for; `*`,
`J` and lower case have none, and the stock tokenizer would merge neighbours of them into one unknown token.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from baselines.errors import DataError

RESIDUES = "LAGVSERTIDPKQNFYMHWCXBUZO"
VOCABULARY = ("<cls>", "<pad>", "<eos>", "<unk>", *RESIDUES, ".", "-", "<null_1>", "<mask>")
CLS, EOS = VOCABULARY.index("<cls>"), VOCABULARY.index("<eos>")

_TABLE = np.full(256, 255, dtype=np.uint8)
for _residue in RESIDUES:
    _TABLE[ord(_residue)] = VOCABULARY.index(_residue)


class RowError(DataError):
    """A sequence is none.

    Attributes:
        row: from 1.
        what: why, and how to mend it.
    """

    def __init__(self, row: int, what: str) -> None:
        super().__init__(f"Row {row}: {what}")
        self.row, self.what = row, what


@dataclass(frozen=True)
class Tokens:
    """Tokens of many sequences, end to end, each with `<cls>` before and `<eos>` behind.

    Attributes:
        ids: [sum of lengths] uint8.
        lengths: [n] tokens per sequence, residues + 2.
    """

    ids: npt.NDArray[np.uint8]
    lengths: npt.NDArray[np.int64]


def clean(sequences: Sequence[str], limit: int | None = None) -> list[str]:
    """Upper case without gaps and white space at the ends.

    Args:
        limit: the longest that the model can take, in residues; default any.

    Raises:
        RowError: a sequence is empty, too long, or has a letter without a token; the message names the row, from 1.
    """
    cleaned = []
    for row, sequence in enumerate(sequences, start=1):
        text = sequence.strip().replace("-", "").replace(".", "")
        text = text.upper() if text.isascii() else text  # beyond ASCII, upper case can turn one letter into two
        if not text:
            raise RowError(row, "the sequence is empty.")
        if limit is not None and len(text) > limit:
            raise RowError(row, f"{len(text):,} residues; this model takes at most {limit:,}.")
        if wrong := sorted(set(text) - set(RESIDUES)):
            shown = ", ".join(repr(letter)[:12] for letter in wrong[:5])
            raise RowError(row, f"{shown} stands for no residue. Allowed are {RESIDUES}, and the gaps - and .")
        cleaned.append(text)
    return cleaned


def encode(sequences: Sequence[str]) -> Tokens:
    """Tokens of sequences that `clean` gave back, in their order."""
    residues = np.array([len(s) for s in sequences], dtype=np.int64)
    lengths = residues + 2
    ends = np.cumsum(lengths)
    ids = np.empty(int(ends[-1]) if len(ends) else 0, dtype=np.uint8)
    inside = np.ones(len(ids), dtype=bool)
    inside[ends - lengths] = False
    inside[ends - 1] = False
    ids[ends - lengths] = CLS
    ids[ends - 1] = EOS
    ids[inside] = _TABLE[np.frombuffer("".join(sequences).encode("ascii"), dtype=np.uint8)]
    return Tokens(ids, lengths)
