"""What a registry, its token service and the network answer: whose fault it is, and which image is meant."""

from __future__ import annotations

import gzip
import io
import json
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import docker
import pytest
import requests

from evaluator.commands.progress import ProgressLines
from evaluator.contract.references import Image, parse
from evaluator.errors import EngineError, SubmissionError
from evaluator.rounds import round as rounds
from evaluator.rounds.job import Job
from evaluator.rounds.machinery import Here
from evaluator.rounds.summary import Summary
from evaluator.running import images, registry, runs
from evaluator.running.pinning import lock_merged
from evaluator.settings import Repository, Settings
from evaluator.store.results import Results
from evaluator.store.schemas import Lock
from evaluator.store.state import State
from tests.conftest import HONEST, Build, LocalRegistry, Workspace
from tests.support.registries import GZIP, OCI, Answer, Front, Handmade, front, layer, push, refusal, settings

PAGE = {"Content-Type": "text/html"}, b"<html>we will be back soon</html>"


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """As many tries as ever, without the pauses between them."""
    monkeypatch.setattr(registry, "PATIENCE", registry.PATIENCE.new(backoff_factor=0))
    monkeypatch.setattr(runs, "RETRY_AFTER", (0.0,))


@pytest.fixture
def before(registry: LocalRegistry) -> Iterator[Front]:
    """A front before a registry with one image."""
    Handmade(registry, "tests/fronted").image("1.0", [layer("fronted")])
    with front(registry) as this:
        yield this


def resolved(host: str, name: str) -> Image:
    return images.from_registry(parse(f"{host}/{name}"), Settings(insecure_registries=(host,)))


def code_of(host: str, name: str) -> str:
    """The code that an image is refused with before it is pulled; empty where it is not."""
    try:
        found = resolved(host, name)
        images.require_there(str(found.pull), Settings(insecure_registries=(host,)))
    except SubmissionError as error:
        return error.code if error.remedy else "no remedy"
    return ""


# --- whose fault -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "tokens",
    [
        (503, {"Retry-After": "60"}, b""),
        (429, {}, b'{"details": "too many requests"}'),
        (500, {}, b""),
        (401, {}, b""),
        (403, *PAGE),
        (404, {}, b"404 page not found"),
        refusal("TOOMANYREQUESTS", 403),
        refusal("UNKNOWN", 401),
        (200, *PAGE),
        (200, {}, b"[]"),
        (200, {}, b'{"token": null}'),
        (200, {}, b'{"token": "two\\nlines"}'),
    ],
)
def test_a_token_service_out_of_order_is_our_fault(before: Front, tokens: Answer) -> None:
    before.tokens = tokens
    with pytest.raises(EngineError, match="token service"):
        resolved(before.host, "tests/fronted:1.0")


@pytest.mark.parametrize("part", ["/manifests/", "/blobs/"])
@pytest.mark.parametrize(
    "answer",
    [
        (502, *PAGE),
        (429, {}, b""),
        (403, *PAGE),
        (404, *PAGE),
        (404, {}, b""),
        (401, {}, b'{"message": "Bad credentials"}'),
        (401, {"WWW-Authenticate": 'Bearer realm="x",error="invalid_token"'}, refusal("UNAUTHORIZED", 401)[2]),
        refusal("TOOMANYREQUESTS", 403),
        refusal("UNSUPPORTED", 404),
        (200, *PAGE),
        (200, {"Content-Encoding": "gzip"}, b"no gzip"),
    ],
)
def test_an_answer_that_says_nothing_of_the_image_is_our_fault(before: Front, part: str, answer: Answer) -> None:
    before.rules[part] = answer
    with pytest.raises(EngineError):
        resolved(before.host, "tests/fronted:1.0")


