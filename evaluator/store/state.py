"""The maintainer's private state: what must be kept to score and compare again, and what must never be published.

<state>/predictions/<run key>.npz       score and prediction per row of the track's sequences.csv
<state>/logs/<submission>/<track>.log   what the container said; mode 0600, kept for some days
<state>/ledger.jsonl                    one line per attempt
"""

from __future__ import annotations

import fcntl
import io
import json
import os
import re
import shutil
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from evaluator.errors import EvaluatorError
from evaluator.files import append_line, whole_lines, write_bytes

DAY = 86400
PAUSE = 14
"""Days between two rounds that weekly ones do not let pass: the clock may have jumped."""


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
        self._last_held: float | None = None

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the state folder.

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
                    "Wait for it. Another --state would not do: it lacks the predictions that ranks are made of.",
                ) from None
            before = os.fstat(lock.fileno())
            self._last_held = before.st_mtime if before.st_size else None  # who held it last wrote its number there
            lock.truncate(0)
            lock.write(str(os.getpid()))
            lock.flush()
            yield

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

    def drop_predictions(self, run_keys: Iterable[str]) -> None:
        """Delete what runs predicted, where it is kept under another key by now."""
        for run_key in run_keys:
            self._predictions(run_key).unlink(missing_ok=True)

    def keep_log(self, submission: str, track: str, log: bytes) -> None:
        """Keep what a container said, for the maintainer's eyes only."""
        write_bytes(self.folder / "logs" / submission / f"{track}.log", log, mode=0o600)

    def drop_old_logs(self, days: int) -> str:
        """Delete logs older than `days`; where the clock seems to have jumped, by the time of the last round.

        The state is held meanwhile; when it was held before is what this clock is compared with.

        Returns:
            What is odd about the clock; empty where nothing is.
        """
        now, odd = time.time(), ""
        gap = (now - self._last_held) / DAY if self._last_held else 0
        if gap > PAUSE:
            now -= gap * DAY
            odd = f"the last round was {gap:.0f} days ago by this clock; logs that have aged since then are kept"
        elif gap < -1:
            odd = f"the last round was {-gap:.0f} days in the future by this clock; its records are dated there"
        for path in (self.folder / "logs").glob("*/*.log"):
            if path.stat().st_mtime < now - days * DAY:
                path.unlink(missing_ok=True)
        return f"{odd}. If the clock is wrong, stop, set it, and start again." if odd else ""

    def forget(self, submission: str, run_keys: Iterable[str]) -> None:
        """Delete all that is kept of an entry.

        Args:
            run_keys: of its runs, but for those that other entries share.
        """
        for key in run_keys:
            self._predictions(key).unlink(missing_ok=True)
        shutil.rmtree(self.folder / "logs" / submission, ignore_errors=True)
        lines = whole_lines(self.ledger)
        left = [line for line in lines if not re.search(rb'"submission": "%s"' % submission.encode(), line)]
        if left != lines:
            write_bytes(self.ledger, b"".join(line + b"\n" for line in left), mode=0o600)

    @property
    def ledger(self) -> Path:
        """One line per attempt."""
        return self.folder / "ledger.jsonl"

    def note(self, **entry: object) -> None:
        """Add one line to the ledger of attempts."""
        line = json.dumps({"time": datetime.now(UTC).isoformat(timespec="seconds"), **entry}, sort_keys=True)
        append_line(self.ledger, line.encode())
