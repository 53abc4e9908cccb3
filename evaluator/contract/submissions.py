"""One submission: hostile YAML in, a frozen `Submission` out, or every problem with its line and remedy."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any, get_args

from pydantic import AfterValidator, Field, ValidationError

from evaluator.contract.few_shot import Mode
from evaluator.contract.fields import AsTuple, Line, Short, Spdx, Strict, Text, Url, unique
from evaluator.contract.models import ID, is_id, require_id
from evaluator.contract.reproducibility import Card, is_card
from evaluator.contract.strict_yaml import MAX_BYTES, Keys, cut_by_comments, read_yaml
from evaluator.contract.training_sets import TrainingSet
from evaluator.errors import Problem, SubmissionError
from evaluator.text import printable
from evaluator.validation import Fault, faults


def _image(value: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9][\x21-\x7e]*", value):
        raise ValueError("must be an image reference such as docker.io/user/model:1.0, in plain ASCII without spaces")
    return value


def _training(values: tuple[str, ...]) -> tuple[str, ...]:
    for alone in ("none", "undisclosed"):
        if alone in values and len(values) > 1:
            raise ValueError(f"says '{alone}' beside other sets; keep one or the other")
    return unique(values)


TrackId = Annotated[str, Field(json_schema_extra={"pattern": f"^{ID}$"}), AfterValidator(require_id)]
Tracks = Annotated[tuple[TrackId, ...], AsTuple, AfterValidator(unique), Field(min_length=1, max_length=50)]


class Model(Strict):
    """What the predictor is made of."""

    backbone: Short | None = Field(default=None, description="Pretrained model underneath, e.g. esm2_650m")
    head: Short | None = Field(default=None, description="Classifier on top, e.g. xgboost")
    parameters: Annotated[int, Field(ge=0, le=10**13)] | None = Field(default=None, description="Number of parameters")


class Resources(Strict):
    """What one run asks for; the benchmark caps each."""

    gpu: bool = False
    memory_gb: float = Field(default=8, ge=0.25, le=1024, description="Model, /tmp, /dev/shm and /output together")
    timeout_minutes: float = Field(default=60, gt=0, le=10080)


FLOOR = "net-charge"
"""The entry that all others are held against: one number, no training."""
CROSS_VALIDATED = "cross-validated on this track"


Sets = Annotated[tuple[Short, ...], AsTuple, AfterValidator(_training), Field(max_length=300)]


class FewShotEntry(Strict):
    """How an entry predicts from a support, on few-shot tracks."""

    mode: Mode = Field(default="inductive", description="transductive: looks at the other queries of a chunk")
    meta_training: Sets = Field(
        default=("undisclosed",), description="Every assay or data set that it was meta-trained on; [] for none"
    )


class TrainingSequences(Strict):
    """A public file of every labelled sequence that the model has seen, or of their salted hashes."""

    url: Url = Field(description="CSV with a column sequence; or salt,hash as apb overlap --salted writes them")
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$", description="Of the file")]


class Archived(Strict):
    """Where predictions come from that were published, and are scored here without anything being run."""

    source: Annotated[Text, Field(max_length=300)] = Field(description="Where they were published")
    protocol: Line = Field(description=f"How they were made; '{CROSS_VALIDATED}' says that its labels were trained on")
    note: Annotated[Text, Field(max_length=500)] | None = None


class Submission(Strict):
    """One entry of the benchmark, as its author wrote it; `id` is the file's stem.

    Attributes:
        docker_image: empty where the predictions are archived ones.
        archived: in its place, where published predictions are scored; maintainers alone may write it.
    """

    id: Annotated[str, Field(exclude=True)]
    name: Short = Field(description="Shown on the leaderboard")
    docker_image: Annotated[str, Field(max_length=300), AfterValidator(_image)] = Field(
        default="",
        description="registry/repository:tag, or better registry/repository@sha256:digest",
        json_schema_extra={"pattern": r"^[A-Za-z0-9][\x21-\x7e]*$"},
    )
    author: Line = Field(description="An e-mail address or a name")
    paper: Url | None = None
    description: Annotated[Text, Field(max_length=500)] | None = None
    code: Url | None = None
    license: Spdx | None = Field(default=None, description="SPDX")
    affiliation: Line | None = None
    team: Line | None = None
    tracks: Tracks | None = Field(default=None, description="Default: every track")
    training_data: Annotated[tuple[TrainingSet, ...], AsTuple, AfterValidator(_training), Field(min_length=1)] = Field(
        default=("undisclosed",), description="Every labelled set that the model has seen"
    )
    training_sequences: TrainingSequences | None = Field(default=None, description="All of them, in a public file")
    model: Model = Model()
    resources: Resources = Resources()
    few_shot: FewShotEntry | None = Field(default=None, description="Takes part in few-shot tracks, and how")
    withdrawn: Line | None = Field(default=None, description="Why the entry was taken back; its page stays")
    reproducibility: Card | None = Field(default=None, description="The reproducibility card, or free fields as of old")
    archived: Archived | None = Field(default=None, description="Published predictions in place of an image")

    @property
    def card(self) -> Card | None:
        """Its reproducibility card; None where there is none, or only free fields, which declare nothing."""
        return None if self.reproducibility is None or self.reproducibility.free is not None else self.reproducibility

    @property
    def cross_validated(self) -> bool:
        """Whether its archived predictions on a track come from models that were trained on that track's labels."""
        return self.archived is not None and self.archived.protocol.casefold().startswith(CROSS_VALIDATED)


