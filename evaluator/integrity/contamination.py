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
    seen = {*entry.training_data, *(entry.few_shot.meta_training if entry.few_shot else ())}
    return "yes" if seen & _names(track) else "no"


def _names(track: Track) -> set[str]:
    """What an entry may call labels of the track: sets that contain them, and on few-shot tracks its own assays."""
    few = track.few_shot
    own = (track.id, *few.assays, *(name for task in few.tasks for name in (task.id, task.title))) if few else ()
    return {*track.same_labels, *own}
