"""Ten cards, five honest and five that claim what is not so, held against two real images; and one all the way."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import docker
import pytest

from evaluator.checking import observing
from evaluator.contract import references, tracks
from evaluator.contract.labels import find_data
from evaluator.contract.observed import Contents, Held, Observed, in_brief
from evaluator.contract.submissions import Submission
from evaluator.integrity.card import held
from evaluator.running.audit import run_all
from evaluator.running.contents import contents
from evaluator.running.limits import limits_for
from evaluator.running.ready import Workbench
from evaluator.running.scratch import Scratch
from evaluator.settings import Repository, Settings
from evaluator.store.results import Results
from tests.conftest import HONEST, ROOT, Build, Workspace
from tests.support import images, lanes
from tests.support.forges import forge
from tests.support.sites import put

COMMIT = "0123456789" * 4
SOURCE = "https://github.com/me/model"
LABELS = {
    "org.opencontainers.image.revision": COMMIT,
    "org.opencontainers.image.source": SOURCE,
    "org.opencontainers.image.licenses": "MIT",
}
RANDOM = HONEST.replace("import csv, os", "import csv, os, random").replace(
    'row["sequence"].count("R") / len(row["sequence"])', "random.random()"
)
METHOD = "Algorithm 1: the share of\n  arginines\n"
METADATA = "Name: model-parts\nVersion: 1.0\n"
Hold = Callable[..., dict[str, Held]]


def sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


@pytest.fixture(scope="module")
def locked(engine: docker.DockerClient, build: Build) -> str:
    """A lock file of what the image will have."""
    build("cards-base", "")
    base = contents(engine, engine.images.get(f"apb/test:{lanes.SCOPE}"), [], largest=1e10)
    assert isinstance(base, Contents)
    known = {name: version for name, versions in base.packages.items() for version in versions}
    return "".join(f"{name}=={version}\n" for name, version in {**known, "model-parts": "1.0"}.items())


@pytest.fixture(scope="module")
def tags(engine: docker.DockerClient, locked: str) -> dict[str, str]:
    """The same image twice: one counts arginines, the other draws at random."""
    made = {}
    for name, predict in (("honest", HONEST), ("random", RANDOM)):
        made[name] = f"apb/test-cards-{name}:{lanes.SCOPE}"
        files = {
            "predict.py": "\n".join(line[4:] for line in predict.splitlines()),
            "app/lock.txt": locked,
            "app/other.txt": locked.replace("model-parts==1.0", "model-parts==1.1"),
            "app/method.md": METHOD,
            "usr/lib/python3/dist-packages/model_parts-1.0.dist-info/METADATA": METADATA,
        }
        images.add(engine, f"apb/test:{lanes.SCOPE}", made[name], files, Labels=LABELS, Cmd=["python3", "/predict.py"])
    return made


def card(locked: str, **changes: Any) -> dict[str, Any]:
    """The honest card; variables that are None are left out."""
    evidence = {"file": "/app/method.md", "sha256": sha256(METHOD), "quote": "Algorithm 1: the share of arginines"}
    found: dict[str, Any] = {
        "card": 1,
        "pseudocode": {"status": "yes", "evidence": evidence},
        "open_code": {"status": "yes", "repository": SOURCE, "commit": COMMIT},
        "open_data": {"status": "not_applicable", "reason": "nothing is trained"},
        "hardware": {"status": "yes", "training": "none"},
        "software": {"status": "yes", "lock_file": "/app/lock.txt", "sha256": sha256(locked)},
        "weights": {"status": "yes"},
        "determinism": "exact",
        "test_exposure": {"labels_seen": "no"},
        **changes,
    }
    return {name: value for name, value in found.items() if value is not None}


def entry(image: str, card: dict[str, Any], **fields: Any) -> Submission:
    content = {"name": "x", "docker_image": image, "author": "x", "license": "MIT", "training_data": ("none",)}
    return Submission.model_validate({"id": "my-model", **content, "reproducibility": card, **fields})


@pytest.fixture(scope="module")
def hold(tags: dict[str, str], locked: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hold]:
    """Hold a card against one of the images, each read and run once; the commit is at a server in place of GitHub."""
    scratch, known = Scratch(tmp_path_factory.mktemp("scratch")), tracks.load_all(ROOT / "test_data" / "tracks")
    files = find_data(known["smoke"], ROOT / "test_data")
    assert files is not None
    seen: dict[str, Observed] = {}
    for name, tag in tags.items():
        bench, mine = Workbench(Settings(), scratch), entry(tag, card(locked))
        chosen, _ = bench.choose(references.parse(tag), tag, local_builds=True)
        ready, limits = bench.ready(chosen), bench.within(limits_for(mine, files.track, Settings()))
        done = run_all([files.data.sequences], partial(ready.run, limits=limits, task=files.track.task))
        tried = observing.of_run(done, limits, rows=files.data.n, audited=True)
        other = {"file": "/app/other.txt", "sha256": sha256(locked.replace("parts==1.0", "parts==1.1"))}
        asked = entry(tag, card(locked, weights={"status": "yes", "evidence": other}))
        assert asked.card is not None
        image = observing.of_image(asked.card, chosen, ready, Settings())
        seen[name] = Observed(pulled=True, labels=image.labels, contents=image.contents, tried=tried)
    with forge() as server:
        server.answers[f"/me/model/commit/{COMMIT}"] = (200, {}, b"")

        def of(name: str, card: dict[str, Any], **fields: Any) -> dict[str, Held]:
            mine, results = entry(tags[name], card, **fields), Results(scratch.folder)
            assert mine.card is not None
            found = observing.of_elsewhere(mine, mine.card, results, seen[name], server.lookup())
            return held(mine, known.values(), found)

        yield of


ALL = {
    "pseudocode": "verified", "open_code": "verified", "open_data": "not_applicable", "splits": "absent",
    "hardware": "declared", "software": "verified", "experiment": "absent", "weights": "verified",
    "determinism": "verified", "test_exposure": "declared", "image": "verified", "inference": "verified",
    "research_type": "absent", "affiliation": "absent",
}  # fmt: skip
HONESTLY: dict[str, tuple[str, dict[str, Any], dict[str, Any], dict[str, str]]] = {
    "all of it": ("honest", {}, {}, {}),
    "little": (
        "honest",
        dict.fromkeys(("pseudocode", "open_code", "software", "weights", "determinism", "test_exposure")),
        {},
        dict.fromkeys(("pseudocode", "open_code", "software", "weights", "determinism", "test_exposure"), "absent"),
    ),
    "not published": (
        "honest", {"open_code": {"status": "no", "reason": "later"}}, {}, {"open_code": "absent"},
    ),
    "stochastic": ("random", {"determinism": "stochastic"}, {}, {}),
    "labels seen": ("honest", {"test_exposure": {"labels_seen": "yes"}}, {"training_data": ("jain",)}, {}),
}  # fmt: skip
FALSELY: dict[str, tuple[str, dict[str, Any], dict[str, Any], str]] = {
    "another commit": (
        "honest", {"open_code": {"status": "yes", "repository": SOURCE, "commit": "f" * 40}}, {}, "open_code",
    ),
    "another licence": ("honest", {}, {"license": "Apache-2.0"}, "open_code"),
    "another lock file": ("honest", {"software": None}, {}, "software"),
    "deterministic": ("random", {}, {}, "determinism"),
    "labels not seen": ("honest", {}, {"training_data": ("jain", "boughter")}, "test_exposure"),
}  # fmt: skip


@pytest.mark.parametrize("case", HONESTLY)
def test_an_honest_card_is_believed_as_far_as_it_can_be_seen(hold: Hold, locked: str, case: str) -> None:
    name, changes, fields, expected = HONESTLY[case]
    found = hold(name, card(locked, **changes), **fields)
    assert {variable: one.outcome for variable, one in found.items()} == {**ALL, **expected}, found


@pytest.mark.parametrize("case", FALSELY)
def test_a_card_that_claims_what_is_not_so_is_contradicted_in_just_that(hold: Hold, locked: str, case: str) -> None:
    name, changes, fields, variable = FALSELY[case]
    if case == "another lock file":
        other = sha256(locked.replace("parts==1.0", "parts==1.1"))
        changes = {"software": {"status": "yes", "lock_file": "/app/other.txt", "sha256": other}}
    found = hold(name, card(locked, **changes), **fields)
    assert {v: one.outcome for v, one in found.items()} == {**ALL, variable: "contradicted"}, found
    assert "1 contradicted" in in_brief(found) and found[variable].detail
    if case == "another lock file":
        assert "model-parts is 1.0 in the image and ==1.1 in the lock file" in found[variable].detail


def test_a_card_goes_from_its_image_to_the_board(tags: dict[str, str], locked: str, workspace: Workspace) -> None:
    elsewhere = {"status": "yes", "repository": "https://git.example.org/me/model", "commit": COMMIT}
    markup = {"status": "no", "reason": "<script>alert(1)</script>"}
    stated = json.dumps(card(locked, open_code=elsewhere, splits=markup))
    workspace.submit("me-model", tags["random"], tracks="[jain]", training_data="[none]", reproducibility=stated)
    workspace.submit("of-old", tags["honest"], reproducibility=json.dumps({"seeds": [1]}), tracks="[jain]")
    first = json.loads(workspace.apb("card", "--json").stdout)
    assert (first["held"], first["without"], first["left"]) == (["me-model"], ["of-old"], {})
    record = Results(workspace.results).card("me-model")
    assert record is not None
    assert {name: one.outcome for name, one in record.variables.items()} == {
        **ALL, "open_code": "contradicted", "determinism": "contradicted", "image": "absent", "splits": "absent",
    }  # fmt: skip
    assert "org.opencontainers.image.source says" in record.variables["open_code"].detail
    assert json.loads(workspace.apb("card", "--json").stdout)["unchanged"] == ["me-model"]
    verified = workspace.apb("verify")
    assert "the chain of 1 lines is whole, and 1 files are as it says" in verified.stdout, verified.stdout

    for name in ("me-model", "of-old"):
        put(workspace, name, image={"reference": tags["random"], "digest": record.digest})
    assert workspace.apb("publish").returncode == 0
    site = workspace.root / "leaderboard" / "site"
    page = (site / "submissions" / "me-model" / "index.html").read_text()
    assert in_brief(record.variables) in page and f"Looked into on {record.checked_at}" in page
    assert "<script>alert" not in page and "&lt;script&gt;alert" in page
    assert "Undeclared: the entry has free fields" in (site / "submissions" / "of-old" / "index.html").read_text()
    board = (site / "tracks" / "jain" / "index.html").read_text()
    assert in_brief(record.variables) in board and "undeclared" in board
    table = json.loads((site / "data" / "v1" / "results" / "jain.json").read_text())["columns"]
    at = table["submission"].index("me-model")
    assert (table["card_verified"][at], table["card_contradicted"][at]) == (4, 2)
    assert table["card_verified"][1 - at] is None
    assert json.loads((site / "data" / "v1" / "submissions" / "of-old.json").read_text())["card_outcomes"] is None


def test_cards_of_archived_predictions_need_no_engine(workspace: Workspace) -> None:
    text = (ROOT / "submissions" / "vhh48-onehot.yaml").read_text()
    (workspace.root / "submissions" / "vhh48-onehot.yaml").write_text(text)
    record = Path("leaderboard") / "results" / "vhh48-onehot" / "vhh48.json"
    (workspace.root / record).parent.mkdir(parents=True)
    (workspace.root / record).write_bytes((ROOT / record).read_bytes())
    path = workspace.root / "submissions" / "vhh48-onehot.yaml"
    path.write_text(text.replace('labels_seen: "yes"', 'labels_seen: "no"'))
    done = workspace.apb("check", str(path), "--summary", str(workspace.root / "summary.md"))
    assert done.returncode == 0 and "note [CONTRADICTED] 'test_exposure': labels seen: no; by its own" in done.stdout
    assert "1 contradicted" in done.stdout and "Published predictions: verified" in done.stdout
    assert "| Test exposure | contradicted |" in (workspace.root / "summary.md").read_text()
    path.write_text(text)
    done = workspace.apb("card", "--state", str(workspace.root / "state"), "--json")
    assert json.loads(done.stdout)["held"] == ["vhh48-onehot"], done.stderr
    found = Results(Repository(workspace.root).results).card("vhh48-onehot")
    assert found is not None and found.digest is None
    assert found.variables["predictions"].outcome == "verified"
    assert found.variables["test_exposure"].outcome == "declared"
