"""Few-shot tracks: what a run shows, what it never shows, and what is refused when the track is read."""

from __future__ import annotations

import csv
import io
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from evaluator.contract.episodes import EpisodeSequences, Splits
from evaluator.contract.few_shot import FewShot
from evaluator.contract.labels import TrackData, load_data
from evaluator.contract.submissions import Submission
from evaluator.contract.tracks import Track, entered_tracks, load_all
from evaluator.errors import EvaluatorError
from evaluator.integrity.contamination import trained_on
from tests.conftest import ROOT
from tests.contract.test_tracks import description, sha256

TRACKS = load_all(ROOT / "test_data" / "tracks")
PRACTICE = [t.id for t in TRACKS.values() if t.few_shot and t.purpose == "practice"]
ONE = {"title": "one", "kind": "panel", "cluster": "x"}
FEW: dict[str, Any] = {
    "sizes": [0, 16],
    "replicates": 3,
    "queries": 30,
    "chunk": 10,
    "seed": 5,
    "canaries": 2,
    "reference": "few-shot-ridge",
    "tasks": [
        {**ONE, "id": "task-a", "support": "a", "queries": "a", "run": "within"},
        {**ONE, "id": "task-b", "support": "b", "queries": "b", "run": "within"},
        {**ONE, "id": "a-to-b", "support": "a", "queries": "b", "run": "across", "sizes": [16]},
    ],
}
LETTERS = "ACDEFGHIKLMNPQRSTVWY"


