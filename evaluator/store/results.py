"""The public record of one submission on one track, and the one place that knows where records are kept.

<results>/<submission>/<track>.json     one record, written atomically
<results>/<submission>/panel/<panel>.json  what it said of the panel's sequences
<results>/<track>.standings.json        who can be told from whom
<results>/<track>.pairs.json            how far any two entries differ, on a track whose labels are open
<results>/history.jsonl                 one line for each record that came to be or changed
<results>/chain.jsonl                    one line for each record written, each with the hash of the line before
<results>/erased.jsonl                  one line for each entry that had to be erased; the chain holds it too
<results>/rescored/<scorer>.md          what a new scorer changed, old beside new
<results>/<submission>/image.lock       the digest that the submission's tag was resolved to
<results>/<submission>/reproducibility.card   what became of its reproducibility card
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from evaluator.errors import EvaluatorError
from evaluator.files import append_line, as_json, set_torn_end_aside, whole_lines, write_bytes
from evaluator.store.schemas import (
    Behaviour,
    CardRecord,
    Change,
    Erased,
    Link,
    Lock,
    Pairs,
    Result,
    Scope,
    Standings,
    Timing,
)
from evaluator.validation import in_words

MAX_LINE = 4096
CARD = "reproducibility.card"


class Results:
    """The folder of records.

    Args:
        folder: usually `leaderboard/results`.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def path(self, submission: str, track: str) -> Path:
        """Where a record is kept."""
        return self.folder / submission / f"{track}.json"

    def get(self, submission: str, track: str) -> Result | None:
        """A record, or None where there is none.

        Raises:
            EvaluatorError: there is one, but it is not valid.
        """
        return _read(self.path(submission, track), Result)

    def scope(self, submission: str, track: str) -> Scope | None:
        """What of a record decides whether it is up to date; None where there is no record.

        Raises:
            EvaluatorError: there is one, but it is not valid.
        """
        return _read(self.path(submission, track), Scope)

    def put(self, result: Result) -> Change | None:
        """Write a record whole or not at all, and a line of history where it says something new."""
        change = _change(self.get(result.submission, result.track), result)
        line = change.model_dump_json().encode() if change else None
        if line:
            append_line(self.history_file, line)
        self._put_chained(f"{result.submission}/{result.track}.json", result, line)
        return change

    @property
    def chain(self) -> Path:
        """The chain of everything ever recorded."""
        return self.folder / "chain.jsonl"

    def _put_chained(self, name: str, content: BaseModel, line: bytes | None = None) -> None:
        """Write a file, and before it its link: after a crash in between it is still due, and gets another link.

        Args:
            line: of history that tells of it.
        """
        data = as_json(content.model_dump(mode="json"))
        self._link(name, data, line)
        write_bytes(self.folder / name, data)

    def _link(self, record: str, content: bytes, line: bytes | None) -> None:
        set_torn_end_aside(self.chain)
        last = _last_line(self.chain)
        previous = hashlib.sha256(last).hexdigest() if last else None
        link = Link(
            record=record,
            sha256=hashlib.sha256(content).hexdigest(),
            previous=previous,
            history=hashlib.sha256(line).hexdigest() if line else None,
        )
        append_line(self.chain, link.model_dump_json().encode())

    @property
    def history_file(self) -> Path:
        """Everything that came to be or changed."""
        return self.folder / "history.jsonl"

    @property
    def erased_file(self) -> Path:
        """Which entries had to be erased."""
        return self.folder / "erased.jsonl"

    def erased(self) -> list[Erased]:
        """Every entry that had to be erased, oldest first.

        Raises:
            EvaluatorError: a line is not valid.
        """
        return _lines(self.erased_file, Erased)

    def put_erased(self, erased: Erased) -> None:
        """Write down that an entry is erased; its link first, as with every file of the chain."""
        line = erased.model_dump_json().encode()
        self._link(f"erased/{erased.submission}", line, None)
        append_line(self.erased_file, line)

    def chained_files(self) -> list[Path]:
        """Every file that the chain tells of: records, answers to the panel, cards, rankings and pairs."""
        kinds = ("*/*.json", "*/panel/*.json", f"*/{CARD}", "*.standings.json", "*.pairs.json")
        return sorted(path for kind in kinds for path in self.folder.glob(kind))

    def history(self) -> list[Change]:
        """Every change, oldest first.

        Raises:
            EvaluatorError: a line is not valid.
        """
        return _lines(self.history_file, Change)

    def all(self) -> list[Result]:
        """Every record, by submission and track."""
        found = (_read(path, Result) for path in sorted(self.folder.glob("*/*.json")))
        return [record for record in found if record]

    def timings(self) -> list[Timing]:
        """What every recorded run has taken."""
        found = (_read(path, Timing) for path in sorted(self.folder.glob("*/*.json")))
        return [record for record in found if record]

    def has(self, submission: str) -> bool:
        """Whether there is any record of a submission."""
        return any((self.folder / submission).glob("*.json"))

    def of(self, submission: str) -> list[Result]:
        """Every record of one submission, by track."""
        found = (_read(path, Result) for path in sorted((self.folder / submission).glob("*.json")))
        return [record for record in found if record]

    def standings(self, track: str) -> Standings | None:
        """A track's ranking; None where it has none."""
        return _read(self.folder / f"{track}.standings.json", Standings)

    def put_standings(self, standings: Standings) -> None:
        """Write a track's ranking."""
        self._put_chained(f"{standings.track}.standings.json", standings)

    def pairs(self, track: str) -> Pairs | None:
        """How far any two entries of a track differ; None where that is not published."""
        return _read(self.folder / f"{track}.pairs.json", Pairs)

    def put_pairs(self, pairs: Pairs) -> None:
        """Write the differences between a track's entries."""
        self._put_chained(f"{pairs.track}.pairs.json", pairs)

    def behaviour(self, submission: str, panel: str) -> Behaviour | None:
        """What an entry said of a panel; None where it was not asked yet."""
        return _read(self.folder / submission / "panel" / f"{panel}.json", Behaviour)

    def behaviours(self, panel: str) -> dict[str, Behaviour]:
        """The same of every entry that was asked, by its id."""
        paths = sorted(self.folder.glob(f"*/panel/{panel}.json"))
        return {p.parts[-3]: found for p in paths if (found := self.behaviour(p.parts[-3], panel))}

    def put_behaviour(self, found: Behaviour) -> None:
        """Write what an entry said of a panel."""
        self._put_chained(f"{found.submission}/panel/{found.panel}.json", found)

    def card(self, submission: str) -> CardRecord | None:
        """What became of an entry's reproducibility card; None where it was never held against anything."""
        return _read(self.folder / submission / CARD, CardRecord)

    def put_card(self, card: CardRecord) -> None:
        """Write what became of a card."""
        self._put_chained(f"{card.submission}/{CARD}", card)

    def lock(self, submission: str, reference: str) -> Lock | None:
        """The digest that this very reference was resolved to; None where it is new or the submission names another."""
        lock = _read(self.folder / submission / "image.lock", Lock)
        return lock if lock and lock.reference == reference else None

    def put_lock(self, submission: str, lock: Lock) -> None:
        """Remember what a tag was resolved to."""
        write_bytes(self.folder / submission / "image.lock", as_json(lock.model_dump(mode="json")))


