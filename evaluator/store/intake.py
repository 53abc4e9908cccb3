"""Who brought which submission, and when: one line in leaderboard/intake.jsonl for each that was merged.

Who somebody is, GitHub's number of the account says: an account may be renamed, and its old login taken by another.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from pathlib import Path

from pydantic import Field, ValidationError

from evaluator.contract.models import Frozen
from evaluator.errors import EvaluatorError
from evaluator.files import whole_lines, write_bytes
from evaluator.validation import in_words


class Intake(Frozen):
    """One merged submission; the first of an id says who owns it."""

    date: date
    id: str
    login: str = Field(description="At that time")
    account: int | None = Field(default=None, description="GitHub's number of the account; lines of old have none")
    new_run: bool = Field(description="Whether it made an evaluation due, which is what quotas count")
    commit: str | None = Field(default=None, description="That brought it")


def is_by(line: Intake, login: str, account: int | None) -> bool:
    """Whether an account brought this: its number decides, its login only where one of the two has no number."""
    if line.account is None or account is None:
        return line.login == login.lower()
    return line.account == account


GONE = "(erased)"
"""In place of the login of an entry that had to be erased; nobody can have it."""


def erased(lines: Sequence[Intake], entry: str) -> list[Intake]:
    """The same lines, those of one entry without a name: that its id was used stays known."""
    first = next((line for line in lines if line.id == entry), None)
    others = [line for line in lines if line.id != entry]
    return others if first is None else [*others, Intake(date=first.date, id=entry, login=GONE, new_run=False)]


def are_erased(lines: Sequence[Intake]) -> set[str]:
    """Ids of the entries that had to be erased."""
    return {line.id for line in lines if line.login == GONE}


def read(path: Path) -> list[Intake]:
    """Every merged submission, oldest first; none where there is no such file.

    Raises:
        EvaluatorError: a line is not valid.
    """
    try:
        return [Intake.model_validate_json(line) for line in whole_lines(path)]
    except ValidationError as error:
        raise EvaluatorError(
            f"{path} is not valid. {in_words(error, Intake)}",
            f"Restore it from git (git log -p -- {path}). "
            "If an entry is to be gone for good: apb erase. What is missing from it, apb intake writes anew.",
        ) from error


def write(path: Path, lines: Sequence[Intake]) -> None:
    """Write the whole file anew."""
    write_bytes(path, "".join(f"{line.model_dump_json(exclude_none=True)}\n" for line in lines).encode())
