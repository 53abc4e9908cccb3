"""The zoo's one reader: what it takes, what it refuses and how, and that what one command writes the others read."""

from __future__ import annotations

import csv
import gzip
import json
import subprocess
import sys
from contextlib import suppress
from itertools import count
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from baselines.backbones.tokens import RESIDUES
from baselines.cli import app
from baselines.errors import DataError
from baselines.predicting import composition, store, tables
from baselines.predicting.predict import predict
from baselines.speed import loads
from baselines.training.data import read_dataset, read_training_set
from baselines.training.synthetic import antibodies
from evaluator.scoring.files import score_files
from tests.conftest import ROOT

HEADER = "sequence_id,sequence,label\n"


def write(folder: Path, text: str | bytes, name: str = "a.csv") -> Path:
    path = folder / name
    data = text.encode() if isinstance(text, str) else text
    path.write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
    return path


@pytest.mark.parametrize("name", ["a.csv", "a.csv.gz"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_every_spelling_of_a_csv_is_one_table(tmp_path: Path, name: str, mark: str, end: str) -> None:
    text = f'{mark}{HEADER}NA,evql--.,0\n\n"b,c", QVQL ,1\n'.replace("\n", end)
    table = tables.read(write(tmp_path, text, name))
    assert table.ids() == ("NA", "b,c") and table.labels() == (0, 1)
    assert table.sequences() == ("EVQL", "QVQL") and table.lines == (2, 4)


@pytest.mark.parametrize("name", ["a.fasta", "a.fa.gz"])
def test_fasta_headers_may_hold_anything(tmp_path: Path, name: str) -> None:
    table = tables.read(write(tmp_path, "\ufeff\n>a <H> VH->PSR\nEVQ\nL-VE\n\n>b\nqvql\n", name))
    assert table.ids() == ("a", "b") and table.sequences() == ("EVQLVE", "QVQL")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (HEADER + "a,EVQL,0\nb,EVQL,0.95\n", r"row 2 \(line 3\): the label is '0.95', which is no class"),
        (HEADER + "a,EVQL,1.0\n", "the label is '1.0'. Write 1."),
        (HEADER + "a,EVQL,-0.9\n", "row 1.*no class"),
        (HEADER + "a,EVQL,inf\n", "row 1.*no class"),
        (HEADER + "a,EVQL,\n", "row 1.*the label is empty"),
        (HEADER + "a,EVQL,0\na,EVQL,1\n", "row 2.*stands in row 1 already"),
        (HEADER + ",EVQL,0\n", "row 1.*sequence_id is empty"),
        (HEADER + "a,EV,QL,0\n", "row 1.*4 fields, but the header has 3. Does a cell hold a comma"),
        (HEADER + "a,EV\ufb01L,0\n", "row 1.*stands for no residue"),
        (HEADER + "a,--,0\n", "row 1.*the sequence is empty"),
        (HEADER + 'a,"EV', "line 2.*is a quote not closed"),
        (HEADER, "a header and no rows"),
        ("", "is empty"),
        ("sequence_id,sequence,sequence\na,A,A\n", "names a column twice"),
        ("a,b\n1,2\n", "needs the columns sequence and label; it has a, b"),
        (";made by x\n>a\nEVQL\n", "begins with a comment"),
        (">a\nEVQL\n>a\nEVQL\n", "row 2.*stands in row 1 already|needs the columns"),
        ("sequence,label\nEVQL,0\n".encode("utf-16"), "is UTF-16"),
        (b"sequence,label\nEV\xff,0\n", "line 2 is not UTF-8"),
        (b"PK\x03\x04...", "spreadsheet"),
        (gzip.compress(b"sequence,label", mtime=0)[:-4], "cannot be read"),
    ],
    ids=count(),
)
def test_what_is_wrong_is_told_with_its_row(tmp_path: Path, text: str | bytes, told: str) -> None:
    path = write(tmp_path, text)
    for reader in (read_training_set, read_dataset):
        if reader is read_dataset and ("needs the columns sequence and label" in told):
            continue
        with pytest.raises(DataError, match=told):
            reader(path)


@pytest.mark.parametrize("value", ["nan", "", "inf", "-inf", "1e999", "1,5", "<3", "0x10"])
def test_a_target_is_a_finite_number(tmp_path: Path, value: str) -> None:
    path = write(tmp_path, f'sequence,target\nEVQL,0.5\nEVQL,"{value}"\n')
    with pytest.raises(DataError, match=r"row 2 \(line 3\): the target is"):
        read_dataset(path)


