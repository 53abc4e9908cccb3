"""Write the two public practice tracks, `test_data/smoke/` and `test_data/smoke-vhh/`.

They are synthetic and seeded, the same bytes every time. Their hashes stand in test_data/tracks/.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import pandas as pd

from baselines.training.synthetic import antibodies, nanobodies

FOLDER = Path(__file__).resolve().parent.parent / "test_data"


def write(table: pd.DataFrame, truth: str, folder: Path) -> None:
    """Split a table into sequences.csv and labels.csv, and print their hashes."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, column in (("sequences", "sequence"), ("labels", truth)):
        path = folder / f"{name}.csv"
        table[["sequence_id", column]].to_csv(path, index=False, lineterminator="\n")
        print(f"{path.relative_to(FOLDER)}: {hashlib.sha256(path.read_bytes()).hexdigest()}")


if __name__ == "__main__":
    write(antibodies(60, seed=2026), "label", FOLDER / "smoke")
    write(nanobodies(40, seed=2027), "target", FOLDER / "smoke-vhh")
