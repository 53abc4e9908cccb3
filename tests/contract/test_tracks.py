"""Tracks: what is shipped loads, what was changed is refused, and a run sees neither ids, order nor labels."""

from __future__ import annotations

import csv
import hashlib
import hmac
import io
import re
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from evaluator.contract.labels import TrackData, load_data
from evaluator.contract.sequences import BlindedInput
from evaluator.contract.submissions import Submission
from evaluator.contract.task_types import KINDS
from evaluator.contract.tracks import Track, entered_tracks, load_all
from evaluator.errors import EvaluatorError
from scripts import make_practice_tracks
from tests.conftest import ROOT

PUBLIC = ROOT / "test_data"
TRACKS = PUBLIC / "tracks"
REAL = ROOT.parent / "shared" / "data" / "hidden"
FILES = sorted(TRACKS.glob("*.yaml"))
PRACTICE = sorted(t.id for t in load_all(TRACKS).values() if t.purpose == "practice")
real_data = pytest.mark.skipif(not REAL.is_dir(), reason="the real data are not at hand")

SEQUENCES = "sequence_id,sequence\nNA,QVQLVESGGG\n007,EVQLLESGGG\n1e5,QVQLQQSGAE\n"
LABELS = "sequence_id,label\n1e5,1\nNA,0\n007,1\n"
PAIRED = "sequence_id,sequence,light_sequence\na,QVQL,DIQM\nb,EVQL,EIVL\n"


def description(**changes: object) -> dict[str, Any]:
    """A track of the three rows above, as its YAML would hold it."""
    regression = changes.get("task") == "regression"
    return {
        "id": "mini",
        "title": "Mini",
        "summary": "Three rows.",
        "assay": "none",
        "species": "none",
        "chains": "VH",
        "task": "classification",
        "n": 3,
        "classes": {"negative": 1, "positive": 2},
        "label_rule": "none",
        "source": {"citation": "none"},
        "licence": "Apache-2.0",
        "disclosure": "open",
        "primary_metric": "spearman" if regression else "roc_auc",
        "secondary_metric": "spearman" if regression else "average_precision",
        "ranked": "intervals",
        **changes,
    }


def sha256(data: str | bytes) -> str:
    return hashlib.sha256(data.encode() if isinstance(data, str) else data).hexdigest()


def load(
    folder: Path, sequences: str | bytes = SEQUENCES, labels: str | bytes = LABELS, **changes: object
) -> TrackData | None:
    """Write the two files, and load them as a track whose description names exactly these bytes."""
    (folder / "mini").mkdir()
    for name, data in (("sequences", sequences), ("labels", labels)):
        (folder / "mini" / f"{name}.csv").write_bytes(data.encode() if isinstance(data, str) else data)
    hashes = {"sequences": sha256(sequences), "labels": sha256(labels)}
    return load_data(Track.model_validate(description(**{"sha256": hashes, **changes})), folder)


def loaded(track_id: str, folder: Path = PUBLIC) -> TrackData:
    data = load_data(load_all(TRACKS)[track_id], folder)
    assert data is not None
    return data


def rows(blinded: BlindedInput) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(blinded.files["sequences.csv"].decode("utf-8"), newline="")))


# --- the shipped descriptions ----------------------------------------------------------------------------------------


def test_every_shipped_track_loads_benchmark_tracks_first() -> None:
    tracks = load_all(TRACKS)
    assert sorted(tracks) == sorted(path.stem for path in FILES)
    assert {"jain", "shehata", "harvey", "vhh48", *PRACTICE} <= set(tracks)
    purposes = [track.purpose for track in tracks.values()]
    assert purposes == sorted(purposes)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_shipped_description_is_complete(path: Path) -> None:
    track = load_all(TRACKS)[path.stem]
    assert track.primary_metric in KINDS[track.task].metrics
    assert track.secondary_metric in KINDS[track.task].metrics
    assert track.known_problems
    assert all((track.title, track.summary, track.assay, track.species, track.label_rule, track.licence))
    assert track.source.citation


