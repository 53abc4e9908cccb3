"""`apb gate`: may a pull request pass?"""

from __future__ import annotations

import sys
from pathlib import Path

import click

from evaluator.commands.options import FOLDER, JSON, PAGE, REPORT, Command, For, add_text, clone_of, print_json


@click.command(
    cls=Command,
    group=For.WORKFLOWS,
    examples="apb gate --base origin/main --author my-login\n"
    "apb gate --base main --head pr --author my-login --account 583231 --json",
)
@click.option("--base", required=True, help="The branch or commit that the pull request is for.")
@click.option("--head", default="HEAD", show_default=True, help="The pull request's last commit.")
@click.option("--author", required=True, help="Login of the pull request's author.")
@click.option("--account", type=int, help="GitHub's number of the author, by which entries are owned.")
@click.option("--clone", type=FOLDER, help="A clone that has both commits.  [default: <root>]")
@click.option("--take", type=FOLDER, help="Write the submission, if it may pass, into this folder, for apb check.")
@JSON
@REPORT
@PAGE
@click.pass_context
def command(
    context: click.Context,
    base: str,
    head: str,
    author: str,
    account: int | None,
    clone: Path | None,
    take: Path | None,
    as_json: bool,
    report: Path | None,
    page: Path | None,
) -> None:
    """Does a pull request change one submission of its author's, and nothing else? Nothing of it is run."""
    from datetime import UTC, datetime

    from evaluator.files import write_bytes, write_json
    from evaluator.pull_requests import gate
    from evaluator.store import intake

    repository = clone_of(context)
    found = gate.judge(
        clone or repository.root,
        base,
        head,
        author,
        account=account,
        intake=intake.read(repository.intake),
        maintainers=repository.settings.maintainers,
        quota=repository.settings.weekly_quota,
        today=datetime.now(UTC).date(),
    )
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
            click.echo(f"FAIL {problem}")
        click.echo(f"{found.id or 'pull request'}: {'may pass' if found.passed else 'refused'}")
    sys.exit(0 if found.passed else 1)
