"""What a contributor runs at home, on a real engine and a real registry."""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import docker
import pytest
import requests

from evaluator.contract.verdicts import read as read_verdict
from evaluator.errors import SubmissionError, UsageError
from evaluator.running.registry import Registry
from evaluator.store.results import Results
from evaluator.store.schemas import Lock
from tests.conftest import HONEST, MINE, Build, LocalRegistry, Workspace, leftovers
from tests.support import images, lanes
from tests.support.registries import Handmade, front, layer, push, settings


@pytest.fixture
def pushed(engine: docker.DockerClient, registry: LocalRegistry, build: Build) -> Iterator[str]:
    """An honest image that is only in the registry."""
    name = push(engine, build("pushed", HONEST), f"{registry.host}/tests/honest:1.0")
    yield name
    images.prune(engine, MINE)


def test_a_scaffold_passes_as_it_is(base: str, workspace: Workspace, engine: docker.DockerClient) -> None:
    name = f"my-{lanes.SCOPE}"
    assert workspace.apb("new", name).returncode == 0
    folder = workspace.root / name
    image = f"docker.io/your-account/{name}:0.1"
    engine.images.build(path=str(folder), tag=image, buildargs={"BASE_IMAGE": base}, rm=True)
    at_home = {name: value for name, value in os.environ.items() if name != "CI"}  # CI always asks the registry
    done = subprocess.run(
        workspace.command("check"), cwd=folder, env=at_home, capture_output=True, text=True, check=False
    )
    engine.images.remove(image)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{name}: PASSED" in done.stdout
    assert "reproducibility card: 2 verified, 1 declared\n" in done.stdout
    assert leftovers(engine) == []


@pytest.mark.parametrize("name", ["a", "My-Model", "../evil", "x" * 65, "-x-"])
def test_a_name_that_is_no_id_is_refused(workspace: Workspace, name: str) -> None:
    done = workspace.apb("new", "--", name)
    assert done.returncode == 1
    assert "ID" in done.stderr or "cannot be an id" in done.stderr


def test_a_failing_image_shows_its_log_and_the_remedy(build: Build, workspace: Workspace) -> None:
    path = workspace.submit("crashes", build("crashes", "raise SystemExit('my \\x1b[31mred\\x1b[0m reason')"))
    done = workspace.apb("check", str(path))
    assert done.returncode == 1
    assert "EXIT_NONZERO" in done.stdout + done.stderr
    assert "\\x1b[31mred" in done.stdout  # shown, but inert
    assert "\x1b" not in done.stdout


def test_every_bad_row_is_told_with_its_remedy(build: Build, workspace: Workspace) -> None:
    bad = HONEST.replace("{score!r}", "{score + 2}")
    done = workspace.apb("check", str(workspace.submit("too-large", build("too-large", bad))), "--json")
    report = json.loads(done.stdout)
    assert done.returncode == 1
    assert report["code"] == "BAD_FORMAT:OUT_OF_RANGE"
    [problem] = report["problems"]
    assert problem["where"] == "rows 2-61"
    assert "60 rows" in problem["what"] and "smoke (VH, classification)" in problem["what"]


def test_an_invalid_file_is_told_without_an_engine(workspace: Workspace) -> None:
    path = workspace.submit("typo", "docker.io/me/x:1", licence="MIT")
    done = workspace.apb("check", str(path))
    assert done.returncode == 1
    assert "line 4" in done.stdout and "FIELD_UNKNOWN" in done.stdout and "license" in done.stdout
    assert done.stderr == ""  # all of it goes where the rest goes, also into a file


def test_an_unknown_track_is_told(workspace: Workspace) -> None:
    done = workspace.apb("check", str(workspace.submit("typo", "docker.io/me/x:1", tracks="[jian]")))
    assert done.returncode == 1
    assert "jian" in done.stdout and "jain" in done.stdout


def test_an_image_in_a_registry_is_pulled_by_digest(
    engine: docker.DockerClient, registry: LocalRegistry, pushed: str, workspace: Workspace
) -> None:
    settings(workspace, registry)
    done = workspace.apb("check", str(workspace.submit("honest", pushed)))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "in the registry" in done.stdout


def test_a_tag_is_locked_and_a_moved_tag_changes_nothing(
    engine: docker.DockerClient, registry: LocalRegistry, build: Build, workspace: Workspace
) -> None:
    settings(workspace, registry)
    name = push(engine, build("moving", HONEST + "\n    print('one')\n"), f"{registry.host}/tests/moving:1.0")
    workspace.submit("moving", name)
    assert workspace.evaluate().returncode == 0
    path = workspace.results / "moving" / "smoke.json"
    before = json.loads(path.read_text())["image"]["digest"]

    push(engine, build("moved", "raise SystemExit(1)"), name)
    summary = json.loads(workspace.evaluate("--force", "--json").stdout)

    assert summary["scored"] == ["moving on smoke"]
    assert json.loads(path.read_text())["image"]["digest"] == before


