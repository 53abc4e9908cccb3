"""The entries of a board, from what its site publishes: `data/v1/`, a folder or v1.zip unpacked."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from baselines.catalogue.checkpoints import NOT_SAID, Described, Refused
from baselines.errors import DataError

SAID = ("description", "license", "code", "paper")
"""What an entry may leave out, beside its model and its training data."""


def described(folder: Path) -> tuple[list[Described], list[Refused]]:
    """Every entry that was not withdrawn.

    Args:
        folder: with index.json and submissions/.

    Raises:
        DataError: it is no such folder.
    """
    index = _read(folder / "index.json")
    try:
        tasks = {str(t["id"]): str(t["task"]) for t in index["tracks"]}
        ids = [str(i) for i in index["submissions"] if i not in index["withdrawn"]]
    except (KeyError, TypeError) as error:
        raise DataError(f"{folder / 'index.json'} is not a board's: {error!r}") from error
    found: list[Described] = []
    refused: list[Refused] = []
    for entry in ids:
        try:
            found.append(_entry(_read(folder / "submissions" / f"{Path(entry).name}.json"), entry, tasks))
        except (DataError, KeyError, TypeError, AttributeError) as error:
            refused.append(Refused(entry, str(error) if isinstance(error, DataError) else repr(error)))
    return found, refused


def _read(path: Path) -> Any:
    try:
        return json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(f"{path} cannot be read: {error}. Name a site's data/v1 folder.") from error


def _entry(told: Mapping[str, Any], entry: str, tasks: Mapping[str, str]) -> Described:
    model = told["model"]
    kind = "published predictions" if told.get("archived") else "few-shot image" if told.get("few_shot") else "image"
    answered = sorted({tasks[track] for track in told["results"] if track in tasks})
    backbone = str(model.get("backbone") or NOT_SAID)
    wanted = {
        **{name: model.get(name) for name in ("backbone", "head", "parameters")},
        "training data": None if told["training_data"] == ["undisclosed"] else told["training_data"],
        **{name: told.get(name) for name in SAID},
    }
    return Described(
        entry,
        kind,
        "+".join(answered) or "not run yet",
        "+".join(map(str, told["training_data"])),
        backbone.partition("_")[0] if backbone != NOT_SAID else NOT_SAID,
        backbone,
        str(model.get("head") or NOT_SAID),
        model.get("parameters"),
        tuple(name for name, value in wanted.items() if value is None),
    )
