"""CITATION.cff, for those who find this repository: of the software, with the sources of the tracks."""

from __future__ import annotations

import tomllib
from pathlib import Path

from evaluator.contract import tracks
from evaluator.settings import Repository
from leaderboard.exporting import citation

FILE = "CITATION.cff"


def text(root: Path) -> bytes:
    """The whole file, with the version that pyproject.toml says."""
    version = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    return citation.text({"type": "software", "version": version}, tracks.load_all(Repository(root).tracks).values())


if __name__ == "__main__":
    here = Path(__file__).resolve().parent.parent
    (here / FILE).write_bytes(text(here))
