"""Which scorer this is: kept predictions are scored again by a new one."""

from __future__ import annotations

SCORER_VERSION = "1"
"""Changes whenever a number that a metric gives could change."""
SCORER_CHANGES = {"1": "The first scorer."}
"""What each version changed, in words for the changelog that comes with rescored entries."""
