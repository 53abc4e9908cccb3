"""What is shown of one track: its entries, best first, and who can be told from whom."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from evaluator.contract import references
from evaluator.contract.submissions import FLOOR, Submission
from evaluator.contract.task_types import METRICS
from evaluator.contract.tracks import Track, names
from evaluator.errors import SubmissionError
from evaluator.integrity import relatives
from evaluator.integrity.contamination import trained_on
from evaluator.integrity.relatives import Relations, Sets
from evaluator.store.schemas import Pairs, Result, Standing, Standings, Unrelated, Value
from leaderboard.cards import Shown


@dataclass(frozen=True)
class Row:
    """One entry on one track; `status` is ok, failed or not_run, three different things.

    Attributes:
        trained_on: `no`, `yes`, `undisclosed` or `unknown`: whether the entry has seen this track's labels.
        reference: whether it is one of the benchmark's own models, which are always shown.
        to_floor: difference to net charge, or to a few-shot track's reference; None where there is none, or it is that.
        card: its reproducibility card; None where it has none.
        relations: on a few-shot track, its training sets there; None where there is nothing to compare.
    """

    entry: Submission
    status: str
    result: Result | None
    trained_on: str
    standing: Standing | None
    reference: bool
    to_floor: Value | None = None
    card: Shown | None = None
    relations: Relations | None = None

    @property
    def unrelated(self) -> Unrelated | None:
        """The first metric without relatives of what it was trained on; None where there is nothing to compare."""
        return self.result.unrelated if self.result else None

    def metric(self, name: str) -> Value | None:
        """A metric; None where there is no result."""
        return self.result.metrics.get(name) if self.result else None

    def value(self, name: str) -> float | None:
        """A metric's value; None where there is none."""
        found = self.metric(name)
        return found.value if found else None


@dataclass(frozen=True)
class Board:
    """One track and its rows, best first; what has no value comes last."""

    track: Track
    rows: list[Row]
    standings: Standings | None
    pairs: Pairs | None
    stale: bool = False
    """Whether a ranking is kept that is not of today's records: it is not shown."""

    @property
    def metrics(self) -> list[str]:
        """The metrics of the track's task, the two that it is read by first."""
        first = list(dict.fromkeys((self.track.primary_metric, self.track.secondary_metric)))
        return first + [name for name in self.track.metrics if name not in first]

    @property
    def floor_name(self) -> str:
        """What all are held against, in the middle of a sentence."""
        if self.track.floor == FLOOR:
            return "net charge"
        return next((row.entry.name for row in self.rows if row.entry.id == self.track.floor), self.track.floor)

    @property
    def leaders(self) -> list[Row]:
        """The entries of the first tier; none where the track has no tiers."""
        return [r for r in self.rows if r.standing and r.standing.tier == 1]

    @property
    def held_against_floor(self) -> list[Row]:
        """The entries that were run and compared with the floor, row by row of the track."""
        return [r for r in self.rows if r.to_floor and not r.entry.archived]

    @property
    def above_floor(self) -> list[Row]:
        """Those that are shown to be better: the whole paired interval lies above 0."""
        return [r for r in self.held_against_floor if r.to_floor and r.to_floor.low is not None and r.to_floor.low > 0]

    @property
    def scored(self) -> list[Row]:
        """The entries with a primary metric, best first; archived ones are beside them, and not among them."""
        return [r for r in self.valued if not r.entry.archived]

    @property
    def valued(self) -> list[Row]:
        """All with a primary metric, best first: run here, or scored from published predictions."""
        return [r for r in self.rows if r.value(self.track.primary_metric) is not None]

    @property
    def archived(self) -> list[Row]:
        """Published predictions that were scored here, best first."""
        return [r for r in self.valued if r.entry.archived]


def board(
    track: Track,
    entries: Iterable[Submission],
    results: Mapping[str, Result],
    standings: Standings | None,
    pairs: Pairs | None,
    *,
    stale: bool = False,
    cards: Mapping[str, Shown] = MappingProxyType({}),
    known: Sets = MappingProxyType({}),
) -> Board:
    """Gather a track's board.

    Args:
        results: of this track, by submission.
        stale: whether there is a ranking that is not of today, and therefore is not handed over.
        cards: reproducibility cards, by submission.
        known: training sets that were compared with the tracks, by name.
    """
    ranked = standings.entries if standings else {}
    rows = []
    for entry in entries:
        result = results.get(entry.id)
        expected = not track.retired and not entry.archived and names(entry, track)
        if entry.withdrawn or not (result or expected):
            continue
        status = result.status if result else "not_run"
        standing = ranked.get(entry.id)
        to_floor = standing.to_floor if standing else standings.archived.get(entry.id) if standings else None
        seen, card = trained_on(entry, track), cards.get(entry.id)
        relations = relatives.of_few_shot(entry, track, known) if track.few_shot else None
        rows.append(Row(entry, status, result, seen, standing, is_reference(entry), to_floor, card, relations))
    better = METRICS[track.primary_metric]

    def best_first(row: Row) -> tuple[float, str]:
        value = row.value(track.primary_metric)
        if value is None:
            return (math.inf, row.entry.id)
        return (-value if better.higher_is_better else value, row.entry.id)

    return Board(track, sorted(rows, key=best_first), standings, pairs, stale)


def is_reference(entry: Submission) -> bool:
    """Whether an entry is one of the benchmark's own, whose images have no registry."""
    if entry.archived:
        return False
    try:
        return references.parse(entry.docker_image).local
    except SubmissionError:
        return False
