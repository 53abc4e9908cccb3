"""Is what is published what was recorded? Changed records, broken chains and forged signatures are found."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import HONEST, ROOT, Build, Workspace


@pytest.fixture(scope="module")
def recorded(build: Build, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A benchmark with two records."""

    workspace = Workspace(tmp_path_factory.mktemp("verify") / "benchmark")
    shutil.copytree(ROOT / "test_data", workspace.root / "test_data")
    (workspace.root / "submissions").mkdir()
    workspace.submit("one", build("verify", HONEST))
    workspace.submit("two", build("verify", HONEST))
    assert workspace.evaluate().returncode == 0
    assert workspace.apb("publish").returncode == 0
    return workspace.root


@pytest.fixture
def workspace(recorded: Path, tmp_path: Path) -> Workspace:

    shutil.copytree(recorded, tmp_path / "benchmark")
    return Workspace(tmp_path / "benchmark")


def verify(workspace: Workspace, *arguments: str) -> tuple[int, dict[str, list[str]]]:
    done = workspace.apb("verify", "--json", *arguments)
    found: dict[str, list[str]] = {"ok": [], "FAIL": [], "unknown": []}
    for check in json.loads(done.stdout):
        found[check["level"]].append(check["what"])
    return done.returncode, found


def test_what_was_recorded_holds_and_what_cannot_be_told_is_said(workspace: Workspace) -> None:
    status, found = verify(workspace)
    assert status == 0 and found["FAIL"] == []
    assert any("2 records fit the schema" in what for what in found["ok"])
    assert any("chain of 4 lines is whole" in what for what in found["ok"])
    assert any("data files of the site follow" in what for what in found["ok"])
    for unknown in ("unsigned", "private predictions", "running its digest again"):
        assert any(unknown in what for what in found["unknown"])


def test_with_the_private_state_every_metric_is_computed_again(workspace: Workspace) -> None:
    arguments = ("--hidden", str(workspace.root / "test_data"))
    _, found = verify(workspace, *arguments)
    assert any("metrics of 2 records follow from their predictions" in what for what in found["ok"])
    path = workspace.results / "one" / "smoke.json"
    record = json.loads(path.read_text())
    record["metrics"]["roc_auc"]["value"] += 0.01
    path.write_text(json.dumps(record))
    status, found = verify(workspace, *arguments)
    assert status == 3
    assert any("one on smoke: roc_auc" in what for what in found["FAIL"])


def edited(name: str, change: Callable[[str], str]) -> Callable[[Workspace], None]:
    def apply(workspace: Workspace) -> None:
        path = workspace.results / name
        text = path.read_text()
        assert change(text) != text
        path.write_text(change(text))

    return apply


def cut(workspace: Workspace) -> None:
    path = workspace.results / "chain.jsonl"
    path.write_text("".join(path.read_text().splitlines(keepends=True)[1:]))


def gone(workspace: Workspace) -> None:
    (workspace.results / "one" / "smoke.json").unlink()


def moved(workspace: Workspace) -> None:
    (workspace.results / "one").rename(workspace.results / "three")


def site(workspace: Workspace) -> None:
    path = next((workspace.root / "leaderboard" / "site" / "data").rglob("smoke.json"))
    path.write_text(path.read_text().replace("0.", "0.9", 1))


HARM: dict[str, tuple[Callable[[Workspace], None], str]] = {
    "a better value": (
        edited("one/smoke.json", lambda t: re.sub(r'"value": 0\.\d+', '"value": 0.99', t, count=1)), "not as it was",
    ),
    "another digest": (edited("one/smoke.json", lambda t: t.replace('"sha256:', '"sha256:0', 1)), "run_key"),
    "no record at all": (gone, "has vanished"),
    "a record of somebody else": (moved, "is of one on smoke"),
    "not a record": (edited("one/smoke.json", lambda _: "{}"), "does not fit the schema"),
    "a line cut out of the chain": (cut, "does not follow"),
    "a line changed": (edited("chain.jsonl", lambda t: t.replace('"previous":null', '"previous":"0"')), "line 1"),
    "a torn line": (edited("chain.jsonl", lambda t: t[:-9]), "torn"),
    "a history that is none": (edited("history.jsonl", lambda t: t + "{}\n"), "history.jsonl"),
    "another confusion matrix": (
        edited("one/smoke.json", lambda t: re.sub(r'"tp": \d+', '"tp": 59', t)), "confusion matrix",
    ),
    "a site that says something else": (site, "is not what the records give"),
}  # fmt: skip


