"""Commands of `apb-zoo` about many models at once."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import click

from baselines.errors import DataError

FOLDER = click.Path(file_okay=False, path_type=Path)
FILE = click.Path(dir_okay=False, path_type=Path)


def _require_extra(error: ImportError) -> DataError:
    return DataError(f"The extra 'baselines' is not installed: pip install '.[baselines]' ({error})")


@click.command(
    epilog="\b\nExample:\n  apb-zoo stats models/checkpoints --out models/stats\n"
    "  apb-zoo stats --board leaderboard/site/data/v1"
)
@click.argument("folder", required=False, type=FOLDER)
@click.option("--board", type=FOLDER, help="A site's data/v1 folder, in place of checkpoints.")
@click.option("--out", type=FOLDER, help="Also write stats.md, stats.json and plots here.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def stats(folder: Path | None, board: Path | None, out: Path | None, *, as_json: bool) -> None:
    """Count models by type, task, data set, architecture, backbone and head, and say what is missing.

    Every file of weights is looked at before it is loaded: pickles are refused, and so are shapes that do not fit and
    numbers that are not finite, by name; one such model stops no other.
    """
    if (folder is None) == (board is None):
        raise click.UsageError("Name a folder of checkpoints, or a board with --board.")
    try:
        from baselines.catalogue import board as boards
        from baselines.catalogue import checkpoints
        from baselines.catalogue import stats as statistics
    except ImportError as error:
        raise _require_extra(error) from error
    if folder is not None:
        found, refused = checkpoints.described(folder)
    else:
        assert board is not None
        found, refused = boards.described(board)
    told = statistics.statistics(found, refused)
    if out is not None:
        statistics.write(told, out)
    click.echo(json.dumps(told, indent=1) if as_json else statistics.markdown(told), nl=as_json)


@click.command(
    epilog="\b\nExample:\n  apb-zoo recommend --labels mine.csv --models models/checkpoints\n"
    "  apb-zoo recommend --labels mine.csv --predictions published/"
)
@click.option("--labels", type=FILE, required=True, help="CSV with sequence and label, of one's own; few are enough.")
@click.option("--models", type=FOLDER, help="A folder of trained models.")
@click.option(
    "--predictions",
    type=click.Path(path_type=Path, exists=True),
    multiple=True,
    help="Published predictions, sequence_id,score, by one's own ids: a CSV, or a folder of them.",
)
@click.option("--backbone", default="", help="Where the backbone's weights are.  [default: by the models' metadata]")
@click.option("--level", type=click.FloatRange(0.5, 1, max_open=True), default=0.95, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Print a JSON list.")
def recommend(
    labels: Path,
    models: Path | None,
    predictions: tuple[Path, ...],
    backbone: str,
    level: float,
    *,
    as_json: bool,
) -> None:
    """Rank models by their likelihood on a few labels of one's own; nothing hidden is used.

    Bits are the mean log2 of the probability that a model gives to each label, less that of a constant, the labels' own
    share. A model whose interval lies above 0 is shown to tell more than that share.
    """
    if models is None and not predictions:
        raise click.UsageError("Name a folder of models with --models, or files with --predictions.")
    try:
        from baselines.catalogue import recommend as recommending
    except ImportError as error:
        raise _require_extra(error) from error
    own = recommending.read(labels)
    say = partial(click.echo, err=True)
    files = [f for path in predictions for f in (sorted(path.glob("*.csv*")) if path.is_dir() else [path])]
    found = list(recommending.of_predictions(files, own, say, level))
    if models is not None:
        found += recommending.of_models(models, own, say, backbone=backbone, level=level)
    best = recommending.ranked(found)
    if as_json:
        click.echo(json.dumps([{**vars(c), "helps": c.helps} for c in best], indent=1))
        return
    if not best:
        raise DataError("No model could answer.")
    positives = int(own.labels.sum())
    click.echo(f"{len(own.labels)} labels, {positives} of them positive; bits per label above their share alone:")
    for c in best:
        area = "" if c.roc_auc is None else f", ROC-AUC {c.roc_auc:.3f}"
        click.echo(
            f"  {c.name:<44} {c.gain:+.3f} ({c.low:+.3f} to {c.high:+.3f}){area}"
            + ("" if c.helps else ", not shown to help")
        )
