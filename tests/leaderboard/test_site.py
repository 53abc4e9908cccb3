"""The site in a real browser, from files, as its readers have it."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit
from xml.etree import ElementTree as ET

import jsonschema
import pytest
import yaml
from playwright.sync_api import Browser, Dialog, Page

from evaluator.contract import submissions as submission
from evaluator.settings import Repository
from evaluator.store.results import Results
from leaderboard.build import build
from scripts import example_store
from tests.conftest import ROOT, Workspace
from tests.support import browser as browsers
from tests.support.sites import METRIC_NAMES, publish, put

HOSTILE = [
    "</script><script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "' onmouseover=alert(1) x='",
    "שלום עולם mixed العربية", "N" * 60, "{{ 7*7 }}", "=HYPERLINK(1)", "</title><b>", "`${alert(1)}`",
]  # fmt: skip
KINDS = [
    "index.html", "tracks/jain/index.html", "tracks/shehata/index.html", "tracks/harvey/index.html",
    "submissions/lab-esm2-650m-6/index.html", "submissions/hostile-0/index.html", "submissions/taken-back/index.html",
    "models/index.html", "compare/index.html", "datasets/jain/index.html", "methods/index.html", "submit/index.html",
    "history/index.html", "data/index.html", "cite/index.html", "checklist/index.html", "404.html",
]  # fmt: skip


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A site of 30 made-up entries, some with hostile names, one withdrawn."""
    repository = example_store.make(tmp_path_factory.mktemp("site"), 30)
    for k, name in enumerate(HOSTILE):
        fields = {"name": name, "docker_image": "docker.io/me/x:1", "author": name, "description": name}
        (repository.submissions / f"hostile-{k}.yaml").write_text(json.dumps(fields))
        _copy(repository, "lab-esm1v-5", f"hostile-{k}")
    fields = {"name": "Taken back", "docker_image": "docker.io/me/x:1", "author": "me", "withdrawn": "a mistake"}
    (repository.submissions / "taken-back.yaml").write_text(json.dumps(fields))
    _copy(repository, "lab-esm1v-5", "taken-back")
    build(repository, submissions=repository.submissions, results=repository.results, out=repository.site)
    return repository.site


def _copy(repository: Repository, source: str, target: str) -> None:
    store = Results(repository.results)
    record = store.get(source, "jain")
    assert record is not None
    store.put(record.model_copy(update={"submission": target}))


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with browsers.chromium() as found:
        yield found


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A page on which nothing may go wrong: no error, no message, no dialogue, no request to anywhere but files."""
    page = browser.new_page()
    wrong: list[str] = []
    page.on("console", lambda message: wrong.append(f"console: {message.text}"))
    page.on("pageerror", lambda error: wrong.append(f"error: {error}"))

    def dismissed(dialog: Dialog) -> None:
        wrong.append(f"dialogue: {dialog.message}")
        dialog.dismiss()

    page.on("dialog", dismissed)
    page.on("request", lambda r: None if r.url.startswith(("file:", "blob:")) else wrong.append(f"request: {r.url}"))
    yield page
    page.close()
    assert wrong == []


def names(page: Page) -> list[str]:
    return page.locator("#rows th[scope=row] bdi:first-child, #rows th[scope=row] a bdi").all_inner_texts()


def ids(page: Page) -> list[str]:
    links = page.locator("#rows th[scope=row] > a")
    return [str(link.get_attribute("href")).split("/")[-2] for link in links.all()]


def header(page: Page, key: str) -> Any:
    return page.locator(f"thead th[data-key={key}] button")


def started(page: Page, site: Path, query: str = "", track: str = "jain") -> None:
    """Open a track and wait until its script has the data, which it loads when they are first needed."""
    page.goto((site / f"tracks/{track}/index.html").as_uri() + query)
    page.click(".chooser summary")
    page.wait_for_selector("#columns input", state="attached")
    page.click(".chooser summary")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("path", KINDS)
def test_nothing_keeps_anyone_from_using_a_page(browser: Browser, site: Path, path: str, scheme: Any) -> None:
    usable(browser, site, path, scheme)


def usable(browser: Browser, site: Path, path: str, scheme: Any) -> None:
    """No finding of axe, no error, no request."""
    context = browser.new_context(color_scheme=scheme)
    page = context.new_page()
    wrong: list[str] = []
    page.on("console", lambda message: wrong.append(message.text))
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("request", lambda r: None if r.url.startswith("file:") else wrong.append(r.url))
    page.goto((site / path).as_uri())
    page.wait_for_load_state()
    page.evaluate(browsers.axe())
    found = page.evaluate("axe.run(document, {resultTypes: ['violations'], preload: false})")
    told = [f"{v['id']}: {v['nodes'][0]['html'][:120]}" for v in found["violations"]]
    context.close()
    assert told == []
    assert wrong == []


@pytest.mark.parametrize("width", [320, 1280])
def test_nothing_is_wider_than_the_screen(browser: Browser, site: Path, width: int) -> None:
    page = browser.new_page(viewport={"width": width, "height": 800})
    for path in KINDS:
        page.goto((site / path).as_uri())
        assert page.evaluate("document.documentElement.scrollWidth") <= width, path
    page.close()


# --- the committed board ---------------------------------------------------------------------------------------------

REAL = [
    "index.html", "tracks/jain137/index.html", "tracks/gdpa1/index.html", "tracks/harvey/index.html",
    "submissions/esm1v-logreg/index.html", "submissions/antiberty-logreg/index.html", "datasets/harvey/index.html",
]  # fmt: skip


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site of what is committed."""
    repository, out = Repository(ROOT), tmp_path_factory.mktemp("real") / "site"
    build(repository, submissions=repository.submissions, results=repository.results, out=out)
    return out


