"""How long relatives and families of a library take: `python -m benchmarks.relatives`; not a part of `make bench`.

On synthetic antibodies, whose frameworks are as alike as those of a library; times are of this machine only.
"""

from __future__ import annotations

import time

from baselines.training.synthetic import antibodies, nanobodies
from evaluator.contract import families
from evaluator.integrity.overlap import relatives

TRAIN, PANEL, LIBRARY = 914, 484, 141_021


def main() -> None:
    """Print the times."""
    train, panel = (list(antibodies(n, seed)["sequence"]) for n, seed in ((TRAIN, 1), (PANEL, 2)))
    library = list(nanobodies(LIBRARY, 3)["sequence"])
    for name, rows in (("a panel", panel), ("a library", library)):
        start, used = time.perf_counter(), time.process_time()
        relatives(rows, train)
        took, used = time.perf_counter() - start, time.process_time() - used
        print(f"relatives of {name} of {len(rows):,} in {TRAIN}: {took:.2f} s, {used:.2f} s of processor")
    start = time.perf_counter()
    _, found = families.families(library)
    count = len(set(found.tolist()))
    print(f"families of {LIBRARY:,}: {time.perf_counter() - start:.2f} s, {count:,} of them")


if __name__ == "__main__":
    main()
