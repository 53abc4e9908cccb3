"""The loop of meta-training: it may be killed at any time, and goes on from its last checkpoint.

A step's tasks and its dropout follow from the seed and the step's number, so what goes on is what would have been. The
checkpoint is one safetensors file: weights, the optimiser's moments, and as text in its header where it stood.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from baselines.errors import DataError
from baselines.few_shot import store
from baselines.few_shot.finetuning import decayed
from baselines.few_shot.meta import batches, configuration, learners
from baselines.few_shot.meta.schema import Config, Preset

STATE = "state.safetensors"
SAID_EVERY = 15.0
"""Seconds between two lines of progress."""
SMOOTH = 0.98
META_TRAINED_ON = ["synthetic"]


@dataclass
class _Progress:
    """Where it stands: steps done, processor seconds used, tasks seen, and a running mean of the loss."""

    step: int = 0
    cpu_seconds: float = 0.0
    tasks: int = 0
    loss: float = math.nan

    def done(self, preset: Preset) -> float:
        """The share of the budget that is used."""
        return self.step / preset.steps if preset.steps else self.cpu_seconds / (preset.cpu_seconds or 1.0)

    def add(self, loss: float, seconds: float, tasks: int) -> None:
        self.step += 1
        self.cpu_seconds += seconds
        self.tasks += tasks
        self.loss = loss if math.isnan(self.loss) else SMOOTH * self.loss + (1 - SMOOTH) * loss


def train(config: Config, say: Callable[[str], None] = lambda _: None) -> Path:
    """Meta-train a preset, or go on with it; returns the folder of the finished model, `<out>/<preset>/`.

    Args:
        say: told how far it is.

    Raises:
        DataError: a checkpoint of other settings is there; a backbone cannot be had; the loss is not finite.
    """
    torch.set_num_threads(config.threads)
    preset = config.preset
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        learner = learners.made(preset, config.device)
        network = learner.network
        count = sum(p.numel() for p in network.parameters())
        say(f"{preset.name}: {count:,} trainable parameters")
        folder = Path(config.out) / preset.name
        wanted = configuration.as_json(config)
        if (folder / store.METADATA).is_file():
            if store.read_metadata(folder).get("training", {}).get("configuration") == wanted:
                say(f"{folder} is finished already.")
                return folder
            raise DataError(f"{folder} holds a model of other settings; give another out, or remove it.")
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise DataError(f"{folder} cannot be made ({error}); give another out.") from error
        optimizer = torch.optim.AdamW(decayed(network, preset.weight_decay), lr=preset.learning_rate)
        progress = _resumed(folder / STATE, network, optimizer, wanted)
        _loop(config, learner, optimizer, progress, folder / STATE, say)
        metadata = {
            "name": preset.name,
            "settings": vars(preset),
            "parameters": count,
            "meta_training": META_TRAINED_ON,
            "training": {"configuration": wanted, **vars(progress)},
        }
        store.save(folder, network, metadata)
    (folder / STATE).unlink(missing_ok=True)
    return folder


def _loop(
    config: Config,
    learner: learners.Learner,
    optimizer: torch.optim.Optimizer,
    progress: _Progress,
    state: Path,
    say: Callable[[str], None],
) -> None:
    preset, network = config.preset, learner.network
    wanted = configuration.as_json(config)
    said = kept = begun = time.monotonic()
    first = progress.done(preset)
    network.train()
    while (done := progress.done(preset)) < 1:
        before = time.process_time()
        for group in optimizer.param_groups:
            group["lr"] = preset.learning_rate * _rate(done, preset)
        torch.manual_seed(config.seed + progress.step)
        batch = batches.drawn((config.seed, progress.step), preset, config.tasks)
        optimizer.zero_grad()
        loss = learner.backward(batch)
        if not math.isfinite(loss):
            raise DataError(f"The loss is {loss} in step {progress.step + 1}; take a lower preset.learning_rate.")
        torch.nn.utils.clip_grad_norm_(network.parameters(), preset.clip)
        optimizer.step()
        progress.add(loss, time.process_time() - before, len(batch.targets))
        now = time.monotonic()
        if now - kept >= config.checkpoint_seconds:
            _keep(state, network, optimizer, progress, wanted)
            kept = now
        if now - said >= SAID_EVERY:
            share = progress.done(preset)
            left = (now - begun) * max(0.0, 1 - share) / max(share - first, 1e-9)
            say(
                f"step {progress.step:,}, {progress.tasks:,} tasks, loss {progress.loss:.4f}; "
                f"{share:.0%} of the budget, about {left / 60:.1f} minutes left"
            )
            said = now
    say(
        f"{progress.step:,} steps, {progress.tasks:,} tasks, {progress.cpu_seconds:.0f} CPU seconds, "
        f"loss {progress.loss:.4f}"
    )


def _rate(done: float, preset: Preset) -> float:
    """Share of the peak learning rate: a linear rise, then a cosine to the minimum."""
    if done < preset.warmup:
        return max(done / preset.warmup, 1e-3)
    behind = min(1.0, (done - preset.warmup) / (preset.horizon - preset.warmup))
    return preset.minimum + (1 - preset.minimum) * (1 + math.cos(math.pi * behind)) / 2


def _keep(
    path: Path, network: torch.nn.Module, optimizer: torch.optim.Optimizer, progress: _Progress, wanted: dict[str, Any]
) -> None:
    """Write a checkpoint, whole or not at all."""
    tensors = {f"weights.{name}": tensor.contiguous() for name, tensor in network.state_dict().items()}
    for number, moments in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer.{number}.{name}": value.contiguous() for name, value in moments.items()}
    header = {"progress": json.dumps(vars(progress)), "configuration": json.dumps(wanted, sort_keys=True)}
    written = path.with_suffix(".partial")
    save_file(tensors, written, metadata=header)
    written.replace(path)


def _resumed(
    path: Path, network: torch.nn.Module, optimizer: torch.optim.Optimizer, wanted: dict[str, Any]
) -> _Progress:
    """Where a checkpoint stands, its weights and moments taken over; the beginning where there is none.

    Raises:
        DataError: it is of other settings, or is none.
    """
    if not path.is_file():
        return _Progress()
    try:
        with safe_open(path, framework="pt") as file:
            header = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no dict
        if json.loads(header["configuration"]) != wanted:
            raise DataError(f"{path} is of other settings; give another out, or remove it.")
        network.load_state_dict({n.removeprefix("weights."): t for n, t in tensors.items() if n.startswith("weights.")})
        moments: dict[int, dict[str, torch.Tensor]] = {}
        for name, tensor in tensors.items():
            kind, _, rest = name.partition(".")
            if kind == "optimizer":
                number, _, moment = rest.partition(".")
                moments.setdefault(int(number), {})[moment] = tensor
        optimizer.load_state_dict({**optimizer.state_dict(), "state": moments})
        return _Progress(**json.loads(header["progress"]))
    except (SafetensorError, KeyError, ValueError, TypeError, RuntimeError, OSError) as error:
        what = f"{path} is no checkpoint of this network; remove it to begin anew: {error!r}"
        raise DataError(what[:300]) from error
