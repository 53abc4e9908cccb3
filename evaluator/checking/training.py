"""What an entry was trained on, as a check looks at it: what was compared with which track, and what is unknown."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path

from evaluator.contract import tables, tracks
from evaluator.contract.submissions import Submission
from evaluator.errors import EngineError, EvaluatorError, Problem, SubmissionError
from evaluator.integrity import at_hand, canaries, disclosure, overlap, relatives
from evaluator.integrity.findings import Overlap, overlap_in_words
from evaluator.integrity.overlap import Known
from evaluator.integrity.relatives import KnownSet
from evaluator.preparing import public_web
from evaluator.preparing.download import download
from evaluator.settings import Repository
from evaluator.text import printable

MAX_BYTES = 64 * 1024 * 1024
"""Of a training file: about half a million heavy chains."""
FIELD = "training_sequences"
Say = Callable[[str, str], None]


def look(
    repository: Repository, entry: Submission, where: str, *, train: Path | None, hidden: Path | None, say: Say
) -> Iterator[Problem]:
    """Tell what is known of an entry's training sets on the benchmark's tracks; yields what is worth a note.

    Args:
        where: the place of the field in the file.
        train: a copy of the file that the entry names; without it that is downloaded.
        hidden: where the tracks' sequences are; without it nothing new can be compared.

    Raises:
        SubmissionError: the file is not what the entry says.
    """
    known = relatives.load(repository.public_data / "relatives")
    own = _own(entry, where, train)
    if isinstance(own, Problem):
        yield own
    elif own is not None:
        if found := canaries.named_in(own, repository.public_data / "canary.csv"):
            what = f"Its training file holds {canaries.in_words(found)}: it was made of the repository."
            yield Problem("CANARY", what, "Leave test_data/ out of what you train on.", where)
        say("training file", f"{own.size:,} {'hashes' if own.salted else 'heavy chains'}, as its sha256 says")
        yield from _compared(repository, own, known.get(entry.id), where, hidden, say)
    for name in entry.training_data:
        if name in known:
            say(f"relatives in {name}", _in_words(known[name]))
        elif name not in relatives.NOTHING and not isinstance(own, Problem) and not (own and name in relatives.ITS_OWN):
            what = f"training_data says {name}, which was never compared with the tracks: what it holds is unknown."
            yield Problem("TRAINING_UNKNOWN", what, f"'{FIELD}' names a file that can be compared.")


def _in_words(known: KnownSet) -> str:
    """A set that was compared before, in one line."""
    found = {track: one.found for track, one in known.tracks.items()}
    related = [f"{t} {o.at_90:,} of {o.rows:,}" for t, o in found.items() if isinstance(o, Overlap) and o.at_90]
    return f"at .90: {', '.join(related) or 'none'}; {len(found)} tracks were compared"


def _own(entry: Submission, where: str, train: Path | None) -> Known | Problem | None:
    """The entry's own file; a note where it cannot be had; None where it names none.

    Raises:
        SubmissionError: it is another file than the entry says, or none that can be read.
    """
    named = entry.training_sequences
    if named is None:
        if train is None:
            return None
        remedy = f"Add {FIELD}: {{url: https://..., sha256: ...}}, so that others can compare it too."
        raise SubmissionError.of([Problem("FIELD_MISSING", f"The file names no {FIELD}.", remedy)])
    try:
        content = train.read_bytes() if train else download(named.url, MAX_BYTES, public_web.session())
    except EngineError as error:
        what = f"The training file was not looked at: {printable(str(error), 200)} What it holds is unknown."
        return Problem("TRAINING_UNKNOWN", what, "Is it public? Or name a copy with --train.", where)
    except EvaluatorError as error:
        raise SubmissionError.of(
            [Problem("TRAINING_FILE", error.what, "Name one that fits, on a public host.", where)]
        ) from error
    if (found := hashlib.sha256(content).hexdigest()) != named.sha256:
        what = f"The training file has the sha256 {found}, the entry says {named.sha256}."
        raise SubmissionError.of([Problem("TRAINING_FILE", what, "Name the file that was trained on.", where)])
    path = train or Path("training file")
    try:
        return overlap.known_of(tables.parse(content, path), path, found, entry.id)
    except EvaluatorError as error:
        raise SubmissionError.of([Problem("TRAINING_FILE", error.what, error.remedy, where)]) from error


def _compared(
    repository: Repository, own: Known, before: KnownSet | None, where: str, hidden: Path | None, say: Say
) -> Iterator[Problem]:
    """Held against the tracks whose sequences are here; those that were compared before are told from there."""
    done = before.tracks if before and before.sha256 == own.sha256 else {}
    if hidden is not None:
        done = relatives.compare(own, at_hand.with_sequences(repository.tracks, (), hidden)).tracks
    for track, one in done.items():
        say(f"relatives on {track}", overlap_in_words(one.found))
    known = tracks.load_all(repository.tracks).values()
    left = [t.id for t in known if t.purpose == "benchmark" and not disclosure.is_hidden(t) and t.id not in done]
    if left:
        what = f"Not compared with {', '.join(left)}: unknown, which is not clean."
        remedy = "Their sequences are not here. Who has them names their folder with --hidden; a round does it."
        yield Problem("TRAINING_UNKNOWN", what, remedy, where)
