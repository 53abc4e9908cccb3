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
VAGUE = frozenset({"private", "other"})
"""Those that do not say which set is meant."""
ASSAYS = frozenset(
    {
        *("proteingym", "dms-substitutions", "dms-proteingym-substitutions", "fewshot-proteingym"),
        *("cr6261", "phillips", "fewshot-cr6261"),
        "fewshot-poly",
    }
)
"""Sets that few-shot models are meta-trained on, beside those of `NAMES`: in small letters, words joined by -."""
RELATED = 0.90
"""Identity, 1 - edits / length of the longer one, from which one sequence is another's relative."""
