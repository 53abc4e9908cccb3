"""Which entries behave alike: by what they say of the panel, and by their errors on tracks with open labels."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from markupsafe import Markup, escape

from evaluator.contract.submissions import Submission
from evaluator.contract.tracks import Track
from evaluator.scoring.similarity import CUT, Behaviours, Neighbour
from evaluator.store.schemas import Alike, Behaviour
from leaderboard.board import Board
from leaderboard.plots import svg

NEIGHBOURS = 5
"""Entries that are told to be the most alike."""
SIDE, EDGE, RIGHT = 460, 24, 190
NAMED = 40
"""Entries of a map that are named; more names would lie upon each other."""


@dataclass(frozen=True)
class Shared:
    """What two entries have in common on one track; None for what is not defined."""

    track: Track
    spearman: float | None
    agreement: float | None
    consistency: float | None


@dataclass(frozen=True)
class Like:
    """Another entry that an entry is like.

    Attributes:
        panel: how alike they answer on the panel; None where one of them was not asked.
        shared: what they have in common on each track that both were scored on.
    """

    entry: Submission
    panel: Neighbour | None
    shared: list[Shared]


class Spot(NamedTuple):
    """One entry on the map: its place, its cluster from 1, and the entry that is most like it."""

    entry: Submission
    x: float
    y: float
    cluster: int
    nearest: Neighbour | None


@dataclass(frozen=True, eq=False)
class Similar:
    """All entries of the site, held against each other.

    Attributes:
        panel: its description; None where the checkout has none.
        asked: what each entry said of the panel, or that it failed there.
    """

    panel: Track | None
    asked: Mapping[str, Behaviour]
    entries: Mapping[str, Submission]
    tracks: Mapping[str, tuple[Track, Alike]]
    level: float = 0.95

    @classmethod
    def of(
        cls,
        panel: Track | None,
        asked: Mapping[str, Behaviour],
        entries: Iterable[Submission],
        boards: Iterable[Board],
        level: float,
    ) -> Similar:
        """Of today's panel, without entries that were withdrawn."""
        known = {e.id: e for e in entries if not e.withdrawn}
        its = panel.sha256.sequences if panel else None
        fresh = {i: b for i, b in asked.items() if i in known and b.sequences_sha256 == its}
        alike = {b.track.id: (b.track, b.pairs.alike) for b in boards if b.pairs and b.pairs.alike}
        return cls(panel, fresh, known, alike, level)

    @cached_property
    def behaviours(self) -> Behaviours:
        """What they said."""
        return Behaviours.of({i: b.scores for i, b in self.asked.items() if b.scores}, self.level)

    def of_entry(self, entry: str) -> list[Like]:
        """The entries that it is most like, the most alike first.

        By the panel where it was asked; else by the mean of Spearman's correlation over shared tracks, at least one.
        """
        if near := self.behaviours.neighbours(entry, NEIGHBOURS):
            return [Like(self.entries[n.id], n, self.shared(entry, n.id)) for n in near]
        others = {i for _, alike in self.tracks.values() if entry in alike.submissions for i in alike.submissions}
        found = [
            Like(self.entries[i], None, self.shared(entry, i)) for i in sorted(others - {entry}) if i in self.entries
        ]
        told = [(like, [s.spearman for s in like.shared if s.spearman is not None]) for like in found]
        means = [(sum(values) / len(values), like) for like, values in told if values]
        return [like for _, like in sorted(means, key=lambda pair: -pair[0])[:NEIGHBOURS]]

    def shared(self, entry: str, other: str) -> list[Shared]:
        """What two entries have in common, track by track."""
        found = []
        for track, alike in self.tracks.values():
            if entry in alike.submissions and other in alike.submissions:
                i, j = sorted((alike.submissions.index(entry), alike.submissions.index(other)), reverse=True)
                agreement = alike.agreement[i][j] if alike.agreement else None
                consistency = alike.consistency[i][j] if alike.consistency else None
                found.append(Shared(track, alike.spearman[i][j], agreement, consistency))
        return found

    @cached_property
    def spots(self) -> list[Spot]:
        """Every entry on the map, by cluster."""
        said = self.behaviours
        places, _ = said.map
        found = []
        for k, i in enumerate(said.ids):
            nearest = next(iter(said.neighbours(i, 1)), None)
            x, y = map(float, places[k])
            found.append(Spot(self.entries[i], x, y, int(said.clusters[k]) + 1, nearest))
        return sorted(found, key=lambda spot: (spot.cluster, spot.entry.id))

    @property
    def near_copies(self) -> list[tuple[Submission, Submission]]:
        """Every two that are told to be near copies."""
        return [(self.entries[a], self.entries[b]) for a, b in self.behaviours.near_copies()]

    @property
    def not_on_it(self) -> list[tuple[Submission, str]]:
        """Every entry that is not on the map, and why."""
        found = []
        for i, entry in self.entries.items():
            if i in self.behaviours.ids:
                continue
            asked = self.asked.get(i)
            if entry.archived:
                why = "published predictions, and no image to ask"
            elif asked and asked.status == "failed":
                why = f"failed there: {asked.failure}"
            elif asked:
                why = "gives every sequence one score"
            elif entry.few_shot:
                why = "answers from measured antibodies, of which the panel has none"
            else:
                why = "not asked yet, or not of single chains"
            found.append((entry, why))
        return found

    @property
    def shown_of_distances(self) -> float:
        """Which share of the squared distances the map shows."""
        return self.behaviours.map[1]

    def drawn(self) -> Markup:
        """The map."""
        if len(self.spots) < 2:
            return Markup("")
        reach = max(max(abs(spot.x), abs(spot.y)) for spot in self.spots) or 1.0

        def at(value: float) -> float:
            return EDGE + (value / reach + 1) / 2 * (SIDE - 2 * EDGE)

        parts = [
            f'<path class="grid" d="M{EDGE} {SIDE / 2:.0f}H{SIDE - EDGE}"/>',
            f'<path class="grid" d="M{SIDE / 2:.0f} {EDGE}V{SIDE - EDGE}"/>',
        ]
        heights = _apart([SIDE - at(spot.y) for spot in self.spots])
        for spot, height in zip(self.spots, heights, strict=True):
            x, y = at(spot.x), SIDE - at(spot.y)
            parts.append(
                f'<circle class="dot c{(spot.cluster - 1) % 9}" cx="{x:.1f}" cy="{y:.1f}" r="5">'
                f"<title>{escape(spot.entry.name)}, cluster {spot.cluster}</title></circle>"
            )
            if len(self.spots) <= NAMED:
                parts.append(f'<path class="grid" d="M{x + 6:.1f} {y:.1f}L{SIDE} {height:.1f}"/>')
                parts.append(f'<text x="{SIDE + 4}" y="{height + 4:.1f}">{escape(_cut(spot.entry.name))}</text>')
        what = (
            f"{len(self.spots)} entries in two dimensions: the nearer, the more alike they answer on the panel. "
            "Colours are clusters. The table has the same places. "
            f"{self.shown_of_distances:.0%} of squared distances are shown."
        )
        return svg("map", "Entries by behaviour", what, SIDE + RIGHT, SIDE, parts)


