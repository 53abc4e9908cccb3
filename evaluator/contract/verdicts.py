"""What a check found: one model for programs, for the page of a workflow's run, and for the comment on a pull request.

A verdict that comes back from a workflow's artifact is read through the same model, with every length bounded.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, ValidationError

from evaluator.contract.models import Frozen
from evaluator.contract.observed import TITLES, Held, in_brief
from evaluator.errors import Problem, UsageError
from evaluator.text import markdown, preformatted

MAX_BYTES = 512 * 1024
SHOWN = 20
MAX_FINDINGS, MAX_TEXT = 200, 8000
Code = Annotated[str, Field(pattern=r"^[A-Z][A-Z0-9_:]{0,79}$")]
Text = Annotated[str, Field(max_length=MAX_TEXT)]
Word = Annotated[str, Field(pattern=r"^[a-z_]{1,40}$")]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class _Model(Frozen):
    model_config = ConfigDict(frozen=False)  # filled in as the check goes


class Finding(_Model):
    """One thing wrong, or worth knowing: a `Problem`."""

    code: Code
    what: Text
    remedy: Text = ""
    where: Annotated[str, Field(max_length=100)] = ""

    @classmethod
    def of(cls, problem: Problem) -> Finding:
        """A problem, cut to what is shown."""
        return cls(code=problem.code, what=problem.what[:600], remedy=problem.remedy[:400], where=problem.where[:100])

    def __str__(self) -> str:
        return str(Problem(self.code, self.what, self.remedy, self.where))


class Step(_Model):
    """One step that was passed."""

    step: Text
    outcome: Text


class Expectation(_Model):
    """What one track will take, judged by runs of different length on the machine of the check.

    Attributes:
        seconds_range, memory_range_mb: between which values it may well be.
        longest: rows of the longest run that it rests on.
        thin: it rests on too little to rely on.
    """

    track: Annotated[str, Field(max_length=64)]
    rows: int
    seconds: float
    limit_seconds: float
    memory_mb: float | None
    limit_mb: float
    seconds_range: tuple[float, float]
    memory_range_mb: tuple[float, float] | None
    longest: int
    thin: bool

    @property
    def fits(self) -> bool:
        """Whether it will stay within the limits, at the upper end too."""
        memory = self.memory_range_mb[1] if self.memory_range_mb else 0.0
        return self.seconds_range[1] <= self.limit_seconds and memory <= self.limit_mb

    @property
    def time(self) -> str:
        """For people: `12 s`, or `3 min to 2.5 h` where the ends differ as they are shown."""
        return _between(*map(duration, self.seconds_range))

    @property
    def memory(self) -> str:
        """For people; empty where it could not be had."""
        return _between(*(f"{mb:,.0f} MB" for mb in self.memory_range_mb)) if self.memory_range_mb else ""

    @property
    def basis(self) -> str:
        """What it rests on, for people."""
        return f"{self.longest:,} rows" + (", too little to rely on" if self.thin else "")


class Verdict(_Model):
    """What a check found.

    Attributes:
        sha256: of the checked file.
        digest: of the checked image.
        code: the failure's stable code; none if the submission passed.
        card: what became of each variable of the reproducibility card; empty where there is none.
        log: what the container said on public data, last lines.
    """

    schema_version: Literal["1"] = "1"
    submission: Annotated[str, Field(max_length=100)]
    passed: bool = False
    code: Code | None = None
    sha256: Sha256 | None = None
    digest: Annotated[str, Field(pattern=r"^sha256:[0-9a-f]{64}$")] | None = None
    steps: Annotated[list[Step], Field(max_length=50)] = Field(default=[])
    notes: Annotated[list[Finding], Field(max_length=1000)] = Field(default=[])
    problems: Annotated[list[Finding], Field(max_length=1000)] = Field(default=[])
    forecast: Annotated[list[Expectation], Field(max_length=50)] = Field(default=[])
    metrics: dict[str, dict[str, Any]] = Field(default={})
    card: Annotated[dict[Word, Held], Field(max_length=30)] = Field(default={})
    log: Text = ""

    def as_json(self) -> dict[str, Any]:
        """For programs."""
        return self.model_dump(mode="json")

    def as_markdown(self) -> str:
        """For people; whatever a stranger wrote is shown as plain characters."""
        outcome = "passed" if self.passed else f"failed: {self.code}"
        lines = [f"## Check of {markdown(self.submission)}: {markdown(outcome)}", ""]
        lines += [f"- **{markdown(p.code)}** {_told(p)}" for p in self.problems[:SHOWN]]
        if len(self.problems) > SHOWN:
            lines.append(f"- and {len(self.problems) - SHOWN} more of {len(self.problems)}")
        lines += [f"- note: **{markdown(n.code)}** {_told(n)}" for n in self.notes[:SHOWN]]
        if self.steps:
            lines += ["", "| passed | |", "|---|---|"]
            lines += [f"| {markdown(s.step)} | {markdown(s.outcome)} |" for s in self.steps]
        if self.forecast:
            lines += ["", "| track | rows | time, about | limit | memory, about | limit | judged by |"]
            lines += ["|---|--:|--:|--:|--:|--:|---|", *map(_row, self.forecast)]
            lines += ["", "Judged by runs on the machine of this check; the benchmark's own may be quicker."]
        if self.card:
            lines += ["", f"Reproducibility card: {in_brief(self.card)}", "", "| variable | | |", "|---|---|---|"]
            lines += [f"| {TITLES.get(n, n)} | {h.outcome} | {markdown(h.detail, 600)} |" for n, h in self.card.items()]
        if self.log and not self.passed:
            log = preformatted(self.log, 4000)
            lines += ["", "<details><summary>what the container printed, last lines</summary>", "", log, "</details>"]
        return "\n".join(lines) + "\n"


def _told(finding: Finding) -> str:
    where = f"{markdown(finding.where)}: " if finding.where else ""
    return f"{where}{markdown(finding.what, 600)} {markdown(finding.remedy, 400)}".rstrip()


def _row(f: Expectation) -> str:
    return (
        f"| {markdown(f.track)} | {f.rows:,} | {f.time} | {duration(f.limit_seconds)} | {f.memory} "
        f"| {f.limit_mb:,.0f} MB | {f.basis} |"
    )


def _between(low: str, high: str) -> str:
    return low if low == high else f"{low} to {high}"


def duration(seconds: float) -> str:
    """For people: `12 s`, `3 min`, `2.5 h`."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"


def read(path: Path) -> Verdict | None:
    """A verdict from a file that a stranger may have written; None where there is none.

    Raises:
        UsageError: it is not one.
    """
    if path.is_symlink() or not path.is_file():
        return None
    with path.open("rb") as stream:
        data = stream.read(MAX_BYTES + 1)
    try:
        if len(data) > MAX_BYTES:
            raise UsageError(f"{path} has more than {MAX_BYTES:,} bytes.")
        return Verdict.model_validate_json(data)
    except (ValidationError, ValueError) as error:
        raise UsageError(f"{path} is no verdict of apb check.") from error
