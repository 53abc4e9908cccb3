"""`apb sign`: a signature over the chain of records."""

from __future__ import annotations

import click

from evaluator.commands.options import Command, For, clone_of


@click.command(cls=Command, group=For.WORKFLOWS, examples="apb sign")
@click.pass_context
def command(context: click.Context) -> None:
    """Sign the chain of records, if [tool.apb] names a signer; else say that records are unsigned."""
    from evaluator.integrity import signing
    from evaluator.store.results import Results

    repository = clone_of(context)
    path = signing.sign(Results(repository.results).chain, repository.settings)
    click.echo(f"signed: {path}" if path else "no signer is configured, or there is no record: nothing is signed")
