"""`apb audit-data`: what is wrong with a track's data, or with one's own."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from evaluator.commands.options import FILE, FOLDER, JSON, Command, For, clone_of, print_json, repository_of

if TYPE_CHECKING:
    from evaluator.integrity.data_audit import Material


@click.command(
    cls=Command,
    group=For.CONTRIBUTORS,
    examples="apb audit-data --csv panel.csv\n"
    "apb audit-data shehata --hidden /srv/hidden --train boughter=boughter_vh.csv\n"
    "apb audit-data shehata --hidden /srv/hidden --write",
)
@click.argument("track", required=False)
@click.option("--hidden", type=FOLDER, help="Where <track>/sequences.csv and labels.csv are.")
@click.option("--csv", "own", type=FILE, help="One's own: sequence_id,sequence[,light_sequence],label or target.")
@click.option("--train", default="", metavar="NAME=FILE,...", help="Training sets in which relatives are looked for.")
@click.option("--write", is_flag=True, help="Keep it as test_data/audits/TRACK.json, which the site shows.")
@JSON
@click.pass_context
def command(
    context: click.Context,
    track: str | None,
    hidden: Path | None,
    own: Path | None,
    train: str,
    *,
    write: bool,
    as_json: bool,
) -> None:
    """Look for duplicates, conflicting labels, relatives, and labels that can be told without a sequence.

    What row order, ids, lengths and further columns alone would score is told with its p-value. On a few-shot track
    that is done for each assay. What is printed and kept are counts and statistics, never a sequence, id or label.
    """
    from evaluator.files import write_json
    from evaluator.integrity import data_audit
    from evaluator.integrity.findings import in_words
    from evaluator.integrity.overlap import named_sets
    from evaluator.text import printable

    if (track is None) == (own is None):
        raise click.UsageError("Name a TRACK, or one's own file with --csv.")
    if own is not None:
        if write or hidden is not None:
            raise click.UsageError("--csv goes with neither --write nor --hidden.")
        material = data_audit.of_csv(own)
    else:
        assert track is not None
        material = _of_track(context, track, hidden, write=write)
    found = data_audit.audit(material, named_sets(train))
    if write:
        path = clone_of(context).public_data / "audits" / f"{track}.json"
        write_json(path, found.model_dump(mode="json"))
    if as_json:
        print_json({**found.model_dump(mode="json"), "faults": found.faults})
        return
    click.echo(f"{printable(found.track, 60)}: {found.rows:,} rows")
    for what, value in in_words(found):
        click.echo(f"  {what}: {value}")
    click.echo("to be mended or said: " + ("; ".join(found.faults) or "nothing"))


def _of_track(context: click.Context, track: str, hidden: Path | None, *, write: bool) -> Material:
    """A track's rows, to be looked at."""
    from evaluator.integrity import at_hand, data_audit, disclosure

    if hidden is None:
        raise click.UsageError("Name where the track's data are with --hidden.")
    [known] = at_hand.chosen(repository_of(context).tracks, [track])
    if write and disclosure.is_hidden(known):
        raise click.UsageError(f"{track} is hidden: what its audit tells of labels is not kept where others read it.")
    return data_audit.of_track(at_hand.data_of(known, hidden))
