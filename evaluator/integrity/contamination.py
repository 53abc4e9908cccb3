"""Whether an entry has seen the labels that it is scored on."""

from __future__ import annotations

from evaluator.contract.submissions import Submission
from evaluator.contract.tracks import Track


def trained_on(entry: Submission, track: Track) -> str:
    """`no`, `yes` or `undisclosed`: whether an entry has seen a track's labels, by its own account."""
    if entry.cross_validated:
        return "yes"
    if "undisclosed" in entry.training_data:
        return "undisclosed"
    return "yes" if set(entry.training_data) & set(track.same_labels) else "no"
