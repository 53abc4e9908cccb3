"""Whether a model may know a track's antibodies from its training: relatives by identity, counted, row by row."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from evaluator.contract import predictions, tables
from evaluator.contract.arrays import Floats
from evaluator.contract.formats import read_bytes
from evaluator.contract.identity import TOLERANCE, cdr_h3, nearest
from evaluator.contract.labels import TrackData
from evaluator.contract.predictions import MAX_OUTPUT_BYTES
from evaluator.contract.task_types import KINDS
from evaluator.contract.training_sets import RELATED
from evaluator.errors import EvaluatorError, SubmissionError, UsageError
from evaluator.integrity import salted
from evaluator.integrity.findings import Exact, Overlap
from evaluator.integrity.salted import Salted
from evaluator.scoring.metrics import COMPUTE
from evaluator.scoring.scored import Estimate, Scored
from evaluator.text import printable

H3_RELATED = 0.80
STEPS = (0.80, 0.65, 0.0)
"""Floors of further looks at rows without a relative: each allows more edits, and takes longer."""
ALL_PAIRS = 1_000_000
"""Pairs up to which the nearest one is found however far it is."""
MIN_POSITIVES, MIN_ROWS = 5, 10
"""A score of fewer says next to nothing."""
NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,39}")

MAX_LETTERS = 1_000
"""Of one chain: three times a whole heavy chain with its constant domains."""
MAX_ROWS = 200_000
"""Of a training file: the largest public set has 141,021, and time grows with each."""

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Known:
    """A set of sequences that models are trained on.

    Attributes:
        sha256: of its file; empty where it is a track.
        salted: hashes in place of sequences.
    """

    name: str
    heavy: tuple[str, ...]
    sha256: str = ""
    salted: Salted | None = None

    @property
    def size(self) -> int:
        """Sequences, or hashes of such."""
        return len(self.salted.hashes if self.salted else self.heavy)


def read_known(path: Path, name: str = "") -> Known:
    """A training file's heavy chains, from its column `sequence`, or their salted hashes, from `salt` and `hash`.

    Raises:
        EvaluatorError: it cannot be read, or as `known_of` says.
    """
    return known_of(tables.read_csv(path), path, hashlib.sha256(path.read_bytes()).hexdigest(), name or path.name)


def known_of(table: tables.Table, path: Path, sha256: str, name: str) -> Known:
    """The same of a table that has been read.

    Args:
        path: what faults are told of.

    Raises:
        EvaluatorError: a cell is no sequence or a very long one, or there are very many rows.
    """
    if salted.is_salted(table):
        return Known(name, (), sha256, salted.read(table, path))
    heavy = tables.sequence_columns(table, path, ("sequence",))["sequence"]
    if len(heavy) > MAX_ROWS:
        what = (
            f"{path} line {table.lines[MAX_ROWS]}: it has {len(heavy):,} rows, and {MAX_ROWS:,} at most are compared."
        )
        raise EvaluatorError(what, "Write each heavy chain once; of still more, one chain of each cluster.")
    if long := next(
        ((line, len(one)) for line, one in zip(table.lines, heavy, strict=True) if len(one) > MAX_LETTERS), None
    ):
        what = f"{path} line {long[0]}: the sequence has {long[1]:,} letters, and {MAX_LETTERS:,} at most are compared."
        raise EvaluatorError(what, "Cut it to its variable domain, or leave the row out.")
    return Known(name, heavy, sha256)


def named_sets(text: str) -> list[Known]:
    """The sets of `NAME=FILE,NAME=FILE`; a file alone has the name that it has without its endings.

    Raises:
        UsageError: it is written otherwise, or names a set twice.
        EvaluatorError: a file cannot be read.
    """
    found: dict[str, Known] = {}
    for part in filter(None, text.split(",")):
        name, equals, path = part.partition("=")
        if not equals:
            name, path = Path(part).name.partition(".")[0], part
        if not path or not NAME.fullmatch(name) or name in found:
            remedy = "Write NAME=FILE,NAME=FILE: each name once, in small letters, digits, - and _."
            raise UsageError(f"'{printable(part, 60)}' is no set of sequences.", remedy)
        found[name] = read_known(Path(path), name)
        if found[name].salted:
            what = f"{printable(path, 60)} holds hashes, which are compared one file at a time."
            raise UsageError(what, "apb overlap --train FILE does it.")
    return list(found.values())


def relatives(heavy: Sequence[str], others: Sequence[str]) -> tuple[Overlap, Floats]:
    """How many of the heavy chains are related to others, and each one's identity with its nearest, [n].

    The identity is 0 where it is below .90 and there are too many pairs to find it.
    """
    different = sorted(set(others))
    best = nearest(heavy, different, RELATED)
    everything = len(heavy) * len(different) <= ALL_PAIRS
    for floor in STEPS if everything else ():
        if (left := np.flatnonzero(best == 0)).size:
            best[left] = nearest([heavy[k] for k in left.tolist()], different, floor)
    loops = [loop for loop in map(cdr_h3, heavy) if loop]
    of_loops = nearest(loops, sorted({loop for loop in map(cdr_h3, different) if loop}), H3_RELATED)
    highest, h3_highest = float(best.max(initial=0)), float(of_loops.max(initial=0))
    return Overlap(
        rows=len(heavy),
        others=len(different),
        exact=_at(best, 1),
        at_95=_at(best, 0.95),
        at_90=_at(best, RELATED),
        nearest=round(highest, 6) if highest or everything else None,
        median=round(float(np.median(best)), 6) if everything and len(best) else None,
        h3_found=len(loops),
        h3_same=_at(of_loops, 1),
        h3_80=_at(of_loops, H3_RELATED),
        h3_nearest=round(h3_highest, 6) if h3_highest else None,
    ), best


def of_known(heavy: Sequence[str], known: Known) -> tuple[Overlap | Exact, Floats]:
    """`relatives` of a set; of one that is told by hashes only what is the same: identity 1, and 0 of all others."""
    if known.salted is None:
        return relatives(heavy, known.heavy)
    same = np.array([one in known.salted for one in heavy], dtype=np.float64)
    return Exact(rows=len(heavy), others=known.size, exact=int(same.sum())), same


def _at(identity: Floats, floor: float) -> int:
    return int(np.count_nonzero(identity >= floor - TOLERANCE))


def unrelated(identity: Floats) -> Mask:
    """The rows without a relative at .90, [n]."""
    return np.asarray(identity < RELATED - TOLERANCE)


def score_without(scored: Scored, metric: str, keep: Mask) -> Estimate:
    """A metric of the rows that are kept; without a value where too few of them are left.

    Args:
        keep: [n] in the order of the rows.
    """
    if scored.splits is not None:
        return Estimate(None, reason="a few-shot track has no rows that could be left out")
    few = int(keep.sum())
    left = replace(
        scored,
        truth=scored.truth[keep],
        score=scored.score[keep],
        prediction=None if scored.prediction is None else scored.prediction[keep],
        families=None if scored.families is None else np.unique(scored.families[keep], return_inverse=True)[1],
    )
    if scored.prediction is not None and left.n1 < MIN_POSITIVES:
        return Estimate(None, reason=f"{left.n1} positives would be left, fewer than {MIN_POSITIVES}")
    if few < MIN_ROWS:
        return Estimate(None, reason=f"{few} rows would be left, fewer than {MIN_ROWS}")
    return COMPUTE[metric](left)


def scores(data: TrackData, path: Path, keep: Mask) -> tuple[Estimate, Estimate]:
    """A track's primary metric of a predictions file: of all rows, and of those that are kept.

    Raises:
        SubmissionError: something is wrong with the predictions.
    """
    if KINDS[data.track.task].supports:
        raise UsageError(f"{data.track.id} is run many times on parts of its rows.", "Name predictions on another one.")
    try:
        content = read_bytes(path, MAX_OUTPUT_BYTES + 1)
    except ValueError as error:
        raise SubmissionError("NO_OUTPUT", f"{path} {error}.", "Name a .csv or .csv.gz file.") from error
    found = predictions.read(content, data.ids, data.track.task)
    scored = Scored.on(data, found.score, found.prediction)
    metric = data.track.primary_metric
    return COMPUTE[metric](scored), score_without(scored, metric, keep)


def matrix(sets: Sequence[Known], tracks: Mapping[str, tuple[str, ...]]) -> dict[str, dict[str, Overlap]]:
    """Each set, and each track as a set, against each track: by the name of the set, then of the track.

    Raises:
        UsageError: a set has the name of a track, whose line would stand in its place.
    """
    if taken := next((known.name for known in sets if known.name in tracks), None):
        remedy = f"Write another name, such as {taken}-train=FILE, or leave it out: each track is a line by itself."
        raise UsageError(f"--sets names a set {taken}, and so is a track called.", remedy)
    every = [*sets, *(Known(name, heavy) for name, heavy in tracks.items())]
    found: dict[str, dict[str, Overlap]] = {}
    for known in every:
        found[known.name] = {
            name: relatives(heavy, known.heavy)[0] for name, heavy in tracks.items() if name != known.name
        }
    return found


def page(found: Mapping[str, Mapping[str, Overlap]], sets: Sequence[Known], tracks: Sequence[str]) -> str:
    """The matrix as a page in markdown, with the command that writes it again."""
    if not tracks:
        raise EvaluatorError("No open track has its sequences at hand.", "Name their folder with --hidden.")
    named = ",".join(f"{known.name}={known.name}.csv" for known in sets)
    lines = [
        "# Which public set touches which track",
        "",
        "Made by `apb overlap --matrix`, and not by hand. Again, with the sets' files beside each other:",
        "",
        f"    apb overlap --matrix --sets {named} --tracks {','.join(tracks)} --hidden HIDDEN --out docs/overlap.md",
        "",
        "Each cell counts rows of the track (column) whose heavy chain has a relative in the set (line): the same /",
        "identity of at least .95 / of at least .90, and the highest identity. Identity is 1 - edits / length of the",
        "longer one. Human heavy chains share their germline frameworks: .80 is no sign of a leak. Below, the same of",
        "CDR-H3, the stretch between the last cysteine of framework 3 and framework 4, which starts with the last",
        "W-G-x-G or, where there is none, the last W-x-x-G: the same / at least .80 / found.",
        "",
        "## Heavy chains",
        "",
        *_table(found, tracks, _of_chains),
        "",
        "## CDR-H3",
        "",
        *_table(found, tracks, lambda o: f"{o.h3_same:,} / {o.h3_80:,} / {o.h3_found:,}"),
        "",
        "A set that is not listed was not looked at, which is not to say that it touches nothing.",
    ]
    if sets:
        lines += ["", "## Files of the sets", ""]
        lines += [f"- {known.name}: {len(known.heavy):,} rows, sha256 `{known.sha256}`" for known in sets]
    return "\n".join(lines) + "\n"


def _of_chains(found: Overlap) -> str:
    nearest_one = "< .90" if found.nearest is None else f"{found.nearest:.3f}"
    return f"{found.exact:,} / {found.at_95:,} / {found.at_90:,}, {nearest_one}"


def _table(
    found: Mapping[str, Mapping[str, Overlap]], tracks: Sequence[str], cell: Callable[[Overlap], str]
) -> list[str]:
    rows = [
        f"| {name} | " + " | ".join(cell(of[track]) if track in of else "" for track in tracks) + " |"
        for name, of in found.items()
    ]
    return [f"| | {' | '.join(tracks)} |", f"|---|{'---|' * len(tracks)}", *rows]
