"""`apb evaluate`: the weekly round."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from evaluator.commands.options import (
    FOLDER,
    PAGE,
    RESULTS,
    SUBMISSIONS,
    TRACKS,
    Command,
    For,
    add_text,
    clone_of,
    named,
    print_json,
)
from evaluator.commands.where import WHERE, Where
from evaluator.text import printable


@click.command(
    cls=Command,
    group=For.MAINTAINERS,
    examples="apb evaluate --all --hidden /srv/hidden --summary summary.md\n"
    "apb evaluate --all --hidden /srv/hidden --dry-run\n"
    "apb evaluate net-charge random --hidden /srv/hidden --tracks jain,shehata --jobs 4\n"
    "apb evaluate --all --hidden /srv/hidden --executor dask --slurm slurm.yaml",
)
@click.argument("ids", nargs=-1)
@click.option("--all", "everything", is_flag=True, help="Look at every submission.  [default, where no ID is given]")
@click.option(
    "--hidden",
    type=FOLDER,
    required=True,
    envvar="APB_HIDDEN",
    show_envvar=True,
    help="Folder with <track>/sequences.csv and <track>/labels.csv.",
)
@TRACKS
@WHERE
@click.option("--force", is_flag=True, help="Run again what has not changed.")
@click.option("--dry-run", is_flag=True, help="Print what would be run as JSON, and run nothing.")
@PAGE
@click.option(
    "--state", type=FOLDER, envvar="APB_STATE", help="Private state: predictions, logs, ledger.  [default: <root>/.apb]"
)
@SUBMISSIONS
@RESULTS
@click.option(
    "--unsandboxed", type=FOLDER, metavar="CONTEXTS", help="No engine: run only reference models, as plain processes."
)
@click.option("--runtime", help="OCI runtime of the engine, such as runsc.  [default: the engine's]")
@click.option("--json", "as_json", is_flag=True, help="Print the summary as one JSON object.")
@click.pass_context
def command(
    context: click.Context,
    ids: tuple[str, ...],
    everything: bool,
    hidden: Path,
    tracks: str,
    where: Where,
    force: bool,
    dry_run: bool,
    page: Path | None,
    state: Path | None,
    submissions: Path | None,
    results: Path | None,
    unsandboxed: Path | None,
    runtime: str | None,
    as_json: bool,
) -> None:
    """Run what is due on the hidden tracks, score it, and record it. What has not changed is not run again.

    A submission that fails is recorded with a code and does not stop the others; the exit status is then 0. It is 3
    where something is left undone because of this machine; what is left undone in more than three rounds in a row is
    told as unrunnable here, and no longer counts.
    """
    from evaluator.commands.progress import ProgressLines
    from evaluator.rounds import round  # noqa: A004
    from evaluator.rounds.job import Job
    from evaluator.store.results import Results
    from evaluator.store.state import State

    if everything and ids:
        raise click.UsageError("Name submissions, or --all, not both.")
    repository = clone_of(context)
    job = Job(
        repository,
        hidden,
        submissions or repository.submissions,
        Results(results or repository.results),
        State(state or repository.state),
        ids=ids,
        track_ids=named(tracks),
        force=force,
        unsandboxed=unsandboxed,
        runtime=runtime,
    )
    with ProgressLines().shown() as progress:
        if dry_run:
            plan = round.dry_run(job, progress)
            print_json(plan.as_json())
            sys.exit(3 if plan.ours else 0)
        summary = round.evaluate(job, progress, where.machinery(job))
    if page:
        add_text(page, summary.as_markdown())
    if as_json:
        print_json({**vars(summary), "exit_code": summary.exit_code})
    else:
        click.echo(str(summary))
        for name, reason in [*summary.failed.items(), *summary.ours.items(), *summary.unrunnable.items()]:
            click.echo(f"  {printable(name, 150)}: {printable(reason, 300)}")
        if summary.rescoring:
            click.echo(f"what rescoring changed: {summary.rescoring}")
    sys.exit(summary.exit_code)