@pytest.mark.parametrize("answer", [refusal("BLOB_UNKNOWN", 404), refusal("DENIED", 403), (404, {}, b""), (503, *PAGE)])
def test_where_blobs_are_redirected_to_nothing_is_said_of_the_image(
    registry: LocalRegistry, before: Front, answer: Answer
) -> None:
    with front(registry) as elsewhere:
        before.rules["/blobs/"] = (307, {"Location": f"http://{elsewhere.host}/signed/blobs/x"}, b"")
        elsewhere.always = answer
        with pytest.raises(EngineError, match=elsewhere.host):
            resolved(before.host, "tests/fronted:1.0")


@pytest.mark.parametrize(
    ("part", "answer", "code"),
    [
        ("/manifests/", refusal("MANIFEST_UNKNOWN", 404), "IMAGE_NOT_FOUND"),
        ("/manifests/", refusal("NAME_UNKNOWN", 404), "IMAGE_NOT_FOUND"),
        ("/manifests/", refusal("UNAUTHORIZED", 401), "IMAGE_NOT_PUBLIC"),
        ("/manifests/", refusal("DENIED", 403), "IMAGE_NOT_PUBLIC"),
        ("/token", refusal("DENIED", 403), "IMAGE_NOT_PUBLIC"),
        ("/blobs/", refusal("BLOB_UNKNOWN", 404), "IMAGE_INCOMPLETE"),
    ],
)
def test_a_registrys_own_words_count(before: Front, part: str, answer: Answer, code: str) -> None:
    if part == "/token":
        before.tokens = answer
    else:
        before.rules[part] = answer
    assert code_of(before.host, "tests/fronted:1.0") == code


@pytest.mark.parametrize(
    ("header", "realm"),
    [
        ('Bearer realm="https://a/t?x=1,2",service="s"', "https://a/t?x=1,2"),
        ('Basic realm="b", Bearer realm="https://a",service="s"', "https://a"),
        ('bearer realm="https://a", Basic realm="b"', "https://a"),
        ("Bearer realm=https://a,service=s", "https://a"),
        ('Basic realm="b"', None),
        ("", None),
    ],
)
def test_of_several_ways_to_log_in_the_bearers_is_taken(header: str, realm: str | None) -> None:
    response = requests.Response()
    response.headers["WWW-Authenticate"] = header
    assert registry._challenge(response).get("realm") == realm


def test_a_hiccup_is_tried_again(before: Front) -> None:
    before.hiccups = 2
    assert resolved(before.host, "tests/fronted:1.0").digest.startswith("sha256:")
    before.torn = True
    with pytest.raises(EngineError, match="cannot be reached"):
        resolved(before.host, "tests/fronted:1.0")


def test_a_check_tells_an_outage_from_a_fault(workspace: Workspace, before: Front) -> None:
    settings(workspace, before)
    path = workspace.submit("fronted", f"{before.host}/tests/fronted:1.0")
    before.tokens = (503, {}, b"")
    done = workspace.apb("check", str(path))
    assert done.returncode == 3
    assert "token service" in done.stderr and "IMAGE_" not in done.stdout + done.stderr


# --- what is permanent -----------------------------------------------------------------------------------------------


