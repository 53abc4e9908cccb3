"""Whether an entry has seen the labels that it is scored on."""

from __future__ import annotations

import re
import unicodedata

from evaluator.contract.reproducibility import DataSet
from evaluator.contract.submissions import Submission
from evaluator.contract.tracks import Track
from evaluator.contract.training_sets import NAMES

_VAGUE = frozenset({"private", "other"})
_KNOWN = frozenset(NAMES) - {"none", "undisclosed"} - _VAGUE
"""Names that say which set is meant."""


def trained_on(entry: Submission, track: Track) -> str:
    """`no`, `yes`, `undisclosed` or `unknown`: whether an entry has seen a track's labels, by its own account.

    Unknown: it names a private set, or its card one that nobody here knows, which may hold them.
    """
    if entry.cross_validated:
        return "yes"
    sets = entry.card.open_data.learnt_from if entry.card and entry.card.open_data else ()
    meta_training = entry.few_shot.meta_training if entry.few_shot else ()
    if _labels(track) & {*entry.training_data} or any(_names(name, track) for name in meta_training):
        return "yes"
    if any(_holds(one, track) for one in sets):
        return "yes"
    if "undisclosed" in entry.training_data:
        return "undisclosed"
    return "unknown" if _VAGUE & {*entry.training_data} or any(_may_hold(one, track) for one in sets) else "no"


def known_sets(declared: str) -> set[str]:
    """The names of `training_data` that an author's own name for a set stands for; none where nobody knows it."""
    return _spellings(declared) & _KNOWN


def _spellings(declared: str) -> set[str]:
    """A name as a track or a set may have it: whole, its first word, and the letters which that begins with.

    Authors write `Jain 2017`, `jain_psr` or `Jain137` of what is `jain` here.
    """
    words = _words(declared)
    return {"-".join(words), words[0], *re.findall("^[a-z]+", words[0])} if words else set()


def _words(declared: str) -> list[str]:
    return re.findall("[a-z0-9]+", unicodedata.normalize("NFKC", declared).casefold())


def _labels(track: Track) -> set[str]:
    return {track.id, *track.formerly, *track.same_labels}


def _holds(one: DataSet, track: Track) -> bool:
    """Whether a set of a card has labels of the track, by its name or by the paper that it comes from."""
    if _spellings(one.name) & _labels(track) or _is_task(one.name, track):
        return True
    here, there = ((doi or "").casefold().rstrip("./") for doi in (track.source.doi, one.evidence.doi))
    return bool(here) and f"{there}/".startswith(f"{here}/")


def _may_hold(one: DataSet, track: Track) -> bool:
    """Whether nobody knows the set, or its name speaks of the track's labels further on."""
    return not known_sets(one.name) or any(_spellings(word) & _labels(track) for word in _words(one.name))


def _is_task(declared: str, track: Track) -> bool:
    few = track.few_shot
    tasks = {name.casefold() for task in few.tasks for name in (task.id, task.title)} if few else set()
    return bool({declared.casefold(), "-".join(_words(declared))} & tasks)


def _names(declared: str, track: Track) -> bool:
    """Whether what an entry was meta-trained on, as its author wrote it, has labels of the track.

    An assay is named by a few-shot track's own word for it, such as `jain-psr`, whose first part is the panel's name.
    """
    return bool(_spellings(declared) & {*_labels(track), *track.same_antibodies}) or _is_task(declared, track)
