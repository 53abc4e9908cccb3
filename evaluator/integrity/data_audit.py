"""What is wrong with a track's data, or may be: duplicates, conflicts, labels that can be told without a sequence."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from evaluator.contract import families, tables
from evaluator.contract.arrays import Floats, IntArray
from evaluator.contract.identity import TOLERANCE, identities, nearest
from evaluator.contract.labels import TrackData
from evaluator.contract.task_types import KINDS
from evaluator.integrity import clues
from evaluator.integrity.findings import Audit, Clue, Family, Truths
from evaluator.integrity.overlap import Known, relatives
from evaluator.scoring.influence import average_ranks
from evaluator.text import printable

AMINO_ACIDS = frozenset("ACDEFGHIKLMNPQRSTVWY")
NEAR = (0.95, 0.90)
OWN = ("sequence_id", "sequence", "light_sequence", "label", "target", "family")
"""Columns of one's own CSV that are no metadata."""
LEAST = 5
"""Rows below which nothing is beyond chance."""
_NUMBER = re.compile(r"\d+", re.ASCII)


@dataclass(frozen=True, eq=False)
class Material:
    """What is looked at.

    Attributes:
        columns: chains, n strings each; empty where labels alone are at hand.
        truths: by name: [n] labels 0/1 or targets, NaN where there is none.
        classes: whether they are labels.
        metadata: further columns of one's own CSV, n cells each.
    """

    name: str
    ids: tuple[str, ...]
    columns: Mapping[str, tuple[str, ...]]
    truths: Mapping[str, Floats]
    classes: bool
    metadata: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    ceiling: tuple[float, float, float] | None = None


def of_track(data: TrackData) -> Material:
    """A track's rows; on a few-shot track its antibodies, with the targets of each assay."""
    track, kind = data.track, KINDS[data.track.task]
    truths = {kind.truth: np.asarray(data.truth, dtype=np.float64)} if data.splits is None else data.splits.targets
    c = track.ceiling
    ceiling = (c.value, c.low, c.high) if c else None
    return Material(track.id, data.ids, data.columns, truths, kind.has_classes, ceiling=ceiling)


def of_csv(path: Path) -> Material:
    """One's own CSV: `sequence_id,sequence`, a label or target, perhaps light_sequence and metadata.

    Raises:
        EvaluatorError: a column is missing, or a cell is not of its kind.
    """
    table = tables.read_csv(path)
    ids = tables.id_column(table, path)
    light = ("light_sequence",) if "light_sequence" in table else ()
    columns = tables.sequence_columns(table, path, ("sequence", *light), optional=light)
    task, truth = tables.truth_column(table, path)
    kind = KINDS[task]
    metadata = {name: cells for name, cells in table.items() if name not in OWN}
    name = printable(path.name, 60)
    return Material(name, ids, columns, {kind.truth: truth.astype(np.float64)}, kind.has_classes, metadata)


def audit(material: Material, trained: Sequence[Known] = ()) -> Audit:
    """Everything that can be found out about it."""
    heavy = material.columns.get("sequence", ())
    antibodies = list(zip(*material.columns.values(), strict=True))
    near_95, near_90, close = _near(heavy)
    truths = tuple(_truths(material, name, values, antibodies, close) for name, values in material.truths.items())
    known = bool(heavy)
    return Audit(
        track=material.name,
        rows=len(material.ids),
        sequences=known,
        duplicates=len(antibodies) - len(set(antibodies)) if known else None,
        heavy_duplicates=len(heavy) - len(set(heavy)) if known else None,
        near_95=near_95,
        near_90=near_90,
        other_letters=sum(not AMINO_ACIDS.issuperset("".join(one)) for one in antibodies) if known else None,
        families=Family.of(*families.families(heavy)) if known else None,
        trained={one.name: relatives(heavy, one.heavy)[0] for one in trained} if known else {},
        truths=truths,
        ceiling=material.ceiling,
    )


Pairs = list[tuple[str, str]]
"""Different heavy chains at .95 and more, each pair once."""


def _near(heavy: Sequence[str]) -> tuple[int | None, int | None, Pairs | None]:
    """How many different heavy chains have another at .95 and at .90, and the pairs at .95; None for a library."""
    if not heavy or len(heavy) > families.LIBRARY_ROWS:
        return None, None, None
    different = sorted(set(heavy))
    best = nearest(different, different, NEAR[1], itself=False)
    high, low = (int(np.count_nonzero(best >= floor - TOLERANCE)) for floor in NEAR)
    chosen = [s for s, identity in zip(different, best, strict=True) if identity >= NEAR[0] - TOLERANCE]
    pairs = [
        (chosen[rows[a]], chosen[b])
        for rows, found in identities(chosen, chosen, NEAR[0])
        for a, b in np.argwhere(found > 0).tolist()
        if rows[a] < b
    ]
    return high, low, pairs


