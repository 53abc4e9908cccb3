"""A local image on data of one's own, for its author alone."""

from __future__ import annotations

import json

from tests.conftest import HONEST, Build, Workspace


def test_a_local_image_is_scored_on_own_data_and_nothing_is_kept(build: Build, workspace: Workspace) -> None:
    panel = workspace.root / "panel.csv"
    rows = "".join(f"ab{k},EVQLVESGGGLVQPGG{'RK' * (k % 5)}SLRLSCAAS,{int(k % 5 > 2)}\n" for k in range(20))
    panel.write_text(f"sequence_id,sequence,label\n{rows}")
    own = str(workspace.root / "own")
    made = workspace.apb("prepare", "--new", "our-panel", "--from", str(panel), "--hidden", own)
    assert made.returncode == 0, made.stderr
    path = workspace.submit("mine", "docker.io/me/never-pushed:1")
    image = build("own-data", HONEST)
    done = workspace.apb("evaluate", str(path), "--image", image, "--hidden", own)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "our-panel" in done.stdout and "ROC-AUC" in done.stdout and "Nothing of this was recorded." in done.stdout
    found = json.loads(workspace.apb("evaluate", "mine", "--image", image, "--hidden", own, "--json").stdout)
    assert found["our-panel"]["metrics"]["roc_auc"]["value"] == 1.0
    assert not workspace.results.exists() and not list(workspace.state.rglob("*.npz"))

    fails = build("own-fails", "raise SystemExit('a reason')")
    done = workspace.apb("evaluate", "mine", "--image", fails, "--hidden", own)
    assert done.returncode == 1 and "EXIT_NONZERO" in done.stdout and "a reason" in done.stdout

    for arguments in (
        ["--image", image],
        ["mine", "--image", image, "--force"],
        ["mine", "--image", image, "--tracks", "x"],
    ):
        assert workspace.apb("evaluate", *arguments, "--hidden", own).returncode == 2
