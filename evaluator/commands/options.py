"""What the commands of the command line share."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from evaluator.settings import Repository, find_repository

FOLDER = click.Path(file_okay=False, path_type=Path)
FILE = click.Path(dir_okay=False, path_type=Path)
LEVEL = click.FloatRange(0.5, 1, max_open=True)


class Command(click.Command):
    """A command whose help ends with examples, kept as written."""

    def __init__(self, *args: Any, examples: str = "", **options: Any) -> None:
        super().__init__(*args, **options)
        self.examples = examples

    def format_epilog(self, _ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the examples."""
        with formatter.section("Examples"):
            formatter.write_text("\b\n" + self.examples.strip())


def repository_of(context: click.Context) -> Repository:
    """The benchmark that a command is about."""
    return find_repository(context.obj)


def print_json(content: Any) -> None:
    """One JSON value for programs."""
    click.echo(json.dumps(content, indent=1, allow_nan=False))


def add_text(path: Path, text: str) -> None:
    """Add to a file that others add to as well, such as the summary page of a workflow's run.

    Raises:
        UsageError: it cannot be written.
    """
    try:
        with path.open("a", encoding="utf-8") as stream:
            stream.write(text)
    except OSError as error:
        raise click.UsageError(f"{path} cannot be written: {error}") from error
