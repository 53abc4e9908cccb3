"""Fine-tuning the last layers of a backbone on the training set: LoRA by PEFT, or their weights themselves.

The layers below stay as they are, so what they say of each sequence is computed once. Above them the mean over residues
goes through one linear layer to a class; that layer only shows the way, and any head is trained on the new features.
"""

from __future__ import annotations

import json
import math
import random
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from functools import cached_property
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F  # noqa: N812 - everybody calls it so
from safetensors.torch import save_file

from baselines.backbones import adapted
from baselines.backbones.checkpoint import Checkpoint
from baselines.backbones.packed import PackedEncoder
from baselines.backbones.stock import StockModel
from baselines.backbones.tokens import clean, encode
from baselines.errors import DataError
from baselines.predicting.features import Ints, Matrix
from baselines.training.schema import Finetune

CLIP, BETAS, DECAY = 1.0, (0.9, 0.98), 0.01
PACK = 4096
CLOSE = 1e-3
"""How far the split model may be from the whole one, relative to its largest value."""


class FineTuner:
    """A backbone whose last layers can be trained on some rows and asked about all.

    Args:
        light: light chains beside the sequences, which go through the same layers; default none.
        device: `cpu` or `cuda`; on the second, products are in bf16.

    Raises:
        DataError: a sequence is not one; there are not so many layers.
    """

    def __init__(
        self,
        checkpoint: Checkpoint,
        sequences: Sequence[str],
        settings: Finetune,
        *,
        seed: int,
        device: str = "cpu",
        light: Sequence[str] = (),
    ) -> None:
        if checkpoint.shape.family == "esmc":
            raise DataError(f"{checkpoint.name} is an ESM-C; fine-tuning is there for ESM, BERT and RoBERTa.")
        if not 0 < settings.layers < checkpoint.shape.layers:
            raise DataError(f"finetune.layers is {settings.layers}; {checkpoint.name} has {checkpoint.shape.layers}.")
        self.checkpoint, self.settings, self.seed, self.device = checkpoint, settings, seed, device
        self.chains = [clean(c, checkpoint.shape.limit) for c in (sequences, light) if c]
        self.rows = self.chains[0]
        self.below = [self._below(chain) for chain in self.chains]
        self._untrained: npt.NDArray[np.float32] | None = None  # features before training, which are the same for all

    def trained(self, rows: Ints, labels: npt.NDArray[np.int64]) -> Tuned:
        """The last layers, trained on these rows alone; the same seed gives the same on one device.

        Args:
            rows: of the sequences.
            labels: [n] 0/1 of all sequences, of which those of the rows are looked at.
        """
        s = self.settings
        with torch.random.fork_rng(devices=[torch.cuda.current_device()] if self.device == "cuda" else []):
            torch.manual_seed(self.seed)
            model = _Top(self.checkpoint, s, self.device)
            self._require_same(model)
            if self._untrained is None:
                self._untrained = self._pooled(model, np.arange(len(self.rows)))
            pooled = torch.from_numpy(self._untrained[rows]).to(self.device)
            classify = torch.nn.Linear(pooled.shape[1], 1).to(self.device)
            mean, scale = pooled.mean(0), pooled.std(0).clamp_min(1e-6)
            parameters = [*model.trainable(), *classify.parameters()]
            optimizer = torch.optim.AdamW(parameters, lr=s.learning_rate, betas=BETAS, weight_decay=DECAY)
            steps = s.epochs * math.ceil(len(rows) / s.batch)
            schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: _rate(step, steps, s.warmup))
            truth = torch.from_numpy(labels.astype(np.float32)).to(self.device)
            shuffled = random.Random(self.seed)  # noqa: S311
            for _ in range(s.epochs):
                model.train()
                for some in _batches(rows, [len(r) for r in self.rows], s.batch, shuffled):
                    optimizer.zero_grad()
                    logits = classify((self._means(model, some) - mean) / scale).squeeze(1)
                    F.binary_cross_entropy_with_logits(logits, truth[some]).backward()
                    torch.nn.utils.clip_grad_norm_(parameters, CLIP)
                    optimizer.step()
                    schedule.step()
        return Tuned(model, self)

    def _means(self, model: _Top, rows: Sequence[int]) -> torch.Tensor:
        """Means over the residues of these rows, [n, width], or of both chains side by side."""
        return torch.cat([model.means([chain[k] for k in rows]) for chain in self.below], 1)

    def _below(self, chain: Sequence[str]) -> list[torch.Tensor]:
        """What goes into the last layers of each sequence, [tokens, width]."""
        kept = self.checkpoint.shape.layers - self.settings.layers
        encoder = PackedEncoder(self.checkpoint, self.device, torch.float32, fused=self.device == "cpu", layers=kept)
        encoder.norm_after = None
        found: dict[str, torch.Tensor] = {}
        ordered = sorted(dict.fromkeys(chain), key=lambda s: (len(s), s))
        count = max(1, PACK // (max(map(len, ordered)) + 2))
        for at in range(0, len(ordered), count):
            some = ordered[at : at + count]
            tokens = encode(some, self.checkpoint.vocabulary)
            states = encoder.residues(tokens.ids, tokens.lengths)
            found.update(zip(some, (part.clone() for part in states.split(tokens.lengths.tolist())), strict=True))
        return [found[text] for text in chain]

    def _pooled(self, model: _Top, rows: Ints) -> npt.NDArray[np.float32]:
        """The same without training, [n, width]."""
        model.eval()
        order = sorted(rows.tolist(), key=lambda k: (len(self.rows[k]), k))
        found: dict[int, npt.NDArray[np.float32]] = {}
        with torch.inference_mode():
            for at in range(0, len(order), self.settings.batch):
                some = order[at : at + self.settings.batch]
                found.update(zip(some, self._means(model, some).float().cpu().numpy(), strict=True))
        return np.stack([found[k] for k in rows.tolist()])

    def _require_same(self, model: _Top) -> None:
        """Hold the layers below and the untrained ones above, together, against the whole stock model."""
        some = np.arange(min(4, len(self.rows)))
        stock = StockModel(self.checkpoint, self.device)
        expected = np.hstack([stock.means([chain[k] for k in some]) for chain in self.chains])
        difference = float(np.abs(self._pooled(model, some) - expected).max())
        if difference > CLOSE * max(1.0, float(np.abs(expected).max())) * (1 if self.device == "cpu" else 30):
            raise DataError(f"{self.checkpoint.name} cannot be split before its last layers: off by {difference:.1e}.")


class Tuned:
    """What came of fine-tuning on some rows."""

    def __init__(self, model: _Top, tuner: FineTuner) -> None:
        self.model, self.tuner = model, tuner

    def matrix(self) -> Matrix:
        """Features of all sequences, [n, width]."""
        return self.tuner._pooled(self.model, np.arange(len(self.tuner.rows))).astype(np.float64)

    def save(self, folder: Path, made_from: Mapping[str, Any]) -> None:
        """Write the adapter; what says that it is finished goes last."""
        folder.mkdir(parents=True, exist_ok=True)
        (folder / adapted.TUNED).unlink(missing_ok=True)
        self.model.save(folder)
        partial = folder / f"{adapted.TUNED}.partial"
        partial.write_text(json.dumps(dict(made_from), indent=1, sort_keys=True) + "\n", encoding="utf-8")
        partial.replace(folder / adapted.TUNED)


class _Top(torch.nn.Module):
    """The last layers of transformers' own model, those that are trained."""

    def __init__(self, checkpoint: Checkpoint, settings: Finetune, device: str) -> None:
        super().__init__()
        self.settings, self.device, self.esm = settings, device, checkpoint.shape.family == "esm"
        whole = StockModel(checkpoint, device).model
        for parameter in whole.parameters():
            parameter.requires_grad_(False)
        count = checkpoint.shape.layers
        self.first = count - settings.layers
        if settings.method == "lora":
            from peft import LoraConfig, get_peft_model

            for module in whole.modules():  # drawing what these drop would take half of the time; LoRA has its own
                if isinstance(module, torch.nn.Dropout):
                    module.p = 0.0
            config = LoraConfig(
                r=settings.rank,
                lora_alpha=settings.alpha,
                lora_dropout=settings.dropout,
                target_modules=["query", "key", "value", "dense"],
                layers_to_transform=list(range(self.first, count)),
                layers_pattern="layer",
            )
            with warnings.catch_warnings():  # PEFT asks transformers in a way that is to go
                warnings.simplefilter("ignore", FutureWarning)
                self.peft: Any = get_peft_model(whole, config)
        else:
            for layer in whole.encoder.layer[self.first :]:
                for parameter in layer.parameters():
                    parameter.requires_grad_(True)
        self.whole = whole
        self.top = whole.encoder.layer[self.first :]

    def trainable(self) -> list[torch.nn.Parameter]:
        """What training changes."""
        return [p for p in self.whole.parameters() if p.requires_grad]

    def means(self, below: Sequence[torch.Tensor]) -> torch.Tensor:
        """Mean over the residues of each sequence, [n, width], of what goes into the first of these layers."""
        x = torch.nn.utils.rnn.pad_sequence(list(below), batch_first=True)
        lengths = torch.tensor([len(b) for b in below], device=x.device)
        place = torch.arange(x.shape[1], device=x.device)
        inside = place < lengths[:, None]
        mask = inside[:, None, None, :].expand(-1, 1, x.shape[1], -1)
        turned: dict[str, Any] = {}
        if (rotary := getattr(self.whole, "rotary_embeddings", None)) is not None:  # before, each layer had its own
            turned["position_embeddings"] = rotary(x, place.expand(len(x), -1))
        encoder = self.whole.encoder
        every = encoder.layer
        encoder.layer = self.top
        try:
            with torch.autocast(self.device, torch.bfloat16, enabled=self.device == "cuda"):
                states = encoder(x, attention_mask=mask, **turned).last_hidden_state.float()
        finally:
            encoder.layer = every
        residues = inside & (place > 0) & (place < lengths[:, None] - 1)
        found: torch.Tensor = (states * residues[..., None]).sum(1) / residues.sum(1, keepdim=True)
        return found

    def save(self, folder: Path) -> None:
        """The adapter in PEFT's format, or the trained layers by their names."""
        if self.settings.method == "lora":
            self.peft.save_pretrained(folder)
            (folder / "README.md").unlink(missing_ok=True)
            return
        named = {name: p for name, p in self.whole.named_parameters() if p.requires_grad}
        save_file({n: p.detach().cpu().contiguous() for n, p in sorted(named.items())}, folder / adapted.ADAPTER)


class FineTuned:
    """Features that depend on which rows are learned from: fine-tuned anew for each choice of them.

    Args:
        tuner: is asked for one when the first is needed.
        labels: [n] 0/1.
        whole: [n, width] of the backbone that was fine-tuned on all rows.
    """

    def __init__(self, tuner: Callable[[], FineTuner], labels: npt.NDArray[np.int64], whole: Matrix) -> None:
        self.made, self.labels, self.whole = tuner, labels, whole
        self._kept: dict[bytes, Matrix] = {}

    def __len__(self) -> int:
        return len(self.labels)

    @cached_property
    def tuner(self) -> FineTuner:
        """With what goes into the last layers at hand."""
        return self.made()

    def on(self, rows: Ints) -> Matrix:
        """Features of all rows, by a backbone that was fine-tuned on these alone."""
        if len(rows) == len(self):
            return self.whole
        key = rows.tobytes()
        if key not in self._kept:
            self._kept[key] = self.tuner.trained(rows, self.labels).matrix()
        return self._kept[key]


def made_from(
    base: str, checkpoint: Checkpoint, settings: Finetune, seed: int, data: str, device: str
) -> dict[str, Any]:
    """What decides a fine-tuned backbone.

    Args:
        base: how the checkpoint is found again.
        data: sha256 of the training set.
    """
    return {
        "base": base,
        "base_sha256": checkpoint.sha256,
        "revision": checkpoint.revision,
        **asdict(settings),
        "seed": seed,
        "data_sha256": data,
        "device": device,
        "versions": {name: metadata.version(name) for name in ("torch", "transformers", "peft")},
    }


def _rate(step: int, steps: int, warmup: float) -> float:
    """Of the full learning rate: up in a line, then down as a cosine."""
    rising = max(1, round(steps * warmup))
    if step < rising:
        return (step + 1) / rising
    return 0.5 * (1 + math.cos(math.pi * (step - rising) / max(1, steps - rising)))


def _batches(rows: Ints, lengths: Sequence[int], size: int, shuffled: random.Random) -> Iterator[list[int]]:
    """All rows in random batches of about equal lengths."""
    order = rows.tolist()
    shuffled.shuffle(order)
    batches = []
    for at in range(0, len(order), 8 * size):
        some = sorted(order[at : at + 8 * size], key=lambda k: lengths[k])
        batches += [some[b : b + size] for b in range(0, len(some), size)]
    shuffled.shuffle(batches)
    yield from batches