@pytest.mark.parametrize(
    ("reference", "code"),
    [
        ("{host}/tests/nothing:1.0", "IMAGE_NOT_FOUND"),
        ("{host}/tests/honest:none", "IMAGE_NOT_FOUND"),
        ("evil.example.com/tests/honest:1.0", "IMAGE_REGISTRY"),
        ("docker.io.evil.com/x/y:1", "IMAGE_REGISTRY"),
        ("{host}/Tests/honest:1.0", "IMAGE_REFERENCE"),
        ("{host}/tests/honest", "IMAGE_REFERENCE"),
    ],
)
def test_an_image_that_cannot_be_had_is_told(
    registry: LocalRegistry, pushed: str, workspace: Workspace, reference: str, code: str
) -> None:
    settings(workspace, registry)
    path = workspace.submit("entry", reference.format(host=registry.host))
    assert json.loads(workspace.apb("check", str(path), "--json").stdout)["code"] == code
    assert workspace.evaluate().returncode == 0
    assert json.loads((workspace.results / "entry" / "smoke.json").read_text())["failure"] == code
    again = json.loads(workspace.evaluate("--json").stdout)
    assert again["unchanged"] == ["entry on smoke"]


def test_an_oversized_image_is_refused_before_a_layer_is_pulled(
    registry: LocalRegistry, pushed: str, workspace: Workspace
) -> None:
    settings(workspace, registry, max_image_gb=0.001)
    before = registry.accesses()
    report = json.loads(workspace.apb("check", str(workspace.submit("big", pushed)), "--json").stdout)
    assert report["code"] == "IMAGE_TOO_LARGE"
    seen = registry.accesses().removeprefix(before)
    assert len(set(re.findall(r"/blobs/(sha256:\w+)", seen))) == 1  # its configuration, and no layer


def handmade(registry: LocalRegistry, name: str, architecture: str) -> tuple[str, str, str]:
    """Push an image that no engine has seen; returns its reference, its digest and its layer's digest."""
    base = f"http://{registry.host}/v2/{name}"

    def blob(content: bytes) -> dict[str, object]:
        digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
        where = requests.post(f"{base}/blobs/uploads/", timeout=10).headers["Location"]
        requests.put(where, params={"digest": digest}, data=content, timeout=10).raise_for_status()
        return {"digest": digest, "size": len(content)}

    layer = blob(b"not even a tar")
    config = blob(json.dumps({"os": "linux", "architecture": architecture, "rootfs": {"type": "layers"}}).encode())
    kind = "application/vnd.docker.distribution.manifest.v2+json"
    manifest = {
        "schemaVersion": 2, "mediaType": kind,
        "config": {"mediaType": "application/vnd.docker.container.image.v1+json", **config},
        "layers": [{"mediaType": "application/vnd.docker.image.rootfs.diff.tar.gzip", **layer}],
    }  # fmt: skip
    answer = requests.put(f"{base}/manifests/1.0", json=manifest, headers={"Content-Type": kind}, timeout=10)
    answer.raise_for_status()
    return f"{registry.host}/{name}:1.0", answer.headers["Docker-Content-Digest"], str(layer["digest"])


def test_an_image_for_another_platform_is_refused_before_a_layer_is_pulled(
    registry: LocalRegistry, workspace: Workspace
) -> None:
    settings(workspace, registry)
    name, _, layer = handmade(registry, "tests/foreign", "arm64")
    before = registry.accesses()
    report = json.loads(workspace.apb("check", str(workspace.submit("foreign", name)), "--json").stdout)
    assert report["code"] == "IMAGE_PLATFORM"
    [problem] = report["problems"]
    assert "linux/arm64" in problem["what"] and "--platform linux/amd64" in problem["remedy"]
    assert problem["where"] == "line 2"
    assert f"GET /v2/tests/foreign/blobs/{layer}" not in registry.accesses().removeprefix(before)


@pytest.mark.parametrize(
    "text",
    ['{"manifests": null}', '{"manifests": [3]}', '{"manifests": [{"platform": 3}]}', '{"layers": null, "config": {}}',
     '{"layers": [{"size": 1e999}], "config": {"digest": "x"}}'],
)  # fmt: skip
def test_a_manifest_that_is_none_is_the_submissions_fault(text: str) -> None:
    reader = Registry("registry.example.org")
    document = json.loads(text)
    reader._document = lambda *_, **__: (document, "sha256:" + "0" * 64)  # type: ignore[method-assign]
    with pytest.raises(SubmissionError) as caught:
        reader.manifest("x/y", "1")
    assert caught.value.code == "IMAGE_MANIFEST"


