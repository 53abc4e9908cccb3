"""Whether an image's packages are those of a lock file: markers, editable folders, and what is no lock file at all."""

from __future__ import annotations

import time
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evaluator.contract import tracks
from evaluator.contract.observed import Contents, File, Held, Observed
from evaluator.contract.submissions import Submission
from evaluator.integrity import locks
from evaluator.integrity.card import held
from tests.conftest import ROOT

TRACKS = tracks.load_all(ROOT / "test_data" / "tracks")

LOCK = b"""
# by a tool
--index-url https://example.org/simple
numpy==2.1.0 \\
    --hash=sha256:0123 \\
    --hash=sha256:4567
Torch_Vision==1.0+cpu ; python_version >= "3.8"  # via x
colorama==0.4.6 ; sys_platform == "win32"
"""
INSTALLED = {"numpy": frozenset({"2.1.0"}), "torch-vision": frozenset({"1.0+cpu"}), "pip": frozenset({"24.0"})}


def test_packages_as_locked_differ_in_nothing() -> None:
    assert locks.compare(locks.read(LOCK), INSTALLED, {"3.12"}) == locks.Compared([], [], same=2)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"numpy": {"2.1.1"}}, "numpy is 2.1.1 in the image and ==2.1.0 in the lock file"),
        ({"numpy": set()}, "numpy is locked and not in the image"),
        ({"numpy": {"2.1.0", "1.0"}}, "numpy is 1.0 in the image"),
        ({"numpy": {"not a version"}}, "numpy is not a version"),
        ({"backdoor": {"1.0"}}, "backdoor 1.0 is in the image and not locked"),
        ({"colorama": {"0.4.5"}}, "colorama is 0.4.5"),
    ],
)
def test_what_is_not_as_locked_is_told(change: dict[str, set[str]], told: str) -> None:
    installed = {**INSTALLED, **{name: frozenset(versions) for name, versions in change.items()}}
    there = {name: versions for name, versions in installed.items() if versions}
    [line] = locks.compare(locks.read(LOCK), there, {"3.12"}).wrong
    assert line.startswith(told)


@pytest.mark.parametrize(
    "content",
    [b"", b"# nothing", b"numpy", b"numpy>=2", b"numpy==2.*", b"numpy==1,==2", b"-r other.txt", b"\xff", b"<html>",
     b"numpy @ https://evil.org/x.whl", b"x" * 5000, b"a==1\n" * 20_001, b"[" * 900, b"a[" + b"b," * 400],
)  # fmt: skip
def test_what_locks_nothing_is_no_lock_file(content: bytes) -> None:
    begun = time.process_time()
    with pytest.raises(locks.NoLockError):
        locks.read(content)
    assert time.process_time() - begun < 1


@settings(deadline=None, max_examples=100)
@given(st.binary(max_size=200) | st.text(max_size=200).map(lambda text: text.encode("utf-8", "surrogatepass")))
def test_any_bytes_are_a_lock_file_or_none(content: bytes) -> None:
    with suppress(locks.NoLockError):
        locks.compare(locks.read(content), INSTALLED, {"3.12"})


def software(lock: str | bytes, installed: dict[str, str], *pythons: str, truncated: bool = False) -> Held:
    """What becomes of a card with a lock file, in an image with these packages."""
    content = lock.encode() if isinstance(lock, str) else lock
    stated = {"card": 1, "software": {"status": "yes", "lock_file": "/lock.txt", "sha256": "0" * 64}}
    packages = {name: frozenset(versions.split()) for name, versions in installed.items()}
    files = {"/lock.txt": File("0" * 64, content, truncated)}
    entry = Submission.model_validate(
        {"id": "my-model", "name": "x", "author": "x", "docker_image": "docker.io/a/b:1", "reproducibility": stated}
    )
    seen = Observed(contents=Contents(packages, files, pythons=frozenset(pythons)))
    return held(entry, TRACKS.values(), seen)["software"]


OLD_OR_NEW = 'torch==1.0 ; python_version < "3"\ntorch==2.5 ; python_version >= "3"\n'
FULL = 'numpy==1.0 ; python_full_version < "3.12.4"\n'


