"""In how many rounds in a row something was left undone on this machine.

Private, like all of the state, and no public record: another machine, with another engine or network, may well do it,
and nothing is known of the submission. Losing the file costs a few rounds more that end with exit status 3.

<state>/tries.json      what was left undone -> in how many rounds
"""

from __future__ import annotations

import json
from pathlib import Path

from evaluator.files import write_json


class Tries:
    """The counts of one state folder.

    Args:
        folder: usually `.apb`.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / "tries.json"

    def count(self, what: str) -> int:
        """In how many rounds it was left undone."""
        return self._read().get(what, 0)

    def left_undone(self, what: str) -> None:
        """One round more."""
        counts = self._read()
        write_json(self._path, {**counts, what: counts.get(what, 0) + 1})

    def done(self, what: str) -> None:
        """From here on it counts from the start again."""
        counts = self._read()
        if counts.pop(what, None) is not None:
            write_json(self._path, counts)

    def _read(self) -> dict[str, int]:
        try:
            found = json.loads(self._path.read_text(encoding="utf-8"))
        except (FileNotFoundError, ValueError):
            return {}
        return {k: v for k, v in found.items() if isinstance(v, int)} if isinstance(found, dict) else {}
