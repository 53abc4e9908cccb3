"""From published files to hidden data, the very bytes that the track files name."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from evaluator.preparing.sources import IMGT
from tests.conftest import ROOT, Workspace
from tests.support.disks import fill, tiny_disk

DATA = ROOT.parent / "shared" / "data"
real_data = pytest.mark.skipif(not DATA.is_dir(), reason="the real data are not at hand")


@real_data
@pytest.mark.parametrize("track", ["jain", "shehata", "vhh48"])
def test_the_published_files_give_the_very_bytes(workspace: Workspace, tmp_path: Path, track: str) -> None:
    done = workspace.apb("prepare", track, "--from", str(DATA / "source"), "--hidden", str(tmp_path / "hidden"))
    assert done.returncode == 0, done.stderr
    sums = dict(line.split("  ")[::-1] for line in (DATA / "SHA256SUMS").read_text().splitlines())
    for name in ("sequences", "labels"):
        found = (tmp_path / "hidden" / track / f"{name}.csv").read_bytes()
        assert hashlib.sha256(found).hexdigest() == sums[f"hidden/{track}/{name}.csv"]


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