@pytest.mark.parametrize(
    ("lock", "installed", "pythons", "expected", "told"),
    [
        (OLD_OR_NEW, {"torch": "2.5"}, ["3.12"], "verified", ""),
        (OLD_OR_NEW, {"torch": "1.0"}, ["3.12"], "contradicted", "torch is 1.0 in the image and ==2.5"),
        (OLD_OR_NEW, {"torch": "1.0"}, [], "declared", "torch is 1.0 in the image, and whether it should be"),
        (OLD_OR_NEW, {"torch": "2.5"}, ["2.7", "3.12"], "declared", "its marker does not tell here"),
        (OLD_OR_NEW, {"torch": "2.5"}, ["3.11", "3.12"], "verified", ""),
        ('numpy==1.26.4 ; sys_platform == "win32"', {"pip": "24.0"}, ["3.12"], "declared", "no package that it names"),
        ('numpy==1.26.4 ; sys_platform == "win32"', {"numpy": "1.26.4"}, ["3.12"], "contradicted", "other systems"),
        ('numpy==1.26.4 ; platform_release > "5"', {"numpy": "1.26.4"}, ["3.12"], "declared", "its marker"),
        ('numpy==1.26.4 ; extra == "x"', {"numpy": "1.26.4"}, ["3.12"], "contradicted", "other systems alone"),
        (FULL, {"numpy": "1.0"}, ["3.12"], "declared", "its marker"),
        (FULL, {"numpy": "1.0"}, ["3.11"], "verified", ""),
        ("pip==24.0", {"pip": "24.0"}, ["3.12"], "declared", "no package that it names"),
        ("numpy==1.0\nnumpy==2.0", {"numpy": "2.0"}, ["3.12"], "contradicted", "locked to ==1.0 or ==2.0 at once"),
        ("numpy==1.0", {}, ["3.12"], "declared", "no Python packages"),
        ("-e .\nnumpy==1.0", {"numpy": "1.0"}, ["3.12"], "verified", ""),
        ("-e .\nnumpy==1.0", {"numpy": "1.0", "mine": "0.1"}, ["3.12"], "declared", "mine 0.1 is in the image"),
        ("-e .\nnumpy==1.0", {"numpy": "1.0", "a": "1", "b": "1"}, ["3.12"], "contradicted", "a 1 is in the image"),
    ],
)  # fmt: skip
def test_markers_are_those_of_the_image(
    lock: str, installed: dict[str, str], pythons: list[str], expected: str, told: str
) -> None:
    found = software(lock, installed, *pythons)
    assert found.outcome == expected and told in found.detail, found


@pytest.mark.parametrize(
    "line", ["-i https://pypi.org/simple", "-f https://a.org/wheels", "--no-index", "--extra-index-url=https://a.org"]
)
def test_options_name_no_package(line: str) -> None:
    for lock in (f"{line}\nnumpy==1.0\n".encode(), f"\ufeff{line}\nnumpy==1.0\n".encode()):
        assert software(lock, {"numpy": "1.0"}, "3.12").outcome == "verified"


def test_a_lock_file_that_was_not_read_to_its_end_is_not_contradicted() -> None:
    found = software("numpy==1.0\nto", {"numpy": "1.0", "torch": "2.5"}, "3.12", truncated=True)
    assert found.outcome == "declared" and "only its beginning was read" in found.detail


MARKER = st.sampled_from(["python_version", "os_name", "extra", "platform_release", "extras", "implementation_version"])


@settings(deadline=None, max_examples=100)
@given(MARKER, st.sampled_from(["<", "==", "in", "not in", "~=", "==="]), st.text("3.12a*x ", max_size=5))
def test_any_marker_applies_or_not_or_is_not_known(name: str, how: str, value: str) -> None:
    with suppress(locks.NoLockError):
        locks.compare(locks.read(f'numpy==1.0 ; {name} {how} "{value}"'.encode()), INSTALLED, {"3.12"})


def test_markers_of_a_whole_file_take_little_time() -> None:
    lines = (f'a{k}==1 ; python_version >= "3.{k % 20}" and os_name != "{k}"\n' for k in range(15_000))
    locked, begun = locks.read("".join(lines).encode()), time.process_time()
    locks.compare(locked, INSTALLED, {"3.10", "3.11", "3.12"})
    assert time.process_time() - begun < 10
