"""`test_data/canary.csv`: made sequences that occur nowhere else, to be found again in what a model was trained on.

`python -m scripts.canary` writes the same file every time; docs/canary.md says what it is for.
"""

from __future__ import annotations

import csv
import random
from pathlib import Path

PATH = Path(__file__).resolve().parent.parent / "test_data" / "canary.csv"
MARKER = "apb-canary-f5e86348-05ff-4026-babe-d47853a6963d"
"""In every id: a search for it finds copies of the file as text."""
COUNT, SEED = 64, 20
# Frameworks of IGHV3-23 and IGHJ4, so that the sequences pass for antibodies wherever such are gathered.
FRAMEWORKS = (
    "EVQLLESGGGLVQPGGSLRLSCAAS",
    "MSWVRQAPGKGLEWVS",
    "YYADSVKGRFTISRDNSKNTLYLQMNSLRAEDTAVYYC",
    "WGQGTLVTVSS",
)
LETTERS = "ADEFGHIKLMNPQRSTVWY"
"""Without cysteine, which would make a second bridge."""
LOOPS = (9, 9, 20)
"""Letters of the three loops: 19^38 ways to fill them, so that none is met by chance."""


def sequences(count: int = COUNT, seed: int = SEED) -> list[str]:
    """The heavy chains, loops drawn evenly."""
    rng = random.Random(seed)  # noqa: S311 - nothing is to be kept secret
    made = []
    for _ in range(count):
        loops = ["".join(rng.choices(LETTERS, k=length)) for length in LOOPS]
        parts = zip(FRAMEWORKS, [*loops, ""], strict=True)
        made.append("".join(framework + loop for framework, loop in parts))
    return made


def main() -> None:
    """Write the file."""
    with PATH.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(["sequence_id", "sequence"])
        writer.writerows((f"{MARKER}-{k:02d}", s) for k, s in enumerate(sequences(), start=1))


if __name__ == "__main__":
    main()
