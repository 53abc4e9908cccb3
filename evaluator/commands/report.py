"""`apb report`: from a finished check to a comment and a merge."""

from __future__ import annotations

from pathlib import Path

import click

from evaluator.commands.options import FILE, FOLDER, PAGE, Command, For, add_text, clone_of


@click.command(cls=Command, group=For.WORKFLOWS, examples='apb report verdict --event "$GITHUB_EVENT_PATH"')
@click.argument("folder", type=FOLDER)
@click.option("--event", type=FILE, required=True, envvar="GITHUB_EVENT_PATH", help="GitHub's account of the event.")
@PAGE
@click.pass_context
def command(context: click.Context, folder: Path, event: Path, page: Path | None) -> None:
    """Comment on a pull request whose check has ended, and have it merged if gate and check passed.

    FOLDER holds the check's check.json. The gate is run again here. Needs GITHUB_TOKEN and GITHUB_REPOSITORY.
    """
    from evaluator.git import authorized
    from evaluator.pull_requests import merged, report
    from evaluator.pull_requests.github import GitHub
    from evaluator.pull_requests.push import bring_up_to_date

    repository, hub, told = clone_of(context), GitHub(), report.read_event(event)
    bring_up_to_date(repository.root, told.repository.default_branch, authorized(hub.server, hub.token))
    outcome = report.report(repository, hub, told, folder, merged.merged(repository, hub))
    if page and outcome.page:
        add_text(page, outcome.page)
    click.echo(outcome.said + (f"; it {outcome.merge}" if outcome.merge else ""))
    if outcome.failure:
        raise outcome.failure
