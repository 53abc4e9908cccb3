"""What a round is about to do and what it has done: for programs as JSON, for people as markdown."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from evaluator.errors import EvaluatorError
from evaluator.rounds.plan import Account, Plan
from evaluator.text import markdown

SHOWN = 200


@dataclass
class Summary(Account):
    """What a round did: the plan's account, and what came of the runs; `asked` are entries on the panel."""

    scored: list[str] = field(default_factory=list)
    rescored: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    reaped: int = 0
    rescoring: str | None = None
    seconds: float = 0.0
    freed_bytes: int = 0

    def take(self, plan: Plan) -> None:
        """Begin with what the plan has found; a failure to resolve is already recorded by then."""
        self.unchanged, self.failed, self.ours = plan.unchanged, {**plan.failed, **self.failed}, plan.ours
        self.unrunnable, self.no_data = plan.unrunnable, plan.no_data

    @property
    def exit_code(self) -> int:
        """0, or 3 where something is left to do because of us; a failed submission is a result like any other.

        So is what could not be run in several rounds: one entry must not hide every other trouble for ever.
        """
        return EvaluatorError.exit_code if self.ours else 0

    def __str__(self) -> str:
        return (
            f"{len(self.scored)} scored, {len(self.rescored)} rescored, {len(self.unchanged)} unchanged, "
            f"{len(self.failed)} failed, {len(self.ours)} left undone because of this machine"
            + (f", {len(self.unrunnable)} unrunnable here" if self.unrunnable else "")
            + (f", {len(self.asked)} asked about the panel" if self.asked else "")
        )

    def as_markdown(self) -> str:
        """For the page of a workflow's run; it names codes only, never what a container said."""
        minutes, seconds = divmod(round(self.seconds), 60)
        lines = [
            "## Evaluation",
            "",
            "| | |",
            "|---|---:|",
            f"| new | {len(self.scored)} |",
            f"| scored again | {len(self.rescored)} |",
            *([f"| asked about the panel | {len(self.asked)} |"] if self.asked else []),
            f"| unchanged | {len(self.unchanged)} |",
            f"| failed, the submission's fault | {len(self.failed)} |",
            f"| left undone, our fault | {len(self.ours)} |",
            *([f"| unrunnable here | {len(self.unrunnable)} |"] if self.unrunnable else []),
            f"| time | {minutes} min {seconds} s |",
            f"| disk freed | {self.freed_bytes / 1e9:.1f} GB |",
        ]
        if self.no_data:
            lines += ["", f"No data here for: {', '.join(self.no_data)}."]
        lines += _section("New", dict.fromkeys(self.scored, ""))
        lines += _section("Failed, the submission's fault", self.failed)
        lines += _section("Left undone, our fault; tried again next time", self.ours)
        lines += _section("Unrunnable here; no longer counted as a failure of the round", self.unrunnable)
        return "\n".join(lines) + "\n"


def _section(title: str, items: Mapping[str, str]) -> Iterable[str]:
    if not items:
        return []
    lines = [f"- {markdown(name)}{': ' + markdown(reason) if reason else ''}" for name, reason in items.items()]
    more = [f"- and {len(lines) - SHOWN} more"] if len(lines) > SHOWN else []
    return ["", f"### {title}", "", *lines[:SHOWN], *more]
