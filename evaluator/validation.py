"""What pydantic finds wrong with a file of ours or of a stranger, in plain words: its own never reach a person."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from evaluator.text import printable

SHOWN = 5
Keys = tuple[str | int, ...]
_WORDS = {
    "missing": "is required",
    "extra_forbidden": "is not a field",
    "string_type": "must be text; put it in quotes",
    "bool_type": "must be true or false",
    "bool_parsing": "must be true or false",
    "int_type": "must be a whole number",
    "int_parsing": "must be a whole number",
    "int_parsing_size": "is too large a number",
    "int_from_float": "must be a whole number",
    "float_type": "must be a number",
    "float_parsing": "must be a number",
    "finite_number": "must be a finite number",
    "tuple_type": "must be a list such as [jain, shehata]",
    "list_type": "must be a list such as [jain, shehata]",
    "dict_type": "must be a mapping of 'key: value'",
    "model_type": "must be a mapping of 'key: value'",
    "path_type": "must be a path",
    "json_invalid": "is not JSON",
    "literal_error": "is none of the values that are known",
    "greater_than": "should be more than {gt}",
    "greater_than_equal": "should be at least {ge}",
    "less_than": "should be less than {lt}",
    "less_than_equal": "should be at most {le}",
    "string_too_short": "should have at least {min_length} characters",
    "string_too_long": "should have at most {max_length} characters",
    "string_pattern_mismatch": "is not of the form {pattern}",
    "too_short": "should have at least {min_length} of them",
    "too_long": "should have at most {max_length} of them",
}
"""By pydantic's own names of errors (https://docs.pydantic.dev/latest/errors/validation_errors/)."""


@dataclass(frozen=True)
class Fault:
    """One thing wrong with a value.

    Attributes:
        path: of the value; empty where it is about the whole.
        kind: pydantic's name for it.
        what: one sentence that names the value.
        remedy: how to mend it, where that can be said.
    """

    path: Keys
    kind: str
    what: str
    remedy: str = ""

    def __str__(self) -> str:
        return f"{self.what} {self.remedy}".rstrip()


def faults(error: ValidationError, model: type[BaseModel]) -> Iterator[Fault]:
    """All that is wrong, in words.

    Args:
        model: that the content was held against.
    """
    for found in error.errors(include_url=False):
        path: Keys = tuple(found["loc"])
        kind = str(found["type"])
        reason, remedy = _reason(kind, found.get("ctx", {}), found["input"]), ""
        if kind == "extra_forbidden":
            owner, holder = _holder(model, path[:-1])
            reason += f" of {printable(owner, 60)}" if owner else ""
            remedy = f"Known are: {', '.join(name for name in holder.model_fields if name != 'id')}."
        elif kind == "literal_error":
            remedy = f"Known are: {found['ctx']['expected'].replace(' or ', ', ').replace(chr(39), '')}."
        reason, name = printable(reason, 400), printable(".".join(str(p) for p in path if isinstance(p, str)), 100)
        if name:
            reason = f"'{name}' {reason}"
        else:  # a rule of ours about the whole says itself what it is about
            reason = reason[0].upper() + reason[1:] if kind == "value_error" else f"The content {reason}"
        yield Fault(path, kind, f"{reason}.", remedy)


def in_words(error: ValidationError, model: type[BaseModel]) -> str:
    """The first things wrong, and how many more there are, for a message of one paragraph."""
    found = [str(fault) for fault in faults(error, model)]
    more = [f"And {len(found) - SHOWN} more."] if len(found) > SHOWN else []
    return " ".join([*found[:SHOWN], *more])


def _reason(kind: str, context: dict[str, Any], value: object) -> str:
    if kind == "value_error":
        return str(context["error"])
    if kind == "too_long" and isinstance(value, str):
        kind = "string_too_long"
    if kind.startswith(("date_", "datetime_")):
        return "must be a date such as 2026-01-31"
    return _WORDS.get(kind, "is not what belongs there").format(**context)


def _holder(model: type[BaseModel], path: Keys) -> tuple[str, type[BaseModel]]:
    """The model that a value stands in, and the name of its field; the outermost has none."""
    name = ""
    for step in path:
        field = model.model_fields.get(step) if isinstance(step, str) else None
        if field and (inner := _model_in(field.annotation)):
            name, model = str(step), inner
    return name, model


def _model_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for part in get_args(annotation) if (found := _model_in(part))), None)