def test_layers_that_no_engine_unpacks_are_the_submissions_fault(
    registry: LocalRegistry, engine: docker.DockerClient
) -> None:
    own = Handmade(registry, "tests/layers")
    one, zstd = layer("one"), bytes.fromhex("28b52ffd") + b"x" * 40
    own.image("most", [one] * 125)
    own.image("good", [one])
    own.image("plain", [gzip.decompress(one)], kind=f"{OCI}.layer.v1.tar")
    before = {
        "too-many": own.image("too-many", [one] * 126),
        "zstd": own.image("zstd", [one, zstd], kind=f"{OCI}.layer.v1.tar+zstd"),
        "docker-zstd": own.image("docker-zstd", [zstd], kind="application/vnd.docker.image.rootfs.diff.tar.zstd"),
        "zstd-by-content": own.image("zstd-by-content", [one, zstd], kind=GZIP),
        "no-layer": own.image("no-layer", [one], kind="application/vnd.in-toto+json"),
        "undescribed": own.image("undescribed", [one], contents=[]),
    }
    wrong = f"sha256:{'0' * 64}"
    unpacking = {
        "other-content": own.image("other-content", [one], contents=[wrong]),
        "no-tar": own.image("no-tar", [gzip.compress(b"not even a tar" * 100, mtime=0)]),
        "cut": own.image("cut", [layer("cut")[:-12]]),
        "checksum": own.image("checksum", [layer("checksum")[:-8] + b"12345678"]),
    }
    allowed = Settings(insecure_registries=(registry.host,))
    for good in ("most", "good", "plain"):
        assert code_of(registry.host, f"tests/layers:{good}") == ""
    for tag in before:
        assert code_of(registry.host, f"tests/layers:{tag}") == "IMAGE_LAYERS", tag
    for tag in unpacking:
        assert code_of(registry.host, f"tests/layers:{tag}") == ""  # it takes an engine to see that
        with pytest.raises(SubmissionError) as caught:
            images.ensure(resolved(registry.host, f"tests/layers:{tag}"), allowed, engine)
        assert caught.value.code == "IMAGE_LAYERS", tag


def test_an_image_with_a_part_missing_is_the_submissions_fault(registry: LocalRegistry) -> None:
    own = Handmade(registry, "tests/parts")
    lost = layer("lost")
    own.image("layer", [layer("kept"), lost])
    index = own.image("child", [layer("kept")])
    own.index("index", {**index, "platform": {"os": "linux", "architecture": "amd64"}})
    requests.delete(f"{own.base}/blobs/{own.blob(lost)['digest']}", timeout=10).raise_for_status()
    assert code_of(registry.host, "tests/parts:layer") == "IMAGE_INCOMPLETE"
    requests.delete(f"{own.base}/manifests/{index['digest']}", timeout=10).raise_for_status()
    assert code_of(registry.host, "tests/parts:index") == "IMAGE_INCOMPLETE"


# --- which of several ------------------------------------------------------------------------------------------------

PLAIN = {"os": "linux", "architecture": "amd64"}
ARM = {"os": "linux", "architecture": "arm64", "variant": "v8"}
NEITHER = {"os": "unknown", "architecture": "unknown"}


def of(variant: str) -> dict[str, str]:
    return {**PLAIN, "variant": variant}


@pytest.mark.parametrize(
    ("entries", "taken"),
    [
        ([PLAIN, of("v3")], 0),
        ([of("v3"), PLAIN], 1),
        ([of("v2"), of("v4"), PLAIN, of("v3")], 2),
        ([PLAIN, PLAIN], 0),
        ([of("v1"), PLAIN], 0),
        ([ARM, {**PLAIN, "architecture": "x86_64"}], 1),
        ([NEITHER, ARM, PLAIN, NEITHER], 2),
        ([of("v3")], None),
        ([ARM, NEITHER], None),
        ([{}], None),
    ],
)
def test_of_several_variants_the_engines_choice_is_taken(
    registry: LocalRegistry, engine: docker.DockerClient, entries: list[dict[str, str]], taken: int | None
) -> None:
    own = Handmade(registry, "tests/variants")
    there = [own.image(f"of-{k}", [layer(f"of-{k}")]) for k in range(len(entries))]
    own.index("all", *({**one, "platform": platform} for one, platform in zip(there, entries, strict=True)))
    name = own.reference("all")
    if taken is None:
        assert code_of(registry.host, "tests/variants:all") == "IMAGE_PLATFORM"
        with pytest.raises(docker.errors.APIError):
            engine.images.pull(name, platform="linux/amd64")
        return
    assert resolved(registry.host, "tests/variants:all").digest == there[taken]["digest"]
    theirs = engine.images.pull(name, platform="linux/amd64")
    headers = {"Accept": there[taken]["mediaType"]}
    manifest = requests.get(f"{own.base}/manifests/{there[taken]['digest']}", headers=headers, timeout=10).json()
    engine.images.remove(name)
    assert theirs.id == manifest["config"]["digest"]