def test_a_log_of_control_characters_still_gives_a_readable_verdict(
    build: Build, workspace: Workspace, tmp_path: Path
) -> None:
    path = workspace.submit("bells", build("bells", HONEST + "    print('\\b' * 9000)\n"))
    done = workspace.apb("check", str(path), "--report", str(tmp_path / "check.json"))
    assert done.returncode == 0, done.stderr
    verdict = read_verdict(tmp_path / "check.json")
    assert verdict is not None and verdict.passed


def test_what_was_checked_is_what_is_evaluated(
    engine: docker.DockerClient, registry: LocalRegistry, build: Build, workspace: Workspace
) -> None:
    settings(workspace, registry)
    name = push(engine, build("checked", HONEST), f"{registry.host}/tests/checked:1.0")
    path = workspace.submit("checked", name)
    digest = json.loads(workspace.apb("check", str(path), "--json").stdout)["digest"]
    push(engine, build("swapped", "raise SystemExit(1)"), name)
    assert json.loads(workspace.evaluate("--json").stdout)["scored"] == ["checked on smoke"]
    assert json.loads((workspace.results / "checked" / "smoke.json").read_text())["image"]["digest"] == digest

    push(engine, build("third", HONEST + "    print()\n"), name)
    again = json.loads(workspace.apb("check", str(path), "--json").stdout)
    assert {n["code"] for n in again["notes"]} == {"TRAINING_UNKNOWN", "TAG_MOVED"}
    assert json.loads((workspace.results / "checked" / "image.lock").read_text())["digest"] == digest


def test_an_image_that_has_gone_is_the_submissions_fault(registry: LocalRegistry, workspace: Workspace) -> None:
    settings(workspace, registry)
    name, digest, _ = handmade(registry, "tests/gone", "amd64")
    path = workspace.submit("gone", name)
    pull = f"{registry.host}/tests/gone@{digest}"
    Results(workspace.results).put_lock("gone", Lock(reference=name, digest=digest, pull=pull))
    requests.delete(f"http://{registry.host}/v2/tests/gone/manifests/{digest}", timeout=10).raise_for_status()
    done = workspace.evaluate("--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["failed"] == {"gone on smoke": "IMAGE_NOT_FOUND"}
    told = workspace.apb("check", str(path))
    assert told.returncode == 1
    assert "line 2" in told.stdout and "IMAGE_NOT_FOUND" in told.stdout and "Push the image" in told.stdout


def test_a_layer_that_is_none_is_the_submissions_fault(registry: LocalRegistry, workspace: Workspace) -> None:
    settings(workspace, registry)
    own = Handmade(registry, "tests/no-archive")
    own.image("1.0", [b"not even a tar"])  # which the engine alone finds out, in the middle of its pull
    path = workspace.submit("no-archive", own.reference("1.0"))
    told = workspace.apb("check", str(path))
    assert told.returncode == 1
    assert "line 2" in told.stdout and "IMAGE_LAYERS" in told.stdout and "docker push" in told.stdout
    done = workspace.evaluate("--json", timeout=300)
    assert done.returncode == 0
    assert json.loads(done.stdout)["failed"] == {"no-archive on smoke": "IMAGE_LAYERS"}
    again = json.loads(workspace.evaluate("--json").stdout)
    assert again["unchanged"] == ["no-archive on smoke"]


def test_a_registry_that_breaks_off_is_our_fault(registry: LocalRegistry, workspace: Workspace) -> None:
    Handmade(registry, "tests/torn").image("1.0", [layer("torn")])
    with front(registry) as before:
        before.torn = True
        settings(workspace, before)
        workspace.submit("torn", f"{before.host}/tests/torn:1.0")
        done = workspace.evaluate("--json", timeout=300)
    assert done.returncode == 3
    assert "cannot be reached" in json.loads(done.stdout)["ours"]["torn"]


def test_the_full_job_is_forecast_from_runs_of_different_length(build: Build, workspace: Workspace) -> None:
    slow = HONEST.replace("for row in", "import time\n        for row in").replace(
        "score = row", "time.sleep(0.001); score = row"
    )
    path = workspace.submit("slow", build("slow", slow), resources="{timeout_minutes: 1}")
    report = json.loads(
        workspace.apb("check", str(path), "--json", "--state", str(workspace.state), timeout=300).stdout
    )
    assert report["passed"]
    told = {f["track"]: f for f in report["forecast"]}
    assert {"jain", "shehata", "harvey"} <= set(told)
    assert told["harvey"]["rows"] == 141_021
    assert 100 < told["harvey"]["seconds"] < 1000  # a millisecond a row, and what Python adds
    low, high = told["harvey"]["seconds_range"]
    assert low < told["harvey"]["seconds"] < high
    assert told["harvey"]["longest"] > 2000  # as many as a quarter of its minute allows
    assert told["harvey"]["limit_seconds"] == 60
    [note] = [n for n in report["notes"] if n["code"] == "FORECAST"]
    assert "harvey" in note["what"]


def test_the_summary_is_inert_markdown(build: Build, workspace: Workspace) -> None:
    hostile = "raise SystemExit('</pre><script>alert(1)</script> @everyone ![x](https://evil.example/x) \x1b[31m')"
    path = workspace.submit("noisy", build("noisy", hostile))
    page, file = workspace.root / "page.md", workspace.root / "verdict" / "check.json"
    done = workspace.apb("check", str(path), "--summary", str(page), "--report", str(file))
    assert done.returncode == 1
    text = page.read_text()
    assert "EXIT&#95;NONZERO" in text
    for bad in ("<script", "@everyone", "\x1b", "![x]"):
        assert bad not in text.replace("![x](https://evil.example/x)", "", 1)  # inside <pre> nothing is markdown
    assert text.count("<pre>") == text.count("</pre>") == 1
    verdict = read_verdict(file)
    assert verdict is not None and verdict.code == "EXIT_NONZERO"
    assert verdict.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{}", "null", '{"submission": "x", "passed": 3, "html": "<b>"}', '{"submission": "x"}' + " " * 600_000],
)
def test_a_forged_verdict_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "check.json"
    path.write_text(text)
    with pytest.raises(UsageError, match=r"no verdict|more than"):
        read_verdict(path)


