"""Which rows of which track have relatives in which training set: compared once, kept in test_data/relatives/.

A set is one that many train on, by its name in `training_data`, or one entry's own file, by the entry's id. What is
kept are counts and numbers of rows, never a sequence or an id, and nothing of hidden tracks. What is not kept there was
never compared: that is unknown, and not clean.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from pydantic import ValidationError

from evaluator.contract.labels import TrackData
from evaluator.contract.models import Frozen
from evaluator.contract.submissions import Submission
from evaluator.contract.task_types import KINDS
from evaluator.contract.tracks import Sha256, Track
from evaluator.contract.training_sets import VAGUE
from evaluator.errors import EvaluatorError
from evaluator.integrity import at_hand
from evaluator.integrity.contamination import identity_with, known_sets, meta_trained_on
from evaluator.integrity.findings import Exact, Overlap
from evaluator.store.schemas import Unrelated, Value
from evaluator.validation import in_words

if TYPE_CHECKING:  # these load scipy, which whoever only asks what was compared does not need
    from evaluator.integrity.overlap import Known
    from evaluator.scoring.scored import Scored

NOTHING = {"none", "synthetic"}
"""What has no relatives by its nature."""
ITS_OWN = VAGUE
"""What an entry's own file holds, by its author's account; what is undisclosed stays unknown beside any file."""


class Compared(Frozen):
    """One set on one track.

    Attributes:
        sequences_sha256: of the track's file: with another one this is void.
        rows: numbers of rows in it, from 0, that have a relative at .90; of hashes those that are the same.
    """

    sequences_sha256: Sha256
    found: Overlap | Exact
    rows: tuple[int, ...]


class KnownSet(Frozen):
    """One training set on every track that it was compared with."""

    name: str
    sha256: Sha256
    tracks: dict[str, Compared]


Sets = Mapping[str, KnownSet]


def compare(known: Known, tracks: Iterable[TrackData]) -> KnownSet:
    """A set on tracks; hidden ones are left out."""
    from evaluator.integrity import disclosure, overlap

    found = {}
    for data in tracks:
        if not disclosure.is_hidden(data.track) and data.sequences_sha256:
            counted, identity = overlap.of_known(at_hand.heavy_of(data), known)
            rows = np.flatnonzero(~overlap.unrelated(identity)).tolist()
            found[data.track.id] = Compared(sequences_sha256=data.sequences_sha256, found=counted, rows=tuple(rows))
    return KnownSet(name=known.name, sha256=known.sha256, tracks=found)


def compared_on(track: Track) -> bool:
    """Whether rows may be left out of its scores: not where they are parts of draws, nor where that tells of labels."""
    from evaluator.integrity import disclosure

    return not KINDS[track.task].supports and not disclosure.is_hidden(track)


def load(folder: Path) -> dict[str, KnownSet]:
    """Every set that was compared, by its name; none where the folder is not there.

    Raises:
        EvaluatorError: a file is not what was written.
    """
    found = {}
    for path in sorted(folder.glob("*.json")):
        try:
            found[path.stem] = KnownSet.model_validate_json(path.read_bytes())
        except ValidationError as error:
            remedy = "Write it again: apb overlap --train FILE --hidden DIR --write NAME."
            raise EvaluatorError(f"{path} is no comparison. {in_words(error, KnownSet)}", remedy) from error
    return found


@dataclass(frozen=True)
class Relations:
    """What an entry was trained on, held against one track.

    Attributes:
        sets: those that were compared, by name.
        unknown: those that were not.
    """

    sets: Mapping[str, Compared]
    unknown: tuple[str, ...]

    @property
    def version(self) -> str:
        """Changes whenever another row may be left out."""
        parts = [{name: one.model_dump(mode="json") for name, one in sorted(self.sets.items())}, self.unknown]
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()

    def keep(self, n: int) -> npt.NDArray[np.bool_]:
        """The rows without a relative in any of the sets, [n]."""
        kept = np.ones(n, dtype=np.bool_)
        for one in self.sets.values():
            kept[list(one.rows)] = False
        return kept


def of(entry: Submission, track: Track, known: Sets) -> Relations | None:
    """An entry's training sets on a track, by its own account; None where there is nothing to compare."""
    return _of(entry, entry.training_data, track, known) if compared_on(track) else None


def of_few_shot(entry: Submission, track: Track, known: Sets) -> Relations | None:
    """The same on a few-shot track, and of what the entry was meta-trained on too; no score can leave rows out there.

    An assay that the author named is the set that it is of, where that is known; one whose protein was held against
    the track's own is left to `Track.related_assays`.
    """
    from evaluator.integrity import disclosure

    if disclosure.is_hidden(track):
        return None
    others = (name for name in meta_trained_on(entry) if identity_with(track, name) is None)
    sets = (sorted(known_sets(name)) or [name] for name in others)
    return _of(entry, dict.fromkeys((*entry.training_data, *chain.from_iterable(sets))), track, known)


def _of(entry: Submission, names: Iterable[str], track: Track, known: Sets) -> Relations | None:
    if track.sha256.sequences is None:
        return None
    own = _own(entry, track, known)
    named = [name for name in names if name not in NOTHING]
    if not named and own is None and entry.training_sequences is None:
        return None
    sets: dict[str, Compared] = {name: one for name in named if (one := _on(known.get(name), track))}
    unknown: list[str] = [name for name in named if name not in sets and not (own and name in ITS_OWN)]
    if own is not None:
        sets[entry.id] = own
        unknown += ["relatives that are not the same"] if isinstance(own.found, Exact) else []
    elif entry.training_sequences is not None:
        unknown.append("its own file")
    return Relations(sets, tuple(unknown))


def _own(entry: Submission, track: Track, known: Sets) -> Compared | None:
    """An entry's own file, where that very file was compared."""
    found = known.get(entry.id)
    if entry.training_sequences is None or found is None or found.sha256 != entry.training_sequences.sha256:
        return None
    return _on(found, track)


def _on(known: KnownSet | None, track: Track) -> Compared | None:
    found = known.tracks.get(track.id) if known else None
    return found if found and found.sequences_sha256 == track.sha256.sequences else None


def score(relations: Relations, scored: Scored, metric: str) -> Unrelated:
    """A metric of the rows without relatives, as it is recorded."""
    from evaluator.integrity import overlap
    from evaluator.scoring.scored import Estimate

    keep = relations.keep(len(scored.truth))
    if not relations.sets:
        estimate = Estimate(None, reason="what it was trained on was never compared with this track")
    else:
        estimate = overlap.score_without(scored, metric, keep)
    return Unrelated(
        sets={name: len(one.rows) for name, one in relations.sets.items()},
        unknown=relations.unknown,
        rows=int(keep.sum()),
        value=Value.of(estimate),
    )
