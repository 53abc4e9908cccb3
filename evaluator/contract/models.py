"""What the models of our files share: nothing unknown, nothing changed afterwards, no NaN; and what an id is."""

from __future__ import annotations

import re

from pydantic import BaseModel, ConfigDict

ID = "[a-z0-9][a-z0-9-]{2,63}"
"""Of a submission or a track, as a regular expression; it is the stem of its file's name."""


class Frozen(BaseModel):
    """What stands in a file that others read."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


def require_id(text: str) -> str:
    """The id of a submission or a track, for models.

    Raises:
        ValueError: it is none.
    """
    if not is_id(text):
        raise ValueError("is no id: use 3 to 64 of a-z, 0-9 and -, beginning with a letter or digit")
    return text


def is_id(text: str) -> bool:
    """Whether this can be the id of a submission or a track."""
    return re.fullmatch(ID, text) is not None
