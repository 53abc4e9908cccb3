"""Vectors of networks without gradients: principal components, layer statistics, products, behaviour, and controls."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
import torch
from sklearn.decomposition import PCA
from sklearn.preprocessing import StandardScaler

from baselines.similarity.networks import Networks
from baselines.similarity.symmetries import canonical
from baselines.similarity.tasks import Floats, Ints

COMPONENTS = 64
QUANTILES = (0.0, 0.25, 0.5, 0.75, 1.0)
RANDOM_WIDTH = 64


class Encoder(Protocol):
    """What turns networks into vectors, whose cosine is their similarity."""

    def embed(self, networks: Networks) -> Floats:
        """[networks, width] of norm 1."""
        ...


def unit(vectors: Floats) -> Floats:
    """Rows of norm 1."""
    found: Floats = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    return found


def standardised(values: Floats) -> Floats:
    """Each row with mean 0 and spread 1."""
    centred = values - values.mean(1, keepdims=True)
    return np.asarray(centred / np.maximum(centred.std(1, keepdims=True), 1e-12))


class Described:
    """Descriptions of networks, standardised by those to learn from, and perhaps their principal components."""

    def __init__(self, known: Networks, describe: Callable[[Networks], Floats], *, components: bool) -> None:
        self.describe = describe
        rows = describe(known)
        self.scaler = StandardScaler().fit(rows)
        count = min(COMPONENTS, len(rows) - 1)
        self.pca = PCA(count, svd_solver="full").fit(self.scaler.transform(rows)) if components else None

    def embed(self, networks: Networks) -> Floats:
        """As `Encoder` says."""
        rows = self.scaler.transform(self.describe(networks))
        return unit(rows if self.pca is None else self.pca.transform(rows))


def flat(networks: Networks) -> Floats:
    """All weights as they stand, padding too."""
    return torch.cat([layer.flatten(1) for layer in networks.layers], 1).double().numpy()


def flat_canonical(networks: Networks) -> Floats:
    """The same of the canonical form."""
    return flat(canonical(networks))


def layer_statistics(networks: Networks) -> Floats:
    """Mean, spread, norm and quantiles of weights and biases by layer (Unterthiner et al. 2020, arXiv:2002.11448)."""
    return np.array([_statistics(networks[k : k + 1].trimmed()) for k in range(len(networks))])


def _statistics(network: Networks) -> list[float]:
    found: list[float] = []
    for layer in network.layers:
        for values in (layer[0, :, :-1].numpy(), layer[0, :, -1].numpy()):
            found += [values.mean(), values.std(), float(np.linalg.norm(values)), *np.quantile(values, QUANTILES)]
    return found


class Product:
    """The product of the layers' matrices: what the network were if its units were linear."""

    def embed(self, networks: Networks) -> Floats:
        """As `Encoder` says."""
        first, second, last = (layer[:, :, :-1].double() for layer in networks.layers)
        return unit((last @ second @ first)[:, 0].numpy())


class Behaviour:
    """Scores on a panel of antibodies without labels, standardised by network."""

    def __init__(self, panel: Floats) -> None:
        self.panel = torch.from_numpy(panel)

    def embed(self, networks: Networks) -> Floats:
        """As `Encoder` says."""
        return unit(standardised(networks.logits(self.panel.to(networks.layers[0].dtype)).double().numpy()))


def metadata(facts: list[dict[str, Any]], known: Ints) -> Floats:
    """[networks, width] of what is told of networks, their accuracy too, but for the task.

    Args:
        known: rows of those whose means and spreads are taken.
    """
    rows = np.array(
        [
            [
                *map(float, fact["architecture"].split("-")[1:-1]),
                *(np.log(fact["learning_rate"]), np.log(fact["weight_decay"] + 1e-4), fact["steps"]),
                *(fact["examples"], fact["parameters"], fact["accuracy"]),
            ]
            for fact in facts
        ]
    )
    return unit(np.asarray(StandardScaler().fit(rows[known]).transform(rows)))


def random(count: int, seed: int) -> Floats:
    """[networks, width] random numbers."""
    return unit(np.random.default_rng(seed).standard_normal((count, RANDOM_WIDTH)))


def made(method: str, known: Networks, panel: Floats) -> Encoder:
    """A method by its name, fitted to networks where it needs some.

    Args:
        method: `pca`, `pca_canonical`, `statistics`, `product` or `behaviour`.
        panel: [antibodies, inputs] without labels.
    """
    if method == "behaviour":
        return Behaviour(panel)
    if method == "product":
        return Product()
    describe = {"pca": flat, "pca_canonical": flat_canonical, "statistics": layer_statistics}[method]
    return Described(known, describe, components=method != "statistics")