@pytest.mark.parametrize(
    "changes",
    [
        {"id": "other"},
        {"id": "../mini"},
        {"n": 4},
        {"n": 0},
        {"classes": None},
        {"task": "regression"},
        {"task": "ranking"},
        {"chains": "VL"},
        {"disclosure": "secret"},
        {"colour": "red"},
        {"title": None},
        {"sha256": {"sequences": "abc"}},
        {"disclosure": "hidden", "sha256": {"labels": "0" * 64}},
    ],
    ids=str,
)
def test_wrong_description_is_our_fault_and_names_the_file(tmp_path: Path, changes: dict[str, object]) -> None:
    path = tmp_path / "mini.yaml"
    path.write_text(yaml.safe_dump(description()))
    assert list(load_all(tmp_path)) == ["mini"]
    path.write_text(yaml.safe_dump(description(**changes)))
    with pytest.raises(EvaluatorError, match=r"mini\.yaml"):
        load_all(tmp_path)


@pytest.mark.parametrize("data", [b"title: [", b"\xff", b"", b"- a"])
def test_unreadable_description_is_our_fault_and_names_the_file(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "mini.yaml").write_bytes(data)
    with pytest.raises(EvaluatorError, match=r"mini\.yaml"):
        load_all(tmp_path)


def test_a_retired_track_takes_no_entry_and_a_renamed_one_those_of_its_old_name() -> None:
    def entry(**fields: object) -> Submission:
        return Submission.model_validate({"id": "one", "name": "n", "docker_image": "a/b:1", "author": "a", **fields})

    now = Track.model_validate(description(id="now", formerly=["before"]))
    closed = Track.model_validate(description(id="closed", retired="It drifts."))
    for fields, entered in (({}, ["now"]), ({"tracks": ["before"]}, ["now"]), ({"tracks": ["closed"]}, [])):
        assert [t.id for t in entered_tracks(entry(**fields), [now, closed])] == entered


def test_a_name_is_never_used_twice(tmp_path: Path) -> None:
    for name, former in (("one", []), ("two", ["one"])):
        (tmp_path / f"{name}.yaml").write_text(yaml.safe_dump(description(id=name, formerly=former)))
    with pytest.raises(EvaluatorError, match="more than one track is or was called one"):
        load_all(tmp_path)


def test_folder_without_tracks_is_our_fault(tmp_path: Path) -> None:
    with pytest.raises(EvaluatorError) as caught:
        load_all(tmp_path)
    assert str(tmp_path) in str(caught.value)
    assert caught.value.exit_code == 3


# --- the data --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("track_id", PRACTICE)
def test_practice_data_are_the_ones_described(track_id: str) -> None:
    data = loaded(track_id)
    assert data.n == data.track.n == len(data.ids)
    assert len(data.truth) == (data.n if data.splits is None else len(data.splits.rows[0]))
    assert (
        data.sequences_sha256
        == data.track.sha256.sequences
        == sha256((PUBLIC / track_id / "sequences.csv").read_bytes())
    )
    assert data.track.sha256.labels == sha256((PUBLIC / track_id / "labels.csv").read_bytes())
    if data.track.classes:
        counts = Counter(data.truth.tolist())
        assert (counts[0], counts[1]) == (data.track.classes.negative, data.track.classes.positive)
    else:
        assert np.isfinite(data.truth).all()


@real_data
@pytest.mark.parametrize(
    ("track_id", "n", "positives", "columns"),
    [
        ("jain", 86, 27, ["sequence", "light_sequence"]),
        ("shehata", 398, 7, ["sequence", "light_sequence"]),
        ("vhh48", 48, None, ["sequence"]),
    ],
)
def test_real_data_are_the_ones_described(track_id: str, n: int, positives: int | None, columns: list[str]) -> None:
    data = loaded(track_id, REAL)
    assert data.n == n
    assert list(data.columns) == columns
    assert all(len(column) == n for column in data.columns.values())
    assert positives is None or int(data.truth.sum()) == positives


