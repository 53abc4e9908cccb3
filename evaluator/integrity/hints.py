"""What may tell of a label without a sequence: a row's place, its id by whole, number and letter, and further columns.

Each thing is a number of each row, NaN where a row has none, or a word of each row, or an order of the rows. What
cannot be looked at is named with why: a column that is left out without a word would count as clean.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np

from evaluator.contract.arrays import Floats, IntArray
from evaluator.integrity.clues import MOST_GROUPS, most_groups
from evaluator.scoring.influence import average_ranks
from evaluator.text import printable

LEAST = 5
"""Rows below which nothing is beyond chance."""
MOST_COLUMNS = 500
MOST_PLACES = 20
"""Numbers of an id, and letters from either end, that are looked at."""
_NUMBER = re.compile(r"\d+", re.ASCII)
_MISSING = {"", "na", "n/a", "nan", "null", "none", "-"}
Cells = Sequence[str]


@dataclass(frozen=True, eq=False)
class Thing:
    """One thing of each row.

    Attributes:
        fault: whether it ought to say nothing of the label.
        detail: a part of an id.
    """

    name: str
    fault: bool
    detail: bool


@dataclass(frozen=True, eq=False)
class Number(Thing):
    """A number of each row, [n]; NaN where it has none."""

    of: Floats


@dataclass(frozen=True, eq=False)
class Word(Thing):
    """A word of each row, n of them: they group the rows."""

    of: list[str]


Same = TypeVar("Same", Number, Word)


@dataclass(frozen=True, eq=False)
class Hints:
    """Everything of some rows.

    Attributes:
        orders: in which the row before may tell of a row: what they are called, and rows, [n].
        unseen: what was not looked at and why, in words.
    """

    numbers: list[Number]
    words: list[Word]
    orders: list[tuple[str, IntArray]]
    unseen: tuple[str, ...]


def of_rows(ids: Cells, lengths: Mapping[str, Floats], metadata: Mapping[str, Cells]) -> Hints:
    """All that rows have beside sequences.

    Args:
        lengths: of chains, by what they are called.
        metadata: further columns by name, n cells each.
    """
    unseen: dict[str, list[str]] = {}
    looked_at = dict([*metadata.items()][:MOST_COLUMNS])
    if more := len(metadata) - len(looked_at):
        unseen.setdefault(f"{MOST_COLUMNS} are looked at", []).append(f"{more:,} more columns")
    things = [
        *_of_whole(ids),
        *(Number(name, False, False, found) for name, found in lengths.items()),
        *(thing for name, cells in looked_at.items() for thing in _of_column(f"column {printable(name, 40)}", cells)),
        *_of_numbers(ids),
        *_of_letters(ids),
    ]
    if any(len(name) > MOST_PLACES for name in ids):
        unseen.setdefault(f"only {MOST_PLACES} from either end are", []).append("further letters of ids")
    numbers, words = [], []
    for thing in things:
        if why := _unfit(thing):
            if not thing.detail or why != SAME:
                unseen.setdefault(why, []).append(thing.name)
        elif isinstance(thing, Number):
            numbers.append(thing)
        else:
            words.append(thing)
    said = tuple(f"{_listed(names)} ({why})" for why, names in unseen.items())
    return Hints(_each_once(numbers), _each_once(words), _orders(ids), said)


SAME, FEW = "the same in every row", f"fewer than {LEAST} numbers"
MANY = f"more than {MOST_GROUPS} different words, or more than one for five rows"


def _unfit(thing: Number | Word) -> str | None:
    """Why a thing cannot be looked at; None where it can."""
    if isinstance(thing, Word):
        different = len(set(thing.of))
        return SAME if different < 2 else MANY if different > most_groups(len(thing.of)) else None
    there = thing.of[np.isfinite(thing.of)]
    return FEW if len(there) < LEAST else SAME if np.ptp(there) == 0 else None


def _listed(names: Sequence[str], most: int = 20) -> str:
    more = f" and {len(names) - most:,} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def _of_whole(ids: Cells) -> Iterator[Number | Word]:
    """A row's place, and its id as a whole."""
    order = np.arange(len(ids), dtype=np.float64)
    by_id = np.empty(len(ids))
    by_id[_sorted(ids)] = order
    numbers = [_NUMBER.findall(name) for name in ids]
    for name, found in (
        ("row order", order),
        ("the order of ids", by_id),
        ("the last number in the id", np.array([_value(of[-1]) if of else math.nan for of in numbers])),
        ("the length of the id", np.array([len(name) for name in ids], dtype=np.float64)),
    ):
        yield Number(name, True, False, found)
    yield Word("the words in the id", True, False, [_NUMBER.sub("#", name) for name in ids])
    yield Word("the last letter of the id", True, False, [name[-1:] for name in ids])


