"""A head that pools residues by itself: it learns which ones to look at, then classifies what it saw.

Structured self-attention of Lin et al. 2017, ICLR (arXiv:1703.03130): for residue x_i the weights of each attention
head are softmax_i(v . tanh(W x_i)), and what all heads saw goes through one linear layer. At the beginning all weights
are nearly equal, which is the mean.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F  # noqa: N812 - everybody calls it so
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from sklearn.model_selection import StratifiedGroupKFold

from baselines.errors import DataError
from baselines.predicting.features import Residues

BATCH, AT_ONCE = 64, 512
CLIP = 1.0
DEFAULTS: dict[str, float] = {
    "hidden": 64,
    "heads": 4,
    "dropout": 0.2,
    "learning_rate": 3e-3,
    "weight_decay": 0.05,
    "epochs": 40,
    "patience": 5,
}
"""`patience`: epochs without a lower validation loss after which training stops."""


class _Network(torch.nn.Module):
    mean: torch.Tensor
    scale: torch.Tensor

    def __init__(self, width: int, hidden: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(width))
        self.register_buffer("scale", torch.ones(width))
        self.looked = torch.nn.Linear(width, hidden)
        self.weighed = torch.nn.Linear(hidden, heads, bias=False)
        self.dropped = torch.nn.Dropout(dropout)
        self.classified = torch.nn.Linear(heads * width, 1)

    def forward(self, x: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        """Logits [n] of residues [n, longest, width], zero behind each sequence's end."""
        x = (x - self.mean) / self.scale
        outside = torch.arange(x.shape[1]) >= lengths[:, None]
        weights = self.weighed(torch.tanh(self.looked(x))).masked_fill(outside[..., None], -math.inf).softmax(1)
        seen = torch.einsum("nlh,nld->nhd", weights, x).flatten(1)
        found: torch.Tensor = self.classified(self.dropped(seen)).squeeze(1)
        return found


class Attention:
    """Fitted like a classifier of scikit-learn, on residues.

    Args:
        seed: of the first weights, the batches and the validation rows; the same one gives the same model.
        parameters: other values than `DEFAULTS`.
    """

    def __init__(self, seed: int = 0, **parameters: float) -> None:
        self.seed = seed
        self.parameters = {**DEFAULTS, **parameters}
        self.network: _Network | None = None

    @property
    def n_features_in_(self) -> int:
        """Width of a residue."""
        assert self.network is not None
        return len(self.network.mean)

    def fit(self, x: Residues, y: npt.NDArray[np.int64]) -> Attention:
        """Train until the loss on validation rows, whole clusters of them, no longer falls; then take the best weights.

        Args:
            y: [n] 0/1.
        """
        p = self.parameters
        kept, held = self._split(x, y)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed)
            network = self._made(x.width)
            every = torch.from_numpy(np.concatenate([x.rows[k] for k in kept]))
            network.mean.copy_(every.mean(0))
            network.scale.copy_(every.std(0).clamp_min(1e-6))
            optimizer = torch.optim.AdamW(network.parameters(), lr=p["learning_rate"], weight_decay=p["weight_decay"])
            labels = torch.from_numpy(y.astype(np.float32))
            best, waited, weights = math.inf, 0, copy.deepcopy(network.state_dict())
            for _ in range(int(p["epochs"])):
                network.train()
                order = kept[torch.randperm(len(kept)).numpy()]
                for rows in np.array_split(order, max(1, round(len(order) / BATCH))):
                    optimizer.zero_grad()
                    loss = F.binary_cross_entropy_with_logits(network(*_padded(x, rows)), labels[rows])
                    loss.backward()
                    torch.nn.utils.clip_grad_norm_(network.parameters(), CLIP)
                    optimizer.step()
                found = float(F.binary_cross_entropy_with_logits(_logits(network, x[held]), labels[held]))
                if found < best - 1e-4:
                    best, waited, weights = found, 0, copy.deepcopy(network.state_dict())
                elif (waited := waited + 1) >= p["patience"]:
                    break
            network.load_state_dict(weights)
        self.network = network
        return self

    def predict_proba(self, x: Residues) -> npt.NDArray[np.float64]:
        """Probabilities of both classes, [n, 2]."""
        assert self.network is not None
        score = torch.sigmoid(_logits(self.network, x)).numpy().astype(np.float64)
        return np.stack([1 - score, score], 1)

    def get_params(self, deep: bool = True) -> dict[str, Any]:  # noqa: ARG002 - as scikit-learn's
        """What it was made with."""
        return {**self.parameters, "seed": self.seed}

    def to_bytes(self) -> bytes:
        """Its weights as safetensors."""
        assert self.network is not None
        return save({name: tensor.contiguous() for name, tensor in sorted(self.network.state_dict().items())})

    @classmethod
    def read(cls, path: Path, parameters: Mapping[str, Any]) -> Attention:
        """The weights that `to_bytes` wrote, in a model with these parameters.

        Raises:
            DataError: the file is something else.
        """
        try:
            found = cls(**{"seed": 0, **parameters})
            weights = load_file(path)
            found.network = found._made(len(weights["mean"]))
            found.network.load_state_dict(weights)
        except (SafetensorError, KeyError, TypeError, ValueError, RuntimeError, OSError) as error:
            raise DataError(f"{path} holds no attention head: {str(error)[:200]}") from error
        return found

    def _made(self, width: int) -> _Network:
        p = self.parameters
        network = _Network(width, int(p["hidden"]), int(p["heads"]), float(p["dropout"]))
        torch.nn.init.normal_(network.weighed.weight, std=1e-2)  # nearly equal weights
        return network

    def _split(self, x: Residues, y: npt.NDArray[np.int64]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Rows to learn from, and about a fifth to stop by, of other clusters; all for both where that cannot be."""
        groups = len(np.unique(x.clusters))
        if groups >= 5 and min(np.bincount(y, minlength=2)) >= 5:
            folds = StratifiedGroupKFold(5, shuffle=True, random_state=self.seed)
            for kept, held in folds.split(np.zeros(len(y)), y, x.clusters):
                if len(np.unique(y[kept])) == len(np.unique(y[held])) == 2:
                    return kept, held
        return np.arange(len(y)), np.arange(len(y))


def _padded(x: Residues, rows: npt.NDArray[np.int64]) -> tuple[torch.Tensor, torch.Tensor]:
    some = [torch.from_numpy(x.rows[k]) for k in rows]
    return torch.nn.utils.rnn.pad_sequence(some, batch_first=True), torch.tensor([len(s) for s in some])


def _logits(network: _Network, x: Residues) -> torch.Tensor:
    network.eval()
    with torch.inference_mode():
        parts = [network(*_padded(x, np.arange(at, min(at + AT_ONCE, len(x))))) for at in range(0, len(x), AT_ONCE)]
    return torch.cat(parts) if parts else torch.empty(0)
