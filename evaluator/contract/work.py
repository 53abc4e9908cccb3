"""What a machine is told of a task, and what it tells of it: never a label of what is asked for."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field
from typing import Literal

from evaluator.contract.models import Frozen
from evaluator.contract.predictions import MAX_OUTPUT_BYTES, Predictions
from evaluator.contract.references import Image
from evaluator.errors import SubmissionError

CONTRACT_VERSION = 1
NOT_DETERMINISTIC = "not deterministic"
"""What a flag of the consistency audit begins with where the same input gave other scores."""
GIB = 1024**3
Sandbox = Literal["docker", "unsandboxed", "archived"]
"""How a run is confined; `archived` where nothing was run, and predictions that were published are scored."""


class Hardware(Frozen):
    """What it ran on."""

    cpu: str | None = None
    cpus: float | None = None
    memory_gb: int | None = None
    gpu: str | None = None


UNKNOWN = Hardware()


@dataclass(frozen=True)
class Limits:
    """What one run may use; `memory` covers the processes and all they write to /tmp, /dev/shm and /output."""

    seconds: float
    memory: int = 8 * GIB
    cpus: float = 4
    pids: int = 512
    output: int = MAX_OUTPUT_BYTES
    output_inodes: int = 256

    @property
    def tmp(self) -> int:
        """Size of /tmp in bytes."""
        return min(2 * GIB, self.memory // 4)

    @property
    def shm(self) -> int:
        """Size of /dev/shm in bytes."""
        return min(GIB, self.memory // 8)

    def as_json(self) -> dict[str, float]:
        """For the record and the key of a result."""
        return asdict(self)


@dataclass(frozen=True)
class Run:
    """What came of one run: `output` bytes or a `failure`, and what was measured and said meanwhile.

    Attributes:
        seconds: wall-clock time of the container.
        peak_memory: bytes, as seen by the engine; None where it was too quick to be seen.
        log: the last bytes of stdout and stderr; hostile.
    """

    output: bytes | None = None
    failure: SubmissionError | None = None
    seconds: float = 0.0
    peak_memory: int | None = None
    log: bytes = field(default=b"", repr=False)


NO_LIMITS = Limits(0.0, 0, 0.0, 0, 0, 0)
"""Of what is not run."""


def run_key(digest: str | None, given_sha256: str | None, limits: Limits, sandbox: Sandbox) -> str:
    """Hash of all that decides what a run predicts: image, sequences, contract, limits, and how it was confined.

    Args:
        digest: of the image; of archived predictions the sha256 of what was published.
        given_sha256: of what the run is given; None where a track has labels alone.
    """
    parts = [digest, given_sha256, CONTRACT_VERSION, limits.as_json(), sandbox]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:32]


@dataclass(frozen=True, eq=False)
class Work:
    """One run of one image.

    Attributes:
        name: `submission on track`, for people.
        sequences: sha256 of the track's sequences; of one run of a few-shot track its key.
        gpu: whether it needs one.
        rows: only these rows of the track: one part of a larger task; None for all.
    """

    name: str
    image: Image
    limits: Limits
    gpu: bool
    sequences: str
    rows: range | None = None


@dataclass(frozen=True)
class Finished:
    """What came of it: `table` or `failure`, what the first run took and said, and the audit's flags.

    Attributes:
        seed: of the ids and the order of rows that the container saw; None where there were none, or several.
        exact: the audit took place and found not the least difference.
        host: name of the machine.
        few_rows_memory: bytes that the audit's runs used; None where it was not seen.
        joined: it is made of several parts.
    """

    seed: int | None
    run: Run
    table: Predictions | None = None
    failure: SubmissionError | None = None
    flags: tuple[str, ...] = ()
    exact: bool = False
    image_bytes: int | None = None
    hardware: Hardware = UNKNOWN
    host: str = ""
    few_rows_memory: int | None = None
    joined: bool = False


NOTHING_RAN = Finished(None, Run())
