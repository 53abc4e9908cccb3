"""What kinds of models are on the board: counts that add up, and what entries do not say of themselves."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import mean, median

from evaluator.contract.submissions import Submission
from evaluator.store.schemas import Result

NOT_SAID = "not said"


@dataclass(frozen=True)
class Counted:
    """Entries by one thing that each has exactly one of: the numbers add up to all entries."""

    title: str
    counts: list[tuple[str, int]]


@dataclass(frozen=True)
class Statistics:
    """The entries of the site.

    Attributes:
        counted: by one thing each.
        several: by things of which an entry may have several, so that these add up to more.
        parameters: least, most, mean and median of those that say how many they have, or None.
        missing: what is not said, and by how many.
    """

    entries: int
    counted: list[Counted]
    several: list[Counted]
    parameters: tuple[int, int, float, float] | None
    missing: list[tuple[str, int]]


def statistics(entries: Sequence[Submission], results: Mapping[str, Mapping[str, Result]]) -> Statistics:
    """Of all entries but those that were withdrawn."""
    shown = [e for e in entries if not e.withdrawn]
    sizes = [e.model.parameters for e in shown if e.model.parameters is not None]
    missing: list[tuple[str, Callable[[Submission], object]]] = [
        ("backbone", lambda e: e.model.backbone),
        ("head", lambda e: e.model.head),
        ("parameters", lambda e: e.model.parameters is not None),
        ("training data", lambda e: e.training_data != ("undisclosed",)),
        ("licence", lambda e: e.license),
        ("code", lambda e: e.code),
        ("paper", lambda e: e.paper),
    ]
    return Statistics(
        len(shown),
        [
            _counted("Kind", (_kind(e) for e in shown)),
            _counted("Backbone", (e.model.backbone or NOT_SAID for e in shown)),
            _counted("Head", (e.model.head or NOT_SAID for e in shown)),
            _counted("Licence", (e.license or NOT_SAID for e in shown)),
        ],
        [
            _counted("Training set", (name for e in shown for name in e.training_data)),
            _counted("Track, with a result", (t for e in shown for t in results.get(e.id, {}))),
        ],
        (min(sizes), max(sizes), mean(sizes), median(sizes)) if sizes else None,
        [(what, sum(not said(e) for e in shown)) for what, said in missing],
    )


def _kind(entry: Submission) -> str:
    if entry.archived:
        return "published predictions"
    return "few-shot image" if entry.few_shot else "image"


def _counted(title: str, values: Iterable[str]) -> Counted:
    return Counted(title, sorted(Counter(values).items(), key=lambda pair: (-pair[1], pair[0])))