@pytest.mark.parametrize("path", REAL)
def test_the_committed_board_can_be_used(browser: Browser, real: Path, path: str) -> None:
    for scheme in ("light", "dark"):
        usable(browser, real, path, scheme)
    assert "made up" not in (real / path).read_text().lower()


@pytest.mark.parametrize("track", ["jain137", "gdpa1", "harvey", "vhh48"])
def test_a_phone_shows_a_score_without_scrolling_sideways(browser: Browser, real: Path, track: str) -> None:
    page = browser.new_page(viewport={"width": 390, "height": 844})
    page.goto((real / f"tracks/{track}/index.html").as_uri())
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    key = "spearman" if track in ("gdpa1", "vhh48") else "roc_auc"
    at = page.evaluate(f"[...document.querySelectorAll('thead th')].findIndex(c => c.dataset.key === '{key}')")
    cell = page.locator("#rows tr").first.locator("th, td").nth(at)
    box = cell.bounding_box()
    assert box and box["x"] >= 0 and box["x"] + 40 <= 390 and "0." in cell.inner_text()
    page.close()


def test_what_was_not_run_here_says_so(page: Page, real: Path) -> None:
    page.goto((real / "submissions/esm1v-logreg/index.html").as_uri())
    text = page.locator("main").inner_text()
    assert "from published predictions, not run here" in text and "sequences of this track are not at hand" in (
        page.locator("main").text_content() or ""
    )
    page.goto((real / "tracks/gdpa1/index.html").as_uri())
    row = page.locator("#rows tr", has_text="ESM-2 ridge").first.inner_text()
    assert "from published predictions" in row and "no rank" in row


@pytest.fixture
def odd(workspace: Workspace) -> Path:
    """Entries with ties, a zero, a negative, an undefined value, a failure and one that was not run."""
    values = {"alpha": 0.2, "bravo": 0.0, "charlie": -0.4, "delta": 0.2, "echo": None, "foxtrot": 0.9}
    for k, (name, value) in enumerate(values.items()):
        workspace.submit(name, "docker.io/me/x:1", training_data="[boughter]" if k % 2 else "[undisclosed]")
        metrics = {m: {"value": 0.9 - k / 10, "low": 0.1, "high": 0.95} for m in METRIC_NAMES}
        put(workspace, name, metrics={**metrics, "mcc": {"value": value, "reason": None if value else "why"}})
    workspace.submit("golf", "docker.io/me/x:1")
    put(workspace, "golf", status="failed", failure="TIMEOUT", metrics={})
    workspace.submit("hotel", "docker.io/me/x:1")
    workspace.submit("india", "apb/reference:1")
    put(workspace, "india", metrics={m: {"value": 0.1} for m in METRIC_NAMES})
    return publish(workspace)


