"""`apb plan`: how large the next round is."""

from __future__ import annotations

from pathlib import Path

import click

from evaluator.commands.options import (
    FOLDER,
    JSON,
    STATE,
    TRACKS,
    Command,
    For,
    clone_of,
    named,
    print_json,
    repository_of,
)
from evaluator.errors import UsageError
from evaluator.text import printable


@click.command(
    cls=Command,
    group=For.CLUSTER,
    examples="apb plan --hidden /srv/hidden\napb plan --hidden /srv/hidden --workers 8 --json\n"
    "apb plan --entries 100 --seconds-per-1000 30     (100 entries on every track, nothing looked at)",
)
@click.option("--hidden", type=FOLDER, envvar="APB_HIDDEN", show_envvar=True, help="Hidden data: plans what is due.")
@click.option("--entries", type=click.IntRange(1), help="Plan so many new entries on every track instead.")
@click.option("--gpu", is_flag=True, help="With --entries: they need a GPU.")
@click.option(
    "--seconds-per-1000", type=click.FloatRange(0, min_open=True), help="Per 1,000 rows, in place of what was measured."
)
@click.option("--workers", type=click.IntRange(1), help="How long so many at a time take.  [default: 1, 2, 4, ... 64]")
@TRACKS
@STATE
@JSON
@click.pass_context
def command(
    context: click.Context,
    hidden: Path | None,
    entries: int | None,
    gpu: bool,
    seconds_per_1000: float | None,
    workers: int | None,
    tracks: str,
    state: Path | None,
    as_json: bool,
) -> None:
    """How large is the next round: entries x rows x seconds, hours of CPU and GPU, and how long it takes."""
    from evaluator.rounds import size as sizing
    from evaluator.rounds.job import Job
    from evaluator.store.results import Results
    from evaluator.store.state import State

    if entries is None and (hidden is None or gpu):
        raise UsageError(
            "Name --hidden, for what is due, or --entries, perhaps with --gpu.", "apb plan --help has more."
        )
    repository = clone_of(context) if entries is None else repository_of(context)
    wanted = named(tracks)
    if entries is None:
        assert hidden is not None
        job = Job(
            repository,
            hidden,
            repository.submissions,
            Results(repository.results),
            State(state or repository.state),
            track_ids=wanted,
        )
        size = sizing.of_due(job, seconds_per_1000)
    else:
        size = sizing.of_new(repository, wanted, entries, seconds_per_1000, gpu=gpu)
    counts = [workers] if workers else [1, 2, 4, 8, 16, 32, 64]
    if as_json:
        print_json(size.as_json(counts))
    else:
        click.echo(printable(size.as_text(counts), 100_000, keep="\n"))
