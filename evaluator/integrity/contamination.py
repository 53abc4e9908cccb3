"""Whether an entry has seen the labels that it is scored on."""

from __future__ import annotations

import re
import unicodedata

from evaluator.contract.reproducibility import DataSet
from evaluator.contract.submissions import Submission
from evaluator.contract.tracks import Track
from evaluator.contract.training_sets import ASSAYS, NAMES, RELATED, VAGUE

_KNOWN = frozenset(NAMES) - {"none", "undisclosed"} - VAGUE
"""Names that say which set is meant."""
_PROTEIN = "([A-Z0-9]{1,10}_[A-Z0-9]{1,5})"
"""UniProt's name of a protein, such as BLAT_ECOLX, which ProteinGym's names of assays begin with."""
_OF_PROTEIN = re.compile(f"{_PROTEIN}(_.+)?")
_PROTEIN_ASSAY = re.compile(rf"{_PROTEIN}_.+_(19|20)\d\d(_.+)?")
_FILE = re.compile(r"\.csv(\.gz)?$")


def trained_on(entry: Submission, track: Track) -> str:
    """`no`, `yes`, `undisclosed` or `unknown`: whether an entry has seen a track's labels, by its own account.

    Unknown: it names a private set, or its card or its meta-training one that nobody here knows, which may hold them.
    """
    if entry.cross_validated:
        return "yes"
    sets = entry.card.open_data.learnt_from if entry.card and entry.card.open_data else ()
    meta_training = meta_trained_on(entry)
    if _labels(track) & {*entry.training_data} or any(_names(name, track) for name in meta_training):
        return "yes"
    if any(_holds(one, track) for one in sets):
        return "yes"
    if "undisclosed" in {*entry.training_data, *meta_training}:
        return "undisclosed"
    named = (*(one.name for one in sets), *meta_training)
    return "unknown" if VAGUE & {*entry.training_data} or any(_may_hold(name, track) for name in named) else "no"


def meta_trained_on(entry: Submission) -> tuple[str, ...]:
    """What it was meta-trained on, as its author wrote it; nothing where that is `none`, or it says no `few_shot`."""
    return tuple(name for name in (entry.few_shot.meta_training if entry.few_shot else ()) if name != "none")


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
    return re.findall("[a-z0-9]+", _FILE.sub("", unicodedata.normalize("NFKC", declared).casefold()))


def _labels(track: Track) -> set[str]:
    return {track.id, *track.formerly, *track.same_labels}


def _holds(one: DataSet, track: Track) -> bool:
    """Whether a set of a card has labels of the track, by its name or by the paper that it comes from."""
    if _spellings(one.name) & _labels(track) or _is_of_tasks(one.name, track):
        return True
    here, there = ((doi or "").casefold().rstrip("./") for doi in (track.source.doi, one.evidence.doi))
    return bool(here) and f"{there}/".startswith(f"{here}/")


def _may_hold(declared: str, track: Track) -> bool:
    """Whether nobody knows the set, or its name speaks of the track's labels further on."""
    return not _is_known(declared, track) or any(_spellings(word) & _labels(track) for word in _words(declared))


def _is_known(declared: str, track: Track) -> bool:
    """Whether it can be told what a set holds: by a name of ours, or as an assay of a protein.

    A track of proteins lists the assays whose proteins were held against its own. On others, which are of antibodies,
    an assay that has a protein's name of UniProt is of something else.
    """
    if known_sets(declared) or _spellings(declared) & ASSAYS:
        return True
    if track.related_assays or _proteins(track):
        return identity_with(track, declared) is not None
    return _PROTEIN_ASSAY.fullmatch(_FILE.sub("", declared)) is not None


def _is_of_tasks(declared: str, track: Track) -> bool:
    """Whether it is a few-shot track's task, or of a task's protein, by its name or by identity."""
    few = track.few_shot
    if few is None:
        return False
    tasks = {name.casefold() for task in few.tasks for name in (task.id, task.title)}
    name = "-".join(_words(declared))
    of_protein = any(f"-{protein}-" in f"-{name}-" for protein in _proteins(track))
    return bool({declared.casefold(), name} & tasks) or of_protein or (identity_with(track, declared) or 0) >= RELATED


def _proteins(track: Track) -> set[str]:
    """The proteins of a few-shot track's landscapes, where clusters or assays bear UniProt's names."""
    tasks = track.few_shot.tasks if track.few_shot else ()
    names = {name for task in tasks if task.wild_type for name in (task.cluster, task.queries)}
    return {"-".join(_words(found[1])) for name in names if (found := _OF_PROTEIN.fullmatch(name))}


def identity_with(track: Track, declared: str) -> float | None:
    """Of a declared assay's protein with the nearest one of a few-shot track; None where that was not compared."""
    name = "-".join(_words(declared))
    return next((of for assay, of in track.related_assays.items() if "-".join(_words(assay)) == name), None)


def _names(declared: str, track: Track) -> bool:
    """Whether what an entry was meta-trained on, as its author wrote it, has labels of the track.

    An assay is named by a few-shot track's own word for it, such as `jain-psr`, whose first part is the panel's name.
    """
    return bool(_spellings(declared) & {*_labels(track), *track.same_antibodies}) or _is_of_tasks(declared, track)