def chain(k: int) -> str:
    """A sequence of its own for each number."""
    return "".join(LETTERS[k // 20**place % 20] for place in range(4)) + "QVQL"


def splits(n: int = 70, *, few: dict[str, Any] = FEW, seed: int = 0, missing: int = 10) -> Splits:
    """Two assays, each of which has not measured some of the antibodies."""
    rng = np.random.default_rng(seed)
    targets = {name: rng.normal(size=n) for name in ("a", "b")}
    targets["a"][:missing] = np.nan
    targets["b"][n - missing :] = np.nan
    columns = {"sequence": tuple(map(chain, range(n)))}
    return Splits(FewShot.model_validate(few), tuple(f"id{k}" for k in range(n)), columns, targets)


def tables(given: EpisodeSequences, seed: int = 1) -> dict[str, list[dict[str, str]]]:
    files = given.blinded(seed).files
    return {name: list(csv.DictReader(io.StringIO(data.decode(), newline=""))) for name, data in files.items()}


def practice(track_id: str) -> TrackData:
    data = load_data(TRACKS[track_id], ROOT / "test_data")
    assert data is not None
    return data


# --- what a run shows ------------------------------------------------------------------------------------------------


@settings(deadline=None, max_examples=25)
@given(n=st.integers(60, 120), seed=st.integers(0, 10**6), missing=st.integers(0, 12))
def test_no_run_gives_anything_of_an_antibody_that_it_asks_for(n: int, seed: int, missing: int) -> None:
    made = splits(n, seed=seed, missing=missing)
    for episode in made.episodes:
        given_ = {k for one in episode.asked for k in one.support.tolist()}
        asked = {k for one in episode.asked for k in one.queries.tolist()}
        assert not given_ & asked
        for one in episode.asked:
            assert len(set(one.support.tolist())) == len(one.support) == episode.size
            assert 20 <= len(one.queries) <= 30


def test_small_supports_begin_large_ones_and_all_sizes_ask_for_the_same() -> None:
    made = splits()
    by = {(e.run, e.size, e.replicate): e for e in made.episodes if not e.shuffled}
    for (run, size, replicate), episode in by.items():
        largest = by[run, 16, replicate]
        for one in episode.asked:
            other = next(o for o in largest.asked if o.task == one.task)
            assert one.support.tolist() == other.support[:size].tolist()
            assert one.queries.tolist() == other.queries.tolist()


def test_replicates_differ_and_a_further_task_changes_nothing_for_the_others() -> None:
    made = splits()
    first, second = (
        e for e in made.episodes if e.run == "within" and e.size == 16 and e.replicate < 2 and not e.shuffled
    )
    assert first.asked[0].support.tolist() != second.asked[0].support.tolist()
    fewer = splits(few={**FEW, "tasks": FEW["tasks"][:2]})
    assert [fewer.sha256(t) for t in fewer.few_shot.tasks] == [made.sha256(t) for t in made.few_shot.tasks[:2]]


def test_the_order_of_the_file_changes_nothing() -> None:
    made = splits()
    order = np.random.default_rng(3).permutation(len(made.ids))
    moved = Splits(
        made.few_shot,
        tuple(made.ids[k] for k in order),
        {name: tuple(cells[k] for k in order) for name, cells in made.columns.items()},
        {name: values[order] for name, values in made.targets.items()},
    )
    assert [moved.sha256(t) for t in moved.few_shot.tasks] == [made.sha256(t) for t in made.few_shot.tasks]


def test_runs_are_as_many_as_the_track_says_and_rows_follow_them() -> None:
    made = splits()
    assert len(made.episodes) == made.few_shot.runs == 3 * 3 + 2 * 2
    run, task, antibody = made.rows
    assert len(run) == len(made.truth) == sum(e.n for e in made.episodes)
    assert np.isfinite(made.truth).all()
    names = [t.queries for t in made.few_shot.tasks]
    assert all(made.targets[names[t]][a] == y for t, a, y in zip(task, antibody, made.truth, strict=True))


@pytest.mark.parametrize("track_id", PRACTICE)
def test_a_run_sees_opaque_ids_and_no_target_of_a_query(track_id: str) -> None:
    data = practice(track_id)
    assert data.splits is not None
    for number, episode in enumerate(data.splits.episodes):
        given_ = data.run(number, together=False)
        assert isinstance(given_, EpisodeSequences)
        found = tables(given_)
        queries, support, tasks = found["sequences.csv"], found["support.csv"], found["tasks.csv"]
        assert list(queries[0]) == ["sequence_id", *data.columns, "task_id", "chunk_id"]
        assert len(support) == sum(len(one.support) for one in episode.asked)
        ids = [row["sequence_id"] for row in queries + support]
        assert len(set(ids)) == len(ids) and not set(ids) & set(data.ids)
        assert {row["task_id"] for row in queries} == {row["task_id"] for row in tasks}
        for row in tasks:
            assert int(row["n_query"]) == sum(q["task_id"] == row["task_id"] for q in queries)
            assert int(row["n_support"]) == sum(s["task_id"] == row["task_id"] for s in support)
        chunks = defaultdict(set)
        for row in queries:
            chunks[row["chunk_id"]].add(row["task_id"])
        assert all(len(of) == 1 for of in chunks.values())
        names = {cells: k for k, cells in enumerate(zip(*data.columns.values(), strict=True))}
        shown = [names[tuple(row[c] for c in data.columns)] for row in support]
        assert not set(shown) & {names[tuple(row[c] for c in data.columns)] for row in queries}


def test_nothing_is_given_at_size_0_but_the_header() -> None:
    data = practice("smoke-landscape")
    text = data.run(0, together=False).blinded(1).files["support.csv"].decode()
    assert text == "task_id,sequence_id,sequence,target\n"


def test_shuffled_supports_hold_the_same_targets_in_another_order() -> None:
    made = splits()
    plain = {(e.run, e.replicate): e for e in made.episodes if e.size == 16 and not e.shuffled}
    for episode in (e for e in made.episodes if e.shuffled):
        for one, other in zip(episode.asked, plain[episode.run, episode.replicate].asked, strict=True):
            assert one.support.tolist() == other.support.tolist()
            assert sorted(one.given) == sorted(other.given) and one.given.tolist() != other.given.tolist()


def test_fewer_queries_keep_the_whole_support() -> None:
    data = practice("smoke-panels")
    given_ = data.run(2, together=False)
    assert isinstance(given_, EpisodeSequences)
    some = tables(given_.take([3, 1]))
    assert len(some["sequences.csv"]) == 2
    assert len(some["support.csv"]) == len(tables(given_)["support.csv"])


def test_one_run_of_each_name_is_audited() -> None:
    data = practice("smoke-panels")
    assert [s.audit_rows > 0 for s in data.runs(together=False)] == [False, True, True]


# --- who takes part --------------------------------------------------------------------------------------------------


def entry(**fields: Any) -> Submission:
    return Submission(id="mine", name="m", docker_image="a/b:1", author="a", **fields)


def test_only_entries_that_say_so_take_part() -> None:
    few = {t.id for t in TRACKS.values() if t.few_shot}
    plain = {t.id for t in entered_tracks(entry(), TRACKS.values())}
    assert not plain & few
    assert few <= {t.id for t in entered_tracks(entry(few_shot={"mode": "inductive"}), TRACKS.values())}
    named = {t.id for t in entered_tracks(entry(tracks=("fewshot-cr6261",)), TRACKS.values())}
    assert named & few == {"fewshot-cr6261"}


# --- what is refused -------------------------------------------------------------------------------------------------


def task(**changes: Any) -> dict[str, Any]:
    return {**FEW, "tasks": [{**FEW["tasks"][0], **changes}, *FEW["tasks"][1:]]}


@pytest.mark.parametrize(
    "few",
    [
        {**FEW, "sizes": [16, 0]},
        {**FEW, "sizes": [0, 17]},
        {**FEW, "queries": 100_000},
        {**FEW, "queries": 1},
        {**FEW, "canaries": 4},
        {**FEW, "sizes": [0], "tasks": FEW["tasks"][:2]},
        {**FEW, "sizes": [0, 16, 64], "tasks": [{**t, "sizes": [0, 16]} for t in FEW["tasks"]]},
        {**FEW, "tasks": []},
        task(id="task-b"),
        task(sizes=[64]),
        task(kind="single"),
        task(wild_type="QVQL"),
        task(run="across", sizes=[16]),
    ],
)
def test_a_description_that_cannot_be_is_refused(few: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        FewShot.model_validate(few)


def read(folder: Path, sequences: str, labels: str, few: dict[str, Any] | None = None) -> TrackData | None:
    (folder / "mini").mkdir()
    for name, text in (("sequences", sequences), ("labels", labels)):
        (folder / "mini" / f"{name}.csv").write_text(text)
    fields = description(
        task="few_shot", classes=None, n=sequences.count("\n") - 1, primary_metric="spearman_few",
        secondary_metric="spearman_k0", few_shot=few or {**FEW, "tasks": FEW["tasks"][:1]},
        sha256={"sequences": sha256(sequences), "labels": sha256(labels)},
    )  # fmt: skip
    return load_data(Track.model_validate(fields), folder)


def files(n: int = 60, assay: str = "a") -> tuple[str, str]:
    sequences = "sequence_id,sequence\n" + "".join(f"id{k},{chain(k)}\n" for k in range(n))
    labels = "sequence_id,assay,target\n" + "".join(f"id{k},{assay},{k % 7}\n" for k in range(n))
    return sequences, labels


def test_a_well_formed_track_is_read(tmp_path: Path) -> None:
    data = read(tmp_path, *files())
    assert data is not None and data.splits is not None and data.n == 60


@pytest.mark.parametrize(
    ("sequences", "labels", "told"),
    [
        (("id3,", "id3,"), ("id3,a,3", "id3,a,nan"), "line 5: the target is missing"),
        (("id3,", "id3,"), ("id3,a,3", "id3,a,inf"), "line 5: the target is not finite"),
        (("id3,", "id3,"), ("id3,a,3", "id3,c,3"), "line 5: the assay 'c' is unknown"),
        (("id3,", "id3,"), ("id3,a,3", "id9x,a,3"), "line 5: the sequence_id is not in sequences.csv"),
        (("id3,", "id3,"), ("id3,a,3\n", "id3,a,3\nid3,a,4\n"), "line 6: id3 was measured by a in line 5 already"),
        ((chain(4), chain(3)), ("id3,a,3", "id3,a,3"), "line 6: id4 has the sequence of id3"),
        (("id3,", "id3,"), ("sequence_id,assay", "sequence_id,test"), "no column assay"),
    ],
)
def test_a_faulty_row_is_told_with_its_line(
    tmp_path: Path, sequences: tuple[str, str], labels: tuple[str, str], told: str
) -> None:
    first, second = files()
    with pytest.raises(EvaluatorError, match=told):
        read(tmp_path, first.replace(*sequences), second.replace(*labels))


@pytest.mark.parametrize("rows", [0, 1, 16, 35])
def test_an_assay_that_is_too_small_is_refused(tmp_path: Path, rows: int) -> None:
    sequences, labels = files()
    few = "".join(labels.splitlines(keepends=True)[: rows + 1]) if rows else "sequence_id,assay,target\n"
    with pytest.raises(EvaluatorError):
        read(tmp_path, sequences, few)


def test_equal_targets_are_refused(tmp_path: Path) -> None:
    sequences, labels = files()
    same = "\n".join(line.rpartition(",")[0] + ",1" for line in labels.splitlines()[1:])
    with pytest.raises(EvaluatorError, match="fewer than two different targets of a"):
        read(tmp_path, sequences, f"sequence_id,assay,target\n{same}\n")


def test_another_division_than_the_files_is_refused(tmp_path: Path) -> None:
    few = {**FEW, "tasks": [{**FEW["tasks"][0], "split_sha256": "0" * 64}]}
    with pytest.raises(EvaluatorError, match="divided otherwise"):
        read(tmp_path, *files(), few)


@pytest.mark.parametrize(
    ("fields", "seen"),
    [
        ({"training_data": ("none",)}, "no"),
        ({"training_data": ("none",), "few_shot": {"mode": "inductive"}}, "undisclosed"),
        ({"training_data": ("none",), "few_shot": {"meta_training": ()}}, "no"),
        ({"training_data": ("none",), "few_shot": {"meta_training": ("none",)}}, "no"),
        ({"training_data": ("boughter",), "few_shot": {"meta_training": ("synthetic",)}}, "no"),
        ({"training_data": ("none",), "few_shot": {"meta_training": ("jain-bvp",)}}, "yes"),
        ({"training_data": ("gdpa1",), "few_shot": {"mode": "inductive"}}, "yes"),
        ({"few_shot": {"mode": "inductive"}}, "undisclosed"),
        ({"few_shot": {"meta_training": ("jain-bvp",)}}, "yes"),
        ({"training_data": ("none",), "few_shot": {"meta_training": ("Jain137",)}}, "yes"),
    ],
)
def test_what_was_meta_trained_on_counts_as_seen(fields: dict[str, Any], seen: str) -> None:
    assert trained_on(entry(**fields), TRACKS["fewshot-poly"]) == seen


@pytest.mark.parametrize(
    ("declared", "track", "seen"),
    [
        ("fewshot-poly", "jain137", "yes"),
        ("jain-psr", "jain137", "yes"),
        ("gdpa1-cho", "gdpa1", "yes"),
        ("gdpa1-cho", "harvey1k", "no"),
        ("synthetic", "jain137", "no"),
    ],
)
def test_meta_training_counts_on_the_tracks_that_share_its_antibodies(declared: str, track: str, seen: str) -> None:
    mine = entry(training_data=("none",), few_shot={"meta_training": (declared,)})
    assert trained_on(mine, TRACKS[track]) == seen


def test_assays_of_the_same_antibodies_are_of_one_cluster() -> None:
    apart = [{**t, "cluster": t["id"]} for t in FEW["tasks"]]
    with pytest.raises(EvaluatorError, match="are of a-to-b and task-a and task-b"):
        splits(few={**FEW, "tasks": apart})