@pytest.mark.parametrize("name", HARM)
def test_harm_is_found(workspace: Workspace, name: str) -> None:
    change, told = HARM[name]
    change(workspace)
    status, found = verify(workspace)
    assert status == 3
    assert any(told in what for what in found["FAIL"]), found


def test_a_torn_chain_is_mended_by_the_next_record(workspace: Workspace) -> None:
    path = workspace.results / "chain.jsonl"
    with path.open("a") as chain:
        chain.write('{"record": "one/smo')
    assert workspace.evaluate("--force").returncode == 0
    _, found = verify(workspace)
    assert not [what for what in found["FAIL"] if "site" not in what and "data/" not in what], found


# --- signatures ------------------------------------------------------------------------------------------------------


@pytest.fixture
def key(tmp_path: Path) -> Path:
    path = tmp_path / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", str(path)], check=True)
    return path


def sign(workspace: Workspace, key: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        workspace.command("sign"), cwd=workspace.root, env={**os.environ, "APB_SIGNING_KEY": str(key)},
        capture_output=True, text=True, check=False,
    )  # fmt: skip


def configure(workspace: Workspace, **settings: str) -> None:
    lines = "".join(f'{name} = "{value}"\n' for name, value in settings.items())
    (workspace.root / "pyproject.toml").write_text(f"[tool.apb]\n{lines}")


def test_a_signed_chain_is_verified(workspace: Workspace, key: Path, tmp_path: Path) -> None:
    configure(workspace, signer="ssh", signer_identity=key.with_suffix(".pub").read_text().strip())
    assert any("is missing" in what for what in verify(workspace)[1]["FAIL"])
    assert sign(workspace, key).returncode == 0
    status, found = verify(workspace)
    assert status == 0 and any("the chain is signed (ssh)" in what for what in found["ok"])

    chain = workspace.results / "chain.jsonl"
    whole = chain.read_text()
    chain.write_text(whole.replace("one", "0ne"))
    assert any("signature" in what for what in verify(workspace)[1]["FAIL"])
    chain.write_text(whole)

    other = tmp_path / "other"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(other)], check=True)
    signature = workspace.results / "chain.jsonl.sig"
    before = signature.read_bytes()
    for there in (True, False):  # a key that is not signer_identity signs nothing, whether there was a signature or not
        if not there:
            signature.unlink()
        done = sign(workspace, other)
        assert done.returncode == 3 and "does not hold for signer_identity" in done.stderr and not done.stdout
        assert (signature.read_bytes() == before) if there else not signature.exists()


def test_without_a_signer_signing_says_so(workspace: Workspace, tmp_path: Path) -> None:
    done = sign(workspace, tmp_path / "none")
    assert done.returncode == 0 and "no signer is configured" in done.stdout
    configure(workspace, signer="ssh")
    done = sign(workspace, tmp_path / "none")
    assert done.returncode == 3 and "APB_SIGNING_KEY" in done.stderr


def test_sigstore_without_an_identity_says_so_and_refuses_what_is_no_bundle(workspace: Workspace, key: Path) -> None:
    configure(workspace, signer="sigstore", signer_identity="https://example.org/workflow")
    done = sign(workspace, key)
    assert done.returncode == 3 and "id-token: write" in done.stderr
    (workspace.results / "chain.jsonl.sigstore.json").write_text("{}")
    assert any("not a signature" in what for what in verify(workspace)[1]["FAIL"])
