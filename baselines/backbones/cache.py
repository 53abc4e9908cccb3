"""Embeddings on disk: an SQLite file per set of weights, precision and pooling; plain numbers and nothing else."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from baselines.errors import DataError

CHUNK = 500
TABLE = "CREATE TABLE IF NOT EXISTS embedding (sequence BLOB PRIMARY KEY, vector BLOB) WITHOUT ROWID"
Vector = npt.NDArray[np.float32]


class EmbeddingCache:
    """A table from sequence to vector.

    Args:
        folder: where the files are; made if need be.
        key: everything but the sequence that decides the numbers, e.g. hash of weights, precision, pooling.
        width: of the vectors.

    Raises:
        DataError: the file is there and is no such cache.
    """

    def __init__(self, folder: Path, key: str, width: int) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.width = width
        self.path = folder / f"{hashlib.sha256(key.encode()).hexdigest()[:32]}.sqlite"
        try:
            self.base = sqlite3.connect(self.path, timeout=60)
            self.base.execute(TABLE)
            self.base.commit()
        except sqlite3.OperationalError as error:
            raise DataError(f"{self.path} cannot be used: {error}") from error
        except sqlite3.DatabaseError as error:
            raise DataError(f"{self.path} is no cache of embeddings; remove it.") from error

    def get(self, sequences: Sequence[str]) -> dict[str, Vector]:
        """The vectors that are there; one of another length is as good as none."""
        names = {_name(s): s for s in sequences}
        found = {}
        for at in range(0, len(names), CHUNK):
            some = list(names)[at : at + CHUNK]
            marks = ",".join("?" * len(some))
            rows = self.base.execute(f"SELECT sequence, vector FROM embedding WHERE sequence IN ({marks})", some)  # noqa: S608
            for name, vector in rows:
                if len(vector) == 4 * self.width:
                    found[names[name]] = np.frombuffer(vector, dtype="<f4").astype(np.float32)
        return found

    def put(self, vectors: Mapping[str, Vector]) -> None:
        """Keep vectors, [width] each, in place of those that are there."""
        rows = [(_name(s), v.astype("<f4").tobytes()) for s, v in vectors.items()]
        with self.base:
            self.base.executemany("INSERT OR REPLACE INTO embedding VALUES (?, ?)", rows)

    def close(self) -> None:
        """Let go of the file."""
        self.base.close()


def _name(sequence: str) -> bytes:
    return hashlib.sha256(sequence.encode()).digest()