@real_data
def test_track_whose_data_are_not_at_hand_is_left_out() -> None:
    assert load_data(load_all(TRACKS)["harvey"], REAL) is None


def test_missing_folder_gives_none(tmp_path: Path) -> None:
    track = load_all(TRACKS)["smoke"]
    assert load_data(track, tmp_path) is None
    assert load_data(track, tmp_path / "nowhere") is None


@pytest.mark.parametrize("track_id", PRACTICE)
@pytest.mark.parametrize("name", ["sequences.csv", "labels.csv"])
@pytest.mark.parametrize("change", ["first byte", "last byte", "line ends", "one row less", "one byte more"])
def test_changed_data_are_refused_by_name(tmp_path: Path, track_id: str, name: str, change: str) -> None:
    shutil.copytree(PUBLIC / track_id, tmp_path / track_id)
    assert loaded(track_id, tmp_path).n > 0
    path = tmp_path / track_id / name
    data = path.read_bytes()
    changed = {
        "first byte": bytes([data[0] ^ 1]) + data[1:],
        "last byte": data[:-1] + bytes([data[-1] ^ 1]),
        "line ends": data.replace(b"\n", b"\r\n"),
        "one row less": data[: data.rstrip(b"\n").rindex(b"\n") + 1],
        "one byte more": data + b"\n",
    }[change]
    path.write_bytes(changed)
    with pytest.raises(EvaluatorError, match=re.escape(f"{track_id}/{name}")) as caught:
        loaded(track_id, tmp_path)
    assert caught.value.exit_code == 3


@pytest.mark.parametrize("name", ["sequences.csv", "labels.csv"])
def test_missing_file_is_refused_by_name(tmp_path: Path, name: str) -> None:
    shutil.copytree(PUBLIC / "smoke", tmp_path / "smoke")
    (tmp_path / "smoke" / name).unlink()
    with pytest.raises(EvaluatorError, match=re.escape(name)):
        loaded("smoke", tmp_path)


def test_data_without_a_recorded_hash_are_refused(tmp_path: Path) -> None:
    with pytest.raises(EvaluatorError, match="no hash"):
        load(tmp_path, sha256={})


def test_labels_are_matched_by_id_and_ids_stay_text(tmp_path: Path) -> None:
    data = load(tmp_path)
    assert data is not None
    assert data.ids == ("NA", "007", "1e5")
    assert data.truth.tolist() == [0, 1, 1]
    assert data.columns == {"sequence": ("QVQLVESGGG", "EVQLLESGGG", "QVQLQQSGAE")}


def test_targets_are_matched_by_id(tmp_path: Path) -> None:
    labels = "sequence_id,target\n1e5,-1.25\n007,1e300\nNA,0.1\n"
    data = load(tmp_path, labels=labels, task="regression", classes=None)
    assert data is not None
    assert data.truth.tolist() == [0.1, 1e300, -1.25]


