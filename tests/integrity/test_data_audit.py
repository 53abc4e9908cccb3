"""Audits of data: each fault is found where it is, none where none is, and nothing of a row is kept."""

from __future__ import annotations

import csv
import json
import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from baselines.training.synthetic import antibodies
from evaluator.contract.labels import load_data
from evaluator.contract.tracks import load_all
from evaluator.integrity import clues, data_audit
from evaluator.integrity.data_audit import Material
from evaluator.integrity.findings import Audit, in_words
from evaluator.integrity.overlap import Known
from tests.conftest import REAL_DATA, ROOT, Workspace
from tests.integrity.test_overlap import in_one_line
from tests.support.sealed import seal
from tests.support.sites import publish

real_data = pytest.mark.skipif(not REAL_DATA.is_dir(), reason="the real data are not at hand")


def clean(n: int = 200, seed: int = 7) -> Material:
    """Antibodies whose labels are told by nothing but, perhaps, their sequences."""
    rng = random.Random(seed)
    names = [f"ab{k:04d}" for k in rng.sample(range(10_000), n)]
    truth = np.array([rng.random() < 0.4 for _ in range(n)], dtype=np.float64)
    return Material("made", tuple(names), {"sequence": tuple(antibodies(n, seed)["sequence"])}, {"label": truth}, True)


def telling(found: Audit) -> set[str]:
    return {name for one in found.truths for clue in one.clues if clue.telling for name in clue.name.split(" / ")}


def test_nothing_is_found_where_nothing_is() -> None:
    found = data_audit.audit(clean())
    assert found.faults == [] and telling(found) == set()
    assert (found.duplicates, found.heavy_duplicates, found.other_letters) == (0, 0, 0)
    assert {c.measure for c in found.truths[0].clues} == {"roc_auc", "correlation_ratio"}


@pytest.mark.parametrize("seed", range(8))
def test_shuffled_labels_are_not_suspected(seed: int) -> None:
    assert data_audit.audit(clean(80, seed)).faults == []


def by_label(made: Material) -> Material:
    """Its rows, the positive ones last."""
    order = np.argsort(made.truths["label"], kind="stable")
    return replace(
        made,
        ids=tuple(made.ids[k] for k in order),
        columns={name: tuple(cells[k] for k in order) for name, cells in made.columns.items()},
        truths={"label": made.truths["label"][order]},
    )


def test_labels_in_the_order_of_rows() -> None:
    found = data_audit.audit(by_label(clean()))
    assert telling(found) == {"row order", "the row before"}
    assert [clue.value for clue in found.truths[0].clues if clue.name == "row order"] == [1.0]
    assert "row order tells of label" in found.faults


def test_labels_that_take_turns() -> None:
    made = clean()
    found = data_audit.audit(replace(made, truths={"label": np.resize(np.array([0.0, 1.0]), 200)}))
    assert telling(found) == {"the row before"}
    assert [clue.value for clue in found.truths[0].clues if clue.name == "the row before"] == [0.0]


@pytest.mark.parametrize(
    ("written", "names"),
    [
        (lambda name, y: f"{name}-{'high' if y else 'low'}", {"the words in the id", "the last letter of the id"}),
        (lambda name, y: f"{name}.{int(y)}", {"the last letter of the id", "the last number in the id"}),
        (lambda name, y: f"{'b' if y else 'a'}{name}", {"the order of ids", "the words in the id", "the id before"}),
        (lambda name, y: f"x{int(name[2:]) + 90_000 * int(y)}", {"the last number in the id", "the order of ids"}),
    ],
)
def test_labels_in_ids(written: object, names: set[str]) -> None:
    made = clean()
    assert callable(written)
    ids = tuple(written(name, y) for name, y in zip(made.ids, made.truths["label"], strict=True))
    found = data_audit.audit(replace(made, ids=ids))
    assert names <= telling(found) and not {"row order", "the row before"} & telling(found)
    assert any("tells of label" in fault for fault in found.faults)