def _last_line(path: Path) -> bytes:
    """The last whole line of a file whose end is not torn; empty where there is none."""
    if not path.is_file():
        return b""
    with path.open("rb") as stream:
        stream.seek(max(stream.seek(0, os.SEEK_END) - MAX_LINE, 0))
        return stream.read().removesuffix(b"\n").rpartition(b"\n")[2]


def _facts(result: Result) -> tuple[str | None, ...]:
    return (result.status, result.failure, result.scorer, result.image.digest)


def _change(before: Result | None, after: Result) -> Change | None:
    def values(result: Result | None) -> dict[str, float | None]:
        return {name: v.value for name, v in result.metrics.items()} if result else {}

    old, new = values(before), values(after)
    changed = {k: (old.get(k), new.get(k)) for k in {**old, **new} if old.get(k) != new.get(k)}
    rescored = before is not None and before.run_key == after.run_key and before.status == after.status == "ok"
    if before and not changed and _facts(before) == _facts(after):
        return None
    return Change(
        date=after.evaluated_at,
        kind="new" if before is None else "rescored" if rescored else "rerun",
        submission=after.submission,
        track=after.track,
        status=after.status,
        failure=after.failure,
        digest=after.image.digest,
        scorer=(before.scorer if before else None, after.scorer),
        metrics=changed,
    )


T = TypeVar("T", bound=BaseModel)


def _lines(path: Path, kind: type[T]) -> list[T]:
    """The lines of a file that only grows; one that a crash has left twice, once."""
    number, found = 0, dict[bytes, T]()
    try:
        for number, line in enumerate(whole_lines(path), start=1):  # noqa: B007 - told below
            found[line] = kind.model_validate_json(line)
    except ValidationError as error:
        raise EvaluatorError(
            f"{path} is not valid, line {number}: {in_words(error, kind)}",
            f"Restore it from git (git log -p -- {path}). Where it was meant to change, there is a command for that: "
            "apb erase takes an entry out.",
        ) from error
    return list(found.values())


def _read(path: Path, kind: type[T]) -> T | None:
    """What a file holds; None where there is none."""
    try:
        return kind.model_validate_json(path.read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValidationError) as error:
        why = in_words(error, kind) if isinstance(error, ValidationError) else str(error)
        raise EvaluatorError(
            f"{path} is not a valid record. {why}",
            f"Restore it from git (git log -p -- {path}), or delete it: the next apb evaluate makes it anew. If its "
            "entry is to be gone for good: apb erase.",
        ) from error
