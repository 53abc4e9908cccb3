"""Published sources: downloaded where that is allowed, held against their hashes, and ready for apb prepare."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from functools import partial
from http.server import ThreadingHTTPServer
from pathlib import Path

import pytest

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
