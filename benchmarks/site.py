"""The site at 10,000 made-up entries: how long it takes to build, how heavy its pages are, how fast they react."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

from leaderboard.build import build
from scripts import example_store, machine

ENTRIES = 10_000
PAINT = "performance.getEntriesByType('paint').find(e => e.name === 'first-contentful-paint')?.startTime ?? 0"
SORT = """async (key) => {
    const begun = performance.now();
    document.querySelector(`th[data-key=${key}] button`).click();
    document.body.offsetHeight;
    await new Promise((done) => requestAnimationFrame(() => setTimeout(done)));
    return performance.now() - begun;
}"""


def main(entries: int = ENTRIES) -> None:
    """Print the table."""
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        repository = example_store.make(Path(folder), entries)
        begun = time.perf_counter()
        subprocess.run([sys.executable, "-m", "evaluator", "--root", folder, "publish"], check=True, stdout=sys.stderr)
        print(f"site of {entries:,} entries on two tracks: built in {time.perf_counter() - begun:.1f} s")
        browser = playwright.chromium.launch(executable_path=machine.browser(), args=["--no-sandbox"])
        page = browser.new_page()
        weight = _visit(page, repository.site / "tracks" / "jain" / "index.html")
        print(f"  track page: {weight / 1000:.0f} kB at first load, first paint {page.evaluate(PAINT):.0f} ms")
        begun = time.perf_counter()
        page.evaluate(SORT, "roc_auc")
        page.locator("#status:not(:empty)").wait_for()
        print(f"  first sort, with its data ({_size(repository.site):.1f} MB): {time.perf_counter() - begun:.2f} s")
        again = max(page.evaluate(SORT, key) for key in ("model", "average_precision", "date", "seconds"))
        print(f"  sorting again: {again:.0f} ms at most")
        browser.close()
    with tempfile.TemporaryDirectory() as folder:
        small = example_store.make(Path(folder), 50)
        build(small, submissions=small.submissions, results=small.results, out=small.site)
        size = sum(
            (small.site / p).stat().st_size for p in ("tracks/jain/index.html", "static/style.css", "static/table.js")
        )
        print(f"  track page of 50 entries: {size / 1000:.0f} kB at first load")


def _visit(page: Page, path: Path) -> int:
    """Bytes that come before anything is asked for."""
    loaded: list[Path] = []
    page.on("request", lambda request: loaded.append(Path(request.url.removeprefix("file://"))))
    page.goto(path.as_uri())
    page.wait_for_load_state()
    page.wait_for_function("performance.getEntriesByName('first-contentful-paint').length > 0")  # a moment later
    return sum(p.stat().st_size for p in loaded)


def _size(site: Path) -> float:
    return (site / "tracks" / "jain" / "rows.js").stat().st_size / 1e6


if __name__ == "__main__":
    main()
