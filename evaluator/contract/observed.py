"""What was seen of an entry, and what becomes of each statement of its reproducibility card by that.

What is only stated is `declared`; a statement is `verified` where the benchmark has seen for itself that it holds, and
`contradicted` where it has seen that it does not.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Literal

from pydantic import Field

from evaluator.contract.models import Frozen
from evaluator.contract.reproducibility import Evidence
from evaluator.contract.work import UNKNOWN, Hardware

Outcome = Literal["verified", "declared", "absent", "not_applicable", "contradicted"]
MAX_DETAIL = 600
Found = Iterator[tuple[Outcome, str]]
"""What was found of one variable; the worst of it is what becomes of the variable."""
TITLES = {
    "research_type": "Research type",
    "affiliation": "Affiliation",
    "image": "Image that anybody can pull",
    "predictions": "Published predictions",
    "pseudocode": "Pseudocode",
    "open_code": "Open code",
    "open_data": "Open data",
    "splits": "Splits",
    "hardware": "Hardware of training",
    "software": "Software dependencies",
    "experiment": "Experiment set-up",
    "weights": "Weights",
    "determinism": "Determinism",
    "inference": "Inference, measured",
    "test_exposure": "Test exposure",
}
"""What variables are called, in the order in which they are shown."""
UNCOUNTED = ("research_type", "affiliation")
"""They describe, and are no merit."""


class Held(Frozen):
    """What became of one variable of a card."""

    outcome: Outcome
    detail: Annotated[str, Field(max_length=MAX_DETAIL)] = ""


def counted(held: Mapping[str, Held]) -> dict[str, int]:
    """How many variables came out in which way, without those that are no merit."""
    outcomes = [one.outcome for name, one in held.items() if name not in UNCOUNTED]
    return {outcome: outcomes.count(outcome) for outcome in dict.fromkeys(outcomes)}


def in_brief(held: Mapping[str, Held]) -> str:
    """Such as `6 verified, 3 declared`; what is contradicted is always told."""
    found = counted(held)
    told = [f"{found.get(name, 0)} {name}" for name in ("verified", "declared")]
    return ", ".join([*told, *([f"{found['contradicted']} contradicted"] if "contradicted" in found else [])])


@dataclass(frozen=True)
class File:
    """A file of an image: its sha256, and as much of it as is looked at.

    Attributes:
        truncated: whether there is more of it.
    """

    sha256: str
    head: bytes
    truncated: bool = False


@dataclass(frozen=True)
class Contents:
    """What an image's file system holds, of what was asked for.

    Attributes:
        packages: versions of each Python package, by its normalised name, as its own metadata say.
        files: those that were asked for; None where there is no such plain file.
        unread: why one of these was not looked at, though something may be there.
        pythons: of the interpreters that the packages are for, such as 3.12; empty where none is seen.
    """

    packages: Mapping[str, frozenset[str]]
    files: Mapping[str, File | None]
    unread: Mapping[str, str] = field(default_factory=dict)
    pythons: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Tried:
    """How an image did on public data, offline.

    Attributes:
        flags: of the consistency audit; None where that did not take place.
        exact: whether the audit found not the least difference.
        memory: largest peak in bytes; None where it was too quick to be seen.
        failure: code of what went wrong, if anything.
    """

    rows: int = 0
    seconds: float = 0.0
    memory: int | None = None
    flags: tuple[str, ...] | None = None
    exact: bool = False
    hardware: Hardware = UNKNOWN
    failure: str = ""


@dataclass(frozen=True)
class Looked:
    """What came of looking for something at a public address: `there`, `gone` or `unknown`, and why.

    Attributes:
        truncated: whether there is more than this content.
    """

    found: Literal["there", "gone", "unknown"]
    why: str = ""
    content: bytes = b""
    truncated: bool = False


UNSEEN = Looked("unknown", "not looked into yet")


@dataclass(frozen=True)
class Observed:
    """What was seen of one entry; None where it was not looked for.

    Attributes:
        pulled: whether its image was had from a registry by its digest, and not found on this machine.
        lost: code of why its image cannot be had, if so.
        labels: of the image.
        contents: of the image; the reason where they could not be read.
        commit: the commit of its code, at its repository.
        license_file: name of a licence file of its code at that commit, and what came of looking for it.
        evidence: by the piece of evidence.
        recorded: sha256 of the predictions that are on record, of an archived entry.
        flags: what consistency audits found of the same image on the benchmark's own tracks.
    """

    pulled: bool | None = None
    lost: str = ""
    labels: Mapping[str, str] | None = None
    contents: Contents | str | None = None
    tried: Tried | None = None
    commit: Looked | None = None
    license_file: tuple[str, Looked] | None = None
    evidence: Mapping[Evidence, Looked] = field(default_factory=dict)
    recorded: frozenset[str] = frozenset()
    flags: tuple[str, ...] = ()


NOTHING_SEEN = Observed()
