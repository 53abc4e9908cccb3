"""Embedding on this machine's CPU: the packed engine against the stock loop with the same weights, side by side.

The stock loop: transformers' model in float32, batches of 8 in file order, padded. Its attention is measured both as
transformers chooses it by default (sdpa) and plain (eager). Of a GPU `apb-zoo speed` tells the same.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np

from baselines.backbones import processor, wheels
from baselines.backbones.checkpoint import Checkpoint, find
from baselines.backbones.embedder import DTYPES, Embedder, Precision
from baselines.backbones.stock import StockModel
from baselines.backbones.tokens import VOCABULARY, clean, encode
from baselines.speed.loads import heavy_chains, mixed, random_checkpoint
from baselines.speed.machine import described, operations, peak_rate

ROUNDS = 3
SHAPES = {"35M shape": ("esm2_35m", None), "650M width, 3 layers": ("esm2_650m", 3)}
Engines = dict[str, Callable[[list[str]], np.ndarray]]
PRECISIONS: tuple[Precision, ...] = ("fp32", "bf16")


def main(count: int = 64) -> None:
    """Print the tables."""
    loads = {"heavy chains": heavy_chains(count), "100-500 mixed": mixed(count // 3)}
    machine = described("cpu")
    print(f"embedding on a CPU: {machine['device']}, {machine['threads']}, {machine['instructions']}")
    with tempfile.TemporaryDirectory() as scratch:
        for title, (shape, layers) in SHAPES.items():
            folder = random_checkpoint(Path(scratch) / shape, shape, layers)
            _rows(title, Checkpoint(folder, shape), loads)
        _rows("AntiBERTy, real weights", _antiberty(), loads)
    _tokens(heavy_chains(5000))


def _antiberty() -> Checkpoint:
    if not (wheels.store() / "antiberty" / "config.json").is_file():
        wheels.fetch("antiberty")
    return find("antiberty")


def _rows(title: str, checkpoint: Checkpoint, loads: dict[str, list[str]]) -> None:
    stock: Engines = {f"stock {kind}": StockModel(checkpoint, attention=kind).means for kind in ("sdpa", "eager")}
    embedders = {}
    for precision in PRECISIONS:
        if why := processor.lacks(precision):
            print(f"  {why}")
        else:
            embedders[precision] = Embedder(str(checkpoint.folder), device="cpu", precision=precision)
    for load, texts in loads.items():
        _row(f"{title}, {load}", stock, embedders, texts)


def _vectors(embedder: Embedder, texts: list[str]) -> np.ndarray:
    return embedder.embed(texts).vectors


def _row(
    title: str,
    stock: Engines,
    embedders: dict[Precision, Embedder],
    texts: list[str],
) -> None:
    engines: Engines = dict(stock)
    engines.update({name: partial(_vectors, embedder) for name, embedder in embedders.items()})
    best = dict.fromkeys(engines, float("inf"))
    vectors = {}
    for _ in range(ROUNDS):
        for name, run in engines.items():
            begun = time.perf_counter()
            vectors[name] = run(texts)
            best[name] = min(best[name], time.perf_counter() - begun)
    for precision, embedder in embedders.items():
        shape = embedder.checkpoint.shape
        rate = operations(shape, [len(t) for t in texts]) / best[precision]
        peak = peak_rate("cpu", DTYPES[precision], shape)
        print(
            f"  {title}: {precision} ({embedder.engine}, packs of {embedder.tokens_per_batch:,} tokens) "
            f"{best['stock sdpa'] / best[precision]:.2f}x the stock loop (eager "
            f"{best['stock eager'] / best[precision]:.2f}x), {len(texts) / best[precision]:.1f}/s, "
            f"{rate / peak:.0%} of the matmul rate of {peak / 1e9:.0f} GFLOP/s (bar 85 % for heavy chains in fp32), "
            f"largest difference {np.abs(vectors[precision] - vectors['stock sdpa']).max():.1e}"
        )


def _tokens(texts: list[str]) -> None:
    from transformers import EsmTokenizer

    with tempfile.TemporaryDirectory() as scratch:
        (Path(scratch) / "vocab.txt").write_text("\n".join(VOCABULARY))
        stock = EsmTokenizer(str(Path(scratch) / "vocab.txt"))
    stock(texts[:100])
    times = []
    for run in (lambda: stock(texts), lambda: encode(clean(texts))):
        begun = time.perf_counter()
        run()
        times.append(time.perf_counter() - begun)
    print(f"  tokens: {times[0] / times[1]:.0f}x the stock tokenizer, {len(texts) / times[1]:,.0f}/s (bar 20x)")


if __name__ == "__main__":
    main()
