"""What a packed file system says of packages, interpreters and files, from archives that are made here."""

from __future__ import annotations

import hashlib
import io
import tarfile
import time

from hypothesis import given, settings
from hypothesis import strategies as st

from evaluator.contract.observed import Contents, File
from evaluator.running import contents as module

SITE = "usr/local/lib/python3.12/site-packages"
OF = "Name: {}\nVersion: {}\n"
Links = dict[str, tuple[bytes, str]]


def read(files: dict[str, str | bytes], *wanted: str, links: Links | None = None, hidden: str = "data/") -> Contents:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        for name, (kind, target) in (links or {}).items():
            link = tarfile.TarInfo(name)
            link.type, link.linkname = kind, target
            archive.addfile(link)
        for name, text in files.items():
            content = text.encode() if isinstance(text, str) else text
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return module._read(module._Stream(iter([stream.getvalue()]), 1e9), wanted, (hidden,))


def packages(files: dict[str, str | bytes]) -> dict[str, set[str]]:
    return {name: set(versions) for name, versions in read(files).packages.items()}


def test_packages_are_found_wherever_importlib_finds_them() -> None:
    assert packages(
        {
            f"{SITE}/a-1.dist-info/METADATA": OF.format("a", 1),
            f"{SITE}/b-1.egg-info/PKG-INFO": OF.format("b", 1),
            f"{SITE}/c-1-py3.12.egg/EGG-INFO/PKG-INFO": OF.format("c", 1),
            f"{SITE}/d-1.egg-info": OF.format("d", 1),
            "usr/lib/python3/dist-packages/mercurial-6.3.2.egg-info": OF.format("mercurial", "6.3.2"),
            "usr/lib/python3/dist-packages/e-1.egg-info/PKG-INFO": OF.format("e", 1),
            "app/docs/METADATA": OF.format("f", 1),
        }
    ) == {name: {"1"} for name in "abcde"}


def test_a_folder_of_any_name_hides_no_package() -> None:
    name = "torch-1.dist-info/METADATA"
    for folder in (f"{SITE}/pip/_vendor", "usr/lib/python3/dist-packages/setuptools/_vendor"):
        assert packages({f"{folder}/{name}": OF.format("torch", 1)}) == {}, folder
    for folder in (f"{SITE}/_vendor", "app/_vendor", "opt/a/_vendor", f"{SITE}/a/_vendor/lib/site-packages"):
        assert packages({f"{folder}/{name}": OF.format("torch", 1)}) == {"torch": {"1"}}, folder


def test_of_two_names_the_first_counts_as_for_everybody_else() -> None:
    twice = "Name: torch\nVersion: 1.0\nName: numpy\nVersion: 2.0\n"
    assert packages({f"{SITE}/x.dist-info/METADATA": twice}) == {"torch": {"1.0"}}
    small = "metadata-version: 2.1\r\nname: torch\r\nversion: 1.0\r\n\r\nName: numpy\r\n"
    assert packages({f"{SITE}/x.dist-info/METADATA": small}) == {"torch": {"1.0"}}
    for bad in (
        "Version: 1\n",
        "Name: \x1b[31mred\nVersion: 1\n",
        "Name: a b\nVersion: 1\n",
        "\nName: a\nVersion: 1\n",
    ):
        assert packages({f"{SITE}/x.dist-info/METADATA": bad}) == {}


@settings(deadline=None, max_examples=100)
@given(st.binary(max_size=300))
def test_any_metadata_name_a_package_or_none(content: bytes) -> None:
    begun = time.process_time()
    found = read({f"{SITE}/x.dist-info/METADATA": b"Name: a\n" + content, f"{SITE}/y.dist-info/METADATA": content})
    assert all(name.isprintable() for name in found.packages) and time.process_time() - begun < 1


def test_the_python_is_that_of_the_packages_where_it_can_be_told() -> None:
    site, system = {f"{SITE}/a-1.dist-info/METADATA": OF.format("a", 1)}, {"usr/lib/python3.11/os.py": "x"}
    here: dict[str, str | bytes] = {**site, "usr/local/lib/python3.12/os.py": "x"}
    assert read(here).pythons == {"3.12"}
    assert read({**here, **system}).pythons == {"3.12"}
    elsewhere = {"usr/lib/python3/dist-packages/b-1.dist-info/METADATA": OF.format("b", 1)}
    assert read({**here, **system, **elsewhere}).pythons == {"3.11", "3.12"}
    assert read({"x/lib/python2.7/site-packages/a-1.dist-info/METADATA": OF.format("a", 1), **system}).pythons == {
        "2.7", "3.11",
    }  # fmt: skip
    assert read({"app/a-1.dist-info/METADATA": OF.format("a", 1)}).pythons == frozenset()


def test_what_was_not_looked_at_is_told_from_what_is_not_there() -> None:
    links = {"app": (tarfile.SYMTYPE, "srv/app"), "bin/x": (tarfile.LNKTYPE, "bin/y"), "y/z": (tarfile.SYMTYPE, "w")}
    wanted = ("/app/lock.txt", "/bin/x", "/data/x", "/y/a", "/srv/app/lock.txt")
    found = read({"srv/app/lock.txt": "a==1", "data/x": "y", "bin/y": "y"}, *wanted, links=links)
    assert found.unread.keys() == {"/app/lock.txt", "/bin/x", "/data/x"} and "links are not" in found.unread["/bin/x"]
    assert [found.files[path] for path in ("/app/lock.txt", "/bin/x", "/data/x", "/y/a")] == [None] * 4
    assert found.files["/srv/app/lock.txt"] == File(hashlib.sha256(b"a==1").hexdigest(), b"a==1")


def test_a_long_file_is_known_to_be_longer_than_what_was_kept_of_it() -> None:
    for size in (module.HEAD, module.HEAD + 1):
        file = read({"x": b"x" * size}, "/x").files["/x"]
        assert file is not None and len(file.head) == module.HEAD and file.truncated == (size > module.HEAD)
