"""An erased entry: what a tombstone answers for, and what it does not."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from evaluator.errors import EvaluatorError, UsageError
from evaluator.integrity import erasure
from evaluator.pull_requests.push import commit, rejoin
from evaluator.settings import Repository
from evaluator.store import intake
from evaluator.store.results import Results
from evaluator.store.schemas import Behaviour, CardRecord, ImageRecord, Pairs, Result, Standings
from evaluator.store.state import State
from tests.conftest import Workspace
from tests.support.repositories import git
from tests.support.sites import put

IDS = ("ann-model", "ben-model", "cem-model")
REASON = "Erased at the request of its author"


@pytest.fixture
def bench(workspace: Workspace) -> Workspace:
    """Three recorded and ranked entries, in git."""
    workspace.results.mkdir(parents=True)
    lines = [intake.Intake(date="2026-01-01", id=i, login=i[:3], new_run=True, commit="0" * 40) for i in IDS]
    intake.write(Repository(workspace.root).intake, lines)
    results = Results(workspace.results)
    for k, name in enumerate(IDS):
        workspace.submit(name, "docker.io/me/x:1")
        put(workspace, name, run_key=f"key{k // 2}")  # the first two share an image
        record = results.get(name, "jain")
        assert record is not None
        shutil.rmtree(workspace.results / name)
        results.put(record)
    standing = {"tier": 1, "rank_low": 1, "rank_high": 2, "to_best": {"value": -0.125}}
    results.put_standings(
        Standings.model_validate(
            {"track": "jain", "metric": "roc_auc", "detectable": 0.1, "entries": dict.fromkeys(IDS, standing)}
        )
    )
    results.put_pairs(
        Pairs(
            track="jain", metric="roc_auc", freedom=9, submissions=IDS, value=(0.75, 0.625, 0.5),
            deviation=((), (0.25,), (0.375, 0.0625)),
        )
    )  # fmt: skip
    state = State(workspace.state)
    for name in IDS:
        state.keep_log(name, "jain", b"log")
        state.note(event="run", submission=name)
    for key in ("key0", "key1"):
        (state.folder / "predictions").mkdir(exist_ok=True)
        (state.folder / "predictions" / f"{key}.npz").write_bytes(b"")
    (workspace.root / ".gitignore").write_text(".apb/\n")
    git(workspace.root, "init", "--quiet", "--initial-branch=main")
    save(workspace, "start")
    return workspace


def save(workspace: Workspace, message: str) -> None:
    git(workspace.root, "add", "--all")
    git(workspace.root, "commit", "--quiet", "--message", message)


def erase(workspace: Workspace, name: str, reason: str = REASON) -> None:
    erasure.erase(Repository(workspace.root), State(workspace.state), name, reason)


def faults(workspace: Workspace) -> list[str]:
    checks = json.loads(workspace.apb("verify", "--json").stdout)
    return [
        c["what"]
        for c in checks
        if c["level"] == "FAIL" and "among its limits" not in c["what"] and "not of" not in c["what"]
    ]


def test_numbers_and_names_go_and_those_of_others_stay(bench: Workspace) -> None:
    erase(bench, "cem-model")
    results = Results(bench.results)
    pairs, standings = results.pairs("jain"), results.standings("jain")
    assert pairs is not None and standings is not None
    assert (pairs.submissions, pairs.value, pairs.deviation) == (IDS[:2], (0.75, 0.625), ((), (0.25,)))
    assert set(standings.entries) == set(IDS[:2]) and all(s.to_best.value is None for s in standings.entries.values())
    assert {c.submission for c in results.history()} == set(IDS[:2])
    lines = {line.id: (line.login, line.commit) for line in intake.read(Repository(bench.root).intake)}
    assert lines["cem-model"] == (intake.GONE, None) and lines["ann-model"] == ("ann", "0" * 40)
    assert sorted(p.name for p in bench.state.glob("logs/*")) == list(IDS[:2])
    assert sorted(p.stem for p in bench.state.glob("predictions/*")) == ["key0"]
    assert b"cem" not in (bench.state / "ledger.jsonl").read_bytes()
    assert not (bench.root / "submissions" / "cem-model.yaml").exists()
    assert erasure.remains(Repository(bench.root), results, "cem-model") == []


def test_what_an_image_predicted_stays_for_the_other_entry_with_it(bench: Workspace) -> None:
    erase(bench, "ann-model")
    assert sorted(p.stem for p in bench.state.glob("predictions/*")) == ["key0", "key1"]


def test_it_is_for_one_entry_that_is_there_and_for_a_reason(bench: Workspace) -> None:
    for name, reason in (("nobody", REASON), ("../ann-model", REASON), ("ann-model", ""), ("ann-model", "a\x1b[31m")):
        with pytest.raises(UsageError):
            erase(bench, name, reason)
    erase(bench, "ann-model")
    with pytest.raises(UsageError, match="nothing left of"):
        erase(bench, "ann-model")
    done = bench.apb("erase", "ben-model", "--reason", REASON)
    assert done.returncode == 0 and "Next: apb evaluate --all" in done.stdout, done.stderr
    assert bench.apb("erase", "ben-model", "--reason", REASON).returncode == 2


def by_hand(bench: Workspace) -> None:
    shutil.rmtree(bench.results / "ben-model")


def tombstone_by_hand(bench: Workspace) -> None:
    by_hand(bench)
    line = {"date": "2026-01-01", "submission": "ben-model", "reason": "so", "history": []}
    with (bench.results / "erased.jsonl").open("a") as stream:
        stream.write(json.dumps(line) + "\n")


def another_reason(bench: Workspace) -> None:
    path = bench.results / "erased.jsonl"
    path.write_text(path.read_text().replace("request", "whim"))


def no_tombstone(bench: Workspace) -> None:
    (bench.results / "erased.jsonl").unlink()


def here_again(bench: Workspace) -> None:
    bench.submit("ann-model", "docker.io/me/x:1")


def a_line_of_anothers_history(bench: Workspace) -> None:
    path = bench.results / "history.jsonl"
    path.write_text("".join(line for line in path.read_text().splitlines(keepends=True) if "ben-model" not in line))


@pytest.mark.parametrize(
    ("harm", "told"),
    [
        (lambda _: None, ""),
        (by_hand, "has vanished"),
        (tombstone_by_hand, "is erased by hand"),
        (another_reason, "erased.jsonl is not as it was recorded"),
        (no_tombstone, "the line on ann-model"),
        (here_again, "ann-model was erased, and is in submissions/ann-model.yaml"),
        (a_line_of_anothers_history, "1 lines of the history"),
    ],
)
def test_a_tombstone_answers_for_its_own_entry_alone(
    bench: Workspace, harm: Callable[[Workspace], None], told: str
) -> None:
    erase(bench, "ann-model")
    harm(bench)
    found = faults(bench)
    assert any(told in fault for fault in found) if told else found == [], found


def test_a_crash_in_between_is_made_good_by_doing_it_again(bench: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("_rewrite_rankings", "_telling", "_own"):
        with monkeypatch.context() as patched:
            patched.setattr(erasure, name, lambda *_: 1 / 0)
            with pytest.raises(ZeroDivisionError):
                erase(bench, "ann-model")
    erase(bench, "ann-model")
    assert faults(bench) == [] and len(Results(bench.results).erased()) == 1


def test_what_others_have_erased_does_not_come_back_by_a_push(bench: Workspace) -> None:
    repository = Repository(bench.root)
    git(bench.root, "branch", "ours")
    erase(bench, "ann-model")
    save(bench, "theirs")
    theirs = git(bench.root, "rev-parse", "HEAD").strip()
    git(bench.root, "checkout", "--quiet", "ours")
    results = Results(bench.results)
    for name in IDS[:2]:
        record = results.get(name, "jain")
        assert isinstance(record, Result)
        results.put(record.model_copy(update={"evaluated_at": "2026-02-01", "scorer": "2"}))
    assert commit(repository, "ours")
    told = rejoin(repository, theirs)
    assert told == ["ann-model was erased by others; nothing of it is recorded"]
    assert erasure.remains(repository, results, "ann-model") == [] and faults(bench) == []
    again = results.get("ben-model", "jain")
    assert again is not None and again.evaluated_at == "2026-02-01"


def test_an_erasure_is_never_lost_in_a_push(bench: Workspace) -> None:
    git(bench.root, "branch", "theirs")
    erase(bench, "ann-model")
    save(bench, "one is erased")
    git(bench.root, "checkout", "--quiet", "theirs")
    results = Results(bench.results)
    record = results.get("ben-model", "jain")
    assert record is not None
    results.put(record.model_copy(update={"scorer": "2"}))
    theirs = commit(Repository(bench.root), "theirs")
    git(bench.root, "checkout", "--quiet", "main")
    assert theirs is not None
    with pytest.raises(EvaluatorError, match="apb erase again on top of theirs"):
        rejoin(Repository(bench.root), theirs)
    assert Path(bench.results / "erased.jsonl").is_file()


def said(entry: str, day: str, score: float = 0.5) -> Behaviour:
    """What an entry answered on the panel."""
    return Behaviour(
        submission=entry, panel="panel", status="ok", evaluated_at=day, sequences_sha256="0" * 64, software="0.2.0",
        image=ImageRecord(reference="docker.io/me/x:1", digest=None), run_key="k", scores=(score, 1.0),
    )  # fmt: skip


def looked(entry: str, day: str, digest: str) -> CardRecord:
    """What came of an entry's card."""
    return CardRecord(
        submission=entry, card="0" * 64, digest=digest, checked_at=day, checker="1", software="0.2.0", variables={}
    )


