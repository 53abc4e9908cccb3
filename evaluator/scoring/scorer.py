"""Which scorer this is: kept predictions are scored again by a new one."""

from __future__ import annotations

SCORER_VERSION = "3"
"""Changes whenever a number that a metric gives could change."""
SCORER_CHANGES = {
    "1": "The first scorer.",
    "2": "Values stay. Intervals and tests of perfect, constant and inverted scores do not take an estimated "
    "variance of 0 for certainty any more.",
    "3": "Values stay. Intervals and tests of few-shot tracks count the draws of supports as the few that they are.",
}
"""What each version changed, in words for the changelog that comes with rescored entries."""