STARTED = ["alpha", "bravo", "charlie", "delta", "echo", "foxtrot", "india", "golf", "hotel"]


def test_sorting_puts_missing_last_and_keeps_ties(page: Page, odd: Path) -> None:
    started(page, odd, "?cols=mcc")
    assert ids(page) == STARTED
    header(page, "mcc").click()
    assert ids(page) == ["foxtrot", "alpha", "delta", "india", "bravo", "charlie", "echo", "golf", "hotel"]
    assert page.locator("th[data-key=mcc]").get_attribute("aria-sort") == "descending"
    header(page, "mcc").click()
    assert ids(page) == ["charlie", "bravo", "india", "alpha", "delta", "foxtrot", "echo", "golf", "hotel"]
    assert page.locator("[aria-sort=ascending], [aria-sort=descending]").count() == 1
    header(page, "mcc").click()
    assert ids(page) == STARTED


def test_sort_filter_sort_and_back(page: Page, odd: Path) -> None:
    start = (odd / "tracks/jain/index.html").as_uri()
    started(page, odd)
    header(page, "roc_auc").click()
    header(page, "roc_auc").click()
    page.select_option("#trained", "no")
    assert ids(page) == ["foxtrot", "delta", "bravo"]
    header(page, "model").click()
    assert ids(page) == ["bravo", "delta", "foxtrot"]  # the filter is still on
    assert page.locator("#references th a").count() == 1  # and the reference model in sight
    assert page.url.endswith("?sort=model&trained=no")
    again = page.url
    page.go_back()
    assert ids(page) == ["foxtrot", "delta", "bravo"]
    page.go_back()
    page.go_back()
    page.go_back()
    assert page.url == start
    assert ids(page) == STARTED
    started(page, odd, again.removeprefix(start))
    assert ids(page) == ["bravo", "delta", "foxtrot"]
    assert page.input_value("#trained") == "no"
    started(page, odd, "?sort=nonsense&cols=nothing,model&unknown=1&q=")
    assert len(ids(page)) == len(STARTED)


def test_search_and_scored_only(page: Page, odd: Path) -> None:
    started(page, odd)
    page.fill("#search", "o")
    assert ids(page) == ["bravo", "echo", "foxtrot", "golf", "hotel"]
    page.check("#scored")
    assert ids(page) == ["bravo", "echo", "foxtrot"]
    assert "3 of 9 entries" in page.inner_text("#status")
    page.click("#reset")
    assert ids(page) == STARTED
    assert "?" not in page.url


def test_columns_may_be_chosen(page: Page, odd: Path) -> None:
    started(page, odd)
    page.click(".chooser summary")
    page.check("#columns input[value=brier]")
    assert header(page, "brier").inner_text().startswith("Brier score")
    page.uncheck("#columns input[value=date]")
    assert header(page, "date").count() == 0
    assert "brier" in page.url


def test_the_keyboard_does_it_all(page: Page, odd: Path) -> None:
    page.goto((odd / "tracks/jain/index.html").as_uri())
    for _ in range(60):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.closest('th')?.dataset.key") == "model":
            break
    page.keyboard.press("Enter")
    page.wait_for_selector("#columns input", state="attached")  # the data have come
    assert page.locator("th[data-key=model]").get_attribute("aria-sort") == "ascending"
    assert page.evaluate("document.activeElement.closest('th')?.dataset.key") == "model"  # the focus stays
    page.keyboard.press("Space")
    assert ids(page)[0] == "india"


