"""Kinds of value in a stranger's file: plain text, addresses, licences, lists; each refused with a remedy."""

from __future__ import annotations

import re
from typing import Annotated, Any
from urllib.parse import urlsplit

from packaging.licenses import InvalidLicenseExpression, canonicalize_license_expression
from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, JsonValue

from evaluator.contract.models import Frozen
from evaluator.text import is_inert

_HOST = re.compile(r"([a-z0-9]([a-z0-9-]*[a-z0-9])?\.)+[a-z][a-z0-9-]*[a-z0-9]")


class Strict(Frozen):
    """A mapping of a stranger's file: nothing is turned from one type into another."""

    model_config = ConfigDict(strict=True, allow_inf_nan=True)  # bounds tell of such numbers in plainer words


def _text(value: str) -> str:
    value = " ".join(value.split())
    if not value:
        raise ValueError("is empty; write some text")
    if not is_inert(value):
        raise ValueError("holds invisible, control or text-direction characters; remove them")
    return value


def _https(value: str) -> str:
    if not value.isascii() or not is_inert(value) or any(c in value for c in " \"'<>\\`{}|^"):
        raise ValueError("is not a plain web address; percent-encode anything unusual")
    try:
        parts = urlsplit(value)
        port = parts.port
    except ValueError:
        raise ValueError("is not a web address; write https://host/path") from None
    if parts.scheme != "https" or not _HOST.fullmatch(parts.hostname or "") or "@" in parts.netloc or port == 0:
        raise ValueError("must be an https:// address with a host and without a user name")
    return value


def _spdx(value: str) -> str:
    try:
        return str(canonicalize_license_expression(value))
    except InvalidLicenseExpression:
        raise ValueError("is not an SPDX identifier; for example MIT, Apache-2.0 or CC-BY-4.0") from None


def unique(values: tuple[Any, ...]) -> tuple[Any, ...]:
    """For lists that name each item once.

    Raises:
        ValueError: one is named twice.
    """
    if len(set(values)) != len(values):
        raise ValueError("names an item twice; list each once")
    return values


def plain_json(value: JsonValue) -> JsonValue:
    """Free fields: text as in all others, finite numbers.

    Raises:
        ValueError: a text or a number in it is none.
    """
    if isinstance(value, str):
        return _text(value) if value else value
    if isinstance(value, dict):
        plain = {_text(k): plain_json(v) for k, v in value.items()}
        if len(plain) < len(value):
            raise ValueError("has two keys that differ in white space only")
        return plain
    if isinstance(value, list):
        return [plain_json(v) for v in value]
    if isinstance(value, float) and value - value != 0:
        raise ValueError("holds a number that is not finite")
    return value


def _tuple(value: object) -> object:
    return tuple(value) if isinstance(value, list) else value


Text = Annotated[str, AfterValidator(_text)]
Short = Annotated[Text, Field(max_length=60)]
Line = Annotated[Text, Field(max_length=200)]
Url = Annotated[
    str, Field(max_length=300, json_schema_extra={"pattern": "^https://[^ \"'<>\\\\`{}|^]+$"}), AfterValidator(_https)
]
Spdx = Annotated[str, Field(max_length=100), AfterValidator(_spdx)]
AsTuple = BeforeValidator(_tuple)
"""YAML and JSON have lists, our models tuples."""
