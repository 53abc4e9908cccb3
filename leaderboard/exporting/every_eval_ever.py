"""Each entry's scores as a record of Every Eval Ever, laid out as its datastore has them: schema 0.3.0.

https://github.com/evaleval/every_eval_ever; Every Eval Ever, arXiv 2606.14516.
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from evaluator.contract.task_types import METRICS
from evaluator.contract.tracks import Track
from evaluator.store.schemas import Result, Value
from leaderboard.board import Row
from leaderboard.data import as_json
from leaderboard.exports import CONTRIBUTORS, NAME, Published, sources

TITLE = "Every Eval Ever 0.3.0"
STANDARD = "https://github.com/evaleval/every_eval_ever"
WHAT = "each entry's scores with their intervals, by a list of their records"
PATHS = "exports/every_eval_ever/records.json"

COLLECTION = "antibody-polyreactivity"
DEVELOPER = "antibody-polyreactivity-benchmark"
"""Before each id: ids are given out here, while a developer may be anybody, under any name."""
Json = dict[str, Any]


def files(published: Published) -> Iterable[tuple[str, bytes]]:
    """One record for each entry, and a list of them."""
    listed = {}
    for entry_id, rows in published.scored.items():
        content = as_json(record(entry_id, rows, published), compact=True)
        name = uuid.UUID(bytes=hashlib.sha256(content).digest()[:16], version=4)
        listed[entry_id] = f"data/{COLLECTION}/{DEVELOPER}/{entry_id}/{name}.json"
        yield f"exports/every_eval_ever/{listed[entry_id]}", content
    yield PATHS, as_json(listed)


def record(entry_id: str, rows: list[tuple[Track, Row]], published: Published) -> Json:
    """An entry's record over all tracks that it was scored on."""
    entry = rows[0][1].entry
    results = [row.result for _, row in rows if row.result]
    latest = max(results, key=lambda result: result.evaluated_at)
    seconds = str(int(datetime.fromisoformat(latest.evaluated_at).replace(tzinfo=UTC).timestamp()))
    source: Json = {
        "source_name": NAME,
        "source_type": "documentation",  # scores alone: predictions are not given away
        "source_organization_name": CONTRIBUTORS,
        "evaluator_relationship": _relationship(rows[0][1]),
    }
    if page := published.page(f"submissions/{entry_id}/index.html"):
        source["source_organization_url"] = published.url
        source["additional_details"] = {"page": page}
    return {
        "schema_version": "0.3.0",
        "evaluation_id": f"{COLLECTION}/{entry_id}/{seconds}",
        "evaluation_timestamp": latest.evaluated_at,
        "retrieved_timestamp": seconds,
        "source_metadata": source,
        "eval_library": {"name": DEVELOPER, "version": latest.software},
        "model_info": {
            "name": entry.name,
            "id": f"{DEVELOPER}/{entry_id}",
            "developer": entry.team or entry.affiliation or entry.author,
            "additional_details": {
                "deployment_type": "unknown" if entry.archived else "self_deployed",
                "model_availability": "unknown",
                "training_data": ", ".join(entry.training_data),
            },
        },
        "evaluation_results": [
            _score(track, row, row.result, name, value)
            for track, row in rows
            if row.result
            for name, value in row.result.metrics.items()
            if value.value is not None
        ],
    }


def _relationship(row: Row) -> str:
    """Of those who have scored to those who have made the model; archived predictions may be of either."""
    if row.entry.archived:
        return "other"
    return "first_party" if row.reference else "third_party"


def _score(track: Track, row: Row, result: Result, name: str, value: Value) -> Json:
    about = METRICS[name]
    details = {
        "sandbox": result.sandbox,
        "scorer": result.scorer,
        "trained_on_these_labels": row.trained_on,
        "image_digest": result.image.digest or "",
    }
    uncertainty: Json = {"num_samples": result.n}
    if value.low is not None and value.high is not None:
        uncertainty["confidence_interval"] = {
            "lower": value.low,
            "upper": value.high,
            "confidence_level": result.level,
            "method": "analytic, over families of sequences" if result.families else "analytic",
        }
    addresses = sources(track)
    return {
        "evaluation_result_id": f"{track.id}/{name}",
        "evaluation_name": f"{COLLECTION}.{track.id}",
        "evaluation_timestamp": result.evaluated_at,
        "source_data": {
            "dataset_name": track.title,
            **({"source_type": "url", "url": addresses} if addresses else {"source_type": "other"}),
        },
        "metric_config": {
            "metric_id": {"roc_auc": "auroc"}.get(name, name),
            "metric_name": about.title,
            "lower_is_better": not about.higher_is_better,
            "score_type": "continuous",
            "min_score": about.least,
            "max_score": about.most,
        },
        "score_details": {"score": value.value, "details": details, "uncertainty": uncertainty},
    }
