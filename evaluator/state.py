"""The maintainer's private state: what must be kept to score and compare again, and what must never be published.

<state>/predictions/<run key>.npz       score and prediction per row of the track's sequences.csv
<state>/logs/<submission>/<track>.log   what the container said; mode 0600, kept for some days
<state>/ledger.jsonl                    one line per attempt
<state>/pulled/                         one file per image that was pulled and not yet removed
<state>/runs/                           inputs of runs in progress
"""

from __future__ import annotations

import fcntl
import hashlib
import io
import json
import os
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from evaluator.errors import EvaluatorError
from evaluator.files import write_bytes

FETCH_EVERY = 0.2
"""Seconds between two tries to be the one who fetches."""


@dataclass(frozen=True, eq=False)
class Kept:
    """What one run predicted, in the order of the track's sequences.csv, and what it took.

    Attributes:
        score: [n] float64.
        prediction: [n] int8 0/1, or None on a regression track.
        seconds: wall-clock time.
        peak_memory: bytes; 0 where it was not seen.
        flags: what the consistency audit found.
    """

    score: npt.NDArray[np.float64]
    prediction: npt.NDArray[np.int8] | None
    seconds: float
    peak_memory: int
    flags: tuple[str, ...] = ()


class State:
    """One state folder, used by one `apb evaluate` at a time.

    Args:
        folder: usually `.apb`.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder.resolve()

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the state folder; what an earlier, killed process left half-done in it is removed.

        Raises:
            EvaluatorError: another process holds it.
        """
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        with (self.folder / "lock").open("a+") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                lock.seek(0)
                raise EvaluatorError(
                    f"Process {lock.read().strip() or '?'} is using {self.folder}.",
                    "Wait for it, or name another --state.",
                ) from None
            lock.truncate(0)
            lock.write(str(os.getpid()))
            lock.flush()
            shutil.rmtree(self.folder / "runs", ignore_errors=True)
            yield

    @contextmanager
    def input_folder(self, csv: bytes) -> Iterator[Path]:
        """A folder with sequences.csv in it, readable by the container's user, gone afterwards."""
        parent = self.folder / "runs"
        parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        run = Path(tempfile.mkdtemp(dir=parent, prefix=f"{os.getpid()}."))
        try:
            data = run / "data"
            data.mkdir()
            data.chmod(0o755)
            (data / "sequences.csv").write_bytes(csv)
            (data / "sequences.csv").chmod(0o444)
            yield data
        finally:
            shutil.rmtree(run, ignore_errors=True)

    def sweep(self) -> None:
        """Delete inputs of runs whose process is gone, where several processes share the folder."""
        for path in (self.folder / "runs").glob("*.*"):
            if not Path("/proc", path.name.partition(".")[0]).exists():
                shutil.rmtree(path, ignore_errors=True)

    def _predictions(self, run_key: str) -> Path:
        return self.folder / "predictions" / f"{run_key}.npz"

    def keep_predictions(self, run_key: str, kept: Kept) -> None:
        """Keep what a run predicted, so that it can be scored again without running it again."""
        arrays: dict[str, npt.NDArray[Any]] = {
            "score": kept.score,
            "measured": np.array([kept.seconds, kept.peak_memory], dtype=np.float64),
            "flags": np.array(kept.flags, dtype=np.str_),
        }
        if kept.prediction is not None:
            arrays["prediction"] = kept.prediction
        buffer = io.BytesIO()
        np.savez_compressed(buffer, allow_pickle=False, **arrays)
        write_bytes(self._predictions(run_key), buffer.getvalue(), mode=0o600)

    def keeps(self, run_key: str) -> bool:
        """Whether what a run predicted is kept."""
        return self._predictions(run_key).is_file()

    def predictions(self, run_key: str) -> Kept | None:
        """What a run predicted; None where it is not kept."""
        path = self._predictions(run_key)
        if not path.is_file():
            return None
        with np.load(path, allow_pickle=False) as arrays:
            seconds, peak_memory = arrays["measured"].tolist()
            return Kept(
                arrays["score"], arrays.get("prediction"), seconds, int(peak_memory), tuple(arrays["flags"].tolist())
            )

    def keep_log(self, submission: str, track: str, log: bytes) -> None:
        """Keep what a container said, for the maintainer's eyes only."""
        write_bytes(self.folder / "logs" / submission / f"{track}.log", log, mode=0o600)

    def drop_old_logs(self, days: int) -> None:
        """Delete logs older than `days`."""
        for path in (self.folder / "logs").glob("*/*.log"):
            if path.stat().st_mtime < time.time() - days * 86400:
                path.unlink(missing_ok=True)

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

    def note(self, **entry: object) -> None:
        """Add one line to the ledger of attempts."""
        line = json.dumps({"time": datetime.now(UTC).isoformat(timespec="seconds"), **entry}, sort_keys=True)
        with (self.folder / "ledger.jsonl").open("a", encoding="utf-8") as ledger:
            ledger.write(line + "\n")


def _is_at(stream: IO[str], path: Path) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(stream.fileno()))
    except FileNotFoundError:
        return False
