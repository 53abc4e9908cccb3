"""Every track's ranking again: from all predictions, or as far as the published pairs go."""

from __future__ import annotations

import numpy as np

from evaluator.contract.tracks import Track
from evaluator.integrity import disclosure
from evaluator.rounds import derived, standings
from evaluator.scoring import ranking
from evaluator.store.results import Results
from evaluator.store.schemas import Pairs, Value
from evaluator.store.state import State
from scripts.rebuilding.board import Board
from scripts.rebuilding.found import EXACT, Found, numbers

DIGITS = 1e-3
"""How far, relative to its width, an interval may lie that is made of errors published with four digits."""


def of_standings(board: Board) -> Found:
    """Tiers, ranks and paired differences: from all predictions, or as far as the published pairs go."""
    found = Found("tiers, ranks and paired differences")
    fresh, state = Results(board.work / "results"), State(board.work / "state")
    for record in board.records:
        fresh.put(record)
        if kept := board.kept.get(record.run_key):
            state.keep_predictions(record.run_key, kept)
    entries = derived.valid_entries(board.repository.submissions)
    for track in board.tracks.values():
        told, pairs = board.results.standings(track.id), board.results.pairs(track.id)
        if told is None:
            continue
        lost, files = [""], board.files.get(track.id)
        if files and files.data.labels_hash == track.labels_hash:
            lost = standings.update(files, entries, fresh, state, board.repository.settings.level)
        again, with_pairs = fresh.standings(track.id), fresh.pairs(track.id)
        shown = [told.model_dump(), pairs.model_dump() if pairs else None]
        if not lost and again:
            found.compare(track.id, shown, [again.model_dump(), with_pairs.model_dump() if with_pairs else None])
            continue
        done = _from_pairs(board, track, pairs, found)
        why = (
            "the labels are sealed"
            if disclosure.is_hidden(track)
            else "predictions of all entries and labels are needed"
        )
        found.leave(why, max(len(numbers(shown)) - done, 0))
    return found


def _from_pairs(board: Board, track: Track, pairs: Pairs | None, found: Found) -> int:
    """Hold what follows from the records and the published pairs against them; returns how many numbers these are."""
    told = board.results.standings(track.id)
    if pairs is None or told is None or not pairs.submissions or set(pairs.submissions) != set(told.entries):
        return 0
    ids, by_id = pairs.submissions, {r.submission: r for r in board.records if r.track == track.id}
    recorded = {i: by_id[i].metrics[pairs.metric].value for i in ids if i in by_id and pairs.metric in by_id[i].metrics}
    done = found.compare(f"pairs of {track.id}", dict(zip(ids, pairs.value, strict=True)), recorded)
    deviation = np.zeros((len(ids), len(ids)))
    for i, row in enumerate(pairs.deviation):
        deviation[i, :i] = deviation[:i, i] = row
    value, nothing = np.array(pairs.value), np.zeros_like(deviation)
    paired = ranking.Paired(value, nothing, pairs.freedom, least=deviation)
    exact = pairs.metric == "accuracy"  # whose tests are exact, and rest on more than these pairs
    ranks = ranking.rank(paired, 1 - told.level)
    floor = paired.against(ids.index(track.floor), 1 - told.level) if track.floor in ids else None
    best = (ranks.to_best, ranks.to_best_low, ranks.to_best_high)
    for k, entry in enumerate(ids):
        one = told.entries[entry]
        where = f"{entry} in the ranking of {track.id}"
        if one.tier is not None and not exact:
            again = {"tier": ranks.tier[k], "rank_low": ranks.rank_low[k], "rank_high": ranks.rank_high[k]}
            ranked = one.model_dump(include=set(again))
            done += found.compare(where, ranked, {name: int(n) for name, n in again.items()})
        done += _difference(found, f"{where}, to the best", one.to_best, *(float(x[k]) for x in best))
        if one.to_floor and floor:
            done += _difference(found, f"{where}, to the floor", one.to_floor, *(float(x[k]) for x in floor))
    return done


def _difference(found: Found, where: str, told: Value, value: float, low: float, high: float) -> int:
    done = found.compare(where, {"value": told.value}, {"value": value})
    ends = {"low": told.low, "high": told.high}
    return done + found.compare(where, ends, {"low": low, "high": high}, EXACT + DIGITS * (high - low))
