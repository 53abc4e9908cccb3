"""`apb prepare`: hidden data out of published files."""

from __future__ import annotations

from pathlib import Path

import click

from evaluator.commands.options import FOLDER, Command, For, clone_of, repository_of
from evaluator.settings import Repository
from evaluator.text import printable


@click.command(
    cls=Command,
    group=For.MAINTAINERS,
    examples="apb prepare jain --from downloads --hidden /srv/hidden\n"
    "apb prepare --new our-panel --from panel.csv --hidden /srv/hidden\n"
    "apb prepare --proteingym downloads --hidden /srv/hidden",
)
@click.argument("track", required=False)
@click.option("--from", "source", type=click.Path(path_type=Path), help="Folder of published files, or CSV.")
@click.option("--hidden", type=FOLDER, required=True, help="Where <track>/sequences.csv and labels.csv are written.")
@click.option("--new", "new_track", metavar="ID", help="Make a hidden track of one's own from one CSV.")
@click.option("--proteingym", type=FOLDER, metavar="DIR", help="Make the few-shot track of ProteinGym's files in DIR.")
@click.option("--all-assays", is_flag=True, help="With --proteingym: every assay, not only those that are held out.")
@click.pass_context
def command(
    context: click.Context,
    track: str | None,
    source: Path | None,
    hidden: Path,
    new_track: str | None,
    proteingym: Path | None,
    *,
    all_assays: bool,
) -> None:
    """Turn published source files into a track's hidden data, byte for byte what its track file names.

    With --new: turn a CSV (sequence_id, sequence, label or target, perhaps light_sequence and family) into a hidden
    track and write its track file, to be completed; with a further column assay, a line for each antibody and assay,
    it is a few-shot track. With --proteingym: from DMS_substitutions.csv and the assays' CSVs of ProteinGym.
    """
    from evaluator.preparing import prepare

    if sum(named is not None for named in (track, new_track, proteingym)) != 1:
        raise click.UsageError("Name a TRACK, or a new one with --new, or --proteingym.")
    if proteingym is not None:
        path, notes = prepare.prepare_proteingym(proteingym, hidden, clone_of(context), everything=all_assays)
        for note in notes:
            click.echo(f"note {note}")
        click.echo(f"{hidden / path.stem} written, and {path}")
        return
    if source is None:
        raise click.UsageError("Name the published files, or the CSV, with --from.")
    if new_track is not None:
        path = prepare.prepare_new(new_track, source, hidden, clone_of(context))
        click.echo(f"{hidden / new_track} written; complete {path}. Keep {hidden}/labels.key secret.")
        return
    assert track is not None
    _known(track, source, hidden, repository_of(context))


def _known(track: str, source: Path, hidden: Path, repository: Repository) -> None:
    """A track that there is, out of its published files."""
    from evaluator.contract import tracks
    from evaluator.preparing import prepare

    known = tracks.load_all(repository.tracks)
    if track not in known:
        raise click.UsageError(f"There is no track {printable(str(track), 60)}. Known are: {', '.join(known)}.")
    made, hashes, splits = prepare.prepare(known[track], source, hidden)
    for note in [*made.notes, *made.unusable[:20]]:
        click.echo(f"note {note}")
    if made.unusable:
        click.echo(f"{len(made.unusable):,} rows of the source cannot be used")
    about = f" for {len(made.sequences):,} antibodies" if splits else ""
    click.echo(f"{hidden / track}: {len(made.labels):,} rows{about}")
    few_shot = known[track].few_shot
    pinned = {task.id for task in few_shot.tasks if task.split_sha256} if few_shot else set()
    if known[track].sha256.sequences is None and not made.labels_alone:
        click.echo("Put into the track file:\nsha256:\n" + "\n".join(f"  {k}: {v}" for k, v in hashes.items()))
    for task, found in splits.items():
        if task not in pinned:
            click.echo(f"of {task}, split_sha256: {found}")
