"""From what a run predicted, or why it failed, to the public record of it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property

from evaluator.contract.work import CONTRACT_VERSION, Finished, Hardware
from evaluator.git import software_commit
from evaluator.integrity import disclosure, relatives
from evaluator.integrity.relatives import Sets
from evaluator.rounds.task import Task, basis
from evaluator.scoring import metrics
from evaluator.scoring.scored import Scored
from evaluator.scoring.scorer import SCORER_VERSION
from evaluator.settings import Repository, software_version
from evaluator.store.results import Results
from evaluator.store.schemas import Behaviour, Counts, ImageRecord, Result, Runtime, Value
from evaluator.store.state import Kept


@dataclass(frozen=True)
class Recorder:
    """Makes the records of one round."""

    repository: Repository
    results: Results
    known: Sets

    @cached_property
    def _commit(self) -> str | None:
        return software_commit(self.repository.root)

    def scored(self, task: Task, kept: Kept, finished: Finished | None) -> Result:
        """The record of a run that predicted something; what a hidden track must not tell is left out.

        Args:
            finished: what came of the run; None where nothing was run, and kept predictions are scored again.
        """
        scored = Scored.on(task.data, kept.score, kept.prediction, self.repository.settings.level)
        scores = metrics.measure(scored)
        found = relatives.of(task.submission, task.track, self.known)
        return self._record(
            task,
            finished,
            status="ok",
            flags=kept.flags,
            curves=disclosure.told_curves(scored, task.track),
            runtime=Runtime(
                seconds=_rounded(kept.seconds) or None,
                peak_memory_mb=_rounded_mb(kept.peak_memory),
                runs=task.track.runs,
            ),
            confusion=Counts.of(scores.confusion) if scores.confusion else None,
            metrics={n: disclosure.told_value(Value.of(e), task.track) for n, e in scores.metrics.items()},
            tasks=disclosure.told_tasks(scored, task.track),
            unrelated=found and relatives.score(found, scored, task.track.primary_metric),
            basis=basis(task.submission, task.files, self.known),
        )

    def failed(self, task: Task, code: str, finished: Finished) -> Result:
        """The record of a run that failed by the submission's fault."""
        return self._record(task, finished, status="failed", failure=code)

    def behaviour(self, task: Task, finished: Finished) -> Behaviour:
        """What an entry said of the panel, or why it failed there."""
        table, size = finished.table, finished.image_bytes
        return Behaviour(
            submission=task.submission.id,
            panel=task.track.id,
            status="failed" if table is None else "ok",
            failure=finished.failure.code if finished.failure else None,
            evaluated_at=datetime.now(UTC).date().isoformat(),
            image=ImageRecord(
                reference=task.image.reference,
                digest=task.image.digest or None,
                size_mb=None if size is None else round(size / 1e6),
            ),
            sequences_sha256=task.data.sequences_sha256 or "",
            software=software_version(),
            run_key=task.run_key,
            scores=None if table is None else tuple(float(f"{score:.9g}") for score in table.score),
        )

    def _record(self, task: Task, finished: Finished | None, **outcome: object) -> Result:
        size = round(finished.image_bytes / 1e6) if finished and finished.image_bytes is not None else None
        hardware = finished.hardware if finished else Hardware()
        before = self.results.get(task.submission.id, task.track.id)
        if task.due == "rescore" and before and before.run_key == task.run_key:  # it ran then and there, not here, now
            size, hardware = before.image.size_mb, before.hardware
        return Result.model_validate(
            {
                "submission": task.submission.id,
                "track": task.track.id,
                "n": task.data.n,
                "evaluated_at": datetime.now(UTC).date().isoformat(),
                "image": ImageRecord(reference=task.image.reference, digest=task.image.digest or None, size_mb=size),
                "sequences_sha256": task.data.sequences_sha256,
                "given": task.given if task.track.few_shot else None,
                "labels_hash": task.data.labels_hash,
                "contract": CONTRACT_VERSION,
                "scorer": SCORER_VERSION,
                "level": self.repository.settings.level,
                "families": task.data.family_count,
                "software": software_version(),
                "commit": self._commit,
                "limits": task.limits.as_json(),
                "hardware": hardware,
                "sandbox": task.sandbox,
                "run_key": task.run_key,
                **outcome,
            }
        )


def _rounded(value: float) -> float:
    """Two significant digits: a run's time must not carry a message out of the sandbox."""
    if value <= 0 or not math.isfinite(value):
        return 0.0
    digits = 1 - math.floor(math.log10(value))
    return round(value, digits)


def _rounded_mb(size: int) -> int | None:
    return int(_rounded(size / 1e6)) if size else None
