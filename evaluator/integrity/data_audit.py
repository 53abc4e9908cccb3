"""What is wrong with a track's data, or may be: duplicates, conflicts, labels that can be told without a sequence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from evaluator.contract import families, tables
from evaluator.contract.arrays import Floats
from evaluator.contract.identity import TOLERANCE, identities, nearest
from evaluator.contract.labels import TrackData
from evaluator.contract.task_types import KINDS
from evaluator.integrity import clues, hints
from evaluator.integrity.findings import Audit, Clue, Family, Parts, Truths
from evaluator.integrity.overlap import Known, relatives
from evaluator.text import printable

AMINO_ACIDS = frozenset("ACDEFGHIKLMNPQRSTVWY")
NEAR = (0.95, 0.90)
OWN = ("sequence_id", "sequence", "light_sequence", "label", "target", "family")
"""Columns of one's own CSV that are no metadata."""
PARTS = 3
"""Parts of ids that are told one by one."""
LENGTHS = {"sequence": "the heavy chain's length", "light_sequence": "the light chain's length"}


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
    found, parts, unseen = _clues(material, values, rows.tolist())
    return Truths(
        name=name,
        rows=len(rows),
        positives=int(np.count_nonzero(values == 1)) if material.classes else None,
        conflicts=sum(len(found) > 1 for found in of.values()) if antibodies else None,
        near_conflicts=near,
        clues=found,
        parts=parts,
        unseen=unseen,
    )


def _clues(material: Material, values: Floats, rows: Sequence[int]) -> tuple[tuple[Clue, ...], Parts, tuple[str, ...]]:
    """Each thing that is no sequence, and what it alone says of the labels; and what was not looked at, and why.

    Of the parts of ids, of which there are many, the `PARTS` that tell most; the others are counted in words.
    """
    if len(rows) < hints.LEAST:
        return (), Parts(), (f"everything (fewer than {hints.LEAST} rows have a value)",)
    truth, classes = values[list(rows)], material.classes
    if np.ptp(truth) == 0:
        return (), Parts(), ("everything (all rows have the same value)",)
    chains = {title: material.columns[name] for name, title in LENGTHS.items() if name in material.columns}
    seen = hints.of_rows(
        [material.ids[k] for k in rows],
        {title: np.array([len(chain[k]) for k in rows], dtype=np.float64) for title, chain in chains.items()},
        {name: [cells[k] for k in rows] for name, cells in material.metadata.items()},
    )
    found = [
        *(clues.of_number(h.name, h.of, truth, classes=classes, fault=h.fault, detail=h.detail) for h in seen.numbers),
        *(clues.of_neighbours(name, order, truth, classes=classes) for name, order in seen.orders),
        *(clues.of_groups(h.name, h.of, truth, fault=h.fault, detail=h.detail) for h in seen.words),
    ]
    there = [one for one in found if one]
    judged = list(zip(there, clues.judged(there, truth), strict=True))
    parts = [clue for one, clue in judged if one.detail]
    telling = sorted((clue for clue in parts if clue.telling), key=lambda clue: (clue.p, -abs(clue.value)))
    kept = (*(clue for one, clue in judged if not one.detail), *telling[:PARTS])
    return kept, Parts(looked_at=len(parts), telling=len(telling)), seen.unseen
