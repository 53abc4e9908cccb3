"""How fast backbones embed: side by side in one run, with every wait of the device counted.

Padding, batches and tokenisation are counted as they come. Floating-point operations of a sequence of T tokens are
layers * (24 T d^2 + 4 T^2 d), and the share of the peak is against a matrix product measured in the same run.
"""

from __future__ import annotations

import gc
import json
import platform
import random
import resource
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from baselines.backbones.checkpoint import Checkpoint, Shape
from baselines.backbones.embedder import DTYPES, Embedder, Precision
from baselines.backbones.products import has_onednn
from baselines.backbones.stock import StockModel
from baselines.backbones.tokens import VOCABULARY
from baselines.errors import DataError
from baselines.predicting import tables

LENGTHS = (100, 300, 500)
RESIDUES = "ACDEFGHIKLMNPQRSTVWY"
BATCH = 8
BAR = 2.0
SHAPES = {
    "esm2_35m": (480, 12, 20, 1920),
    "esm1v": (1280, 33, 20, 5120),
    "esm2_650m": (1280, 33, 20, 5120),
    "fastesm2_650": (1280, 33, 20, 5120),
    "esm2_3b": (2560, 36, 40, 10240),
}
"""Width, layers, heads and inner width of each backbone."""


@dataclass(frozen=True)
class Measured:
    """One model by one engine on one set of sequences.

    Attributes:
        seconds: of the median run.
        padded: share of the computed tokens that were padding.
        peak_memory_mb: of the device; of the whole process on a CPU.
        share: of the measured rate of matrix products; None where that is not meaningful.
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


def mixed(count: int, seed: int = 0) -> list[str]:
    """Random proteins of 100, 300 and 500 residues in turn, shuffled."""
    rng = random.Random(seed)  # noqa: S311
    found = ["".join(rng.choices(RESIDUES, k=LENGTHS[k % len(LENGTHS)])) for k in range(count)]
    rng.shuffle(found)
    return found


def read_sequences(path: Path, count: int) -> list[str]:
    """The first sequences of a FASTA file, or of a CSV with a column `sequence`.

    Raises:
        DataError: there are none.
    """
    return list(tables.read(path).sequences()[:count])


def random_checkpoint(folder: Path, shape: str, layers: int | None = None) -> Path:
    """Write a checkpoint with random weights in the shape of a backbone: as slow as the real one, and of no other use.

    Args:
        layers: fewer than the real one has, to save time; times are then of so many layers.
    """
    if shape not in SHAPES:
        raise DataError(f"There is no shape '{shape}'. Known are: {', '.join(SHAPES)}.")
    width, real, heads, inner = SHAPES[shape]
    from transformers import EsmConfig, EsmForMaskedLM

    torch.manual_seed(0)
    config = EsmConfig(
        vocab_size=len(VOCABULARY),
        hidden_size=width,
        num_hidden_layers=layers or real,
        num_attention_heads=heads,
        intermediate_size=inner,
        max_position_embeddings=1026,
        pad_token_id=1,
        mask_token_id=32,
        token_dropout=True,
        position_embedding_type="absolute" if shape == "esm1v" else "rotary",
        emb_layer_norm_before=False,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
        layer_norm_eps=1e-5,
    )
    EsmForMaskedLM(config).save_pretrained(folder)
    return folder


@contextmanager
def checkpoints(names: Sequence[str], *, random_weights: bool, layers: int | None) -> Iterator[tuple[list[str], str]]:
    """What to measure for each name, and what to say of its weights; random ones are gone at the end."""
    if not random_weights:
        yield list(names), "Published weights."
        return
    shown = f"{layers} layers of each" if layers else "all layers"
    with tempfile.TemporaryDirectory() as scratch:
        paths = [str(random_checkpoint(Path(scratch) / name, name, layers)) for name in names]
        yield paths, f"Random weights in the real shapes, {shown}: times are real, embeddings mean nothing."


def operations(shape: Shape, lengths: Sequence[int]) -> float:
    """Floating-point operations of sequences by their residues."""
    tokens = np.array(lengths, dtype=np.float64) + 2
    return float(shape.layers * (24 * tokens * shape.width**2 + 4 * tokens**2 * shape.width).sum())


def peak_rate(device: str, dtype: torch.dtype, seconds: float = 0.5) -> float:
    """Operations per second of a large matrix product, by the quicker of torch's own and, on a CPU, oneDNN's."""
    size = 8192 if device == "cuda" else 1024
    a, b = (torch.randn(size, size, device=device, dtype=dtype) for _ in range(2))
    products: list[Callable[[], object]] = [lambda: torch.mm(a, b)]
    if device == "cpu" and has_onednn(dtype):
        packed = torch.ops.mkldnn._reorder_linear_weight(b)
        products.append(lambda: torch.ops.mkldnn._linear_pointwise(a, packed, None, "none", [], ""))
    best, end = float("inf"), time.perf_counter() + seconds
    while time.perf_counter() < end or best == float("inf"):
        best = min(best, *(_timed(product, device) for product in products), best)
    return 2 * size**3 / best


@dataclass(frozen=True)
class Bench:
    """What every model is measured on, and how.

    Attributes:
        device: `cpu` or `cuda`.
        peak: operations per second that the share is of.
        runs: timed ones; their median counts.
        warmup: passes over a few sequences before.
    """

    sequences: Sequence[str]
    device: str
    peak: float
    runs: int
    warmup: int

    def measure(
        self, checkpoint: Checkpoint, engine: str, embed: Callable[[Sequence[str]], object], padded: float = 0.0
    ) -> Measured:
        """Warm up on the shortest sequences, then time whole runs and take the median."""
        few = sorted(self.sequences, key=len)[:4]
        for _ in range(self.warmup):
            embed(few)
        if self.device == "cuda":
            torch.cuda.reset_peak_memory_stats()
        seconds = float(np.median([_timed(partial(embed, self.sequences), self.device) for _ in range(self.runs)]))
        memory = (
            torch.cuda.max_memory_allocated()
            if self.device == "cuda"
            else 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        )
        lengths = [len(s) for s in self.sequences]
        return Measured(
            model=checkpoint.name,
            engine=engine,
            sequences=len(lengths),
            residues=sum(lengths),
            seconds=seconds,
            padded=padded,
            peak_memory_mb=memory / 1e6,
            share=operations(checkpoint.shape, lengths) / seconds / self.peak,
        )

    def measure_stock(self, checkpoint: Checkpoint) -> Measured:
        """The same for the stock model in the usual loop."""
        embed = partial(StockModel(checkpoint, self.device).means, batch=BATCH)
        return self.measure(checkpoint, f"stock, batch {BATCH}, fp32", embed, stock_padding(self.sequences))


def _timed(run: Callable[[], object], device: str) -> float:
    if device == "cuda":
        torch.cuda.synchronize()
    begun = time.perf_counter()
    run()
    if device == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - begun


def stock_padding(sequences: Sequence[str], batch: int = BATCH) -> float:
    """Share of padding in the usual loop: batches in file order, each as long as its longest."""
    lengths = [len(s) + 2 for s in sequences]
    batches = [lengths[at : at + batch] for at in range(0, len(lengths), batch)]
    computed = sum(max(b) * len(b) for b in batches)
    return 1 - sum(lengths) / computed


def compare(
    sequences: Sequence[str],
    names: Sequence[str],
    *,
    precision: Precision,
    device: str,
    runs: int,
    warmup: int,
    say: Callable[[str], None],
) -> tuple[list[Measured], dict[str, str]]:
    """Measure each checkpoint by the packed engine, and the first also by the stock loop with the same weights.

    Args:
        names: backbones or paths of checkpoints.

    Returns:
        The measurements, and why each of the others could not be measured.
    """
    bench = Bench(sequences, device, peak_rate(device, DTYPES[precision]), runs, warmup)
    found: list[Measured] = []
    missing: dict[str, str] = {}
    for position, name in enumerate(names):
        try:
            embedder = Embedder(name, device=device, precision=precision, self_test=False)
            checkpoint = embedder.checkpoint
            found.append(bench.measure(checkpoint, f"{embedder.engine} {precision}", embedder.embed))
            say(f"{checkpoint.name}: {found[-1].rate:.2f} sequences/s")
            del embedder
            gc.collect()
            if position == 0:
                found.append(bench.measure_stock(checkpoint))
                say(f"{checkpoint.name}, stock loop: {found[-1].rate:.2f} sequences/s")
        except (DataError, MemoryError, RuntimeError) as error:
            missing[name] = str(error).splitlines()[0][:300] or repr(error)
            say(f"{name} cannot be measured: {missing[name]}")
        gc.collect()
    return found, missing


def verdicts(found: Sequence[Measured], missing: dict[str, str], fast: str, large: str) -> list[str]:
    """PASSED or FAILED at 2x: against the larger model, and against the stock loop with the same weights."""
    rate = {(m.model, m.engine.split(",")[0].split(" ")[0]): m.rate for m in found}
    lines = []
    mine = rate.get((fast, "packed"))
    for title, other in (
        (f"{large}, packed", rate.get((large, "packed"))),
        ("the stock loop", rate.get((fast, "stock"))),
    ):
        if mine is None or other is None:
            why = missing.get(fast) or missing.get(large) or "it was not asked for"
            lines.append(f"{fast} against {title}: not measured ({why})")
        else:
            ratio = mine / other
            lines.append(f"{fast} against {title}: {ratio:.2f}x, {'PASSED' if ratio >= BAR else 'FAILED'} at {BAR:g}x")
    return lines


def table(found: Sequence[Measured]) -> str:
    """The measurements as a table in markdown, a line each."""
    head = (
        "| model | engine | total s | ms per sequence | sequences/s | residues/s | padded | peak MB | share of matmul |"
    )
    lines = [head, "|---|---|--:|--:|--:|--:|--:|--:|--:|"]
    lines += [
        f"| {m.model} | {m.engine} | {m.seconds:.2f} | {1000 * m.seconds / m.sequences:.1f} | {m.rate:.2f} "
        f"| {m.residues / m.seconds:,.0f} | {m.padded:.1%} | {m.peak_memory_mb:,.0f} | {m.share:.0%} |"
        for m in found
    ]
    return "\n".join(lines)


def write_report(folder: Path, found: Sequence[Measured], lines: Sequence[str], *, weights: str, device: str) -> Path:
    """`speed_benchmark.md`, and the same as JSON beside it."""
    folder.mkdir(parents=True, exist_ok=True)
    where = torch.cuda.get_device_name() if device == "cuda" else f"{torch.get_num_threads()} CPU threads"
    text = (
        f"# Speed benchmark\n\n{where}, torch {torch.__version__}, Python {platform.python_version()}. {weights}\n\n"
        f"{table(found)}\n\n" + "\n".join(f"- {line}" for line in lines) + "\n\n"
        "Times are of this machine in this run; only ratios travel. The share is of the fastest matrix product here\n"
        "in the precision of the packed engine.\n"
    )
    path = folder / "speed_benchmark.md"
    path.write_text(text, encoding="utf-8")
    content: dict[str, Any] = {"device": where, "measured": [asdict(m) for m in found], "verdicts": list(lines)}
    (folder / "speed_benchmark.json").write_text(json.dumps(content, indent=1) + "\n")
    return path
