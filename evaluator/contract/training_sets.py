"""Sets that many models are trained on, by the names that a submission's `training_data` may use."""

from __future__ import annotations

from typing import Literal, get_args

TrainingSet = Literal[
    "none",
    "undisclosed",
    "synthetic",
    "boughter",
    "jain",
    "shehata",
    "harvey",
    "vhh48",
    "gdpa1",
    "gdpa2",
    "gdpa3",
    "gdpa4",
    "gdpa5",
    "flab",
    "polyxpert",
    "nbbench",
    "sabdab",
    "oas",
    "private",
    "other",
]
NAMES: tuple[str, ...] = get_args(TrainingSet)
