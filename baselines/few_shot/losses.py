"""What the networks are trained to do: put pairs of queries in the right order."""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812 - everybody calls it so


def ranking(scores: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """Mean over all ordered pairs of log(1 + exp(-(s_i - s_j))), y_i > y_j; ties are no pairs.

    Burges et al. 2005, ICML (RankNet).

    Args:
        scores, targets: [tasks, n].
    """
    above = targets[:, :, None] > targets[:, None, :]
    pairs = F.softplus(scores[:, None, :] - scores[:, :, None])
    return (pairs * above).sum() / above.sum().clamp_min(1)


def regression(scores: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """Mean squared error; both [tasks, n], targets standardised by the support."""
    return F.mse_loss(scores, targets)


LOSSES = {"ranking": ranking, "regression": regression}