def _truths(
    material: Material, name: str, values: Floats, antibodies: Sequence[tuple[str, ...]], close: Pairs | None
) -> Truths:
    rows = np.flatnonzero(np.isfinite(values))
    of: dict[tuple[str, ...], set[float]] = {}
    by_heavy: dict[str, set[float]] = {}
    for k in rows.tolist() if antibodies else ():
        of.setdefault(antibodies[k], set()).add(float(values[k]))
        by_heavy.setdefault(antibodies[k][0], set()).add(float(values[k]))
    near = None
    if material.classes and close is not None:
        near = sum(len(by_heavy.get(a, set()) | by_heavy.get(b, set())) > 1 for a, b in close)
    return Truths(
        name=name,
        rows=len(rows),
        positives=int(np.count_nonzero(values == 1)) if material.classes else None,
        conflicts=sum(len(found) > 1 for found in of.values()) if antibodies else None,
        near_conflicts=near,
        clues=_clues(material, values, rows.tolist()),
    )


def _clues(material: Material, values: Floats, rows: Sequence[int]) -> tuple[Clue, ...]:
    """Each thing that is no sequence, and what it alone says of the labels."""
    if len(rows) < LEAST:
        return ()
    truth, classes = values[list(rows)], material.classes
    ids = [material.ids[k] for k in rows]
    found = [
        *(
            clues.of_number(name, column, truth, classes=classes, fault=fault)
            for name, fault, column in _numbers(material, ids, rows)
        ),
        *(clues.of_neighbours(name, order, truth, classes=classes) for name, order in _orders(ids)),
        *(clues.of_groups(name, words, truth, fault=fault) for name, fault, words in _groups(material, ids, rows)),
    ]
    return clues.judged([one for one in found if one], truth)


def _numbers(material: Material, ids: Sequence[str], rows: Sequence[int]) -> list[tuple[str, bool, Floats]]:
    """Numbers of each row: what they are called, whether they may say nothing of the label, and they, [n]."""
    order = np.arange(len(ids), dtype=np.float64)
    by_id = np.empty(len(ids))
    by_id[_sorted(ids)] = order
    last = [float(found[-1][-15:]) if (found := _NUMBER.findall(name)) else math.nan for name in ids]
    numbers = [
        ("row order", True, order),
        ("the order of ids", True, by_id),
        ("the last number in the id", True, np.array(last)),
        ("the length of the id", True, np.array([len(name) for name in ids], dtype=np.float64)),
    ]
    for name, title in (("sequence", "the heavy chain's length"), ("light_sequence", "the light chain's length")):
        if name in material.columns:
            chain = material.columns[name]
            numbers.append((title, False, np.array([len(chain[k]) for k in rows], dtype=np.float64)))
    for name, cells in material.metadata.items():
        parsed = np.array([_as_number(cells[k]) for k in rows])
        numbers.append((f"column {printable(name, 40)}", False, parsed))
    return _each_once([(name, fault, column) for name, fault, column in numbers if np.isfinite(column).all()])


def _each_once(numbers: Sequence[tuple[str, bool, Floats]]) -> list[tuple[str, bool, Floats]]:
    """Numbers that order the rows alike as one, under all of their names: they would tell the same."""
    alike: dict[bytes, tuple[list[str], bool, Floats]] = {}
    for name, fault, column in numbers:
        alike.setdefault(average_ranks(column).tobytes(), ([], fault, column))[0].append(name)
    return [(" / ".join(names), fault, column) for names, fault, column in alike.values()]


def _sorted(ids: Sequence[str]) -> IntArray:
    """Rows in the order of their ids, [n]."""
    return np.array(sorted(range(len(ids)), key=ids.__getitem__), dtype=np.int64)


def _orders(ids: Sequence[str]) -> list[tuple[str, IntArray]]:
    """Orders in which the row before may tell of a row: what they are called, and rows, [n]."""
    given, by_id = np.arange(len(ids)), _sorted(ids)
    if np.array_equal(given, by_id):
        return [("the row before / the id before", given)]
    return [("the row before", given), ("the id before", by_id)]


def _as_number(cell: str) -> float:
    try:
        found = float(cell)
    except ValueError:
        return math.nan
    return found if math.isfinite(found) else math.nan


def _groups(material: Material, ids: Sequence[str], rows: Sequence[int]) -> list[tuple[str, bool, list[str]]]:
    """Words of each row that may group them; as in `_numbers`."""
    found = [
        ("the words in the id", True, [_NUMBER.sub("#", name) for name in ids]),
        ("the last letter of the id", True, [name[-1:] for name in ids]),
    ]
    for name, cells in material.metadata.items():
        chosen = [cells[k] for k in rows]
        if not all(math.isfinite(_as_number(cell)) for cell in chosen):
            found.append((f"column {printable(name, 40)}", False, chosen))
    return found