NESTED = [
    name
    for name, field in Submission.model_fields.items()
    if any(
        isinstance(part, type) and issubclass(part, Strict) for part in (field.annotation, *get_args(field.annotation))
    )
]
"""Fields that have fields."""


def parse(data: bytes, submission_id: str) -> Submission:
    """Check one YAML document.

    Raises:
        SubmissionError: every problem found, with line and remedy; codes `ID`, `YAML_...`, `FIELD_...`.
    """
    if not is_id(submission_id):
        raise SubmissionError(
            "ID",
            f"The file name gives the id '{printable(submission_id, 80)}'.",
            "Use 3 to 64 of a-z, 0-9 and -, beginning with a letter or digit, then .yaml.",
        )
    document, lines = read_yaml(data)
    if not isinstance(document, dict):
        raise SubmissionError("YAML_NOT_A_MAPPING", "The file is not a list of 'key: value' lines.", "See the guide.")
    problems = []
    if "id" in document:
        remedy = "The file name is the id."
        problems.append(Problem("FIELD_UNKNOWN", "'id' is not a field.", remedy, f"line {lines['id',]}"))
    problems += _origin(document, lines)
    try:
        submission = Submission.model_validate({**_filled(document), "id": submission_id})
    except ValidationError as error:
        problems += [_problem(fault, document, lines) for fault in faults(error, Submission)]
    if problems:
        raise SubmissionError.of(problems)
    return submission


def _origin(document: dict[str, Any], lines: dict[Keys, int]) -> list[Problem]:
    """Predictions come from an image or from an archive: from one of them, and not from both."""
    image, archived = (document.get(name) is not None for name in ("docker_image", "archived"))
    if image and archived:
        what = "'archived' stands beside 'docker_image'."
        remedy = (
            "Keep 'docker_image'. 'archived' is for published predictions that nobody can run; maintainers add such."
        )
        return [Problem("FIELD_VALUE", what, remedy, f"line {lines['archived',]}")]
    if not image and not archived:
        return [Problem("FIELD_MISSING", "'docker_image' is required.", "Add it.", f"line {lines[()]}")]
    return []


