"""From published files to hidden data, the very bytes that the track files name."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from evaluator.contract.tables import read_csv
from evaluator.contract.tracks import load_all
from evaluator.errors import UsageError
from evaluator.preparing.prepare import prepare_new
from evaluator.preparing.sources import IMGT
from evaluator.settings import Repository
from scripts.ceiling import agreement
from tests.conftest import ROOT, Workspace
from tests.support.disks import fill, tiny_disk

DATA = ROOT.parent / "shared" / "data"
real_data = pytest.mark.skipif(not DATA.is_dir(), reason="the real data are not at hand")


@real_data
@pytest.mark.parametrize("track", ["jain", "jain137", "shehata", "shehata-psr", "gdpa1", "harvey1k", "vhh48"])
def test_the_published_files_give_the_very_bytes(workspace: Workspace, tmp_path: Path, track: str) -> None:
    done = workspace.apb("prepare", track, "--from", str(DATA / "source"), "--hidden", str(tmp_path / "hidden"))
    assert done.returncode == 0, done.stderr
    sums = dict(line.split("  ")[::-1] for line in (DATA / "SHA256SUMS").read_text().splitlines())
    for name in ("sequences", "labels"):
        found = (tmp_path / "hidden" / track / f"{name}.csv").read_bytes()
        assert hashlib.sha256(found).hexdigest() == sums[f"hidden/{track}/{name}.csv"]


@real_data
def test_tracks_that_share_antibodies_say_so_and_the_ceiling_is_what_replicates_agree_on() -> None:
    tracks = load_all(ROOT / "test_data" / "tracks")
    folders = {name: DATA / "hidden" / name / "sequences.csv" for name in tracks}
    chains = {name: set(read_csv(path)["sequence"]) for name, path in folders.items() if path.is_file()}
    for one, own in chains.items():
        sharing = {other for other, theirs in chains.items() if other != one and len(own & theirs) >= 10}
        assert sharing <= set(tracks[one].same_antibodies) <= set(tracks)
        assert all(one in tracks[other].same_antibodies for other in tracks[one].same_antibodies)
    replicates = read_csv(DATA / "source" / "low_throughput_polyspecificity_scores_w_exp.csv")
    columns = [np.array(replicates[c], dtype=float) for c in replicates if re.match(r"Biorep \d", c)]
    found = tracks["vhh48"].ceiling
    assert len(columns) == 3 and found is not None
    assert agreement(columns) == pytest.approx((found.value, found.low, found.high), abs=5e-5)


def table(n: int, seed: int) -> pd.DataFrame:
    """Rows in Harvey's format, some with insertions, one in a hundred without a sequence."""
    rng = np.random.default_rng(seed)
    letters = rng.choice(list("ACDEFGHIKLMNPQRSTVWY"), size=(n, len(IMGT)))
    gaps = np.array(["11" in c and c[-1] in "ABCDE" for c in IMGT])
    letters[:, gaps] = np.where(rng.random((n, int(gaps.sum()))) < 0.7, "-", letters[:, gaps])
    letters[::100] = "-"
    return pd.DataFrame(letters, columns=list(IMGT))


