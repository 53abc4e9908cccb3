"""`apb intake`: who brought what was merged."""

from __future__ import annotations

import click

from evaluator.commands.options import Command, For, clone_of


@click.command(cls=Command, group=For.WORKFLOWS, examples="apb intake")
@click.pass_context
def command(context: click.Context) -> None:
    """Note who brought what was merged since, and lock its image.

    Writes leaderboard/intake.jsonl, from which quotas and owners are known, and the digest that each tag means now.
    Needs GITHUB_TOKEN and GITHUB_REPOSITORY.
    """
    from evaluator.pull_requests import merged
    from evaluator.pull_requests.github import GitHub
    from evaluator.running.pinning import lock_merged
    from evaluator.store import intake as intakes

    repository = clone_of(context)
    known = intakes.read(repository.intake)
    lines = merged.merged(repository, GitHub())
    if lines != known:
        intakes.write(repository.intake, lines)
    for line in lines[len(known) :]:
        checked = merged.checked_image(repository.root, line.commit) if line.commit else None
        outcome = lock_merged(repository, line.id, checked) if line.new_run else "no new run"
        click.echo(f"{line.id} by {line.login}: {outcome}")
    click.echo(f"{len(lines) - len(known)} new, {len(lines)} in all")