def test_a_configurations_own_variant_counts(registry: LocalRegistry, engine: docker.DockerClient) -> None:
    own = Handmade(registry, "tests/own-variant")
    fast = own.image("fast", [layer("fast")], variant="v3")
    own.image("plainest", [layer("plainest")], variant="v1")
    own.index("hidden", {**fast, "platform": PLAIN})
    assert code_of(registry.host, "tests/own-variant:fast") == "IMAGE_PLATFORM"
    assert code_of(registry.host, "tests/own-variant:hidden") == "IMAGE_PLATFORM"
    assert code_of(registry.host, "tests/own-variant:plainest") == ""
    local = engine.images.pull(own.reference("fast"))
    try:  # an image that is only in the engine
        with pytest.raises(SubmissionError, match="linux/amd64/v3"):
            images.ensure(Image("local", str(local.id), None), Settings(), engine)
    finally:
        engine.images.remove(own.reference("fast"))


# --- rounds ----------------------------------------------------------------------------------------------------------


@dataclass
class Benchmark:
    """A benchmark whose rounds are made in this process."""

    workspace: Workspace

    def round(self, *, force: bool = False) -> Summary:
        root = self.workspace.root
        job = Job(
            Repository(root), root / "test_data", root / "submissions", Results(self.workspace.results),
            State(self.workspace.state), track_ids=["smoke"], force=force,
        )  # fmt: skip
        return rounds.evaluate(job, ProgressLines(), Here(job, 1))

    def record(self, name: str) -> Path:
        return self.workspace.results / name / "smoke.json"

    def told(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.record(name).read_text())
        return found


def test_an_outage_never_touches_a_good_record(
    workspace: Workspace, build: Build, engine: docker.DockerClient, registry: LocalRegistry
) -> None:
    push(engine, build("steady", HONEST), f"{registry.host}/tests/steady:1.0")
    benchmark = Benchmark(workspace)
    with front(registry) as before:
        settings(workspace, before)
        workspace.submit("steady", f"{before.host}/tests/steady:1.0")
        assert benchmark.round().scored == ["steady on smoke"]
        good = benchmark.record("steady").read_bytes()
        chain = (workspace.results / "chain.jsonl").read_bytes()
        before.tokens = (503, {}, b"")
        summary = benchmark.round(force=True)
        assert summary.exit_code == 3 and "token service" in summary.ours["steady on smoke"]
        before.tokens = (200, {}, b'{"token": "anybody"}')
        before.rules["/manifests/"] = refusal("MANIFEST_UNKNOWN", 404)
        summary = benchmark.round(force=True)
        assert summary.exit_code == 3 and not summary.failed
        assert "has passed before" in summary.ours["steady on smoke"]
        before.rules["/manifests/"] = refusal("DENIED", 403)
        (workspace.results / "steady" / "image.lock").unlink()  # nor where the reference must be resolved anew
        summary = benchmark.round(force=True)
        assert summary.exit_code == 3 and "IMAGE_NOT_PUBLIC" in summary.ours["steady"]
        assert benchmark.record("steady").read_bytes() == good
        assert (workspace.results / "chain.jsonl").read_bytes() == chain


