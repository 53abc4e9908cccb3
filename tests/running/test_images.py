"""Image references: one name for one image, and nothing outside the allow-list."""

from __future__ import annotations

import re
import time
import unicodedata

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from evaluator.contract.references import Reference, parse
from evaluator.errors import SubmissionError
from evaluator.running.images import require_allowed
from evaluator.settings import Settings

DIGEST = "sha256:" + "0123456789abcdef" * 4
ALLOWED = Settings()


def refusal(text: str) -> SubmissionError:
    """The refusal of a reference, by its grammar or by the allow-list: quick, and safe to print on a terminal."""
    start = time.process_time()
    with pytest.raises(SubmissionError) as caught:
        require_allowed(parse(text), ALLOWED)
    assert time.process_time() - start < 1
    assert inert(str(caught.value))
    assert len(str(caught.value)) < 1000
    return caught.value


def inert(message: str) -> bool:
    return all(unicodedata.category(c) not in {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"} for c in message)


# --- one name for one image ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "meaning"),
    [
        ("user/x:1", "docker.io/user/x:1"),
        ("x:1", "docker.io/library/x:1"),
        ("docker.io/x:1", "docker.io/library/x:1"),
        ("docker.io/library/x:1", "docker.io/library/x:1"),
        ("docker.io/user/x:1", "docker.io/user/x:1"),
        ("index.docker.io/user/x:1", "docker.io/user/x:1"),
        ("registry-1.docker.io/user/x:1", "docker.io/user/x:1"),
        ("index.docker.io/x:1", "docker.io/library/x:1"),
        ("ghcr.io/x:1", "ghcr.io/x:1"),
        ("GHCR.io/user/x:1", "ghcr.io/user/x:1"),
        ("ghcr.io:443/user/x:1", "ghcr.io:443/user/x:1"),
        ("localhost:5000/user/x:1", "localhost:5000/user/x:1"),
        ("localhost/x:1", "localhost/x:1"),
        ("user/x:V1.0-rc_1", "docker.io/user/x:V1.0-rc_1"),
        (f"user/x@{DIGEST}", f"docker.io/user/x@{DIGEST}"),
        (f"user/x:1@{DIGEST}", f"docker.io/user/x:1@{DIGEST}"),
        ("ghcr.io/a/b/c/d:1", "ghcr.io/a/b/c/d:1"),
        ("user/a.b_c__d--e:1", "docker.io/user/a.b_c__d--e:1"),
        ("user/x:" + "t" * 128, "docker.io/user/x:" + "t" * 128),
    ],
)
def test_reference_is_written_in_full(text: str, meaning: str) -> None:
    assert str(parse(text)) == meaning


def test_parts_of_a_reference() -> None:
    assert parse(f"localhost:5000/user/x:1@{DIGEST}") == Reference("localhost:5000", "user/x", "1", DIGEST)
    assert parse(f"user/x@{DIGEST}") == Reference("docker.io", "user/x", None, DIGEST)


# --- the benchmark's own images --------------------------------------------------------------------------------------


def test_own_images_are_local() -> None:
    reference = parse("apb/name:1.0")
    assert reference == Reference(None, "apb/name", "1.0", None)
    assert reference.local
    assert str(reference) == "apb/name:1.0"
    require_allowed(reference, ALLOWED)


@pytest.mark.parametrize(
    "text",
    [
        "docker.io/apb/name:1.0", "index.docker.io/apb/name:1.0", "ghcr.io/apb/name:1.0", "apb:1.0", "apbx/name:1.0",
        "x/apb/name:1.0", "apb.io/name:1.0", "apb:5000/name:1.0", "library/apb:1.0",
    ],
)  # fmt: skip
def test_strangers_images_are_never_local(text: str) -> None:
    reference = parse(text)
    assert not reference.local
    assert reference.registry is not None


# --- the allow-list --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("registry", ["docker.io", "ghcr.io", "quay.io", "public.ecr.aws", "registry.gitlab.com"])
def test_allowed_registries(registry: str) -> None:
    reference = parse(f"{registry}/group/sub/x:1")
    assert reference.registry == registry
    require_allowed(reference, ALLOWED)


@pytest.mark.parametrize(
    "text",
    [
        "docker.io.evil.com/x/y:1", "evil.com/docker.io/x:1", "xdocker.io/x:1", "docker.io-evil.com/x:1",
        "sub.docker.io/x:1", "docker.com/x:1", "ghcr.io.evil.com/x/y:1", "a.ghcr.io/x:1", "ghcr.io:444/x:1",
        "docker.io:80/x:1", "localhost/x:1", "localhost:5000/x:1", "LOCALHOST:5000/x:1", "127.0.0.1:5000/x:1",
        "127.0.0.1/x:1", "0.0.0.0/x:1", "169.254.169.254/x:1", "10.0.0.1:443/x:1", "2130706433.1/x:1",
        "registry.gitlab.com.evil.org/x:1", "public.ecr.aws.evil.org/x/y:1", "d0cker.io/x:1", "xn--dcker-jye.io/x:1",
    ],
)  # fmt: skip
def test_other_registries_are_refused(text: str) -> None:
    error = refusal(text)
    assert error.code == "IMAGE_REGISTRY"
    assert "docker.io, ghcr.io" in str(error)


def test_maintainers_list_decides() -> None:
    own = Settings(registries=("registry.lab.org",), insecure_registries=("localhost:5000",))
    require_allowed(parse("registry.lab.org/x:1"), own)
    require_allowed(parse("localhost:5000/x:1"), own)
    for text in ("user/x:1", "localhost:5001/x:1", "localhost/x:1"):
        with pytest.raises(SubmissionError) as caught:
            require_allowed(parse(text), own)
        assert caught.value.code == "IMAGE_REGISTRY"
        assert "registry.lab.org" in str(caught.value)


# --- what is no reference --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text", ["user/x", "x", "docker.io/user/x", "ghcr.io/user/x", "localhost:5000/user/x", "apb/x", "1.2.3.4/x"]
)
def test_reference_without_version_is_refused(text: str) -> None:
    error = refusal(text)
    assert error.code == "IMAGE_REFERENCE"
    assert "Add :tag" in str(error)


