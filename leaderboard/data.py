"""`data/v1/`: everything that the site shows as JSON with published schemas, as CSV, and in one archive.

Additive changes raise the minor version; a change that would break a reader gets a new folder.
"""

from __future__ import annotations

import csv
import io
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import orjson
from pydantic import BaseModel, Field

from evaluator.contract.models import Frozen
from evaluator.contract.observed import Held
from evaluator.contract.submissions import Submission
from evaluator.contract.task_types import METRICS, task_of
from evaluator.contract.tracks import Track
from evaluator.scoring.scorer import SCORER_CHANGES, SCORER_VERSION
from evaluator.store.schemas import Change, Erased, Pairs, Result
from leaderboard.board import Board
from leaderboard.cards import Shown
from leaderboard.similar import Similar, as_columns

DATA_VERSION = "1.6"
Column = list[str | float | int | None]


class MetricInfo(Frozen):
    """What a metric is called."""

    title: str
    task: str
    higher_is_better: bool


class ExportInfo(Frozen):
    """Files in a format of others."""

    title: str
    standard: str = Field(description="Where the format is described")
    what: str
    paths: str = Field(description="In this folder; {track}, {submission} and {round}, a day, stand for each of them")


class Index(Frozen):
    """`index.json`: where everything else is."""

    schema_version: str = DATA_VERSION
    scorer: str
    scorer_changes: dict[str, str]
    tracks: list[Track]
    submissions: list[str] = Field(description="Every id ever; none is used twice")
    withdrawn: list[str]
    erased: list[Erased] = Field(default=[], description="Entries of which nothing is left; their ids are not in use")
    metrics: dict[str, MetricInfo]
    exports: list[ExportInfo] = Field(default=[], description="The same in formats of others")


class TrackTable(Frozen):
    """`results/<track>.json`: one list per column, all of the same length; null for what is missing."""

    schema_version: str = DATA_VERSION
    track: str
    rows: int
    stale: bool = Field(default=False, description="Ranks are left out, since entries or the track have changed since")
    detectable: float | None = Field(description="Difference to the best that this track finds with 80 % power")
    columns: dict[str, Column]


class SubmissionFile(Submission):
    """`submissions/<id>.json`: an entry, its results by track, and what has changed."""

    schema_version: str = DATA_VERSION
    id: str
    results: dict[str, Result]
    history: list[Change]
    card_outcomes: dict[str, Held] | None = Field(
        description="What became of each variable of the reproducibility card; null where there is none"
    )
    card_checked_at: str | None = Field(description="UTC date, YYYY-MM-DD; null where nobody has looked yet")


class SimilarFile(Frozen):
    """`similar.json`: how alike entries behave on the panel; row i of a matrix holds the pairs (i, j) with j < i."""

    schema_version: str = DATA_VERSION
    panel: str | None
    level: float = Field(description="Of the intervals, over sequences like those of the panel")
    cut: float = Field(description="Cosine that any two entries of a cluster have at least")
    submissions: list[str]
    x: list[float] = Field(description="Classical scaling of the distances sqrt(2 (1 - cosine))")
    y: list[float]
    shown: float = Field(description="Share of the squared distances that the two dimensions show")
    cluster: list[int]
    cosine: list[list[float]] = Field(description="Of z-scored log odds")
    cosine_low: list[list[float]]
    cosine_high: list[list[float]]
    spearman: list[list[float]]
    near_copies: list[tuple[str, str]]


class History(Frozen):
    """`history.json`: every record that came to be or changed, oldest first."""

    schema_version: str = DATA_VERSION
    changes: list[Change]


SCHEMAS: dict[str, type[BaseModel]] = {
    "index": Index,
    "results": TrackTable,
    "submissions": SubmissionFile,
    "pairs": Pairs,
    "similar": SimilarFile,
    "history": History,
    "submission": Submission,
}


def files(
    boards: list[Board],
    entries: list[Submission],
    results: Mapping[str, Mapping[str, Result]],
    history: list[Change],
    similar: Similar,
    erased: Sequence[Erased] = (),
    exported: Sequence[ExportInfo] = (),
    cards: Mapping[str, Shown] = MappingProxyType({}),
) -> Iterable[tuple[str, bytes]]:
    """Every file of `data/v1/` by its path there.

    Args:
        results: by submission, then by track.
        exported: what stands beside these files, in formats of others.
        cards: reproducibility cards, by submission.
    """
    for name, model in SCHEMAS.items():
        yield f"schemas/{name}.schema.json", as_json(schema(model))
    index = Index(
        scorer=SCORER_VERSION,
        scorer_changes=SCORER_CHANGES,
        tracks=[b.track for b in boards],
        submissions=[e.id for e in entries],
        withdrawn=[e.id for e in entries if e.withdrawn],
        erased=list(erased),
        metrics={
            name: MetricInfo(title=m.title, task=task_of(name), higher_is_better=m.higher_is_better)
            for name, m in METRICS.items()
        },
        exports=list(exported),
    )
    yield "index.json", as_json(index.model_dump(mode="json"))
    yield "similar.json", as_json(SimilarFile.model_validate(as_columns(similar)).model_dump(mode="json"), compact=True)
    yield "history.json", as_json(History(changes=history).model_dump(mode="json"))
    for board in boards:
        found = columns(board)
        detectable = board.standings.detectable if board.standings else None
        made = TrackTable(
            track=board.track.id, rows=len(board.rows), stale=board.stale, detectable=detectable, columns=found
        )
        yield f"results/{board.track.id}.json", as_json(made.model_dump(mode="json"), compact=True)
        yield f"results/{board.track.id}.csv", as_csv(found).encode()
        if board.track.few_shot:
            yield f"tasks/{board.track.id}.csv", as_csv(task_columns(board)).encode()
        if board.pairs:
            yield f"pairs/{board.track.id}.json", as_json(board.pairs.model_dump(mode="json"), compact=True)
    mine: dict[str, list[Any]] = {}
    for change in history:
        mine.setdefault(change.submission, []).append(change.model_dump(mode="json"))
    for entry in entries:
        card = cards.get(entry.id)
        content = {
            "schema_version": DATA_VERSION,
            "id": entry.id,
            **entry.model_dump(mode="json"),
            "results": {t: r.model_dump(mode="json") for t, r in results.get(entry.id, {}).items()},
            "history": mine.get(entry.id, []),
            "card_outcomes": {n: h.model_dump(mode="json") for n, h in card.held.items()} if card else None,
            "card_checked_at": card.record.checked_at if card and card.record else None,
        }
        yield f"submissions/{entry.id}.json", as_json(content, compact=True)