REGRESSION: dict[str, object] = {"task": "regression", "classes": None}
PAIR: dict[str, object] = {"chains": "VH+VL", "n": 2, "classes": {"negative": 1, "positive": 1}}
MISFITS: dict[str, tuple[dict[str, Any], str]] = {
    "another id": ({"labels": LABELS.replace("007", "008")}, "labels.csv"),
    "id as a number": ({"labels": LABELS.replace("007", "7")}, "labels.csv"),
    "a label less": ({"labels": LABELS.replace("007,1\n", "")}, "labels.csv"),
    "a label more": ({"labels": LABELS + "x,1\n"}, "labels.csv"),
    "a label twice": ({"labels": LABELS + "007,1\n"}, "labels.csv"),
    "a row twice": ({"sequences": SEQUENCES + "NA,QVQLVESGGG\n"}, "sequences.csv"),
    "an empty id": ({"sequences": SEQUENCES.replace("007", ""), "labels": LABELS.replace("007", "")}, "sequences.csv"),
    "more rows than n": ({"n": 2, "classes": {"negative": 0, "positive": 2}}, "mini"),
    "fewer rows than n": ({"n": 4, "classes": {"negative": 2, "positive": 2}}, "mini"),
    "other class counts": ({"classes": {"negative": 2, "positive": 1}}, "labels.csv"),
    "label 2": ({"labels": LABELS.replace("NA,0", "NA,2")}, "labels.csv line 3"),
    "no label": ({"labels": LABELS.replace("NA,0", "NA,")}, "labels.csv line 3"),
    "label 1.0": ({"labels": LABELS.replace("1e5,1", "1e5,1.0")}, "labels.csv line 2"),
    "no label column": ({"labels": LABELS.replace("label", "class")}, "labels.csv"),
    "no id column in labels": ({"labels": LABELS.replace("sequence_id", "id")}, "labels.csv"),
    "no id column": ({"sequences": SEQUENCES.replace("sequence_id", "id")}, "sequences.csv"),
    "no sequence column": ({"sequences": SEQUENCES.replace(",sequence\n", ",vh\n")}, "sequences.csv"),
    "no sequence": ({"sequences": SEQUENCES.replace("EVQLLESGGG", "")}, "sequences.csv line 3"),
    "lower-case sequence": ({"sequences": SEQUENCES.replace("EVQ", "evq")}, "sequences.csv line 3"),
    "gap in sequence": ({"sequences": SEQUENCES.replace("EVQ", "E-Q")}, "sequences.csv line 3"),
    "stop in sequence": ({"sequences": SEQUENCES.replace("EVQ", "E*Q")}, "sequences.csv line 3"),
    "space in sequence": ({"sequences": SEQUENCES.replace("EVQ", "E Q")}, "sequences.csv line 3"),
    "targets on a classification track": ({"labels": LABELS.replace("label", "target")}, "labels.csv"),
    "labels on a regression track": (REGRESSION, "labels.csv"),
    "target NaN": ({**REGRESSION, "labels": "sequence_id,target\nNA,nan\n007,1\n1e5,2\n"}, "labels.csv"),
    "target inf": ({**REGRESSION, "labels": "sequence_id,target\nNA,inf\n007,1\n1e5,2\n"}, "labels.csv"),
    "target text": ({**REGRESSION, "labels": "sequence_id,target\nNA,high\n007,1\n1e5,2\n"}, "labels.csv"),
    "no light chains": ({"chains": "VH+VL"}, "light_sequence"),
    "an empty light chain": (
        {**PAIR, "sequences": PAIRED.replace("EIVL", ""), "labels": "sequence_id,label\na,0\nb,1\n"}, "light_sequence",
    ),
    "empty file": ({"labels": ""}, "labels.csv"),
    "ragged file": ({"labels": LABELS + "x,1,2,3\n"}, "labels.csv"),
    "not UTF-8": ({"sequences": SEQUENCES.encode() + b"caf\xe9,QVQL\n"}, "sequences.csv"),
}  # fmt: skip


@pytest.mark.parametrize("case", MISFITS)
def test_data_that_do_not_fit_are_refused_by_name(tmp_path: Path, case: str) -> None:
    changes, named = MISFITS[case]
    with pytest.raises(EvaluatorError, match=re.escape(named)):
        load(tmp_path, **changes)


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("n: 0x3", "Write 3"), ("n: many", "Line 2: 'n' must be a whole number"), ("n: 0", "'n' should be more than 0"),
        ("colour: red", "'colour' is not a field. Known are:"), ("chains: VL", "Known are: VH, VH+VL, VHH"),
        ("sha256: {sequences: x}", "'sha256.sequences' is not of the form"),
        ("source: {}", "'source.citation' is required"),
        ("n: [", "a bracket is opened and not closed"), ("id: Mini", "'id' is no id"), ("n: 3 #x\n - y", "Line"),
        ("primary_metric: mcc", "A classification track is ranked by"),
    ],
)  # fmt: skip
def test_a_wrong_track_file_is_told_in_plain_words_with_its_line(tmp_path: Path, line: str, told: str) -> None:
    key = line.partition(":")[0]
    rest = {name: value for name, value in description().items() if name not in (key, "id")}
    first = "" if key == "id" else "id: mini\n"
    (tmp_path / "mini.yaml").write_text(f"{first}{line}\n{yaml.safe_dump(rest)}")
    with pytest.raises(EvaluatorError) as caught:
        load_all(tmp_path)
    assert told in str(caught.value) and "mini.yaml" in str(caught.value)
    assert not re.search("pydantic|validation error|Input should|flow sequence", str(caught.value))


