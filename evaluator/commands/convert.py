"""`apb convert`: antibodies from one file format into another."""

from __future__ import annotations

from pathlib import Path

import click

from evaluator.commands.options import FILE, Command, For

SHOWN = 20


@click.command(
    cls=Command,
    group=For.CONTRIBUTORS,
    examples="apb convert GDPa1.csv panel.csv --property PR_CHO\n"
    "apb convert heavy.fasta panel.csv --light light.fasta\n"
    "apb convert panel.csv panel.tsv --to airr",
)
@click.argument("source", metavar="IN", type=FILE)
@click.argument("target", metavar="OUT", type=FILE)
@click.option("--from", "first", metavar="FORMAT", default="", help="Of IN.  [default: by its columns]")
@click.option("--to", "then", metavar="FORMAT", default="", help="Of OUT.  [default: by its ending]")
@click.option("--property", "value", default="", help="The measured column to take along, where there are several.")
@click.option("--light", type=FILE, help="FASTA of the light chains, where IN has heavy ones alone.")
@click.option("--light-out", type=FILE, help="Write the light chains here, where OUT is FASTA.")
def command(
    source: Path, target: Path, first: str, then: str, value: str, light: Path | None, light_out: Path | None
) -> None:
    """Convert antibodies between formats: benchmark, fasta, gdpa, flab, airr, polyxpert; imgt and aho can be read.

    What is dropped or changed is told on standard error, with the reason.
    """
    from evaluator.errors import UsageError
    from evaluator.preparing.convert import convert
    from evaluator.preparing.layouts import FORMATS

    for name in filter(None, (first, then)):
        if name not in FORMATS:
            raise UsageError(
                f"There is no format '{name}'. Known are:\n" + "\n".join(f"  {n}: {f.help}" for n, f in FORMATS.items())
            )
    found = convert(source, target, first=first, then=then, value=value, light=light, light_target=light_out)
    for note in found.notes[:SHOWN]:
        click.echo(f"note {note}", err=True)
    if len(found.notes) > SHOWN:
        click.echo(f"note and {len(found.notes) - SHOWN:,} more", err=True)
    click.echo(f"{target}: {len(found.rows):,} antibodies")
