"""Kinds of value by which a reproducibility card pins its evidence: commits, hashes, repositories, paths, words."""

from __future__ import annotations

import re
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field

from evaluator.contract.fields import Line, Url
from evaluator.text import clean_path

SHA256 = "[0-9a-f]{64}"
COMMIT = "[0-9a-f]{40}"
MIN_QUOTE, MIN_WORDS = 20, 3
IN_IMAGE = r"/[\x21-\x7e]+"
REPOSITORY = r"https://[A-Za-z0-9.-]+(/[A-Za-z0-9_~-][A-Za-z0-9._~-]*){1,6}/?"
_OWNED = "(/[^/]+){2}"
_PATHS = {
    "github.com": (_OWNED, "https://github.com/owner/name"),
    "codeberg.org": (_OWNED, "https://codeberg.org/owner/name"),
    "huggingface.co": (
        f"(/(datasets|spaces))?{_OWNED}",
        "https://huggingface.co/owner/name, or with datasets/ or spaces/ before the owner",
    ),
    "gitlab.com": ("(/(?!-/)[^/]+)+/(?!-$)[^/]+", "https://gitlab.com/group/name"),
}
"""Of hosts that are asked: what a repository's path is there. A longer one leads to a branch, which moves."""


def _sha256(value: str) -> str:
    if not re.fullmatch(SHA256, value):
        raise ValueError("must be a sha256: 64 of 0-9 and a-f, in quotes")
    return value


def _commit(value: str) -> str:
    if not re.fullmatch(COMMIT, value):
        raise ValueError("must be a whole commit, 40 of 0-9 and a-f in quotes; a branch or a tag may move")
    return value


def _in_image(value: str) -> str:
    if not re.fullmatch(IN_IMAGE, value) or clean_path(value) != value:
        raise ValueError("must be the whole path of a file in the image, such as /app/requirements.txt")
    return value


def _in_repository(value: str) -> str:
    parts = value.split("/")
    if not re.fullmatch(r"[\x21-\x7e]+", value) or any(part in ("", ".", "..") for part in parts):
        raise ValueError("must be a file's path in the repository, such as docs/method.md")
    return value


def _repository(value: str) -> str:
    if not re.fullmatch(REPOSITORY, value):
        raise ValueError("must be a repository's own address, such as https://github.com/owner/name")
    plain = value.rstrip("/").removesuffix(".git")
    parts = urlsplit(plain)
    path = _PATHS.get(parts.hostname or "")
    if path and not re.fullmatch(path[0], parts.path):
        raise ValueError(f"must be the repository alone, {path[1]}, without a branch, a folder or a page of it")
    return plain


def _doi(value: str) -> str:
    if not re.fullmatch(r"10\.\d{4,9}/[A-Za-z0-9._;()/:-]+", value):
        raise ValueError("must be a DOI such as 10.5281/zenodo.1234567, without https://doi.org/")
    return value


def _quote(value: str) -> str:
    """A letter or two stand in every file."""
    if len(value) < MIN_QUOTE or len({*re.findall(r"\w+", value.casefold())}) < MIN_WORDS:
        raise ValueError(
            f"is too short to show anything; quote at least {MIN_QUOTE} characters with {MIN_WORDS} different words"
        )
    return value


def _form(pattern: str, max_length: int | None = None) -> Any:
    """For the published schema, which a form reads; what does not fit is told in our words."""
    return Field(json_schema_extra={"pattern": f"^{pattern}$"}, max_length=max_length)


Sha256 = Annotated[str, _form(SHA256), AfterValidator(_sha256)]
Commit = Annotated[str, _form(COMMIT), AfterValidator(_commit)]
ImagePath = Annotated[str, _form(IN_IMAGE, max_length=200), AfterValidator(_in_image)]
RepositoryPath = Annotated[str, Field(max_length=200), AfterValidator(_in_repository)]
Repository = Annotated[Url, _form(REPOSITORY), AfterValidator(_repository)]
Doi = Annotated[str, Field(max_length=200), AfterValidator(_doi)]
Quote = Annotated[Line, Field(json_schema_extra={"minLength": MIN_QUOTE}), AfterValidator(_quote)]
