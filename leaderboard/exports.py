"""What is published, in formats of others, for their tools: one module of `exporting/` each, found by a glob."""

from __future__ import annotations

import pkgutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib import import_module
from typing import Protocol, cast

from evaluator.contract.submissions import Submission
from evaluator.contract.tracks import Track
from evaluator.store.schemas import Change
from leaderboard import exporting
from leaderboard.board import Board, Row
from leaderboard.data import ExportInfo

NAME = "Antibody Polyreactivity Benchmark"
CONTRIBUTORS = f"The {NAME} contributors"
SUMMARY = (
    "Scores of predictors of antibody polyreactivity, with their intervals: every model ran offline on held-out "
    "antibodies, or its published predictions were scored."
)
KEYWORDS = ["antibody", "polyreactivity", "nonspecificity", "developability", "benchmark"]
LICENCE = "Apache-2.0"
"""Of what the benchmark itself has made: scores, descriptions and code."""


@dataclass(frozen=True)
class Published:
    """What there is to export.

    Attributes:
        url: where the site is served, with a slash at the end; empty where that is not known.
    """

    boards: Sequence[Board]
    entries: Sequence[Submission]
    history: Sequence[Change]
    url: str = ""

    def page(self, path: str) -> str | None:
        """The address of a page of the site; None where nobody knows where it is served."""
        return f"{self.url}{path}" if self.url else None

    @property
    def as_of(self) -> str:
        """The day of the last change, YYYY-MM-DD; empty where there is none."""
        return max((change.date for change in self.history), default="")

    @cached_property
    def scored(self) -> Mapping[str, list[tuple[Track, Row]]]:
        """Of each entry that was scored somewhere, its tracks and rows; withdrawn entries are not among them."""
        found: dict[str, list[tuple[Track, Row]]] = {}
        for board in self.boards:
            for row in board.rows:
                if row.result and any(value.value is not None for value in row.result.metrics.values()):
                    found.setdefault(row.entry.id, []).append((board.track, row))
        return dict(sorted(found.items()))


class Format(Protocol):
    """A module of `exporting/`."""

    TITLE: str
    """What the format is called, with its version."""
    STANDARD: str
    """Where it is described."""
    WHAT: str
    """What is written in it."""
    PATHS: str
    """Where in `data/v1/`; in braces `track`, `submission` or `round`, the day of it."""

    def files(self, published: Published) -> Iterable[tuple[str, bytes]]:
        """Every file by its path in `data/v1/`; the same bytes for the same content."""


def formats() -> list[Format]:
    """Every format, by the name of its module."""
    names = sorted(module.name for module in pkgutil.iter_modules(exporting.__path__))
    return [cast("Format", import_module(f"{exporting.__name__}.{name}")) for name in names]


def offered() -> list[ExportInfo]:
    """What formats there are, and where their files stand."""
    return [ExportInfo(title=f.TITLE, standard=f.STANDARD, what=f.WHAT, paths=f.PATHS) for f in formats()]


def files(published: Published) -> Iterator[tuple[str, bytes]]:
    """Every exported file by its path in `data/v1/`."""
    for one in formats():
        yield from one.files(published)


def sources(track: Track) -> list[str]:
    """Where a track's source is on the web."""
    doi = f"https://doi.org/{track.source.doi}" if track.source.doi else None
    return [address for address in (doi, track.source.url) if address]