def as_columns(similar: Similar) -> dict[str, object]:
    """The map and all pairs as `data/v1/similar.json` has them; row i of a matrix holds the pairs (i, j) with j < i."""
    said = similar.behaviours
    places, shown = said.map
    low, high = said.ends

    def below(values: Iterable[Sequence[float]]) -> list[list[float]]:
        return [[float(f"{v:.6g}") for v in row[:i]] for i, row in enumerate(values)]

    return {
        "panel": similar.panel.id if similar.panel else None,
        "level": similar.level,
        "cut": CUT,
        "submissions": list(said.ids),
        "x": [float(x) for x in places[:, 0]],
        "y": [float(y) for y in places[:, 1]],
        "shown": round(shown, 6),
        "cluster": [int(k) + 1 for k in said.clusters],
        "cosine": below(said.cosine),
        "cosine_low": below(low),
        "cosine_high": below(high),
        "spearman": below(said.spearman),
        "near_copies": [list(pair) for pair in said.near_copies()],
    }


def _apart(heights: Sequence[float], least: float = 13.0) -> list[float]:
    """The same heights, moved so that no two names lie upon each other."""
    order = sorted(range(len(heights)), key=lambda k: heights[k])
    found = dict.fromkeys(order, 0.0)
    last = 0.0
    for k in order:
        last = found[k] = max(heights[k], last + least)
    limit = SIDE - 6.0
    for k in reversed(order):  # what was pushed over the edge goes back up
        found[k] = min(found[k], limit)
        limit = found[k] - least
    return [found[k] for k in range(len(heights))]


def _cut(text: str, limit: int = 28) -> str:
    return text if len(text) <= limit else text[: limit - 1] + "…"
