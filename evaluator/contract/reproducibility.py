"""The reproducibility card: what an author states of how an entry was made, variable by variable.

The nine variables that reviewers of papers go by, and weights, determinism and test exposure. Evidence stands where it
cannot change: at a commit, a DOI, or under a sha256. What becomes of each statement: `observed.Held`.
"""

from __future__ import annotations

import hashlib
import json
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    JsonValue,
    ModelWrapValidatorHandler,
    PrivateAttr,
    SerializerFunctionWrapHandler,
    WithJsonSchema,
    model_serializer,
    model_validator,
)

from evaluator.contract.fields import AsTuple, Line, Short, Spdx, Strict, Url, plain_json, unique
from evaluator.contract.pinned import Commit, Doi, ImagePath, Quote, Repository, RepositoryPath, Sha256

CLAIMED = ("yes", "partial")


def _yes_no(value: object) -> object:
    """YAML reads a bare `yes` as true."""
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else value


def _one_of(*words: str) -> WithJsonSchema:
    return WithJsonSchema({"enum": [*words, True, False]}, mode="validation")


Status = Annotated[
    Literal["yes", "partial", "no", "not_applicable"],
    BeforeValidator(_yes_no),
    _one_of("yes", "partial", "no", "not_applicable"),
]


class Part(Strict):
    """A mapping of the card, which is written out as it was read: without what was left out."""

    @model_serializer(mode="wrap")
    def _as_written(self, fields: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return {name: value for name, value in fields(self).items() if value not in (None, [], ())}


class Evidence(Part):
    """Where a statement can be read, at a place that cannot change."""

    file: ImagePath | None = Field(default=None, description="In the image, with its sha256")
    repository: Repository | None = Field(default=None, description="With commit and path")
    commit: Commit | None = None
    path: RepositoryPath | None = None
    doi: Doi | None = None
    url: Url | None = Field(default=None, description="With the sha256 of what stands there")
    sha256: Sha256 | None = None
    quote: Quote | None = Field(default=None, description="Words that stand there, three of them at least")

    @model_validator(mode="after")
    def _is_pinned(self) -> Self:
        places = [name for name in ("file", "repository", "doi", "url") if getattr(self, name) is not None]
        if len(places) != 1:
            raise ValueError("names one place: a file in the image, a repository, a doi or a url")
        if places[0] in ("file", "url") and not self.sha256:
            raise ValueError(f"names a {places[0]} whose content may change; add the sha256 of what stands there")
        if places[0] not in ("file", "url") and self.sha256:
            raise ValueError("has sha256 beside file or url only")
        if self.repository and not (self.commit and self.path):
            raise ValueError("has commit and path beside repository: a branch moves")
        if not self.repository and (self.commit or self.path):
            raise ValueError("has commit and path beside repository only")
        return self

    @property
    def place(self) -> str:
        """For people: where it is."""
        if self.repository:
            return f"{self.path} at {self.repository}, commit {str(self.commit)[:12]}"
        return self.file or self.url or f"doi:{self.doi}"


class Stated(Part):
    """One variable."""

    status: Status
    reason: Line | None = Field(default=None, description="Needed unless the status is yes")
    evidence: Evidence | None = None

    @model_validator(mode="after")
    def _has_a_reason(self) -> Self:
        if self.status != "yes" and not self.reason:
            raise ValueError(f"says {self.status}; add a reason")
        return self

    @property
    def claimed(self) -> bool:
        """Whether it says that there is something."""
        return self.status in CLAIMED


class Code(Stated):
    """The code that trained the model and makes its predictions."""

    repository: Repository | None = None
    commit: Commit | None = None
    license: Spdx | None = Field(default=None, description="SPDX; default: the entry's own")

    @model_validator(mode="after")
    def _is_pinned(self) -> Self:
        if self.status == "yes" and not (self.repository and self.commit):
            raise ValueError("says yes; add repository and commit")
        return self


class DataSet(Part):
    """One set of sequences or labels."""

    name: Short
    role: Literal["pretrain", "train", "tune"]
    license: Spdx | None = None
    evidence: Evidence


class Data(Stated):
    """All that the model has learnt from."""

    sets: Annotated[tuple[DataSet, ...], AsTuple, Field(max_length=30)] = ()

    @model_validator(mode="after")
    def _names_sets(self) -> Self:
        if self.status == "yes" and not self.sets:
            raise ValueError("says yes; add sets, each with a name, a role and evidence")
        return self

    @property
    def learnt_from(self) -> tuple[DataSet, ...]:
        """The sets that were trained or tuned on."""
        return tuple(one for one in self.sets if one.role != "pretrain")


class Splits(Stated):
    """How data were split for training and tuning."""

    method: Literal["random", "family", "time", "none"] | None = None
    seed: int | None = None


class Hardware(Stated):
    """What the model was trained on; what it runs on is measured."""

    training: Line | None = Field(default=None, description="Processors, accelerators and hours")


class Software(Stated):
    """Which packages it needs, in which versions."""

    lock_file: ImagePath | None = Field(default=None, description="In the image: name==version, one a line")
    sha256: Sha256 | None = None

    @model_validator(mode="after")
    def _is_locked(self) -> Self:
        if (self.lock_file is None) != (self.sha256 is None):
            raise ValueError("has lock_file and sha256 together")
        if self.status == "yes" and not self.lock_file:
            raise ValueError("says yes; add lock_file, a path in the image, and its sha256")
        return self


class Experiment(Stated):
    """How the model was arrived at."""

    seeds: Annotated[tuple[int, ...], AsTuple, AfterValidator(unique), Field(max_length=50)] = ()
    trials: Annotated[int, Field(ge=1, le=10**9)] | None = Field(default=None, description="Models that were tried")
    selection: Line | None = Field(default=None, description="What one of them was taken by")


class Exposure(Part):
    """Whether the model has seen labels of a track that it enters; which sets, `training_data` says."""

    labels_seen: Annotated[Literal["yes", "no", "unknown"], BeforeValidator(_yes_no), _one_of("yes", "no", "unknown")]


class Predictions(Stated):
    """Of an archived entry: the files that were published."""

    sha256: Annotated[tuple[Sha256, ...], AsTuple, AfterValidator(unique), Field(max_length=50)] = ()


def is_card(value: object) -> bool:
    """Whether these are a card's fields, and not free ones, which have no `card` among them."""
    return isinstance(value, dict) and "card" in value


class Card(Part):
    """What an author states, variable by variable; what is left out is absent. Free fields of old are no card."""

    card: Literal[1] = 1
    research_type: Literal["experimental", "theoretical"] | None = None
    affiliation: Literal["academia", "industry", "mixed", "other"] | None = None
    pseudocode: Stated | None = None
    open_code: Code | None = None
    open_data: Data | None = None
    splits: Splits | None = None
    hardware: Hardware | None = None
    software: Software | None = None
    experiment: Experiment | None = None
    weights: Stated | None = Field(default=None, description="yes: they are in the image, which anybody can pull")
    determinism: Literal["exact", "tolerance", "stochastic"] | None = Field(
        default=None, description="exact: to the last bit, whatever stands beside a sequence; tolerance: within 1e-4"
    )
    test_exposure: Exposure | None = None
    predictions: Predictions | None = Field(default=None, description="Of archived entries")
    _free: dict[str, Any] | None = PrivateAttr(default=None)

    @property
    def free(self) -> dict[str, Any] | None:
        """Free fields in place of a card, as they were written before there was one: they declare nothing."""
        return self._free

    @model_validator(mode="wrap")
    @classmethod
    def _or_free_fields(cls, value: JsonValue, card: ModelWrapValidatorHandler[Card]) -> Card:
        if is_card(value) or not isinstance(value, dict):
            return card(value)
        made = cls.model_construct()
        made._free = {str(k): v for k, v in (plain_json(value) or {}).items()}  # type: ignore[union-attr]
        return made

    @model_serializer(mode="wrap")
    def _or_free_as_written(self, fields: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return self._as_written(fields) if self.free is None else self.free

    @property
    def sha256(self) -> str:
        """Of its content: what was checked is this very card."""
        return hashlib.sha256(json.dumps(self.model_dump(mode="json"), sort_keys=True).encode()).hexdigest()

    @property
    def evidence(self) -> dict[str, tuple[Evidence, ...]]:
        """Every piece of evidence, by its variable."""
        found = {name: getattr(self, name) for name in type(self).model_fields}
        given = {
            name: (*([one.evidence] if one.evidence else []), *(s.evidence for s in getattr(one, "sets", ())))
            for name, one in found.items()
            if isinstance(one, Stated) and one.claimed
        }
        return {name: places for name, places in given.items() if places}
