"""The runbook's own commands, each part on a benchmark that has had a round: as it stands, and what it must lead to."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from evaluator.store.results import Results
from evaluator.store.schemas import Standings
from tests.conftest import BIN, HONEST, Build
from tests.support.guides import WHO, clone, commands, shell
from tests.support.repositories import commit, git

GUIDE = "docs/maintaining.md"
ENTRIES = ("jane-first", "joe-second", "kim-third")


def rows(count: int) -> str:
    lines = (f"ab{k},EVQLVESGGGLVQPGG{'RK' * (k % 5)}{'D' * (k % 3)}SLRLSCAAS,{int(k % 5 > 2)}\n" for k in range(count))
    return f"sequence_id,sequence,label\n{''.join(lines)}"


@dataclass
class Site:
    """A clone with a remote behind it, and the machine's own folders beside it."""

    folder: Path

    @property
    def clone(self) -> Path:
        return self.folder / "fork"

    @property
    def srv(self) -> Path:
        return self.folder / "srv"

    @property
    def results(self) -> Results:
        return Results(self.clone / "leaderboard" / "results")

    def standings(self, track: str = "our-panel") -> Standings:
        found = self.results.standings(track)
        assert found is not None
        return found

    def page(self, path: str) -> str:
        return (self.clone / "leaderboard" / "site" / path / "index.html").read_text()

    def run(self, script: str) -> str:
        environment = {
            **os.environ, **WHO, "PATH": f"{BIN}:{os.environ['PATH']}", "APB_STATE": f"{self.srv}/state",
            "APB_SIGNING_KEY": f"{self.srv}/signing-key",
        }  # fmt: skip
        return shell(
            script.replace("/srv/", f"{self.srv}/").replace(" /srv ", f" {self.srv} "), self.clone, environment
        )

    def part(self, title: str, until: str) -> str:
        """Run all of one part."""
        return self.run("".join(commands(GUIDE, f"### {title}", f"### {until}" if until else "")))


@pytest.fixture(scope="module")
def after_a_round(build: Build, tmp_path_factory: pytest.TempPathFactory) -> Site:
    """Three entries on a hidden track of our own, scored, ranked, signed, published and pushed."""
    site = Site(tmp_path_factory.mktemp("runbook"))
    place, srv = clone(site.folder), site.srv
    srv.mkdir(mode=0o700)
    (srv / "panel.csv").write_text(rows(40))
    (srv / "panel-2.csv").write_text(rows(50))
    for path in (place / "submissions").glob("*.yaml"):
        path.unlink()
    (place / "submissions").mkdir(exist_ok=True)
    for k, name in enumerate(ENTRIES):
        image = build(f"runbook-{k}", HONEST.replace('count("R")', f'count("{"RKD"[k]}")'))
        text = f"name: Model {name}\ndocker_image: {image}\nauthor: {name}@example.org\n"
        (place / "submissions" / f"{name}.yaml").write_text(text + ("tracks: [our-panel]\n" if k == 1 else ""))
        line = {"date": "2026-01-01", "id": name, "login": name[:4].strip("-"), "new_run": True, "commit": None}
        with (place / "leaderboard" / "intake.jsonl").open("a") as intake:
            intake.write(json.dumps(line) + "\n")
    subprocess.run(
        ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", str(srv / "signing-key")], check=True
    )
    settings = place / "pyproject.toml"
    signer = f'[tool.apb]\nsigner = "ssh"\nsigner_identity = "{(srv / "signing-key.pub").read_text().strip()}"\n'
    settings.write_text(settings.read_text().replace("[tool.apb]\n", signer))
    commit(place, "entries")
    site.run(
        "apb prepare --new our-panel --from /srv/panel.csv --hidden /srv/hidden\n"
        "apb evaluate --all --hidden /srv/hidden\napb sign\napb publish\n"
    )
    commit(place, "a round")
    git(place, "push", "--quiet", "origin", "HEAD:main")
    assert set(site.standings().entries) == set(ENTRIES)
    return site


@pytest.fixture
def site(after_a_round: Site, tmp_path: Path) -> Site:
    shutil.copytree(after_a_round.folder, tmp_path / "all", symlinks=True)
    found = Site(tmp_path / "all")
    git(found.clone, "remote", "set-url", "origin", str(found.folder / "remote.git"))
    return found