def harvey(folder: Path, high: int, low: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    folder.mkdir()
    made = table(high, 1), table(low, 2)
    for name, one in zip(("high", "low"), made, strict=True):
        one.insert(0, "CDR3_nogaps", "x")
        one.to_csv(folder / f"{name}_polyreactivity_high_throughput.csv")
    return made


def test_harvey_is_assembled_with_its_insertions_and_shuffled(workspace: Workspace, tmp_path: Path) -> None:
    high, low = harvey(tmp_path / "source", 350, 250)
    outs = []
    for name in ("one", "two"):
        hidden = tmp_path / name
        done = workspace.apb("prepare", "harvey", "--from", str(tmp_path / "source"), "--hidden", str(hidden))
        assert done.returncode == 0, done.stderr
        outs.append([(hidden / "harvey" / f"{n}.csv").read_bytes() for n in ("sequences", "labels")])
    assert outs[0] == outs[1]
    assert "7 rows of the source cannot be used" in done.stdout
    assert "seed" in done.stdout
    assert hashlib.sha256(outs[0][0]).hexdigest() in done.stdout
    sequences = pd.read_csv(tmp_path / "one" / "harvey" / "sequences.csv")
    labels = pd.read_csv(tmp_path / "one" / "harvey" / "labels.csv")
    expected = {
        ("".join(row).replace("-", ""), label)
        for one, label in ((high, 1), (low, 0))
        for k, row in enumerate(one[list(IMGT)].to_numpy())
        if k % 100
    }
    assert set(zip(sequences["sequence"], labels["label"], strict=True)) == expected
    assert list(sequences["sequence_id"]) == list(labels["sequence_id"])
    assert 0 < labels["label"][:50].sum() < 50  # the order tells nothing


def test_other_sources_are_refused_and_nothing_is_written(workspace: Workspace, tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    missing = workspace.apb("prepare", "jain", "--from", str(source), "--hidden", str(tmp_path / "h"))
    assert missing.returncode == 2 and "jain_86" in missing.stderr
    (source / "jain_86_x.csv").write_text("id,vh_sequence,vl_sequence,label\na,QVQ,DIQ,1.0\n")
    other = workspace.apb("prepare", "jain", "--from", str(source), "--hidden", str(tmp_path / "h"))
    assert other.returncode == 2 and "sha256" in other.stderr
    assert not (tmp_path / "h").exists()


CHAIN = "QVQLVESGGG"
PANEL = [f"m{k},{CHAIN}{'ACDEFGHIKL'[k % 10]},{int(k < 4)},f{k // 2}" for k in range(12)]
BAD_PANELS: dict[str, tuple[str, str, str]] = {
    "decimal comma": ("target", 'm3,QVQL,"0,5",f', "line 5: the target has a decimal comma"),
    "missing target": ("target", "m3,QVQL,NA,f", "line 5: the target is missing"),
    "empty target": ("target", "m3,QVQL,,f", "line 5: the target is missing"),
    "below a limit": ("target", "m3,QVQL,<LOD,f", "line 5: the target is a bound and no number"),
    "infinite": ("target", "m3,QVQL,-inf,f", "line 5: the target is not finite"),
    "too large": ("target", "m3,QVQL,1e999,f", "line 5: the target is not finite"),
    "Python's own": ("target", "m3,QVQL,1_0,f", "line 5: the target is not a number"),
    "word": ("target", "m3,QVQL,high,f", "line 5: the target is not a number"),
    "class 2": ("label", "m3,QVQL,2,f", "line 5: the label is something else. A label is 0 or 1"),
    "class 1.0": ("label", "m3,QVQL,1.0,f", "line 5: the label is something else. A label is 0 or 1"),
    "no class": ("label", "m3,QVQL,,f", "line 5: the label is empty"),
    "empty id": ("label", ",QVQL,1,f", "line 5: the sequence_id is empty"),
    "repeated id": ("label", "m1,QVQL,1,f", "line 5: the sequence_id stands in line 3 already"),
    "empty family": ("label", "m3,QVQL,1,", "line 5: the family is empty"),
    "lower case": ("label", "m3,qvql,1,f", "line 5: the sequence is in lower case"),
    "gaps": ("label", "m3,QV-QL,1,f", "line 5: the sequence has gaps ('-')"),
    "dots": ("label", "m3,QV.QL,1,f", "line 5: the sequence has gaps ('.')"),
    "stop": ("label", "m3,QVQL*,1,f", "line 5: the sequence has a stop ('*')"),
    "space": ("label", "m3,QV QL,1,f", "line 5: the sequence has a space"),
    "digit": ("label", "m3,QV1QL,1,f", "line 5: the sequence has '1', which is no amino acid"),
    "no sequence": ("label", "m3,,1,f", "line 5: the sequence is empty"),
    "short row": ("label", "m3,QVQL,1", "line 5 has 3 fields, the header 4"),
    "long row": ("label", "m3,QVQL,1,f,", "line 5 has 5 fields, the header 4. It ends with a comma"),
    "open quote": ("label", 'm3,"QVQL,1,f', "cannot be split into fields"),
}


@pytest.mark.parametrize("case", BAD_PANELS)
def test_what_evaluate_would_refuse_is_refused_with_its_line(workspace: Workspace, tmp_path: Path, case: str) -> None:
    truth, row, told = BAD_PANELS[case]
    header = f"sequence_id,sequence,{truth},family"
    source, hidden = tmp_path / "panel.csv", tmp_path / "hidden"
    source.write_text("\n".join([header, *PANEL[:3], row, *PANEL[4:]]) + "\n")
    repository = Repository(workspace.root)
    with pytest.raises(UsageError) as caught:
        prepare_new("our-panel", source, hidden, repository)
    assert told in str(caught.value) and str(source) in str(caught.value)
    assert not hidden.exists() and not (repository.tracks / "our-panel.yaml").exists()


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "is empty"), (b"sequence_id,sequence,label\n", "no rows"), (b"a;b;c\n1;2;3\n", "separates its columns"),
        ("sequence_id,sequence,label\n".encode("utf-16"), "is UTF-16"), (b"PK\x03\x04rest", "zip archive"),
        (b"sequence_id,sequence,label\nm1,QVQL\xe9,1\n", "line 2 is not UTF-8"),
        (b"sequence_id,sequence\nm1,QVQL\n", "neither a column label"),
        (b"id,sequence,label\nm1,QVQL,1\n", "sequence_id"),
        (b"\nsequence_id,sequence,label\n\nm1,QVQL,1\n\nm2,QVQl,1\n", "line 6: the sequence"),
    ],
)  # fmt: skip
def test_what_is_no_panel_is_called_by_its_name(
    workspace: Workspace, tmp_path: Path, content: bytes, told: str
) -> None:
    (tmp_path / "panel.csv").write_bytes(content)
    with pytest.raises(UsageError, match=re.escape(told)):
        prepare_new("our-panel", tmp_path / "panel.csv", tmp_path / "hidden", Repository(workspace.root))


