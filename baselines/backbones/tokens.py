"""Sequences to tokens by one table look-up per residue, and every fault of a sequence told with its row.

The letters are those that every ESM-1b, ESM-1v and ESM-2 checkpoint has a token for; `*`, `J` and lower case have none,
and the stock tokenizer would merge neighbours of them into one unknown token. Antibody models know the twenty amino
acids alone; what other letters are to them is what their own code makes of these.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from baselines.errors import DataError

RESIDUES = "LAGVSERTIDPKQNFYMHWCXBUZO"
VOCABULARY = ("<cls>", "<pad>", "<eos>", "<unk>", *RESIDUES, ".", "-", "<null_1>", "<mask>")
AMBIGUOUS = "XBUZO"


@dataclass(frozen=True, eq=False)
class Vocabulary:
    """Which number a model gives to each residue, and to what stands around a sequence.

    Attributes:
        table: [256] uint8, by the code of the letter.
        begin, end: tokens before and behind a sequence.
    """

    table: npt.NDArray[np.uint8]
    begin: int
    end: int

    @classmethod
    def of(cls, tokens: Sequence[str]) -> Vocabulary:
        """From a model's tokens in their order.

        Raises:
            DataError: it has no token for an amino acid, or none that begins and ends a sequence.
        """
        number = {token: k for k, token in enumerate(tokens)}
        try:
            begin, end = next((number[b], number[e]) for b, e in ENDS if b in number and e in number)
            unknown = {letter: number[next(t for t in OTHERS[letter] if t in number)] for letter in AMBIGUOUS}
            known = {letter: number.get(letter, unknown.get(letter, -1)) for letter in RESIDUES}
        except StopIteration:
            raise DataError("the vocabulary has no tokens that begin and end a sequence, or none for X.") from None
        if len(tokens) > 255 or min(known.values()) < 0:
            raise DataError("the vocabulary is not one of amino acids.")
        table = np.full(256, 255, dtype=np.uint8)
        for letter, token in known.items():
            table[ord(letter)] = token
        return cls(table, begin, end)


ENDS = (("<cls>", "<eos>"), ("[CLS]", "[SEP]"), ("<s>", "</s>"))
OTHERS = {"X": ("X", "[UNK]", "<mask>"), **{letter: (letter, "[UNK]", "<unk>") for letter in "BUZO"}}
"""What a letter that is no amino acid is to ESM, to AntiBERTy's tokenizer, and to Sapiens, which fills in each X."""
ESM = Vocabulary.of(VOCABULARY)


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
    """Tokens of many sequences, end to end, each with one that begins it and one that ends it.

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


def encode(sequences: Sequence[str], vocabulary: Vocabulary = ESM) -> Tokens:
    """Tokens of sequences that `clean` gave back, in their order."""
    residues = np.array([len(s) for s in sequences], dtype=np.int64)
    lengths = residues + 2
    ends = np.cumsum(lengths)
    ids = np.empty(int(ends[-1]) if len(ends) else 0, dtype=np.uint8)
    inside = np.ones(len(ids), dtype=bool)
    inside[ends - lengths] = False
    inside[ends - 1] = False
    ids[ends - lengths] = vocabulary.begin
    ids[ends - 1] = vocabulary.end
    ids[inside] = vocabulary.table[np.frombuffer("".join(sequences).encode("ascii"), dtype=np.uint8)]
    return Tokens(ids, lengths)
