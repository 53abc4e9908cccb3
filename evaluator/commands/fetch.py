"""`apb fetch`: published sources, downloaded."""

from __future__ import annotations

from pathlib import Path

import click

from evaluator.commands.options import FOLDER, Command, For


@click.command(
    cls=Command,
    group=For.MAINTAINERS,
    examples="apb fetch vhh48 --to downloads\napb prepare vhh48 --from downloads --hidden /srv/hidden",
)
@click.argument("track")
@click.option("--to", "target", type=FOLDER, required=True, help="Folder for the files.")
@click.option("--mirror", default="", help="Address of another folder with the same files.")
def command(track: str, target: Path, mirror: str) -> None:
    """Download a track's published source files, where their licence allows it; else say where to ask for them."""
    from evaluator.preparing import fetch
    from evaluator.preparing.sources import SOURCES

    for path in fetch.fetch(track, target, mirror):
        click.echo(str(path))
    click.echo(f"licence: {SOURCES[track].licence}. Next: apb prepare {track} --from {target} --hidden DIR")
