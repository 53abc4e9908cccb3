"""`apb status`: how a round goes."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from evaluator.commands.options import FOLDER, JSON, Command, For, clone_of, print_json
from evaluator.text import printable


@click.command(cls=Command, group=For.CLUSTER, examples="apb status\napb status --state /srv/state --json")
@click.option("--state", type=FOLDER, envvar="APB_STATE", help="The round's private state.  [default: <root>/.apb]")
@JSON
@click.pass_context
def command(context: click.Context, state: Path | None, as_json: bool) -> None:
    """How is the round going, or how did the last one end? Exit status 3 where it was cut short."""
    from evaluator.rounds.watch import as_text, last_round
    from evaluator.store.state import State

    found = last_round(State(state or clone_of(context).state))
    if as_json:
        print_json(found)
    else:
        click.echo(printable(as_text(found), 100_000, keep="\n"))
    sys.exit(3 if found["cut_short"] else 0)
