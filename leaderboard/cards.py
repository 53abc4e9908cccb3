"""Reproducibility cards as the site shows them: what was stated, and what became of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from evaluator.contract.observed import TITLES, Held, Observed, counted, in_brief
from evaluator.contract.reproducibility import Card, DataSet, Evidence, Exposure, Stated
from evaluator.contract.submissions import Submission
from evaluator.contract.tracks import Track
from evaluator.integrity.card import flagged, held
from evaluator.store.schemas import CardRecord, Result


class Line(NamedTuple):
    """One variable of a card.

    Attributes:
        said: what the author states; empty where there is nothing to state.
        links: names and addresses of what it points at.
    """

    title: str
    said: str
    outcome: str
    detail: str
    links: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Shown:
    """What is shown of one entry's card.

    Attributes:
        record: of when it was held against the entry; None where that is still to come.
    """

    card: Card
    held: Mapping[str, Held]
    record: CardRecord | None

    @property
    def brief(self) -> str:
        """Such as `6 verified, 3 declared`."""
        return in_brief(self.held)

    @property
    def counts(self) -> dict[str, int]:
        """How many variables came out in which way."""
        return counted(self.held)

    @property
    def lines(self) -> list[Line]:
        """Every variable."""
        return [
            Line(TITLES[name], _said(stated := getattr(self.card, name, None)), _word(one), one.detail, _links(stated))
            for name, one in self.held.items()
            if name in TITLES
        ]


def shown(
    entry: Submission, tracks: Iterable[Track], record: CardRecord | None, results: Iterable[Result]
) -> Shown | None:
    """An entry's card, as it was held against the image that is scored; None where it has none.

    Args:
        record: of the card; not used where the card or the image has changed since.
        results: the entry's records; what audits found there may contradict what was recorded of the card before.
    """
    if entry.card is None:
        return None
    runs = [] if entry.archived else [result for result in results if result.image.digest]
    images = {run.image.digest for run in runs}
    if record and record.card == entry.card.sha256 and (not images or record.digest in images):
        flags = tuple(dict.fromkeys(f for run in runs if run.image.digest == record.digest for f in run.flags))
        return Shown(entry.card, flagged(record.variables, entry.card, flags), record)
    flags = tuple(dict.fromkeys(flag for run in runs for flag in run.flags))
    return Shown(entry.card, held(entry, tracks, Observed(flags=flags)), None)


def _word(one: Held) -> str:
    return "n. a." if one.outcome == "not_applicable" else one.outcome


def _said(stated: object) -> str:
    if isinstance(stated, Exposure):
        return f"labels seen: {stated.labels_seen}"
    if isinstance(stated, Stated):
        return stated.status.replace("_", " ") + "".join(f", {name}: {value}" for name, value in _more(stated))
    return str(stated or "")


def _more(stated: Stated) -> Iterable[tuple[str, str]]:
    """What a variable says beside its status, its reason and its evidence."""
    for name in type(stated).model_fields.keys() - Stated.model_fields.keys():
        value = getattr(stated, name)
        if value in (None, ()) or name in ("sha256", "repository"):
            continue
        values = value if isinstance(value, tuple) else (value,)
        told = [v.name if isinstance(v, DataSet) else str(v) for v in values if not _is_linked(v)]
        if told:
            yield name.replace("_", " "), ", ".join(told)


def _is_linked(value: object) -> bool:
    """Whether it is a set that a link names already."""
    return isinstance(value, DataSet) and bool(_address(value.evidence))


def _links(stated: object) -> tuple[tuple[str, str], ...]:
    if not isinstance(stated, Stated):
        return ()
    found = [("repository", address)] if (address := getattr(stated, "repository", None)) else []
    places = [("evidence", stated.evidence), *((one.name, one.evidence) for one in getattr(stated, "sets", ()))]
    return (*found, *((name, address) for name, one in places if one and (address := _address(one))))


def _address(evidence: Evidence) -> str:
    return f"https://doi.org/{evidence.doi}" if evidence.doi else evidence.url or evidence.repository or ""
