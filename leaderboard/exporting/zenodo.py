"""For each round what Zenodo asks of a deposit: the metadata of its REST API, as in `.zenodo.json`.

https://developers.zenodo.org/#deposit-metadata. The archive that goes with it is `data/v1.zip`, built after that round.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import Any

from evaluator.store.schemas import Change
from leaderboard.data import as_json
from leaderboard.exports import CONTRIBUTORS, KEYWORDS, LICENCE, NAME, SUMMARY, Published

TITLE = "Zenodo deposit"
STANDARD = "https://developers.zenodo.org/#deposit-metadata"
WHAT = "each round, by its day: what to fill in where its data are deposited"
PATHS = "exports/zenodo/{round}.json"

KINDS = {"new": "new", "rerun": "run again", "rescored": "scored again"}


def files(published: Published) -> Iterable[tuple[str, bytes]]:
    """One deposit for each day on which a record came to be or changed."""
    ordered = sorted(published.history, key=lambda change: change.date)
    for day, changes in groupby(ordered, key=lambda change: change.date):
        yield PATHS.format(round=day), as_json(deposit(day, list(changes), published))


def deposit(day: str, changes: Sequence[Change], published: Published) -> dict[str, Any]:
    """A deposit's metadata.

    Args:
        day: of the round, YYYY-MM-DD.
        changes: of that day.
    """
    tracks = {board.track.id: board.track for board in published.boards}
    counts = Counter[str](change.kind for change in changes)
    told = ", ".join(f"{counts[kind]} {words}" for kind, words in KINDS.items() if counts[kind])
    touched = sorted({change.track for change in changes})
    dois = sorted({doi for name in touched if name in tracks and (doi := tracks[name].source.doi)})
    related = [{"identifier": doi, "relation": "isDerivedFrom", "scheme": "doi"} for doi in dois]
    if published.url:
        related.append({"identifier": published.url, "relation": "isDocumentedBy", "scheme": "url"})
    return {
        "upload_type": "dataset",
        "title": f"{NAME}: round of {day}",
        "creators": [{"name": CONTRIBUTORS}],
        "description": f"<p>{SUMMARY}</p><p>Records of this round: {told}; datasets: {', '.join(touched)}.</p>",
        "publication_date": day,
        "version": day,
        "access_right": "open",
        "license": LICENCE,
        "keywords": KEYWORDS,
        "related_identifiers": related,
        "notes": "Sequences, labels and predictions are not part of it; no field is imputed, null means missing.",
    }
