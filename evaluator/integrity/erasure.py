"""An entry that the law has erased: its names and numbers go, a tombstone stays, and the chain is as whole as before.

Links of the chain hold an id and hashes, no more; they stay. What is taken out is named by its hashes in the tombstone,
which is itself a link. All of it can be done again after a crash.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from pydantic import ValidationError

from evaluator.contract.models import is_id
from evaluator.errors import EvaluatorError, UsageError
from evaluator.files import whole_lines, write_bytes
from evaluator.settings import Repository
from evaluator.store import intake
from evaluator.store.results import Results
from evaluator.store.schemas import Erased, Standing, Value
from evaluator.store.state import State
from evaluator.text import is_inert

MAX_REASON = 300
LINK = "erased/"
"""What a tombstone's link in the chain begins with; the entry's id follows."""


def erase(repository: Repository, state: State, submission: str, reason: str) -> None:
    """Take an entry out of every file of the checkout and of the private state.

    Rankings that it was part of lose its line and all differences; they are not of today then, and are made anew by the
    next round. Tables of rescoring that tell of it are deleted; they follow from the history.

    Args:
        reason: why, in words that may be published.

    Raises:
        UsageError: there is no such entry, or the reason is none.
        EvaluatorError: a file that would have to change cannot be read.
    """
    if not reason.strip() or len(reason) > MAX_REASON or not is_inert(reason):
        raise UsageError(f"The reason must be plain words, at most {MAX_REASON} characters: it is published.")
    results = Results(repository.results)
    if not is_id(submission) or not remains(repository, results, submission):
        done = submission in {e.submission for e in results.erased()}
        raise UsageError(f"There is nothing {'left ' if done else ''}of {submission!r} here. Name an entry by its id.")
    lines = whole_lines(results.history_file)
    mine = [line for line in lines if _is_of(line, submission)]
    gone = tuple(hashlib.sha256(line).hexdigest() for line in mine)
    if not any(e.submission == submission and set(gone) <= set(e.history) for e in results.erased()):
        today = datetime.now(UTC).date().isoformat()
        results.put_erased(Erased(date=today, submission=submission, reason=reason, history=gone))
    state.forget(submission, _own_runs(results, submission))
    _rewrite_rankings(results, submission)
    if mine:
        write_bytes(results.history_file, b"".join(line + b"\n" for line in lines if line not in mine))
    if noted := intake.read(repository.intake):
        intake.write(repository.intake, intake.erased(noted, submission))
    for path in [*_telling(results, submission), *_own(repository, results, submission)]:
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()


def remains(repository: Repository, results: Results, submission: str) -> list[str]:
    """Where anything of an entry still stands, as paths in the checkout; none where it is erased or never was."""
    found = [*_own(repository, results, submission), *_telling(results, submission)]
    if any(_is_of(line, submission) for line in whole_lines(results.history_file)):
        found.append(results.history_file)
    if any(line.id == submission and line.login != intake.GONE for line in intake.read(repository.intake)):
        found.append(repository.intake)
    found += [results.folder / f"{track}.standings.json" for track in _ranked_on(results, submission)]
    return [str(path.relative_to(repository.root)) for path in found]


def tombstones(results: Results) -> dict[str, dict[str, Erased]]:
    """What stays of erased entries, by id and then by the sha256 of the line; lines that are none are left out."""
    found: dict[str, dict[str, Erased]] = {}
    for line in whole_lines(results.erased_file):
        with suppress(ValidationError):
            erased = Erased.model_validate_json(line)
            found.setdefault(erased.submission, {})[hashlib.sha256(line).hexdigest()] = erased
    return found


def lines_taken_out(results: Results) -> set[str]:
    """sha256 of every line of history that was an erased entry's."""
    return {line for lines in tombstones(results).values() for erased in lines.values() for line in erased.history}


def settle(results: Results, last: dict[str, str]) -> list[str]:
    """Hold the tombstones against the chain, and take out of it what they stand for.

    Args:
        last: what the chain says last of each file; loses the files of erased entries.

    Returns:
        What is wrong with the tombstones.
    """
    found, faults = tombstones(results), []
    links = {name.removeprefix(LINK): last.pop(name) for name in [*last] if name.startswith(LINK)}
    for entry, link in links.items():
        if link not in found.get(entry, {}):
            faults.append(f"the line on {entry} in {results.erased_file.name} is not as it was recorded")
    faults += [f"{entry} is erased by hand: the chain does not tell of it" for entry in found if entry not in links]
    for name in [name for name in last if name.partition("/")[0] in found]:
        del last[name]
    return faults


def _own(repository: Repository, results: Results, submission: str) -> list[Path]:
    """The entry's own files and folder."""
    compared = repository.public_data / "relatives" / f"{submission}.json"
    paths = (repository.submissions / f"{submission}.yaml", results.folder / submission, compared)
    return [path for path in paths if path.exists()]


def _telling(results: Results, submission: str) -> list[Path]:
    """Tables of rescoring, which are made anew from the history, and half lines set aside."""
    marks = (f"| {submission} |".encode(), f'"{submission}"'.encode(), f'"{submission}/'.encode())
    paths = [*results.folder.glob("rescored/*.md"), *results.folder.glob("*.torn")]
    return [path for path in paths if any(mark in path.read_bytes() for mark in marks)]


def _is_of(line: bytes, submission: str) -> bool:
    """Whether a line of the history is an entry's."""
    with suppress(ValueError):
        content = json.loads(line)
        return isinstance(content, dict) and content.get("submission") == submission
    return False


def _own_runs(results: Results, submission: str) -> set[str]:
    """Keys of an entry's runs, but for those of an image that another entry names too."""
    keys: dict[bool, set[str]] = {True: set(), False: set()}
    for path in results.folder.glob("*/*.json"):
        with suppress(EvaluatorError):  # a record that cannot be read has no key to go by
            scope = results.scope(path.parent.name, path.stem)
            keys[path.parent.name == submission] |= {scope.run_key} if scope else set()
    return keys[True] - keys[False]


def _ranked_on(results: Results, submission: str) -> list[str]:
    """The tracks whose ranking or pairs name an entry."""
    tracks = sorted({path.name.partition(".")[0] for path in results.chained_files() if path.parent == results.folder})
    found = []
    for track in tracks:
        standings, pairs = results.standings(track), results.pairs(track)
        if (standings and submission in standings.entries) or (
            pairs and submission in {*pairs.submissions, *(pairs.alike.submissions if pairs.alike else ())}
        ):
            found.append(track)
    return found


def _rewrite_rankings(results: Results, submission: str) -> None:
    """Take an entry's line out of rankings, with every difference, since a difference to it would tell its value."""
    nothing = Standing(tier=None, rank_low=None, rank_high=None, to_best=Value(value=None))
    for track in _ranked_on(results, submission):
        standings, pairs = results.standings(track), results.pairs(track)
        if standings:
            entries = {entry: nothing for entry in standings.entries if entry != submission}
            unranked = {"entries": entries, "detectable": None, "made_from": None}
            results.put_standings(standings.model_copy(update=unranked))
        if pairs:
            stay = [k for k, entry in enumerate(pairs.submissions) if entry != submission]
            changes = {
                "submissions": tuple(pairs.submissions[k] for k in stay),
                "value": tuple(pairs.value[k] for k in stay),
                "deviation": tuple(tuple(pairs.deviation[i][j] for j in stay if j < i) for i in stay),
                "alike": None,
            }
            results.put_pairs(pairs.model_copy(update=changes))
