"""Whether a training file holds our canaries, whole, changed a little, or in part: nothing else has them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from evaluator.contract import tables
from evaluator.contract.identity import TOLERANCE, cdr_h3, nearest
from evaluator.integrity.overlap import Known

How = Literal["the same", "near", "in part"]
NEAR = 0.90
"""No antibody is as near: 38 letters of a canary are drawn by chance."""
STRETCH = 12
"""Letters of a third loop that are not met by chance: there are 19^12 such stretches."""


def named_in(known: Known, canary: Path) -> dict[str, How]:
    """The canaries that a training file holds by their ids, and how; of hashes those that are the same alone.

    Near: a chain with an identity of .90 or more. In part: a chain with at least 12 letters running of its third loop,
    such as one that goes on with a linker and a light chain, or a loop alone.

    Raises:
        EvaluatorError: the file of the canaries cannot be read.
    """
    table = tables.read_csv(canary)
    made = tables.sequence_columns(table, canary, ("sequence",))["sequence"]
    ids = tables.id_column(table, canary)
    if known.salted is not None:
        return {name: "the same" for name, one in zip(ids, made, strict=True) if one in known.salted}
    others = sorted(set(known.heavy))
    best = nearest(made, others, NEAR)
    text = "\n".join(others)
    found: dict[str, How] = {}
    for name, one, identity in zip(ids, made, best.tolist(), strict=True):
        if identity >= 1 - TOLERANCE:
            found[name] = "the same"
        elif identity >= NEAR - TOLERANCE:
            found[name] = "near"
        elif any(stretch in text for stretch in _stretches(one)):
            found[name] = "in part"
    return found


def in_words(found: Mapping[str, How]) -> str:
    """How many, and how."""
    how = ", ".join(f"{count} {what}" for what, count in Counter(found.values()).items())
    return f"{len(found)} canar{'y' if len(found) == 1 else 'ies'} of this benchmark ({how})"


def _stretches(heavy: str) -> list[str]:
    """Every part of its third loop that says enough."""
    loop = cdr_h3(heavy) or ""
    return [loop[k : k + STRETCH] for k in range(len(loop) - STRETCH + 1)]
