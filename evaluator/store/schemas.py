"""The published shapes: what stands in a record, in a track's ranking, in history and chain."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field

from evaluator.contract.models import Frozen
from evaluator.contract.observed import Held
from evaluator.contract.work import Hardware, Sandbox

SCHEMA_VERSION = "1.6"


class Value(Frozen):
    """One metric; null with a reason where it cannot be computed; beside a value, what its interval leaves out."""

    value: float | None
    low: float | None = None
    high: float | None = None
    reason: str | None = None

    @classmethod
    def of(cls, estimate: object) -> Self:
        """From whatever has these attributes, such as a metric's estimate."""
        return cls.model_validate(estimate, from_attributes=True)


class TaskValue(Frozen):
    """One task of a few-shot track at one support size; the interval is for its assay alone."""

    task: str
    size: int = Field(description="Measured antibodies that were given")
    value: float
    low: float
    high: float


class Counts(Frozen):
    """The confusion matrix."""

    tn: int
    fp: int
    fn: int
    tp: int

    @classmethod
    def of(cls, confusion: object) -> Self:
        """From whatever has these attributes, such as a metric's confusion matrix."""
        return cls.model_validate(confusion, from_attributes=True)


class ImageRecord(Frozen):
    """Which exact image ran; of archived predictions what `reference` was published, and its sha256."""

    reference: str
    digest: str | None
    platform: str = "linux/amd64"
    size_mb: int | None = None


class Runtime(Frozen):
    """Rounded, so that they carry no message."""

    seconds: float | None = None
    peak_memory_mb: int | None = None
    runs: int = Field(default=1, description="That the seconds are of, together; more than one on few-shot tracks")


class Unrelated(Frozen):
    """The primary metric of the rows without a relative in what the entry was trained on, by its own account.

    A relative has an identity of at least .90 of the heavy chain. What a language model under it was trained on is
    in no case known.
    """

    sets: dict[str, int] = Field(description="Rows with a relative, by training set, or by the entry's id for its own")
    unknown: tuple[str, ...] = Field(description="What it was trained on and was never compared: unknown, not clean")
    rows: int = Field(description="That are left")
    value: Value


class Result(Frozen):
    """One submission on one track. Failed, not run and zero are three different things."""

    schema_version: str = SCHEMA_VERSION
    submission: str
    track: str
    status: Literal["ok", "failed"]
    failure: str | None = Field(default=None, description="Stable code of the submission's fault")
    evaluated_at: str = Field(description="UTC date, YYYY-MM-DD")
    image: ImageRecord
    sequences_sha256: str | None = Field(description="null where a track has labels alone")
    given: str | None = Field(
        default=None, description="On few-shot tracks the sha256 of all that runs are given, in place of the sequences'"
    )
    labels_hash: str = Field(description="sha256 of the labels; of a hidden track their HMAC-SHA256")
    contract: int
    scorer: str
    software: str
    commit: str | None
    limits: dict[str, float]
    hardware: Hardware
    sandbox: Sandbox
    runtime: Runtime = Runtime()
    run_key: str = Field(description="Hash of image, sequences, contract and limits: the same key is not run twice")
    n: int
    level: float = Field(default=0.95, description="Of the intervals")
    families: int | None = Field(default=None, description="Sequence families that the intervals allow for, if any")
    confusion: Counts | None = None
    metrics: dict[str, Value] = Field(default={})
    curves: dict[str, dict[str, list[float]]] | None = None
    tasks: tuple[TaskValue, ...] | None = Field(default=None, description="Of a few-shot track, by task and size")
    flags: tuple[str, ...] = ()
    unrelated: Unrelated | None = Field(default=None, description="null where there is no training set to compare")
    basis: str | None = Field(
        default=None, description="Hash of the rule of families and of the relatives that the scores allow for, if any"
    )


class Scope(BaseModel):
    """What of a record decides whether it is up to date; the rest is not looked at, so that thousands are quick."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    status: Literal["ok", "failed"]
    failure: str | None = None
    run_key: str
    sequences_sha256: str | None
    labels_hash: str
    scorer: str
    level: float = 0.95
    basis: str | None = None


class Timing(BaseModel):
    """What of a record tells how long runs take; the rest is not looked at."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    submission: str
    track: str
    n: int
    runtime: Runtime = Runtime()


class Standing(Frozen):
    """One entry among those of its track; no tier and no ranks where the track is too small to rank."""

    tier: int | None
    rank_low: int | None
    rank_high: int | None
    to_best: Value = Field(description="Difference of the metric to the best entry's, with its paired interval")
    to_floor: Value | None = Field(
        default=None, description="Difference to net charge, with its paired interval; none where that was not scored"
    )


