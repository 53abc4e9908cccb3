"""What runs need on this machine for a while: their inputs, and notes of the images that were pulled for them.

<folder>/runs/       inputs of runs in progress
<folder>/pulled/     one file per image that was pulled and not yet removed
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

FETCH_EVERY = 0.2
"""Seconds between two tries to be the one who fetches."""


class Scratch:
    """A folder on a local disk, since the engine must be able to mount what lies in it.

    Args:
        folder: usually the one of the private state; several processes may share it.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder.resolve()

    def clear(self) -> None:
        """Delete all inputs of runs: for whoever has the folder alone."""
        shutil.rmtree(self.folder / "runs", ignore_errors=True)

    @contextmanager
    def input_folder(self, files: Mapping[str, bytes]) -> Iterator[Path]:
        """A folder with these files in it, by name, readable by the container's user, gone afterwards."""
        parent = self.folder / "runs"
        parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        run = Path(tempfile.mkdtemp(dir=parent, prefix=f"{os.getpid()}."))
        try:
            data = run / "data"
            data.mkdir()
            data.chmod(0o755)
            for name, content in files.items():
                (data / name).write_bytes(content)
                (data / name).chmod(0o444)
            yield data
        finally:
            shutil.rmtree(run, ignore_errors=True)

    def sweep(self) -> None:
        """Delete inputs of runs whose process is gone, where several processes share the folder."""
        for path in (self.folder / "runs").glob("*.*"):
            if not Path("/proc", path.name.partition(".")[0]).exists():
                shutil.rmtree(path, ignore_errors=True)

    def pulled(self) -> list[str]:
        """Images pulled for evaluations and not yet removed, longest unused first."""
        found = {}
        for path in (self.folder / "pulled").glob("*"):
            with suppress(FileNotFoundError):  # just given up by another process
                found[path.read_text(encoding="utf-8")] = path.stat().st_mtime
        return sorted(filter(None, found), key=lambda name: found[name])

    @contextmanager
    def using(self, name: str) -> Iterator[None]:
        """Note that an image is pulled and in use: whoever needs room, in whatever process, lets it be meanwhile."""
        path = self._pulled(name)
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        while True:
            with path.open("a", encoding="utf-8") as marker:
                fcntl.flock(marker, fcntl.LOCK_SH)
                if not _is_at(marker, path):  # given up between the two lines above
                    continue
                path.write_text(name, encoding="utf-8")
                yield
                return

    @contextmanager
    def fetching(self, stop: threading.Event) -> Iterator[bool]:
        """Hold what only one process at a time may do: bring an image here; False when told to stop meanwhile."""
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        with (self.folder / "fetching").open("a") as lock:
            while not stop.is_set():
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    stop.wait(FETCH_EVERY)
                    continue
                yield True
                return
        yield False

    def give_up(self, name: str, discard: Callable[[str], bool]) -> None:
        """Discard an image that was pulled, unless somebody is using it."""
        with suppress(FileNotFoundError), self._pulled(name).open(encoding="utf-8") as marker:
            try:
                fcntl.flock(marker, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return
            if _is_at(marker, self._pulled(name)) and discard(name):
                self._pulled(name).unlink(missing_ok=True)

    def _pulled(self, name: str) -> Path:
        return self.folder / "pulled" / hashlib.sha256(name.encode()).hexdigest()


def _is_at(stream: IO[str], path: Path) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(stream.fileno()))
    except FileNotFoundError:
        return False
