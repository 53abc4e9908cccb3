"""The runs of a few-shot track: which antibodies are measured ones, which are asked for, and what a container sees.

In one run no antibody is both: whatever a run shows of any assay, it never shows it of an antibody that it asks for.
So assays that share antibodies are divided together. For each of their replicates one random order of all antibodies
is drawn; the shortest beginning that gives every assay its largest support is the support's side, the rest is asked
for. Smaller supports are the beginnings of larger ones, and all sizes of a replicate ask for the same antibodies.
"""

from __future__ import annotations

import csv
import hashlib
import io
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from evaluator.contract.arrays import Floats, IntArray
from evaluator.contract.few_shot import MIN_QUERIES, FewShot, FewShotTask
from evaluator.contract.sequences import BlindedInput, Sequences
from evaluator.contract.task_types import FEW_SHOT
from evaluator.errors import EvaluatorError
from evaluator.text import printable

SUPPORT, TASKS = "support.csv", "tasks.csv"


@dataclass(frozen=True, eq=False)
class Asked:
    """One task in one run.

    Attributes:
        task: which of the track's.
        support: [k] antibodies that are given with `given`, [k] targets.
        queries: [q] antibodies that are asked for.
    """

    task: int
    support: IntArray
    given: Floats
    queries: IntArray


@dataclass(frozen=True, eq=False)
class Episode:
    """One run: a support size and a replicate, with every task of this run's name that has the size."""

    run: str
    size: int
    replicate: int
    shuffled: bool
    asked: tuple[Asked, ...]

    @property
    def name(self) -> str:
        """For people."""
        run = "" if self.run == "all" else f"{self.run}, "
        return f"{run}k = {self.size}, replicate {self.replicate + 1}{', shuffled' if self.shuffled else ''}"

    @property
    def key(self) -> str:
        """For file names."""
        return f"{self.run}-k{self.size}-{self.replicate}{'-shuffled' if self.shuffled else ''}"

    @cached_property
    def n(self) -> int:
        """Queries of all tasks."""
        return sum(len(one.queries) for one in self.asked)


