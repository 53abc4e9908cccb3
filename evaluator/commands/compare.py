"""`apb compare`: a candidate beside a baseline."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from evaluator.commands.options import FILE, FOLDER, JSON, LEVEL, RESULTS, Command, For, print_json, repository_of


@click.command(
    cls=Command,
    group=For.MAINTAINERS,
    examples="apb compare my-model net-charge --track jain --hidden /srv/hidden\n"
    "apb compare new.csv old.csv --labels labels.csv\n"
    "apb compare my-model --baseline-metrics '{\"accuracy\": 0.71}'",
)
@click.argument("candidate")
@click.argument("baseline", required=False)
@click.option("--baseline-metrics", metavar="JSON", help="A JSON file or inline JSON, in place of BASELINE.")
@click.option("--threshold", type=click.FloatRange(0, 1), default=0.05, show_default=True, help="Largest allowed drop.")
@click.option("--track", help="Compare on this track alone.  [default: all that CANDIDATE has results on]")
@click.option("--labels", type=FILE, help="Labels of predictions files.")
@click.option("--hidden", type=FOLDER, help="Folder with hidden data: makes differences of results paired.")
@click.option("--state", type=FOLDER, help="Private state with kept predictions.  [default: <root>/.apb]")
@RESULTS
@click.option("--report-dir", type=FOLDER, default="reports", show_default=True, help="Where the report goes.")
@click.option("--level", type=LEVEL, help="Of the intervals.  [default: 0.95]")
@JSON
@click.pass_context
def command(
    context: click.Context,
    candidate: str,
    baseline: str | None,
    baseline_metrics: str | None,
    threshold: float,
    track: str | None,
    labels: Path | None,
    hidden: Path | None,
    state: Path | None,
    results: Path | None,
    report_dir: Path,
    level: float | None,
    as_json: bool,
) -> None:
    """Compare a candidate with a baseline: PASSED, or FAILED (exit status 1) where accuracy dropped too far.

    CANDIDATE and BASELINE are ids of submissions with results, .json results, or .csv predictions. Without a baseline
    the candidate is reported alone.
    """
    from evaluator.comparing import compare
    from evaluator.comparing import report as validation_report
    from evaluator.comparing.sides import Sources
    from evaluator.store.results import Results
    from evaluator.store.state import State

    if baseline is not None and baseline_metrics is not None:
        raise click.UsageError("Name a BASELINE or --baseline-metrics, not both.")
    repository = repository_of(context)
    sources = Sources(
        Results(results or repository.results),
        State(state or repository.state),
        repository.tracks,
        hidden,
        labels,
        level or repository.settings.level,
    )
    found = compare.compare(
        candidate, baseline, sources, baseline_metrics=baseline_metrics, track=track, threshold=threshold
    )
    report = validation_report.write(report_dir, found, threshold, sources.level)
    if as_json:
        headline = validation_report.headline(found)
        print_json({"verdict": headline, "report": str(report), "tracks": validation_report.as_json(found)})
    else:
        click.echo(validation_report.terminal(found, report))
    sys.exit(0 if compare.passed(found) else 1)
