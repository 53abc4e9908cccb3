"""Published sources: downloaded where that is allowed, held against their hashes, and ready for apb prepare."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from evaluator.errors import EngineError, EvaluatorError
from evaluator.preparing import public_web
from evaluator.preparing.download import download
from tests.conftest import REAL_DATA, Workspace
from tests.support.web import Quiet


@pytest.fixture
def mirror(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    folder = tmp_path / "mirror"
    folder.mkdir()
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}", folder
    server.shutdown()


@pytest.mark.skipif(not REAL_DATA.is_dir(), reason="the real data are not at hand")
def test_a_fetched_source_is_prepared(workspace: Workspace, mirror: tuple[str, Path]) -> None:
    url, folder = mirror
    name = "low_throughput_polyspecificity_scores_w_exp.csv"
    (folder / name).write_bytes((REAL_DATA / "source" / name).read_bytes())
    done = workspace.apb("fetch", "vhh48", "--to", "downloads", "--mirror", url)
    assert done.returncode == 0, done.stderr
    assert "licence: MIT" in done.stdout
    done = workspace.apb("prepare", "vhh48", "--from", "downloads", "--hidden", "hidden")
    assert done.returncode == 0, done.stderr
    (folder / name).unlink()
    assert workspace.apb("fetch", "vhh48", "--to", "downloads", "--mirror", url).returncode == 0  # it is there already


def test_another_file_is_refused_and_not_written(workspace: Workspace, mirror: tuple[str, Path]) -> None:
    url, folder = mirror
    for name in ("high", "low"):
        (folder / f"{name}_polyreactivity_high_throughput.csv").write_text("evil")
    done = workspace.apb("fetch", "harvey", "--to", "downloads", "--mirror", url)
    assert done.returncode == 3
    assert "is not the published file" in done.stderr
    assert not (workspace.root / "downloads").exists()


def test_a_source_out_of_reach_is_nobodys_fault_but_ours(workspace: Workspace) -> None:
    done = workspace.apb("fetch", "harvey", "--to", "downloads", "--mirror", "http://127.0.0.1:9")
    assert done.returncode == 3 and "cannot be downloaded" in done.stderr


@pytest.mark.parametrize("track", ["jain", "shehata"])
def test_without_a_licence_it_says_where_to_ask(workspace: Workspace, track: str) -> None:
    done = workspace.apb("fetch", track, "--to", "downloads")
    assert done.returncode == 2 and "doi 10.1" in done.stderr


def test_an_unknown_track_is_told(workspace: Workspace) -> None:
    done = workspace.apb("fetch", "nothing", "--to", "downloads")
    assert done.returncode == 2 and "vhh48" in done.stderr


@pytest.fixture
def sends_on() -> Iterator[tuple[str, list[str]]]:
    """An address that sends on to wherever its path says, and whom it was asked as."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.headers["Host"].partition(":")[0])
            self.send_response(302 if len(self.path) > 1 else 200)
            self.send_header("Location", self.path[1:].replace("HERE", str(server.server_port)))
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("0.0.0.0", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/", asked
    server.shutdown()


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "10.1.2.3",
        "192.168.0.1",
        "169.254.169.254",
        "100.64.0.1",
        "0.0.0.0",
        "224.0.0.1",
        "::1",
        "fe80::1%eth0",
        "fd00::1",
        "::ffff:127.0.0.1",
        "::ffff:10.0.0.1",
        "64:ff9b::7f00:1",
        "2002:7f00:1::",
    ],
)
def test_what_is_not_the_public_internet(address: str) -> None:
    assert not public_web.is_public(address)


def test_what_is_the_public_internet() -> None:
    for address in ("140.82.121.4", "2606:4700::1111", "::ffff:140.82.121.4"):
        assert public_web.is_public(address)


def test_a_strangers_address_reaches_no_private_network(sends_on: tuple[str, list[str]]) -> None:
    url, asked = sends_on
    for named in (url, url.replace("127.0.0.1", "localhost")):
        with pytest.raises(EvaluatorError, match="not of the public internet"):
            download(named, web=public_web.session("http"))
    with pytest.raises(EvaluatorError, match="No connection adapters"):
        download(url, web=public_web.session())
    assert not asked


@pytest.mark.parametrize(
    ("to", "why"),
    [
        ("http://127.0.0.2:HERE/", "not of the public internet"),
        ("ftp://127.0.0.1/train.csv", "No connection adapters"),
        ("file:///etc/passwd", "No connection adapters"),
        ("/" + "/".join(["http://127.0.0.1:HERE"] * 9), "Exceeded 5 redirects"),
    ],
)
def test_nor_does_what_it_sends_on_to(sends_on: tuple[str, list[str]], to: str, why: str) -> None:
    url, asked = sends_on

    def here(address: str) -> bool:
        return address == "127.0.0.1"

    with pytest.raises(EvaluatorError, match=why):
        download(url + to, web=public_web.session("http", here))
    assert set(asked) == {"127.0.0.1"}


def test_a_host_without_an_address_is_no_refusal() -> None:
    with pytest.raises(EngineError, match="cannot be downloaded"):
        download("https://nowhere.invalid/train.csv", web=public_web.session())