@dataclass(frozen=True, eq=False)
class Splits:
    """A few-shot track's antibodies and measurements, and the runs that are made of them.

    Attributes:
        ids: n antibodies.
        columns: their chains; `light_sequence` is empty for a nanobody on a mixed track.
        targets: by assay, [n]; NaN where it was not measured.

    Raises:
        EvaluatorError: on construction, where an assay is too small for what the track file says of it.
    """

    few_shot: FewShot
    ids: tuple[str, ...]
    columns: Mapping[str, tuple[str, ...]]
    targets: Mapping[str, Floats]

    def __post_init__(self) -> None:
        self._require_parents()
        for together in self._groups:
            clusters = sorted({task.cluster for task in self.few_shot.tasks if task.queries in together})
            if len(clusters) > 1:
                what = f"{', '.join(together)} share antibodies, and their tasks are of {' and '.join(clusters)}."
                raise EvaluatorError(what, "Tasks on the same antibodies are not independent: give them one cluster.")
        for task in self.few_shot.tasks:
            for replicate in range(self.few_shot.replicates):
                asked = self.targets[task.queries][self._queries(task, replicate)]
                if len(asked) < MIN_QUERIES:
                    raise EvaluatorError(
                        f"{task.id}: {len(asked)} antibodies of {task.queries} are left to be asked for in replicate "
                        f"{replicate + 1}, beside a support of {max(self.few_shot.sizes_of(task))}; at least "
                        f"{MIN_QUERIES} are needed.",
                        "Give the task smaller `sizes`, or leave it out.",
                    )
                if np.ptp(asked) == 0:
                    of = f"{task.queries} in replicate {replicate + 1}"
                    what = f"{task.id}: all that is asked for of {of} has the same target."
                    raise EvaluatorError(what, "A rank correlation needs targets that differ: leave the task out.")

    def _require_parents(self) -> None:
        """Refuse a variant of another length than the parent: it is no substitution in it."""
        lengths = np.array([len(chain) for chain in self.columns.get("sequence", ())])
        for task in self.few_shot.tasks if len(lengths) else ():
            measured = np.isfinite(self.targets[task.support]) | np.isfinite(self.targets[task.queries])
            other = np.flatnonzero(measured & (lengths != len(task.wild_type)))
            if task.wild_type and len(other):
                first = int(other[0])
                raise EvaluatorError(
                    f"{task.id}: {printable(self.ids[first], 60)}, row {first + 1} of the sequences, has "
                    f"{lengths[first]} residues, and the task's wild_type has {len(task.wild_type)}.",
                    "Variants of a landscape are substitutions in its wild_type: correct either.",
                )

    @cached_property
    def episodes(self) -> tuple[Episode, ...]:
        """Every run, in the order of the track's blocks and replicates."""
        few = self.few_shot
        return tuple(
            self._episode(run, size, replicate, shuffled)
            for run, size, shuffled in few.blocks
            for replicate in range(few.replicates_of(shuffled=shuffled))
        )

    @cached_property
    def rows(self) -> tuple[IntArray, IntArray, IntArray]:
        """Of each score of an entry, in the order of runs: (run, task, antibody), [N] each."""
        parts = [(e, one) for e, episode in enumerate(self.episodes) for one in episode.asked]
        run = np.concatenate([np.full(len(one.queries), e) for e, one in parts])
        task = np.concatenate([np.full(len(one.queries), one.task) for _, one in parts])
        return run, task, np.concatenate([one.queries for _, one in parts])

    @cached_property
    def truth(self) -> Floats:
        """The target of each of `rows`, [N]."""
        names = [task.queries for task in self.few_shot.tasks]
        asked = (one for episode in self.episodes for one in episode.asked)
        return np.concatenate([self.targets[names[one.task]][one.queries] for one in asked])

    @cached_property
    def _groups(self) -> list[list[str]]:
        return sharing({name: self.targets[name] for name in self.few_shot.assays})

    def sha256(self, task: FewShotTask) -> str:
        """Of the ids of a task's support and queries in every replicate."""
        digest = hashlib.sha256()
        for replicate in range(self.few_shot.replicates):
            for rows in (self._support(task, replicate), self._queries(task, replicate)):
                digest.update("\n".join([*(self.ids[k] for k in rows), "", ""]).encode())
        return digest.hexdigest()

    def sequences(self, number: int, audit_rows: int, *, together: bool) -> EpisodeSequences:
        """What a run is about, without the targets of what it asks for.

        Args:
            number: which of `episodes`.
            audit_rows: of the first run of each name with its largest support, which is audited; 0 for no audit.
            together: predictions may depend on the other queries of a chunk.
        """
        episode = self.episodes[number]
        largest = max(k for run, k, _ in self.few_shot.blocks if run == episode.run)
        audited = (episode.size, episode.replicate, episode.shuffled) == (largest, 0, False)
        rows = np.concatenate([one.queries for one in episode.asked])
        tasks = tuple(self._shown(one) for one in episode.asked)
        of_task = np.repeat(np.arange(len(tasks)), [len(one.queries) for one in episode.asked])
        chunk = [k // self.few_shot.chunk for one in episode.asked for k in range(len(one.queries))]
        return EpisodeSequences(
            {name: tuple(cells[k] for k in rows) for name, cells in self.columns.items()},
            FEW_SHOT,
            audit_rows if audited else 0,
            together=together,
            tasks=tasks,
            of_task=tuple(of_task.tolist()),
            chunk=tuple(chunk),
        )

    def _shown(self, one: Asked) -> Shown:
        task = self.few_shot.tasks[one.task]
        columns = {name: tuple(cells[k] for k in one.support) for name, cells in self.columns.items()}
        return Shown(task.kind, task.wild_type, columns, tuple(map(repr, one.given.tolist())))

    def _episode(self, run: str, size: int, replicate: int, shuffled: bool) -> Episode:
        asked = []
        for number, task in enumerate(self.few_shot.tasks):
            if task.run != run or size not in self.few_shot.sizes_of(task):
                continue
            support = self._support(task, replicate)[:size]
            given = self.targets[task.support][support]
            if shuffled:
                given = _generator(self.few_shot.seed, f"shuffled {task.id}", replicate).permutation(given)
            asked.append(Asked(number, support, given, self._queries(task, replicate)))
        return Episode(run, size, replicate, shuffled, tuple(asked))

    def _support(self, task: FewShotTask, replicate: int) -> IntArray:
        order, end = self._side[task.support, replicate]
        mine = order[:end][np.isfinite(self.targets[task.support][order[:end]])]
        return mine[: max(self.few_shot.sizes_of(task))]

    def _queries(self, task: FewShotTask, replicate: int) -> IntArray:
        order, end = self._side[task.queries, replicate]
        return order[end:][np.isfinite(self.targets[task.queries][order[end:]])][: self.few_shot.queries]

    @cached_property
    def _side(self) -> dict[tuple[str, int], tuple[IntArray, int]]:
        """By assay and replicate: the order of the antibodies of all assays that share any, and where queries begin."""
        found = {}
        needed = dict.fromkeys(self.few_shot.assays, 0)
        for task in self.few_shot.tasks:
            needed[task.support] = max(needed[task.support], *self.few_shot.sizes_of(task))
        by_sequence = np.array(sorted(range(len(self.ids)), key=lambda k: [c[k] for c in self.columns.values()]))
        for together in self._groups:
            measured = {name: np.isfinite(self.targets[name]) for name in together}
            antibodies = by_sequence[np.any([measured[name][by_sequence] for name in together], axis=0)]
            for replicate in range(self.few_shot.replicates):
                order = _generator(self.few_shot.seed, "\n".join(together), replicate).permutation(antibodies)
                end = max(_first(measured[name][order], needed[name], name) for name in together)
                found.update({(name, replicate): (order, end) for name in together})
        return found


def sharing(targets: Mapping[str, Floats]) -> list[list[str]]:
    """Assays in groups that have no antibody in common."""
    groups = dict[int, list[str]]()
    group_of = np.full(len(next(iter(targets.values()), ())), -1)  # of each antibody; -1 where none measured it so far
    for number, (name, values) in enumerate(targets.items()):
        mine = np.isfinite(values)
        near = [g for g in np.unique(group_of[mine]).tolist() if g >= 0]
        groups[number] = sorted([name, *(other for g in near for other in groups.pop(g))])
        group_of[mine | np.isin(group_of, near)] = number
    return list(groups.values())


def _first(measured: np.ndarray[tuple[int], np.dtype[np.bool_]], k: int, name: str) -> int:
    """Where an order has reached the k-th antibody that an assay measured."""
    places = np.flatnonzero(measured)
    if len(places) < k:
        raise EvaluatorError(
            f"{name} has {len(places)} antibodies, and a support of {k} is to be drawn of them.",
            "Give its tasks smaller `sizes`, or leave them out.",
        )
    return int(places[k - 1]) + 1 if k else 0


def _generator(seed: int, name: str, replicate: int) -> np.random.Generator:
    """Of its own for each name and replicate, so that a further task changes nothing for the others."""
    words = np.frombuffer(hashlib.sha256(name.encode()).digest(), dtype="<u4").tolist()
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence([seed, replicate, *words])))


