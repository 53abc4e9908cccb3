"""What the audits of the tracks' data found, as `apb audit-data --write` keeps it, for the datasets' pages."""

from __future__ import annotations

from pathlib import Path

from pydantic import ValidationError

from evaluator.errors import EvaluatorError
from evaluator.integrity.findings import Audit, in_words

Rows = list[tuple[str, str]]
"""What was looked at, and what was found."""


def load(folder: Path) -> dict[str, Rows]:
    """Each track's audit in words, by the track's id; none where the folder is not there.

    Raises:
        EvaluatorError: a file is not one that was written so.
    """
    found = {}
    for path in sorted(folder.glob("*.json")):
        try:
            audit = Audit.model_validate_json(path.read_bytes())
        except ValidationError as error:
            raise EvaluatorError(f"{path} is no audit.", "Write it again: apb audit-data TRACK --write.") from error
        found[path.stem] = in_words(audit)
    return found