def letters(k: int) -> str:
    return "".join(chr(97 + k // 26**place % 26) for place in range(3))


@pytest.mark.parametrize(
    ("written", "names"),
    [
        (lambda k, y: f"ab{k}_{y}_714", {"number 2 in the id", "the words in the id"}),
        (
            lambda k, y: f"ab{k * 2 + y}_VH",
            {"the last number in the id, odd or even", "number 1 in the id, odd or even"},
        ),
        (lambda k, y: f"{letters(k)}{'x' * (k % 9)}{'np'[y]}{k % 7919:04d}", {"letter 5 from the end of the id"}),
        (lambda k, y: f"{letters(k)}{'np'[y]}{'x' * (k % 9)}{k:04d}", {"letter 4 of the id"}),
        (lambda k, y: f"p{(k % 3 + 1) if y else 4 + k % 2 * -4}.w{k}", {"number 1 in the id, as groups"}),
        (lambda k, y: f"ab{k}-" + f"{k * 31 % 97}-" * (1 + y), {"how many numbers the id has"}),
    ],
)
def test_labels_within_ids(written: Callable[[int, int], str], names: set[str]) -> None:
    made = clean()
    numbers = [int(name[2:]) for name in made.ids]
    ids = tuple(written(k, int(y)) for k, y in zip(numbers, made.truths["label"], strict=True))
    found = data_audit.audit(replace(made, ids=ids))
    assert names & telling(found) and found.faults
    shuffled = replace(made, ids=ids, truths={"label": np.random.default_rng(3).permutation(made.truths["label"])})
    assert data_audit.audit(shuffled).faults == []


def noise(n: int, columns: int, seed: int) -> dict[str, tuple[str, ...]]:
    rng = np.random.default_rng(seed)
    return {f"x{k}": tuple(f"{v:.6f}" for v in rng.normal(size=n)) for k in range(columns)}


def test_many_columns_do_not_hide_a_sorted_file() -> None:
    made = by_label(clean())
    found = data_audit.audit(replace(made, metadata=noise(200, 120, 1)))
    assert telling(found) == {"row order", "the row before"} and "row order tells of label" in found.faults
    by_day = {**noise(200, 120, 2), "day": tuple(str(3 + y) for y in made.truths["label"])}
    assert {"row order", "the row before", "column day"} == telling(data_audit.audit(replace(made, metadata=by_day)))


def test_many_columns_of_noise_are_rarely_suspected() -> None:
    found = [data_audit.audit(replace(clean(60, seed), metadata=noise(60, 120, seed))) for seed in range(20)]
    assert sum(bool(telling(one)) for one in found) <= 2  # at most .02 of them are expected, that is .4 of 20


def test_a_column_with_an_empty_cell_is_looked_at() -> None:
    made = clean()
    truth = made.truths["label"]
    value = [f"{3 + y + k / 1000}" for k, y in enumerate(truth)]
    metadata = {
        "dose": ("", *value[1:]),
        "plate": ("", *("AB"[int(y)] for y in truth[1:])),
        "note": tuple("" if y else f"seen {k}" for k, y in enumerate(truth)),
        "titre": tuple("NA" if y else f"{k * 7919 % 1000}" for k, y in enumerate(truth)),
        "batch": tuple("2" if y else "13"[k % 2] for k, y in enumerate(truth)),
    }
    found = data_audit.audit(replace(made, metadata=metadata))
    told = {"dose": "", "plate": "", "note": "whether {} is missing", "titre": "whether {} is missing"}
    assert telling(found) == {
        *((how or "{}").format(f"column {name}") for name, how in told.items()), "column batch, as groups",
    }  # fmt: skip
    assert found.faults == []


def test_what_was_not_looked_at_is_said_and_why() -> None:
    made = clean()
    metadata = {"free": tuple(f"{k}!" for k in range(200)), "same": ("x",) * 200, **noise(200, 501, 1)}
    found = data_audit.audit(replace(made, metadata=metadata))
    said = dict(in_words(found))["Not looked at without a sequence"]
    assert "column free (more than 20 different words" in said and "column same" in said and "3 more columns" in said
    assert any(what == "Further things without a sequence" for what, _ in in_words(found))


def test_duplicates_conflicts_and_relatives() -> None:
    made = clean(40)
    heavy, truth = list(made.columns["sequence"]), made.truths["label"].copy()
    heavy[10:13], truth[:3], truth[10:13] = heavy[:3], [0, 1, 1], [1, 1, 0]
    heavy[20] = heavy[21][:-1] + "A"  # one edit
    truth[20:22] = [0, 1]
    heavy[30] = heavy[30][:50] + "X" + heavy[30][51:]
    found = data_audit.audit(replace(made, columns={"sequence": tuple(heavy)}, truths={"label": truth}))
    [truths] = found.truths
    assert (found.duplicates, found.heavy_duplicates, truths.conflicts) == (3, 3, 2)
    assert (found.near_95, found.other_letters, truths.near_conflicts) == (2, 1, 1)
    assert found.families is not None and found.families.count == 36
    assert found.faults == ["duplicates (3)", "conflicts of label (2)"]


def test_another_light_chain_is_another_antibody() -> None:
    made = clean(20)
    heavy = made.columns["sequence"]
    light = tuple("DIQMTQSP" + "ACDEFGHIKLMNPQRSTVWY"[k] for k in range(20))
    found = data_audit.audit(replace(made, columns={"sequence": (heavy[0], *heavy[:19]), "light_sequence": light}))
    assert (found.duplicates, found.heavy_duplicates, found.truths[0].conflicts) == (0, 1, 0)


def test_lengths_and_metadata_are_told_and_no_fault() -> None:
    made = clean()
    truth = made.truths["label"]
    longer = tuple(s + "SS" * int(y) for s, y in zip(made.columns["sequence"], truth, strict=True))
    metadata = {
        "batch": tuple("AB"[int(y)] for y in truth),
        "day": tuple(str(3 + y) for y in truth),
        "free\x1btext": tuple(f"{k}!" for k in range(200)),
        "same": ("x",) * 200,
    }
    found = data_audit.audit(replace(made, columns={"sequence": longer}, metadata=metadata))
    assert {"the heavy chain's length", "column batch", "column day"} <= telling(found) and found.faults == []
    assert not any("\x1b" in what for what, _ in in_words(found))


@pytest.mark.parametrize("classes", [True, False])
def test_p_values_are_those_of_the_named_tests(classes: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(2)
    n = 400
    column = np.round(rng.normal(size=n), 1)  # with ties
    truth = (rng.random(n) < 0.3).astype(float) if classes else np.round(column * 0.1 + rng.normal(size=n), 1)
    words = [str(k) for k in rng.integers(0, 4, n)]
    candidates = [
        clues.of_number("number", column, truth, classes=classes, fault=True),
        clues.of_groups("groups", words, truth, fault=True),
        clues.of_neighbours("before", np.arange(n), truth, classes=classes),
    ]
    found = [one for one in candidates if one]
    shuffled = [clue.p for clue in clues.judged(found, truth)]
    monkeypatch.setattr(clues, "SHUFFLED_ROWS", 0)
    limits = [clue.p for clue in clues.judged(found, truth)]
    kruskal = stats.kruskal(*(truth[np.array(words) == w] for w in sorted(set(words)))).pvalue
    assert limits[1] == pytest.approx(kruskal, rel=1e-9)
    if classes:
        by_class = column[truth == 1], column[truth == 0]
        asked = {"alternative": "two-sided", "method": "asymptotic"}
        test = stats.mannwhitneyu(*by_class, use_continuity=False, **asked)
        assert limits[0] == pytest.approx(test.pvalue, rel=1e-9)
        assert found[0].value == pytest.approx(test.statistic / (len(by_class[0]) * len(by_class[1])))
    else:
        assert limits[0] == pytest.approx(stats.spearmanr(column, truth).pvalue, abs=5e-3)
        assert found[0].value == pytest.approx(stats.spearmanr(column, truth).statistic)
    np.testing.assert_allclose(shuffled, limits, atol=0.03)


def test_a_rare_class_is_not_suspected_for_two_neighbours() -> None:
    truth = np.zeros(400)
    truth[[20, 21, 90, 170, 230, 310, 380]] = 1
    one = clues.of_neighbours("before", np.arange(400), truth, classes=True)
    assert one is not None
    assert clues.judged([one], truth)[0].p > 0.05 > one.limit(float(one.of(clues.centred(truth)[None])[0]))


@pytest.mark.parametrize("n", [1, 2, 5])
def test_few_rows_are_no_trouble(n: int) -> None:
    made = clean(n)
    for value in (0.0, 1.0):
        found = data_audit.audit(replace(made, truths={"label": np.full(n, value)}), [Known("x", ("EVQ",))])
        assert found.rows == n and found.faults == [] and in_words(found)


def test_a_few_shot_track_is_looked_at_assay_by_assay() -> None:
    track = load_all(ROOT / "test_data" / "tracks")["smoke-panels"]
    data = load_data(track, ROOT / "test_data")
    assert data is not None and track.few_shot is not None
    found = data_audit.audit(data_audit.of_track(data))
    assert [one.name for one in found.truths] == list(track.few_shot.assays) and len(found.truths) > 1
    assert all(0 < one.rows <= found.rows and one.clues for one in found.truths)


def write(path: Path, rows: Sequence[Sequence[str]]) -> None:
    with path.open("w", newline="") as stream:
        csv.writer(stream).writerows(rows)


def test_ones_own_csv(workspace: Workspace) -> None:
    made = by_label(clean(60))
    rows = [
        (name, s, str(int(y)), "AB"[k % 2])
        for k, (name, s, y) in enumerate(zip(made.ids, made.columns["sequence"], made.truths["label"], strict=True))
    ]
    write(workspace.root / "own.csv", [("sequence_id", "sequence", "label", "plate"), *rows, ("z", *rows[0][1:])])
    done = workspace.apb("audit-data", "--csv", "own.csv", "--train", "test_data/canary.csv", "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["duplicates"] == 1 and found["trained"]["canary"]["at_90"] == 0
    assert found["faults"][0] == "duplicates (1)" and "row order tells of label" in found["faults"]
    assert not any(name in done.stdout for name in (rows[0][0], rows[0][1]))
    said = workspace.apb("audit-data", "--csv", "own.csv").stdout
    assert "own.csv: 61 rows" in said and "Score of column plate alone" in said


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ("sequence_id,sequence\na,EVQ\n", "neither a column"),
        ("sequence_id,sequence,label\na,EVQ,2\n", "label"),
        ("sequence_id,sequence,label\na,EV\x1b[2JQ,1\n", "no amino acid"),
        ("sequence_id,sequence,label\na,EVQ,1\na,EVQ,1\n", "already"),
        ("sequence_id,sequence,target\na,EVQ,nan\n", "missing"),
        ("sequence_id,sequence,label,label\na,EVQ,1,1\n", "twice"),
        ("", "empty"),
    ],
)
def test_hostile_files_are_told_in_one_line(workspace: Workspace, content: str, why: str) -> None:
    (workspace.root / "own.csv").write_text(content)
    done = workspace.apb("audit-data", "--csv", "own.csv")
    assert done.returncode == 3 and why in done.stderr and in_one_line(done), done.stderr


@pytest.mark.parametrize(
    "arguments",
    ["", "smoke", "smoke --csv x.csv", "--csv x.csv --write", "nosuch --hidden test_data", "jain --hidden ."],
)
def test_wrong_use_is_told(workspace: Workspace, arguments: str) -> None:
    done = workspace.apb("audit-data", *arguments.split())
    assert done.returncode == 2 and in_one_line(done), done.stderr


def test_of_a_hidden_track_nothing_is_kept(workspace: Workspace, tmp_path: Path) -> None:
    hidden = seal(workspace, tmp_path / "hidden")
    done = workspace.apb("audit-data", "sealed", "--hidden", str(hidden), "--write")
    assert done.returncode == 2 and "hidden" in done.stderr and in_one_line(done)
    assert not (workspace.root / "test_data" / "audits" / "sealed.json").exists()
    assert workspace.apb("audit-data", "sealed", "--hidden", str(hidden)).returncode == 0


def test_what_is_kept_is_shown_on_the_page_and_names_no_row(workspace: Workspace) -> None:
    kept = workspace.root / "test_data" / "audits" / "jain.json"
    kept.unlink(missing_ok=True)
    assert "What an audit" not in (publish(workspace) / "datasets/jain/index.html").read_text()
    done = workspace.apb("audit-data", "smoke", "--hidden", "test_data", "--write")
    assert done.returncode == 0, done.stderr
    written = workspace.root / "test_data" / "audits" / "smoke.json"
    for path in sorted((workspace.root / "test_data" / "smoke").glob("*.csv")):
        rows = list(csv.reader(path.open()))[1:]
        assert not any(cell in written.read_text() for row in rows for cell in row if len(cell) > 3)
    written.rename(kept)
    page = (publish(workspace) / "datasets/jain/index.html").read_text()
    assert "What an audit of the data found" in page and "vh-complete-linkage-0.90 v1" in page
    kept.write_text('{"track": "<b>"}')
    done = workspace.apb("publish")
    assert done.returncode == 3 and "jain.json is no audit" in done.stderr and in_one_line(done)


def test_kept_audits_are_of_open_tracks_and_valid() -> None:
    tracks = load_all(ROOT / "test_data" / "tracks")
    for path in sorted((ROOT / "test_data" / "audits").glob("*.json")):
        found = Audit.model_validate_json(path.read_bytes())
        assert found.track == path.stem and tracks[path.stem].disclosure == "open" and found.rows == tracks[path.stem].n


@real_data
@pytest.mark.parametrize("track", ["jain", "vhh48"])
def test_kept_audits_are_of_these_data(track: str) -> None:
    data = load_data(load_all(ROOT / "test_data" / "tracks")[track], REAL_DATA / "hidden")
    assert data is not None
    kept = Audit.model_validate_json((ROOT / "test_data" / "audits" / f"{track}.json").read_bytes())
    found = data_audit.audit(data_audit.of_track(data))
    assert found == kept.model_copy(update={"trained": {}})
