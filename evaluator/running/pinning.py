"""Which exact image a submission stands for: as locked, else as its reference resolves now. The only writer of locks.

A tag can be moved by whoever owns it, so the digest that was checked is written down before anything is evaluated.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property

import docker

from evaluator.contract import references, submissions
from evaluator.contract.references import Image
from evaluator.contract.submissions import Submission
from evaluator.errors import EngineError, EvaluatorError, SubmissionError
from evaluator.running import images
from evaluator.running.engine import connect
from evaluator.settings import Repository, Settings
from evaluator.store.results import Results
from evaluator.store.schemas import Lock


class Pinning:
    """Resolves submissions' images; asks an engine only for the benchmark's own images."""

    def __init__(self, settings: Settings, results: Results) -> None:
        self.settings = settings
        self.results = results
        self._local: dict[str, Image] = {}

    @cached_property
    def _engine(self) -> docker.DockerClient:
        return connect()

    def resolve(self, submission: Submission, *, lock: bool = True) -> Image:
        """The exact image of a submission: as locked, else resolved now and locked.

        Args:
            lock: write down what a tag was resolved to.

        Raises:
            SubmissionError: there is no such image, or it is not allowed.
            EvaluatorError: the registry or the engine does not answer, or our own image is not there.
        """
        reference = references.parse(submission.docker_image)
        images.require_allowed(reference, self.settings)
        if reference.local:
            name = str(reference)
            if name not in self._local:
                self._local[name] = images.local_image(name, self._engine)
            return self._local[name]
        locked = self.results.lock(submission.id, submission.docker_image)
        if locked is not None:
            return Image(locked.reference, locked.digest, locked.pull)
        image = images.from_registry(reference, self.settings)
        if lock:
            _put(self.results, submission, image, checked=False)
        return Image(submission.docker_image, image.digest, image.pull)


def _put(results: Results, submission: Submission, image: Image, *, checked: bool) -> None:
    lock = Lock(reference=submission.docker_image, digest=image.digest, pull=image.pull, checked=checked)
    results.put_lock(submission.id, lock)


def lock_checked(results: Results, submission: Submission, image: Image) -> str | None:
    """Lock the image that has passed a check; the digest that the benchmark keeps to where it has evaluated another."""
    locked = results.lock(submission.id, submission.docker_image)
    if locked and locked.digest != image.digest and results.has(submission.id):
        return locked.digest
    _put(results, submission, image, checked=True)
    return None


def lock_merged(repository: Repository, entry_id: str, checked: str | None = None) -> str:
    """Lock what was checked before a merge, else what the reference means now, and say so.

    Where that fails, the entry's evaluation does it; but what was checked is locked even while its registry is out of
    order, lest the tag has moved when it answers again.

    Args:
        checked: digest of the image that passed the check.
    """
    results = Results(repository.results)
    try:
        entry = submissions.load(repository.submissions / f"{entry_id}.yaml")
        if entry.archived:
            return "nothing to lock"
        reference = references.parse(entry.docker_image)
        if reference.local or results.lock(entry_id, entry.docker_image):
            return "nothing to lock"
        exact = replace(reference, digest=checked) if checked and not reference.digest else reference
        try:
            image = images.from_registry(exact, repository.settings)
        except EngineError:
            if exact.digest is None:
                raise
            image = images.by_digest(exact, exact.digest)
    except (SubmissionError, EvaluatorError) as error:
        return f"not locked: {error}"
    except Exception as error:  # noqa: BLE001 - one entry must not keep the others from being noted
        return f"not locked, by a mistake of ours: {error!r}"
    _put(results, entry, image, checked=checked is not None)
    return f"locked {image.digest}"