def test_the_script_draws_what_the_page_had(page: Page, site: Path) -> None:
    for track in ("jain", "shehata"):
        started(page, site, track=track)
        before = page.inner_html("#rows").replace("\n", "")
        header(page, "date").click()
        header(page, "date").click()
        header(page, "date").click()
        assert _plain(page.inner_html("#rows")) == _plain(before)


def _plain(html: str) -> str:
    return re.sub(r"\s+", " ", html).replace(' class=""', "").replace("> <", "><")


def test_without_a_script_all_is_there(browser: Browser, site: Path) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto((site / "tracks/jain/index.html").as_uri())
    assert page.locator("#rows tr").count() == 39
    assert not page.locator("#controls").is_visible()
    assert page.locator("svg.plot").count() == 4
    page.goto((site / "compare/index.html").as_uri())
    assert page.locator("main table tbody tr").count() > 10
    page.goto((site / "submit/index.html").as_uri())
    assert "apb new" in page.inner_text("main")
    context.close()


def test_failed_not_run_and_zero_look_different(page: Page, odd: Path) -> None:
    started(page, odd, "?cols=roc_auc,mcc")
    text = {i: page.locator(f"#rows tr:has(a[href*='/{i}/'])").inner_text() for i in ("bravo", "echo", "golf", "hotel")}
    assert "0.000" in text["bravo"]
    assert "undefined" in text["echo"]
    assert "failed" in text["golf"] and "TIMEOUT" in text["golf"]
    assert "not run yet" in text["hotel"]


def test_hostile_names_are_text(page: Page, site: Path) -> None:
    for path in ("tracks/jain/index.html?sort=model", "compare/index.html?track=jain&a=hostile-0&b=hostile-1"):
        page.goto((site / path.partition("?")[0]).as_uri() + "?" + path.partition("?")[2])
        page.wait_for_timeout(100)
        assert page.evaluate("document.images.length") == 0
        assert page.evaluate("document.scripts.length") <= 2
    started(page, site, "?sort=model")
    assert set(HOSTILE) <= set(names(page))
    for k, name in enumerate(HOSTILE):
        page.goto((site / f"submissions/hostile-{k}/index.html").as_uri())
        assert page.inner_text("h1 bdi") == name


def test_two_entries_side_by_side(page: Page, site: Path) -> None:
    pairs = json.loads((site / "data/v1/pairs/jain.json").read_text())
    a, b = pairs["submissions"][0], pairs["submissions"][-1]
    page.goto((site / "compare/index.html").as_uri() + f"?track=jain&a={a}&b={b}")
    row = page.locator("#values tr", has_text="ROC-AUC")
    assert f"+{pairs['value'][0] - pairs['value'][-1]:.3f}" in row.inner_text()
    assert "differs beyond chance" in page.inner_text("#said")
    page.select_option("#second", pairs["submissions"][1])
    assert "cannot be told apart" in page.inner_text("#said")
    assert f"b={pairs['submissions'][1]}" in page.url
    page.select_option("#track", "harvey")
    page.locator("#said", has_text="Nobody has been scored").wait_for()


