"""What was found out about a track's data: counts and statistics only, as they are kept, and in words."""

from __future__ import annotations

from collections import Counter
from typing import Literal, Self

from evaluator.contract.arrays import IntArray
from evaluator.contract.families import Rule
from evaluator.contract.models import Frozen

Measure = Literal["roc_auc", "spearman", "correlation_ratio"]


class Overlap(Frozen):
    """How many antibodies of a track have a relative among other sequences, by identity of their heavy chains.

    Attributes:
        rows: of the track.
        others: different sequences that they are held against.
        nearest: the highest identity of all; None where it is below .90 and there are too many pairs to look further.
        median: of the rows' own nearest ones; None likewise.
        h3_found: rows whose CDR-H3 was found.
        h3_same, h3_80: those of them with a CDR-H3 that is the same as one of the others', or at .80 and more.
        h3_nearest: the highest identity of CDR-H3; None where it is below .80.
    """

    rows: int
    others: int
    exact: int
    at_95: int
    at_90: int
    nearest: float | None
    median: float | None
    h3_found: int
    h3_same: int
    h3_80: int
    h3_nearest: float | None


class Exact(Frozen):
    """How many antibodies of a track are the same as one of a set that is told by salted hashes: no more can be found.

    Attributes:
        rows: of the track.
        others: different hashes that they are held against.
    """

    rows: int
    others: int
    exact: int


class Clue(Frozen):
    """What something that is no sequence tells of the labels.

    Attributes:
        name: what it is, e.g. row order.
        value: of the measure: the ROC-AUC or Spearman of the thing as it stands (its opposite is as telling), or the
            correlation ratio of groups, 0 for none to 1.
        p: of a value as far from chance if labels were shuffled, on either side (`clues.judged`).
        telling: whether it is beyond chance after Holm's correction: at .01 over what may tell of an antibody, at
            .01 over orders and ids, a half of it for the parts of ids.
        fault: whether a model can use it without knowing anything of antibodies; a length is no fault.
    """

    name: str
    measure: Measure
    value: float
    p: float
    telling: bool
    fault: bool


class Parts(Frozen):
    """How many numbers and letters of ids were looked at one by one, and how many of them are beyond chance."""

    looked_at: int = 0
    telling: int = 0


class Truths(Frozen):
    """One column of labels or targets: a track has one, a few-shot track one for each assay.

    Attributes:
        conflicts: antibodies that stand there more than once with different labels or targets; None without sequences.
        near_conflicts: pairs of different heavy chains at .95 and more with different classes; None without classes, or
            where there are too many pairs.
        clues: of the parts of ids those that tell most.
        unseen: what was not looked at without a sequence, and why, in words; never a cell of a row.
    """

    name: str
    rows: int
    positives: int | None
    conflicts: int | None
    near_conflicts: int | None
    clues: tuple[Clue, ...]
    parts: Parts = Parts()
    unseen: tuple[str, ...] = ()


class Family(Frozen):
    """How many families there are, by which rule, and how large the largest is."""

    rule: str
    count: int
    largest: int

    @classmethod
    def of(cls, rule: Rule, found: IntArray) -> Self:
        """From each row's family, [n]."""
        sizes = Counter(found.tolist())
        return cls(rule=rule.version, count=len(sizes), largest=max(sizes.values()))


class Audit(Frozen):
    """What was found out about one track, or about one's own CSV.

    Attributes:
        sequences: whether they were at hand; without them labels and ids alone are looked at.
        duplicates: rows whose antibody, all of its chains, stands in an earlier row.
        heavy_duplicates: rows whose heavy chain does.
        near_95, near_90: different heavy chains with another at that identity; None where there are too many pairs.
        other_letters: rows with a letter that is none of the 20 amino acids.
        trained: relatives in training sets, by the sets' names.
        ceiling: what two replicates of the assay agree on, with its interval, as the track's file states it.
    """

    track: str
    rows: int
    sequences: bool
    duplicates: int | None
    heavy_duplicates: int | None
    near_95: int | None
    near_90: int | None
    other_letters: int | None
    families: Family | None
    trained: dict[str, Overlap]
    truths: tuple[Truths, ...]
    ceiling: tuple[float, float, float] | None

    @property
    def faults(self) -> list[str]:
        """What ought to be mended or said on the track's page."""
        found = [f"duplicates ({self.duplicates:,})"] if self.duplicates else []
        for truths in self.truths:
            found += [f"conflicts of {truths.name} ({truths.conflicts:,})"] if truths.conflicts else []
            found += [f"{clue.name} tells of {truths.name}" for clue in truths.clues if clue.telling and clue.fault]
        return found


