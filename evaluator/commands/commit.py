"""`apb commit`: records and intake, committed and pushed."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from evaluator.commands.options import FOLDER, STATE, Command, For, clone_of
from evaluator.text import printable

if TYPE_CHECKING:
    from evaluator.settings import Repository


@click.command(cls=Command, group=For.WORKFLOWS, examples='apb commit --message "Weekly round" --push')
@click.option("--message", default="Records", show_default=True, help="Of the commit.")
@click.option("--push", is_flag=True, help="Push to origin, on top of what others have pushed meanwhile.")
@click.option("--branch", default="main", show_default=True, help="Where to push to.")
@click.option(
    "--hidden",
    type=FOLDER,
    envvar="APB_HIDDEN",
    help="With --push: ranks are made anew where others have recorded too.",
)
@STATE
@click.pass_context
def command(
    context: click.Context, message: str, push: bool, branch: str, hidden: Path | None, state: Path | None
) -> None:
    """Commit the records and the intake, and nothing else. GITHUB_TOKEN, if set, is shown to GitHub alone."""
    from evaluator.git import authorized
    from evaluator.pull_requests import push as deliver

    repository = clone_of(context)
    made = deliver.commit(repository, message)
    click.echo(f"committed {made}" if made else "nothing to commit")
    if not push:
        return
    server = os.environ.get("GITHUB_SERVER_URL", "https://github.com")
    environment = authorized(server, os.environ.get("GITHUB_TOKEN", ""))
    joined = deliver.push(repository, branch, environment)
    if joined is not None:
        click.echo("others have recorded something meanwhile; our records go on from theirs")
        for line in joined:
            click.echo(printable(line, 500))
        _make_anew(repository, hidden, state or repository.state)
        if deliver.commit(repository, f"{message}: ranks among the entries of both"):
            deliver.push(repository, branch, environment)
    click.echo(f"{branch} is up to date")


def _make_anew(repository: Repository, hidden: Path | None, state: Path) -> None:
    """What follows from the records of both: rankings, and the signature."""
    from evaluator.integrity import signing
    from evaluator.rounds import derived
    from evaluator.rounds.job import Job, find_tracks
    from evaluator.store.results import Results
    from evaluator.store.state import State

    results = Results(repository.results)
    if hidden and hidden.is_dir():
        job = Job(repository, hidden, repository.submissions, results, State(state))
        with job.state.locked():
            derived.make_anew(job, find_tracks(job).files, lambda line: click.echo(printable(line, 2000)))
    else:
        click.echo("ranks are made anew by the next apb evaluate; until then they are not shown")
    signing.sign(results.chain, repository.settings)
