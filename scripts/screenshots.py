"""`make screenshots`: the home page and a track page of the committed board, light, dark and on a phone."""

from __future__ import annotations

import tempfile
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

from evaluator.settings import Repository
from leaderboard.build import build
from scripts import machine

ROOT = Path(__file__).resolve().parent.parent
OUT = ROOT / "docs" / "screenshots"
PAGES = {"home": "index.html", "track": "tracks/jain137/index.html"}
LOOKS = {"light": ("light", 1280, 900), "dark": ("dark", 1280, 900), "phone": ("light", 390, 844)}


def main() -> None:
    """Write docs/screenshots/*.png."""
    OUT.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        repository, site = Repository(ROOT), Path(folder) / "site"
        build(repository, submissions=repository.submissions, results=repository.results, out=site)
        browser = playwright.chromium.launch(executable_path=machine.browser(), args=["--no-sandbox"])
        for look in LOOKS:
            _take(browser, site, look)
        browser.close()


def _take(browser: Browser, site: Path, look: str) -> None:
    scheme, width, height = LOOKS[look]
    page = browser.new_page(
        viewport={"width": width, "height": height}, color_scheme="dark" if scheme == "dark" else "light"
    )
    for name, path in PAGES.items():
        page.goto((site / path).as_uri())
        target = OUT / f"{name}-{look}.png"
        page.screenshot(path=target)
        print(target)
    page.close()


if __name__ == "__main__":
    main()