def test_the_form_writes_what_apb_check_reads(page: Page, site: Path) -> None:
    page.goto((site / "submit/index.html").as_uri())
    fields = {
        "id": "login-model", "name": 'Näme: "quoted" # \\ no', "docker_image": "docker.io/me/x:1", "author": "a: b",
        "description": "one\ntwo", "paper": "https://example.org/p", "license": "MIT",
        "training_data": "boughter, gdpa1", "meta_training": "BLAT_ECOLX_Firnberg_2014, my own: 3 assays",
        "tracks": "jain", "memory_gb": "4.5", "timeout_minutes": "30",
    }  # fmt: skip
    for key, value in fields.items():
        page.fill(f"[name={key}]", value)
    page.check("[name=gpu]")
    page.select_option("[name=mode]", "transductive")
    chosen = {
        "determinism": "exact", "test_exposure.labels_seen": "no", "open_code.status": "yes", "weights.status": "no",
        "splits.status": "not_applicable", "affiliation": "mixed",
    }  # fmt: skip
    for key, value in chosen.items():
        page.select_option(f'[name="card.{key}"]', value)
    assert "open_code says yes: commit is required" in page.inner_text("#problems")
    filled = {
        "open_code.repository": "https://github.com/me/x", "open_code.commit": "0" * 40,
        "weights.reason": 'a "quoted": # reason', "splits.reason": "none",
    }  # fmt: skip
    for key, value in filled.items():
        page.fill(f'[name="card.{key}"]', value)
    assert page.inner_text("#problems") == ""
    found = submission.parse(page.inner_text("#yaml").encode(), "login-model")
    assert found.name == fields["name"]
    assert found.description == "one two"
    assert found.training_data == ("boughter", "gdpa1")
    assert (found.resources.gpu, found.resources.memory_gb) == (True, 4.5)
    assert found.few_shot is not None and found.few_shot.mode == "transductive"
    assert found.few_shot.meta_training == ("BLAT_ECOLX_Firnberg_2014", "my own: 3 assays")
    assert found.model_dump(mode="json")["reproducibility"] == {
        "card": 1, "affiliation": "mixed", "determinism": "exact", "test_exposure": {"labels_seen": "no"},
        "open_code": {"status": "yes", "repository": "https://github.com/me/x", "commit": "0" * 40},
        "splits": {"status": "not_applicable", "reason": "none"},
        "weights": {"status": "no", "reason": 'a "quoted": # reason'},
    }  # fmt: skip


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("id", "A"), ("name", "x" * 61), ("docker_image", "two words"), ("docker_image", "-x"), ("author", ""),
        ("paper", "http://example.org"), ("training_data", "my-own"), ("training_data", "none, boughter"),
        ("tracks", "J"), ("memory_gb", "0.1"), ("memory_gb", "much"), ("timeout_minutes", "0"), ("name", "a\u202eb"),
        ("card.open_code.commit", "main"), ("card.software.lock_file", "app/x"), ("card.splits.reason", "why"),
    ],
)  # fmt: skip
def test_the_form_refuses_what_apb_check_refuses(page: Page, site: Path, key: str, value: str) -> None:
    page.goto((site / "submit/index.html").as_uri())
    good = {"id": "login-model", "name": "x", "docker_image": "docker.io/me/x:1", "author": "me"}
    for name, text in {**good, key: value}.items():
        page.fill(f'[name="{name}"]', text)
    assert page.inner_text("#problems") != ""
    assert not page.locator("#yaml").is_visible()


# -- files -------------------------------------------------------------------------------------------------------------


def test_the_data_are_valid_by_their_schemas(site: Path) -> None:
    folder = site / "data" / "v1"

    def check(path: Path, name: str) -> None:
        schema = json.loads((folder / "schemas" / f"{name}.schema.json").read_text())
        jsonschema.Draft202012Validator.check_schema(schema)
        jsonschema.validate(json.loads(path.read_text()), schema, cls=jsonschema.Draft202012Validator)

    check(folder / "index.json", "index")
    check(folder / "history.json", "history")
    for name in ("results", "pairs", "submissions"):
        paths = list((folder / name).glob("*.json"))
        assert paths
        for path in paths:
            check(path, name)
    for path in (site.parent.parent / "submissions").glob("*.yaml"):
        schema = json.loads((folder / "schemas" / "submission.schema.json").read_text())
        jsonschema.validate(yaml.safe_load(path.read_text()), schema)


def test_the_csv_is_the_table(site: Path) -> None:
    for track in ("jain", "shehata"):
        table = json.loads((site / f"data/v1/results/{track}.json").read_text())
        text = (site / f"data/v1/results/{track}.csv").read_text()
        header_row, *rows = list(csv.reader(io.StringIO(text)))
        assert sorted(header_row) == sorted(table["columns"])
        assert len(rows) == table["rows"] == len(table["columns"]["submission"])
        for key, column in table["columns"].items():
            at = header_row.index(key)
            for row, value in zip(rows, column, strict=True):
                shown = "" if value is None else str(value)
                assert row[at].removeprefix("'") == shown or row[at] == shown
                assert row[at][:1] not in ("=", "+", "@")


