"""Small few-shot runs, made on the spot."""

from __future__ import annotations

import csv
import random
from collections.abc import Sequence
from pathlib import Path

from baselines.training.synthetic import heavy_chain, light_chain

PARENT = "QVQLVESGGGLVQAGGSLRLSCAASG"
Row = Sequence[object]


def write(path: Path, header: Sequence[str], rows: Sequence[Row]) -> None:
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)


def variants(count: int, mutations: int, seed: int = 0) -> list[str]:
    """Different variants of `PARENT`."""
    rng = random.Random(seed)
    found: dict[str, None] = {}
    while len(found) < count:
        letters = list(PARENT)
        for place in rng.sample(range(len(PARENT)), mutations):
            letters[place] = rng.choice("ACDEFGHIKLMNPQRSTVWY")
        found["".join(letters)] = None
    return list(found)


def folder(where: Path, *, support: int = 12, queries: int = 7, seed: int = 0) -> Path:
    """A run of four tasks: single and multiple mutants, a panel of pairs, one with a support of nanobodies.

    Returns:
        The file with the queries.
    """
    where.mkdir(parents=True, exist_ok=True)
    rng = random.Random(seed)
    asked: list[Row] = []
    known: list[Row] = []
    tasks: list[Row] = []
    for task, kind in (("t1", "single"), ("t2", "multiple"), ("t3", "panel"), ("t4", "something new")):
        count = support + queries
        if kind in {"single", "multiple"}:
            rows = [(s, "") for s in variants(count, 1 if kind == "single" else 3, seed)]
        else:
            rows = [(heavy_chain(rng), light_chain(rng)) for _ in range(count)]
        if task == "t4":
            rows[:support] = [(vh, "") for vh, _ in rows[:support]]
        for number, (vh, vl) in enumerate(rows):
            if number < support:
                known.append((task, f"{task}s{number}", vh, vl, round(rng.gauss(0, 1), 4)))
            else:
                asked.append((f"{task}q{number}", vh, vl, task, "c1"))
        tasks.append((task, support, queries, kind, PARENT if kind in {"single", "multiple"} else ""))
    write(where / "sequences.csv", ("sequence_id", "sequence", "light_sequence", "task_id", "chunk_id"), asked)
    write(where / "support.csv", ("task_id", "sequence_id", "sequence", "light_sequence", "target"), known)
    write(where / "tasks.csv", ("task_id", "n_support", "n_query", "kind", "wild_type"), tasks)
    return where / "sequences.csv"


def scores(path: Path) -> dict[str, float]:
    with path.open(newline="", encoding="utf-8") as stream:
        return {row["sequence_id"]: float(row["score"]) for row in csv.DictReader(stream)}
