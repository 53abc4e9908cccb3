"""Write the public practice tracks, `test_data/smoke*/`: one for every shape that a track can have.

They are synthetic and seeded, the same bytes every time. Their hashes stand in test_data/tracks/.
"""

from __future__ import annotations

import hashlib
import math
import random
from pathlib import Path

import pandas as pd

from baselines.predicting.composition import net_charge
from baselines.training.synthetic import CAMELID, HUMAN, antibodies, heavy_chain, light_chain, nanobodies

FOLDER = Path(__file__).resolve().parent.parent / "test_data"


def made(n: int, seed: int, *, camelid: bool = False, paired: bool = False, classes: bool = True) -> pd.DataFrame:
    """Rows of one shape; the label or target is a noisy function of the net charge of all chains."""
    rng = random.Random(seed)  # noqa: S311 - public data
    table = pd.DataFrame({"sequence_id": [f"synthetic_{i:04d}" for i in range(1, n + 1)]})
    table["sequence"] = [heavy_chain(rng, CAMELID if camelid else HUMAN) for _ in range(n)]
    if paired:
        table["light_sequence"] = [light_chain(rng) for _ in range(n)]
    chains = table.drop(columns="sequence_id").sum(axis="columns")
    noisy = [net_charge(c) + rng.gauss(0, 2.5) for c in chains]
    if classes:
        cut = sorted(noisy)[n // 2]
        table["label"] = [int(value >= cut) for value in noisy]
    else:
        table["target"] = [round(math.exp(value / 4), 4) for value in noisy]
    return table


def write(table: pd.DataFrame, folder: Path) -> None:
    """Split a table into sequences.csv and labels.csv, and print their hashes."""
    folder.mkdir(parents=True, exist_ok=True)
    chains = [name for name in table.columns if name.endswith("sequence")]
    truth = [name for name in ("label", "target") if name in table.columns]
    for name, columns in (("sequences", chains), ("labels", truth)):
        path = folder / f"{name}.csv"
        table[["sequence_id", *columns]].to_csv(path, index=False, lineterminator="\n")
        print(f"{folder.name}/{path.name}: {hashlib.sha256(path.read_bytes()).hexdigest()}")


def tracks() -> dict[str, pd.DataFrame]:
    """Every practice track's rows, by the track's id."""
    return {
        "smoke": antibodies(60, seed=2026),
        "smoke-vhh": nanobodies(40, seed=2027),
        "smoke-paired": made(24, seed=2028, paired=True),
        "smoke-vhh-classes": made(24, seed=2029, camelid=True),
        "smoke-vh-values": made(24, seed=2030, classes=False),
        "smoke-paired-values": made(24, seed=2031, paired=True, classes=False),
    }


if __name__ == "__main__":
    for track, rows in tracks().items():
        write(rows, FOLDER / track)
