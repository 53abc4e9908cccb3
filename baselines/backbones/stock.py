"""The stock transformers model and the usual loop around it: the packed engine's judge, and its last resort."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from baselines.backbones.checkpoint import Checkpoint
from baselines.backbones.tokens import encode
from baselines.errors import DataError

BUFFERS = ("inv_freq", "position_ids", "token_type_ids")
"""What follows from the configuration, and is in no checkpoint."""


class StockModel:
    """transformers' own class with a checkpoint's weights, without the pooler, which is not used.

    Args:
        attention: `sdpa`, transformers' own default, or `eager`.
        compiled: layer by layer by torch's compiler, for which there must be one for C.

    Raises:
        DataError: transformers is not installed, or the weights do not fit.
    """

    def __init__(
        self,
        checkpoint: Checkpoint,
        device: str = "cpu",
        dtype: torch.dtype = torch.float32,
        attention: str = "sdpa",
        *,
        compiled: bool = False,
    ) -> None:
        try:
            import transformers
        except ImportError as error:
            raise DataError("transformers is not installed: pip install '.[baselines]'") from error
        known = {k: v for k, v in checkpoint.config.items() if k not in ("model_type", "auto_map", "architectures")}
        name = {"esm": "Esm", "esmc": "Esmc", "bert": "Bert", "roberta": "Roberta"}[checkpoint.shape.family]
        if not hasattr(transformers, f"{name}Model"):
            raise DataError(f"transformers {transformers.__version__} has no {name}Model; a newer one is needed.")
        config = getattr(transformers, f"{name}Config")(**{**known, "attn_implementation": attention})
        without = {} if name == "Esmc" else {"add_pooling_layer": False}
        model: Any = getattr(transformers, f"{name}Model")(config, **without)
        # no contact head and no rotary table here: the first is not used, the second follows from the configuration
        missing, _ = model.load_state_dict(checkpoint.tensors(), strict=False)
        if lost := [n for n in missing if not n.startswith("contact_head") and not n.endswith(BUFFERS)]:
            raise DataError(f"{checkpoint.folder} lacks {', '.join(lost[:3])}.")
        self.model = model.eval().to(device, dtype)
        if compiled:  # one layer is compiled once for all of them; the whole model would take minutes
            for layer in getattr(*self._layers_at()):
                layer.compile(dynamic=True)
        self.device = torch.device(device)
        self.vocabulary, self.padding = checkpoint.vocabulary, checkpoint.shape.padding

    @contextmanager
    def shortened(self, layers: int) -> Iterator[None]:
        """With its first layers only."""
        holder, name = self._layers_at()
        whole = getattr(holder, name)
        setattr(holder, name, whole[:layers])
        try:
            yield
        finally:
            setattr(holder, name, whole)

    def _layers_at(self) -> tuple[Any, str]:
        """What holds the model's layers, and its attribute for them."""
        return (self.model.encoder, "layer") if hasattr(self.model, "encoder") else (self.model, "layers")

    def means(self, sequences: Sequence[str], batch: int = 8) -> npt.NDArray[np.float32]:
        """Mean over residues of clean sequences, in file order, padded to the longest of each batch: [n, width]."""
        found = [s[1:-1].mean(0).cpu().numpy() for s in self._each(sequences, batch)]
        return np.stack(found)

    def firsts(self, sequences: Sequence[str]) -> npt.NDArray[np.float32]:
        """What stands at the token that begins each sequence: [n, width]."""
        return np.stack([s[0].cpu().numpy() for s in self._each(sequences)])

    def residues(self, sequences: Sequence[str]) -> list[npt.NDArray[np.float32]]:
        """Every residue of each sequence, [residues, width]."""
        return [s[1:-1].cpu().numpy() for s in self._each(sequences)]

    @torch.inference_mode()
    def _each(self, sequences: Sequence[str], batch: int = 8) -> Iterator[torch.Tensor]:
        """Last hidden states of each sequence with what begins and ends it, [residues + 2, width] float32."""
        for at in range(0, len(sequences), batch):
            some = sequences[at : at + batch]
            longest = max(map(len, some)) + 2
            ids = torch.full((len(some), longest), self.padding, dtype=torch.long)
            for row, sequence in enumerate(some):
                tokens = encode([sequence], self.vocabulary).ids
                ids[row, : len(tokens)] = torch.from_numpy(tokens.astype(np.int64))
            ids = ids.to(self.device)
            states = self.model(input_ids=ids, attention_mask=(ids != self.padding).long()).last_hidden_state
            for row, sequence in enumerate(some):
                yield states[row, : len(sequence) + 2].float()
