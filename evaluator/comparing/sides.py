"""Where a candidate or a baseline of a comparison comes from: records, predictions files, metrics that are stated."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from evaluator.contract import tracks
from evaluator.contract.labels import TrackData, load_data
from evaluator.contract.task_types import METRICS
from evaluator.errors import UsageError
from evaluator.scoring import files as score
from evaluator.scoring import metrics
from evaluator.scoring.scored import Scored
from evaluator.store.results import Results
from evaluator.store.schemas import Counts, Result, Value
from evaluator.store.state import State
from evaluator.text import printable
from evaluator.validation import in_words

ALIASES = {
    "auc": "roc_auc",
    "auroc": "roc_auc",
    "auc_roc": "roc_auc",
    "ap": "average_precision",
    "pr_auc": "average_precision",
    "auprc": "average_precision",
    "sensitivity": "recall",
    "f1_score": "f1",
    "brier_score": "brier",
}


@dataclass(frozen=True, eq=False)
class Side:
    """One of the two, on one track.

    Attributes:
        failure: why there are no metrics, or None.
        scored: its predictions beside the truth, where both are at hand.
    """

    name: str
    metrics: Mapping[str, Value]
    confusion: Counts | None = None
    failure: str | None = None
    n: int | None = None
    digest: str | None = None
    scored: Scored | None = None


@dataclass(frozen=True)
class Sources:
    """Where a candidate or a baseline may come from.

    Attributes:
        hidden, labels: the truth, for paired intervals and for predictions files.
    """

    results: Results
    state: State
    tracks: Path
    hidden: Path | None = None
    labels: Path | None = None
    level: float = 0.95


def sides(name: str, sources: Sources, track: str | None) -> dict[str | None, Side]:
    """What is named, by track; None where a file does not say its track.

    Args:
        name: a submission's id, a JSON file (a record, or what `apb score --json` prints), or a predictions file (.csv,
            .csv.gz), for which `sources.labels` is needed.

    Raises:
        UsageError: it is not there or not readable.
    """
    path = Path(name)
    shown = printable(name, 200)
    if path.name.endswith((".csv", ".csv.gz")):
        return {track: _of_predictions(path, sources)}
    if path.suffix == ".json":
        return _of_json(path, sources, track)
    records = [r for r in sources.results.all() if r.submission == name and track in (None, r.track)]
    if not records:
        where = f" on {track}" if track else ""
        raise UsageError(
            f"'{shown}' has no result{where}. Name a submission that apb evaluate has scored, a .json result or a .csv "
            "of predictions."
        )
    return {r.track: _of_record(r, sources) for r in records}


def _of_predictions(path: Path, sources: Sources) -> Side:
    if sources.labels is None:
        raise UsageError(f"{path} holds predictions: name their labels with --labels.")
    truth, table, families = score.read_files(path, sources.labels)
    scored = Scored(truth, table.score, table.prediction, sources.level, families)
    found = metrics.measure(scored)
    counts = Counts.of(found.confusion) if found.confusion else None
    values = {name: Value.of(e) for name, e in found.metrics.items()}
    return Side(path.name, values, counts, n=found.n, scored=scored)


def _of_json(path: Path, sources: Sources, track: str | None) -> dict[str | None, Side]:
    content = _json_file(path)
    if "run_key" in content:
        try:
            record = Result.model_validate(content)
        except ValidationError as error:
            raise UsageError(f"{path} is not a valid result. {in_words(error, Result)}") from error
        return {record.track: _of_record(record, sources)} if track in (None, record.track) else {}
    return {track: stated(str(path))}


def _of_record(record: Result, sources: Sources) -> Side:
    return Side(
        name=record.submission,
        metrics=record.metrics,
        confusion=record.confusion,
        failure=record.failure,
        n=record.n,
        digest=record.image.digest,
        scored=_kept(record, sources),
    )


def _kept(record: Result, sources: Sources) -> Scored | None:
    """A record's predictions beside the truth; None where either is not at hand or the labels are others."""
    kept = sources.state.predictions(record.run_key)
    data = _data(record.track, sources)
    if kept is None or data is None or data.labels_hash != record.labels_hash:
        return None
    return Scored.on(data, kept.score, kept.prediction, sources.level)


def _data(track: str, sources: Sources) -> TrackData | None:
    known = tracks.load_all(sources.tracks)
    return load_data(known[track], sources.hidden) if sources.hidden and track in known else None


def stated(text: str) -> Side:
    """A baseline known by its metrics alone.

    Args:
        text: a JSON object, or the path of a file with one: `{"accuracy": 0.71, "roc_auc": {"value": 0.8}}`, also
            under `metrics`; with `confusion` (`tn`, `fp`, `fn`, `tp`) or `confusion_matrix` ([[tn, fp], [fn, tp]]).

    Raises:
        UsageError: it is not that.
    """
    inline = text.lstrip().startswith("{")
    content = _parsed(text, "--baseline-metrics") if inline else _json_file(Path(text))
    values, found = content.get("metrics", content), {}
    if not isinstance(values, dict):
        raise UsageError("The baseline's metrics must be a JSON object.")
    for key, value in values.items():
        name = ALIASES.get(key, key)
        if name in METRICS:
            found[name] = _value(name, value)
    if not found:
        raise UsageError(f"The baseline states none of: {', '.join(METRICS)}.")
    return Side("stated metrics" if inline else Path(text).name, found, _counts(content))


def _value(name: str, value: Any) -> Value:
    fields = value if isinstance(value, dict) else {"value": value}
    ends = {key: fields.get(key) for key in ("value", "low", "high")}
    lowest = -1.0 if name in {"mcc", "spearman"} else 0.0
    for number in ends.values():
        valid = number is None or (isinstance(number, int | float) and not isinstance(number, bool))
        if not valid or (number is not None and not (lowest <= number <= 1 and math.isfinite(number))):
            raise UsageError(f"The baseline's {name} is {printable(repr(number), 40)}; it lies in [{lowest:g}, 1].")
    return Value(**ends)


def _counts(content: Mapping[str, Any]) -> Counts | None:
    counts = content.get("confusion")
    try:
        if (matrix := content.get("confusion_matrix")) is not None:
            (tn, fp), (fn, tp) = matrix
            counts = {"tn": tn, "fp": fp, "fn": fn, "tp": tp}
        return None if counts is None else Counts.model_validate(counts)
    except (TypeError, ValueError) as error:
        raise UsageError("The baseline's confusion matrix is [[tn, fp], [fn, tp]], in counts.") from error


def _json_file(path: Path) -> dict[str, Any]:
    try:
        return _parsed(path.read_text(encoding="utf-8"), str(path))
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} cannot be read: {error}") from error


def _parsed(text: str, where: str) -> dict[str, Any]:
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{where} is not JSON: {printable(str(error), 200)}") from error
    if not isinstance(content, dict):
        raise UsageError(f"{where} must be a JSON object.")
    return content