def test_a_new_version_of_a_track(site: Site) -> None:
    printed = site.part("A new version of a track", "A track is retired")
    assert "2 scored" in printed and "FAIL" not in printed  # the one that names the old track is not on the new one
    assert set(site.standings("our-panel-2").entries) == {"jane-first", "kim-third"}
    assert set(site.standings().entries) == set(ENTRIES)
    assert "This board is closed: Its second version" in site.page("tracks/our-panel")
    assert "Model joe-second" in site.page("tracks/our-panel")


def test_a_retired_track_stays_and_nothing_is_run_on_it(site: Site) -> None:
    text = (site.clone / "submissions" / "kim-third.yaml").read_text()
    (site.clone / "submissions" / "new-one.yaml").write_text(text)
    printed = site.part("A track is retired", "A track is renamed")
    assert "0 scored" in printed and "FAIL" not in printed
    assert "This board is closed: The assay was found to drift." in site.page("tracks/our-panel")
    assert set(site.standings().entries) == set(ENTRIES)
    assert "closed</span>" in (site.clone / "leaderboard/site/index.html").read_text()
    (site.clone / "submissions" / "kim-third.yaml").write_text(text + "withdrawn: a mistake\n")
    site.run("apb evaluate --all --hidden /srv/hidden\n")  # its board still follows from its entries
    assert set(site.standings().entries) == set(ENTRIES) - {"kim-third"}


def test_a_renamed_track_keeps_its_scores(site: Site) -> None:
    before = {name: site.results.get(name, "our-panel") for name in ENTRIES}
    printed = site.part("A track is renamed", "Another primary metric")
    assert "0 scored, 3 rescored" in printed and "FAIL" not in printed and "other data" not in printed
    for name, record in before.items():
        after = site.results.get(name, "clinic-panel")
        assert record is not None and after is not None and after.metrics == record.metrics
    assert set(site.standings("clinic-panel").entries) == set(ENTRIES)  # the one that names the old id too
    assert 'href="../../tracks/clinic-panel/index.html"' in site.page("tracks/our-panel")
    assert not list((site.results.folder / "rescored").glob("*"))  # under the new name they are new, not rescored


def test_another_primary_metric(site: Site) -> None:
    printed = site.part("Another primary metric", "An entry must be erased")
    assert "0 scored, 0 rescored" in printed and "FAIL" not in printed
    assert site.standings().metric == "accuracy"


def test_an_erased_entry_leaves_its_id_and_a_whole_chain(site: Site) -> None:
    printed = site.part("An entry must be erased", "labels.key is lost")
    assert "FAIL" not in printed and "nothing is left of 1 erased entries" in printed
    assert set(site.standings().entries) == set(ENTRIES) - {"jane-first"}
    listed = git(site.clone, "ls-tree", "-r", "--name-only", "origin/main").split()
    places = [site.clone / name for name in listed if not name.startswith("docs/")]
    places += [
        p for folder in (site.clone / "leaderboard", site.srv / "state") for p in folder.rglob("*") if p.is_file()
    ]
    naming = {p.name for p in places if p.is_file() and b"jane" in p.read_bytes().replace(b"jane-first", b"")}
    assert naming == set()
    naming = {
        p.name for p in (site.clone / "leaderboard").rglob("*") if p.is_file() and b"jane-first" in p.read_bytes()
    }
    assert naming <= {"chain.jsonl", "erased.jsonl", "intake.jsonl", "index.html", "index.json", "v1.zip"}
    assert "Erased at the request of its author" in site.page("history")
    assert not (site.clone / "leaderboard" / "site" / "submissions" / "jane-first").exists()


def test_a_lost_key_of_the_labels(site: Site) -> None:
    history = site.results.history_file.read_bytes()
    (site.srv / "hidden" / "labels.key").unlink()
    new_key, again = commands(GUIDE, "### labels.key is lost", "### The state is lost")
    told = site.run(new_key + "apb evaluate --all --hidden /srv/hidden --dry-run || true\n")
    assert (site.srv / "hidden" / "labels.key").stat().st_mode & 0o777 == 0o600
    found = re.search(r"\(hmac-sha256 ([0-9a-f]{64})\)", told)
    assert found, told
    track = site.clone / "test_data" / "tracks" / "our-panel.yaml"
    track.write_text(re.sub(r"labels_hmac_sha256: \w+", f"labels_hmac_sha256: {found[1]}", track.read_text()))
    printed = site.run(again)
    assert "0 scored, 3 rescored" in printed and "FAIL" not in printed
    assert site.results.history_file.read_bytes() == history


