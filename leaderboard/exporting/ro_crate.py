"""`data/v1/` as a research object: RO-Crate 1.1, https://www.researchobject.org/ro-crate/1.1/."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from leaderboard.data import as_json
from leaderboard.exports import CONTRIBUTORS, KEYWORDS, LICENCE, NAME, SUMMARY, Published

TITLE = "RO-Crate 1.1"
STANDARD = "https://www.researchobject.org/ro-crate/1.1/"
WHAT = "this folder as a whole"
PATHS = "ro-crate-metadata.json"

FOLDERS = {
    "exports/": "The same in formats of others",
    "results/": "Each track's table",
    "schemas/": "JSON Schemas of the files",
    "submissions/": "Each entry with its results and history",
}
WHOLE = {"index.json": "Tracks, ids and metrics", "history.json": "Every record that came to be or changed"}
CONTRIBUTORS_ID = "#contributors"
LICENCE_ID = f"https://spdx.org/licenses/{LICENCE}.html"
Json = dict[str, Any]


def files(published: Published) -> Iterable[tuple[str, bytes]]:
    """The one file; entries' own files are named by their folder."""
    parts: list[Json] = [
        *(_file(name, what, "application/json") for name, what in WHOLE.items()),
        *(part for board in published.boards for part in _tables(board.track.id, board.track.title)),
        *({"@id": name, "@type": "Dataset", "name": what} for name, what in FOLDERS.items() if _there(name, published)),
    ]
    root: Json = {
        "@id": "./",
        "@type": "Dataset",
        "name": NAME,
        "description": SUMMARY,
        "keywords": ", ".join(KEYWORDS),
        "datePublished": published.as_of or "1970-01-01",
        "license": {"@id": LICENCE_ID},
        "author": {"@id": CONTRIBUTORS_ID},
        "publisher": {"@id": CONTRIBUTORS_ID},
        "hasPart": [{"@id": part["@id"]} for part in parts],
    }
    descriptor = {
        "@id": PATHS,
        "@type": "CreativeWork",
        "about": {"@id": "./"},
        "conformsTo": {"@id": "https://w3id.org/ro/crate/1.1"},
    }
    contributors = {"@id": CONTRIBUTORS_ID, "@type": "Organization", "name": CONTRIBUTORS}
    around: list[Json] = [
        {**contributors, "url": published.url} if published.url else contributors,
        {"@id": LICENCE_ID, "@type": "CreativeWork", "name": LICENCE},
    ]
    content = {"@context": "https://w3id.org/ro/crate/1.1/context", "@graph": [descriptor, root, *parts, *around]}
    yield PATHS, as_json(content)


def _tables(track: str, title: str) -> list[Json]:
    return [
        _file(f"results/{track}.json", f"{title}, by columns", "application/json"),
        _file(f"results/{track}.csv", title, "text/csv"),
    ]


def _file(name: str, what: str, media_type: str) -> Json:
    return {"@id": name, "@type": "File", "name": what, "encodingFormat": media_type}


def _there(folder: str, published: Published) -> bool:
    return bool(published.entries) if folder == "submissions/" else True