@dataclass(frozen=True)
class Shown:
    """What a run is told of a task: its kind, its parent, and the chains and targets of its support."""

    kind: str
    wild_type: str
    columns: Mapping[str, tuple[str, ...]]
    targets: tuple[str, ...]


@dataclass(frozen=True, eq=False, kw_only=True)
class EpisodeSequences(Sequences):
    """The queries of one run, and the measurements that go with them.

    Attributes:
        of_task: [n] which of `tasks` each query belongs to.
        chunk: [n] which chunk of its task.
    """

    tasks: tuple[Shown, ...]
    of_task: tuple[int, ...]
    chunk: tuple[int, ...]

    def take(self, rows: Sequence[int]) -> EpisodeSequences:
        """These queries alone, in this order, with the whole support."""
        return EpisodeSequences(
            {name: tuple(chains[row] for row in rows) for name, chains in self.columns.items()},
            self.task,
            self.audit_rows,
            together=self.together,
            tasks=self.tasks,
            of_task=tuple(self.of_task[row] for row in rows),
            chunk=tuple(self.chunk[row] for row in rows),
        )

    def blinded(self, seed: int) -> BlindedInput:
        """The three files of one run: fresh opaque ids of antibodies and tasks, shuffled rows."""
        rng = random.Random(seed)  # noqa: S311 - the seed itself comes from `secrets`
        supports = sum(len(task.targets) for task in self.tasks)
        opaque = [f"{value:012x}" for value in rng.sample(range(16**12), self.n + supports + len(self.tasks))]
        ids, support_ids, names = opaque[: self.n], iter(opaque[self.n :]), opaque[self.n + supports :]
        queries = [
            [ids[k], *chains, names[task], f"{names[task]}-{chunk}"]
            for k, (*chains, task, chunk) in enumerate(
                zip(*self.columns.values(), self.of_task, self.chunk, strict=True)
            )
        ]
        support = [
            [name, next(support_ids), *chains, target]
            for name, task in zip(names, self.tasks, strict=True)
            for *chains, target in zip(*task.columns.values(), task.targets, strict=True)
        ]
        asked = [self.of_task.count(number) for number in range(len(self.tasks))]
        tasks = [
            [name, str(len(task.targets)), str(n), task.kind, task.wild_type]
            for name, task, n in zip(names, self.tasks, asked, strict=True)
        ]
        files = {
            "sequences.csv": (["sequence_id", *self.columns, "task_id", "chunk_id"], queries),
            SUPPORT: (["task_id", "sequence_id", *self.columns, "target"], support),
            TASKS: (["task_id", "n_support", "n_query", "kind", "wild_type"], tasks),
        }
        return BlindedInput(
            {name: _csv(header, rng.sample(rows, len(rows))) for name, (header, rows) in files.items()}, tuple(ids)
        )


def _csv(header: Sequence[str], rows: Sequence[Sequence[str]]) -> bytes:
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    return text.getvalue().encode()


def pieces(splits: Splits, scores: Floats) -> Iterator[tuple[Episode, Asked, Floats]]:
    """Each task of each run with its queries' scores."""
    at = 0
    for episode in splits.episodes:
        for one in episode.asked:
            yield episode, one, scores[at : at + len(one.queries)]
            at += len(one.queries)