# --- hidden labels ---------------------------------------------------------------------------------------------------

KEY = "0123456789abcdef" * 4


def load_hidden(folder: Path, key: str) -> TrackData | None:
    (folder / "labels.key").write_text(f"{key}\n")
    keyed = hmac.new(KEY.encode(), LABELS.encode(), hashlib.sha256).hexdigest()
    hashes = {"sequences": sha256(SEQUENCES)}
    return load(folder, disclosure="hidden", sha256=hashes, labels_hmac_sha256=keyed)


def test_hidden_labels_are_checked_with_the_maintainers_key(tmp_path: Path) -> None:
    data = load_hidden(tmp_path, KEY)
    assert data is not None
    assert data.truth.tolist() == [0, 1, 1]


@pytest.mark.parametrize("key", ["", "short", KEY[::-1]])
def test_hidden_labels_are_refused_without_the_right_key(tmp_path: Path, key: str) -> None:
    with pytest.raises(EvaluatorError) as caught:
        load_hidden(tmp_path, key)
    assert sha256(LABELS) not in str(caught.value)  # a plain hash would confirm a guessed labelling
    assert KEY[::-1] not in str(caught.value)


# --- what a run sees -------------------------------------------------------------------------------------------------

SEEDS = st.integers(0, 2**64)


@settings(deadline=None, max_examples=30)
@given(st.sampled_from(PRACTICE), SEEDS)
def test_every_row_is_there_once_with_its_own_sequence(track_id: str, seed: int) -> None:
    data = loaded(track_id)
    blinded = data.sequences.blinded(seed)
    found = rows(blinded)
    assert len(found) == len(blinded.ids) == data.n
    assert {row["sequence_id"]: row["sequence"] for row in found} == dict(
        zip(blinded.ids, data.columns["sequence"], strict=True)
    )


@settings(deadline=None, max_examples=30)
@given(SEEDS, SEEDS)
def test_same_seed_same_bytes_other_seed_other_ids_and_order(one: int, two: int) -> None:
    data = loaded("smoke")
    first, again, second = data.sequences.blinded(one), data.sequences.blinded(one), data.sequences.blinded(two)
    assert first == again
    if one != two:
        assert not set(first.ids) & set(second.ids)
        assert [row["sequence"] for row in rows(first)] != [row["sequence"] for row in rows(second)]


@settings(deadline=None, max_examples=30)
@given(st.sampled_from(PRACTICE), SEEDS)
def test_ids_and_order_tell_nothing(track_id: str, seed: int) -> None:
    data = loaded(track_id)
    blinded = data.sequences.blinded(seed)
    text = blinded.files["sequences.csv"].decode()
    assert not any(original in text for original in data.ids)
    assert all(re.fullmatch(r"[0-9a-f]{12}", i) for i in blinded.ids)
    assert len(set(blinded.ids)) == data.n
    assert list(blinded.ids) != sorted(blinded.ids)  # the ids do not count the rows of the track
    assert [row["sequence_id"] for row in rows(blinded)] != list(blinded.ids)


