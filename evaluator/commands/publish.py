"""`apb publish`: the website."""

from __future__ import annotations

from pathlib import Path

import click

from evaluator.commands.options import FOLDER, RESULTS, SUBMISSIONS, Command, For, clone_of


@click.command(cls=Command, group=For.MAINTAINERS, examples="apb publish\napb publish --out /tmp/site")
@click.option("--out", type=FOLDER, help="[default: <root>/leaderboard/site]")
@SUBMISSIONS
@RESULTS
@click.pass_context
def command(context: click.Context, out: Path | None, submissions: Path | None, results: Path | None) -> None:
    """Build the website and its data files from the records."""
    from leaderboard.build import build

    repository = clone_of(context)
    site = build(
        repository,
        submissions=submissions or repository.submissions,
        results=results or repository.results,
        out=out or repository.site,
    )
    click.echo(f"{site.pages} pages, {site.entries} entries, {site.records} records: {site.index}")
