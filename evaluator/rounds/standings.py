"""Rank a track's entries from their kept predictions; what is published of it is a small table, never a prediction."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from evaluator.contract.labels import TrackData
from evaluator.contract.submissions import Submission
from evaluator.contract.tracks import Track
from evaluator.integrity import disclosure
from evaluator.integrity.contamination import trained_on
from evaluator.scoring import ranking
from evaluator.store.results import Results
from evaluator.store.schemas import Pairs, Standing, Standings, Value
from evaluator.store.state import State

MAX_PAIRED = 300
"""Entries whose pairs are published; their number grows with the square."""


def update(
    data: TrackData, entries: Mapping[str, Submission], results: Results, state: State, level: float = 0.95
) -> None:
    """Rank all entries of a track that were scored on it and were not trained on its labels.

    Args:
        level: of the intervals; tests are at 1 - level.
    """
    track = data.track
    if track.classes and not (track.classes.negative and track.classes.positive):
        return
    ids, scores, predictions = [], [], []
    for entry_id, entry in sorted(entries.items()):
        record = results.get(entry_id, track.id)
        if record is None or record.status != "ok" or entry.withdrawn or trained_on(entry, track) == "yes":
            continue
        value = record.metrics.get(track.primary_metric)
        if value is None or value.value is None:  # such as a rank correlation of one and the same score for all
            continue
        kept = state.predictions(record.run_key)
        if kept is not None:  # without its predictions an entry keeps its scores, and has no rank until it is run again
            ids.append(entry_id)
            scores.append(kept.score)
            predictions.append(kept.prediction if kept.prediction is not None else np.empty(0, dtype=np.int8))
    if ids:
        compare = ranking.PAIRED[track.primary_metric]
        found = compare(data.truth, np.array(scores), np.array(predictions), data.families)
    else:
        found = ranking.Paired(np.empty(0), np.empty((0, 0)), 1)
    results.put_standings(_standings(data, ids, ranking.rank(found, 1 - level), level))
    if disclosure.tells_pairs(track):
        results.put_pairs(_pairs(track, ids, found))


def _pairs(track: Track, ids: list[str], found: ranking.Paired) -> Pairs:
    best: npt.NDArray[np.intp] = np.argsort(-found.value, kind="stable")[:MAX_PAIRED]
    deviation = found.deviation()[np.ix_(best, best)] if len(ids) else np.empty((0, 0))
    return Pairs(
        track=track.id,
        metric=track.primary_metric,
        freedom=found.freedom,
        submissions=tuple(ids[k] for k in best),
        value=tuple(round(float(found.value[k]), 12) for k in best),
        deviation=tuple(tuple(float(f"{d:.4g}") for d in deviation[i, :i]) for i in range(len(best))),
    )


def _standings(data: TrackData, ids: list[str], ranks: ranking.Ranking, level: float) -> Standings:
    track = data.track

    def short(value: float | None) -> float | None:
        return disclosure.rounded(value, track)

    numbered = track.ranked == "tiers"
    entries = {
        entry_id: Standing(
            tier=int(ranks.tier[k]) if numbered else None,
            rank_low=int(ranks.rank_low[k]) if numbered else None,
            rank_high=int(ranks.rank_high[k]) if numbered else None,
            to_best=Value(
                value=short(ranks.to_best[k]), low=short(ranks.to_best_low[k]), high=short(ranks.to_best_high[k])
            ),
        )
        for k, entry_id in enumerate(ids)
    }
    return Standings(
        track=track.id,
        metric=track.primary_metric,
        detectable=short(ranks.detectable),
        entries=entries,
        level=level,
        families=data.family_count,
    )
