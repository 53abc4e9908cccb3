"""`apb doctor`: is this machine fit?"""

from __future__ import annotations

import sys

import click

from evaluator.commands.options import JSON_LIST, Command, For, print_json
from evaluator.text import printable


@click.command(cls=Command, group=For.MAINTAINERS, examples="apb doctor\napb doctor --runtime runsc")
@JSON_LIST
@click.option("--runtime", help="Also see whether the engine has this OCI runtime.")
def command(as_json: bool, runtime: str | None) -> None:
    """Is this machine fit to evaluate strangers' images?"""
    from evaluator.running.doctor import examine

    findings = examine(runtime)
    if as_json:
        print_json([vars(f) for f in findings])
    else:
        for f in findings:
            click.echo(f"{f.level:<7}{printable(f.what)}{'  -> ' + f.remedy if f.remedy else ''}")
    sys.exit(3 if any(f.level == "refuse" for f in findings) else 0)