def schema(model: type[BaseModel]) -> dict[str, Any]:
    """A JSON Schema, draft 2020-12; a submission's id is its file's name, not a field."""
    found = model.model_json_schema(mode="serialization" if model is not Submission else "validation")
    found["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    if model is Submission:
        del found["properties"]["id"]
        found["required"].remove("id")
        found["oneOf"] = [{"required": ["docker_image"]}, {"required": ["archived"]}]
    return found


def as_json(content: Any, *, compact: bool = False) -> bytes:
    """Sorted, the same bytes for the same content. What goes in has passed models that refuse NaN and infinity."""
    options = orjson.OPT_SORT_KEYS | orjson.OPT_APPEND_NEWLINE
    return orjson.dumps(content, option=options if compact else options | orjson.OPT_INDENT_2)


def archive(folder: Path) -> bytes:
    """One zip of the whole folder, the same bytes for the same files."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as target:
        for path in sorted(p for p in folder.rglob("*") if p.is_file()):
            member = zipfile.ZipInfo(f"v1/{path.relative_to(folder).as_posix()}", (1980, 1, 1, 0, 0, 0))
            member.external_attr = 0o644 << 16
            target.writestr(member, path.read_bytes(), zipfile.ZIP_DEFLATED)
    return stream.getvalue()


def columns(board: Board) -> dict[str, Column]:
    """A track's table by columns; null for what is missing."""
    rows = board.rows
    found: dict[str, Column] = {
        "submission": [r.entry.id for r in rows],
        "name": [r.entry.name for r in rows],
        "reference": [int(r.reference) for r in rows],
        "archived": [int(r.entry.archived is not None) for r in rows],
        "status": [r.status for r in rows],
        "failure": [r.result.failure if r.result else None for r in rows],
        "trained_on": [r.trained_on for r in rows],
        "tier": [r.standing.tier if r.standing else None for r in rows],
        "rank_low": [r.standing.rank_low if r.standing else None for r in rows],
        "rank_high": [r.standing.rank_high if r.standing else None for r in rows],
        "to_best": [r.standing.to_best.value if r.standing else None for r in rows],
        "to_best_low": [r.standing.to_best.low if r.standing else None for r in rows],
        "to_best_high": [r.standing.to_best.high if r.standing else None for r in rows],
        "to_floor": [f.value if (f := r.to_floor) else None for r in rows],
        "to_floor_low": [f.low if (f := r.to_floor) else None for r in rows],
        "to_floor_high": [f.high if (f := r.to_floor) else None for r in rows],
        "unrelated": [u.value.value if (u := r.unrelated) else None for r in rows],
        "unrelated_low": [u.value.low if (u := r.unrelated) else None for r in rows],
        "unrelated_high": [u.value.high if (u := r.unrelated) else None for r in rows],
        "unrelated_rows": [u.rows if (u := r.unrelated) and u.sets else None for r in rows],
        "card_verified": [r.card.counts.get("verified", 0) if r.card else None for r in rows],
        "card_declared": [r.card.counts.get("declared", 0) if r.card else None for r in rows],
        "card_contradicted": [r.card.counts.get("contradicted", 0) if r.card else None for r in rows],
        "sandbox": [r.result.sandbox if r.result else None for r in rows],
        "image_digest": [r.result.image.digest if r.result else None for r in rows],
        "seconds": [r.result.runtime.seconds if r.result else None for r in rows],
        "peak_memory_mb": [r.result.runtime.peak_memory_mb if r.result else None for r in rows],
        "evaluated_at": [r.result.evaluated_at if r.result else None for r in rows],
    }
    for name in board.track.metrics:
        values = [r.metric(name) for r in rows]
        found[name] = [v.value if v else None for v in values]
        found[f"{name}_low"] = [v.low if v else None for v in values]
        found[f"{name}_high"] = [v.high if v else None for v in values]
    return found


def task_columns(board: Board) -> dict[str, Column]:
    """Every task of a few-shot track by entry and support size, as columns."""
    found = [(row.entry.id, value) for row in board.rows for value in (row.result.tasks or () if row.result else ())]
    return {
        "submission": [entry_id for entry_id, _ in found],
        "task": [value.task for _, value in found],
        "size": [value.size for _, value in found],
        "spearman": [value.value for _, value in found],
        "spearman_low": [value.low for _, value in found],
        "spearman_high": [value.high for _, value in found],
    }


def as_csv(columns_of_data: Mapping[str, Sequence[object]]) -> str:
    """The data of a board, by columns, as CSV, with a line of text never taken for a formula by a spreadsheet."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(columns_of_data)
    for values in zip(*columns_of_data.values(), strict=True):
        writer.writerow([_inert(v) for v in values])
    return stream.getvalue()


def _inert(value: object) -> object:
    """Missing is an empty field."""
    if isinstance(value, str) and value[:1] in ("=", "+", "-", "@"):
        return f"'{value}"
    return value