def load(path: Path) -> Submission:
    """Read and check `submissions/<id>.yaml`.

    Raises:
        SubmissionError: see `parse`; also when the file is missing, a link or not `.yaml`.
    """
    if path.suffix != ".yaml" or path.is_symlink() or not path.is_file():
        raise SubmissionError(
            "YAML_MISSING", f"There is no plain file {printable(str(path), 200)}.", "Name one <id>.yaml."
        )
    with path.open("rb") as stream:
        return parse(stream.read(MAX_BYTES + 1), path.stem)


def place(path: Path, field: str) -> str:
    """`line 3` for a field of a valid submission file; empty where the file does not have it."""
    line = read_yaml(path.read_bytes())[1].get((field,))
    return f"line {line}" if line else ""


def notes(data: bytes) -> list[Problem]:
    """What is unusual in a valid file, and may not be what its author meant."""
    document, lines = read_yaml(data)
    found = []
    for path, (value, comment) in cut_by_comments(data).items():
        what = f"'{_dotted(path)}' is '{printable(value, 60)}'; '{printable(comment, 60)}' is taken for a comment."
        remedy = "Put the whole value in quotes if that belongs to it."
        found.append(Problem("COMMENT", what, remedy, f"line {lines[path]}"))
    for path in sorted(_empty(document), key=lines.__getitem__):
        what = f"'{_dotted(path)}' is empty, which is as if it were left out."
        found.append(Problem("EMPTY_FIELD", what, "Write a value, or remove the line.", f"line {lines[path]}"))
    return found


def _empty(document: dict[str, Any]) -> list[Keys]:
    """Optional fields, those of nested models too, that have a name and no value."""
    found: list[Keys] = [
        (name,) for name, field in Submission.model_fields.items() if not field.is_required() and _blank(document, name)
    ]
    for name in NESTED:
        inner = document.get(name)
        if isinstance(inner, dict) and (name != "reproducibility" or is_card(inner)):
            found += [(name, key) for key in inner if _blank(inner, key)]
    return found


def _blank(document: dict[str, Any], name: str) -> bool:
    return name in document and document[name] is None


def _filled(document: dict[str, Any]) -> dict[str, Any]:
    """The document without its empty fields: whatever the field, `paper:` alone is as if it were left out."""
    empty = set(_empty(document))
    return {
        name: {k: v for k, v in value.items() if (name, k) not in empty} if isinstance(value, dict) else value
        for name, value in document.items()
        if (name,) not in empty
    }


def _problem(fault: Fault, document: Any, lines: dict[Keys, int]) -> Problem:
    path = fault.path
    while path and path not in lines:
        path = path[:-1]  # pydantic adds steps for unions and tuples that the file does not have
    code = {"missing": "FIELD_MISSING", "extra_forbidden": "FIELD_UNKNOWN"}.get(fault.kind)
    code = code or ("FIELD_TYPE" if fault.kind.endswith("_type") else "FIELD_VALUE")
    remedy = fault.remedy
    if fault.kind in ("int_type", "float_type") and (decimal := _decimal(document, path)):
        remedy = f"Write {decimal}, without quotes."
    return Problem(code, fault.what, remedy, f"line {lines[path]}" if path in lines else "")


def _decimal(document: Any, path: Keys) -> str:
    """The plain number that a text such as `1e5`, `650,000,000` or `"16"` stands for; empty where it is none."""
    for step in path:
        document = document[step]
    if isinstance(document, float) and document.is_integer() and abs(document) < 1e15:
        return f"{document:.0f}"
    text = document.replace(",", "") if re.fullmatch(r"\d{1,3}(,\d{3})+", str(document)) else str(document)
    if not isinstance(document, str) or not re.fullmatch(r"\d{1,15}([.,]\d{1,9})?([eE]\+?\d{1,2})?", text):
        return ""
    value = float(text.replace(",", "."))
    return f"{value:.0f}" if value.is_integer() else f"{value:f}".rstrip("0")


def _dotted(path: Keys) -> str:
    return printable(".".join(map(str, path)), 100)
