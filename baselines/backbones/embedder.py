"""Frozen protein language models as features: sequences in, one vector each out, fast and the same every time.

Validate, drop duplicates, look into the cache, sort by length, pack, compute, put back in order. At the start the
packed engine is held against the stock model on eight sequences; where they differ, a slower one that agrees is taken.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
import torch

from baselines.backbones import checkpoint as checkpoints
from baselines.backbones import choice, processor, regions
from baselines.backbones.cache import EmbeddingCache
from baselines.backbones.packed import PackedEncoder
from baselines.backbones.stock import StockModel
from baselines.backbones.tokens import Vocabulary, clean, encode
from baselines.errors import DataError

Precision = Literal["fp32", "bf16", "fp16"]
DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
EXACT, RELATIVE = 1e-5, 0.1
"""Largest differences of a self-test: in fp32 in units of the largest value, else relative to the vectors' spread."""
Pooling = Literal["mean", "cls", "regions", "attention"]
"""How residues become one vector: their mean, what stands at the first token, the mean of each CDR and of the framework
side by side, or not at all, for a head to do it."""
ENGINE_VERSION = 1
"""Changes when the engine's numbers could; what is in caches is then computed again."""
KEPT_AT_ONCE = 2048
TEST_SEQUENCES = (
    "W",
    "MKTAYIAKQR",
    "ACDEFGHIKLMNPQRSTVWYXBZUO",
    "DIQMTQSPSSLSASVGDRVTITCRASQSISSYLNWYQQKPGKAPKLLIYAASSLQSGVPSRFSGSGSGTDFTLTISSLQPEDFATYYCQQSYSTPLTFGGGTKVEIK",
    "EVQLVESGGGLVQPGGSLRLSCAASGFTFSSYAMSWVRQAPGKGLEWVSAISGSGGSTYYADSVKGRFTISRDNSKNTLYLQMNSLRAEDTAVYYCAKWGQGTLVTVSS",
    "QVQLVESGGGLVQAGGSLRLSCAASGRTFSSYAMGWFRQAPGKEREFVAAISWSGGSTYYADSVKGRFTISRDNAKNTVYLQMNSLKPEDTAVYYCAAWGQGTQVTVSS",
    "QVQLQQWGAGLLKPSETLSLTCAVYGGSFSGYYWSWIRQPPGKGLEWIGEINHSGSTNYNPSLKSRVTISVDTSKNQFSLKLSSVTAADTAVYYCARMDVWGQGTTVTVSS",
    "QVQLVQSGAEVKKPGSSVKVSCKASGGTFSSYAISWVRQAPGQGLEWMGGIIPIFGTANYAQKFQGRVTITADESTSTAYMELSSLRSEDTAVYYCARFDYWGQGTLVTVSS",
)
"""Of a self-test, shortest first; every residue is in them."""


@dataclass(frozen=True, eq=False)
class Embedded:
    """What came of a call.

    Attributes:
        vectors: [n, width] float32, in the order of the input.
        seconds: of the whole call.
        computed: sequences that were computed, neither repeated nor in the cache.
        residues: of those.
    """

    vectors: npt.NDArray[np.float32]
    seconds: float
    computed: int
    residues: int


