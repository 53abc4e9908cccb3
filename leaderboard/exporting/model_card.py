"""Each entry as a model card of the Hugging Face Hub, its scores in the `model-index` that the Hub reads.

https://huggingface.co/docs/hub/model-cards
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from evaluator.contract.submissions import Submission
from evaluator.contract.task_types import KINDS, METRICS
from evaluator.contract.tracks import Track
from evaluator.text import markdown
from leaderboard.board import Row
from leaderboard.data import as_json
from leaderboard.exports import KEYWORDS, NAME, Published

TITLE = "Hugging Face model card"
STANDARD = "https://huggingface.co/docs/hub/model-cards"
WHAT = "each entry with its scores in the model-index, for its author to put beside the weights"
PATHS = "exports/model_cards/{submission}.md"

LICENCES = {"apache-2.0", "mit", "bsd-2-clause", "bsd-3-clause", "gpl-3.0", "lgpl-3.0", "cc-by-4.0", "cc-by-nc-4.0"}
"""What the Hub calls by the lower case of its SPDX id; the others go under a name of their own."""
DECIMALS = 4
Json = dict[str, Any]


def files(published: Published) -> Iterable[tuple[str, bytes]]:
    """One card for each entry that was scored."""
    for entry_id, rows in published.scored.items():
        yield PATHS.format(submission=entry_id), card(rows, published)


def card(rows: list[tuple[Track, Row]], published: Published) -> bytes:
    """A card: what programs read between two lines of hyphens, and below what people read."""
    entry = rows[0][1].entry
    page = published.page(f"submissions/{entry.id}/index.html")
    front: Json = {
        **_licence(entry),
        "tags": KEYWORDS,
        "model-index": [{"name": entry.name, "results": [_result(track, row, page) for track, row in rows]}],
    }
    # A value of JSON is one of YAML, and no other way of writing YAML is as quick.
    lines = [f"{key}: {as_json(value, compact=True).decode().strip()}\n" for key, value in front.items()]
    return f"---\n{''.join(lines)}---\n\n{_text(entry, rows, page)}".encode()


def _licence(entry: Submission) -> Json:
    if entry.license is None:
        return {}
    if entry.license.lower() in LICENCES:
        return {"license": entry.license.lower()}
    return {"license": "other", "license_name": entry.license.lower()}


def _result(track: Track, row: Row, page: str | None) -> Json:
    assert row.result is not None
    kind = "tabular-classification" if KINDS[track.task].has_classes else "tabular-regression"
    metrics = [
        {
            "type": name,
            "name": METRICS[name].title,
            "value": round(value.value, DECIMALS),
            "args": {"low": _rounded(value.low), "high": _rounded(value.high), "level": row.result.level},
        }
        for name, value in row.result.metrics.items()
        if value.value is not None
    ]
    return {
        "task": {"type": kind, "name": "Antibody polyreactivity"},
        "dataset": {
            "type": f"antibody-polyreactivity/{track.id}",
            "name": track.title,
            "split": "test",
            "args": {"n": track.n},
        },
        "metrics": metrics,
        **({"source": {"name": NAME, "url": page}} if page else {}),
    }


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, DECIMALS)


def _text(entry: Submission, rows: list[tuple[Track, Row]], page: str | None) -> str:
    how = "Scored from published predictions, not run." if entry.archived else "Run offline as an image."
    lines = [f"# {markdown(entry.name)}", ""]
    if entry.description:
        lines += [markdown(entry.description, 600), ""]
    lines += [
        f"Author: {markdown(entry.author)}. Labelled sets that it has seen: {', '.join(entry.training_data)}.",
        "",
        f"Scores by the {NAME}{f' ([its page]({page}))' if page else ''}. {how}",
        "",
        "| dataset | metric | value | interval | trained on these labels |",
        "|---|---|---:|---|---|",
    ]
    for track, row in rows:
        value = row.metric(track.primary_metric)
        if value is None or value.value is None:
            continue
        ends = "" if value.low is None or value.high is None else f"{value.low:.3f} to {value.high:.3f}"
        title = METRICS[track.primary_metric].title
        lines.append(f"| {track.title} | {title} | {value.value:.3f} | {ends} | {row.trained_on} |")
    lines += [
        "",
        "Intervals are at the level that `model-index` names. Differences within them are noise. A score tells of one "
        "assay on one set of antibodies, and nothing of a single candidate.",
        "",
    ]
    return "\n".join(lines)