def test_a_link_is_no_verdict(tmp_path: Path) -> None:
    (tmp_path / "check.json").symlink_to("/etc/passwd")
    assert read_verdict(tmp_path / "check.json") is None


def test_a_registry_that_is_down_is_nobodys_fault_but_ours(registry: LocalRegistry, workspace: Workspace) -> None:
    dead = LocalRegistry("127.0.0.1:9", registry.log, registry.process)
    settings(workspace, dead)
    path = workspace.submit("entry", "127.0.0.1:9/tests/honest:1.0")
    assert workspace.apb("check", str(path)).returncode == 3
    assert workspace.evaluate().returncode == 3
    assert not list(Path(workspace.results).glob("*/smoke.json"))


SHAPES = """
    import csv, os
    rows = list(csv.DictReader(open(os.environ["INPUT"])))
    print("shape of", os.environ["TASK"], *rows[0])
    def score(row):
        if "light_sequence" in row:
            return row["light_sequence"].index("J") / 100
        return row["sequence"].count("R") / len(row["sequence"])
    with open(os.environ["OUTPUT"], "w", newline="") as target:
        table = csv.writer(target)
        if os.environ["TASK"] == "regression":
            table.writerow(["score"])
        else:
            table.writerow(["sequence_id", "prediction", "score"])
        for row in rows:
            table.writerow([row["sequence_id"], int(score(row) > 0.05), score(row)])
"""


def test_every_shape_that_an_entry_enters_is_tried_and_those_that_fail_are_named(
    build: Build, workspace: Workspace
) -> None:
    program = build("shapes-program", SHAPES)
    hiding = f"FROM {program}\nRUN mkdir /model && echo 0.5 > /model/weights.txt\nVOLUME /model\n"
    image = build("shapes", dockerfile=hiding)
    path = workspace.submit("all-shapes", image, resources="{timeout_minutes: 1}")
    report = json.loads(workspace.apb("check", str(path), "--json", timeout=300).stdout)
    assert report["code"] == "EXIT_NONZERO"
    told = [p["what"].partition(":")[0] for p in report["problems"]]
    assert told == [
        "On smoke-paired (VH+VL, classification)",
        "On smoke-paired-values (VH+VL, regression)",
        "On smoke-vhh (VHH, regression)",
    ]
    assert "shape of classification sequence_id sequence light_sequence" in report["log"]  # printed before it failed
    passed = {step["step"] for step in report["steps"]}
    assert {"run on smoke", "run on smoke-vhh-classes"} <= passed
    assert not {note["code"] for note in report["notes"]} & {"CRLF"}
    [hidden] = [note for note in report["notes"] if note["code"] == "HIDDEN_FILES"]
    assert "VOLUME /model" in hidden["what"] and "weights.txt" in hidden["what"]

    path = workspace.submit("heavy-shapes", image, tracks="[harvey]", resources="{timeout_minutes: 1}")
    report = json.loads(workspace.apb("check", str(path), "--json", timeout=300).stdout)
    assert report["passed"] and set(report["metrics"]) == {"smoke-vhh-classes"}
    [harvey] = report["forecast"]
    assert harvey["longest"] == 141_021 and not harvey["thin"]
