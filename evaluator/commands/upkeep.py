"""Commands of those who keep the benchmark: hidden data, signatures, comparisons, the machine."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from evaluator.commands.options import FILE, FOLDER, LEVEL, Command, print_json, repository_of
from evaluator.text import printable


@click.command(
    cls=Command,
    examples="apb prepare jain --from downloads --hidden /srv/hidden\n"
    "apb prepare --new our-panel --from panel.csv --hidden /srv/hidden",
)
@click.argument("track", required=False)
@click.option(
    "--from", "source", type=click.Path(path_type=Path), required=True, help="Folder of published files, or CSV."
)
@click.option("--hidden", type=FOLDER, required=True, help="Where <track>/sequences.csv and labels.csv are written.")
@click.option("--new", "new_track", metavar="ID", help="Make a hidden track of one's own from one CSV.")
@click.pass_context
def prepare(context: click.Context, track: str | None, source: Path, hidden: Path, new_track: str | None) -> None:
    """Turn published source files into a track's hidden data, byte for byte what its track file names.

    With --new: turn a CSV (sequence_id, sequence, label or target, perhaps light_sequence and family) into a hidden
    track and write its track file, to be completed.
    """
    from evaluator.contract import tracks
    from evaluator.preparing.prepare import prepare as prepare_known
    from evaluator.preparing.prepare import prepare_new

    repository = repository_of(context)
    if (track is None) == (new_track is None):
        raise click.UsageError("Name a TRACK, or a new one with --new.")
    if new_track is not None:
        path = prepare_new(new_track, source, hidden, repository)
        click.echo(f"{hidden / new_track} written; complete {path}. Keep {hidden}/labels.key secret.")
        return
    known = tracks.load_all(repository.tracks)
    if track not in known:
        raise click.UsageError(f"There is no track {printable(str(track), 60)}. Known are: {', '.join(known)}.")
    made, hashes = prepare_known(known[track], source, hidden)
    for note in [*made.notes, *made.unusable[:20]]:
        click.echo(f"note {note}")
    if made.unusable:
        click.echo(f"{len(made.unusable):,} rows of the source cannot be used")
    click.echo(f"{hidden / track}: {len(made.sequences):,} rows")
    if known[track].sha256.sequences is None:
        click.echo("Put into the track file:\nsha256:\n" + "\n".join(f"  {k}: {v}" for k, v in hashes.items()))


@click.command(
    cls=Command, examples="apb fetch vhh48 --to downloads\napb prepare vhh48 --from downloads --hidden /srv/hidden"
)
@click.argument("track")
@click.option("--to", "target", type=FOLDER, required=True, help="Folder for the files.")
@click.option("--mirror", default="", help="Address of another folder with the same files.")
def fetch(track: str, target: Path, mirror: str) -> None:
    """Download a track's published source files, where their licence allows it; else say where to ask for them."""
    from evaluator.preparing.fetch import fetch as download
    from evaluator.preparing.sources import SOURCES

    for path in download(track, target, mirror):
        click.echo(str(path))
    click.echo(f"licence: {SOURCES[track].licence}. Next: apb prepare {track} --from {target} --hidden DIR")


@click.command(cls=Command, examples="apb doctor\napb doctor --runtime runsc")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON list.")
@click.option("--runtime", help="Also see whether the engine has this OCI runtime.")
def doctor(as_json: bool, runtime: str | None) -> None:
    """Is this machine fit to evaluate strangers' images?"""
    from evaluator.running.doctor import examine

    findings = examine(runtime)
    if as_json:
        print_json([vars(f) for f in findings])
    else:
        for f in findings:
            click.echo(f"{f.level:<7}{printable(f.what)}{'  -> ' + f.remedy if f.remedy else ''}")
    sys.exit(3 if any(f.level == "refuse" for f in findings) else 0)


@click.command(cls=Command, examples="apb sign")
@click.pass_context
def sign(context: click.Context) -> None:
    """Sign the chain of records, if [tool.apb] names a signer; else say that records are unsigned."""
    from evaluator.integrity import signing
    from evaluator.store.results import Results

    repository = repository_of(context)
    path = signing.sign(Results(repository.results).chain, repository.settings)
    click.echo(f"signed: {path}" if path else "no signer is configured, or there is no record: nothing is signed")


@click.command(
    cls=Command,
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
@click.option("--results", type=FOLDER, help="[default: <root>/leaderboard/results]")
@click.option("--report-dir", type=FOLDER, default="reports", show_default=True, help="Where the report goes.")
@click.option("--level", type=LEVEL, help="Of the intervals.  [default: 0.95]")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.pass_context
def compare(
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
    from evaluator.comparing import report as validation_report
    from evaluator.comparing.compare import compare as compare_sides
    from evaluator.comparing.compare import passed
    from evaluator.comparing.sides import Sources
    from evaluator.store.results import Results
    from evaluator.store.state import State

    if baseline is not None and baseline_metrics is not None:
        raise click.UsageError("Name a BASELINE or --baseline-metrics, not both.")
    repository = repository_of(context)
    sources = Sources(
        Results(results or repository.results), State(state or repository.root / ".apb"), repository.tracks, hidden,
        labels, level or repository.settings.level,
    )  # fmt: skip
    found = compare_sides(
        candidate, baseline, sources, baseline_metrics=baseline_metrics, track=track, threshold=threshold
    )
    report = validation_report.write(report_dir, found, threshold, sources.level)
    if as_json:
        headline = validation_report.headline(found)
        print_json({"verdict": headline, "report": str(report), "tracks": validation_report.as_json(found)})
    else:
        click.echo(validation_report.terminal(found, report))
    sys.exit(0 if passed(found) else 1)
