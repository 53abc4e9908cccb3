"""What the commands of the command line share."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable
from enum import StrEnum
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from evaluator.settings import Repository

FOLDER = click.Path(file_okay=False, path_type=Path)
FILE = click.Path(dir_okay=False, path_type=Path)
LEVEL = click.FloatRange(0.5, 1, max_open=True)

JSON = click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
JSON_LIST = click.option("--json", "as_json", is_flag=True, help="Print a JSON list.")
PAGE = click.option(
    "--summary", "page", type=FILE, envvar="GITHUB_STEP_SUMMARY", help="Add a summary in markdown to this file."
)
REPORT = click.option("--report", type=FILE, help="Write the same JSON object to this file.")
RESULTS = click.option("--results", type=FOLDER, help="[default: <root>/leaderboard/results]")
STATE = click.option("--state", type=FOLDER, envvar="APB_STATE", help="Private state.  [default: <root>/.apb]")
SUBMISSIONS = click.option("--submissions", type=FOLDER, help="[default: <root>/submissions]")
TRACKS = click.option("--tracks", default="", help="Comma-separated tracks.  [default: every benchmark track]")


class For(StrEnum):
    """Who needs a command; `apb --help` lists them in this order."""

    CONTRIBUTORS = "For contributors"
    MAINTAINERS = "For maintainers"
    CLUSTER = "For rounds on many machines"
    WORKFLOWS = "For workflows"


class Command(click.Command):
    """A command that says who needs it, and whose help ends with examples, kept as written."""

    def __init__(self, *args: Any, examples: str = "", group: For = For.MAINTAINERS, **options: Any) -> None:
        super().__init__(*args, **options)
        self.examples, self.group = examples, group

    def format_epilog(self, _ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the examples."""
        with formatter.section("Examples"):
            formatter.write_text("\b\n" + self.examples.strip())


Function = Callable[..., Any]


def gathered(name: str, kind: type, *options: Callable[[Function], Function]) -> Callable[[Function], Function]:
    """Options that a command is handed as one value.

    Args:
        name: of the command's parameter.
        kind: a dataclass with a field for each of the options.
    """
    fields = tuple(inspect.signature(kind).parameters)

    def decorate(function: Function) -> Function:
        @wraps(function)
        def call(*arguments: Any, **values: Any) -> Any:
            values[name] = kind(**{field: values.pop(field) for field in fields})
            return function(*arguments, **values)

        decorated: Function = call
        for option in reversed(options):
            decorated = option(decorated)
        return decorated

    return decorate


def repository_of(context: click.Context) -> Repository:
    """The benchmark that a command is about; where there is no clone, its public part that is installed."""
    from evaluator.settings import find_repository

    return find_repository(context.obj)


def clone_of(context: click.Context) -> Repository:
    """The clone that a command reads or writes.

    Raises:
        UsageError: there is none around this folder.
    """
    from evaluator.errors import UsageError

    repository = repository_of(context)
    if repository.installed:
        name = f"apb {context.info_name}"
        raise UsageError(f"`{name}` needs a clone of the benchmark.", "Run it inside one, or name one with apb --root.")
    return repository


def named(text: str) -> list[str]:
    """What a comma-separated option names."""
    return [name for name in text.split(",") if name]


def print_json(content: Any) -> None:
    """One JSON value for programs."""
    click.echo(json.dumps(content, indent=1, allow_nan=False))


def add_text(path: Path, text: str) -> None:
    """Add to a file that others add to as well, such as the summary page of a workflow's run."""
    with path.open("a", encoding="utf-8") as stream:
        stream.write(text)
