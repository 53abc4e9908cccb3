"""Training sequences that are told by salted hashes alone: which of a track's are among them, and no more.

A CSV with two columns: `salt`, at least 16 random bytes in hexadecimal and the same in every row, and `hash`, the
HMAC-SHA256 (RFC 2104) of one heavy chain in capital letters under that salt, in hexadecimal. It finds exact ones only:
a chain with one other residue has another hash. The salt keeps the hashes of two files from being held against each
other; it is no secret, so that whoever guesses a sequence can confirm it.
"""

from __future__ import annotations

import csv
import hmac
import io
import re
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from evaluator.contract.tables import Table
from evaluator.errors import EvaluatorError

SALT_BYTES = 16
_SALT = re.compile(rf"([0-9a-f]{{2}}){{{SALT_BYTES},64}}")
_HASH = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class Salted:
    """Hashes of sequences, in hexadecimal, and their salt."""

    salt: bytes
    hashes: frozenset[str]

    def __contains__(self, sequence: str) -> bool:
        """Whether a sequence's hash is among them."""
        return _hash(self.salt, sequence) in self.hashes


def _hash(salt: bytes, sequence: str) -> str:
    return hmac.digest(salt, sequence.encode(), "sha256").hex()


def is_salted(table: Table) -> bool:
    """Whether a training file has hashes in place of sequences."""
    return "hash" in table and "sequence" not in table


def read(table: Table, path: Path) -> Salted:
    """The hashes of a training file.

    Raises:
        EvaluatorError: a cell is no hash, or there is no one salt; the message names the line.
    """
    for line, cell in zip(table.lines, table["hash"], strict=True):
        if not _HASH.fullmatch(cell):
            remedy = "Write 64 of 0-9 and a-f; apb overlap --train FILE --salted OUT makes such a file."
            raise EvaluatorError(f"{path} line {line}: the hash is no SHA-256 in hexadecimal.", remedy)
    salts = set(table.get("salt", ()))
    if len(salts) != 1 or not _SALT.fullmatch(salt := salts.pop()):
        remedy = f"Each row has the same: {SALT_BYTES} to 64 random bytes in hexadecimal."
        raise EvaluatorError(f"{path} has no one salt.", remedy)
    return Salted(bytes.fromhex(salt), frozenset(table["hash"]))


def as_csv(heavy: Iterable[str]) -> bytes:
    """The file to send in place of these heavy chains, under a fresh salt; sorted, so that their order is not told."""
    salt = secrets.token_bytes(SALT_BYTES)
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["salt", "hash"])
    writer.writerows((salt.hex(), found) for found in sorted({_hash(salt, sequence) for sequence in heavy}))
    return text.getvalue().encode()