class Links(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self.ids: list[str] = []

    def handle_starttag(self, _tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for key, value in attrs:
            if key in ("href", "src") and value is not None:
                self.found.append(value)
            if key == "id" and value:
                self.ids.append(value)
            assert not key.startswith("on")
            assert key != "style"


def test_every_link_leads_somewhere(site: Path) -> None:
    for path in site.rglob("*.html"):
        links = Links()
        links.feed(path.read_text())
        assert len(set(links.ids)) == len(links.ids), path
        for link in links.found:
            parts = urlsplit(link)
            if parts.scheme:
                assert parts.scheme == "https", (path, link)
            elif parts.path:
                assert (path.parent / unquote(parts.path)).is_file(), (path, link)
            else:
                assert parts.fragment in links.ids


def test_the_feed_is_valid(site: Path) -> None:
    atom = "{http://www.w3.org/2005/Atom}"
    feed = ET.fromstring((site / "feed.xml").read_text())  # noqa: S314 - our own
    assert feed.tag == f"{atom}feed"
    entries = feed.findall(f"{atom}entry")
    assert entries
    seen = [feed, *entries]
    for element in seen:
        for needed in ("title", "id", "updated"):
            assert element.findtext(f"{atom}{needed}")
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT00:00:00Z", str(element.findtext(f"{atom}updated")))
    assert len({e.findtext(f"{atom}id") for e in seen}) == len(seen)
    assert feed.find(f"{atom}author") is not None
    assert any(HOSTILE[0] in str(e.findtext(f"{atom}title")) for e in entries)


def test_a_withdrawn_entry_keeps_its_page_and_loses_its_row(site: Path) -> None:
    assert "a mistake" in (site / "submissions/taken-back/index.html").read_text()
    assert "taken-back" not in (site / "data/v1/results/jain.csv").read_text()
    assert json.loads((site / "data/v1/index.json").read_text())["withdrawn"] == ["taken-back"]


def test_no_entry_vanishes(workspace: Workspace) -> None:
    for name in ("scored", "waiting"):
        workspace.submit(name, "docker.io/me/x:1")
    put(workspace, "scored")
    publish(workspace)
    for name in ("scored", "waiting"):
        path = workspace.root / "submissions" / f"{name}.yaml"
        text = path.read_text()
        for bad in (None, "not: [valid"):
            path.unlink() if bad is None else path.write_text(bad)
            done = workspace.apb("publish")
            assert done.returncode == 3
            assert name in done.stderr and "withdrawn" in done.stderr
        path.write_text(text + "withdrawn: sorry\n")
        assert workspace.apb("publish").returncode == 0
        path.write_text(text)


def test_a_page_of_fifty_entries_is_light(tmp_path: Path) -> None:
    repository = example_store.make(tmp_path, 50)
    build(repository, submissions=repository.submissions, results=repository.results, out=repository.site)
    shared = sum(p.stat().st_size for p in (repository.site / "static").glob("style.css"))
    for path in repository.site.rglob("*.html"):
        links = Links()
        links.feed(path.read_text())
        scripts = sum((path.parent / link).stat().st_size for link in links.found if link.endswith(".js"))
        assert path.stat().st_size + shared + scripts <= 120_000, path


def test_more_rows_come_when_asked(page: Page, tmp_path: Path) -> None:
    repository = example_store.make(tmp_path, 400, tracks=("jain",))
    build(repository, submissions=repository.submissions, results=repository.results, out=repository.site)
    started(page, repository.site)
    assert page.locator("#rows tr").count() == 150
    page.click("#more")
    assert page.locator("#rows tr").count() == 300
    page.click("#more")
    assert page.locator("#rows tr").count() == 400
    assert not page.locator("#more").is_visible()
    assert len(set(ids(page))) == 400
    assert (repository.site / "tracks/jain/page-3.html").is_file()
    assert page.locator("#references").count() == 0
    page.fill("#search", "model that is not there")
    assert page.locator("#rows tr").count() == 0
    assert page.locator("#references th a").count() == 2