def _of_numbers(ids: Cells) -> Iterator[Number | Word]:
    """Each number of the ids by its place from the left and, where ids differ in how many they have, from the right."""
    numbers = [_NUMBER.findall(name) for name in ids]
    counts = [len(found) for found in numbers]
    most = min(max(counts, default=0), MOST_PLACES)
    yield Number("how many numbers the id has", True, True, np.array(counts, dtype=np.float64))
    places = [(f"number {k + 1} in the id", k) for k in range(most)]
    if len(set(counts)) > 1:
        places += [(f"number {k} from the end of the id", -k) for k in range(1, most + 1)]
    for name, k in places:
        found = [of[k] if -len(of) <= k < len(of) else "" for of in numbers]
        yield Number(name, True, True, np.array([_value(one) if one else math.nan for one in found]))
        yield Word(f"{name}, odd or even", True, True, [str(int(one[-1]) % 2) if one else "" for one in found])
        if 2 < len(set(found)) <= most_groups(len(found)):
            yield Word(f"{name}, as groups", True, True, found)


def _of_letters(ids: Cells) -> Iterator[Number | Word]:
    """Each letter of the ids by its place from either end; none where an id is shorter."""
    for k in range(min(max(map(len, ids), default=0), MOST_PLACES)):
        from_end = [name[-1 - k] if k < len(name) else "" for name in ids]
        yield Word(f"letter {k + 1} of the id", True, True, [name[k : k + 1] for name in ids])
        yield Word(f"letter {k + 1} from the end of the id", True, True, from_end)


def _of_column(name: str, cells: Cells) -> Iterator[Number | Word]:
    """A further column: its numbers or its words, and whether a row has one at all."""
    parsed = np.array([_as_number(cell) for cell in cells])
    numeric = np.count_nonzero(np.isfinite(parsed)) >= max(LEAST, len(cells) / 2)
    missing = ~np.isfinite(parsed) if numeric else np.array([cell.strip().lower() in _MISSING for cell in cells])
    if numeric:
        yield Number(name, False, False, parsed)
    if not numeric or 2 < len(set(cells)) <= most_groups(len(cells)):
        yield Word(f"{name}, as groups" if numeric else name, False, False, list(cells))
    if missing.any():
        yield Word(f"whether {name} is missing", False, False, [str(one) for one in missing.tolist()])


def _value(digits: str) -> float:
    return float(digits[-15:])


def _as_number(cell: str) -> float:
    try:
        found = float(cell)
    except ValueError:
        return math.nan
    return found if math.isfinite(found) else math.nan


def _each_once(things: Sequence[Same]) -> list[Same]:
    """Those of a kind that order or group the rows alike as one, under their names: they would tell the same."""
    alike: dict[tuple[bool, bytes], tuple[list[str], Same]] = {}
    for thing in things:
        names, first = alike.setdefault((thing.fault, _pattern(thing)), ([], thing))
        if thing.detail == first.detail:  # a detail that is all of an id goes under the id's name
            names.append(thing.name)
    return [replace(one, name=" / ".join(names)) for names, one in alike.values()]


def _pattern(thing: Number | Word) -> bytes:
    """The same for two things that tell the same."""
    if isinstance(thing, Word):
        first = {word: k for k, word in enumerate(dict.fromkeys(thing.of))}
        return np.array([first[word] for word in thing.of], dtype=np.int64).tobytes()
    there = np.isfinite(thing.of)
    ranks = np.full(len(thing.of), -1.0)
    ranks[there] = average_ranks(thing.of[there])
    return ranks.tobytes()


def _sorted(ids: Cells) -> IntArray:
    """Rows in the order of their ids, [n]."""
    return np.array(sorted(range(len(ids)), key=ids.__getitem__), dtype=np.int64)


def _orders(ids: Cells) -> list[tuple[str, IntArray]]:
    given, by_id = np.arange(len(ids)), _sorted(ids)
    if np.array_equal(given, by_id):
        return [("the row before / the id before", given)]
    return [("the row before", given), ("the id before", by_id)]
