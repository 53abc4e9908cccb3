"""What has changed, in words: for the home page, the page of history, and the feed."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from evaluator.contract.task_types import METRICS
from evaluator.store.schemas import Change

IN_FEED = 50


@dataclass(frozen=True)
class News:
    """One change of one entry on one track, as a sentence."""

    date: str
    submission: str
    name: str
    track: str
    what: str


def newest_first(history: Sequence[Change], names: Mapping[str, str]) -> list[News]:
    """Every change as news.

    Args:
        names: of the entries, by id.
    """
    return [News(c.date, c.submission, names.get(c.submission, c.submission), c.track, _what(c)) for c in history[::-1]]


def by_day(news: Sequence[News]) -> list[tuple[str, list[News]]]:
    """News that are in order, under their dates."""
    return [(date, list(some)) for date, some in groupby(news, key=lambda n: n.date)]


def feed(news: Sequence[News], url: str) -> dict[str, Any]:
    """What the feed's template is given; an item keeps its id for good, so that no reader shows it twice."""
    return {
        "items": [
            (uuid.uuid5(uuid.NAMESPACE_URL, f"{n.date}/{n.submission}/{n.track}/{n.what}"), n) for n in news[:IN_FEED]
        ],
        "updated": max((n.date for n in news), default="1970-01-01"),
        "url": url,
        "own": uuid.uuid5(uuid.NAMESPACE_URL, url or "antibody-polyreactivity-benchmark"),
    }


def _what(change: Change) -> str:
    if change.status == "failed":
        return f"failed: {change.failure}"
    if change.kind == "new":
        name, (_, value) = next(iter(change.metrics.items()), ("", (None, None)))
        return f"new entry: {METRICS[name].title} {value:.3f}" if name in METRICS and value is not None else "new entry"
    verb = f"rescored ({change.scorer[0]} → {change.scorer[1]})" if change.kind == "rescored" else "run again"
    moved = [
        f"{METRICS[n].title} {'none' if old is None else f'{old:.3f}'} → {'none' if new is None else f'{new:.3f}'}"
        for n, (old, new) in change.metrics.items()
        if n in METRICS
    ]
    more = f" and {len(moved) - 2} more" if len(moved) > 2 else ""
    return f"{verb}: {', '.join(moved[:2]) or 'no value changed'}{more}"
