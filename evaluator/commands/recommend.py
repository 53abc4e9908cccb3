"""`apb recommend`: which entry fits a few labels of one's own?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from evaluator.commands.options import FILE, JSON_LIST, STATE, Command, For, named, print_json, repository_of

if TYPE_CHECKING:
    from evaluator.checking.recommend import Recommended


@click.command(
    cls=Command,
    group=For.CONTRIBUTORS,
    examples="apb recommend --labels mine.csv\n"
    "apb recommend --labels mine.csv --entries net-charge,antiberty-svm --predictions published/\n"
    "apb-zoo recommend --labels mine.csv --models models/checkpoints      # models of the zoo",
)
@click.option("--labels", type=FILE, required=True, help="CSV with sequence_id, sequence and label: one's own, a few.")
@click.option("--entries", default="", help="Comma-separated ids.  [default: every entry with an image]")
@click.option(
    "--predictions",
    type=click.Path(path_type=Path, exists=True),
    multiple=True,
    help="Published predictions, sequence_id,score, by one's own ids: a CSV, or a folder. Images are then run only if "
    "named with --entries.",
)
@STATE
@JSON_LIST
@click.pass_context
def command(
    context: click.Context,
    labels: Path,
    entries: str,
    predictions: tuple[Path, ...],
    state: Path | None,
    *,
    as_json: bool,
) -> None:
    """Rank entries by their likelihood on a few labels of one's own; no hidden data is used, and nothing is recorded.

    Images run in the sandbox, offline, on one's own sequences. Bits are the mean log2 of the probability that an entry
    gives to each label, less that of a constant, the labels' own share; an entry whose interval lies above 0 is shown
    to tell more than that share.
    """
    from functools import partial

    from evaluator.checking import recommend
    from evaluator.errors import UsageError
    from evaluator.running.scratch import Scratch

    repository = repository_of(context)
    own = recommend.read(labels)
    say = partial(click.echo, err=True)
    files = [f for path in predictions for f in (sorted(path.glob("*.csv*")) if path.is_dir() else [path])]
    found = list(recommend.of_predictions(files, own, say, repository.settings.level))
    if entries or not predictions:
        scratch = Scratch(state or repository.state)
        found += recommend.of_entries(repository, named(entries), own, scratch, say)
    best = sorted(found, key=lambda one: (-one.gain.value, one.name))
    if as_json:
        print_json([{"name": one.name, **vars(one.gain), "helps": one.gain.helps} for one in best])
        return
    if not best:
        raise UsageError("Nothing could answer.", "What was wrong with each is told above.")
    _tell(best, len(own.ids), int(own.labels.sum()))


def _tell(best: list[Recommended], n: int, positives: int) -> None:
    click.echo(f"{n} labels, {positives} of them positive; bits per label above their share alone:")
    for one in best:
        shown = "" if one.gain.helps else ", not shown to help"
        click.echo(f"  {one.name:<40} {one.gain.value:+.3f} ({one.gain.low:+.3f} to {one.gain.high:+.3f}){shown}")