@settings(deadline=None, max_examples=30)
@given(SEEDS)
def test_classes_are_not_in_blocks(seed: int) -> None:
    """A published order that puts all positives first must not survive."""
    data = loaded("smoke")
    truth = dict(zip(data.sequences.blinded(seed).ids, data.truth.tolist(), strict=True))
    order = [truth[row["sequence_id"]] for row in rows(data.sequences.blinded(seed))]
    assert order not in (sorted(order), sorted(order, reverse=True))


def test_labels_and_notes_beside_the_sequences_never_leave(tmp_path: Path) -> None:
    lines = SEQUENCES.splitlines()
    secret = "\n".join([f"{lines[0]},label,origin", *(f"{line},1,SECRET" for line in lines[1:])]) + "\n"
    data = load(tmp_path, sequences=secret)
    assert data is not None
    text = data.sequences.blinded(7).files["sequences.csv"].decode()
    assert text.splitlines()[0] == "sequence_id,sequence"
    assert "SECRET" not in text
    assert "label" not in text


@pytest.mark.parametrize("track_id", PRACTICE)
def test_input_has_the_columns_of_the_contract(track_id: str) -> None:
    header, *lines = loaded(track_id).sequences.blinded(1).files["sequences.csv"].decode().splitlines()
    chains = load_all(TRACKS)[track_id].chains
    paired = chains in {"VH+VL", "mixed"}
    assert header == "sequence_id,sequence" + ",light_sequence" * paired
    light = ",[A-Z]*" if chains == "mixed" else ",[A-Z]+" * paired
    assert all(re.fullmatch(r"[0-9a-f]{12},[A-Z]+" + light, line) for line in lines)


def test_there_is_a_practice_track_for_every_shape_that_a_track_can_have() -> None:
    tracks = load_all(TRACKS).values()
    every = {f"{chain}, {task}" for chain in ("VH", "VH+VL", "VHH") for task in KINDS if task != "few_shot"}
    every |= {"VH, few_shot", "mixed, few_shot"}
    assert {t.shape for t in tracks if t.purpose == "practice"} == every


def test_the_practice_tracks_are_made_the_same_every_time(tmp_path: Path) -> None:
    for name, rows in make_practice_tracks.tracks().items():
        make_practice_tracks.write(rows, tmp_path / name)
        for file in ("sequences.csv", "labels.csv"):
            assert (tmp_path / name / file).read_bytes() == (PUBLIC / name / file).read_bytes()


def test_paired_input_has_the_light_chain_beside_its_heavy_chain(tmp_path: Path) -> None:
    data = load(tmp_path, PAIRED, "sequence_id,label\na,0\nb,1\n", **PAIR)
    assert data is not None
    for seed in range(20):
        blinded = data.sequences.blinded(seed)
        assert list(rows(blinded)[0]) == ["sequence_id", "sequence", "light_sequence"]
        assert {(r["sequence_id"], r["sequence"], r["light_sequence"]) for r in rows(blinded)} == {
            (blinded.ids[0], "QVQL", "DIQM"),
            (blinded.ids[1], "EVQL", "EIVL"),
        }


@real_data
@pytest.mark.parametrize("track_id", ["jain", "shehata"])
def test_real_paired_input_has_the_light_chains(track_id: str) -> None:
    data = loaded(track_id, REAL)
    blinded = data.sequences.blinded(3)
    found = {row["sequence_id"]: (row["sequence"], row["light_sequence"]) for row in rows(blinded)}
    pairs = zip(data.columns["sequence"], data.columns["light_sequence"], strict=True)
    assert found == dict(zip(blinded.ids, pairs, strict=True))
    assert not any(original in blinded.files["sequences.csv"].decode() for original in data.ids)


def test_some_rows_only_are_those_rows() -> None:
    data = loaded("smoke")
    chosen = [5, 3, 40]
    blinded = data.sequences.take(chosen).blinded(11)
    found = {row["sequence_id"]: row["sequence"] for row in rows(blinded)}
    assert [found[i] for i in blinded.ids] == [data.columns["sequence"][row] for row in chosen]
    assert len(found) == 3
