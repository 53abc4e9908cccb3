"""A practice track as a hidden one."""

from __future__ import annotations

import hashlib
import hmac
from pathlib import Path

import yaml

from tests.conftest import Workspace

KEY = "0123456789abcdef" * 4


def seal(workspace: Workspace, folder: Path) -> Path:
    """The track `sealed`, with the data of `smoke` in a folder outside of the repository."""
    (folder / "sealed").mkdir(parents=True)
    (folder / "labels.key").write_text(KEY)
    for name in ("sequences", "labels"):
        content = (workspace.root / "test_data" / "smoke" / f"{name}.csv").read_bytes()
        (folder / "sealed" / f"{name}.csv").write_bytes(content)
    labels = (folder / "sealed" / "labels.csv").read_bytes()
    track = yaml.safe_load((workspace.root / "test_data" / "tracks" / "smoke.yaml").read_text())
    track |= {
        "id": "sealed", "disclosure": "hidden", "sha256": {"sequences": track["sha256"]["sequences"]},
        "labels_hmac_sha256": hmac.new(KEY.encode(), labels, hashlib.sha256).hexdigest(),
    }  # fmt: skip
    (workspace.root / "test_data" / "tracks" / "sealed.yaml").write_text(yaml.safe_dump(track))
    return folder