@given(st.text(alphabet=st.characters(codec="utf-8"), max_size=200))
@settings(deadline=None, max_examples=200)
def test_any_text_is_read_or_refused(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    path = write(tmp_path_factory.mktemp("any"), text)
    for reader in (read_training_set, read_dataset):
        with suppress(DataError):
            assert all(set(s) <= set(RESIDUES) for s in reader(path).sequences)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A composition model, from a file with gaps, and its plain twin; in the folder that was trained into."""
    folder = tmp_path_factory.mktemp("trained")
    table = antibodies(60, 3)
    positive = table["label"] == 1
    table.loc[positive, "sequence"] = [s[:30] + "-" * (140 - len(s)) + s[30:] for s in table["sequence"][positive]]
    table.to_csv(folder / "half.csv", index=False)
    done = CliRunner().invoke(app, ["train", "classifier=logreg", f"data.train={folder / 'half.csv'}", f"out={folder}"])
    assert done.exit_code == 0, done.output
    return folder


def test_image_and_checkpoint_are_one_model(trained: Path, tmp_path: Path) -> None:
    checkpoint = trained / "checkpoints" / "composition" / "logreg"
    plain = json.loads((trained / "composition" / "logreg" / "model.json").read_text())
    pipeline = store.load(checkpoint).model
    assert plain["mean"] == pytest.approx(pipeline[0].mean_, abs=1e-12)
    texts = ["EVQLVESGGGLVQ", "evql--VES.g", "W", "X" * 5, "ACDEFGHIKLMNPQRSTVWYXBZUO" * 9, "EVQL" * 300]
    source = write(tmp_path, "sequence_id,sequence\n" + "".join(f"s{k},{t}\n" for k, t in enumerate(texts)))
    image = tmp_path / "image"
    image.mkdir()
    (image / "predict.py").write_text((ROOT / "baselines/images/composition-logreg/predict.py").read_text())
    (image / "composition.py").write_text(Path(composition.__file__).read_text())
    (image / "model.json").write_text(json.dumps(plain))
    environment = {"INPUT": str(source), "OUTPUT": str(tmp_path / "image.csv")}
    subprocess.run([sys.executable, "-I", image / "predict.py"], env=environment, check=True)
    predict(checkpoint, source, tmp_path / "zoo.csv")
    a, b = (list(csv.DictReader((tmp_path / f"{name}.csv").open())) for name in ("image", "zoo"))
    assert [r["prediction"] for r in a] == [r["prediction"] for r in b]
    np.testing.assert_allclose([float(r["score"]) for r in a], [float(r["score"]) for r in b], rtol=0, atol=1e-12)


def test_what_one_command_writes_the_others_read(trained: Path, tmp_path: Path) -> None:
    zoo, model = CliRunner(), trained / "checkpoints" / "composition" / "logreg"
    done = zoo.invoke(app, ["test", "--model", str(model), "--test", str(trained / "half.csv"), "--out", str(tmp_path)])
    assert done.exit_code == 0, done.output
    written = tmp_path / "benchmarks" / "composition" / "logreg" / "half" / "predictions.csv"
    scores, _ = score_files(written, written)
    assert scores.n == 60
    fasta = write(tmp_path, "".join(f">s{k} x\n{s}\n" for k, s in enumerate(["EVQL", "QVQL"])), "a.fasta")
    done = zoo.invoke(app, ["predict", "--model", str(model), "--input", str(fasta), "--output", str(tmp_path / "o")])
    assert done.exit_code == 0 and tables.read(tmp_path / "o").ids() == ("s0", "s1")
    assert loads.read_sequences(fasta, 1) == ["EVQL"]


def test_contradictions_are_told_before_training(tmp_path: Path) -> None:
    table = antibodies(60, 3)
    text = table.to_csv(index=False) + f"again,{table['sequence'][0]},{1 - table['label'][0]}\n"
    data = write(tmp_path, text)
    done = CliRunner().invoke(app, ["train", "classifier=svm", f"data.train={data}", f"out={tmp_path}"])
    assert done.exit_code == 0 and "note: rows 1 and 61 are one sequence, with labels" in done.stderr


@pytest.mark.parametrize("head", ["logreg", "svm"])
@pytest.mark.parametrize("positives", [3, 7])
def test_too_few_rows_are_one_line_and_nothing_is_written(tmp_path: Path, head: str, positives: int) -> None:
    table = antibodies(200, 3)
    few = table.groupby("label").head(positives) if positives == 3 else table
    few = few[(few["label"] == 0) | (few["label"].cumsum() <= positives)]
    few.to_csv(tmp_path / "few.csv", index=False)
    out = tmp_path / "out"
    done = CliRunner().invoke(app, ["train", f"classifier={head}", f"data.train={tmp_path / 'few.csv'}", f"out={out}"])
    assert isinstance(done.exception, DataError) and "10 folds need as many rows" in str(done.exception)
    assert not list(out.rglob("*")) if out.exists() else True
