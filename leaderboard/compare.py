"""The page that compares two entries: what its script is given, and what stands there without one."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from evaluator.contract.task_types import METRICS
from evaluator.store.schemas import Pairs
from leaderboard.board import Board, Row

COMPARED = 300
"""Entries of a track that the script can compare, best first."""
NEXT = 10
"""Entries that are shown beside the best without a script."""


@dataclass(frozen=True)
class Difference:
    """One pair: value of the first minus the second, with its paired interval and two-sided p."""

    first: Row
    second: Row
    value: float
    low: float
    high: float
    p: float


def against_best(board: Board) -> list[Difference]:
    """The best entry against those behind it; none where pairs are not published."""
    from scipy.special import stdtr  # when it is needed, as in `_quantile`

    pairs = board.pairs
    if not pairs:
        return []
    rows = {r.entry.id: r for r in board.rows}
    t = _quantile(board, pairs)
    found = []
    for k, other in enumerate(pairs.submissions[1 : NEXT + 1], start=1):
        value, deviation = pairs.value[0] - pairs.value[k], pairs.deviation[k][0]
        p = float(2 * stdtr(pairs.freedom, -abs(value) / deviation)) if deviation else 1.0
        best, row = rows.get(pairs.submissions[0]), rows.get(other)
        if best and row:
            found.append(Difference(best, row, value, value - t * deviation, value + t * deviation, p))
    return found


def script(board: Board) -> bytes:
    """What the page's script needs of one track, as a classic script, which works from a file too."""
    entries = [
        {
            "id": row.entry.id,
            "name": row.entry.name,
            "metrics": {
                name: [v.value, v.low, v.high]
                for name in board.metrics
                if (v := row.metric(name)) and v.value is not None
            },
        }
        for row in board.scored[:COMPARED]
    ]
    content: dict[str, Any] = {
        "track": board.track.id,
        "title": board.track.title,
        "primary": board.track.primary_metric,
        "metrics": [[name, METRICS[name].title] for name in board.metrics],
        "entries": entries,
        "pairs": None,
    }
    if board.pairs:
        content["pairs"] = {
            "ids": board.pairs.submissions,
            "value": board.pairs.value,
            "deviation": board.pairs.deviation,
            "t": _quantile(board, board.pairs),
        }
    return f"apb.track({json.dumps(content, separators=(',', ':'), allow_nan=False)});\n".encode()


def _quantile(board: Board, pairs: Pairs) -> float:
    """How many standard deviations an interval of a difference reaches to each side."""
    from scipy.special import stdtrit  # a fifth of a second, for boards with pairs alone

    level = board.standings.level if board.standings else 0.95
    return float(stdtrit(pairs.freedom, 0.5 + level / 2))
