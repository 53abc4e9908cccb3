"""Of a hidden track nothing leaves the machine but rounded scores: no row, no id, no label, no log line."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import zipfile
from pathlib import Path

import pytest
import yaml

from tests.conftest import HONEST, Build, Workspace

KEY = "0123456789abcdef" * 4

LEAKY = (
    HONEST
    + """
    import base64, gzip, sys
    data = open("/data/sequences.csv", "rb").read()
    print(data.decode()); print(base64.b64encode(data).decode()); print(data.hex()); print(data.decode()[::-1])
    sys.stderr.buffer.write(gzip.compress(data))
"""
)
SHOUTING = """
    rows = open("/data/sequences.csv").read()
    raise SystemExit(rows)
"""
ECHOING = """
    rows = open("/data/sequences.csv").read().split()[1:]
    lines = ["sequence_id,prediction,score", *(r.split(",")[1] + ",0,0" for r in rows)]
    open("/output/predictions.csv", "w").write("\\n".join(lines))
"""


@pytest.fixture
def hidden(workspace: Workspace, tmp_path: Path) -> Path:
    """The practice data as a hidden track `sealed`, outside of the repository."""
    folder = tmp_path / "hidden"
    (folder / "sealed").mkdir(parents=True)
    (folder / "labels.key").write_text(KEY)
    for name in ("sequences", "labels"):
        text = (workspace.root / "test_data" / "smoke" / f"{name}.csv").read_text()
        (folder / "sealed" / f"{name}.csv").write_text(text.replace("synthetic_", "canary-id-"))
    sequences, labels = ((folder / "sealed" / f"{name}.csv").read_bytes() for name in ("sequences", "labels"))
    track = yaml.safe_load((workspace.root / "test_data" / "tracks" / "smoke.yaml").read_text())
    track |= {
        "id": "sealed", "purpose": "benchmark", "disclosure": "hidden",
        "sha256": {"sequences": hashlib.sha256(sequences).hexdigest()},
        "labels_hmac_sha256": hmac.new(KEY.encode(), labels, hashlib.sha256).hexdigest(),
    }  # fmt: skip
    (workspace.root / "test_data" / "tracks" / "sealed.yaml").write_text(yaml.safe_dump(track))
    return folder


def test_a_lost_key_is_told_as_such_and_open_tracks_go_on(build: Build, workspace: Workspace, hidden: Path) -> None:
    workspace.submit("entry", build("sealed-key", HONEST))
    (hidden / "smoke").symlink_to(workspace.root / "test_data" / "smoke")
    (hidden / "labels.key").unlink()
    done = workspace.apb("evaluate", "--hidden", str(hidden), "--tracks", "sealed,smoke")
    assert done.returncode == 3 and "1 scored" in done.stdout
    told = " ".join((done.stdout + done.stderr).split())
    assert f"{hidden}/labels.key" in told and "is missing or too short; the labels may be well" in told
    assert "Put it back from a backup" in told and "sealed is left out" in told and "labels.csv" not in told
    assert (workspace.results / "entry" / "smoke.json").is_file()


def test_a_key_that_others_can_read_is_told(workspace: Workspace, hidden: Path) -> None:
    (hidden / "labels.key").chmod(0o644)
    (hidden / "sealed").chmod(0o755)
    (hidden / "sealed" / "labels.csv").chmod(0o640)
    secret = [hidden / "labels.key", hidden / "sealed" / "labels.csv"]
    hidden.chmod(0o755)
    said = evaluate(workspace, hidden)
    assert all(f"{path} can be read by other users of this machine: chmod 600 {path}" in said for path in secret)
    hidden.chmod(0o700)
    (hidden / "sealed").chmod(0o700)
    assert "can be read by other users" not in evaluate(workspace, hidden)


def evaluate(workspace: Workspace, hidden: Path) -> str:
    done = workspace.apb("evaluate", "--hidden", str(hidden), "--tracks", "sealed")
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


def test_no_canary_in_any_public_artefact(build: Build, workspace: Workspace, hidden: Path) -> None:
    for name, predict in {"leaky": LEAKY, "shouting": SHOUTING, "echoing": ECHOING}.items():
        workspace.submit(name, build(name, predict))
    said = evaluate(workspace, hidden)
    assert workspace.apb("publish").returncode == 0
    site = workspace.root / "leaderboard"
    public = said + "".join(p.read_text(errors="replace") for p in site.rglob("*") if p.is_file())
    with zipfile.ZipFile(site / "site" / "data" / "v1.zip") as archive:
        public += "".join(archive.read(name).decode() for name in archive.namelist())
    assert not list(site.rglob("sealed.pairs.json"))
    assert "BAD_FORMAT:UNKNOWN_ID" in public and "EXIT_NONZERO" in public

    rows = [line.split(",") for line in (hidden / "sealed" / "sequences.csv").read_text().splitlines()[1:]]
    canaries = [text for row in rows for text in row]
    canaries += [sequence[30:60] for _, sequence in rows]
    for text in canaries:
        raw = text.encode()
        for form in (text, base64.b64encode(raw).decode()[:-4], raw.hex(), text[::-1]):
            assert form not in public


def test_scores_and_curves_are_coarse(build: Build, workspace: Workspace, hidden: Path) -> None:
    workspace.submit("honest", build("honest", HONEST))
    evaluate(workspace, hidden)
    record = json.loads((workspace.results / "honest" / "sealed.json").read_text())
    for metric in record["metrics"].values():
        for value in (metric["value"], metric["low"], metric["high"]):
            assert value is None or value == round(value, 3)
    assert record["curves"]["roc"]["fpr"] == [0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1]
    assert record["curves"]["pr"]["recall"] == record["curves"]["roc"]["fpr"]
    assert record["runtime"]["seconds"] == float(f"{record['runtime']['seconds']:.2g}")
    labels = (hidden / "sealed" / "labels.csv").read_bytes()
    assert hashlib.sha256(labels).hexdigest() not in json.dumps(record)


def test_a_hidden_track_needs_its_key(build: Build, workspace: Workspace, hidden: Path) -> None:
    workspace.submit("honest", build("honest", HONEST))
    (hidden / "labels.key").write_text("x" * 64)
    wrong = workspace.apb("evaluate", "--hidden", str(hidden), "--tracks", "sealed")
    assert wrong.returncode == 3 and "labels.csv" in wrong.stderr
    (hidden / "labels.key").unlink()
    missing = workspace.apb("evaluate", "--hidden", str(hidden), "--tracks", "sealed")
    assert missing.returncode == 3 and "labels.key" in missing.stderr
    assert not workspace.results.exists()


def test_a_plain_hash_of_hidden_labels_is_refused(workspace: Workspace, hidden: Path) -> None:
    path = workspace.root / "test_data" / "tracks" / "sealed.yaml"
    track = yaml.safe_load(path.read_text())
    track["sha256"]["labels"] = "0" * 64
    path.write_text(yaml.safe_dump(track))
    done = workspace.apb("evaluate", "--hidden", str(hidden))
    assert done.returncode == 3 and "labels_hmac_sha256" in done.stderr