@pytest.mark.parametrize(
    "text",
    [
        "", " ", "/", ":", "@", ":1", "/x:1", "x:", "user/x:", f"@{DIGEST}", "user//x:1", "user/x/:1",
        "-x:1", "--help", "-v/x:1", "user/-x:1", "user/x:-1", "user/x:.1", "user/x-:1", "user/.x:1", "user/x___y:1",
        "User/x:1", "user/X:1", "docker.io/User/x:1", "APB/x:1", "ghcr.io/user/x@SHA256:" + "a" * 64,
        "user/x@sha256:abc", "user/x@sha256:" + "A" * 64, "user/x@sha256:" + "a" * 65, "user/x@sha512:" + "a" * 128,
        "user/x@md5:" + "a" * 32, f"user/x@{DIGEST}:1", f"user/x@{DIGEST}@{DIGEST}", "user/x:1:2",
        "../x:1", "./x:1", "user/../x:1", "docker.io/../x:1", "docker.io//x:1",
        "ghcr.io@evil/x", "ghcr.io@evil/x:1", "ghcr.io:443@evil.com/x:1", "user:pw@ghcr.io/x:1",
        "ghcr.io\\evil.com/x:1", "docker.io:\u0664\u0664\u0663/user/x:1",
        "https://docker.io/user/x:1", "docker://user/x:1", "docker.io?x/y:1", "docker.io#x/y:1", "docker.io%2fx/y:1",
        "docker.io./user/x:1", ".docker.io/user/x:1", "-docker.io/user/x:1", "docker.io:/user/x:1",
        "docker.io:123456/user/x:1", "docker.io:x/user/x:1", "[::1]/x:1", "[::1]:5000/x:1",
        "user/x:1 ", " user/x:1", "user/x :1", "user/x:1\n", "user/x:1\r\nHost: evil", "user/x:1\0", "user/x:1\t-v",
        "user/x:1;id", "user/x:$(id)", "user/x:`id`", "user/x:1&&id", "user/x:1|id", "user/x:{1,2}", "user/*:1",
        "d\u043ecker.io/user/x:1", "ghcr.\u0456o/user/x:1", "user/\u0445:1", "user/x:\u0661", "us\u0435r/x:1",
        "docker\uff0eio/user/x:1", "docker\u3002io/x:1", "docker.io\u2044user/x:1", "user/x:1\u202e", "user/x:\u212a",
        "\x1b[31muser/x:1", "user/x:\ud800",
    ],
)  # fmt: skip
def test_malformed_reference_is_refused(text: str) -> None:
    error = refusal(text)
    assert error.code == "IMAGE_REFERENCE"
    assert "docker.io/user/model:1.0" in str(error)


