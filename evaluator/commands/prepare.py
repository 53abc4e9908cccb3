"""`apb prepare`: hidden data out of published files."""

from __future__ import annotations

from pathlib import Path

import click

from evaluator.commands.options import FOLDER, Command, For, clone_of, repository_of
from evaluator.text import printable


@click.command(
    cls=Command,
    group=For.MAINTAINERS,
    examples="apb prepare jain --from downloads --hidden /srv/hidden\n"
    "apb prepare --new our-panel --from panel.csv --hidden /srv/hidden",
)
@click.argument("track", required=False)
@click.option(
    "--from", "source", type=click.Path(path_type=Path), required=True, help="Folder of published files, or CSV."
)
@click.option("--hidden", type=FOLDER, required=True, help="Where <track>/sequences.csv and labels.csv are written.")
@click.option("--new", "new_track", metavar="ID", help="Make a hidden track of one's own from one CSV.")
@click.pass_context
def command(context: click.Context, track: str | None, source: Path, hidden: Path, new_track: str | None) -> None:
    """Turn published source files into a track's hidden data, byte for byte what its track file names.

    With --new: turn a CSV (sequence_id, sequence, label or target, perhaps light_sequence and family) into a hidden
    track and write its track file, to be completed.
    """
    from evaluator.contract import tracks
    from evaluator.preparing import prepare

    repository = repository_of(context)
    if (track is None) == (new_track is None):
        raise click.UsageError("Name a TRACK, or a new one with --new.")
    if new_track is not None:
        path = prepare.prepare_new(new_track, source, hidden, clone_of(context))
        click.echo(f"{hidden / new_track} written; complete {path}. Keep {hidden}/labels.key secret.")
        return
    known = tracks.load_all(repository.tracks)
    if track not in known:
        raise click.UsageError(f"There is no track {printable(str(track), 60)}. Known are: {', '.join(known)}.")
    made, hashes = prepare.prepare(known[track], source, hidden)
    for note in [*made.notes, *made.unusable[:20]]:
        click.echo(f"note {note}")
    if made.unusable:
        click.echo(f"{len(made.unusable):,} rows of the source cannot be used")
    click.echo(f"{hidden / track}: {len(made.labels):,} rows")
    if known[track].sha256.sequences is None and not made.labels_alone:
        click.echo("Put into the track file:\nsha256:\n" + "\n".join(f"  {k}: {v}" for k, v in hashes.items()))
