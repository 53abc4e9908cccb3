"""What a machine is told of a task, and what it tells of it: never a label."""

from __future__ import annotations

from dataclasses import dataclass

from evaluator.errors import SubmissionError
from evaluator.images import Image
from evaluator.predictions import Predictions
from evaluator.results import Hardware
from evaluator.sandbox import Limits, Run

UNKNOWN = Hardware()


@dataclass(frozen=True, eq=False)
class Work:
    """One run of one image.

    Attributes:
        name: `submission on track`, for people.
        sequences: sha256 of the track's sequences.
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
