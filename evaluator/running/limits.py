"""What an entry asks for, cut to what is allowed."""

from __future__ import annotations

from evaluator.contract.submissions import Submission
from evaluator.contract.tracks import Track
from evaluator.contract.work import GIB, Limits
from evaluator.settings import Settings


def limits_for(submission: Submission, track: Track, settings: Settings) -> Limits:
    """What a submission asks for, cut to what the track and the benchmark allow."""
    asked = submission.resources
    minutes = min(asked.timeout_minutes, track.timeout_minutes, settings.max_timeout_minutes)
    memory = min(asked.memory_gb, settings.max_memory_gb)
    return Limits(seconds=float(minutes * 60), memory=int(memory * GIB), cpus=float(settings.cpus))
