"""Which way of computing is fastest on the CPU at hand: measured once per process, on one layer of the model.

Processors differ too much for a rule: with AVX-512 oneDNN's products win, with AVX2 alone they do not, and how many
tokens at once is best depends on the caches.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial

import torch

from baselines.backbones import processor
from baselines.backbones.checkpoint import Checkpoint
from baselines.backbones.packed import PackedEncoder
from baselines.backbones.stock import StockModel
from baselines.backbones.tokens import encode

PACKS = (512, 1024, 2048)
CHAINS = 16
WIDE_ENOUGH = 256
"""Narrower models take no time that would be worth measuring."""
CLEARLY = 0.9
"""The share of the time of another that an engine must take to be taken in its place: whether it is is mostly noise
else, and an engine's last digits are its own."""
ROUNDS = 2


def usual(device: str) -> list[str]:
    """Engines, the one first that is mostly fastest."""
    narrow = device == "cpu" and processor.is_narrow()
    return ["plain", "packed", "stock"] if narrow else ["packed", "plain", "stock"]


def measured(checkpoint: Checkpoint, dtype: torch.dtype, stock: StockModel | None) -> tuple[list[str], int | None]:
    """The engines on this CPU, fastest first, and the tokens of the pack that is.

    Args:
        stock: is among them only if it is given.
    """
    names = [name for name in usual("cpu") if stock is not None or name != "stock"]
    if checkpoint.shape.width < WIDE_ENOUGH:
        return names, None
    rng = random.Random(0)  # noqa: S311
    texts = sorted(
        ("".join(rng.choices("ACDEFGHIKLMNPQRSTVWY", k=rng.randint(113, 130))) for _ in range(CHAINS)), key=len
    )
    runs: dict[tuple[str, int], Callable[[], object]] = {}
    with ExitStack() as kept:
        for name in names:
            if name == "stock" and stock is not None:
                kept.enter_context(stock.shortened(1))
                runs[name, 0] = partial(stock.means, texts)
            else:
                encoder = PackedEncoder(checkpoint, "cpu", dtype, fused=name == "packed", layers=1)
                runs |= {(name, pack): partial(_run, encoder, checkpoint, texts, pack) for pack in PACKS}
        best = dict.fromkeys(runs, float("inf"))
        for _ in range(ROUNDS):
            for key, run in runs.items():
                begun = time.perf_counter()
                try:
                    run()
                except (RuntimeError, TypeError, AttributeError):
                    continue  # why it does not run is told where it is tried
                best[key] = min(best[key], time.perf_counter() - begun)
    fastest = {name: min(seconds for (one, _), seconds in best.items() if one == name) for name in names}
    order = [names[0]]
    for name in names[1:]:
        at = next((k for k, other in enumerate(order) if fastest[name] < CLEARLY * fastest[other]), len(order))
        order.insert(at, name)
    packs = {pack: seconds for (name, pack), seconds in best.items() if name == order[0]}
    return order, min(packs, key=packs.__getitem__) or None


def _run(encoder: PackedEncoder, checkpoint: Checkpoint, texts: list[str], pack: int) -> None:
    count = pack // (max(map(len, texts)) + 2)
    for at in range(0, len(texts), count):
        tokens = encode(texts[at : at + count], checkpoint.vocabulary)
        encoder.means(tokens.ids, tokens.lengths)
