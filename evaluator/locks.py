"""The digest that a merged submission's tag means, written down before anybody can move the tag."""

from __future__ import annotations

from evaluator import images
from evaluator import submission as submissions
from evaluator.errors import EvaluatorError, SubmissionError
from evaluator.results import Lock, Results
from evaluator.settings import Repository


def lock_image(repository: Repository, entry_id: str) -> str:
    """Lock what a submission's reference means now, and say so; where that fails, its evaluation does it."""
    results = Results(repository.results)
    try:
        entry = submissions.load(repository.submissions / f"{entry_id}.yaml")
        reference = images.parse(entry.docker_image)
        if reference.local or results.lock(entry_id, entry.docker_image):
            return "nothing to lock"
        image = images.from_registry(reference, repository.settings)
    except (SubmissionError, EvaluatorError) as error:
        return f"not locked: {error}"
    results.put_lock(entry_id, Lock(reference=entry.docker_image, digest=image.digest, pull=image.pull))
    return f"locked {image.digest}"