class Embedder:
    """One frozen model, by the fastest engine that agrees with the stock model on this machine.

    Args:
        name: a backbone's name, or the path of a checkpoint in the Hugging Face format.
        revision: a commit on the hub; default the pinned one.
        device: `auto` takes a GPU where there is one.
        precision: `fp32` by default; `bf16` is faster on processors that have it, and refused on those that do not.
        emulated: take half precision all the same, as a model that was trained in it must.
        tokens_per_batch: tokens of a pack; default by device and width, on a CPU what is fastest here.
        cache: folder of an on-disk cache; default none.
        self_test: hold the engine against the stock model first.
        expected: what the stock model says of `TEST_SEQUENCES`, [8, width], where it is not installed.
        fused: use more than plain torch where it is faster.
        pooling: of `embed`; with `attention` there is `residues` alone.

    Raises:
        DataError: the model cannot be had, no engine agrees with the stock model, or the processor has no arithmetic of
            this precision.
    """

    def __init__(
        self,
        name: str,
        *,
        revision: str | None = None,
        device: str = "auto",
        precision: Precision = "fp32",
        tokens_per_batch: int | None = None,
        cache: Path | None = None,
        self_test: bool = True,
        expected: npt.NDArray[np.float32] | None = None,
        emulated: bool = False,
        fused: bool = True,
        pooling: Pooling = "mean",
    ) -> None:
        if device.startswith("cuda") and not torch.cuda.is_available():
            raise DataError("There is no GPU that this torch can use; take --device cpu.")
        self.checkpoint = checkpoints.find(name, revision)
        self.device = ("cuda" if torch.cuda.is_available() else "cpu") if device == "auto" else device
        if self.device == "cpu" and not emulated and (why := processor.lacks(precision)):
            raise DataError(why)
        self.precision = precision
        self.width = self.checkpoint.shape.width
        self.limit = self.checkpoint.shape.limit
        self.tokens_per_batch = tokens_per_batch or self._budget()
        self.pooling = pooling
        self.engine, self._does = self._choose(expected, self_test=self_test, fused=fused, pack=tokens_per_batch)
        self.pooled_width = self.width * (len(regions.REGIONS) if pooling == "regions" else 1)
        self.cache = EmbeddingCache(cache, self.key, self.pooled_width) if cache else None

    @property
    def key(self) -> str:
        """Everything but the sequence that decides the numbers."""
        pooling = f"regions-{regions.version()}" if self.pooling == "regions" else self.pooling
        return f"{self.checkpoint.sha256} {self.precision} {pooling} {self.engine} {ENGINE_VERSION} {self.device}"

    def embed(self, sequences: Sequence[str], *, progress: bool = False) -> Embedded:
        """One vector for each sequence: of its last hidden states, by the pooling that was asked for.

        Args:
            progress: a line on stderr, live on a terminal.

        Raises:
            DataError: a sequence is not one, with its row.
        """
        begun = time.perf_counter()
        cleaned = clean(sequences, self.limit)
        unique = list(dict.fromkeys(cleaned))
        known = self.cache.get(unique) if self.cache else {}
        wanted = sorted((s for s in unique if s not in known), key=lambda s: (len(s), s))
        fresh: dict[str, npt.NDArray[np.float32]] = {}
        kept = 0
        shown = _Progress(len(wanted), live=progress)
        labels = dict(zip(wanted, regions.of(wanted), strict=True)) if self.pooling == "regions" and wanted else {}
        for batch in self.batches(wanted):
            found = self._pooled(batch, labels)
            if not np.isfinite(found).all():
                raise DataError(f"{self.precision} overflows on this model; take fp32.")
            fresh.update(zip(batch, found, strict=True))
            shown.at(len(fresh))
            if self.cache and len(fresh) - kept >= KEPT_AT_ONCE:
                kept += self._keep(fresh, kept)
        self._keep(fresh, kept)
        shown.done()
        vectors = np.empty((len(cleaned), self.pooled_width), dtype=np.float32)
        for row, sequence in enumerate(cleaned):
            vectors[row] = known[sequence] if sequence in known else fresh[sequence]
        return Embedded(vectors, time.perf_counter() - begun, len(wanted), sum(map(len, wanted)))

    def _pooled(self, batch: list[str], labels: Mapping[str, regions.Labels]) -> npt.NDArray[np.float32]:
        if self.pooling == "regions":
            parts = zip(batch, self._does.residues(batch), strict=True)
            return np.stack([regions.means(of_one, labels[text]) for text, of_one in parts])
        return self._does.firsts(batch) if self.pooling == "cls" else self._does.means(batch)

    def residues(self, sequences: Sequence[str], *, progress: bool = False) -> list[npt.NDArray[np.float32]]:
        """The last hidden states of every residue, [residues, width] of each sequence.

        Args:
            progress: as in `embed`.

        Raises:
            DataError: a sequence is not one, with its row.
        """
        cleaned = clean(sequences, self.limit)
        wanted = sorted(dict.fromkeys(cleaned), key=lambda s: (len(s), s))
        found: dict[str, npt.NDArray[np.float32]] = {}
        shown = _Progress(len(wanted), live=progress)
        for batch in self.batches(wanted):
            states = self._does.residues(batch)
            if not all(np.isfinite(of_one).all() for of_one in states):
                raise DataError(f"{self.precision} overflows on this model; take fp32.")
            found.update(zip(batch, states, strict=True))
            shown.at(len(found))
        shown.done()
        return [found[sequence] for sequence in cleaned]

    def _keep(self, fresh: dict[str, npt.NDArray[np.float32]], kept: int) -> int:
        """Put what is not in the cache yet there; how many that is."""
        new = dict(islice(fresh.items(), kept, None))
        if self.cache and new:
            self.cache.put(new)
        return len(new)

    def batches(self, ordered: Sequence[str]) -> Iterator[list[str]]:
        """Sequences sorted by length in portions of at most `tokens_per_batch` tokens, one at least."""
        batch: list[str] = []
        tokens = 0
        for sequence in ordered:
            if batch and tokens + len(sequence) + 2 > self.tokens_per_batch:
                yield batch
                batch, tokens = [], 0
            batch.append(sequence)
            tokens += len(sequence) + 2
        if batch:
            yield batch

    def _budget(self) -> int:
        """Tokens of a pack that fit: a GPU wants large products, a CPU those whose activations stay near its cache."""
        if self.device == "cpu":
            return 2048 if self.width * (4 if self.precision == "fp32" else 2) <= 2560 else 1024
        if self.precision == "fp32":
            return 8192
        return 65_536 if self.width <= 1280 else 32_768

    def _choose(
        self, expected: npt.NDArray[np.float32] | None, *, self_test: bool, fused: bool, pack: int | None
    ) -> tuple[str, Packed | StockModel]:
        """The fastest engine that agrees with the stock model."""
        names = [name for name in choice.usual(self.device) if fused or name == "plain"]
        if not self_test:
            return names[0], self._engine(names[0])
        stock = None if expected is not None else StockModel(self.checkpoint, self.device)
        expected = stock.means(TEST_SEQUENCES) if stock else expected
        assert expected is not None
        if self.device == "cpu" and fused:
            judge = stock if self.precision == "fp32" else None  # it computes in nothing else
            names, fastest = choice.measured(self.checkpoint, DTYPES[self.precision], judge)
            self.tokens_per_batch = pack or fastest or self.tokens_per_batch
        right = self.precision == "fp32" or self._is_exact(expected)  # half precision would hide what is wrong
        for name in names:
            if name == "stock":
                break
            why = "does not agree with the stock model here"
            try:
                engine = self._engine(name)
                if right and agrees(engine.means(TEST_SEQUENCES), expected, self.precision, self.device):
                    return name, engine
            except (RuntimeError, ImportError, TypeError, AttributeError) as error:
                why = f"does not run here ({str(error)[:200]})"
            sys.stderr.write(f"The {name} engine {why}; a slower one is taken.\n")
        if stock is None:
            raise DataError("No engine computes on this machine what the stock model did where this was packaged.")
        return "stock", stock

    def _engine(self, name: str) -> Packed:
        encoder = PackedEncoder(
            self.checkpoint,
            self.device,
            DTYPES[self.precision],
            fused=name == "packed",
            filled=None if self.device == "cpu" else self.tokens_per_batch,
        )
        return Packed(encoder, self.checkpoint.vocabulary)

    def _is_exact(self, expected: npt.NDArray[np.float32]) -> bool:
        """Whether the packed engine says what the stock model says where it does not round."""
        exact = PackedEncoder(self.checkpoint, "cpu", torch.float32, fused=False)
        return agrees(Packed(exact, self.checkpoint.vocabulary).means(TEST_SEQUENCES), expected, "fp32")


