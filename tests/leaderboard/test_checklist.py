"""The checklist: every point of every list, each with its reason, and no link of it that leads nowhere."""

from __future__ import annotations

import re
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from pydantic import ValidationError

from evaluator.contract.tracks import load_all
from evaluator.errors import EvaluatorError
from evaluator.settings import Repository
from leaderboard import checklist
from leaderboard.build import build
from leaderboard.checklist import Point
from tests.conftest import ROOT

LISTS = checklist.load()
EVIDENCE = sorted({one for found in LISTS for point in found.points for one in point.evidence})


class Page(HTMLParser):
    """The anchors and links of a page."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.anchors: set[str] = set()
        self.links: set[str] = set()
        self.feed(path.read_text())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        self.anchors |= {str(found["id"])} if "id" in found else set()
        self.links |= {str(found["href"])} if tag == "a" else set()


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site of what is committed."""
    repository, out = Repository(ROOT), tmp_path_factory.mktemp("site") / "site"
    build(repository, submissions=repository.submissions, results=repository.results, out=out)
    return out


page = cache(Page)


def test_every_link_of_the_page_leads_somewhere(site: Path) -> None:
    path = site / "checklist" / "index.html"
    shown = [one for one in EVIDENCE if not one.startswith("repo:")]
    there = {one for one in shown if one.startswith(checklist.OF_A_BOARD)}
    there |= {one.partition("#")[0] for one in there}
    assert {checklist.link(one, "../", "", there).href for one in shown} <= page(path).links
    for link in page(path).links:
        if link.startswith("https://"):
            parts = urlsplit(link)
            assert re.fullmatch(r"([a-z0-9-]+\.)+[a-z]{2,}", parts.netloc), link
            continue
        target, _, anchor = link.partition("#")
        found = (path.parent / target).resolve() if target else path
        assert found.is_file(), link
        assert not anchor or anchor in page(found).anchors, link


@pytest.mark.parametrize("evidence", [one for one in EVIDENCE if one.startswith("repo:")])
def test_every_file_that_is_named_is_there(evidence: str) -> None:
    name, _, anchor = evidence.removeprefix("repo:").partition("#")
    assert (ROOT / name).exists()
    headings = [line.lstrip("#").strip() for line in _lines(ROOT / name) if line.startswith("#")] if anchor else []
    slugs = [re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings]
    assert not anchor or anchor in slugs


def _lines(path: Path) -> list[str]:
    return path.read_text().splitlines()


def test_files_are_linked_where_somebody_said_where_they_can_be_read() -> None:
    where = "https://example.org/blob/main/"
    assert (
        checklist.link("repo:docs/overlap.md#heavy-chains", "../", where).href == f"{where}docs/overlap.md#heavy-chains"
    )
    assert checklist.link("repo:docs/overlap.md", "../", "").href == ""
    assert checklist.link("methods/#ranking", "../", "").href == "../methods/index.html#ranking"
    assert checklist.link("tracks/jain/", "../", "", ["tracks/jain/"]).href == "../tracks/jain/index.html"
    assert checklist.link("tracks/jain/", "../", "", ["tracks/gdpa1/"]).href == ""  # another board has no such page
    assert checklist.link("datasets/jain/#audit", "../", "", ["datasets/jain/"]).href == ""


def test_every_list_is_whole_and_every_point_explained(site: Path) -> None:
    sizes = {found.key: len(found.points) for found in LISTS}
    assert sizes["betterbench"] == 46 and sizes["reforms"] == 32 and sizes["dome"] == 21 and sizes["neurips"] == 22
    for found in LISTS:  # that each is met, or says why not, is refused otherwise when it is read
        assert all(
            f"{found.key}-{point.id.lower()}" in page(site / "checklist/index.html").anchors for point in found.points
        )
    better = next(found for found in LISTS if found.key == "betterbench")
    assert sum(point.status == "met" or bool(point.why) for point in better.points) >= 43


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"status": "met"}, "shows no evidence"),
        ({"status": "not"}, "not why"),
        ({"status": "partly", "evidence": ("methods/",)}, "not why"),
        ({"status": "met", "evidence": ("../secret",)}, "no page of the site"),
        ({"status": "met", "evidence": ("http://example.org/",)}, "no page of the site"),
        ({"status": "nearly", "evidence": ("methods/",)}, "Input should be"),
    ],
)
def test_a_point_that_claims_without_showing_is_refused(fields: dict[str, object], why: str) -> None:
    with pytest.raises(ValidationError, match=why):
        Point.model_validate({"id": "X1", "text": "Something is asked.", **fields})


def test_a_list_that_is_not_valid_is_told_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "x.yaml").write_text("key: x\ntitle: X\nsource: S\nabout: A\npoints:\n- {id: D1, text: short}\n")
    with pytest.raises(EvaluatorError, match="Line 6"):
        checklist.load(tmp_path)


def test_every_track_says_where_its_sequences_come_from(site: Path) -> None:
    text = (site / "checklist" / "index.html").read_text()
    provenance = text[text.index('id="donors"') : text.index('id="contact"')]
    titles = {"Jain": "Jain, Novo parity"}
    for track in load_all(ROOT / "test_data" / "tracks").values():
        if track.purpose == "benchmark":
            assert next((short for short, title in titles.items() if title == track.title), track.title) in provenance
