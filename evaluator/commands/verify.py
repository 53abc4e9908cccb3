"""`apb verify`: does what is published hold?"""

from __future__ import annotations

import sys
from pathlib import Path

import click

from evaluator.commands.options import FOLDER, JSON_LIST, STATE, Command, For, clone_of, print_json
from evaluator.text import printable


@click.command(
    cls=Command, group=For.MAINTAINERS, examples="apb verify\napb verify --hidden /srv/hidden --state /srv/state --json"
)
@click.option("--site", type=FOLDER, help="A built site to compare with.  [default: <root>/leaderboard/site, if there]")
@click.option("--hidden", type=FOLDER, help="Hidden data: metrics are computed again from kept predictions.")
@STATE
@JSON_LIST
@click.pass_context
def command(context: click.Context, site: Path | None, hidden: Path | None, state: Path | None, as_json: bool) -> None:
    """Check every record against its schema and the hash chain, and the site's data against the records.

    Also says what cannot be verified. Exit status 3 where something does not hold.
    """
    from evaluator.integrity import verify
    from evaluator.store.state import State
    from leaderboard.build import build

    repository = clone_of(context)

    def rebuild(out: Path) -> None:
        build(repository, submissions=repository.submissions, results=repository.results, out=out)

    built = site or (repository.site if repository.site.is_dir() else None)
    private = State(state or repository.state)
    checks = []
    for check in verify.examine(repository, site=built, rebuild=rebuild, hidden=hidden, state=private):
        checks.append(check)
        if not as_json:  # as it goes: what comes later may take minutes, or fail
            click.echo(f"{check.level:<9}{printable(check.what, 1000)}")
    if as_json:
        print_json([vars(c) for c in checks])
    sys.exit(3 if any(c.level == "FAIL" for c in checks) else 0)
