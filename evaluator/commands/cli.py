"""The command line: options in, one plain function called, an exit status out.

0 done; 1 the submission's fault; 2 wrong usage; 3 our machine's fault.
"""

from __future__ import annotations

import os
import signal
import sys
from importlib import import_module
from pathlib import Path
from typing import Any, NoReturn

import click

from evaluator.commands.options import FOLDER, Command, For
from evaluator.errors import BenchmarkError, EvaluatorError, told
from evaluator.text import printable

NO_COMMANDS = {"__init__", "cli", "options", "progress", "where"}
"""Files of this folder that commands share."""


class Commands(click.Group):
    """The commands, one in each file of this folder; a command's file is read when it is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        """Their names, which are those of the files."""
        return sorted(p.stem.replace("_", "-") for p in Path(__file__).parent.glob("*.py") if p.stem not in NO_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """One of them; None where there is none of that name."""
        if cmd_name not in self.list_commands(ctx):
            return None
        command = import_module(f"evaluator.commands.{cmd_name.replace('-', '_')}").command
        assert isinstance(command, click.Command)
        command.name = cmd_name
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List them by who needs them, as each command's own file says."""
        found = [command for name in self.list_commands(ctx) if (command := self.get_command(ctx, name))]
        width = formatter.width - 6 - max(len(str(command.name)) for command in found)
        for group in For:
            rows = [
                (str(command.name), command.get_short_help_str(width))
                for command in found
                if isinstance(command, Command) and command.group == group
            ]
            with formatter.section(group.value):
                formatter.write_dl(rows)


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(package_name="antibody-polyreactivity-benchmark", prog_name="apb")
@click.option("--root", type=FOLDER, help="The benchmark's clone.  [default: the one around this folder]")
@click.pass_context
def app(context: click.Context, root: Path | None) -> None:
    """Antibody Polyreactivity Benchmark: check, run, score and publish predictors packed as Docker images.

    `apb COMMAND --help` has each command's options and examples.
    """
    context.obj = root


def _terminated(_signal: int, _frame: Any) -> NoReturn:
    raise SystemExit(143)  # unwinds like Ctrl-C: containers are removed on the way out


def main() -> NoReturn:
    """Run `apb`; the one place where errors become messages."""
    signal.signal(signal.SIGTERM, _terminated)
    try:
        try:
            app.main(standalone_mode=False)
        finally:
            sys.stdout.flush()  # what cannot be written is told here, not when Python ends
    except click.exceptions.Abort:
        click.echo("stopped", err=True)
        sys.exit(130)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except BenchmarkError as error:
        click.echo(f"apb: {printable(str(error), 4000, keep=chr(10))}", err=True)
        sys.exit(error.exit_code)
    except OSError as error:  # a full disk, a folder that cannot be written: never a submission's fault
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # what is left to be written goes nowhere
        click.echo(f"apb: {printable(told(error), 1000)}", err=True)
        sys.exit(EvaluatorError.exit_code)
    sys.exit(0)
