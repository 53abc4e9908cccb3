"""A track: its public description in `test_data/tracks/<id>.yaml`, and its hidden CSVs, checked against each other."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from evaluator.contract.few_shot import FewShot
from evaluator.contract.models import Frozen, require_id
from evaluator.contract.strict_yaml import load_ours
from evaluator.contract.submissions import FLOOR, Submission
from evaluator.contract.task_types import KINDS, TaskType
from evaluator.errors import EvaluatorError

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class Source(Frozen):
    """Where the data come from."""

    citation: str
    doi: str | None = None
    url: str | None = None


class Classes(Frozen):
    """How many rows of each class."""

    negative: int = Field(ge=0)
    positive: int = Field(ge=0)


class Hashes(Frozen):
    """sha256 of the two CSVs; null while the data are not at hand."""

    sequences: Sha256 | None = None
    labels: Sha256 | None = None


class Ceiling(Frozen):
    """What two replicates of the assay agree on: no model can be known to do better.

    Attributes:
        value: of the track's primary metric.
        low, high: its interval.
    """

    value: float
    low: float
    high: float
    source: Annotated[str, Field(min_length=1)]

    @model_validator(mode="after")
    def _in_order(self) -> Ceiling:
        if not self.low <= self.value <= self.high:
            raise ValueError("a ceiling's value lies between its low and high")
        return self


FORMER_RULES = {"cdr-h3-one-substitution v1": "cdr-h3-one-substitution v2"}
"""Rules of families that were, and what takes their place: v1 cut a CDR-H3 short that holds a W-x-x-G."""


def _in_use(families: str) -> str:
    if new := FORMER_RULES.get(families):
        raise ValueError(f"'{families}' is a rule of before: write '{new}', and what is kept is scored again")
    return families


class Track(Frozen):
    """What everyone may know of a track."""

    id: Annotated[str, AfterValidator(require_id)]
    title: str
    summary: str
    purpose: Literal["benchmark", "practice", "panel"] = "benchmark"
    """A panel has no labels: entries are compared on it, and nobody is scored."""
    retired: str | None = Field(default=None, min_length=1)
    """Why it is closed: nothing is run on it any more, and its board stays as it is."""
    formerly: tuple[str, ...] = ()
    """Ids that it had before: entries that name one of them take part in it."""
    assay: str
    species: str
    chains: Literal["VH", "VH+VL", "VHH", "mixed"]
    """Mixed: light_sequence is there, and empty for nanobodies."""
    task: TaskType
    n: int = Field(gt=0)
    classes: Classes | None = None
    label_rule: str
    source: Source
    licence: str
    disclosure: Literal["open", "hidden"]
    primary_metric: str
    secondary_metric: str
    ranked: Literal["tiers", "intervals"]
    timeout_minutes: float = Field(default=60, gt=0)
    audit_rows: int = Field(default=40, ge=0)
    """How many rows an entry is run on again to see whether it is consistent; 0 for no audit."""
    known_problems: tuple[str, ...] = ()
    families: Annotated[str, AfterValidator(_in_use)] | None = None
    """How rows come in sequence families: a rule of contract/families.py, by its version, or in words where the labels
    have a column `family`; without it rows count as independent."""
    shards: int = Field(default=1, ge=1, le=64)
    """In how many parts a run may be split over several workers, where an entry is known to be consistent."""
    same_labels: tuple[str, ...] = ()
    """Training sets that contain this track's labels; an entry trained on one gets no rank here."""
    same_antibodies: tuple[str, ...] = ()
    """Other tracks that share antibodies with this one: what an entry does on both are not two findings."""
    related_assays: dict[str, float] = Field(default={})
    """Further assays of a few-shot track's source, which models may be meta-trained on, each with the identity of its
    protein with the nearest one of a task: from `RELATED` on its labels count as seen."""
    ceiling: Ceiling | None = None
    few_shot: FewShot | None = None
    sha256: Hashes = Hashes()
    labels_hmac_sha256: Sha256 | None = None
    """In place of the labels' sha256 where they are hidden: a plain hash would confirm a guessed labelling."""

    @model_validator(mode="after")
    def _supports_agree(self) -> Track:
        if KINDS[self.task].supports != (self.few_shot is not None):
            raise ValueError("a few-shot track says few_shot, and no other does")
        if self.few_shot and self.shards > 1:
            raise ValueError("a few-shot track is in many runs already: leave shards out")
        if self.few_shot and self.purpose == "benchmark" and self.few_shot.replicates < 2:
            raise ValueError("a benchmark's few-shot track has 2 replicates at least: one tells nothing of the draws")
        if self.chains == "mixed" and not self.few_shot:
            raise ValueError("only few-shot tracks have mixed chains")
        return self

    @model_validator(mode="after")
    def _counts_agree(self) -> Track:
        kind = KINDS[self.task]
        if (kind.has_classes and self.purpose != "panel") != (self.classes is not None):
            raise ValueError("a classification track states its classes, a regression track has none")
        if self.classes and self.classes.negative + self.classes.positive != self.n:
            raise ValueError("the classes do not add up to n")
        if self.disclosure == "hidden" and self.sha256.labels:
            raise ValueError("a hidden track states labels_hmac_sha256, never the plain sha256 of its labels")
        if self.primary_metric not in kind.primary:
            raise ValueError(f"a {self.task} track is ranked by {' or '.join(kind.primary)}")
        for name in (self.primary_metric, self.secondary_metric):
            if name not in self.metrics:
                raise ValueError(f"{name} is no metric of this {self.task} track")
        return self

    @property
    def shape(self) -> str:
        """What its input looks like and what is asked: a program may do well on one shape and fail on another."""
        return f"{'mixed' if self.few_shot and self.chains != 'VH' else self.chains}, {self.task}"

    @property
    def metrics(self) -> tuple[str, ...]:
        """What is measured on it."""
        return self.few_shot.metrics if self.few_shot else KINDS[self.task].metrics

    @property
    def floor(self) -> str:
        """The entry that all others are held against."""
        return self.few_shot.reference if self.few_shot else FLOOR

    @property
    def runs(self) -> int:
        """Runs that an entry takes on it."""
        return self.few_shot.runs if self.few_shot else 1

    @property
    def labels_hash(self) -> str | None:
        """What the labels must hash to: their sha256, or their keyed hash where they are hidden."""
        return self.labels_hmac_sha256 if self.disclosure == "hidden" else self.sha256.labels


