"""Chromium for tests, and axe-core from npm."""

from __future__ import annotations

import subprocess
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

from scripts import machine
from tests.support import lanes

AXE = "axe-core@4.10.3"
CACHE = Path(__file__).resolve().parents[2] / ".apb" / "npm"


@contextmanager
def chromium() -> Iterator[Browser]:
    """A headless browser."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=machine.browser(), args=["--no-sandbox"])
        try:
            yield browser
        finally:
            browser.close()


def axe() -> str:
    """The source of axe-core, which looks for what keeps people from using a page."""
    script = CACHE / "axe.min.js"
    with lanes.sole("axe"):
        if not script.is_file():
            CACHE.mkdir(parents=True, exist_ok=True)
            command = [machine.npm(), "pack", "--silent", AXE]
            done = subprocess.run(command, cwd=CACHE, capture_output=True, text=True, check=True)
            with tarfile.open(CACHE / done.stdout.strip()) as package:
                member = package.extractfile("package/axe.min.js")
                assert member is not None
                script.write_bytes(member.read())
    return script.read_text()
