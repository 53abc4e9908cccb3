"""Commands of the way from a pull request to a published score; the workflows' steps are these and nothing else."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from evaluator.commands.options import FILE, FOLDER, Command, add_text, print_json, repository_of

if TYPE_CHECKING:
    pass

PAGE = click.option(
    "--summary", "page", type=FILE, envvar="GITHUB_STEP_SUMMARY", help="Add a summary in markdown to this file."
)


@click.command(
    cls=Command,
    examples="apb gate --base origin/main --author my-login\napb gate --base main --head pr --author my-login --json",
)
@click.option("--base", required=True, help="The branch or commit that the pull request is for.")
@click.option("--head", default="HEAD", show_default=True, help="The pull request's last commit.")
@click.option("--author", required=True, help="Login of the pull request's author.")
@click.option("--clone", type=FOLDER, help="A clone that has both commits.  [default: <root>]")
@click.option("--take", type=FOLDER, help="Write the submission, if it may pass, into this folder, for apb check.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.option("--report", type=FILE, help="Write the same JSON object to this file.")
@PAGE
@click.pass_context
def gate(
    context: click.Context,
    base: str,
    head: str,
    author: str,
    clone: Path | None,
    take: Path | None,
    as_json: bool,
    report: Path | None,
    page: Path | None,
) -> None:
    """Does a pull request change one submission of its author's, and nothing else? Nothing of it is run."""
    from datetime import UTC, datetime

    from evaluator.files import write_bytes, write_json
    from evaluator.pull_requests.gate import gate as judge
    from evaluator.store import intake

    repository = repository_of(context)
    found = judge(
        clone or repository.root, base, head, author, intake=intake.read(repository.intake),
        maintainers=repository.settings.maintainers, quota=repository.settings.weekly_quota,
        today=datetime.now(UTC).date(),
    )  # fmt: skip
    if take and found.passed and found.content is not None:
        write_bytes(take / f"{found.id}.yaml", found.content)
    if report:
        write_json(report, found.as_json())
    if page:
        add_text(page, found.as_markdown())
    if as_json:
        print_json(found.as_json())
    else:
        for problem in found.problems:
            click.echo(f"FAIL {problem}", err=True)
        click.echo(f"{found.id or 'pull request'}: {'may pass' if found.passed else 'refused'}")
    sys.exit(0 if found.passed else 1)


@click.command(cls=Command, examples='apb report verdict --event "$GITHUB_EVENT_PATH"')
@click.argument("folder", type=FOLDER)
@click.option("--event", type=FILE, required=True, envvar="GITHUB_EVENT_PATH", help="GitHub's account of the event.")
@PAGE
@click.pass_context
def report(context: click.Context, folder: Path, event: Path, page: Path | None) -> None:
    """Comment on a pull request whose check has ended, and have it merged if gate and check passed.

    FOLDER holds the check's check.json. The gate is run again here. Needs GITHUB_TOKEN and GITHUB_REPOSITORY.
    """
    from evaluator.git import authorized
    from evaluator.pull_requests import merged
    from evaluator.pull_requests.github import GitHub
    from evaluator.pull_requests.push import bring_up_to_date
    from evaluator.pull_requests.report import read_event
    from evaluator.pull_requests.report import report as tell

    repository, hub, told = repository_of(context), GitHub(), read_event(event)
    bring_up_to_date(repository.root, told.repository.default_branch, authorized(hub.server, hub.token))
    outcome = tell(repository, hub, told, folder, merged.merged(repository, hub))
    if page and outcome.page:
        add_text(page, outcome.page)
    click.echo(outcome.said + (f"; it {outcome.merge}" if outcome.merge else ""))


@click.command(cls=Command, examples="apb intake")
@click.pass_context
def intake(context: click.Context) -> None:
    """Note who brought what was merged since, and lock its image.

    Writes leaderboard/intake.jsonl, from which quotas and owners are known, and the digest that each tag means now.
    Needs GITHUB_TOKEN and GITHUB_REPOSITORY.
    """
    from evaluator.pull_requests import merged
    from evaluator.pull_requests.github import GitHub
    from evaluator.running.pinning import lock_merged
    from evaluator.store import intake as intakes

    repository = repository_of(context)
    known = intakes.read(repository.intake)
    lines = merged.merged(repository, GitHub())
    if lines != known:
        intakes.write(repository.intake, lines)
    for line in lines[len(known) :]:
        checked = merged.checked_image(repository.root, line.commit) if line.commit else None
        outcome = lock_merged(repository, line.id, checked) if line.new_run else "no new run"
        click.echo(f"{line.id} by {line.login}: {outcome}")
    click.echo(f"{len(lines) - len(known)} new, {len(lines)} in all")


@click.command(cls=Command, examples='apb commit --message "Weekly round" --push')
@click.option("--message", default="Records", show_default=True, help="Of the commit.")
@click.option("--push", is_flag=True, help="Push to origin, on top of what others have pushed meanwhile.")
@click.option("--branch", default="main", show_default=True, help="Where to push to.")
@click.pass_context
def commit(context: click.Context, message: str, push: bool, branch: str) -> None:
    """Commit the records and the intake, and nothing else. GITHUB_TOKEN, if set, is shown to GitHub alone."""
    from evaluator.git import authorized
    from evaluator.pull_requests import push as deliver

    repository = repository_of(context)
    made = deliver.commit(repository, message)
    click.echo(f"committed {made}" if made else "nothing to commit")
    if push:
        server = os.environ.get("GITHUB_SERVER_URL", "https://github.com")
        deliver.push(repository, branch, authorized(server, os.environ.get("GITHUB_TOKEN", "")))
        click.echo(f"{branch} is up to date")