def test_what_passed_a_check_is_given_three_rounds(
    workspace: Workspace, build: Build, engine: docker.DockerClient, registry: LocalRegistry
) -> None:
    push(engine, build("vanishing", HONEST), f"{registry.host}/tests/vanishing:1.0")
    benchmark = Benchmark(workspace)
    with front(registry) as before:
        settings(workspace, before)
        path = workspace.submit("vanishing", f"{before.host}/tests/vanishing:1.0")
        assert workspace.apb("check", str(path)).returncode == 0
        lock = json.loads((workspace.results / "vanishing" / "image.lock").read_text())
        engine.images.remove(lock["pull"])
        before.rules["/manifests/"] = refusal("MANIFEST_UNKNOWN", 404)
        for _ in range(3):
            assert benchmark.round().exit_code == 3
            assert not benchmark.record("vanishing").exists()
        assert benchmark.round().failed == {"vanishing on smoke": "IMAGE_NOT_FOUND"}
        first = benchmark.record("vanishing").read_bytes()
        again = benchmark.round()  # a registry is asked again, and nothing is written twice
        assert (again.unchanged, again.exit_code) == (["vanishing on smoke"], 0)
        assert benchmark.record("vanishing").read_bytes() == first
        links = (workspace.results / "chain.jsonl").read_text().splitlines()
        assert sum("vanishing/smoke.json" in link for link in links) == 1
        before.rules.clear()
        assert benchmark.round().scored == ["vanishing on smoke"]


def _dangling(target: str) -> bytes:
    """A layer whose hard link leads nowhere, which engines tell with the target's name."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        member = tarfile.TarInfo("link")
        member.type, member.linkname = tarfile.LNKTYPE, target
        tar.addfile(member)
    return gzip.compress(buffer.getvalue(), mtime=0)


def test_one_entry_cannot_keep_the_job_red_for_ever(
    workspace: Workspace, build: Build, engine: docker.DockerClient, registry: LocalRegistry
) -> None:
    own = Handmade(registry, "tests/stubborn")
    own.image("1.0", [_dangling("\x1b[31mred\u202e")])
    settings(workspace, registry)
    workspace.submit("honest", build("stubborn-honest", HONEST))
    workspace.submit("stubborn", own.reference("1.0"))
    benchmark = Benchmark(workspace)
    for _ in range(3):
        summary = benchmark.round()
        assert summary.exit_code == 3
        assert set(summary.ours) == {"stubborn on smoke"}
    summary = benchmark.round()
    assert (summary.exit_code, summary.ours) == (0, {})
    assert summary.unchanged == ["honest on smoke"]
    why = summary.unrunnable["stubborn on smoke"]
    assert "unrunnable here in 4 rounds" in why and "could not be pulled" in why and "no such file" in why
    assert "\x1b" not in why and "\u202e" not in why
    assert not benchmark.record("stubborn").exists()
    assert "Unrunnable here" in summary.as_markdown() and "1 unrunnable here" in str(summary)
    done = workspace.evaluate("honest", "--json")
    assert (done.returncode, json.loads(done.stdout)["unrunnable"]) == (0, {})
    own.image("2.0", [layer("mended")])  # a new image is a new beginning
    workspace.submit("stubborn", own.reference("2.0"))
    assert set(benchmark.round().failed) == {"stubborn on smoke"}


def test_a_machine_that_lacks_something_stays_a_failure(
    workspace: Workspace, registry: LocalRegistry, engine: docker.DockerClient
) -> None:
    own = Handmade(registry, "tests/roomy")
    own.image("1.0", [layer("roomy")])
    settings(workspace, registry, keep_free_gb=10**6)
    workspace.submit("roomy", own.reference("1.0"))
    for _ in range(5):
        assert Benchmark(workspace).round().exit_code == 3


def test_what_was_checked_is_locked_during_an_outage(workspace: Workspace, before: Front) -> None:
    settings(workspace, before)
    workspace.submit("merged", f"{before.host}/tests/fronted:1.0")
    digest = resolved(before.host, "tests/fronted:1.0").digest
    before.tokens = (503, {}, b"")
    assert lock_merged(Repository(workspace.root), "merged").startswith("not locked")
    assert lock_merged(Repository(workspace.root), "merged", digest) == f"locked {digest}"
    pull = f"{before.host}/tests/fronted@{digest}"
    expected = Lock(reference=f"{before.host}/tests/fronted:1.0", digest=digest, pull=pull, checked=True)
    assert Results(workspace.results).lock("merged", f"{before.host}/tests/fronted:1.0") == expected
