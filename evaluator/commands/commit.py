"""`apb commit`: records and intake, committed and pushed."""

from __future__ import annotations

import os

import click

from evaluator.commands.options import Command, For, clone_of


@click.command(cls=Command, group=For.WORKFLOWS, examples='apb commit --message "Weekly round" --push')
@click.option("--message", default="Records", show_default=True, help="Of the commit.")
@click.option("--push", is_flag=True, help="Push to origin, on top of what others have pushed meanwhile.")
@click.option("--branch", default="main", show_default=True, help="Where to push to.")
@click.pass_context
def command(context: click.Context, message: str, push: bool, branch: str) -> None:
    """Commit the records and the intake, and nothing else. GITHUB_TOKEN, if set, is shown to GitHub alone."""
    from evaluator.git import authorized
    from evaluator.pull_requests import push as deliver

    repository = clone_of(context)
    made = deliver.commit(repository, message)
    click.echo(f"committed {made}" if made else "nothing to commit")
    if push:
        server = os.environ.get("GITHUB_SERVER_URL", "https://github.com")
        deliver.push(repository, branch, authorized(server, os.environ.get("GITHUB_TOKEN", "")))
        click.echo(f"{branch} is up to date")
