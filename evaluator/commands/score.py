"""`apb score`: one predictions file on its own."""

from __future__ import annotations

from pathlib import Path

import click

from evaluator.commands.options import FILE, JSON, LEVEL, Command, For, print_json


@click.command(
    cls=Command,
    group=For.CONTRIBUTORS,
    examples="apb score predictions.csv --labels labels.csv\n"
    "apb score predictions.csv.gz --labels labels.csv.gz --json",
)
@click.argument("predictions", type=FILE)
@click.option("--labels", type=FILE, required=True, help="CSV with sequence_id,label (0/1) or sequence_id,target.")
@click.option("--level", type=LEVEL, default=0.95, show_default=True, help="Of the intervals.")
@JSON
def command(predictions: Path, labels: Path, level: float, as_json: bool) -> None:
    """Score one predictions file on its own (.csv or .csv.gz).

    A column `family` in the labels says which rows belong together; intervals then allow for that.
    """
    from evaluator.contract.task_types import turned_round
    from evaluator.scoring.files import as_text, score_files

    scores, table = score_files(predictions, labels, level)
    for note in [*table.notes, *filter(None, [turned_round(scores.metrics)])]:
        click.echo(f"note {note}", err=True)
    if as_json:
        print_json(scores.as_json())
    else:
        click.echo(as_text(scores, level))