def test_answers_and_cards_of_both_are_there_after_a_push(bench: Workspace) -> None:
    git(bench.root, "branch", "ours")
    results = Results(bench.results)
    results.put_behaviour(said("ben-model", "2026-02-02", 0.25))
    results.put_card(looked("ben-model", "2026-02-02", "theirs"))
    results.put_behaviour(said("cem-model", "2026-01-02"))
    results.put_card(looked("cem-model", "2026-01-02", "theirs"))
    erase(bench, "ann-model")
    save(bench, "theirs")
    theirs = git(bench.root, "rev-parse", "HEAD").strip()
    git(bench.root, "checkout", "--quiet", "ours")
    for name in IDS:
        results.put_behaviour(said(name, "2026-02-01"))
        results.put_card(looked(name, "2026-02-01", "ours"))
    assert commit(Repository(bench.root), "ours")
    assert rejoin(Repository(bench.root), theirs) == ["ann-model was erased by others; nothing of it is recorded"]
    days = {name: answer.evaluated_at for name, answer in results.behaviours("panel").items()}
    assert days == {"ben-model": "2026-02-02", "cem-model": "2026-02-01"}
    found = {name: card.digest for name in IDS if (card := results.card(name))}
    assert found == {"ben-model": "theirs", "cem-model": "ours"}
    assert faults(bench) == []
