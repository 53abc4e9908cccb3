"""The page of a few-shot track: what its intervals speak of, and what entries were meta-trained on."""

from __future__ import annotations

from typing import Any

import pytest

from evaluator.contract.tracks import load_all
from tests.conftest import ROOT, Workspace
from tests.support.sites import publish, put

TRACK = load_all(ROOT / "test_data" / "tracks")["fewshot-poly"]
THESE_ALONE = "for these assays alone: 2 clusters of tasks carry no interval for others"
MEANS = "Intervals of means are for other assays too"
THESE = "Its interval is for these assays"


def board(workspace: Workspace, reason: str | None = None, **fields: object) -> str:
    workspace.submit("model", "docker.io/me/x:1", tracks="[fewshot-poly]", **fields)
    value: dict[str, Any] = {"value": 0.3, "low": 0.2, "high": 0.4, "reason": reason}
    put(workspace, "model", track=TRACK.id, metrics=dict.fromkeys(TRACK.metrics, value))
    return (publish(workspace) / "tracks" / TRACK.id / "index.html").read_text()


def test_an_interval_is_said_to_be_for_other_assays_where_it_is(workspace: Workspace) -> None:
    page = board(workspace, THESE_ALONE)
    assert THESE in page and MEANS not in page
    page = board(workspace)
    assert MEANS in page and THESE not in page
    assert "Those of a single task are for its assay alone" in page


@pytest.mark.parametrize(
    ("few_shot", "training_data", "said", "relatives"),
    [
        ("{mode: inductive}", "none", "undisclosed", "unknown: undisclosed"),
        ("{meta_training: []}", "none", "nothing", "none"),
        ("{meta_training: [synthetic]}", "none", "synthetic", "none"),
        ("{meta_training: [jain-psr]}", "boughter", "jain-psr", "boughter 14 of 671; jain 158 of 671"),
        ("{meta_training: [a, b, c, d, e, f]}", "none", "a, b, c, d, e, f", "unknown: a, b, c, d, e and 1 more"),
    ],
)
def test_what_an_entry_was_meta_trained_on_is_shown_with_its_relatives(
    workspace: Workspace, few_shot: str, training_data: str, said: str, relatives: str
) -> None:
    page = board(workspace, few_shot=few_shot, training_data=f"[{training_data}]")
    assert f"<td><bdi>{said}</bdi></td><td><bdi>{relatives}</bdi></td>" in page