def agrees(
    found: npt.NDArray[np.float32], expected: npt.NDArray[np.float32], precision: str, device: str = "cpu"
) -> bool:
    """Whether two sets of vectors, [n, width], are the same but for rounding.

    In fp32 by the largest difference, for which a GPU adds up in another order. In half precision by each vector's
    distance relative to how far the vectors lie from their own mean: what all share would hide what is wrong.
    """
    if not np.isfinite(found).all():
        return False
    if precision == "fp32":
        size = max(float(np.abs(expected).max()), 1.0)
        return bool(np.abs(found - expected).max() <= EXACT * size * (1 if device == "cpu" else 10))
    spread = np.linalg.norm(expected - expected.mean(0), axis=1)
    return bool((np.linalg.norm(found - expected, axis=1) <= RELATIVE * spread).all())


@dataclass(frozen=True)
class Packed:
    """A packed encoder that is given text: one pack of clean sequences, sorted by length."""

    encoder: PackedEncoder
    vocabulary: Vocabulary

    def means(self, batch: Sequence[str]) -> npt.NDArray[np.float32]:
        """Mean over the residues of each, [n, width]."""
        tokens = encode(batch, self.vocabulary)
        return np.asarray(self.encoder.means(tokens.ids, tokens.lengths).cpu().numpy(), dtype=np.float32)

    def firsts(self, batch: Sequence[str]) -> npt.NDArray[np.float32]:
        """What stands at the token that begins each, [n, width]."""
        tokens = encode(batch, self.vocabulary)
        return np.asarray(self.encoder.firsts(tokens.ids, tokens.lengths).cpu().numpy(), dtype=np.float32)

    def residues(self, batch: Sequence[str]) -> list[npt.NDArray[np.float32]]:
        """Every residue of each, [residues, width]."""
        tokens = encode(batch, self.vocabulary)
        states = self.encoder.residues(tokens.ids, tokens.lengths).float().cpu().numpy()
        return [part[1:-1].copy() for part in np.split(states, np.cumsum(tokens.lengths)[:-1])]


class _Progress:
    """How far it is: a live line on a terminal, a plain one now and then in a pipe.

    By hand: tqdm writes carriage returns into a pipe, or nothing, and would be one more package in every image.
    """

    def __init__(self, total: int, *, live: bool) -> None:
        self.total, self.begun, self.said = total, time.monotonic(), time.monotonic()
        self.on = live and total > 0
        self.every = 0.5 if sys.stderr.isatty() else 30.0

    def at(self, count: int) -> None:
        now = time.monotonic()
        if not self.on or now - self.said < self.every:
            return
        self.said = now
        left = (now - self.begun) / count * (self.total - count)
        end = "" if sys.stderr.isatty() else "\n"
        start = "\r\x1b[K" if sys.stderr.isatty() else ""
        sys.stderr.write(f"{start}{count:,}/{self.total:,} sequences, {left:,.0f} s left{end}")
        sys.stderr.flush()

    def done(self) -> None:
        if self.on and sys.stderr.isatty():
            sys.stderr.write("\r\x1b[K")
