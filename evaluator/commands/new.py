"""`apb new`: a submission to start from."""

from __future__ import annotations

from pathlib import Path

import click

from evaluator.commands.options import FOLDER, Command, For


@click.command(
    cls=Command,
    group=For.CONTRIBUTORS,
    examples="apb new my-model\ncd my-model && docker build -t docker.io/your-account/my-model:0.1 . && apb check",
)
@click.argument("name")
@click.option("--in", "parent", type=FOLDER, default=Path(), help="Where to put the folder.  [default: here]")
def command(name: str, parent: Path) -> None:
    """Write a folder NAME with a YAML, a Dockerfile and a predict.py that pass `apb check` as they are."""
    from evaluator.checking.scaffold import scaffold

    folder = scaffold(name, parent)
    click.echo(f"{folder}/ is ready; its README.md says what comes next.")
