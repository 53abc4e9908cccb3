"""Few-shot tracks out of published files and of one's own CSV: what they hold, and what is refused with its line."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import yaml

from evaluator.contract.labels import find_data
from evaluator.contract.tracks import Track, load_all
from evaluator.errors import UsageError
from evaluator.preparing.prepare import prepare, prepare_new, prepare_proteingym
from evaluator.settings import Repository
from tests.conftest import REAL_DATA, ROOT
from tests.contract.test_few_shot import LETTERS, chain

PARENT = "MKTAYIAKQRQISFVKSHFSRQ"
real_data = pytest.mark.skipif(not REAL_DATA.is_dir(), reason="the real data are not at hand")


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    root = tmp_path / "benchmark"
    shutil.copytree(ROOT / "test_data" / "tracks", root / "test_data" / "tracks")
    return Repository(root)


def described(repository: Repository, track_id: str) -> Track:
    return load_all(repository.tracks)[track_id]


# --- published files -------------------------------------------------------------------------------------------------


@real_data
def test_the_polyreactivity_track_is_the_one_that_its_file_names(tmp_path: Path) -> None:
    track = load_all(ROOT / "test_data" / "tracks")["fewshot-poly"]
    made, _, splits = prepare(track, REAL_DATA / "source", tmp_path / "hidden")
    assert len(made.sequences) == 671 and len(made.labels) == 3 * 137 + 2 * 196 + 398 + 48
    assert track.few_shot is not None
    assert splits == {task.id: task.split_sha256 for task in track.few_shot.tasks}
    found = find_data(track, tmp_path / "hidden")
    assert found is not None and found.data.splits is not None
    values = found.data.splits.targets
    shared = np.isfinite(values["jain-psr"]) & np.isfinite(values["gdpa1-cho"])
    assert int(shared.sum()) == 108
    assert sum(not light for light in found.data.columns["light_sequence"]) == 48


@real_data
def test_the_landscape_is_the_one_that_its_file_names(tmp_path: Path) -> None:
    track = load_all(ROOT / "test_data" / "tracks")["fewshot-cr6261"]
    prepare(track, REAL_DATA / "fewshot", tmp_path / "hidden")
    found = find_data(track, tmp_path / "hidden")
    assert found is not None and found.data.n == 2048
    assert track.few_shot is not None
    parent = track.few_shot.tasks[0].wild_type
    assert parent == found.data.columns["sequence"][found.data.ids.index("WT")]
    places = {at for s in found.data.columns["sequence"] for at in range(len(parent)) if s[at] != parent[at]}
    assert len(places) == 11


# --- a CSV of one's own ----------------------------------------------------------------------------------------------


def panel(n: int = 70) -> str:
    rows = [f"id{k},{chain(k)},{assay},{(k * 7) % 23}" for assay in ("psr", "elisa") for k in range(n)]
    return "\n".join(["sequence_id,sequence,assay,target", *rows]) + "\n"


def test_a_panel_with_assays_becomes_a_few_shot_track(tmp_path: Path, repository: Repository) -> None:
    (tmp_path / "panel.csv").write_text(panel())
    path = prepare_new("our-panel", tmp_path / "panel.csv", tmp_path / "hidden", repository)
    track = described(repository, "our-panel")
    assert path.stem == "our-panel" and track.task == "few_shot" and track.n == 70
    assert track.few_shot is not None and track.few_shot.sizes == (0, 16)
    assert [task.title for task in track.few_shot.tasks] == ["psr", "elisa"]
    assert all(task.split_sha256 for task in track.few_shot.tasks)
    found = find_data(track, tmp_path / "hidden")
    assert found is not None and found.data.splits is not None
    assert len(found.data.splits.episodes) == 2 * 20 + 5


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        (f"id3,{chain(3)},psr,21", f"id3,{chain(3)},psr,nan", "line 5: the target is missing"),
        (f"id3,{chain(3)},psr,21", f"id3,{chain(3)},psr,", "line 5: the target is missing"),
        (f"id3,{chain(3)},psr,21", f"id2,{chain(2)},psr,21", "line 5: id2 was measured by psr in line 4 already"),
        (f"id3,{chain(3)},psr,21", f"id3,{chain(2)},psr,21", "line 5: id3 has the sequence of id2"),
        (f"id3,{chain(3)},psr,21", f"id3,{chain(3)[:-1]}*,psr,21", "line 5: the sequence has a stop"),
        (f"id3,{chain(3)},psr,21", f"id3,{chain(3)}A,psr,21", "two sequences for id3"),
        ("sequence_id,", "name,", "no column sequence_id"),
    ],
)
def test_a_faulty_row_of_a_panel_is_told(
    tmp_path: Path, repository: Repository, before: str, after: str, told: str
) -> None:
    (tmp_path / "panel.csv").write_text(panel().replace(before, after, 1))
    with pytest.raises(UsageError, match=re.escape(told)):
        prepare_new("our-panel", tmp_path / "panel.csv", tmp_path / "hidden", repository)
    assert not (tmp_path / "hidden").exists() and "our-panel" not in load_all(repository.tracks)


def of_assay(panel: str, assay: str, target: str) -> str:
    """A panel with the same target for one assay."""
    return re.sub(rf",{assay},.*", f",{assay},{target}", panel)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (panel().replace("id3,", ",").replace("id4,", ","), "panel.csv line 5: the sequence_id is empty"),
        (panel() + f"z1,{chain(80)},bvp,1\nz2,{chain(81)},bvp,2\n", "panel.csv: the assay 'bvp' has 2 antibodies"),
        (of_assay(panel(), "elisa", "3"), "of elisa; the first of its 70 rows is line 72"),
        (panel().replace(",elisa,", ",PSR,", 1), "line 72: the assay 'PSR' is spelt 'psr' in line 2"),
        (panel().replace(",elisa,", ", psr,", 1), "line 72: the assay ' psr' is no name that can be shown"),
        (panel().replace(",psr,", ",p\x1b[31msr,", 1), "line 2: the assay 'p\\x1b[31msr' is no name"),
        (panel().replace(",elisa,", f",{'e' * 121},"), "is no name that can be shown"),
        (panel().replace(",psr,7", ",psr,1e308", 1), "line 3: the target is beyond 1e+100"),
        (of_assay(panel(), "psr", "1e-200").replace("1e-200", "2e-200", 1), "differ by less than 1e-100"),
    ],
)
def test_what_cannot_become_a_task_is_told_by_the_lines_of_the_csv(
    tmp_path: Path, repository: Repository, content: str, told: str
) -> None:
    (tmp_path / "panel.csv").write_text(content)
    with pytest.raises(UsageError, match=re.escape(told)) as refused:
        prepare_new("our-panel", tmp_path / "panel.csv", tmp_path / "hidden", repository)
    assert "labels.csv" not in str(refused.value) and "task-" not in str(refused.value)
    assert not (tmp_path / "hidden").exists() and "our-panel" not in load_all(repository.tracks)


@pytest.mark.parametrize("n", [1, 2, 15])
def test_a_panel_that_is_too_small_is_refused(tmp_path: Path, repository: Repository, n: int) -> None:
    (tmp_path / "panel.csv").write_text(panel(n))
    with pytest.raises(UsageError, match=r"at least 20 are needed|fewer than two different|No assay has a support"):
        prepare_new("our-panel", tmp_path / "panel.csv", tmp_path / "hidden", repository)


def test_sizes_fit_assays_that_share_antibodies(tmp_path: Path, repository: Repository) -> None:
    """A second assay on 40 of 104 antibodies: together they cannot have a support of 64."""
    rows = [f"id{k},{chain(k)},{assay},{(k * 7) % 23}" for assay, n in (("psr", 104), ("elisa", 40)) for k in range(n)]
    (tmp_path / "panel.csv").write_text("\n".join(["sequence_id,sequence,assay,target", *rows]) + "\n")
    prepare_new("our-panel", tmp_path / "panel.csv", tmp_path / "hidden", repository)
    few = described(repository, "our-panel").few_shot
    assert few is not None and len({task.cluster for task in few.tasks}) == 1
    assert all(max(few.sizes_of(task)) <= 16 for task in few.tasks) and few.sizes == (0, 16)


def test_an_assay_without_a_name_is_one_line(tmp_path: Path, repository: Repository) -> None:
    (tmp_path / "panel.csv").write_text(panel().replace(",elisa,", ",,"))
    with pytest.raises(UsageError, match="line 72: the assay is empty"):
        prepare_new("our-panel", tmp_path / "panel.csv", tmp_path / "hidden", repository)


# --- ProteinGym's files ----------------------------------------------------------------------------------------------


def variants(n: int, *, multiple: bool) -> list[tuple[str, str, str]]:
    rng = np.random.default_rng(len(PARENT) + n)
    rows: dict[str, tuple[str, str, str]] = {}
    while len(rows) < n:
        chain_ = list(PARENT)
        for at in rng.choice(len(PARENT), size=2 if multiple else 1, replace=False).tolist():
            chain_[at] = str(rng.choice([a for a in LETTERS if a != PARENT[at]]))
        named = ":".join(f"{a}{k}{b}" for k, (a, b) in enumerate(zip(PARENT, chain_, strict=True), 1) if a != b)
        rows[named] = (named, "".join(chain_), f"{rng.normal():.6f}")
    return list(rows.values())


def gym(folder: Path) -> Path:
    """Files of the published form: two held-out assays, one of the same protein, one too long, one too small."""
    assays = {
        "BLAT_ECOLX_Jacquier_2013": ("BLAT_ECOLX", PARENT, False, 300),
        "BLAT_ECOLX_Other_2014": ("BLAT_ECOLX", PARENT, False, 240),
        "GFP_AEQVI_Sarkisyan_2016": ("GFP_AEQVI", PARENT, True, 2500),
        "TAT_HV1BR_Fernandes_2016": ("TAT_HV1BR", PARENT, False, 100),
        "LONG_HUMAN_X_2020": ("LONG_HUMAN", PARENT * 40, True, 0),
    }
    (folder / "DMS_ProteinGym_substitutions").mkdir(parents=True)
    lines = ["DMS_id,DMS_filename,UniProt_ID,target_seq,seq_len,includes_multiple_mutants"]
    for name, (protein, parent, multiple, n) in assays.items():
        lines.append(f"{name},{name}.csv,{protein},{parent},{len(parent)},{multiple}")
        if n:
            rows = [f"{m},{s},{y},{int(float(y) > 0)}" for m, s, y in variants(n, multiple=multiple)]
            text = "\n".join(["mutant,mutated_sequence,DMS_score,DMS_score_bin", *rows]) + "\n"
            (folder / "DMS_ProteinGym_substitutions" / f"{name}.csv").write_text(text)
    (folder / "DMS_substitutions.csv").write_text("\n".join(lines) + "\n")
    return folder


def test_proteingym_gives_the_held_out_assays(tmp_path: Path, repository: Repository) -> None:
    path, notes = prepare_proteingym(gym(tmp_path / "gym"), tmp_path / "hidden", repository, everything=False)
    track = described(repository, path.stem)
    assert track.few_shot is not None and track.few_shot.sizes == (0, 16, 128) and track.few_shot.queries == 100
    kinds = {task.title: task.kind for task in track.few_shot.tasks}
    assert kinds == {"BLAT_ECOLX_Jacquier_2013": "single", "GFP_AEQVI_Sarkisyan_2016": "multiple"}
    assert "TAT_HV1BR_Fernandes_2016: left out, its 100 variants are fewer than 228" in notes
    assert any("2,000 of 2,500 variants" in note for note in notes)
    assert "proteingym" in track.same_labels
    of_one_protein = {"BLAT_ECOLX_Other_2014": 1, "TAT_HV1BR_Fernandes_2016": 1}  # the files have one sequence for all
    assert track.related_assays == {**of_one_protein, "LONG_HUMAN_X_2020": 0.025}
    assert notes[-1].startswith("3 assays of single mutants, 1 assays of multiple mutants within 750 residues")
    found = find_data(track, tmp_path / "hidden")
    assert found is not None and found.data.splits is not None and found.data.n == 2300
    for episode in found.data.splits.episodes:
        assert all(len(one.queries) == 100 and len(one.support) == episode.size for one in episode.asked)


def test_two_assays_of_one_protein_are_never_in_one_run(tmp_path: Path, repository: Repository) -> None:
    source = gym(tmp_path / "gym")
    path, _ = prepare_proteingym(source, tmp_path / "hidden", repository, everything=True)
    track = described(repository, path.stem)
    assert track.few_shot is not None
    runs: dict[str, set[str]] = {}
    for task in track.few_shot.tasks:
        runs.setdefault(task.cluster, set()).add(task.run)
    assert runs["BLAT_ECOLX"] == {"r1", "r2"}
    found = find_data(track, tmp_path / "hidden")
    assert found is not None and found.data.splits is not None
    first, other = (values for name, values in found.data.splits.targets.items() if name.startswith("BLAT"))
    assert int((np.isfinite(first) & np.isfinite(other)).sum()) > 50  # one variant has one id in both


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        ("mutated_sequence", "sequence", "no column mutated_sequence"),
        (",M", ",MM", "line 2: the mutated_sequence is no substitution"),
        ("\nM1", "\nK1", r"line \d+: the mutant K1. is not of target_seq"),
        ("\nM1", "\nM99", r"line \d+: the mutant M99. is not of target_seq"),
        ("\nM1", "\nm1", "is no list of mutations"),
        ("\nM1", "\nK2A:M1", "has several mutations"),
        ("\nK2", "\nK3", r"is not of target_seq"),
        ("DMS_score,", "DMS_value,", "no column DMS_score"),
    ],
)
def test_a_faulty_file_of_proteingym_is_told(
    tmp_path: Path, repository: Repository, before: str, after: str, told: str
) -> None:
    source = gym(tmp_path / "gym")
    path = source / "DMS_ProteinGym_substitutions" / "BLAT_ECOLX_Jacquier_2013.csv"
    path.write_text(path.read_text().replace(before, after, 1))
    with pytest.raises(UsageError, match=told):
        prepare_proteingym(source, tmp_path / "hidden", repository, everything=False)
    assert not (tmp_path / "hidden").exists()


def test_a_variant_is_what_its_name_makes_of_the_parent(tmp_path: Path, repository: Repository) -> None:
    source = gym(tmp_path / "gym")
    path = source / "DMS_ProteinGym_substitutions" / "BLAT_ECOLX_Jacquier_2013.csv"
    header, first, *rows = path.read_text().splitlines()
    mutant, sequence, *rest = first.split(",")
    changed = mutant[:-1] + ("A" if mutant[-1] != "A" else "C")
    path.write_text("\n".join([header, ",".join([changed, sequence, *rest]), *rows]) + "\n")
    with pytest.raises(UsageError, match=f"line 2: the mutant {changed} does not give mutated_sequence"):
        prepare_proteingym(source, tmp_path / "hidden", repository, everything=False)


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        ("\nGFP_AEQVI_Sarkisyan_2016", "\n\nGFP AEQVI", "line 5: 'GFP AEQVI' is no DMS_id"),
        (",GFP_AEQVI,", ",,", "line 4: GFP_AEQVI_Sarkisyan_2016 has no UniProt_ID"),
        (",True", ",maybe", "line 4: includes_multiple_mutants of GFP_AEQVI_Sarkisyan_2016 is 'maybe'"),
        ("TAT_HV1BR_Fernandes_2016,", "é b,", "line 5: 'é b' is no DMS_id"),
        ("TAT_HV1BR_Fernandes_2016,", "blat_ecolx_other_2014,", "line 5: blat_ecolx_other_2014 stands in line 3"),
    ],
)
def test_a_faulty_line_of_the_table_of_assays_is_told(
    tmp_path: Path, repository: Repository, before: str, after: str, told: str
) -> None:
    source = gym(tmp_path / "gym")
    path = source / "DMS_substitutions.csv"
    path.write_text(path.read_text().replace(before, after, 1))
    with pytest.raises(UsageError, match=told):
        prepare_proteingym(source, tmp_path / "hidden", repository, everything=False)


def test_what_stands_twice_or_nowhere_is_told(tmp_path: Path, repository: Repository) -> None:
    source = gym(tmp_path / "gym")
    one = source / "DMS_ProteinGym_substitutions" / "BLAT_ECOLX_Jacquier_2013.csv"
    lines = one.read_text().splitlines()
    mutant, sequence, score, _ = lines[1].split(",")
    one.write_text("\n".join([*lines, f"{mutant},{sequence},{float(score) + 1},1"]) + "\n")
    path, notes = prepare_proteingym(source, tmp_path / "hidden", repository, everything=False)
    assert any("1 with different scores, the first in lines 2 and 302" in note for note in notes)
    [problem] = [p for p in described(repository, path.stem).known_problems if "held-out" in p]
    assert "CALM1_HUMAN_Weile_2017" in problem and "BLAT" not in problem
    (source / "cv_folds").mkdir()
    shutil.copy(one, source / "cv_folds" / one.name)
    with pytest.raises(UsageError, match=r"two files of BLAT_ECOLX_Jacquier_2013: DMS_Prot.* and cv_folds"):
        prepare_proteingym(source, tmp_path / "elsewhere", repository, everything=False)


def test_one_protein_under_two_names_is_told(tmp_path: Path, repository: Repository) -> None:
    source = gym(tmp_path / "gym")
    path = source / "DMS_substitutions.csv"
    path.write_text(
        path.read_text().replace("BLAT_ECOLX_Other_2014.csv,BLAT_ECOLX,", "BLAT_ECOLX_Other_2014.csv,XYZ_HUMAN,")
    )
    with pytest.raises(UsageError, match=r"lines 2 and 3: .* share variants, and have two UniProt_IDs"):
        prepare_proteingym(source, tmp_path / "hidden", repository, everything=True)


def test_the_written_file_is_plain_yaml(tmp_path: Path, repository: Repository) -> None:
    path, _ = prepare_proteingym(gym(tmp_path / "gym"), tmp_path / "hidden", repository, everything=False)
    content = yaml.safe_load(path.read_text())
    assert content["disclosure"] == "open" and set(content["sha256"]) == {"sequences", "labels"}
