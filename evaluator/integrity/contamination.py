"""Whether an entry has seen the labels that it is scored on."""

from __future__ import annotations

from evaluator.contract.submissions import Submission
from evaluator.contract.tracks import Track


def trained_on(entry: Submission, track: Track) -> str:
    """`no`, `yes` or `undisclosed`: whether an entry has seen a track's labels, by its own account."""
    if entry.cross_validated:
        return "yes"
    meta_training = entry.few_shot.meta_training if entry.few_shot else ()
    by_card = entry.card.open_data.trained_on if entry.card and entry.card.open_data else set()
    sets = {*entry.training_data, *by_card} & {track.id, *track.formerly, *track.same_labels}
    if sets or any(_names(name, track) for name in meta_training):
        return "yes"
    return "undisclosed" if "undisclosed" in entry.training_data else "no"


def _names(declared: str, track: Track) -> bool:
    """Whether what an entry was meta-trained on, as its author wrote it, has labels of the track.

    An assay is named by a few-shot track's own word for it, such as `jain-psr`, whose first part is the panel's name.
    """
    plain = declared.casefold().replace("_", "-").replace(" ", "-")
    tracks = {track.id, *track.formerly, *track.same_labels, *track.same_antibodies}
    few = track.few_shot
    tasks = {name.casefold() for task in few.tasks for name in (task.id, task.title)} if few else set()
    return declared.casefold() in tasks or plain in tasks or bool({plain, plain.partition("-")[0]} & tracks)
