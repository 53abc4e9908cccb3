"""Rank a track's entries from their kept predictions; what is published of it is a small table, never a prediction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from evaluator.contract.labels import TrackData, TrackFiles
from evaluator.contract.submissions import Submission
from evaluator.contract.tracks import Track
from evaluator.integrity import disclosure, freshness
from evaluator.scoring import few_shot, ranking
from evaluator.scoring.scored import Scored
from evaluator.scoring.similarity import Behaviours, error_agreement
from evaluator.store.results import Results
from evaluator.store.schemas import Alike, Pairs, Standing, Standings, Value
from evaluator.store.state import Kept, State

MAX_PAIRED = 300
"""Entries whose pairs are published; their number grows with the square."""


def update(
    files: TrackFiles, entries: Mapping[str, Submission], results: Results, state: State, level: float = 0.95
) -> list[str]:
    """Rank all entries of a track that were scored on it and were not trained on its labels.

    Nothing is written where the ranking is of today already, or where it would be made of a part of the entries only.

    Args:
        level: of the intervals; tests are at 1 - level.

    Returns:
        The entries whose predictions are not kept here, and that would lose their rank.
    """
    track = files.track
    if track.classes and not (track.classes.negative and track.classes.positive):
        return []
    records = freshness.ranked_records(track, entries, lambda entry_id: results.scope(entry_id, track.id))
    archived = freshness.archived_records(track, entries, lambda entry_id: results.scope(entry_id, track.id))
    made_from = freshness.made_from(track, records, level, archived)
    before = results.standings(track.id)
    if before and before.made_from == made_from:
        return []
    kept: dict[str, Kept] = {}
    lost = []
    for entry_id, record in {**records, **archived}.items():
        predictions = state.predictions(record.run_key)
        if predictions is None:
            lost.append(entry_id)
        elif _has_value(results, entry_id, track):  # without one, such as one and the same score for all: no rank
            kept[entry_id] = predictions
    if lost:
        return lost
    ids, data = [i for i in kept if i in records], files.data
    found = _paired(data, [kept[i] for i in ids])
    if disclosure.tells_pairs(track):
        results.put_pairs(_pairs(track, ids, found).model_copy(update={"alike": _alike(data, kept)}))
    made = _standings(data, ids, found, level, made_from)
    beside = [i for i in kept if i in archived]
    if track.floor in ids and beside:
        # Apart from the others, whose ranks are then the same with and without them.
        value, low, high = _paired(data, [kept[i] for i in (track.floor, *beside)]).against(0, 1 - level)
        ends = {i: [disclosure.rounded(x[k], track) for x in (value, low, high)] for k, i in enumerate(beside, start=1)}
        found_beside = {i: Value(value=v, low=a, high=b) for i, (v, a, b) in ends.items()}
        made = made.model_copy(update={"archived": found_beside})
    results.put_standings(made)
    return []


def _paired(data: TrackData, kept: Sequence[Kept]) -> ranking.Paired:
    if not kept:
        return ranking.Paired(np.empty(0), np.empty((0, 0)), 1)
    return ranking.PAIRED[data.track.primary_metric]([Scored.on(data, k.score, k.prediction) for k in kept])


def _has_value(results: Results, entry_id: str, track: Track) -> bool:
    record = results.get(entry_id, track.id)
    value = record.metrics.get(track.primary_metric) if record else None
    return value is not None and value.value is not None


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


def _alike(data: TrackData, kept: Mapping[str, Kept]) -> Alike | None:
    """What any two entries have in common, archived ones among them."""
    if data.splits is not None:
        ids = [*kept][:MAX_PAIRED]
        ranks = np.array([few_shot.ranks_within(data.splits, kept[i].score) for i in ids])
        return Alike(submissions=tuple(ids), spearman=_below(ranks @ ranks.T / ranks.shape[1])) if ids else None
    said = Behaviours.of({i: kept[i].score.tolist() for i in [*kept][:MAX_PAIRED]})
    agreement = consistency = None
    if data.track.classes:
        wrong = np.array([_prediction(kept[i]) != data.truth for i in said.ids], dtype=np.float64)
        observed, beyond = error_agreement(wrong.reshape(len(said.ids), data.n))
        agreement, consistency = _below(observed), _below(beyond)
    return Alike(submissions=said.ids, spearman=_below(said.spearman), agreement=agreement, consistency=consistency)


def _prediction(kept: Kept) -> npt.NDArray[np.int8]:
    assert kept.prediction is not None
    return kept.prediction


def _below(values: npt.NDArray[np.float64]) -> tuple[tuple[float | None, ...], ...]:
    """What lies below the diagonal, with four digits; None for what is not defined."""
    short = [[None if np.isnan(v) else float(f"{v:.4g}") for v in row] for row in values]
    return tuple(tuple(row[:i]) for i, row in enumerate(short))


def _standings(data: TrackData, ids: list[str], found: ranking.Paired, level: float, made_from: str) -> Standings:
    track, ranks = data.track, ranking.rank(found, 1 - level)
    floor = ids.index(track.floor) if track.floor in ids else None
    above = found.against(floor, 1 - level) if floor is not None else None

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
            to_floor=Value(value=short(above[0][k]), low=short(above[1][k]), high=short(above[2][k]))
            if above and k != floor
            else None,
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
        made_from=made_from,
    )
