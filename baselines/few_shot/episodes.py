"""The tasks of one run: read from the three files that a container is given, answered with a score for each query."""

from __future__ import annotations

import csv
import math
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

from baselines.backbones.tokens import RowError, clean
from baselines.errors import DataError
from baselines.predicting import tables

Floats = npt.NDArray[np.float64]
LANDSCAPES = frozenset({"single", "multiple"})


@dataclass(frozen=True)
class Antibody:
    """Two clean variable domains; the light one is empty where there is none."""

    heavy: str
    light: str = ""


@dataclass(frozen=True, eq=False)
class Task:
    """Some measured antibodies, and others to be ranked.

    Attributes:
        wild_type: the heavy chain that all variants of a landscape come from; empty for a panel.
        support: [k] measured antibodies, in an order that does not depend on that of the file.
        targets: [k] what was measured, higher is more.
        queries: [n] antibodies to be ranked.
        query_ids: [n] theirs.
        chunks: [n] which queries a transductive model sees together; empty: all.
    """

    task_id: str
    wild_type: str
    support: tuple[Antibody, ...]
    targets: Floats
    queries: tuple[Antibody, ...]
    query_ids: tuple[str, ...]
    chunks: tuple[str, ...] = ()

    @property
    def teaches(self) -> bool:
        """Whether the support tells one antibody from another, by numbers that can be squared."""
        with np.errstate(over="ignore", under="ignore", invalid="ignore"):
            return len(self.targets) > 1 and 0 < float(self.targets.std()) < math.inf

    @property
    def standardised(self) -> Floats:
        """[k] targets with mean 0 and spread 1; of a support that teaches."""
        return np.asarray((self.targets - self.targets.mean()) / self.targets.std())

    def parts(self, count: int) -> Iterator[Task]:
        """The same task with at most so many of its queries at a time."""
        for at in range(0, len(self.queries), count):
            yield self.picked(range(at, min(at + count, len(self.queries))))

    def picked(self, rows: Sequence[int]) -> Task:
        """The same task with some of its queries."""
        queries, ids = tuple(self.queries[k] for k in rows), tuple(self.query_ids[k] for k in rows)
        return replace(self, queries=queries, query_ids=ids, chunks=tuple(self.chunks[k] for k in rows if self.chunks))


class Model(Protocol):
    """What answers a task; the score of a query depends on the support and on that query alone."""

    def scores(self, task: Task) -> Floats:
        """[n] finite numbers, one for each query, higher is more."""
        ...


def made(
    task_id: str,
    wild_type: str,
    support: Sequence[tuple[Antibody, float]],
    queries: Sequence[tuple[str, Antibody]],
) -> Task:
    """A task.

    Args:
        wild_type: as long as every heavy chain, or empty.
        support: each with what was measured.
        queries: each with its id.
    """
    ordered = sorted(support, key=lambda row: (row[0].heavy, row[0].light, row[1]))
    antibodies = tuple(antibody for antibody, _ in ordered)
    asked = tuple(antibody for _, antibody in queries)
    return Task(
        task_id,
        wild_type,
        antibodies,
        np.array([target for _, target in ordered], dtype=np.float64),
        asked,
        tuple(name for name, _ in queries),
    )


def read(source: Path) -> list[Task]:
    """The tasks whose queries are in a file, with `tasks.csv` and `support.csv` beside it.

    Raises:
        DataError: a file is not what the contract says, with the row.
    """
    queries, support, tasks = (
        tables.read(path, empty=True)
        for path in (source, source.with_name("support.csv"), source.with_name("tasks.csv"))
    )
    for table in (queries, support, tasks):
        table.require("task_id")
    tasks.require("kind", "wild_type")
    parents = _parents(tasks)
    if strangers := sorted({*queries.columns["task_id"]} - parents.keys()):
        raise DataError(f"{tasks.path} has no task {ascii(strangers[0])[:60]}, which {queries.path.name} names.")
    ids, asked, measured = queries.ids(), _antibodies(queries, parents), _antibodies(support, parents)
    chunk = queries.columns.get("chunk_id", ("",) * len(queries))
    by_task: dict[str, list[tuple[str, Antibody]]] = defaultdict(list)
    chunks: dict[str, list[str]] = defaultdict(list)
    for task_id, name, antibody, part in zip(queries.columns["task_id"], ids, asked, chunk, strict=True):
        by_task[task_id].append((name, antibody))
        chunks[task_id].append(part)
    known: dict[str, list[tuple[Antibody, float]]] = defaultdict(list)
    for task_id, antibody, target in zip(support.columns["task_id"], measured, support.targets(), strict=True):
        known[task_id].append((antibody, target))
    return [
        replace(made(name, parents[name], known[name], rows), chunks=tuple(chunks[name]))
        for name, rows in by_task.items()
    ]


def _parents(tasks: tables.Table) -> dict[str, str]:
    """Each task's wild type; empty where it is no landscape."""
    columns = (tasks.columns[name] for name in ("task_id", "kind", "wild_type"))
    found = {}
    for row, (name, kind, wild_type) in enumerate(zip(*columns, strict=True)):
        found[name] = _chain(tasks, row, wild_type) if kind in LANDSCAPES else ""
    return found


def _antibodies(table: tables.Table, parents: Mapping[str, str]) -> list[Antibody]:
    heavy = table.sequences()
    light = table.columns.get("light_sequence", ("",) * len(table))
    for row, (task_id, chain) in enumerate(zip(table.columns["task_id"], heavy, strict=True)):
        if (parent := parents.get(task_id)) and len(parent) != len(chain):
            lengths = f"{len(chain)} residues, and the wild_type of its task {len(parent)}"
            raise table.fault(row, f"the sequence has {lengths}; variants of a landscape are as long as it")
    return [Antibody(vh, _chain(table, row, vl)) for row, (vh, vl) in enumerate(zip(heavy, light, strict=True))]


def _chain(table: tables.Table, row: int, text: str) -> str:
    """A sequence that may be missing."""
    try:
        return clean([text])[0] if text.strip() else ""
    except RowError as error:
        raise table.fault(row, error.what) from error


def write(target: Path, scores: Mapping[str, float]) -> None:
    """Write `sequence_id,score`."""
    with target.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(["sequence_id", "score"])
        writer.writerows((name, repr(float(score))) for name, score in scores.items())
