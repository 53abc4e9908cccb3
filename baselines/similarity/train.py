"""Encoders of weights, trained so that networks of one task come to lie together.

The loss is the supervised contrastive one (Khosla et al. 2020, NeurIPS) and, for the rest of the weight, the squared
error of predicting each network's standardised scores on a panel without labels, which asks for no task.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 - everybody calls it so
from torch import nn

from baselines.similarity import encoders, simple
from baselines.similarity.encoders import EquivariantGNN, Transformer, normed, seen
from baselines.similarity.networks import Networks
from baselines.similarity.schema import Training
from baselines.similarity.symmetries import canonical, moved, normalised
from baselines.similarity.tasks import Floats, Ints
from baselines.similarity.zoo import PADDED

Forms = dict[str, Callable[[Networks], Networks]]
FORMS: Forms = {
    "gnn": normalised,
    "transformer": lambda networks: networks,
    "transformer_augmented": lambda networks: networks,
    "transformer_canonical": canonical,
}
"""Which of all equivalent weights an encoder reads."""
AUGMENTED = "transformer_augmented"
AT_ONCE = 128
CLIP = 1.0


@dataclass(frozen=True, eq=False)
class Learned:
    """A trained encoder.

    Attributes:
        form: what it is given of networks.
        history: [epochs, 3] mean loss, its contrastive part, and that of the panel.
    """

    network: nn.Module
    form: Callable[[Networks], Networks]
    history: Floats

    def embed(self, networks: Networks) -> Floats:
        """As `Encoder` says."""
        self.network.eval()
        with torch.no_grad():
            parts = [
                normed(self.network(seen(self.form(networks[at : at + AT_ONCE]))).double())
                for at in range(0, len(networks), AT_ONCE)
            ]
        return torch.cat(parts).numpy()


def fresh(name: str, inputs: int, training: Training) -> nn.Module:
    """An encoder with random weights, of the generator of torch."""
    if name == "gnn":
        return EquivariantGNN(inputs, training.hidden_dim, training.output_dim)
    return Transformer(inputs, PADDED, training.hidden_dim, training.output_dim)


def fitted(name: str, known: Networks, task: Ints, panel: Floats, training: Training, seed: int) -> Learned:
    """Train an encoder on networks and their tasks.

    Args:
        name: of `FORMS`.
        known: networks, in double precision.
        task: [networks].
        panel: [antibodies, inputs] without labels.
        seed: of its weights, its batches and its noise.
    """
    rng, generator = np.random.default_rng(seed), torch.Generator().manual_seed(seed)
    form = FORMS[name]
    scores = torch.from_numpy(simple.standardised(known.logits(torch.from_numpy(panel)).numpy())).float()
    forms, labels = form(known), torch.from_numpy(task)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = fresh(name, panel.shape[1], training)
        predict = nn.Linear(training.output_dim, len(panel))
    parameters = [*network.parameters(), *predict.parameters()]
    optimizer = torch.optim.AdamW(parameters, lr=training.learning_rate, weight_decay=training.weight_decay)
    epochs = [list(_batches(rng, task, training.batch_size)) for _ in range(training.num_epochs)]
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, training.learning_rate, sum(map(len, epochs)))
    history = np.zeros((training.num_epochs, 3))
    for epoch, batches in enumerate(epochs):
        for rows in batches:
            some = moved(forms[rows], generator) if name == AUGMENTED else forms[rows]
            vectors = normed(network(_noisy(seen(some), generator, training.weight_noise)))
            contrast = contrastive(vectors, labels[rows], training.temperature)
            error = F.mse_loss(predict(vectors * training.output_dim**0.5), scores[rows])
            share = training.lambda_contrastive
            loss = share * contrast + (1 - share) * error
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(parameters, CLIP)
            optimizer.step()
            schedule.step()
            history[epoch] += [value.item() / len(batches) for value in (loss, contrast, error)]
    return Learned(network, form, history)


def _batches(rng: np.random.Generator, task: Ints, size: int) -> Iterator[Ints]:
    """Rows of each step of an epoch: pairs of one task, so that each network has another to be near to."""
    pairs = []
    for number in np.unique(task):
        members = rng.permutation(np.flatnonzero(task == number))
        pairs += list(members[: len(members) // 2 * 2].reshape(-1, 2))
    order = rng.permutation(len(pairs))
    for at in range(0, len(pairs), size // 2):
        some = order[at : at + size // 2]
        if len(some) > 1:
            yield np.concatenate([pairs[k] for k in some])


def _noisy(networks: encoders.Seen, generator: torch.Generator, spread: float) -> encoders.Seen:
    first, second, last = (
        layer * (1 + spread * torch.randn(layer.shape, generator=generator)) for layer in networks.layers
    )
    return networks._replace(layers=(first, second, last))


def contrastive(vectors: torch.Tensor, labels: torch.Tensor, temperature: float) -> torch.Tensor:
    """Mean over vectors, and over those of the same label, of the cross-entropy of finding these among all others.

    Equation 2 of Khosla et al. 2020. Vectors whose label nobody shares do not count.

    Args:
        vectors: [n, width] of norm 1.
        labels: [n].
    """
    itself = torch.eye(len(vectors), dtype=torch.bool)
    likely = F.log_softmax((vectors @ vectors.T / temperature).masked_fill(itself, -torch.inf), dim=1)
    same = (labels[:, None] == labels[None]) & ~itself
    counts = same.sum(1)
    each = -likely.masked_fill(~same, 0.0).sum(1) / counts.clamp_min(1)
    return each[counts > 0].mean()
