"""Plain descriptors of a heavy variable domain: composition, length, charge, hydrophobicity. Standard library only.

This file is copied into the reference images as it is, so training and prediction share one definition.
"""

AMINO_ACIDS = "ACDEFGHIKLMNPQRSTVWY"

# Hydropathy index: Kyte and Doolittle 1982, J. Mol. Biol. 157:105, table 2.
HYDROPATHY = {
    "A": 1.8,
    "R": -4.5,
    "N": -3.5,
    "D": -3.5,
    "C": 2.5,
    "Q": -3.5,
    "E": -3.5,
    "G": -0.4,
    "H": -3.2,
    "I": 4.5,
    "L": 3.8,
    "K": -3.9,
    "M": 1.9,
    "F": 2.8,
    "P": -1.6,
    "S": -0.8,
    "T": -0.7,
    "W": -0.9,
    "Y": -1.3,
    "V": 4.2,
}

FEATURES = (*(f"fraction_{a}" for a in AMINO_ACIDS), "length", "net_charge", "mean_hydropathy", "fraction_aromatic")


def plain(sequence: str) -> str:
    """Upper case, without gaps of an alignment and white space at the ends."""
    return sequence.strip().replace("-", "").replace(".", "").upper()


def net_charge(sequence: str) -> int:
    """Lysines and arginines minus aspartates and glutamates: the formal charge near pH 7, in units of e."""
    return sum(map(sequence.count, "KR")) - sum(map(sequence.count, "DE"))


def features(sequence: str) -> list[float]:
    """The values of `FEATURES` for one sequence; gaps count for nothing, other letters for the length only."""
    sequence = plain(sequence)
    known = [a for a in sequence if a in HYDROPATHY]
    n = max(len(known), 1)
    fractions = {a: known.count(a) / n for a in AMINO_ACIDS}
    return [
        *fractions.values(),
        float(len(sequence)),
        float(net_charge(sequence)),
        sum(HYDROPATHY[a] for a in known) / n,
        fractions["F"] + fractions["W"] + fractions["Y"],
    ]
