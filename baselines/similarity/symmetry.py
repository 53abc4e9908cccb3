"""How far embeddings move where the function stays: the robustness of an encoder to permutations and scalings."""

from __future__ import annotations

import numpy as np
import torch

from baselines.errors import DataError
from baselines.similarity.networks import Networks
from baselines.similarity.simple import Encoder
from baselines.similarity.symmetries import moved
from baselines.similarity.tasks import Floats

KINDS = {
    "permutation": {"permute": True, "scale": False},
    "scaling": {"permute": False, "scale": True},
    "both": {"permute": True, "scale": True},
}
SAME = 1e-5
"""By how much outputs may differ at most, relative to the largest."""


def likeness(encoder: Encoder, networks: Networks, panel: Floats, draws: int, seed: int) -> Floats:
    """[3, 2, draws, networks] of each kind: cosine and distance between the embeddings of a network and its equivalent.

    Args:
        networks: in double precision.
        panel: [antibodies, inputs] on which outputs are compared first.
        draws: equivalents of each network.

    Raises:
        DataError: outputs of an equivalent are not the network's own.
    """
    generator = torch.Generator().manual_seed(seed)
    inputs = torch.from_numpy(panel)
    outputs, vectors = networks.logits(inputs), encoder.embed(networks)
    found = np.zeros((len(KINDS), 2, draws, len(networks)))
    for of_kind, what in zip(found, KINDS.values(), strict=True):
        for draw in range(draws):
            equivalent = moved(networks, generator, **what)
            require_same(outputs, equivalent.logits(inputs))
            other = encoder.embed(equivalent)
            of_kind[0, draw] = (vectors * other).sum(1)
            of_kind[1, draw] = np.linalg.norm(vectors - other, axis=1)
    return found


def require_same(outputs: torch.Tensor, others: torch.Tensor) -> None:
    """Refuse outputs that differ by more than rounding.

    Raises:
        DataError: they do.
    """
    apart = float((outputs - others).abs().max() / outputs.abs().max())
    if not apart <= SAME:
        raise DataError(f"Outputs of networks that should be equivalent differ by {apart:.2g} of the largest.")
