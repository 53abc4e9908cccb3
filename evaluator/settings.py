"""Where the benchmark's files are, and what its maintainers have set in `[tool.apb]` of pyproject.toml."""

from __future__ import annotations

import re
import tomllib
from functools import cached_property
from importlib import metadata
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from evaluator.errors import EvaluatorError
from evaluator.validation import in_words

PACKAGE = Path(__file__).resolve().parent


class Settings(BaseModel):
    """What a maintainer may set; every field has the default that a fresh clone ships with."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    registries: tuple[str, ...] = ("docker.io", "ghcr.io", "quay.io", "public.ecr.aws", "registry.gitlab.com")
    """Registries that a submission may name."""
    insecure_registries: tuple[str, ...] = ()
    """Those among them that speak plain http; only for a registry on the same machine."""
    max_memory_gb: float = Field(default=32, gt=0)
    """Upper bound on `resources.memory_gb`; what is asked beyond it is cut."""
    max_timeout_minutes: float = Field(default=120, gt=0)
    """Upper bound on `resources.timeout_minutes`."""
    max_image_gb: float = Field(default=20, gt=0)
    """Largest image, unpacked."""
    keep_free_gb: float = Field(default=5, ge=0)
    """Disk space that pulled images must leave free."""
    cpus: float = Field(default=4, gt=0)
    """Cores per run, or all that the machine has where it has fewer."""
    level: float = Field(default=0.95, ge=0.5, lt=1)
    """Of the published intervals; kept predictions are scored again when it changes."""
    maintainers: tuple[int, ...] = ()
    """Accounts that may change any submission by pull request: the number `id` that https://api.github.com/users/LOGIN
    gives. A number stays with its account; a login can be given up, and taken by somebody else."""
    weekly_quota: int = Field(default=3, ge=1)
    """Evaluations that an author may ask for in seven days."""
    site_url: str = Field(default="", pattern=r"^(https://\S+/)?$")
    """Where the site is served, with a slash at the end; for the feed and citations."""
    source_url: str = Field(default="", pattern=r"^(https://\S+/)?$")
    """Where files of this repository can be read, such as https://github.com/OWNER/REPOSITORY/blob/main/; for links."""
    notice: str = Field(default="", max_length=200)
    """A line at the head of every page of the site, for a board that is not what it may be taken for."""
    signer: Literal["none", "ssh", "sigstore"] = "none"
    """Who signs the chain of records: a key of our own by `ssh-keygen`, or a workflow's identity by sigstore."""
    signer_identity: str = ""
    """ssh: the public key, as in a .pub file. sigstore: the identity in the certificate, e.g. a workflow's address."""
    signer_issuer: str = "https://token.actions.githubusercontent.com"
    """sigstore: who vouches for the identity."""
    log_days: int = Field(default=14, ge=0)
    """How long private logs of hidden runs are kept."""

    @field_validator("maintainers", mode="before")
    @classmethod
    def _numbers(cls, found: object) -> object:
        if isinstance(found, list) and any(isinstance(one, str) for one in found):
            raise ValueError("names logins; write the number that https://api.github.com/users/LOGIN gives as id")
        return found


class Repository:
    """One checkout of the benchmark: every path that the commands read or write.

    Args:
        root: a folder with `test_data/tracks/`; `submissions/` and `leaderboard/` may be missing.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.submissions = root / "submissions"
        self.tracks = root / "test_data" / "tracks"
        self.public_data = root / "test_data"
        self.panel = root / "test_data" / "panel"
        self.results = root / "leaderboard" / "results"
        self.site = root / "leaderboard" / "site"
        self.intake = root / "leaderboard" / "intake.jsonl"
        self.state = root / ".apb"
        self.reference_images = root / "baselines" / "images"
        self.installed = root == PACKAGE / "share"
        """Whether this is no clone but what a wheel holds of one: the public tracks, to be read and never written."""

    @cached_property
    def settings(self) -> Settings:
        """`[tool.apb]` of the checkout's pyproject.toml.

        Raises:
            EvaluatorError: the table holds something unknown or of the wrong type.
        """
        path = self.root / "pyproject.toml"
        if not path.is_file():
            return Settings()
        try:
            content = tomllib.loads(path.read_text(encoding="utf-8"))
            return Settings.model_validate(content.get("tool", {}).get("apb", {}))
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            place = re.search(r"line \d+", str(error))
            raise EvaluatorError(
                f"{path} is not TOML{f' at {place[0]}' if place else ''}.", "Correct it there."
            ) from error
        except ValidationError as error:
            raise EvaluatorError(
                f"{path}: [tool.apb] is not valid: {in_words(error, Settings)}", "Correct that table."
            ) from error


def find_repository(start: Path | None = None) -> Repository:
    """The checkout around `start` (default: the working directory), else the one this package was installed from."""
    here = (start or Path.cwd()).resolve()
    for folder in (here, *here.parents, PACKAGE.parent, PACKAGE / "share"):
        if (folder / "test_data" / "tracks").is_dir():
            return Repository(folder)
    raise EvaluatorError(
        f"no benchmark repository at or above {here}",
        "Run apb inside a clone of the benchmark, or name one with --root.",
    )


def software_version() -> str:
    """The installed version of the benchmark's code."""
    return metadata.version("antibody-polyreactivity-benchmark")