def load_all(folder: Path) -> dict[str, Track]:
    """Every track of the benchmark, by id, benchmark tracks first.

    Raises:
        EvaluatorError: a track file is missing or wrong.
    """
    tracks = [_load(path) for path in sorted(folder.glob("*.yaml"))]
    if not tracks:
        raise EvaluatorError(f"{folder} holds no track.", "Name the benchmark's clone with --root.")
    found = {t.id: t for t in sorted(tracks, key=lambda t: (t.purpose, t.id))}
    names = [*found, *(name for t in tracks for name in t.formerly)]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise EvaluatorError(
            f"In {folder} more than one track is or was called {', '.join(twice)}.",
            "A track's id is never used again; correct `id` or `formerly`.",
        )
    return found


def former_ids(tracks: Iterable[Track]) -> dict[str, str]:
    """What tracks were called before, and what each is called now."""
    return {name: track.id for track in tracks for name in track.formerly}


def _load(path: Path) -> Track:
    track = load_ours(path, Track)
    if track.id != path.stem:
        raise EvaluatorError(f"{path} says id: {track.id}.", "A track's id is its file's stem.")
    return track


def entered_tracks(submission: Submission, tracks: Iterable[Track]) -> list[Track]:
    """The open tracks that a submission takes part in: those it names, else all; practice tracks are for every entry.

    A classification entry serves regression tracks too: its score is compared by rank.
    """
    if submission.withdrawn:
        return []
    for_all = [kind for kind, about in KINDS.items() if submission.few_shot is not None or not about.supports]
    return [
        t for t in tracks if not t.retired and (names(submission, t) or (t.purpose == "practice" and t.task in for_all))
    ]


def names(submission: Submission, track: Track) -> bool:
    """Whether a submission names a track, by its id or a former one; one that names none names all.

    On few-shot tracks an entry that names none takes part only if it says `few_shot`: others know of no support.
    """
    if submission.tracks is None:
        return submission.few_shot is not None or not KINDS[track.task].supports
    return not {track.id, *track.formerly}.isdisjoint(submission.tracks)


def takes_panel(panel: Track, entered: Iterable[Track]) -> bool:
    """Whether an entry that enters these tracks can be asked about a panel: it answers single chains of that task."""
    return any(track.task == panel.task and track.chains in {"VH", "VHH"} for track in entered)


def looks_around(submission: Submission, track: Track) -> bool:
    """Whether an entry may, and says that it does, look at the other queries of a few-shot task."""
    modes = {about.mode for about in (submission.few_shot, track.few_shot) if about is not None}
    return modes == {"transductive"} and submission.few_shot is not None
