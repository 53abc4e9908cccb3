"""What of meta-training can be configured: the types that Hydra's groups are held against, and what fits together."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field

from omegaconf import MISSING

from baselines.errors import DataError
from baselines.few_shot.losses import LOSSES


@dataclass
class Preset:
    """A network and how it is trained; each step sees `batch` tasks.

    Attributes:
        type: `sparse`, `reptile` or `metalic`.
        name: of its folder and in tables.
        steps: of meta-training; the same seed then gives the same weights.
        cpu_seconds: instead of steps, how much time of the processor it may take.
        warmup: share of the budget in which the learning rate rises, before it falls as a cosine.
        minimum: what the learning rate falls to, as a share of its peak.
        horizon: how long the cosine is, in budgets.
        clip: largest norm of the gradient.
        support: the least and the largest support of a task; between them evenly on a logarithmic scale. A model that
            has learnt from 0 on answers without a support by its network, any other by net charge.
        queries: of each task.
        finetune_steps: of gradient descent on each task's support when it is answered.
    """

    type: str = MISSING
    name: str = MISSING
    steps: int | None = None
    cpu_seconds: float | None = None
    batch: int = 16
    learning_rate: float = 1e-3
    weight_decay: float = 5e-3
    warmup: float = 0.1
    minimum: float = 0.1
    horizon: float = 1.0
    clip: float = 1.0
    loss: str = "ranking"
    support: list[int] = field(default_factory=lambda: [4, 64])
    queries: int = 48
    finetune_steps: int = 0


@dataclass
class Sparse(Preset):
    """Attributes as `SparseNetwork` names them."""

    type: str = "sparse"
    cpu_seconds: float | None = 300.0
    learning_rate: float = 2e-3
    layers: int = 3
    width: int = 64
    heads: int = 4
    inner: int = 128


@dataclass
class Reptile(Preset):
    """Attributes:
    width: of every layer.
    inner_steps, inner_rate: of gradient descent within a task of meta-training.
    """

    type: str = "reptile"
    cpu_seconds: float | None = 300.0
    learning_rate: float = 3e-4
    finetune_steps: int = 20
    width: int = 144
    inner_steps: int = 3
    inner_rate: float = 0.1


@dataclass
class Metalic(Preset):
    """Attributes as `AxialNetwork` names them; the defaults are those of the paper's table.

    Attributes:
        backbone: what embeds residues: a name, the path of a checkpoint, or `one_hot`.
        layer: after which of its layers.
        embedded: how wide its embeddings are; found out where it is 0.
    """

    type: str = "metalic"
    steps: int | None = 50_000
    batch: int = 1
    learning_rate: float = 6e-5
    support: list[int] = field(default_factory=lambda: [16, 16])
    queries: int = 100
    finetune_steps: int = 100
    backbone: str = "esm2_8m"
    layer: int = 3
    embedded: int = 0
    layers: int = 6
    width: int = 768
    heads: int = 4
    inner: int = 3072
    hidden: int = 4
    dropout: float = 0.1
    attention_dropout: float = 0.1
    transductive: bool = False


@dataclass
class Tasks:
    """How often each kind of made-up task is drawn, relative to the others; networks of residues see no panels."""

    single: float = 4.0
    multiple: float = 4.0
    combinations: float = 1.0
    panels: float = 2.0


@dataclass
class Config:
    """One meta-training.

    Attributes:
        out: a folder for each preset is made in it.
        device: `cpu`, or `cuda` for networks of residues.
        checkpoint_seconds: how often it is kept from where it goes on after a kill.
    """

    preset: Preset = field(default_factory=Preset)
    tasks: Tasks = field(default_factory=Tasks)
    out: str = "models/few_shot"
    seed: int = 20261126
    threads: int = 1
    device: str = "cpu"
    checkpoint_seconds: float = 30.0


PRESETS = (Sparse, Reptile, Metalic)


def check(config: Config) -> None:
    """Refuse values that there are not, and those that do not go together.

    Raises:
        DataError: with what there is.
    """
    preset, tasks = config.preset, config.tasks
    for key, value, known in (
        ("preset.type", preset.type, [kind.type for kind in PRESETS]),
        ("preset.loss", preset.loss, list(LOSSES)),
        ("device", config.device, ["cpu", "cuda"] if preset.type == "metalic" else ["cpu"]),
    ):
        if value not in known:
            raise DataError(f"{key} is '{value}'. Known are: {', '.join(known)}.")
    if (preset.steps is None) == (preset.cpu_seconds is None):
        raise DataError("Give one budget, preset.steps or preset.cpu_seconds, and set the other to null.")
    budget = preset.steps if preset.steps is not None else preset.cpu_seconds
    positive = {"budget": budget, "batch": preset.batch, "learning_rate": preset.learning_rate, "clip": preset.clip}
    if wrong := [name for name, value in positive.items() if value is None or value <= 0]:
        raise DataError(f"preset: {', '.join(wrong)} must be above 0.")
    if not (0 <= preset.warmup < 1 and 0 <= preset.minimum <= 1 and preset.horizon >= 1):
        raise DataError("preset needs warmup from 0 to below 1, minimum from 0 to 1, and horizon from 1.")
    landscapes = tasks.single + tasks.multiple + tasks.combinations
    if min(asdict(tasks).values()) < 0 or landscapes + tasks.panels * (preset.type != "metalic") <= 0:
        raise DataError("tasks: shares are not negative, and one at least is above 0.")
    _check_network(preset)
    if config.threads < 1:
        raise DataError("threads is 1 at least.")


def _check_network(preset: Preset) -> None:
    if len(preset.support) != 2 or not 0 <= preset.support[0] <= preset.support[1] or preset.queries < 2:
        raise DataError("preset.support is a least and a largest one, such as [4,64]; queries are two at least.")
    if preset.type == "reptile" and preset.support[0] < 2:
        raise DataError("preset.support of reptile begins at 2: fewer measurements give no gradient.")
    heads, width = getattr(preset, "heads", 1), getattr(preset, "width", 1)
    halved = preset.type == "sparse"  # on panels both are
    if heads < 1 or width % heads or (halved and width // 2 % max(1, heads // 2)):
        raise DataError(f"preset.heads is {heads} and preset.width {width}: heads must divide the width.")
