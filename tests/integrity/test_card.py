"""What becomes of a card's statements, without an image: lock files, public addresses, an entry's own words."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from evaluator.checking import observing
from evaluator.contract import tracks
from evaluator.contract.observed import NOTHING_SEEN, Contents, Looked, Observed, Tried, counted, in_brief
from evaluator.contract.reproducibility import Evidence
from evaluator.contract.submissions import Submission
from evaluator.integrity.card import held
from evaluator.integrity.contamination import trained_on
from evaluator.integrity.evidence import Lookup
from evaluator.store.results import Results
from evaluator.store.schemas import CardRecord
from leaderboard.cards import shown
from tests.conftest import ROOT, Workspace
from tests.support.forges import Forge, forge
from tests.support.sites import DIGEST, put

TRACKS = tracks.load_all(ROOT / "test_data" / "tracks")
COMMIT = "0123456789" * 4
REPOSITORY = "https://github.com/a/b"
CODE = {"status": "yes", "repository": REPOSITORY, "commit": COMMIT}
LABELS = {"org.opencontainers.image.revision": COMMIT, "org.opencontainers.image.source": f"{REPOSITORY}.git"}
THERE, GONE = Looked("there"), Looked("gone")


def entry(card: dict[str, Any] | None = None, **fields: Any) -> Submission:
    image = {} if "archived" in fields else {"docker_image": "docker.io/a/b:1"}
    card = {} if card is None else {"reproducibility": {"card": 1, **card}}
    return Submission.model_validate({"id": "my-model", "name": "x", "author": "x", **image, **fields, **card})


def outcomes(card: dict[str, Any], seen: Observed = NOTHING_SEEN, **fields: Any) -> dict[str, str]:
    return {name: one.outcome for name, one in held(entry(card, **fields), TRACKS.values(), seen).items()}


# --- public addresses ------------------------------------------------------------------------------------------------


@pytest.fixture
def server() -> Iterator[Forge]:
    with forge() as this:
        yield this


def test_a_commit_is_there_gone_or_unknown(server: Forge) -> None:
    for name, status in (("b", 200), ("c", 301), ("d", 500)):
        server.answers[f"/a/{name}/commit/{COMMIT}"] = (status, {}, b"page")
    assert server.lookup().commit(REPOSITORY, COMMIT).found == "there"
    assert server.lookup().commit("https://github.com/a/x", COMMIT).found == "gone"
    for other in ("https://github.com/a/c", "https://github.com/a/d", "https://git.example.org/a/b"):
        found = server.lookup().commit(other, COMMIT)
        assert found.found == "unknown" and found.why


def test_nobody_but_the_hosts_of_the_table_is_asked(server: Forge) -> None:
    server.answers[f"/a/b/commit/{COMMIT}"] = (302, {"Location": f"{server.address}/private"}, b"")
    lookup = server.lookup()
    assert lookup.commit(REPOSITORY, COMMIT).why == "the answer was 302"
    assert lookup.commit("https://metadata.internal.org/a/b", COMMIT).found == "unknown"
    assert lookup.evidence(Evidence(url="https://intranet.example.org/x", sha256="0" * 64)).found == "unknown"
    assert [path for path, _ in server.asked] == [f"/a/b/commit/{COMMIT}"]


def test_what_a_netrc_opens_is_not_public(server: Forge, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login me password secret\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    server.lookup().commit(REPOSITORY, COMMIT)
    [(_, headers)] = server.asked
    assert "Authorization" not in headers


def test_a_file_at_a_commit_and_a_doi(server: Forge) -> None:
    server.answers[f"/a/b/{COMMIT}/m%252f..%23.md"] = (200, {}, b"Algorithm\n 1")
    server.answers["/10.1234/x"] = (302, {"Location": "https://publisher.example.org"}, b"")
    file = Evidence(repository=REPOSITORY, commit=COMMIT, path="m%2f..#.md")
    assert server.lookup().evidence(file) == Looked("there", content=b"Algorithm\n 1")
    assert server.lookup().evidence(Evidence(doi="10.1234/x")).found == "there"
    assert server.lookup().evidence(Evidence(doi="10.1234/y")).found == "gone"


def test_an_endless_answer_is_cut_and_a_silent_network_says_nothing(server: Forge) -> None:
    server.answers[f"/a/b/{COMMIT}/m.md"] = (200, {}, b"x" * 3_000_000)
    found = server.lookup().evidence(Evidence(repository=REPOSITORY, commit=COMMIT, path="m.md"))
    assert len(found.content) == 1024 * 1024 and found.truncated
    server.answers[f"/a/b/{COMMIT}/m.md"] = (200, {}, b"x" * 1024 * 1024)
    assert not server.lookup().evidence(Evidence(repository=REPOSITORY, commit=COMMIT, path="m.md")).truncated
    nobody = Lookup({"https://github.com": "http://127.0.0.1:9"}).commit(REPOSITORY, COMMIT)
    assert nobody.found == "unknown" and nobody.why.startswith("no answer")


# --- outcomes --------------------------------------------------------------------------------------------------------


def test_what_nobody_looked_at_is_declared_and_the_rest_absent() -> None:
    found = outcomes({"open_code": CODE, "splits": {"status": "no", "reason": "x"}, "determinism": "exact"})
    assert {found[n] for n in ("open_code", "determinism")} == {"declared"}
    assert {found[n] for n in ("image", "inference", "pseudocode", "splits", "software", "test_exposure")} == {"absent"}
    assert outcomes({"weights": {"status": "not_applicable", "reason": "x"}})["weights"] == "not_applicable"


def test_an_entry_without_a_card_has_nothing_to_hold() -> None:
    assert held(entry(), TRACKS.values()) == {}
    free = Submission.model_validate({**entry().model_dump(), "id": "my-model", "reproducibility": {"seeds": [1]}})
    assert free.card is None and held(free, TRACKS.values()) == {}


@pytest.mark.parametrize(
    ("labels", "commit", "fields", "expected"),
    [
        (LABELS, THERE, {}, "declared"),  # no licence anywhere
        (LABELS, THERE, {"license": "MIT"}, "declared"),  # nothing but the card's own word for it
        ({**LABELS, "org.opencontainers.image.licenses": "mit"}, THERE, {"license": "MIT"}, "verified"),
        ({**LABELS, "org.opencontainers.image.licenses": "GPL-3.0-only"}, THERE, {"license": "MIT"}, "contradicted"),
        ({**LABELS, "org.opencontainers.image.licenses": "<b>"}, THERE, {"license": "MIT"}, "contradicted"),
        ({**LABELS, "org.opencontainers.image.revision": "f" * 40}, THERE, {"license": "MIT"}, "contradicted"),
        ({**LABELS, "org.opencontainers.image.source": "https://github.com/a/c"}, THERE, {}, "contradicted"),
        (LABELS, GONE, {"license": "MIT"}, "contradicted"),
        (LABELS, Looked("unknown", "no answer"), {"license": "MIT"}, "declared"),
        ({}, THERE, {"license": "MIT"}, "declared"),
    ],
)
def test_open_code(labels: dict[str, str], commit: Looked, fields: dict[str, str], expected: str) -> None:
    seen = Observed(labels=labels, commit=commit)
    assert outcomes({"open_code": CODE}, seen, **fields)["open_code"] == expected


@pytest.mark.parametrize(
    ("evidence", "looked", "expected"),
    [
        ({"doi": "10.1234/x"}, THERE, "declared"),  # that it resolves shows nothing of the data
        ({"repository": REPOSITORY, "commit": COMMIT, "path": "train.csv"}, THERE, "declared"),
        (
            {"repository": REPOSITORY, "commit": COMMIT, "path": "train.csv", "quote": "heavy_chain,ELISA,label"},
            Looked("there", content=b"heavy_chain,ELISA,label\n"),
            "verified",
        ),
        ({"doi": "10.1234/x"}, GONE, "contradicted"),
    ],
)
def test_data_are_verified_where_something_of_them_was_read(
    evidence: dict[str, str], looked: Looked, expected: str
) -> None:
    data = {"open_data": {"status": "yes", "sets": [{"name": "boughter", "role": "train", "evidence": evidence}]}}
    seen = Observed(evidence={Evidence(**evidence): looked})
    assert outcomes(data, seen, training_data=("boughter",))["open_data"] == expected


def test_a_commit_may_be_of_a_fork_and_that_is_said() -> None:
    """Hosts show commits of forks under the address of the repository itself."""
    evidence = {"repository": REPOSITORY, "commit": COMMIT, "path": "m.md", "quote": "Algorithm 1: pool the layers"}
    card = {"open_code": CODE, "pseudocode": {"status": "yes", "evidence": evidence}}
    there = Looked("there", content=b"Algorithm 1: pool the layers")
    labels = {**LABELS, "org.opencontainers.image.licenses": "MIT"}
    seen = Observed(labels=labels, commit=THERE, evidence={Evidence(**evidence): there})
    found = held(entry(card, license="MIT"), TRACKS.values(), seen)
    for name in card:
        assert found[name].outcome == "verified" and "in the repository or a fork of it" in found[name].detail


def test_a_label_is_text_of_a_stranger() -> None:
    hostile = {"org.opencontainers.image.revision": "\x1b[31m\u202e\U000e0001" * 5000}
    told = held(entry({"open_code": CODE}), TRACKS.values(), Observed(labels=hostile, commit=THERE))["open_code"]
    assert told.outcome == "contradicted" and len(told.detail) <= 600 and told.detail.isprintable()


def test_a_card_and_its_entry_name_one_licence() -> None:
    assert outcomes({"open_code": {**CODE, "license": "MIT"}}, license="Apache-2.0")["open_code"] == "contradicted"


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"see\n  Algorithm 1:  pool the layers", "verified"),
        (b"something else", "contradicted"),
        (None, "declared"),
    ],
)
def test_words_are_looked_for_where_they_are_said_to_stand(content: bytes | None, expected: str) -> None:
    evidence = {"repository": REPOSITORY, "commit": COMMIT, "path": "m.md", "quote": "Algorithm 1: pool the layers"}
    looked = Looked("unknown", "no answer") if content is None else Looked("there", content=content)
    seen = Observed(evidence={Evidence(**evidence): looked})
    assert outcomes({"pseudocode": {"status": "yes", "evidence": evidence}}, seen)["pseudocode"] == expected
    unquoted = {name: value for name, value in evidence.items() if name != "quote"}
    seen = Observed(evidence={Evidence(**unquoted): THERE})
    assert outcomes({"pseudocode": {"status": "yes", "evidence": unquoted}}, seen)["pseudocode"] == "declared"


def test_words_that_may_stand_further_on_are_not_contradicted() -> None:
    evidence = {"repository": REPOSITORY, "commit": COMMIT, "path": "m.md", "quote": "Algorithm 1: pool the layers"}
    card = {"pseudocode": {"status": "yes", "evidence": evidence}}
    for content, expected in ((b"x" * 99, "declared"), (b"Algorithm 1: pool the layers, x", "verified")):
        seen = Observed(evidence={Evidence(**evidence): Looked("there", content=content, truncated=True)})
        assert outcomes(card, seen)["pseudocode"] == expected


def test_a_file_behind_a_link_was_not_looked_at_and_one_that_is_missing_is_not_there() -> None:
    card = {"pseudocode": {"status": "yes", "evidence": {"file": "/app/m.md", "sha256": "0" * 64}}}
    for unread, expected in (({"/app/m.md": "there is a link"}, "declared"), ({}, "contradicted")):
        contents = Contents(packages={}, files={"/app/m.md": None}, unread=unread)
        assert outcomes(card, Observed(contents=contents))["pseudocode"] == expected


@pytest.mark.parametrize(
    ("said", "flags", "exact", "expected"),
    [
        ("exact", (), True, "verified"),
        ("exact", (), False, "contradicted"),
        ("tolerance", (), False, "verified"),
        ("tolerance", ("depends on the other rows, scores differ by up to 0.1",), False, "contradicted"),
        ("exact", ("not deterministic, scores differ by up to 0.1",), False, "contradicted"),
        ("stochastic", ("not deterministic, scores differ by up to 0.1",), False, "verified"),
        ("stochastic", (), True, "declared"),
        ("exact", None, False, "declared"),
    ],
)
def test_determinism(said: str, flags: tuple[str, ...] | None, exact: bool, expected: str) -> None:
    seen = Observed(tried=Tried(rows=8, flags=flags, exact=exact))
    assert outcomes({"determinism": said}, seen)["determinism"] == expected


RANDOM = "not deterministic, scores differ by up to 0.1"
CALM = Tried(rows=8, flags=(), exact=True)


@pytest.mark.parametrize(
    ("said", "tried", "expected"),
    [
        ("exact", CALM, "contradicted"),  # few rows in public were not enough to see it
        ("tolerance", CALM, "contradicted"),
        ("exact", None, "contradicted"),
        ("stochastic", CALM, "verified"),
        ("stochastic", None, "verified"),
    ],
)
def test_what_audits_on_the_tracks_found_counts_too(said: str, tried: Tried | None, expected: str) -> None:
    found = held(entry({"determinism": said}), TRACKS.values(), Observed(tried=tried, flags=(RANDOM,)))["determinism"]
    assert found.outcome == expected and RANDOM in found.detail


def test_flags_are_those_of_records_of_the_same_image(workspace: Workspace) -> None:
    put(workspace, "my-model", "jain", flags=[RANDOM])
    put(workspace, "my-model", "shehata", flags=["fails on fewer rows"], image={"reference": "x", "digest": "sha256:1"})
    mine, results = entry({"determinism": "exact"}), Results(workspace.results)
    assert mine.card is not None
    for digest, flags in ((DIGEST, (RANDOM,)), ("sha256:2", ()), (None, ())):
        assert observing.of_elsewhere(mine, mine.card, results, NOTHING_SEEN, Lookup(), digest).flags == flags


def test_a_card_held_before_its_image_was_flagged_is_shown_as_contradicted(workspace: Workspace) -> None:
    mine = entry({"determinism": "exact"})
    assert mine.card is not None
    variables = held(mine, TRACKS.values(), Observed(tried=CALM))
    record = CardRecord(
        submission="my-model", card=mine.card.sha256, digest=DIGEST, checked_at="2026-01-01", checker="1",
        software="0", variables=variables,
    )  # fmt: skip
    assert record.variables["determinism"].outcome == "verified"
    put(workspace, "my-model", "jain")
    put(workspace, "my-model", "shehata", flags=[RANDOM])
    found = Results(workspace.results).of("my-model")
    for known, outcome in ((record, "contradicted"), (None, "contradicted")):
        card = shown(mine, TRACKS.values(), known, found)
        assert card is not None and card.held["determinism"].outcome == outcome
        assert RANDOM in card.held["determinism"].detail and card.counts["contradicted"] == 1
    calm = shown(mine, TRACKS.values(), record, found[:1])
    assert calm is not None and calm.held == variables


SEEN, UNSEEN = {"test_exposure": {"labels_seen": "yes"}}, {"test_exposure": {"labels_seen": "no"}}
JAIN: dict[str, Any] = {
    "open_data": {"status": "yes", "sets": [{"name": "Jain", "role": "train", "evidence": {"doi": "10.1073/x"}}]}
}


def test_whoever_has_seen_labels_and_says_no_is_contradicted_by_the_own_words() -> None:
    assert outcomes(UNSEEN, training_data=("boughter",))["test_exposure"] == "declared"
    assert outcomes(UNSEEN, training_data=("jain",))["test_exposure"] == "contradicted"
    assert outcomes(SEEN, training_data=("jain",))["test_exposure"] == "declared"
    assert outcomes(UNSEEN, training_data=("jain",), tracks=("harvey",))["test_exposure"] == "declared"
    assert outcomes({**UNSEEN, **JAIN})["test_exposure"] == "contradicted"  # undisclosed, but for the card
    crossed = {"source": "x", "protocol": "cross-validated on this track"}
    assert outcomes(UNSEEN, archived=crossed, tracks=("gdpa1",))["test_exposure"] == "contradicted"


def test_silence_on_meta_training_is_told_beside_labels_that_were_not_seen() -> None:
    cases: list[tuple[dict[str, Any], bool]] = [({}, True), ({"meta_training": []}, False)]
    for said, told in cases:
        mine = entry(UNSEEN, training_data=("none",), tracks=("fewshot-poly",), few_shot={"mode": "inductive", **said})
        assert ("undisclosed" in held(mine, TRACKS.values())["test_exposure"].detail) == told


def test_what_a_card_trains_on_counts_as_what_training_data_says() -> None:
    assert outcomes(JAIN, training_data=("boughter",))["open_data"] == "contradicted"
    assert outcomes(JAIN, training_data=("jain",))["open_data"] == "declared"
    assert outcomes(JAIN, training_data=("none",))["open_data"] == "contradicted"
    assert trained_on(entry(JAIN, training_data=("boughter",)), TRACKS["jain"]) == "yes"
    assert trained_on(entry(JAIN, training_data=("boughter",)), TRACKS["harvey"]) == "no"
    pretrained = {"open_data": {**JAIN["open_data"], "sets": [{**JAIN["open_data"]["sets"][0], "role": "pretrain"}]}}
    assert trained_on(entry(pretrained, training_data=("boughter",)), TRACKS["jain"]) == "no"


def learnt_from(name: str, role: str = "train", **evidence: str) -> dict[str, Any]:
    one = {"name": name, "role": role, "evidence": evidence or {"doi": "10.1234/x"}}
    return {**UNSEEN, "open_data": {"status": "yes", "sets": [one]}}


@pytest.mark.parametrize(
    ("card", "seen"),
    [
        (learnt_from("Jain 2017"), "yes"),
        (learnt_from("jain-psr"), "yes"),
        (learnt_from("Jain_et_al."), "yes"),
        (learnt_from("Jain et al. 2017 (137 mAbs)", "tune"), "yes"),
        (learnt_from("JAIN137"), "yes"),
        (learnt_from("GDPa1 v1.2"), "yes"),
        (learnt_from("clinical panel", doi="10.1073/PNAS.1616408114"), "yes"),
        (learnt_from("boughter, S2", doi="10.1073/pnas.1616408114/-/DCSupplemental"), "yes"),
        (learnt_from("clinical panel"), "unknown"),
        (learnt_from("boughter and Jain"), "unknown"),
        (learnt_from("J\u0430in"), "unknown"),  # with a Cyrillic letter
        (learnt_from("private"), "unknown"),
        (learnt_from("Boughter et al. 2020"), "no"),
        (learnt_from("synthetic"), "no"),
        (learnt_from("clinical panel", "pretrain"), "no"),
    ],
)
def test_a_set_is_known_however_its_name_is_spelt(card: dict[str, Any], seen: str) -> None:
    mine = entry(card, training_data=("boughter",), tracks=("jain",))
    assert trained_on(mine, TRACKS["jain"]) == seen
    exposure = held(mine, TRACKS.values())["test_exposure"]
    assert exposure.outcome == ("contradicted" if seen == "yes" else "declared")
    assert ("whether what it names holds those of jain is unknown" in exposure.detail) == (seen == "unknown")


def test_a_spelt_out_set_is_looked_for_in_training_data() -> None:
    for name, said, expected in (
        ("Jain 2017", "boughter", "contradicted"),
        ("Jain 2017", "jain", "declared"),
        ("harvey1k", "harvey", "declared"),
        ("of our own", "private", "declared"),
        ("of our own", "none", "contradicted"),
    ):
        assert outcomes(learnt_from(name), training_data=(said,))["open_data"] == expected, name


def test_archived_predictions_are_held_by_their_hashes() -> None:
    archived, card = {"source": "x", "protocol": "y"}, {"predictions": {"status": "yes", "sha256": ["1" * 64]}}
    seen = Observed(recorded=frozenset({"1" * 64}))
    assert outcomes(card, seen, archived=archived)["predictions"] == "verified"
    assert (
        outcomes(card, replace(seen, recorded=frozenset({"2" * 64})), archived=archived)["predictions"]
        == "contradicted"
    )
    of_the_file = held(entry(card, archived=archived), TRACKS.values(), Observed(recorded=frozenset({"3" * 64})))
    assert "sign turned round it is that of the file and a '-' behind it" in of_the_file["predictions"].detail
    assert outcomes(card, archived=archived)["predictions"] == "declared"
    assert not {"image", "inference"} & outcomes(card, archived=archived).keys()


def test_an_image_that_is_gone_and_a_run_that_failed_are_contradictions() -> None:
    gone = Observed(lost="IMAGE_NOT_FOUND")
    found = outcomes({"weights": {"status": "yes"}}, gone)
    assert (found["image"], found["inference"], found["weights"]) == ("contradicted", "absent", "declared")
    assert outcomes({}, Observed(pulled=True, tried=Tried(failure="TIMEOUT")))["inference"] == "contradicted"
    local = outcomes({}, Observed(pulled=False, tried=Tried(rows=8)))
    assert (local["image"], local["inference"]) == ("absent", "verified")


def test_only_what_counts_is_counted_and_contradictions_are_always_told() -> None:
    card = {"research_type": "experimental", "determinism": "exact", "hardware": {"status": "yes"}}
    found = held(entry(card), TRACKS.values(), Observed(pulled=True, tried=Tried(rows=8, flags=(), exact=True)))
    assert in_brief(found) == "3 verified, 1 declared"
    assert sum(counted(found).values()) == len(found) - 2
    lied = held(entry(card), TRACKS.values(), Observed(pulled=True, tried=Tried(rows=8, flags=("x",))))
    assert in_brief(lied) == "2 verified, 1 declared, 1 contradicted"