@pytest.mark.parametrize(
    "text",
    [
        "a" * 300 + ":1", "user/x:" + "t" * 129, "ghcr.io/" + "a/" * 150 + "x:1", "a" * 290 + ".docker.io/x:1",
        "a" * 10**6, "a-" * 10**6, "a." * 10**6 + "/x:1", "a/" * 10**6 + ":1", "x:" + "1" * 10**6, "-" * 10**6,
    ],
    ids=range(10),
)  # fmt: skip
def test_overlong_reference_is_refused_quickly(text: str) -> None:
    assert refusal(text).code == "IMAGE_REFERENCE"


# --- anything at all -------------------------------------------------------------------------------------------------

TOKENS = [
    "docker.io", "index.docker.io", "ghcr.io", "localhost", "apb", "library", "user", "x", "A", "-", "_", "__", ".",
    "/", ":", "@", ":1", ":5000", f"@{DIGEST}", "sha256:", " ", "\n", "\u043e", "\x1b",
]  # fmt: skip
TEXTS = st.lists(st.sampled_from(TOKENS), max_size=8).map("".join) | st.text(max_size=30)
VALID = st.from_regex(
    re.compile(r"([a-z]{1,5}(\.[a-z]{2,3}|:\d{1,4})/|localhost/)?([a-z0-9]{1,5}/){0,3}[a-z0-9]{1,5}:\w{1,5}", re.ASCII),
    fullmatch=True,
)


@settings(deadline=None, max_examples=1000)
@given(TEXTS | VALID)
@example(f"apb/x:1@{DIGEST}")
@example(f"apb/x@{DIGEST}")
@example("index.docker.io/index.docker.io/x:1")
@example("index.docker.io/localhost/x:1")
@example("docker.io/docker.io/x:1")
def test_any_text_is_refused_or_means_one_image(text: str) -> None:
    try:
        reference = parse(text)
    except SubmissionError as error:
        message, code = str(error), error.code
    else:
        full = str(reference)
        assert parse(full) == reference
        assert re.fullmatch(r"[a-z0-9][\x21-\x7e]*", full)
        assert reference.tag or reference.digest
        assert reference.local == full.startswith("apb/")
        return
    assert code == "IMAGE_REFERENCE"
    assert inert(message)


@settings(deadline=None, max_examples=300)
@given(VALID)
def test_only_listed_registries_pass(text: str) -> None:
    reference = parse(text)
    assert reference.registry is not None or text.startswith("apb/")
    if reference.registry in {None, *ALLOWED.registries}:
        require_allowed(reference, ALLOWED)
    else:
        with pytest.raises(SubmissionError) as caught:
            require_allowed(reference, ALLOWED)
        assert caught.value.code == "IMAGE_REGISTRY"


def test_longest_name_still_means_something_when_it_is_written_in_full() -> None:
    """A limit on what is typed must not make our own full spelling of it unreadable."""
    try:
        reference = parse("a" * 298 + ":1")
    except SubmissionError:
        return
    assert parse(str(reference)) == reference
