"""`apb card`: the reproducibility cards of the board's entries."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from evaluator.commands.options import JSON, STATE, Command, For, clone_of, print_json


@click.command(cls=Command, group=For.MAINTAINERS, examples="apb card\napb card ann-model --force")
@click.argument("ids", nargs=-1, metavar="[ID]...")
@click.option("--force", is_flag=True, help="Hold cards again that are up to date.")
@STATE
@JSON
@click.pass_context
def command(context: click.Context, ids: tuple[str, ...], force: bool, state: Path | None, as_json: bool) -> None:
    """Hold the reproducibility cards of merged entries against their images, and record what became of them.

    A card is due when it or its image has changed, and every 90 days.
    """
    from evaluator.checking import cards
    from evaluator.running.scratch import Scratch

    repository = clone_of(context)
    say = (lambda _line: None) if as_json else click.echo
    done = cards.record(repository, ids, scratch=Scratch(state or repository.state), force=force, say=say)
    if as_json:
        print_json(vars(done))
    else:
        click.echo(
            f"{len(done.held)} cards held, {len(done.unchanged)} up to date, {len(done.left)} left undone; "
            f"{len(done.without)} entries have none"
        )
    sys.exit(3 if done.left else 0)
