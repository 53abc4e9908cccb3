"""Whether a track's ranking is of today: it is derived, so it carries a hash of all that it was made from.

Ranks follow from records, kept predictions, submissions and the track's file. Each of these may change without a round
(an entry is withdrawn, a metric replaced, a round cut short), and then the ranking is made anew or not shown.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping

from evaluator.contract.submissions import Submission
from evaluator.contract.tracks import Track
from evaluator.integrity.contamination import trained_on
from evaluator.scoring.scorer import SCORER_VERSION
from evaluator.store.schemas import Result, Scope, Standings

RANKING_VERSION = "3"
"""Changes whenever tiers or rank intervals could come out otherwise; rankings are then made anew."""


Record = Scope | Result


def ranked_records(
    track: Track, entries: Mapping[str, Submission], record_of: Callable[[str], Record | None]
) -> dict[str, Record]:
    """The records that a track's ranking is made of: run on its data, not withdrawn, not trained on its labels.

    Args:
        entries: every valid submission, by id.
        record_of: an entry's record on this track; None where it has none.
    """
    ranked = {i: e for i, e in entries.items() if not (e.withdrawn or e.archived or trained_on(e, track) == "yes")}
    return _on_its_data(track, ranked, record_of)


def archived_records(
    track: Track, entries: Mapping[str, Submission], record_of: Callable[[str], Record | None]
) -> dict[str, Record]:
    """The records of archived predictions on a track's data; arguments as above."""
    return _on_its_data(track, {i: e for i, e in entries.items() if e.archived and not e.withdrawn}, record_of)


def _on_its_data(track: Track, ids: Iterable[str], record_of: Callable[[str], Record | None]) -> dict[str, Record]:
    records = {entry_id: record for entry_id in sorted(ids) if (record := record_of(entry_id))}
    its = track.sha256.sequences
    return {i: r for i, r in records.items() if r.status == "ok" and r.sequences_sha256 == its}


def made_from(
    track: Track, records: Mapping[str, Record], level: float, archived: Mapping[str, Record] | None = None
) -> str:
    """Hash of all that a track's ranking follows from.

    Args:
        records: as `ranked_records` has them.
        level: of the intervals.
        archived: as `archived_records` has them.
    """
    parts = [
        RANKING_VERSION,
        SCORER_VERSION,
        [track.id, track.primary_metric, track.ranked, track.disclosure, track.families],
        [track.sha256.sequences, track.labels_hash, level],
        [[entry_id, record.run_key] for entry_id, record in sorted(records.items())],
        *[[entry_id, record.run_key] for entry_id, record in sorted((archived or {}).items())],
        *([track.few_shot.model_dump(mode="json")] if track.few_shot else []),
    ]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def is_fresh(
    standings: Standings,
    track: Track,
    entries: Mapping[str, Submission],
    record_of: Callable[[str], Record | None],
    level: float,
) -> bool:
    """Whether a ranking is what today's records, submissions and track file ask for; arguments as above."""
    ranked, archived = (find(track, entries, record_of) for find in (ranked_records, archived_records))
    return standings.made_from == made_from(track, ranked, level, archived)
