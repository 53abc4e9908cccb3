"""Whose fault it is decides what happens: a submission's is recorded, ours stops the run or is retried.

BenchmarkError
├── UsageError        exit status 2   what was asked for cannot be done
├── SubmissionError   exit status 1   a stable code, what went wrong, how to mend it
└── EvaluatorError    exit status 3   our machine, our data, our engine
    ├── EngineError                   the Docker engine or a registry did not answer; worth another try
    └── MachineError                  this machine is not fit for a task; another one may be
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

SHOWN_PROBLEMS = 10


@dataclass(frozen=True)
class Problem:
    """One thing wrong with a submission's file.

    Attributes:
        code: stable upper-case name, e.g. `DUPLICATE_ID`.
        what: one sentence for a person.
        remedy: how to mend it.
        where: `line 3`, `row 17`, or empty.
    """

    code: str
    what: str
    remedy: str = ""
    where: str = ""

    def __str__(self) -> str:
        place = f"{self.where}: " if self.where else ""
        remedy = f" {self.remedy}" if self.remedy else ""
        return f"[{self.code}] {place}{self.what}{remedy}"


class BenchmarkError(Exception):
    """Anything that we raise on purpose; `exit_code` is what `apb` exits with."""

    exit_code: ClassVar[int] = 3

    def __init__(self, what: str, remedy: str = "") -> None:
        super().__init__(f"{what} {remedy}".strip())
        self.what = what
        self.remedy = remedy

    def __reduce__(self) -> tuple[type[BenchmarkError], tuple[object, ...]]:
        return type(self), (self.what, self.remedy)  # errors come back from other machines


class UsageError(BenchmarkError):
    """What was named on the command line is not there or makes no sense."""

    exit_code = 2


class SubmissionError(BenchmarkError):
    """The submission's fault: recorded with its code, never stops the others.

    `problems` holds every problem found, most telling first; `code` names the first.
    """

    exit_code = 1

    def __init__(self, code: str, what: str, remedy: str = "", problems: Sequence[Problem] = ()) -> None:
        super().__init__(what, remedy)
        self.code = code
        self.problems = tuple(problems) or (Problem(code, what, remedy),)

    def __reduce__(self) -> tuple[type[BenchmarkError], tuple[object, ...]]:
        return type(self), (self.code, self.what, self.remedy, self.problems)

    @classmethod
    def of(cls, problems: Sequence[Problem], prefix: str = "") -> SubmissionError:
        """Gather several problems: the first gives the code, the message lists the first ten and the count."""
        first = problems[0]
        lines = [str(p) for p in problems[:SHOWN_PROBLEMS]]
        if len(problems) > SHOWN_PROBLEMS:
            lines.append(f"... and {len(problems) - SHOWN_PROBLEMS} more")
        return cls(prefix + first.code, "\n".join(lines), problems=problems)


class EvaluatorError(BenchmarkError):
    """Our fault: nothing is recorded against any submission."""


class MachineError(EvaluatorError):
    """This machine cannot do what another one may be able to."""


class EngineError(EvaluatorError):
    """The Docker engine or a registry did not do its part; worth another try."""


def told(error: OSError) -> str:
    """What the operating system refuses, and where, in one line."""
    what = (error.strerror or str(error) or type(error).__name__).rstrip(".")
    where = f": {error.filename}" if error.filename else ""
    return f"{what}{where}. Nothing was recorded against anybody; mend that, and run it again."
