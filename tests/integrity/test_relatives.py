"""What entries were trained on, held against tracks: by sequences or salted hashes; scored; unknown where not."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from evaluator.checking import training
from evaluator.contract import submissions, tables
from evaluator.contract.labels import load_data
from evaluator.contract.submissions import Submission
from evaluator.contract.tracks import load_all
from evaluator.errors import EvaluatorError, Problem, SubmissionError
from evaluator.integrity import overlap, relatives, salted
from evaluator.integrity.findings import Exact
from evaluator.scoring.scored import Scored
from evaluator.settings import Repository
from tests.conftest import REAL_DATA, ROOT, Workspace

TRACKS = load_all(ROOT / "test_data" / "tracks")
KNOWN = relatives.load(ROOT / "test_data" / "relatives")
PUBLIC = ROOT / "test_data"
NOT_THERE = "https://nowhere.invalid/train.csv"


def entry(**fields: Any) -> Submission:
    content = {"name": "x", "docker_image": "docker.io/me/x:1", "author": "me", **fields}
    return submissions.parse(json.dumps(content).encode(), "my-model")


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


CHAINS = st.lists(st.text("ACDEFGHIKLMNPQRSTVWY", min_size=1, max_size=8), min_size=1, max_size=20)


@given(heavy=CHAINS, others=CHAINS)
def test_hashes_find_exactly_the_same_and_nothing_else(heavy: list[str], others: list[str]) -> None:
    content, path = salted.as_csv(heavy), Path("hashes.csv")
    known = overlap.known_of(tables.parse(content, path), path, "0" * 64, "x")
    found, identity = overlap.of_known(others, known)
    assert identity.tolist() == [float(one in heavy) for one in others]
    assert found == Exact(rows=len(others), others=len(set(heavy)), exact=int(identity.sum()))
    assert not set(salted.as_csv(heavy).split()[1:]) & set(content.split()[1:])  # another salt, other hashes


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ("salt,hash\n" + "0" * 32 + ",xyz\n", "line 2: the hash"),
        ("salt,hash\n00," + "0" * 64 + "\n", "no one salt"),
        (f"salt,hash\n{'0' * 32},{'0' * 64}\n{'1' * 32},{'0' * 64}\n", "no one salt"),
        ("hash\n" + "0" * 64 + "\n", "no one salt"),
    ],
)
def test_what_are_no_hashes_is_told(tmp_path: Path, content: str, why: str) -> None:
    (tmp_path / "h.csv").write_text(content)
    with pytest.raises(EvaluatorError, match=why):
        overlap.read_known(tmp_path / "h.csv")


def test_what_was_not_compared_is_unknown() -> None:
    track = TRACKS["jain"]
    found = relatives.of(entry(training_data=["boughter", "oas"]), track, KNOWN)
    assert found is not None and list(found.sets) == ["boughter"] and found.unknown == ("oas",)
    found = relatives.of(entry(), track, KNOWN)
    assert found is not None and not found.sets and found.unknown == ("undisclosed",)
    assert relatives.of(entry(training_data=["none"]), track, KNOWN) is None
    assert relatives.of(entry(training_data=["boughter"]), TRACKS["fewshot-poly"], KNOWN) is None
    hidden = track.model_copy(update={"disclosure": "hidden"})
    assert relatives.of(entry(training_data=["boughter"]), hidden, KNOWN) is None
    changed = track.model_copy(update={"sha256": track.sha256.model_copy(update={"sequences": "0" * 64})})
    found = relatives.of(entry(training_data=["boughter"]), changed, KNOWN)
    assert found is not None and found.unknown == ("boughter",)


def test_an_own_file_counts_only_as_it_was_compared() -> None:
    track, known = TRACKS["jain"], KNOWN["boughter"]
    own = {**KNOWN, "my-model": known.model_copy(update={"name": "my-model"})}
    file = {"url": NOT_THERE, "sha256": known.sha256}
    found = relatives.of(entry(training_data=["private"], training_sequences=file), track, own)
    assert found is not None and list(found.sets) == ["my-model"] and found.unknown == ()
    for also in ("undisclosed", "oas", "jain"):  # one row in a file clears nothing else
        found = relatives.of(entry(training_data=[also], training_sequences=file), track, own)
        assert found is not None and "my-model" in found.sets
        assert found.unknown == (() if also in KNOWN else (also,)), also
    file["sha256"] = "0" * 64
    found = relatives.of(entry(training_data=["private"], training_sequences=file), track, own)
    assert found is not None and found.unknown == ("private", "its own file")


def test_on_a_few_shot_track_meta_training_and_an_own_file_are_counted_and_no_rows_left_out() -> None:
    track, file = TRACKS["fewshot-poly"], {"url": NOT_THERE, "sha256": KNOWN["boughter"].sha256}
    own = {**KNOWN, "my-model": KNOWN["boughter"].model_copy(update={"name": "my-model"})}
    few_shot = {"meta_training": ["Jain 2017", "my scans", "synthetic"]}
    mine = entry(training_data=["gdpa1", "private"], training_sequences=file, few_shot=few_shot)
    found = relatives.of_few_shot(mine, track, own)
    assert found is not None and found.unknown == ("my scans",)
    assert {name: len(one.rows) for name, one in found.sets.items()} == {"gdpa1": 221, "jain": 158, "my-model": 14}
    assert relatives.of(mine, track, own) is None
    silent = relatives.of_few_shot(entry(training_data=["none"], few_shot={"mode": "inductive"}), track, own)
    assert silent is not None and silent.unknown == ("undisclosed",)
    clean = entry(training_data=["none"], few_shot={"meta_training": ["synthetic"]})
    assert relatives.of_few_shot(clean, track, own) is None
    hidden = track.model_copy(update={"disclosure": "hidden"})
    assert relatives.of_few_shot(mine, hidden, own) is None


def test_the_known_sets_are_of_these_tracks_and_say_what_the_page_says() -> None:
    counts = {t: len(one.rows) for t, one in KNOWN["boughter"].tracks.items()}
    few_shot = {"fewshot-cr6261": 0, "fewshot-poly": 14}
    assert counts == {
        **few_shot,
        "gdpa1": 4,
        "harvey1k": 0,
        "jain": 2,
        "jain137": 4,
        "shehata": 8,
        "shehata-psr": 8,
        "vhh48": 0,
    }
    for known in KNOWN.values():
        assert all(one.sequences_sha256 == TRACKS[t].sha256.sequences for t, one in known.tracks.items())


@pytest.mark.skipif(not REAL_DATA.is_dir(), reason="the real data are not at hand")
def test_the_rows_are_those_of_the_real_data() -> None:
    data = [load_data(TRACKS[name], REAL_DATA / "hidden") for name in ("jain", "shehata")]
    known = overlap.read_known(REAL_DATA / "train" / "boughter_vh.csv", "boughter")
    found = relatives.compare(known, [one for one in data if one])
    assert found.tracks == {name: KNOWN["boughter"].tracks[name] for name in ("jain", "shehata")}


def test_the_score_without_relatives_is_that_of_the_rows_left() -> None:
    data = load_data(TRACKS["smoke"], PUBLIC)
    assert data is not None
    rng = np.random.default_rng(1)
    scored = Scored.on(data, rng.random(data.n), rng.integers(0, 2, data.n).astype(np.int8))
    some = overlap.Known("boughter", data.columns["sequence"][:9], "0" * 64)
    compared = relatives.compare(some, [data])
    found = relatives.of(entry(training_data=["boughter"]), data.track, {"boughter": compared})
    assert found is not None
    told = relatives.score(found, scored, "roc_auc")
    keep = found.keep(data.n)
    assert not keep[:9].any() and told.rows == keep.sum() and told.sets == {"boughter": data.n - told.rows}
    assert told.value.value == pytest.approx(roc_auc_score(data.truth[keep], scored.score[keep]))
    nothing = relatives.of(entry(), data.track, {})
    assert nothing is not None
    unknown = relatives.score(nothing, scored, "roc_auc")
    assert unknown.value.value is None and "never compared" in (unknown.value.reason or "")


def look(workspace: Workspace, one: Submission, **options: Any) -> tuple[list[Problem], dict[str, str]]:
    said: dict[str, str] = {}
    options = {"train": None, "hidden": None, **options}
    found = training.look(Repository(workspace.root), one, "line 4", say=said.__setitem__, **options)
    return list(found), said


def test_a_check_tells_what_is_known_and_what_is_not(workspace: Workspace) -> None:
    notes, said = look(workspace, entry(training_data=["boughter", "oas"]))
    assert "jain 2 of 86" in said["relatives in boughter"]
    assert [note.code for note in notes] == ["TRAINING_UNKNOWN"] and "oas" in notes[0].what
    assert look(workspace, entry(training_data=["none"])) == ([], {})


@pytest.mark.parametrize("hashed", [False, True])
def test_a_check_looks_through_the_entrys_own_file(workspace: Workspace, tmp_path: Path, hashed: bool) -> None:
    train = tmp_path / "train.csv"
    chains = tables.read_csv(PUBLIC / "canary.csv")["sequence"][:3]
    train.write_text("sequence\n" + "\n".join(chains) + "\n")
    if hashed:
        train.write_bytes(salted.as_csv(chains))
    one = entry(training_data=["private"], training_sequences={"url": NOT_THERE, "sha256": sha256(train)})
    notes, said = look(workspace, one, train=train)
    assert said["training file"].startswith(f"3 {'hashes' if hashed else 'heavy chains'}")
    assert [note.code for note in notes] == ["CANARY", "TRAINING_UNKNOWN"] and "3 canaries" in notes[0].what
    assert "jain" in notes[1].what and "not clean" in notes[1].what


def test_a_file_that_cannot_be_had_is_unknown_and_another_one_is_refused(workspace: Workspace, tmp_path: Path) -> None:
    train = tmp_path / "train.csv"
    train.write_text("sequence\nEVQ\n")
    one = entry(training_sequences={"url": NOT_THERE, "sha256": "0" * 64})
    notes, _ = look(workspace, one)
    assert [note.code for note in notes] == ["TRAINING_UNKNOWN"] and notes[0].where == "line 4"
    with pytest.raises(SubmissionError, match="has the sha256"):
        look(workspace, one, train=train)
    train.write_text("seq\nEVQ\n")
    one = entry(training_sequences={"url": NOT_THERE, "sha256": sha256(train)})
    with pytest.raises(SubmissionError, match="no column sequence") as caught:
        look(workspace, one, train=train)
    assert caught.value.code == "TRAINING_FILE" and caught.value.problems[0].where == "line 4"


@pytest.mark.parametrize("named", ["undisclosed", "oas"])
def test_a_file_of_ones_own_clears_nothing_else(workspace: Workspace, tmp_path: Path, named: str) -> None:
    (tmp_path / "train.csv").write_text("sequence\nEVQ\n")
    file = {"url": NOT_THERE, "sha256": sha256(tmp_path / "train.csv")}
    one = entry(training_data=["private", named], training_sequences=file) if named != "undisclosed" else None
    notes, _ = look(workspace, one or entry(training_sequences=file), train=tmp_path / "train.csv")
    assert any(note.code == "TRAINING_UNKNOWN" and f"says {named}" in note.what for note in notes)


@pytest.mark.skipif(not REAL_DATA.is_dir(), reason="the real data are not at hand")
def test_who_has_the_sequences_has_the_relatives_told(workspace: Workspace) -> None:
    train = REAL_DATA / "train" / "boughter_vh.csv"
    one = entry(training_data=["private"], training_sequences={"url": NOT_THERE, "sha256": sha256(train)})
    notes, said = look(workspace, one, train=train, hidden=REAL_DATA / "hidden")
    assert said["relatives on jain"].startswith("0 the same, 0 at .95, 2 at .90, nearest 0.919")
    assert [note.code for note in notes] == ["TRAINING_UNKNOWN"]
    assert "with fewshot-cr6261, fewshot-poly, harvey: unknown" in notes[0].what  # whose sequences are not there


def test_the_command_keeps_a_comparison_and_salts_a_file(workspace: Workspace) -> None:
    few = workspace.root / "few.csv"
    few.write_text("\n".join((PUBLIC / "smoke" / "sequences.csv").read_text().splitlines()[:6]) + "\n")
    on_smoke = ("--hidden", "test_data", "--tracks", "smoke")
    done = workspace.apb("overlap", "--train", "few.csv", *on_smoke, "--write", "flab")
    assert done.returncode == 0, done.stderr
    kept = relatives.load(workspace.root / "test_data" / "relatives")["flab"]
    assert kept.sha256 == sha256(few) and kept.tracks["smoke"].rows[:5] == (0, 1, 2, 3, 4)
    assert workspace.apb("overlap", "--train", "few.csv", "--salted", "hashes.csv").returncode == 0
    done = workspace.apb("overlap", "--train", "hashes.csv", *on_smoke)
    assert "5 the same by their hashes" in done.stdout, done.stderr
    (workspace.root / "test_data" / "relatives" / "flab.json").write_text('{"name": "flab"}')
    with pytest.raises(EvaluatorError, match="is no comparison"):
        relatives.load(workspace.root / "test_data" / "relatives")
