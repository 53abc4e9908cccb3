"""Relatives of a track's antibodies in training sets: identities, real figures, and what is told of them."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from baselines.training.synthetic import antibodies, nanobodies
from evaluator.contract import tables
from evaluator.contract.identity import cdr_h3, identities, nearest
from evaluator.contract.labels import load_data
from evaluator.contract.tracks import load_all
from evaluator.integrity import canaries, overlap
from evaluator.scoring.scored import Scored
from scripts import canary
from tests.conftest import REAL_DATA, ROOT, Workspace
from tests.support.sealed import seal

real_data = pytest.mark.skipif(not REAL_DATA.is_dir(), reason="the real data are not at hand")
WORDS = st.lists(st.text("ACD", min_size=1, max_size=9), min_size=1, max_size=6)
HEAVY = "EVQLLESGGGLVQPGGSLRLSCAASGFTFSSYAMSWVRQAPGKGLEWVSAISGSGGSTYYADSVKGRFTISRDNSKNTLYLQMNSLRAEDTAVYYC"


def edits(a: str, b: str) -> int:
    """By the definition, row by row."""
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, start=1):
        before, row = row, [i]
        for j, y in enumerate(b, start=1):
            row.append(min(before[j] + 1, row[-1] + 1, before[j - 1] + (x != y)))
    return row[-1]


def identity(a: str, b: str) -> float:
    return 1 - edits(a, b) / max(len(a), len(b))


@given(some=WORDS, others=WORDS, floor=st.sampled_from([0.0, 0.5, 0.8, 0.9, 1.0]))
def test_identities_are_those_of_the_definition(some: list[str], others: list[str], floor: float) -> None:
    expected = np.array([[identity(a, b) for b in others] for a in some])
    expected[expected < floor - 1e-9] = 0
    found = np.concatenate([block for _, block in identities(some, others, floor)])
    np.testing.assert_allclose(found, expected, atol=1e-12)
    np.testing.assert_allclose(nearest(some, others, floor), expected.max(axis=1), atol=1e-12)


@given(some=WORDS, others=WORDS, floor=st.sampled_from([0.0, 0.5, 0.8, 0.9, 1.0]), many=st.sampled_from([0.0, 1.0]))
def test_counting_letters_first_changes_nothing(some: list[str], others: list[str], floor: float, many: float) -> None:
    expected = np.concatenate([block for _, block in identities(some, others, floor)])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("evaluator.contract.identity.FEW", 0)
        patch.setattr("evaluator.contract.identity.MANY", many)
        np.testing.assert_array_equal(np.concatenate([b for _, b in identities(some, others, floor)]), expected)


ANY_LENGTH = st.lists(
    st.builds(lambda word, times: word * times, st.text("ACD", min_size=0, max_size=6), st.integers(0, 12)),
    min_size=1, max_size=7,
)  # fmt: skip


@given(
    some=ANY_LENGTH,
    others=ANY_LENGTH,
    floor=st.sampled_from([0.0, 0.5, 0.65, 0.8, 0.9, 0.95, 1.0]),
    alike=st.sampled_from([1.0, 1.1, 100.0]),
    few=st.sampled_from([0, 5_000_000]),
)
def test_lengths_change_nothing(some: list[str], others: list[str], floor: float, alike: float, few: int) -> None:
    expected = np.array([[1 - edits(a, b) / max(len(a), len(b), 1) for b in others] for a in some])
    expected[expected < floor - 1e-9] = 0
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("evaluator.contract.identity.ALIKE", alike)
        patch.setattr("evaluator.contract.identity.FEW", few)
        blocks = list(identities(some, others, floor))
    np.testing.assert_array_equal(np.concatenate([found for _, found in blocks]), expected)
    assert np.concatenate([rows for rows, _ in blocks]).tolist() == list(range(len(some)))


def test_one_long_chain_makes_the_others_take_no_longer() -> None:
    library, train = list(nanobodies(4_000, 1)["sequence"]), list(antibodies(600, 2)["sequence"])

    def took(others: list[str]) -> float:
        start = time.process_time()
        nearest(library, others, 0.90)
        return time.process_time() - start

    long = "ACDEFGHIKLMNPQRSTVWY" * 23
    nearest(library[:1], train)  # what is loaded once
    assert took([*train, long]) < 4 * took(train) + 0.2


@given(some=WORDS)
def test_a_row_is_not_its_own_neighbour(some: list[str]) -> None:
    expected = [max((identity(a, b) for k, b in enumerate(some) if k != i), default=0) for i, a in enumerate(some)]
    np.testing.assert_allclose(nearest(some, some, itself=False), expected, atol=1e-12)


def test_blocks_are_cut_without_a_seam(monkeypatch: pytest.MonkeyPatch) -> None:
    some, others = [HEAVY[: 60 + k] for k in range(30)], [HEAVY[k:] for k in range(20)]
    whole = nearest(some, others)
    monkeypatch.setattr("evaluator.contract.identity.CELLS", 70)
    np.testing.assert_array_equal(nearest(some, others), whole)
    np.testing.assert_array_equal(nearest(others, some), [max(identity(a, b) for b in some) for a in others])


@pytest.mark.parametrize(
    ("heavy", "loop"),
    [
        (HEAVY + "AKDRGYFDYWGQGTLVTVSS", "AKDRGYFDY"),
        (HEAVY + "ARCSGGSCYFDPWGQGTLVTVSS", "ARCSGGSCYFDP"),  # a bridge within the loop
        (HEAVY[:-3] + "YFCVRQDYWGKGTTVTVSS", "VRQDY"),
        (HEAVY + "ATDWNFGRWYTLGVEMDYWGQGTQVTVSS", "ATDWNFGRWYTLGVEMDY"),  # W-x-x-G within the loop
        (HEAVY + "AAPWGLGSELLKRDYWGQGTQVTVSS", "AAPWGLGSELLKRDY"),  # and W-G-x-G
        (HEAVY + "ARWYFGQSTWFDRWDQGTLVTVSS", "ARWYFGQSTWFDR"),  # the first glycine of framework 4 is another residue
        (HEAVY + "AKDRGYFDYWGQGTLVTVSSGGGGSGGGGSGGGGSDIQMTQSPSSLSASVGDRVTITCRASQWYQQKPG", "AKDRGYFDY"),  # an scFv
        (HEAVY + "AKDRGYFDYRGQGTLVTVSS", None),  # no tryptophan
        (HEAVY[:-1] + "SAKDRGYFDYWGQGTLVTVSS", None),  # no cysteine
        (HEAVY, None),
        ("", None),
    ],
)
def test_the_third_loop(heavy: str, loop: str | None) -> None:
    assert cdr_h3(heavy) == loop


def heavy_of(track: str) -> tuple[str, ...]:
    path = REAL_DATA / "hidden" / track / "sequences.csv"
    return tables.read_csv(path)["sequence"]


@real_data
@pytest.mark.parametrize(("track", "rows", "highest"), [("jain", 2, 0.919), ("shehata", 8, 0.943)])
def test_boughter_on_the_real_tracks(track: str, rows: int, highest: float) -> None:
    known = overlap.read_known(REAL_DATA / "train" / "boughter_vh.csv")
    found, best = overlap.relatives(heavy_of(track), known.heavy)
    assert len(known.heavy) == 914
    assert (found.exact, found.at_95, found.at_90) == (0, 0, rows)
    assert found.nearest == pytest.approx(highest, abs=5e-4) and found.median == pytest.approx(0.795, abs=5e-3)
    assert int((~overlap.unrelated(best)).sum()) == rows


@real_data
def test_two_panels_share_108_heavy_chains() -> None:
    assert overlap.relatives(heavy_of("jain137"), heavy_of("gdpa1"))[0].exact == 108


@real_data
def test_the_loops_are_found_in_nearly_all_real_chains() -> None:
    for track, least in (("jain137", 1.0), ("shehata", 0.99), ("vhh48", 1.0), ("harvey1k", 0.93)):
        heavy = heavy_of(track)
        assert sum(cdr_h3(one) is not None for one in heavy) >= least * len(heavy)


@real_data
def test_the_loops_of_real_chains_end_where_framework_4_starts() -> None:
    for track in ("jain137", "gdpa1", "shehata", "vhh48", "harvey1k"):
        loops = [(one, loop) for one in heavy_of(track) if (loop := cdr_h3(one))]
        left = [len(one) - one.rindex(loop) - len(loop) for one, loop in loops]
        assert left.count(len("WGQGTLVTVSS")) >= len(left) - 1  # one nanobody has WGYG within and WGQV after it


@real_data
def test_the_page_is_of_these_data() -> None:
    lines = (ROOT / "docs" / "overlap.md").read_text().splitlines()
    header, line = (next(one for one in lines if one.startswith(start)) for start in ("| |", "| boughter |"))
    cells = dict(zip(header.split("|")[2:-1], line.split("|")[2:-1], strict=True))
    known = overlap.read_known(REAL_DATA / "train" / "boughter_vh.csv")
    for track in ("jain", "shehata", "vhh48", "gdpa1"):
        o, _ = overlap.relatives(heavy_of(track), known.heavy)
        assert cells[f" {track} "].strip() == f"{o.exact} / {o.at_95} / {o.at_90}, {o.nearest:.3f}"
    assert str(ROOT) not in "".join(lines) and str(REAL_DATA) not in "".join(lines)


def test_many_pairs_are_looked_at_down_to_90_only(monkeypatch: pytest.MonkeyPatch) -> None:
    far = HEAVY[::-1]
    assert overlap.relatives([HEAVY], [far])[0].nearest is not None
    monkeypatch.setattr(overlap, "ALL_PAIRS", 0)
    found, best = overlap.relatives([HEAVY], [far])
    assert found.nearest is None and found.median is None and best.tolist() == [0]
    assert overlap.relatives([HEAVY, far], [HEAVY])[0].nearest == 1


def test_the_score_without_relatives() -> None:
    rng = np.random.default_rng(1)
    truth = (rng.random(60) < 0.4).astype(np.int8)
    score = rng.random(60)
    scored = Scored(truth, score, (score > 0.5).astype(np.int8), families=rng.integers(0, 30, 60))
    keep = rng.random(60) < 0.7
    found = overlap.score_without(scored, "roc_auc", keep)
    assert found.value == pytest.approx(roc_auc_score(truth[keep], score[keep]))
    assert overlap.score_without(scored, "roc_auc", truth == 0).reason == "0 positives would be left, fewer than 5"
    values = Scored(score, score)
    assert overlap.score_without(values, "spearman", keep).value == pytest.approx(1)
    assert "9 rows" in (overlap.score_without(values, "spearman", np.arange(60) < 9).reason or "")


def test_a_few_shot_track_has_no_score_without() -> None:
    track = load_all(ROOT / "test_data" / "tracks")["smoke-panels"]
    data = load_data(track, ROOT / "test_data")
    assert data is not None
    scored = Scored.on(data, np.zeros(len(data.truth)), None)
    assert overlap.score_without(scored, "spearman_few", np.ones(3, bool)).value is None


def test_the_command_tells_scores_beside_each_other(workspace: Workspace, tmp_path: Path) -> None:
    rows = (workspace.root / "test_data/smoke/labels.csv").read_text().splitlines()[1:]
    lines = [f"{i},{y},0.{y}{k:02d}" for k, (i, y) in enumerate(line.split(",") for line in rows)]
    (tmp_path / "p.csv").write_text("\n".join(["sequence_id,prediction,score", *lines]))
    train = workspace.root / "test_data" / "smoke" / "sequences.csv"
    hidden = workspace.root / "test_data"
    few = "\n".join(train.read_text().splitlines()[:6])
    (tmp_path / "few.csv").write_text(few)
    arguments = ["overlap", "--train", f"{tmp_path}/few.csv", "--hidden", f"{hidden}", "--tracks", "smoke", "--json"]
    done = workspace.apb(*arguments, "--predictions", f"smoke={tmp_path}/p.csv")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)["tracks"]["smoke"]
    assert found["exact"] == 5 and found["at_90"] >= 5
    assert found["scores"]["all"]["value"] == 1 and found["scores"]["left"] == 60 - found["at_90"]
    done = workspace.apb(*arguments, "--predictions", f"smoke={train}")
    assert done.returncode == 1 and in_one_line(done)  # no predictions: whoever made them has to mend them


def in_one_line(done: subprocess.CompletedProcess[str]) -> bool:
    told = [line for line in done.stderr.splitlines() if line and not line.startswith(("Usage:", "Try "))]
    assert "Traceback" not in done.stderr
    return len(told) <= 2 and all(line.isprintable() for line in told)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "empty"),
        (b"sequence_id,sequence\n", "no rows"),
        (b"id,seq\na,EVQ\n", "no column sequence"),
        (b"sequence\nEV\x1b[31mQ\n", "no amino acid"),
        (b"sequence\nevq\n", "lower case"),
        (b"sequence\n\xff\xfe\n", "UTF-8"),
        (b'sequence\n"EVQ\n', "cannot be split"),
        (b"sequence,light_sequence\nEVQ\n", "fields"),
        (b"PK\x03\x04", "is "),
        (b"sequence\nEVQ\n" + b"A" * 1_001 + b"\n", "line 3: the sequence has 1,001 letters, and 1,000 at most"),
        (b"sequence\n" + b"EVQ\n" * 200_001, "line 200002: it has 200,001 rows, and 200,000 at most"),
    ],
)
def test_hostile_training_files_are_told_in_one_line(workspace: Workspace, content: bytes, why: str) -> None:
    (workspace.root / "train.csv").write_bytes(content)
    done = workspace.apb("overlap", "--train", "train.csv", "--hidden", "test_data", "--tracks", "smoke")
    assert done.returncode == 3 and why in done.stderr and in_one_line(done), done.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        "--train a.csv --matrix",
        "--matrix --sets boughter --hidden test_data",
        "--matrix --sets Bad\x1bName=x.csv --hidden test_data",
        "--train test_data/canary.csv",
        "--train test_data/canary.csv --hidden test_data --tracks nosuch",
        "--train test_data/canary.csv --hidden nowhere --tracks smoke",
        "--train test_data/canary.csv --hidden test_data --tracks smoke --predictions jain=p.csv",
        "--train test_data/canary.csv --hidden test_data --tracks smoke --predictions smoke=",
        "--train test_data/canary.csv --hidden test_data --tracks smoke --predictions p.csv",
        "--train test_data/canary.csv --hidden . --tracks smoke --predictions smoke=p.csv --predictions smoke=q.csv",
        "--matrix --sets smoke=test_data/canary.csv --hidden test_data --tracks smoke",
        "--train test_data/canary.csv --hidden test_data --tracks smoke-panels --predictions smoke-panels=p.csv",
        "",
    ],
)
def test_wrong_use_is_told(workspace: Workspace, arguments: str) -> None:
    done = workspace.apb("overlap", *arguments.split(" " if arguments else None))
    assert done.returncode in {2, 3} and "Traceback" not in done.stderr and "\x1b" not in done.stderr
    assert done.returncode == (3 if "boughter" in arguments else 2), done.stderr


def test_a_matrix_of_what_is_open(workspace: Workspace, tmp_path: Path) -> None:
    hidden = seal(workspace, tmp_path / "hidden")
    for name in ("smoke", "smoke-paired"):
        (hidden / name).symlink_to(workspace.root / "test_data" / name)
    wanted = f"--hidden {hidden} --tracks smoke,smoke-paired,sealed --out page.md"
    done = workspace.apb(*f"overlap --matrix --sets canary=test_data/canary.csv {wanted}".split())
    assert done.returncode == 0, done.stderr
    page = (workspace.root / "page.md").read_text()
    assert "| | smoke | smoke-paired |" in page and "| canary | 0 / 0 / 0" in page and str(tmp_path) not in page
    assert "sealed" not in page and "note sealed is hidden" in done.stderr


def test_canaries_are_those_of_the_script_and_nobody_elses() -> None:
    table = tables.read_csv(canary.PATH)
    assert list(table["sequence"]) == canary.sequences() and len(set(table["sequence"])) == 64
    assert all(name.startswith(canary.MARKER) for name in tables.id_column(table, canary.PATH))
    assert canary.MARKER in (ROOT / "docs" / "canary.md").read_text()
    other = canary.sequences(seed=canary.SEED + 1)
    assert not {cdr_h3(one) for one in table["sequence"]} & {cdr_h3(one) for one in other} and None not in map(
        cdr_h3, other
    )
    for path in sorted((ROOT / "test_data").glob("*/sequences.csv")):
        assert nearest(table["sequence"], tables.read_csv(path)["sequence"]).max() < 0.90


@real_data
def test_canaries_are_far_from_real_antibodies() -> None:
    made = tables.read_csv(canary.PATH)["sequence"]
    for path in [REAL_DATA / "train/boughter_vh.csv", *sorted((REAL_DATA / "hidden").glob("*/sequences.csv"))]:
        heavy = tables.read_csv(path)["sequence"]
        assert nearest(made, heavy, 0.90).max() == 0
        loops = [loop for loop in map(cdr_h3, heavy) if loop]
        assert nearest([cdr_h3(one) or "" for one in made], loops, 0.60).max() == 0


def test_a_training_file_names_canaries(workspace: Workspace) -> None:
    lines = canary.PATH.read_text().splitlines()
    own = (workspace.root / "test_data/smoke/sequences.csv").read_text().splitlines()
    (workspace.root / "train.csv").write_text("\n".join([*own, *lines[3:5]]))
    done = workspace.apb("overlap", "--train", "train.csv", "--canary", "--json")
    names = [line.split(",")[0] for line in lines[3:5]]
    assert json.loads(done.stdout) == {"canaries": names, "how": dict.fromkeys(names, "the same")}
    assert (
        "2 canaries of this benchmark (2 the same)"
        in workspace.apb("overlap", "--train", "train.csv", "--canary").stdout
    )
    (workspace.root / "train.csv").write_text("\n".join(own))
    assert "No canary" in workspace.apb("overlap", "--train", "train.csv", "--canary").stdout


LINKED = "GGGGSGGGGSGGGGSDIQMTQSPSSLSASVGDRVTITCRASQSISSYLNWYQQKPGKAPKLLIYAASSLQSGVPSRFSGSGSGTDFTLTISSLQPEDFATYYCQQ"


@pytest.mark.parametrize(
    ("changed", "how"),
    [
        (lambda one: one, "the same"),
        (lambda one: one[1:], "near"),  # one residue is trimmed
        (lambda one: one[:40] + "A" + one[41:-4], "near"),
        (lambda one: one + LINKED, "in part"),
        (lambda one: one[20:-11] + LINKED, "in part"),
        (lambda one: one[97:-11], "in part"),  # the third loop
        (lambda one: one[99:-14], "in part"),
        (lambda one: one[:97], None),  # the frameworks are a human germline's, as those of many antibodies
    ],
)
def test_canaries_are_found_whatever_is_cut_off_or_added(
    workspace: Workspace, changed: Callable[[str], str], how: str | None
) -> None:
    table = tables.read_csv(canary.PATH)
    others = tables.read_csv(workspace.root / "test_data/smoke/sequences.csv")["sequence"]
    rows = [*others, *(changed(table["sequence"][k]) for k in (5, 9))]
    (workspace.root / "train.csv").write_text("\n".join(["sequence", *rows]))
    found = canaries.named_in(overlap.read_known(workspace.root / "train.csv"), canary.PATH)
    assert found == ({table["sequence_id"][k]: how for k in (5, 9)} if how else {})
    if how:
        done = workspace.apb("overlap", "--train", "train.csv", "--canary")
        assert f"2 canaries of this benchmark (2 {how})" in done.stdout, done.stderr
    workspace.apb("overlap", "--train", "train.csv", "--salted", "hashes.csv")
    hashed = canaries.named_in(overlap.read_known(workspace.root / "hashes.csv"), canary.PATH)
    assert hashed == (found if how == "the same" else {})


def test_a_set_that_is_called_as_a_track_is_refused_with_what_to_write(workspace: Workspace) -> None:
    arguments = "--sets smoke=test_data/canary.csv --hidden test_data --tracks smoke"
    done = workspace.apb("overlap", "--matrix", *arguments.split())
    assert done.returncode == 2 and "smoke-train=FILE" in done.stderr and in_one_line(done)


@real_data
def test_no_real_antibody_is_a_canary() -> None:
    for path in [REAL_DATA / "train/boughter_vh.csv", *sorted((REAL_DATA / "hidden").glob("*/sequences.csv"))]:
        assert canaries.named_in(overlap.read_known(path), canary.PATH) == {}
