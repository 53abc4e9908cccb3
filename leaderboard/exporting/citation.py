"""How to cite the benchmark, and the data under it: CITATION.cff 1.2.0, https://citation-file-format.github.io/."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import yaml

from evaluator.contract.tracks import Track
from leaderboard.exports import CONTRIBUTORS, KEYWORDS, LICENCE, NAME, SUMMARY, Published, sources

TITLE = "Citation File Format 1.2.0"
STANDARD = "https://citation-file-format.github.io/"
WHAT = "how to cite this board, and the datasets under it"
PATHS = "exports/CITATION.cff"


def files(published: Published) -> Iterable[tuple[str, bytes]]:
    """The one file: of the board as a dataset, as of its last change."""
    about: dict[str, Any] = {"type": "dataset"}
    if published.as_of:
        about |= {"version": published.as_of, "date-released": published.as_of}
    if published.url:
        about["url"] = published.url
    yield PATHS, text(about, (board.track for board in published.boards))


def text(about: dict[str, Any], tracks: Iterable[Track]) -> bytes:
    """A whole file.

    Args:
        about: what there is to say beside title, authors and licence: type, version, date.
        tracks: whose sources are referred to.
    """
    content = {
        "cff-version": "1.2.0",
        "message": "Cite the benchmark for the scores, and the authors of each dataset for its labels.",
        "title": NAME,
        "abstract": SUMMARY,
        "authors": [{"name": CONTRIBUTORS}],
        "license": LICENCE,
        "keywords": KEYWORDS,
        **about,
    }
    if references := _references(tracks):
        content["references"] = references
    return yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=120).encode()


def _references(tracks: Iterable[Track]) -> list[dict[str, Any]]:
    """Each source once; practice tracks have none, and one of several sources refers to theirs."""
    found: dict[str, dict[str, Any]] = {}
    for track in tracks:
        if track.purpose != "benchmark" or not sources(track):
            continue
        # Authors are told as the citation begins, up to its first comma: `Jain et al. 2017`.
        who, _, rest = track.source.citation.partition(", ")
        one: dict[str, Any] = {"type": "data", "title": rest or who, "authors": [{"name": who}]}
        if track.source.doi:
            one["doi"] = track.source.doi
        if track.source.url:
            one["url"] = track.source.url
        found.setdefault(sources(track)[0], one)
    return [found[key] for key in sorted(found)]