SHOWN = 12
"""Clues that are told one by one whatever they say."""
TITLES: dict[Measure, str] = {
    "roc_auc": "ROC-AUC", "spearman": "Spearman", "correlation_ratio": "correlation ratio",
}  # fmt: skip


def overlap_in_words(found: Overlap | Exact) -> str:
    """One line for people."""
    if isinstance(found, Exact):
        return f"{found.exact:,} the same by their hashes, which tell of no other relatives"
    nearest = f"nearest {found.nearest:.3f}" if found.nearest is not None else "nearest below .90"
    return (
        f"{found.exact:,} the same, {found.at_95:,} at .95, {found.at_90:,} at .90, {nearest}; "
        f"CDR-H3: {found.h3_same:,} the same, {found.h3_80:,} at .80, of {found.h3_found:,} found"
    )


def in_words(audit: Audit) -> list[tuple[str, str]]:
    """What was looked at and what was found, for a terminal and for a page."""
    if audit.sequences:
        near = "too many pairs; see families" if audit.near_95 is None else f"{audit.near_95:,} and {audit.near_90:,}"
        rows = [
            ("Duplicate antibodies, by all chains", f"{audit.duplicates:,}"),
            ("Duplicate heavy chains", f"{audit.heavy_duplicates:,}"),
            ("Heavy chains with a neighbour at .95 and at .90", near),
            ("Rows with letters other than the 20 amino acids", f"{audit.other_letters:,}"),
        ]
    else:
        rows = [("Sequences", "not at hand: labels and ids alone were looked at")]
    if audit.families:
        f = audit.families
        rows.append(("Families", f"{f.count:,}, the largest of {f.largest:,} rows ({f.rule})"))
    rows += [(f"Relatives in {name}", overlap_in_words(found)) for name, found in audit.trained.items()]
    for truths in audit.truths:
        of = f", {truths.name}" if len(audit.truths) > 1 else ""
        if truths.conflicts is not None:
            rows.append((f"Antibodies with conflicting values{of}", f"{truths.conflicts:,}"))
        if truths.near_conflicts is not None:
            rows.append((f"Pairs at .95 of different class{of}", f"{truths.near_conflicts:,}"))
        shown = [clue for k, clue in enumerate(truths.clues) if clue.telling or (k < SHOWN and not of)]
        rows += [(f"Score of {clue.name} alone{of}", clue_in_words(clue)) for clue in shown]
        if left := len(truths.clues) - len(shown):
            rows.append((f"Further things without a sequence{of}", f"{left} looked at, none beyond chance"))
        if truths.parts.looked_at and (truths.parts.telling or not of):
            n, telling = truths.parts.looked_at, truths.parts.telling or "none"
            rows.append((f"Single numbers and letters of ids{of}", f"{n} looked at, {telling} beyond chance"))
        if truths.unseen:
            rows.append((f"Not looked at without a sequence{of}", "; ".join(truths.unseen)))
    if audit.ceiling:
        value, low, high = audit.ceiling
        rows.append(("Two replicates agree at", f"{value:.2f} ({low:.2f} to {high:.2f})"))
    return rows


def clue_in_words(clue: Clue) -> str:
    """A value, how likely it is by chance, and what that means."""
    p = "p = .0001 or less" if clue.p <= 1e-4 else f"p = {clue.p:.4f}".replace("0.", ".")
    value = f"{clue.value:.3f}".replace("-0.000", "0.000")
    verdict = "" if not clue.telling else "; beyond chance: no model should see it" if clue.fault else "; beyond chance"
    return f"{TITLES[clue.measure]} {value}, {p}{verdict}"
