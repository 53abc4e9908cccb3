"""What changes weights and not the function: the order of hidden units, and their scales.

A rectified unit may be multiplied by any positive number where what it sends is divided by it, and units of a layer
may stand in any order (Hecht-Nielsen 1990; Neyshabur et al. 2015, NeurIPS, on scales). A canonical form takes one of
all equivalent sets of weights.
"""

from __future__ import annotations

import torch

from baselines.similarity.networks import Networks

SCALES = (0.5, 2.0)
"""Between which factors a unit is scaled."""
TINY = 1e-12


def moved(networks: Networks, generator: torch.Generator, *, permute: bool = True, scale: bool = True) -> Networks:
    """Equivalent networks: units in random order, scaled by random factors, evenly on a logarithmic scale."""
    for hidden in (0, 1):
        there = networks.units(hidden)
        if scale:
            low, high = torch.log(torch.tensor(SCALES))
            factors = torch.exp(low + (high - low) * torch.rand(there.shape, generator=generator))
            networks = _scaled(networks, hidden, factors.to(networks.layers[0].dtype))
        if permute:
            keys = torch.rand(there.shape, generator=generator)
            networks = _ordered(networks, hidden, keys.masked_fill(~there, 2.0).argsort(1))
    return networks


def normalised(networks: Networks) -> Networks:
    """The equivalent networks whose hidden units all have incoming weights, with the bias, of norm 1."""
    for hidden in (0, 1):
        norms = networks.layers[hidden].norm(dim=2)
        networks = _scaled(networks, hidden, 1 / torch.where(norms > TINY, norms, torch.ones_like(norms)))
    return networks


def canonical(networks: Networks) -> Networks:
    """The same with units in order: by what each adds to the logit along all paths, the largest first."""
    networks = normalised(networks)
    effects = networks.layers[2][:, 0, :-1]
    networks = _ordered(networks, 1, _falling(effects, networks.units(1)))
    effects = (networks.layers[2][:, :, :-1] @ networks.layers[1][:, :, :-1])[:, 0]
    return _ordered(networks, 0, _falling(effects, networks.units(0)))


def _falling(values: torch.Tensor, there: torch.Tensor) -> torch.Tensor:
    return values.masked_fill(~there, -torch.inf).argsort(dim=1, descending=True, stable=True)


def _scaled(networks: Networks, hidden: int, factors: torch.Tensor) -> Networks:
    layers = list(networks.layers)
    layers[hidden] = layers[hidden] * factors[:, :, None]
    sent, bias = layers[hidden + 1][:, :, :-1], layers[hidden + 1][:, :, -1:]
    layers[hidden + 1] = torch.cat([sent / factors[:, None], bias], 2)
    return Networks((layers[0], layers[1], layers[2]), networks.widths)


def _ordered(networks: Networks, hidden: int, order: torch.Tensor) -> Networks:
    """Units in another order, [networks, width]; padding stays at the end."""
    layers = list(networks.layers)
    rows = layers[hidden]
    layers[hidden] = rows.gather(1, order[:, :, None].expand(-1, -1, rows.shape[2]))
    sent, bias = layers[hidden + 1][:, :, :-1], layers[hidden + 1][:, :, -1:]
    layers[hidden + 1] = torch.cat([sent.gather(2, order[:, None].expand(-1, sent.shape[1], -1)), bias], 2)
    return Networks((layers[0], layers[1], layers[2]), networks.widths)
