"""Records without a run, and the site of them."""

from __future__ import annotations

import json
from pathlib import Path

from evaluator.settings import Repository
from evaluator.store.results import Results
from leaderboard.build import build
from tests.conftest import Workspace

DIGEST = "sha256:" + "0" * 64


def put(workspace: Workspace, submission: str, track: str = "jain", **changes: object) -> None:
    """Write one record as `apb evaluate` would."""
    content = {
        "submission": submission, "track": track, "status": "ok", "evaluated_at": "2026-01-01",
        "image": {"reference": "docker.io/me/x:1", "digest": DIGEST}, "sequences_sha256": "0" * 64,
        "labels_hash": "0" * 64, "contract": 1, "scorer": "1", "software": "0", "commit": None, "limits": {},
        "hardware": {}, "sandbox": "docker", "run_key": "x", "n": 86,
        "metrics": {"roc_auc": {"value": 0.5}, "precision": {"value": None, "reason": "no row was predicted positive"}},
        **changes,
    }  # fmt: skip
    path = Results(workspace.results).path(submission, track)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))


def publish(workspace: Workspace) -> Path:
    repository = Repository(workspace.root)
    build(repository, submissions=repository.submissions, results=repository.results, out=repository.site)
    return repository.site


METRIC_NAMES = (
    "roc_auc", "average_precision", "mcc", "balanced_accuracy", "accuracy", "precision", "recall", "specificity",
    "f1", "brier",
)  # fmt: skip