def test_a_lost_state(site: Site) -> None:
    before = site.standings()
    shutil.rmtree(site.srv / "state")
    printed = site.part("The state is lost", "The signing key is compromised")
    assert "3 scored" in printed and site.standings() == before


def test_a_signing_key_that_others_know(site: Site) -> None:
    printed = site.part("The signing key is compromised", "The machine is moved")
    assert "the chain is signed (ssh)" in printed and "FAIL" not in printed
    old = site.run("apb sign || echo refused\n")
    assert "refused" in old  # the old key signs no more
    assert "the chain is signed (ssh)" in site.run("apb verify\n")  # and has not touched the signature


def move(site: Site) -> None:
    """By the guide's own commands to a machine that has nothing."""
    pack, unpack = commands(GUIDE, "### The machine is moved")
    site.run(pack)
    for name in ("hidden", "state"):
        shutil.rmtree(site.srv / name)
    shutil.rmtree(site.clone)
    git(site.folder, "clone", "--quiet", str(site.folder / "remote.git"), "fork")
    printed = site.run(unpack)
    assert '"run": []' in printed and "FAIL" not in printed


def test_a_machine_that_is_moved(site: Site) -> None:
    move(site)
    assert (site.srv / "hidden" / "labels.key").stat().st_mode & 0o777 == 0o600


def test_a_maintainers_first_four_weeks(site: Site, build: Build) -> None:
    """Every Monday the guide's own commands, and between them what a month brings."""

    def week(what: str) -> str:
        commit(site.clone, what)
        git(site.clone, "push", "--quiet", "origin", "HEAD:main")
        printed = site.run("".join(commands(GUIDE, "## Every week", "## When something goes wrong")))
        assert "FAIL" not in printed and not git(site.clone, "status", "--porcelain", "leaderboard/results")
        assert '"run": []' in site.run("apb evaluate --all --hidden /srv/hidden --dry-run\n")
        return printed

    submissions, track = site.clone / "submissions", site.clone / "test_data" / "tracks" / "our-panel.yaml"
    image = build("runbook-new", HONEST.replace('count("R")', 'count("E")'))
    (submissions / "lea-fourth.yaml").write_text(f"name: Lea's\ndocker_image: {image}\nauthor: Lea\n")
    assert "1 scored, 0 rescored" in week("A newcomer")
    assert set(site.standings().entries) == {*ENTRIES, "lea-fourth"}

    labels = site.srv / "hidden" / "our-panel" / "labels.csv"
    labels.write_text(labels.read_text().replace("ab0,0", "ab0,1"))
    told = site.run("apb evaluate --all --hidden /srv/hidden --dry-run || true\n")
    found = re.search(r"\(hmac-sha256 ([0-9a-f]{64})\)", told)
    assert found, told
    classes = {"positive: 16": "positive: 17", "negative: 24": "negative: 23"}
    text = re.sub(r"labels_hmac_sha256: \w+", f"labels_hmac_sha256: {found[1]}", track.read_text())
    assert all(old in text for old in classes)
    for old, new in classes.items():
        text = text.replace(old, new)
    track.write_text(text)
    before = site.results.get("kim-third", "our-panel")
    assert "0 scored, 4 rescored" in week("A label was wrong")
    after = site.results.get("kim-third", "our-panel")
    assert before and after and before.metrics != after.metrics
    (table,) = (site.results.folder / "rescored").glob("*.md")
    assert "kim-third | our-panel | every value | not told | not told" in table.read_text()
    assert not re.search(r"\d\.\d", table.read_text())  # old beside new would tell which label it was

    (submissions / "joe-second.yaml").write_text(
        (submissions / "joe-second.yaml").read_text() + "withdrawn: its weights were trained on the panel\n"
    )
    site.part("A track is renamed", "Another primary metric")
    week("Another name, and one gives up")
    assert set(site.standings("clinic-panel").entries) == {"jane-first", "kim-third", "lea-fourth"}
    assert "withdrawn" in site.page("submissions/joe-second").lower()

    site.part("An entry must be erased", "labels.key is lost")
    week("The last Monday")
    assert set(site.standings("clinic-panel").entries) == {"kim-third", "lea-fourth"}
    move(site)
