"""What of a retrieval experiment can be configured: the types that Hydra's groups are held against, and what fits."""

from __future__ import annotations

from dataclasses import dataclass, field

from omegaconf import MISSING

from baselines.errors import DataError

LARGEST_TASKS = 10
"""How many tasks there are."""


@dataclass
class Training:
    """How encoders of weights are trained.

    Attributes:
        batch_size: models of a step, in pairs of one task.
        learning_rate: the highest of one cycle.
        hidden_dim: width of nodes and tokens.
        output_dim: of an embedding.
        temperature: of the contrastive loss.
        lambda_contrastive: share of the contrastive loss; the rest is that of predicting scores on the panel.
        weight_noise: spread of the factors by which weights are multiplied in training, around 1.
    """

    batch_size: int = 16
    num_epochs: int = 50
    learning_rate: float = 1e-3
    weight_decay: float = 1e-5
    hidden_dim: int = 128
    output_dim: int = 256
    temperature: float = 0.07
    lambda_contrastive: float = 0.8
    weight_noise: float = 0.2


@dataclass
class Preset:
    """A size of the experiment.

    Attributes:
        models: of each zoo.
        tasks: of them; as many models of each, but for one.
        held_out: share of each task's models that no encoder is trained on.
        steps: the fewest and the most that a model of the zoo is trained for.
        seeds: of each learned encoder.
        control_seeds: of each learned encoder on the control zoos.
        unseen_splits: how often tasks are drawn that encoders do not see.
        unseen_tasks: how many they are.
        queries: models that are trained on few labels and look for one to start from.
        draws: of each symmetry, of every held-out model.
    """

    name: str = MISSING
    models: int = 400
    tasks: int = LARGEST_TASKS
    held_out: float = 0.4
    steps: list[int] = field(default_factory=lambda: [200, 500])
    seeds: int = 5
    control_seeds: int = 1
    unseen_splits: int = 5
    unseen_tasks: int = 4
    queries: int = 50
    draws: int = 5
    training: Training = field(default_factory=Training)


@dataclass
class Data:
    """Antibodies that the tasks are made of.

    Attributes:
        train: a CSV with `sequence,label`; synthetic ones where it is null.
        synthetic: how many synthetic ones.
    """

    train: str | None = None
    synthetic: int = 914


@dataclass
class Config:
    """One experiment.

    Attributes:
        out: gets retrieval.md, retrieval.json, and a folder retrieval/ with plots and what is kept of finished stages.
        jobs: processes, each on one core.
    """

    preset: Preset = field(default_factory=Preset)
    data: Data = field(default_factory=Data)
    out: str = "reports"
    seed: int = 20261126
    jobs: int = 2


def check(config: Config) -> None:
    """Refuse values that do not go together.

    Raises:
        DataError: with what is allowed.
    """
    preset, training = config.preset, config.preset.training
    counts = {
        **{key: getattr(preset, key) for key in ("seeds", "control_seeds", "unseen_splits", "draws")},
        **{f"training.{key}": getattr(training, key) for key in ("num_epochs", "hidden_dim", "output_dim")},
    }
    if wrong := [key for key, value in counts.items() if value < 1]:
        raise DataError(f"preset: {', '.join(wrong)} must be 1 at least.")
    above = {key: getattr(training, key) for key in ("learning_rate", "temperature")}
    if wrong := [key for key, value in above.items() if not value > 0]:
        raise DataError(f"preset.training: {', '.join(wrong)} must be above 0.")
    if training.weight_decay < 0 or training.weight_noise < 0 or not 0 <= training.lambda_contrastive <= 1:
        raise DataError(
            "preset.training: weight_decay and weight_noise are not negative, lambda_contrastive is a share."
        )
    if training.hidden_dim % 4:
        raise DataError("preset.training.hidden_dim is a multiple of 4, the heads of the transformer.")
    if training.batch_size < 4 or training.batch_size % 2:
        raise DataError("preset.training.batch_size is even and 4 at least: models come in pairs of one task.")
    _check_zoo(config)


def _check_zoo(config: Config) -> None:
    preset = config.preset
    if not 4 <= preset.tasks <= LARGEST_TASKS:
        raise DataError(f"preset.tasks is {preset.tasks}; from 4 to {LARGEST_TASKS} can be made.")
    if not 2 <= preset.unseen_tasks <= preset.tasks - 2:
        raise DataError("preset.unseen_tasks leaves two tasks to train on, and two to tell apart.")
    if not 0 < preset.held_out < 1:
        raise DataError("preset.held_out is a share between 0 and 1.")
    fewest = preset.models // preset.tasks
    if min(int(fewest * preset.held_out), fewest - int(fewest * preset.held_out) - 1) < 2:
        raise DataError(f"preset.models is {preset.models}: each task needs two to train on and two held out.")
    if len(preset.steps) != 2 or not 1 <= preset.steps[0] <= preset.steps[1]:
        raise DataError("preset.steps is a least and a largest number, such as [200,500].")
    if preset.queries < preset.tasks:
        raise DataError(f"preset.queries is {preset.queries}; there is one for each of {preset.tasks} tasks at least.")
    if config.jobs < 1 or config.data.synthetic < 1:
        raise DataError("jobs and data.synthetic are 1 at least.")
