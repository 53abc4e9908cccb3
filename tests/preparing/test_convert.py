"""Between the formats that people have: the same antibodies on both sides, and every loss told."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evaluator.errors import UsageError
from evaluator.preparing.convert import convert
from evaluator.preparing.layouts import FORMATS, Antibody
from tests.conftest import REAL_DATA, Workspace

SUFFIX = {"fasta": ".fasta", "airr": ".tsv"}
WRITABLE = [name for name, form in FORMATS.items() if form.write or name == "fasta"]
chains = st.text("ACDEFGHIKLMNPQRSTVWYX", min_size=1, max_size=12)
names = st.text("abcXYZ019-_./:", min_size=1, max_size=8)


def antibodies(light: st.SearchStrategy[str]) -> st.SearchStrategy[list[Antibody]]:
    value = st.one_of(st.floats(-5, 5).map(repr), st.integers(-9, 9).map(str))
    one = st.builds(Antibody, names, chains, light, value)
    return st.lists(one, min_size=1, max_size=6, unique_by=lambda a: a.id)


def written(folder: Path, rows: list[Antibody]) -> Path:
    path = folder / "in.csv"
    with path.open("w", newline="") as target:
        writer = csv.writer(target)
        writer.writerow(["sequence_id", "sequence", "light_sequence", "target"])
        writer.writerows([a.id, a.heavy, a.light, a.value] for a in rows)
    return path


@pytest.mark.parametrize("name", WRITABLE)
@given(rows=st.one_of(antibodies(chains), antibodies(st.just(""))))
@settings(deadline=None, max_examples=60)
def test_there_and_back(tmp_path_factory: pytest.TempPathFactory, name: str, rows: list[Antibody]) -> None:
    folder = tmp_path_factory.mktemp("there")
    there = folder / f"there{SUFFIX.get(name, '.csv')}"
    told = " ".join(convert(written(folder, rows), there, first="benchmark", then=name).notes)
    back = convert(there, folder / "back.csv", first=name)
    ids = [f"row_{k}" for k in range(1, len(rows) + 1)] if name == "flab" else [a.id for a in rows]
    values = [a.value for a in rows] if name in {"benchmark", "gdpa", "flab"} else [""] * len(rows)
    assert [(a.id, a.heavy, a.light) for a in back.rows] == [
        (i, a.heavy, a.light) for i, a in zip(ids, rows, strict=True)
    ]
    assert [a.value for a in back.rows] == values
    assert ("dropped" in told) == (name in {"fasta", "airr", "polyxpert", "flab"})


@pytest.mark.parametrize("name", WRITABLE)
def test_a_format_is_known_by_its_columns(tmp_path: Path, name: str) -> None:
    source = written(tmp_path, [Antibody("a", "EVQL", "DIQM", "0.5"), Antibody("b", "QVQL", "EIVL", "1")])
    there = tmp_path / f"there{SUFFIX.get(name, '.csv')}"
    convert(source, there, then=name)
    assert [a.heavy for a in convert(there, tmp_path / "back.csv").rows] == ["EVQL", "QVQL"]


def test_two_files_of_chains(tmp_path: Path) -> None:
    source = written(tmp_path, [Antibody("a", "EVQL", "DIQM", "1"), Antibody("b", "QVQL", "EIVL", "0")])
    heavy, light = tmp_path / "h.fasta", tmp_path / "l.fasta"
    convert(source, heavy, light_target=light)
    assert heavy.read_text() == ">a\nEVQL\n>b\nQVQL\n"
    assert [(a.id, a.light) for a in convert(heavy, tmp_path / "o.csv", light=light).rows] == [
        ("a", "DIQM"), ("b", "EIVL"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "options", "told"),
    [
        ("a,b\n1,2\n", {}, "none of the formats that are known: its columns are a, b"),
        (
            "sequence_id,sequence\na,EVQL\n",
            {"first": "gdpa"},
            "is not gdpa: its columns are sequence_id, sequence",
        ),
        (">a\nEVQL\n", {"first": "flab"}, "is FASTA, not flab"),
        ("heavy,light\nEV,QL,DI\n", {}, "line 2 has 3 fields, the header 2"),
        ("heavy,light\n", {}, "has no rows"),
        ("sequence_id,sequence\na,E*L\n", {}, "no antibody that can be used.*is no amino acid"),
        ("sequence_id,sequence\na,EVQL\n", {"then": "imgt"}, "imgt cannot be written"),
        ("sequence_id,sequence,x\na,EVQL,1\n", {"value": "y"}, "There is no column y. There are: x"),
        ('heavy,light\n"EV', {}, "quote not closed|has no rows"),
    ],
)
def test_a_wrong_guess_is_refused_and_nothing_is_written(
    tmp_path: Path, text: str, options: dict[str, Any], told: str
) -> None:
    (tmp_path / "in").write_text(text)
    with pytest.raises(UsageError, match=told):
        convert(tmp_path / "in", tmp_path / "out.csv", **options)
    assert not (tmp_path / "out.csv").exists()


def test_what_is_dropped_is_told_with_its_reason(workspace: Workspace) -> None:
    source = workspace.root / "in.csv"
    source.write_text(
        "antibody_name,vh_protein_sequence,vl_protein_sequence,HIC,PR_CHO\n"
        "a,EV--QL,DIQM,2,0.5\nb,evql,DIQM,2,\nc,E1QL,DIQM,2,0.1\na,QVQL,DIQM,2,0.2\nd,,DIQM,2,0.3\n"
    )
    done = workspace.apb("convert", str(source), str(workspace.root / "out.csv"), "--property", "PR_CHO")
    assert done.returncode == 0 and "out.csv: 1 antibodies" in done.stdout
    for told in (
        "antibody 3 (c) dropped: 1 is no amino acid", "antibody 4 (a) dropped: its id stands there already",
        "antibody 5 (d) dropped: it has no heavy chain", "gaps or spaces were taken out of 1", "1 antibodies were in",
        "PR_CHO is called target", "1 antibodies dropped: no value of PR_CHO",
    ):  # fmt: skip
        assert told in done.stderr, done.stderr
    assert (workspace.root / "out.csv").read_text() == ("sequence_id,sequence,light_sequence,target\na,EVQL,DIQM,0.5\n")
    done = workspace.apb("convert", str(source), str(workspace.root / "out.csv"))
    assert "columns HIC, PR_CHO dropped: name one with --property" in done.stderr
    done = workspace.apb("convert", str(source), str(workspace.root / "o"), "--to", "xml")
    assert done.returncode == 2 and "airr: rearrangements" in " ".join(done.stderr.split())


def test_airr_takes_gapped_alignments_and_other_loci_are_told(tmp_path: Path) -> None:
    (tmp_path / "in.tsv").write_text(
        "sequence_id\tsequence_alignment_aa\tlocus\tcell_id\nx1\tEV..QL\tIGH\tc1\nx2\tDI.QM\tIGK\tc1\nx3\tAA\tTRB\tc2\n"
        "x4\tDIQM\tIGL\tc3\n"
    )
    found = convert(tmp_path / "in.tsv", tmp_path / "o.csv")
    assert found.rows == [Antibody("c1", "EVQL", "DIQM")]
    assert any("x3 dropped: no locus" in n for n in found.notes) and any(
        "c3 dropped: a light" in n for n in found.notes
    )


@pytest.mark.skipif(not REAL_DATA.is_dir(), reason="the real data are not at hand")
@pytest.mark.parametrize(
    ("file", "track", "value"),
    [("GDPa1_v1.2_20250814.csv", "gdpa1", "PR_CHO"), ("low_throughput_polyspecificity_scores_w_exp.csv", "vhh48", "")],
)
def test_published_files_give_the_sequences_of_the_track(tmp_path: Path, file: str, track: str, value: str) -> None:
    found = convert(REAL_DATA / "source" / file, tmp_path / "o.csv", value=value)
    with (REAL_DATA / "hidden" / track / "sequences.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert [(a.heavy, a.light) for a in found.rows] == [(r["sequence"], r.get("light_sequence", "")) for r in rows]