def test_an_id_that_no_track_can_have_is_refused(workspace: Workspace, tmp_path: Path) -> None:
    (tmp_path / "panel.csv").write_text("\n".join(["sequence_id,sequence,label,family", *PANEL]) + "\n")
    done = workspace.apb("prepare", "--new", "../Our", "--from", str(tmp_path / "panel.csv"), "--hidden", "h")
    assert done.returncode == 2 and "3 to 64" in done.stderr and len(done.stderr.splitlines()) == 1


def test_a_track_of_ones_own(workspace: Workspace, tmp_path: Path) -> None:
    lines = [f"m{k},QVQLVESGG{'ACDEFGHIKL'[k % 10]},{int(k < 4)},f{k // 2}" for k in range(12)]
    (tmp_path / "panel.csv").write_text("sequence_id,sequence,label,family\n" + "\n".join(lines) + "\n")
    hidden = tmp_path / "hidden"
    arguments = ["prepare", "--new", "our-panel", "--from", str(tmp_path / "panel.csv"), "--hidden", str(hidden)]
    done = workspace.apb(*arguments)
    assert done.returncode == 0, done.stderr
    assert (hidden / "labels.key").stat().st_mode & 0o077 == 0
    again = workspace.apb(*arguments)
    assert again.returncode == 2 and "already" in again.stderr
    ready = workspace.apb("evaluate", "--hidden", str(hidden), "--tracks", "our-panel")
    assert ready.returncode == 0, ready.stderr  # the track file that was written fits the data
    assert (
        "labels"
        not in (workspace.root / "test_data" / "tracks" / "our-panel.yaml")
        .read_text()
        .split("sha256:")[1]
        .split("labels_hmac")[0]
    )


def test_what_is_written_is_its_makers_alone_and_nothing_is_left_half(workspace: Workspace, tmp_path: Path) -> None:
    panel = tmp_path / "panel.csv"
    panel.write_text("sequence_id,sequence,label\na,EVQLVES,0\nb,EVQLVRK,1\n")
    hidden, track = tmp_path / "hidden", workspace.root / "test_data" / "tracks" / "panel.yaml"
    command = ("prepare", "--new", "panel", "--from", str(panel), "--hidden")
    with tiny_disk(tmp_path / "disk", 64) as disk:
        for leave in range(0, 24_000, 4096):  # wherever in the story the room ends
            filler = fill(disk, leave)
            done = workspace.apb(*command, str(disk / "hidden"))
            if done.returncode == 0:
                break
            assert done.returncode == 3 and "No space left" in done.stderr and "Traceback" not in done.stderr
            assert not track.exists() and [p.name for p in disk.iterdir()] == [filler.name]
        assert done.returncode == 0 and leave
        track.unlink()
    assert workspace.apb(*command, str(hidden)).returncode == 0
    modes = {p.relative_to(tmp_path).as_posix(): p.stat().st_mode & 0o777 for p in [hidden, *hidden.rglob("*")]}
    assert modes == {
        "hidden": 0o700, "hidden/labels.key": 0o600, "hidden/panel": 0o700,
        "hidden/panel/sequences.csv": 0o600, "hidden/panel/labels.csv": 0o600,
    }  # fmt: skip
