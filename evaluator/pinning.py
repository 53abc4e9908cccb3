"""Which exact image a submission stands for: as locked, else as its reference resolves now."""

from __future__ import annotations

from functools import cached_property

import docker

from evaluator import images
from evaluator.images import Image
from evaluator.results import Lock, Results
from evaluator.settings import Settings
from evaluator.submission import Submission


class Pinning:
    """Resolves submissions' images; asks an engine only for the benchmark's own images."""

    def __init__(self, settings: Settings, results: Results) -> None:
        self.settings = settings
        self.results = results
        self._local: dict[str, Image] = {}

    @cached_property
    def _engine(self) -> docker.DockerClient:
        return images.connect()

    def resolve(self, submission: Submission, *, lock: bool = True) -> Image:
        """The exact image of a submission: as locked, else resolved now and locked.

        Args:
            lock: write down what a tag was resolved to.

        Raises:
            SubmissionError: there is no such image, or it is not allowed.
            EvaluatorError: the registry or the engine does not answer, or our own image is not there.
        """
        reference = images.parse(submission.docker_image)
        images.require_allowed(reference, self.settings)
        if reference.local:
            name = str(reference)
            if name not in self._local:
                self._local[name] = images.local_image(name, self._engine)
            return self._local[name]
        locked = self.results.lock(submission.id, submission.docker_image)
        if locked is None:
            image = images.from_registry(reference, self.settings)
            locked = Lock(reference=submission.docker_image, digest=image.digest, pull=image.pull)
            if lock:
                self.results.put_lock(submission.id, locked)
        return Image(locked.reference, locked.digest, locked.pull)