class Standings(Frozen):
    """Who can be told from whom on one track. Entries that failed or were trained on its labels are not in it."""

    schema_version: str = SCHEMA_VERSION
    track: str
    metric: str
    level: float = Field(default=0.95, description="Of the intervals; tests are at 1 - level")
    families: int | None = Field(default=None, description="Sequence families that the tests allow for, if any")
    detectable: float | None = Field(description="Difference to the best that this track finds with 80 % power")
    entries: dict[str, Standing]
    archived: dict[str, Value] = Field(
        default={}, description="Difference to net charge of entries with archived predictions, which take no rank"
    )
    made_from: str | None = Field(
        default=None,
        description="Hash of the records and settings that it follows from; another one means: not of today",
    )


class Alike(Frozen):
    """What any two entries have in common on a track with open labels; row i holds the pairs (i, j) with j < i."""

    submissions: tuple[str, ...]
    spearman: tuple[tuple[float | None, ...], ...] = Field(description="Of their scores; null where one is constant")
    agreement: tuple[tuple[float, ...], ...] | None = Field(
        default=None, description="Share of rows on which both are right or both wrong; null on tracks without classes"
    )
    consistency: tuple[tuple[float | None, ...], ...] | None = Field(
        default=None, description="The same beyond chance, Cohen's kappa; null where both are always right"
    )


class Pairs(Frozen):
    """How far any two entries of a track differ: value[i] - value[j], with standard error deviation[i][j]."""

    schema_version: str = SCHEMA_VERSION
    track: str
    metric: str
    freedom: int = Field(description="Degrees of freedom of Student's t, for p-values and intervals")
    submissions: tuple[str, ...] = Field(description="Best first")
    value: tuple[float, ...]
    deviation: tuple[tuple[float, ...], ...] = Field(description="Row i holds the pairs (i, j) with j < i")
    alike: Alike | None = Field(default=None, description="Archived entries are in it too")


class Behaviour(Frozen):
    """What one submission said of the panel's sequences: public, made for this, without labels (`apb similar`)."""

    schema_version: str = SCHEMA_VERSION
    submission: str
    panel: str
    status: Literal["ok", "failed"]
    failure: str | None = Field(default=None, description="Stable code of the submission's fault")
    evaluated_at: str = Field(description="UTC date, YYYY-MM-DD")
    image: ImageRecord
    sequences_sha256: str
    software: str
    run_key: str
    scores: tuple[float, ...] | None = Field(default=None, description="In the order of the panel's sequences.csv")


class Change(Frozen):
    """One record that came to be or changed."""

    date: str
    kind: Literal["new", "rerun", "rescored"]
    submission: str
    track: str
    status: str
    failure: str | None = None
    digest: str | None = None
    scorer: tuple[str | None, str] = Field(description="Before and after")
    metrics: dict[str, tuple[float | None, float | None]] = Field(description="Values before and after, where changed")


class Link(Frozen):
    """One file written: whoever changes it or a line of history afterwards breaks the chain."""

    record: str = Field(
        description="<submission>/<track>.json, <submission>/panel/<panel>.json, <submission>/reproducibility.card, "
        "<track>.standings.json or "
        "<track>.pairs.json; erased/<submission> for a line of erased.jsonl"
    )
    sha256: str = Field(description="Of the file")
    previous: str | None = Field(description="sha256 of the line before, without its line break; null on the first")
    history: str | None = Field(
        default=None, description="sha256 of the line of history.jsonl that came with it, if any"
    )


class Erased(Frozen):
    """What stays of an entry that had to be erased: no name and no number of it; its id is never used again."""

    date: str
    submission: str
    reason: str
    history: tuple[str, ...] = Field(description="sha256 of the lines of history that were taken out")


class Lock(Frozen):
    """A tag, resolved once."""

    reference: str
    digest: str
    pull: str | None
    checked: bool = Field(default=False, description="Whether this very image has passed a check")


class CardRecord(Frozen):
    """What became of an entry's reproducibility card when it was last held against its image."""

    schema_version: str = SCHEMA_VERSION
    submission: str
    card: str = Field(description="sha256 of the card; another one means: it has changed since")
    digest: str | None = Field(description="Of the image; null where predictions are archived ones")
    checked_at: str = Field(description="UTC date, YYYY-MM-DD")
    checker: str
    software: str
    variables: dict[str, Held]
