"""How large a round is: entries x rows x seconds, as hours of CPU and GPU, and how long so many workers need for it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any

from evaluator.contract.tracks import Track
from evaluator.rounds.durations import Durations, Expected, makespan
from evaluator.rounds.job import Job, choose_tracks, find_tracks
from evaluator.rounds.plan import survey
from evaluator.running.pinning import Pinning
from evaluator.settings import Repository
from evaluator.store.results import Results


@dataclass(frozen=True)
class Runs:
    """Runs of one kind on one track.

    Attributes:
        seconds: that each is expected to take.
        source: what that is taken from.
    """

    track: Track
    gpu: bool
    seconds: tuple[float, ...]
    source: str

    @property
    def entries(self) -> int:
        """Whose runs they are: one run each, but on a few-shot track."""
        return -(-len(self.seconds) // self.track.runs)

    @property
    def hours(self) -> float:
        """Of all together."""
        return sum(self.seconds) / 3600


@dataclass(frozen=True)
class Size:
    """A round's size, and what it leaves out because of this machine, with the reasons."""

    runs: tuple[Runs, ...]
    left_out: dict[str, str] = field(default_factory=dict)

    def makespan(self, workers: int) -> float:
        """Hours that so many workers need, each of which can run everything; the audit's short runs are not counted."""
        return makespan([s for runs in self.runs for s in runs.seconds], workers) / 3600

    def as_json(self, workers: Sequence[int]) -> dict[str, Any]:
        """For programs."""
        return {
            "runs": [
                {
                    "track": r.track.id,
                    "rows": r.track.n,
                    "gpu": r.gpu,
                    "entries": r.entries,
                    "median_seconds": round(median(r.seconds), 3),
                    "source": r.source,
                    "hours": round(r.hours, 4),
                }
                for r in self.runs
            ],
            "cpu_hours": round(sum(r.hours for r in self.runs if not r.gpu), 4),
            "gpu_hours": round(sum(r.hours for r in self.runs if r.gpu), 4),
            "left_out": self.left_out,
            "hours_by_workers": {str(n): round(self.makespan(n), 4) for n in workers},
        }

    def as_text(self, workers: Sequence[int]) -> str:
        """For people."""
        lines = [f"{'track':<16}{'needs':<7}{'entries':>8}{'rows':>10}{'s each':>10}{'hours':>10}   taken from"]
        lines += [
            f"{r.track.id:<16}{'GPU' if r.gpu else 'CPU':<7}{r.entries:>8,}{r.track.n:>10,}"
            f"{median(r.seconds):>10,.1f}{r.hours:>10,.2f}   {r.source}"
            for r in self.runs
        ]
        gpu = sum(r.hours for r in self.runs if r.gpu)
        lines.append(f"together {sum(r.hours for r in self.runs) - gpu:,.2f} CPU hours and {gpu:,.2f} GPU hours")
        lines.append("workers  " + "".join(f"{n:>9}" for n in workers))
        lines.append("hours    " + "".join(f"{self.makespan(n):>9,.2f}" for n in workers))
        lines += [f"left out: {name}: {why}" for name, why in self.left_out.items()]
        return "\n".join(lines)


def of_due(job: Job, seconds_per_1000: float | None = None) -> Size:
    """The size of what is due; nothing is run, locked or written.

    Args:
        seconds_per_1000: what 1,000 rows take, in place of what was measured.

    Raises:
        EvaluatorError: the hidden data are not what the track files say.
    """
    found = find_tracks(job)
    due = survey(job, found, Pinning(job.repository.settings, job.results), lambda _line: None, lock=False)
    known = Durations.of(job.results.timings())
    kinds: dict[tuple[str, bool], list[Expected]] = {}
    for task in due.run:
        expected = (
            known.expected(task.submission.id, task.track.id, task.track.n)
            if seconds_per_1000 is None
            else _given(seconds_per_1000, task.track)
        )
        kinds.setdefault((task.track.id, bool(task.gpus)), []).append(expected)
    by_id = {task.track.id: task.track for task in due.run}
    return Size(tuple(_runs(by_id[track], gpu, found) for (track, gpu), found in sorted(kinds.items())), due.ours)


def of_new(
    repository: Repository, wanted: Sequence[str], entries: int, seconds_per_1000: float | None, *, gpu: bool
) -> Size:
    """The size of a round of so many entries that nobody has seen yet.

    Args:
        wanted: tracks; none for every benchmark track.
        gpu: whether they need one.

    Raises:
        EvaluatorError: there is no such track.
    """
    measured = Durations.of(Results(repository.results).timings())
    found = []
    for track in choose_tracks(repository, wanted):
        expected = measured.typical(track.id, track.n) if seconds_per_1000 is None else _given(seconds_per_1000, track)
        found.append(_runs(track, gpu, [expected] * entries * track.runs))
    return Size(tuple(found))


def _given(seconds_per_1000: float, track: Track) -> Expected:
    return Expected(seconds_per_1000 * track.n / 1000, "what was named")


def _runs(track: Track, gpu: bool, expected: Sequence[Expected]) -> Runs:
    sources = list(dict.fromkeys(e.source for e in expected))
    source = sources[0] if len(sources) == 1 else f"{sources[0]}, and others"
    return Runs(track, gpu, tuple(e.seconds for e in expected), source)
