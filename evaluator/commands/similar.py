"""`apb similar`: which entries behave alike?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from evaluator.commands.options import FILE, JSON, RESULTS, Command, For, print_json, repository_of

if TYPE_CHECKING:
    from evaluator.contract.labels import TrackFiles
    from evaluator.scoring.similarity import Behaviours
    from evaluator.store.results import Results

MINE = "(this file)"


@click.command(
    cls=Command,
    group=For.CONTRIBUTORS,
    examples="apb similar\n"
    "apb similar antiberty-svm\n"
    "apb similar --predictions predictions.csv      # of test_data/panel/sequences.csv, by a model of one's own",
)
@click.argument("entry", metavar="[ID]", required=False)
@click.option("--predictions", type=FILE, help="What a model of one's own says of test_data/panel/sequences.csv.")
@click.option("--count", type=click.IntRange(1), default=5, show_default=True, help="Neighbours to tell.")
@RESULTS
@JSON
@click.pass_context
def command(
    context: click.Context,
    entry: str | None,
    predictions: Path | None,
    count: int,
    results: Path | None,
    *,
    as_json: bool,
) -> None:
    """Tell which entries of the board answer like an entry, or like a model of one's own.

    All are asked about the same public, made-up sequences, the panel: nothing hidden is used. The cosine is that of
    z-scored log odds, Spearman's correlation that of the scores, each with an interval over sequences like those of
    the panel. Above .999 of Spearman's correlation two entries are near copies, which is told and not punished. Without
    an entry: all clusters, in which any two have a cosine of at least .9.
    """
    from evaluator.contract.labels import find_panel
    from evaluator.errors import EvaluatorError
    from evaluator.store.results import Results

    if entry and predictions:
        raise click.UsageError("Name an entry, or a file with --predictions.")
    repository = repository_of(context)
    panel = find_panel(repository.panel)
    if panel is None:
        raise EvaluatorError(f"{repository.panel} holds no panel.", "Run apb inside a clone of the benchmark.")
    found = _behaviours(panel, Results(results or repository.results), predictions, repository.settings.level)
    wanted = MINE if predictions else entry
    if wanted is None:
        _tell_clusters(panel.track.id, found, as_json=as_json)
        return
    if wanted not in found.ids:
        _refuse(wanted, found, panel, Results(results or repository.results))
    _tell_neighbours(panel.track.id, wanted, found, count, as_json=as_json)


def _behaviours(panel: TrackFiles, results: Results, predictions: Path | None, level: float) -> Behaviours:
    from evaluator.contract import predictions as files
    from evaluator.errors import UsageError
    from evaluator.scoring.similarity import Behaviours

    told = {
        i: b.scores
        for i, b in results.behaviours(panel.track.id).items()
        if b.scores and b.sequences_sha256 == panel.sequences_sha256
    }
    if predictions:
        try:
            content = predictions.read_bytes()
        except OSError as error:
            raise UsageError(f"{predictions} cannot be read: {error.strerror}.", "Name a CSV.") from error
        told[MINE] = tuple(files.read(content, panel.data.ids, panel.track.task).score.tolist())
    return Behaviours.of(told, level)


def _refuse(wanted: str, found: Behaviours, panel: TrackFiles, results: Results) -> None:
    """Say why nothing can be said of an entry."""
    from evaluator.errors import UsageError
    from evaluator.text import printable

    behaviour = None if wanted == MINE else results.behaviours(panel.track.id).get(wanted)
    if behaviour and behaviour.status == "failed":
        why, remedy = f"{wanted} failed on the panel: {behaviour.failure}.", "The next round asks a new image."
    elif behaviour or wanted == MINE:
        why, remedy = f"{wanted} gives every sequence of the panel one score.", "Nothing can be compared then."
    else:
        known = ", ".join(found.ids) or "none yet; apb evaluate asks entries with an image of single chains"
        why, remedy = f"{printable(wanted, 64)} was not asked about the panel.", f"Known are: {known}."
    raise UsageError(why, remedy)


def _tell_neighbours(panel: str, wanted: str, found: Behaviours, count: int, *, as_json: bool) -> None:
    neighbours = found.neighbours(wanted, count)
    if as_json:
        rows: list[dict[str, Any]] = [{**vars(n), "near_copy": n.near_copy} for n in neighbours]
        print_json({"panel": panel, "entry": wanted, "level": found.level, "neighbours": rows})
        return
    click.echo(f"{wanted} on {panel}, {found.scores.shape[1]} sequences:")
    for n in neighbours:
        click.echo(
            f"  {n.id:<40} cosine {n.cosine:+.3f} ({n.low:+.3f} to {n.high:+.3f}), "
            f"Spearman {n.spearman:+.3f} ({n.spearman_low:+.3f} to {n.spearman_high:+.3f})"
            + ("  near copy" if n.near_copy else "")
        )
    if not neighbours:
        click.echo("  no other entry was asked yet")


def _tell_clusters(panel: str, found: Behaviours, *, as_json: bool) -> None:
    from evaluator.scoring.similarity import CUT

    members = [[i for i, c in zip(found.ids, found.clusters, strict=True) if c == k] for k in sorted({*found.clusters})]
    if as_json:
        print_json({"panel": panel, "cut": CUT, "clusters": members, "near_copies": found.near_copies()})
        return
    click.echo(f"{len(found.ids)} entries on {panel}, clusters by complete linkage at a cosine of {CUT}:")
    for one in members:
        click.echo("  " + ", ".join(one))
    for a, b in found.near_copies():
        click.echo(f"near copies: {a} and {b}")
