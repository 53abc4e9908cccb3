"""`apb archive`: predictions that were published elsewhere."""

from __future__ import annotations

from pathlib import Path

import click

from evaluator.commands.options import (
    FILE,
    FOLDER,
    JSON,
    RESULTS,
    STATE,
    SUBMISSIONS,
    Command,
    For,
    clone_of,
    print_json,
)


@click.command(
    cls=Command,
    group=For.MAINTAINERS,
    examples="apb archive esm1v-logreg --track jain --predictions jain_esm1v.csv --hidden /srv/hidden",
)
@click.argument("submission", metavar="ID")
@click.option("--track", "track_id", required=True, help="Track that they are for.")
@click.option("--predictions", "published", type=FILE, required=True, help="CSV as it was published (.csv, .csv.gz).")
@click.option(
    "--hidden",
    type=FOLDER,
    required=True,
    envvar="APB_HIDDEN",
    show_envvar=True,
    help="Folder with <track>/labels.csv and, where they are at hand, sequences.csv.",
)
@click.option("--negate", is_flag=True, help="There a lower score means more polyreactive; regression tracks only.")
@click.option("--replace", "replaces", is_flag=True, help="Other predictions of this entry on this track give way.")
@STATE
@SUBMISSIONS
@RESULTS
@JSON
@click.pass_context
def command(
    context: click.Context,
    submission: str,
    track_id: str,
    published: Path,
    hidden: Path,
    negate: bool,
    replaces: bool,
    state: Path | None,
    submissions: Path | None,
    results: Path | None,
    as_json: bool,
) -> None:
    """Check, keep and score published predictions of an entry whose file has `archived` in place of an image.

    The file must have exactly the track's ids, and its columns as /output/predictions.csv has them. The predictions
    stay in the private state; their scores are shown with a badge, and take no rank. Archiving twice changes nothing.
    """
    from evaluator.rounds.archive import archive
    from evaluator.rounds.job import Job
    from evaluator.store.results import Results
    from evaluator.store.state import State

    repository = clone_of(context)
    job = Job(
        repository=repository,
        hidden=hidden,
        submissions=submissions or repository.submissions,
        results=Results(results or repository.results),
        state=State(state or repository.state),
    )
    done = archive(
        job,
        submission,
        track_id,
        published,
        negate=negate,
        replaces=replaces,
        say=lambda said: click.echo(said, err=True),
    )
    if as_json:
        print_json({"new": done.new, "record": done.record.model_dump(mode="json")})
        return
    click.echo(str(done))
