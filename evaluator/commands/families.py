"""`apb families`: which rows of a track belong together."""

from __future__ import annotations

from pathlib import Path

import click

from evaluator.commands.options import FILE, FOLDER, JSON, Command, For, print_json, repository_of


@click.command(
    cls=Command,
    group=For.MAINTAINERS,
    examples="apb families shehata --hidden /srv/hidden\n"
    "apb families shehata --hidden /srv/hidden --out shehata-families.csv",
)
@click.argument("track")
@click.option("--hidden", type=FOLDER, required=True, help="Where <track>/sequences.csv and labels.csv are.")
@click.option("--out", type=FILE, help="Write sequence_id,family to this CSV.")
@JSON
@click.pass_context
def command(context: click.Context, track: str, hidden: Path, out: Path | None, *, as_json: bool) -> None:
    """Sort a track's rows into sequence families: of a panel by the heavy chain, of a library by its CDR-H3.

    The rule has a version, and gives the same families whatever the order of the rows. Where the track's file names a
    rule under `families`, it is that one, and every score on the track allows for these families.
    """
    from evaluator.contract import families
    from evaluator.files import write_bytes
    from evaluator.integrity import at_hand
    from evaluator.integrity.findings import Family

    [known] = at_hand.chosen(repository_of(context).tracks, [track])
    data = at_hand.data_of(known, hidden)
    rule, found = families.families(at_hand.heavy_of(data), families.RULES.get(known.families or ""))
    summary = Family.of(rule, found)
    if out is not None:
        write_bytes(out, families.as_csv(data.ids, found))
    if as_json:
        print_json({"track": track, "rows": data.n, **summary.model_dump(), "text": rule.text})
        return
    click.echo(f"{track}: {summary.count:,} families of {data.n:,} rows, the largest of {summary.largest:,}")
    click.echo(f"{rule.version}: {rule.text}")
