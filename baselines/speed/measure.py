"""How fast backbones embed: side by side in one run, with every wait of the device counted.

Padding, batches and tokenisation are counted as they come. Floating-point operations of a sequence of T tokens are
layers * (T d (8 d + 4 inner) + 4 T^2 d), and the share of the peak is against the fastest matrix product measured in
the same run.
"""

from __future__ import annotations

import gc
import resource
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch

from baselines.backbones.checkpoint import Checkpoint
from baselines.backbones.embedder import DTYPES, Embedder, Packed, Precision
from baselines.backbones.packed import PackedEncoder
from baselines.backbones.stock import StockModel
from baselines.errors import DataError
from baselines.speed.machine import operations, peak_rate, timed

BATCH, GPU_BATCH = 8, 64
OTHERS_ON_A_GPU = 4096
"""Sequences that are enough to time the slower engines on a GPU."""
COMPARED, ALONE = 64, 8

Embed = Callable[[Sequence[str]], object]


@dataclass(frozen=True)
class Measured:
    """One model by one engine on one set of sequences.

    Attributes:
        seconds: of the median run.
        padded: share of the computed tokens that were padding.
        peak_memory_mb: of the device; of the whole process on a CPU.
        share: of the measured rate of matrix products.
    """

    model: str
    engine: str
    sequences: int
    residues: int
    seconds: float
    padded: float
    peak_memory_mb: float
    share: float

    @property
    def rate(self) -> float:
        """Sequences per second of the median run."""
        return self.sequences / self.seconds


@dataclass(frozen=True)
class Agreement:
    """What the packed engine's numbers are worth.

    Attributes:
        cosine: the smallest to plain torch in fp32, over the vectors less what all share.
        alone: the largest difference between a sequence by itself and the same among others.
    """

    model: str
    cosine: float
    alone: float


@dataclass(frozen=True)
class Comparison:
    """What came of it; `missing` says why a model could not be measured."""

    measured: list[Measured]
    agreements: list[Agreement]
    missing: dict[str, str]


