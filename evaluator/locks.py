"""The digest that a merged submission's image had when it was checked, written down before anybody can move the tag."""

from __future__ import annotations

from dataclasses import replace

from evaluator import images
from evaluator import submission as submissions
from evaluator.errors import EvaluatorError, SubmissionError
from evaluator.results import Lock, Results
from evaluator.settings import Repository


def lock_image(repository: Repository, entry_id: str, checked: str | None = None) -> str:
    """Lock what was checked, else what the reference means now, and say so; where that fails, its evaluation does it.

    Args:
        checked: digest of the image that passed the check.
    """
    results = Results(repository.results)
    try:
        entry = submissions.load(repository.submissions / f"{entry_id}.yaml")
        reference = images.parse(entry.docker_image)
        if reference.local or results.lock(entry_id, entry.docker_image):
            return "nothing to lock"
        exact = replace(reference, digest=checked) if checked and not reference.digest else reference
        image = images.from_registry(exact, repository.settings)
    except (SubmissionError, EvaluatorError) as error:
        return f"not locked: {error}"
    except Exception as error:  # noqa: BLE001 - one entry must not keep the others from being noted
        return f"not locked, by a mistake of ours: {error!r}"
    results.put_lock(entry_id, Lock(reference=entry.docker_image, digest=image.digest, pull=image.pull))
    return f"locked {image.digest}"
