"""`apb fetch`: published sources, downloaded."""

from __future__ import annotations

from pathlib import Path

import click

from evaluator.commands.options import FOLDER, Command, For, repository_of


@click.command(
    cls=Command,
    group=For.MAINTAINERS,
    examples="apb fetch vhh48 --to downloads\napb prepare vhh48 --from downloads --hidden /srv/hidden",
)
@click.argument("track")
@click.option("--to", "target", type=FOLDER, required=True, help="Folder for the files.")
@click.option("--mirror", default="", help="Address of another folder with the same files.")
@click.pass_context
def command(context: click.Context, track: str, target: Path, mirror: str) -> None:
    """Download a track's published source files, where their licence allows it; else say where to ask for them."""
    from evaluator.contract import tracks
    from evaluator.preparing import fetch
    from evaluator.preparing.published import SOURCES, known_as

    known = tracks.load_all(repository_of(context).tracks).get(track)
    name = known_as([track, *known.formerly] if known else [track]) or track
    for path in fetch.fetch(name, target, mirror):
        click.echo(str(path))
    click.echo(f"licence: {SOURCES[name].licence}. Next: apb prepare {track} --from {target} --hidden DIR")
