"""Embedding on this machine's CPU: the packed engine against the stock loop with the same weights, side by side.

The stock loop: transformers' model in float32, batches of 8 in file order, padded. Its attention is measured both as
transformers chooses it by default (sdpa) and plain (eager).
"""

from __future__ import annotations

import random
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import torch

from baselines.backbones import processor, wheels
from baselines.backbones.checkpoint import Checkpoint, find
from baselines.backbones.embedder import DTYPES, Embedder
from baselines.backbones.stock import StockModel
from baselines.backbones.tokens import VOCABULARY, clean, encode
from baselines.speed import RESIDUES, mixed, operations, peak_rate, random_checkpoint

ROUNDS = 3
SHAPES = {"35M shape": ("esm2_35m", None), "650M width, 3 layers": ("esm2_650m", 3)}


def heavy_chains(count: int) -> list[str]:
    """Random proteins as long as heavy variable domains."""
    rng = random.Random(0)  # noqa: S311
    return ["".join(rng.choices(RESIDUES, k=rng.randint(112, 128))) for _ in range(count)]


def main(count: int = 64) -> None:
    """Print the tables."""
    loads = {"heavy chains": heavy_chains(count), "100-500 mixed": mixed(count // 3)}
    print(
        f"embedding on a CPU, times faster than the stock loop: {processor.name()}, {torch.get_num_threads()} threads"
    )
    with tempfile.TemporaryDirectory() as scratch:
        for title, (shape, layers) in SHAPES.items():
            folder = random_checkpoint(Path(scratch) / shape, shape, layers)
            _rows(title, Checkpoint(folder, shape), loads)
        _rows("AntiBERTy, real weights", _antiberty(), loads)
        if torch.cuda.is_available():
            _on_a_gpu(random_checkpoint(Path(scratch) / "whole", "esm2_650m"))
    _tokens(heavy_chains(5000))


def _antiberty() -> Checkpoint:
    if not (wheels.store() / "antiberty" / "config.json").is_file():
        wheels.fetch("antiberty")
    return find("antiberty")


def _rows(title: str, checkpoint: Checkpoint, loads: dict[str, list[str]]) -> None:
    engines = _engines(checkpoint)
    for load, sequences in loads.items():
        _row(f"{title}, {load}", engines, sequences, checkpoint)


def _on_a_gpu(folder: Path, count: int = 141_021, stock_count: int = 2000) -> None:
    """The real 650M shape on Harvey's number of sequences; the stock loop on fewer, in proportion."""
    rng = random.Random(0)  # noqa: S311
    texts = ["".join(rng.choices(RESIDUES, k=120)) for _ in range(count)]
    embedder = Embedder(str(folder), device="cuda", precision="bf16", self_test=False)
    embedder.embed(texts[:4096])
    taken = embedder.embed(texts).seconds
    stock = StockModel(embedder.checkpoint, "cuda")
    stock.means(texts[:64])
    begun = time.perf_counter()
    stock.means(texts[:stock_count])
    usual = (time.perf_counter() - begun) / stock_count * count
    share = operations(embedder.checkpoint.shape, [120] * count) / taken / peak_rate("cuda", torch.bfloat16)
    print(f"  on the GPU, 650M shape, bf16: {count:,} in {taken:.0f} s (bar 70 s on an H200), {usual / taken:.1f}x the")
    print(f"  stock loop in fp32 (bar 8), {share:.0%} of the matmul rate")


def _engines(checkpoint: Checkpoint) -> dict[str, Callable[[list[str]], np.ndarray]]:
    sdpa, eager = (StockModel(checkpoint, attention=kind) for kind in ("sdpa", "eager"))
    found: dict[str, Callable[[list[str]], np.ndarray]] = {"stock sdpa": sdpa.means, "stock eager": eager.means}
    for precision in ("fp32", "bf16"):
        if why := processor.lacks(precision):
            print(f"  {why}")
            continue
        embedder = Embedder(str(checkpoint.folder), device="cpu", precision=precision, self_test=False)
        found[precision] = partial(_vectors, embedder)
    return found


def _vectors(embedder: Embedder, texts: list[str]) -> np.ndarray:
    return embedder.embed(texts).vectors


def _row(title: str, engines: dict[str, Callable[[list[str]], np.ndarray]], texts: list[str], at: Checkpoint) -> None:
    best = dict.fromkeys(engines, float("inf"))
    vectors = {}
    for _ in range(ROUNDS):
        for name, run in engines.items():
            begun = time.perf_counter()
            vectors[name] = run(texts)
            best[name] = min(best[name], time.perf_counter() - begun)
    work = operations(at.shape, [len(t) for t in texts])
    for precision in [name for name in ("fp32", "bf16") if name in engines]:
        dtype = DTYPES[precision]
        print(
            f"  {title}: {precision} {best['stock sdpa'] / best[precision]:.2f}x "
            f"(against eager {best['stock eager'] / best[precision]:.2f}x), {len(texts) / best[precision]:.1f}/s, "
            f"{work / best[precision] / peak_rate('cpu', dtype):.0%} of the matmul rate, "
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
