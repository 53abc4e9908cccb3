"""Rank a track's entries from their kept predictions; what is published of it is a small table, never a prediction."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from evaluator import ranking
from evaluator.results import Results, Standing, Standings, Value
from evaluator.state import State
from evaluator.submission import Submission
from evaluator.tracks import Track, TrackData

HIDDEN_DECIMALS = 3


def trained_on(entry: Submission, track: Track) -> str:
    """`no`, `yes` or `undisclosed`: whether an entry has seen a track's labels, by its own account."""
    if "undisclosed" in entry.training_data:
        return "undisclosed"
    return "yes" if set(entry.training_data) & set(track.same_labels) else "no"


def update(data: TrackData, entries: Mapping[str, Submission], results: Results, state: State) -> None:
    """Rank all entries of a classification track that were scored on it and were not trained on its labels."""
    track = data.track
    if (
        track.task != "classification"
        or track.classes is None
        or not (track.classes.negative and track.classes.positive)
    ):
        return
    ids, rows = [], []
    for entry_id, entry in sorted(entries.items()):
        record = results.get(entry_id, track.id)
        if record is None or record.status != "ok" or trained_on(entry, track) == "yes":
            continue
        kept = state.predictions(record.run_key)
        if kept is not None:  # without its predictions an entry keeps its scores, and has no rank until it is run again
            ids.append(entry_id)
            rows.append(kept.score)
    scores = np.array(rows) if rows else np.empty((0, data.n))
    results.put_standings(_standings(track, ids, ranking.rank(ranking.compare(data.truth.astype(np.int8), scores))))


def _standings(track: Track, ids: list[str], ranks: ranking.Ranking) -> Standings:
    decimals = HIDDEN_DECIMALS if track.disclosure == "hidden" else 12

    def short(value: float | None) -> float | None:
        return None if value is None else round(float(value), decimals)

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
    return Standings(track=track.id, metric="roc_auc", detectable=short(ranks.detectable), entries=entries)
