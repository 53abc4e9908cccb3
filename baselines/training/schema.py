"""What can be configured: the types that Hydra's groups are held against, and what must fit together."""

from __future__ import annotations

from dataclasses import dataclass, field

from omegaconf import MISSING

from baselines.errors import DataError


@dataclass
class Finetune:
    """How the last layers of a backbone are trained on the training set first.

    Attributes:
        method: `none`, `lora`, or `full` for the layers' own weights.
        layers: how many of the last ones.
        rank, alpha, dropout: of LoRA.
        warmup: share of the steps in which the learning rate rises, before it falls as a cosine.
    """

    method: str = "none"
    layers: int = 1
    rank: int = 8
    alpha: int = 16
    dropout: float = 0.05
    epochs: int = 2
    batch: int = 32
    learning_rate: float = 1e-3
    warmup: float = 0.1


@dataclass
class Model:
    """Features: a backbone's name or folder, or two joined by `+`.

    Attributes:
        pooling: how residues become one vector: `mean`, `cls`, `regions`, or `attention` with the head that learns it.
    """

    backbone: str = MISSING
    precision: str = "fp32"
    pooling: str = "mean"
    finetune: Finetune = field(default_factory=Finetune)


@dataclass
class Classifier:
    """A head.

    Attributes:
        type: by its name in `heads.HEADS`.
        name: of folders and tables; default the type.
    """

    type: str = MISSING
    name: str | None = None


@dataclass
class Logreg(Classifier):
    """Attributes:
    C: inverse of the regularisation's strength.
    tune: choose C by cluster on the training set instead.
    """

    type: str = "logreg"
    C: float = 0.1
    tune: bool = False


@dataclass
class Calibrated(Classifier):
    """Logistic regression, calibrated on held-out folds."""

    type: str = "calibrated"
    C: float = 0.1


@dataclass
class Bagged(Classifier):
    """The mean of logistic regressions, each on a sample with replacement."""

    type: str = "bagged"
    n_estimators: int = 25
    C: float = 0.1


@dataclass
class Svm(Classifier):
    """Attributes as those of `Logreg`."""

    type: str = "svm"
    C: float = 1.0
    tune: bool = False


@dataclass
class Mlp(Classifier):
    """Attributes:
    hidden: width of the hidden layer.
    alpha: strength of the L2 penalty.
    """

    type: str = "mlp"
    hidden: int = 128
    alpha: float = 1e-2


@dataclass
class RandomForest(Classifier):
    """Attributes named as scikit-learn names them."""

    type: str = "random_forest"
    n_estimators: int = 200
    min_samples_leaf: int = 2


@dataclass
class Xgboost(Classifier):
    """Attributes named as xgboost names them."""

    type: str = "xgboost"
    n_estimators: int = 150
    max_depth: int = 4
    learning_rate: float = 0.06


@dataclass
class Voting(Classifier):
    """Logistic regression, SVM and trees, averaged."""

    type: str = "voting"


@dataclass
class Stacking(Classifier):
    """The same, weighed by a logistic regression on held-out folds."""

    type: str = "stacking"


@dataclass
class CrossStacking(Classifier):
    """A logistic regression on each of two joined backbones, weighed by another on held-out folds."""

    type: str = "cross_stacking"
    C: float = 0.1


@dataclass
class AttentionHead(Classifier):
    """Pools residues by itself; attributes as `predicting.attention.DEFAULTS` names them."""

    type: str = "attention"
    hidden: int = 64
    heads: int = 4
    dropout: float = 0.2
    learning_rate: float = 3e-3
    weight_decay: float = 0.05
    epochs: int = 40
    patience: int = 5


@dataclass
class Data:
    """A training CSV, and what a trained model is tested on.

    Attributes:
        flags: a column of the origin, or of the training CSV, with ordered labels to learn from, such as how many of
            several antigens are bound; models are still judged by the label.
        origin: a CSV with sequence_id,family, for cross-validation that leaves each family out.
        test: CSVs or folders with sequences.csv and labels.csv.
    """

    train: str = MISSING
    origin: str | None = None
    flags: str | None = None
    test: list[str] = field(default_factory=list)


@dataclass
class Sweep:
    """How the heads of a sweep are trained.

    Attributes:
        launcher: `serial`, `processes` or `slurm`.
        jobs: at most so many at a time.
        partition, walltime, cpus, memory_gb, directives: of SLURM's jobs.
        shared_folder: seen by every node under this path, as the data and `out` must be: keys and logs go there.
    """

    launcher: str = "serial"
    jobs: int = 1
    partition: str | None = None
    walltime: str = "02:00:00"
    cpus: int = 2
    memory_gb: int = 8
    directives: list[str] = field(default_factory=list)
    shared_folder: str | None = None


@dataclass
class Config:
    """One training run."""

    model: Model = field(default_factory=Model)
    classifier: Classifier = field(default_factory=Classifier)
    data: Data = field(default_factory=Data)
    out: str = "models"
    seed: int = 20261121
    device: str = "auto"
    cache: str | None = None
    sweep: Sweep = field(default_factory=Sweep)


HEADS = (Logreg, Calibrated, Bagged, Svm, Mlp, RandomForest, Xgboost, Voting, Stacking, CrossStacking, AttentionHead)


def check(config: Config) -> None:
    """Refuse values that there are not, and those that do not go together.

    Raises:
        DataError: with what there is.
    """
    for key, value, known in (
        ("classifier.type", config.classifier.type, [kind.type for kind in HEADS]),
        ("model.precision", config.model.precision, ["fp32", "bf16", "fp16"]),
        ("model.finetune.method", config.model.finetune.method, ["none", "lora", "full"]),
        ("model.pooling", config.model.pooling, ["mean", "cls", "regions", "attention"]),
        ("sweep.launcher", config.sweep.launcher, ["serial", "processes", "slurm"]),
        ("device", config.device, ["auto", "cpu", "cuda"]),
    ):
        if value not in known:
            raise DataError(f"{key} is '{value}'. Known are: {', '.join(known)}.")
    tuned = config.model.finetune
    for key in ("layers", "rank", "alpha", "epochs", "batch"):
        if getattr(tuned, key) < 1:
            raise DataError(f"model.finetune.{key} is {getattr(tuned, key)}; at least 1 is needed.")
    if not (tuned.learning_rate > 0 and 0 <= tuned.dropout < 1 and 0 <= tuned.warmup <= 1):
        raise DataError("model.finetune needs a learning_rate above 0, dropout from 0 to below 1, warmup from 0 to 1.")
    if config.sweep.jobs < 1:
        raise DataError(f"sweep.jobs is {config.sweep.jobs}; at least one is needed.")
    _check_pooling(config)


def _check_pooling(config: Config) -> None:
    if config.model.finetune.method != "none":
        if "attention" in (config.classifier.type, config.model.pooling) or config.model.pooling != "mean":
            raise DataError("A fine-tuned backbone is pooled by the mean that it was tuned with.")
        if getattr(config.classifier, "tune", False):
            raise DataError("classifier.tune looks at features of all rows, which a fine-tuned backbone has learned.")
    if config.classifier.type == "attention":
        pooling = config.model.pooling
        if pooling not in {"mean", "attention"}:
            raise DataError(f"model.pooling is '{pooling}', but classifier=attention pools by itself: leave it out.")
        config.model.pooling = "attention"
    elif config.model.pooling == "attention":
        raise DataError("model.pooling=attention is learned by classifier=attention; others take mean, cls or regions.")
