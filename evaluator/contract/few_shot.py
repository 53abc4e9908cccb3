"""A few-shot track's own part of its description: which assays are predicted from how many measured antibodies."""

from __future__ import annotations

from itertools import permutations
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from evaluator.contract.models import Frozen, require_id
from evaluator.contract.sequences import AMINO_ACIDS
from evaluator.contract.task_types import SUPPORT_SIZES
from evaluator.text import printable

MIN_QUERIES = 20
"""Fewer say next to nothing about a rank correlation."""
MAX_TITLE = 120
TaskKind = Literal["single", "multiple", "panel"]
"""Single or multiple mutants of one parent, or antibodies that have nothing in common."""
Mode = Literal["inductive", "transductive"]
"""Whether a prediction rests on the support and its own query alone, or may look at the other queries of its chunk."""


class FewShotTask(Frozen):
    """One task: queries of one assay, to be predicted from measurements of the same assay or of another.

    Attributes:
        support, queries: assays, as the labels name them.
        cluster: tasks of one cluster share a protein or antibodies: they are not independent findings.
        sizes: of the track's support sizes those at which it is asked; all by default.
        run: tasks of one name are asked in one run, so that an entry may use what is given for one of them for all.
        wild_type: the heavy chain that all variants of a landscape are substitutions in; empty for a panel.
        split_sha256: pins which antibodies are support and which are queries (`episodes.Splits.sha256`).
    """

    id: Annotated[str, AfterValidator(require_id)]
    title: Annotated[str, Field(min_length=1, max_length=MAX_TITLE)]
    support: str
    queries: str
    kind: TaskKind
    cluster: str
    sizes: tuple[int, ...] | None = None
    run: Annotated[str, Field(pattern="^[a-z0-9]{1,20}$")] = "all"
    wild_type: str = ""
    split_sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] | None = None

    @model_validator(mode="after")
    def _has_parent(self) -> FewShotTask:
        if (self.kind != "panel") != bool(self.wild_type):
            raise ValueError("a landscape states its wild_type, a panel has none")
        if other := sorted(set(self.wild_type) - AMINO_ACIDS):
            raise ValueError(
                f"the wild_type of {self.id} has '{printable(other[0])}', which is no amino acid; write its one-letter "
                "codes, in capitals"
            )
        return self

    @property
    def across(self) -> bool:
        """Whether the support comes from another assay than the queries."""
        return self.support != self.queries


class FewShot(Frozen):
    """How a few-shot track is run.

    Attributes:
        sizes: measured antibodies that a run gives for each task.
        replicates: draws of support and queries, each of them one run per size.
        queries: of one task and replicate, at most.
        chunk: queries that a transductive entry may look at together.
        canaries: replicates that are run again with the largest support, its targets shuffled.
        reference: the entry that the others are held against.
    """

    sizes: tuple[int, ...]
    replicates: int = Field(ge=1, le=100)
    queries: int = Field(ge=MIN_QUERIES, le=2000)
    chunk: int = Field(default=100, ge=1, le=2000)
    seed: int = Field(ge=0)
    mode: Mode = "inductive"
    canaries: int = Field(default=0, ge=0)
    reference: str
    tasks: Annotated[tuple[FewShotTask, ...], Field(min_length=1, max_length=300)]

    @model_validator(mode="after")
    def _fits(self) -> FewShot:
        if not self.sizes or list(self.sizes) != sorted(set(self.sizes)) or not set(self.sizes) <= set(SUPPORT_SIZES):
            raise ValueError(f"sizes are some of {', '.join(map(str, SUPPORT_SIZES))}, in ascending order")
        if self.canaries > self.replicates or (self.canaries and self.sizes[-1] == 0):
            raise ValueError("canaries are some of the replicates, with a support")
        names = [task.id for task in self.tasks]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"two tasks are called {', '.join(twice)}")
        for task in self.tasks:
            if not set(task.sizes or self.sizes) <= set(self.sizes):
                raise ValueError(f"{task.id} has a size that the track does not have")
        if unused := set(self.sizes) - {k for task in self.tasks for k in self.sizes_of(task)}:
            raise ValueError(f"no task has the size {min(unused)}")
        for one, other in permutations(self.tasks, 2):
            if one.run == other.run and other.queries in {one.queries, one.support}:
                what = "asks for the same assay" if one.queries == other.queries else "gives what the other asks for"
                raise ValueError(f"in one run with {other.id}, {one.id} {what}; give one of them another `run`")
        return self

    def sizes_of(self, task: FewShotTask) -> tuple[int, ...]:
        """The support sizes at which a task is asked."""
        return task.sizes or self.sizes

    @property
    def assays(self) -> tuple[str, ...]:
        """Every assay that a task needs, in order."""
        return tuple(dict.fromkeys(name for task in self.tasks for name in (task.support, task.queries)))

    @property
    def blocks(self) -> list[tuple[str, int, bool]]:
        """What is run in every replicate: (run, size, whether the support is shuffled), by size, canaries last."""
        found = [(run, k, False) for k in self.sizes for run in self._runs if k in self._runs[run]]
        return [*found, *((run, self._runs[run][-1], True) for run in self._runs if self.canaries)]

    @property
    def _runs(self) -> dict[str, list[int]]:
        """The sizes of each run, in ascending order."""
        runs = dict.fromkeys(task.run for task in self.tasks)
        return {r: sorted({k for t in self.tasks if t.run == r for k in self.sizes_of(t)}) for r in runs}

    def replicates_of(self, *, shuffled: bool) -> int:
        """How many runs a block has."""
        return self.canaries if shuffled else self.replicates

    def decides_runs(self) -> dict[str, object]:
        """All of it that decides what a run is given; titles, clusters, hashes and the reference do not."""
        own = {"id", "support", "queries", "kind", "sizes", "run", "wild_type"}
        return {
            **self.model_dump(mode="json", exclude={"tasks", "reference"}),
            "tasks": [task.model_dump(mode="json", include=own) for task in self.tasks],
        }

    @property
    def runs(self) -> int:
        """Runs that an entry takes on the track."""
        return sum(self.replicates_of(shuffled=shuffled) for _, _, shuffled in self.blocks)

    @property
    def metrics(self) -> tuple[str, ...]:
        """What is measured: the mean over sizes above 0, each size, and what shuffled supports tell."""
        few = ("spearman_few",) if self.sizes[-1] else ()
        return (
            *few,
            *(f"spearman_k{k}" for k in self.sizes),
            *(("spearman_shuffled", "support_gain") if self.canaries else ()),
        )
