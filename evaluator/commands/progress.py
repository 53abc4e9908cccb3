"""How a round goes: a live line on a terminal, plain lines in a pipe."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

from evaluator.text import printable

WORTH_TELLING = 10.0


class ProgressLines:
    """Lines on stderr; on a terminal the last one is live and says what is running and for how long."""

    def __init__(self) -> None:
        self._live = sys.stderr.isatty()
        self._lock = threading.Lock()
        self._running: dict[str, float] = {}
        self._total = self._done = 0
        self._left = ""
        self._places: dict[str, str] = {}

    @contextmanager
    def shown(self) -> Iterator[ProgressLines]:
        """Keep the live line fresh while the block runs."""
        over = threading.Event()

        def refresh() -> None:
            while not over.wait(0.5):
                with self._lock:
                    self._draw()

        painter = threading.Thread(target=refresh, daemon=True)
        if self._live:
            painter.start()
        try:
            yield self
        finally:
            over.set()
            if self._live:
                painter.join()
                self._wipe()

    def say(self, line: str) -> None:
        """One line of news, made inert."""
        with self._lock:
            self._wipe()
            print(printable(line, 1000), file=sys.stderr, flush=True)  # noqa: T201
            self._draw()

    def total(self, count: int) -> None:
        """How many runs are to come."""
        self._total = count
        self.say(f"{count} to run" if count else "nothing to run")

    def begin(self, name: str, place: str) -> None:
        """A run has begun."""
        with self._lock:
            self._running[name] = time.monotonic()
            self._places[name] = place
            self._draw()

    def cut(self, name: str, why: str) -> None:
        """A run has ended, and its task has not."""
        self._running.pop(name, None)
        self.say(f"{name}: {why}")

    def end(self, name: str, outcome: str) -> None:
        """A task has ended."""
        self._running.pop(name, None)
        self._done += 1
        left = f" ({self._left} left)" if self._left and self._done < self._total else ""
        self.say(f"[{self._done}/{self._total}] {name}: {outcome}{left}")

    def forecast(self, seconds: float) -> None:
        """How long the rest will take."""
        self._left = f"about {timedelta(seconds=round(seconds))}" if seconds >= WORTH_TELLING else ""

    def _wipe(self) -> None:
        if self._live:
            sys.stderr.write("\r\x1b[K")

    def _draw(self) -> None:
        if self._live and self._running:
            now = time.monotonic()
            running = ", ".join(
                f"{name} ({self._places[name]}) {now - begun:.0f} s" for name, begun in list(self._running.items())[:3]
            )
            self._wipe()
            sys.stderr.write(f"{self._done}/{self._total} done; running {running}"[:150])
            sys.stderr.flush()