@dataclass(frozen=True)
class Bench:
    """What every model is measured on, and how.

    Attributes:
        device: `cpu` or `cuda`.
        runs: timed ones; their median counts.
        warmup: passes over a few sequences before.
    """

    sequences: Sequence[str]
    device: str
    precision: Precision
    runs: int
    warmup: int

    def measure(
        self,
        checkpoint: Checkpoint,
        engine: str,
        embed: Embed,
        peak: float,
        batch: int | None = None,
        count: int | None = None,
    ) -> Measured:
        """Warm up on the shortest sequences, then time whole runs and take the median.

        Args:
            peak: operations per second that the share is of.
            batch: of a stock loop; none pads nothing.
            count: of the first so many sequences; default all.
        """
        sequences = self.sequences[:count]
        few = sorted(sequences, key=len)[:4]
        for _ in range(self.warmup):
            embed(few)
        if self.device == "cuda":
            embed(sequences[: 2 * GPU_BATCH])  # its kernels are chosen and compiled by size
            torch.cuda.reset_peak_memory_stats()
        seconds = float(np.median([timed(partial(embed, sequences), self.device) for _ in range(self.runs)]))
        memory = (
            torch.cuda.max_memory_allocated()
            if self.device == "cuda"
            else 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        )
        lengths = [len(s) for s in sequences]
        return Measured(
            model=checkpoint.name,
            engine=engine,
            sequences=len(lengths),
            residues=sum(lengths),
            seconds=seconds,
            padded=stock_padding(sequences, batch) if batch else 0.0,
            peak_memory_mb=memory / 1e6,
            share=operations(checkpoint.shape, lengths) / seconds / peak,
        )

    def packed(self, name: str, *, judged: bool) -> tuple[Checkpoint, float, Measured, Agreement]:
        """By the engine that a user gets.

        Args:
            judged: held against the stock model first, and by what is fastest here.

        Returns:
            The model, the operations per second that its share is of, and what was found.
        """
        embedder = Embedder(name, device=self.device, precision=self.precision, self_test=judged)
        checkpoint = embedder.checkpoint
        peak = peak_rate(self.device, DTYPES[self.precision], checkpoint.shape)
        engine = f"{embedder.engine} {self.precision}, packs of {embedder.tokens_per_batch:,}"
        return checkpoint, peak, self.measure(checkpoint, engine, embedder.embed, peak), self.agreement(embedder)

    def agreement(self, embedder: Embedder) -> Agreement:
        """Of a few sequences with plain torch in fp32, and by themselves."""
        some = list(dict.fromkeys(self.sequences[:COMPARED]))
        found = embedder.embed(some).vectors
        exact = PackedEncoder(embedder.checkpoint, self.device, torch.float32, fused=False)
        ordered = sorted(some, key=len)
        by_text = dict(zip(ordered, Packed(exact, embedder.checkpoint.vocabulary).means(ordered), strict=True))
        expected = np.stack([by_text[text] for text in some])
        shared = expected.mean(0) if len(some) > 1 else 0.0
        a, b = found - shared, expected - shared
        cosine = (a * b).sum(1) / (np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1))
        alone = [np.abs(embedder.embed([text]).vectors[0] - found[k]).max() for k, text in enumerate(some[:ALONE])]
        return Agreement(embedder.checkpoint.name, float(cosine.min()), float(max(alone)))

    def others(self, checkpoint: Checkpoint) -> Iterator[tuple[str, Embed, int | None]]:
        """The engines that the first model is also measured by: each one's name, how it embeds, its batch."""
        yield f"stock, batch {BATCH}, fp32", partial(StockModel(checkpoint, self.device).means, batch=BATCH), BATCH
        if self.device == "cpu":
            return
        plain = Embedder(
            str(checkpoint.folder), device=self.device, precision=self.precision, self_test=False, fused=False
        )
        yield f"plain torch, packed, {self.precision}", plain.embed, None
        for title, compiled in (("stock", False), ("stock compiled", True)):
            model = StockModel(checkpoint, self.device, DTYPES[self.precision], compiled=compiled)
            yield f"{title}, batch {GPU_BATCH}, {self.precision}", partial(model.means, batch=GPU_BATCH), GPU_BATCH


def compare(
    sequences: Sequence[str],
    names: Sequence[str],
    *,
    precision: Precision,
    device: str,
    runs: int,
    warmup: int,
    say: Callable[[str], None],
) -> Comparison:
    """Measure each checkpoint by the packed engine, and the first also by the stock loop with the same weights.

    Args:
        names: backbones or paths of checkpoints.
    """
    bench = Bench(sequences, device, precision, runs, warmup)
    found = Comparison([], [], {})
    for position, name in enumerate(names):
        try:
            checkpoint, peak, measured, agreement = bench.packed(name, judged=position == 0)
            found.measured.append(measured)
            found.agreements.append(agreement)
            say(f"{checkpoint.name}, {measured.engine}: {measured.rate:.2f} sequences/s")
            gc.collect()
            if position == 0:
                for engine, embed, batch in bench.others(checkpoint):
                    count = OTHERS_ON_A_GPU if device == "cuda" else None
                    found.measured.append(bench.measure(checkpoint, engine, embed, peak, batch, count))
                    say(f"{checkpoint.name}, {engine}: {found.measured[-1].rate:.2f} sequences/s")
        except (DataError, MemoryError, RuntimeError) as error:
            found.missing[name] = str(error).splitlines()[0][:300] or repr(error)
            say(f"{name} cannot be measured: {found.missing[name]}")
        gc.collect()
    return found


def stock_padding(sequences: Sequence[str], batch: int = BATCH) -> float:
    """Share of padding in the usual loop: batches in file order, each as long as its longest."""
    lengths = [len(s) + 2 for s in sequences]
    batches = [lengths[at : at + batch] for at in range(0, len(lengths), batch)]
    computed = sum(max(b) * len(b) for b in batches)
    return 1 - sum(lengths) / computed
