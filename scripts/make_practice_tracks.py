"""Write the public practice tracks, `test_data/smoke*/`, one for every shape that a track can have, and the panel.

They are synthetic and seeded, the same bytes every time. Their hashes stand in test_data/tracks/ and in
test_data/panel/panel.yaml.
"""

from __future__ import annotations

import hashlib
import math
import random
from itertools import combinations
from pathlib import Path

import pandas as pd

from baselines.predicting.composition import AMINO_ACIDS, net_charge
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


def landscape(n: int, seed: int) -> pd.DataFrame:
    """A parent and combinations of its mutations, for a few-shot track; the target is a noisy sum of their effects."""
    rng = random.Random(seed)  # noqa: S311 - public data
    parent = heavy_chain(rng)
    places = rng.sample(range(len(parent)), 8)
    effects = {at: (rng.choice([a for a in AMINO_ACIDS if a != parent[at]]), rng.gauss(0, 1)) for at in places}
    chosen = [frozenset[int](), *(frozenset(combination) for k in (1, 2, 3) for combination in combinations(places, k))]
    rows = [
        {
            "sequence": "".join(effects[at][0] if at in mutated else a for at, a in enumerate(parent)),
            "target": round(sum(effects[at][1] for at in sorted(mutated)) + rng.gauss(0, 0.2), 4),
        }
        for mutated in [chosen[0], *rng.sample(chosen[1:], n - 1)]
    ]
    table = pd.DataFrame(rows)
    table.insert(0, "sequence_id", [f"synthetic_{i:04d}" for i in range(1, n + 1)])
    return table.assign(assay="made-up")


def panels(n: int, seed: int) -> pd.DataFrame:
    """Antibodies and nanobodies, measured by two made-up assays each, for a few-shot track."""
    pairs, single = made(n, seed, paired=True, classes=False), made(n, seed + 1, camelid=True, classes=False)
    table = pd.concat([pairs, single.assign(light_sequence="")], ignore_index=True)
    table["sequence_id"] = [f"synthetic_{i:04d}" for i in range(1, len(table) + 1)]
    rng = random.Random(seed + 2)  # noqa: S311 - public data
    second = table.assign(target=[round(t + rng.gauss(0, 0.3), 4) for t in table["target"]], assay="second")
    rows = pd.concat([table.assign(assay="first"), second], ignore_index=True)
    rows["assay"] = [
        ("vhh" if not light else "igg") + f"-{a}"
        for light, a in zip(rows["light_sequence"], rows["assay"], strict=True)
    ]
    return rows


def panel(seed: int) -> pd.DataFrame:
    """384 heavy chains and 128 nanobodies, shuffled, on which entries are compared; they have no labels."""
    rng = random.Random(seed)  # noqa: S311 - public data
    rows = [heavy_chain(rng, HUMAN) for _ in range(384)] + [heavy_chain(rng, CAMELID) for _ in range(128)]
    rng.shuffle(rows)
    return pd.DataFrame({"sequence_id": [f"panel_{i:03d}" for i in range(1, len(rows) + 1)], "sequence": rows})


def write(table: pd.DataFrame, folder: Path) -> None:
    """Split a table into sequences.csv and labels.csv, and print their hashes."""
    folder.mkdir(parents=True, exist_ok=True)
    chains = [name for name in table.columns if name.endswith("sequence")]
    truth = [name for name in ("label", "assay", "target") if name in table.columns]
    for name, columns in (("sequences", chains), *([("labels", truth)] if truth else [])):
        path = folder / f"{name}.csv"
        table[["sequence_id", *columns]].drop_duplicates().to_csv(path, index=False, lineterminator="\n")
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
        "smoke-landscape": landscape(60, seed=2032),
        "smoke-panels": panels(40, seed=2033),
    }


if __name__ == "__main__":
    for track, rows in tracks().items():
        write(rows, FOLDER / track)
    write(panel(seed=2034), FOLDER / "panel")
