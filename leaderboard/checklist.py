"""What others ask of a benchmark, point by point, and what this one has: `checklists/*.yaml`, one file a list."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection
from pathlib import Path
from typing import Annotated, Literal, NamedTuple

from pydantic import AfterValidator, Field, model_validator

from evaluator.contract.models import Frozen
from evaluator.contract.strict_yaml import load_ours

FOLDER = Path(__file__).resolve().parent / "checklists"
Status = Literal["met", "partly", "not", "n.a."]
OF_A_BOARD = ("tracks/", "datasets/", "submissions/")
"""Folders with a page for each track or entry."""
STATUSES: tuple[Status, ...] = ("met", "partly", "not", "n.a.")
_ANCHOR = r"(#[a-z0-9-]+)?"
_PAGE = re.compile(rf"([a-z0-9-]+/)+{_ANCHOR}|data/[A-Za-z0-9._/-]+|[a-z]+\.xml")
_FILE = re.compile(rf"repo:[A-Za-z0-9._-]+(/[A-Za-z0-9._-]+)*/?{_ANCHOR}")
_OUTSIDE = re.compile(r"https://[a-z0-9.-]+\.[a-z]{2,}/\S*")


def _evidence(text: str) -> str:
    if not any(form.fullmatch(text) for form in (_PAGE, _FILE, _OUTSIDE)):
        raise ValueError("is no page of the site (methods/#ranking), file (repo:docs/overlap.md) or https address")
    return text


Evidence = Annotated[str, AfterValidator(_evidence)]
"""A page of the site as `folder/#anchor`, a file of the repository as `repo:path#anchor`, or an https address."""


class Point(Frozen):
    """One point.

    Attributes:
        text: what is asked, in our own words.
        why: where it is not met, or only in part, or does not apply: the reason; else what there is to add.
        evidence: where it can be seen.
    """

    id: Annotated[str, Field(pattern=r"^[A-Za-z]{0,3}\d{0,2}[a-z]?$", min_length=1)]
    text: Annotated[str, Field(min_length=10)]
    status: Status
    why: str = ""
    evidence: tuple[Evidence, ...] = ()

    @model_validator(mode="after")
    def _explained(self) -> Point:
        if self.status in {"met", "partly"} and not self.evidence:
            raise ValueError("says that it is met, and shows no evidence")
        if self.status != "met" and not self.why:
            raise ValueError("says that it is not met, and not why")
        return self


class Checklist(Frozen):
    """One list.

    Attributes:
        key: anchor on the page.
        source: who asks it, and where.
        about: how the list was read.
    """

    key: Annotated[str, Field(pattern=r"^[a-z]+$")]
    title: str
    source: str
    url: Annotated[str, Field(pattern=r"^https://\S+$")] | None = None
    about: str
    points: tuple[Point, ...]

    @model_validator(mode="after")
    def _each_once(self) -> Checklist:
        ids = Counter(point.id for point in self.points)
        if twice := [name for name, count in ids.items() if count > 1]:
            raise ValueError(f"has more than one point {', '.join(twice)}")
        return self

    @property
    def counts(self) -> dict[Status, int]:
        """Points of each status."""
        found = Counter(point.status for point in self.points)
        return {status: found[status] for status in STATUSES}


class Link(NamedTuple):
    """Evidence as it is shown; without an address where it cannot be read from this site."""

    text: str
    href: str


def load(folder: Path = FOLDER) -> list[Checklist]:
    """Every list, in the order of the files' names.

    Raises:
        EvaluatorError: a file is not valid; the message names the line.
    """
    return [load_ours(path, Checklist) for path in sorted(folder.glob("*.yaml"))]


def link(evidence: str, root: str, source_url: str, there: Collection[str] = ()) -> Link:
    """Evidence, as seen from a page.

    Args:
        root: the way from the page to the site's root, e.g. `../`.
        source_url: where files of the repository can be read, with a slash at the end; empty where nobody said it.
        there: which pages of tracks and entries this site has, as `tracks/jain/`: another board has others.
    """
    if evidence.startswith("https://"):
        return Link(evidence.removeprefix("https://"), evidence)
    if evidence.startswith("repo:"):
        path = evidence.removeprefix("repo:")
        return Link(path, source_url + path if source_url else "")
    page, mark, anchor = evidence.partition("#")
    if page.startswith(OF_A_BOARD) and (evidence if anchor == "audit" else page) not in there:
        return Link(evidence, "")
    return Link(evidence, root + page + ("index.html" if page.endswith("/") else "") + mark + anchor)
