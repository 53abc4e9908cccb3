"""Synthetic antibodies: human germline frameworks with random loops, and labels that follow a made-up rule.

They look like antibodies to a program, and say nothing about antibodies: good for trying things out, for nothing else.
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence

import pandas as pd

from baselines.predicting.composition import AMINO_ACIDS, net_charge


def _germlines(*lines: str) -> tuple[list[str], ...]:
    return tuple(line.split() for line in lines)


# Framework 1, CDR1, framework 2, CDR2, framework 3: germline genes IGHV3-23, 1-69, 4-34, 3-30, 5-51 as in IMGT.
HUMAN = _germlines(
    "EVQLLESGGGLVQPGGSLRLSCAASGFTFS SYAMS WVRQAPGKGLEWVS AISGSGGSTYYADSVKG RFTISRDNSKNTLYLQMNSLRAEDTAVYYCAK",
    "QVQLVQSGAEVKKPGSSVKVSCKASGGTFS SYAIS WVRQAPGQGLEWMG GIIPIFGTANYAQKFQG RVTITADESTSTAYMELSSLRSEDTAVYYCAR",
    "QVQLQQWGAGLLKPSETLSLTCAVYGGSFS GYYWS WIRQPPGKGLEWIG EINHSGSTNYNPSLKS RVTISVDTSKNQFSLKLSSVTAADTAVYYCAR",
    "QVQLVESGGGVVQPGRSLRLSCAASGFTFS SYGMH WVRQAPGKGLEWVA VISYDGSNKYYADSVKG RFTISRDNSKNTLYLQMNSLRAEDTAVYYCAR",
    "EVQLVQSGAEVKKPGESLKISCKGSGYSFT SYWIG WVRQMPGKGLEWMG IIYPGDSDTRYSPSFQG QVTISADKSISTAYLQWSSLKASDTAMYYCAR",
)
CAMELID = _germlines(
    "QVQLVESGGGLVQAGGSLRLSCAASGRTFS SYAMG WFRQAPGKEREFVA AISWSGGSTYYADSVKG RFTISRDNAKNTVYLQMNSLKPEDTAVYYCAA",
)
# The same of light chains: IGKV1-39, IGKV3-20, IGLV2-14, each with the end that its J gene gives it.
LIGHT = _germlines(
    "DIQMTQSPSSLSASVGDRVTITC RASQSISSYLN WYQQKPGKAPKLLIY AASSLQS GVPSRFSGSGSGTDFTLTISSLQPEDFATYYC FGQGTKVEIK",
    "EIVLTQSPGTLSLSPGERATLSC RASQSVSSSYLA WYQQKPGQAPRLLIY GASSRAT GIPDRFSGSGSGTDFTLTISRLEPEDFAVYYC FGQGTKLEIK",
    "QSALTQPASVSGSPGQSITISC TGTSSDVGGYNYVS WYQQHPGKAPKLMIY EVSNRPS GVSNRFSGSKSGNTASLTISGLQAEDEADYYC FGGGTKLTVL",
)
# How often each residue stands in a human CDR-H3, roughly, in the order of AMINO_ACIDS.
LOOP_WEIGHTS = (6, 1, 9, 3, 4, 14, 2, 3, 2, 5, 2, 3, 4, 2, 8, 9, 5, 6, 3, 12)


def _loop(rng: random.Random, length: int) -> str:
    return "".join(rng.choices(AMINO_ACIDS, weights=LOOP_WEIGHTS, k=length))


def _mutated(rng: random.Random, segment: str, rate: float) -> str:
    return "".join(_loop(rng, 1) if rng.random() < rate else residue for residue in segment)


def heavy_chain(rng: random.Random, germlines: Sequence[Sequence[str]] = HUMAN) -> str:
    """One variable domain with mutated loops and a random CDR3."""
    rates = (0.02, 0.25, 0.02, 0.2, 0.03)
    body = "".join(_mutated(rng, part, rate) for part, rate in zip(rng.choice(germlines), rates, strict=True))
    return (
        body
        + _loop(rng, rng.randint(6, 16))
        + rng.choice(("FDY", "FDI", "MDV"))
        + rng.choice(("WGQGTLVTVSS", "WGQGTQVTVSS"))
    )


def light_chain(rng: random.Random) -> str:
    """One light variable domain with mutated loops and a random CDR3."""
    *body, end = rng.choice(LIGHT)
    rates = (0.02, 0.2, 0.02, 0.2, 0.02)
    return "".join(_mutated(rng, part, rate) for part, rate in zip(body, rates, strict=True)) + _loop(rng, 9) + end


def antibodies(n: int, seed: int) -> pd.DataFrame:
    """`sequence_id,sequence,label` of n human-like VH; the label is a noisy function of net charge, half positive."""
    rng = random.Random(seed)
    sequences = [heavy_chain(rng) for _ in range(n)]
    noisy = [net_charge(s) + rng.gauss(0, 2.5) for s in sequences]
    cut = sorted(noisy)[n // 2]
    return pd.DataFrame(
        {
            "sequence_id": [f"synthetic_{i:04d}" for i in range(1, n + 1)],
            "sequence": sequences,
            "label": [int(value >= cut) for value in noisy],
        }
    )


def nanobodies(n: int, seed: int) -> pd.DataFrame:
    """`sequence_id,sequence,target` of n VHH; the target is a noisy function of net charge: larger is worse."""
    rng = random.Random(seed)
    sequences = [heavy_chain(rng, CAMELID) for _ in range(n)]
    targets = [math.exp((net_charge(s) + rng.gauss(0, 2.0)) / 4) for s in sequences]
    return pd.DataFrame(
        {
            "sequence_id": [f"synthetic_{i:04d}" for i in range(1, n + 1)],
            "sequence": sequences,
            "target": [round(t, 4) for t in targets],
        }
    )
