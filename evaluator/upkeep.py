"""Commands of those who keep the benchmark: the gate, the hidden data, the machine."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from evaluator.options import FOLDER, Command, print_json, repository_of
from evaluator.text import printable


@click.command(
    cls=Command,
    examples="apb gate --base origin/main --author my-login\napb gate --base main --head pr --author my-login --json",
)
@click.option("--base", required=True, help="The branch or commit that the pull request is for.")
@click.option("--head", default="HEAD", show_default=True, help="The pull request's last commit.")
@click.option("--author", required=True, help="Login of the pull request's author.")
@click.option("--clone", type=FOLDER, help="A clone that has both commits.  [default: <root>]")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.pass_context
def gate(context: click.Context, base: str, head: str, author: str, clone: Path | None, as_json: bool) -> None:
    """Does a pull request change one submission of its author's, and nothing else? Nothing of it is run."""
    from datetime import UTC, datetime

    from evaluator.gate import gate as judge
    from evaluator.gate import read_intake

    repository = repository_of(context)
    found = judge(
        clone or repository.root, base, head, author, intake=read_intake(repository.intake),
        maintainers=repository.settings.maintainers, quota=repository.settings.weekly_quota,
        today=datetime.now(UTC).date(),
    )  # fmt: skip
    if as_json:
        problems = [vars(p) for p in found.problems]
        print_json(
            {"id": found.id, "new": found.new, "new_run": found.new_run, "passed": found.passed, "problems": problems}
        )
    else:
        for problem in found.problems:
            click.echo(f"FAIL {problem}", err=True)
        click.echo(f"{found.id or 'pull request'}: {'may pass' if found.passed else 'refused'}")
    sys.exit(0 if found.passed else 1)


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
    from evaluator import tracks
    from evaluator.prepare import prepare as prepare_known
    from evaluator.prepare import prepare_new

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


@click.command(cls=Command, examples="apb doctor\napb doctor --runtime runsc")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON list.")
@click.option("--runtime", help="Also see whether the engine has this OCI runtime.")
def doctor(as_json: bool, runtime: str | None) -> None:
    """Is this machine fit to evaluate strangers' images?"""
    from evaluator.doctor import examine

    findings = examine(runtime)
    if as_json:
        print_json([vars(f) for f in findings])
    else:
        for f in findings:
            click.echo(f"{f.level:<7}{printable(f.what)}{'  -> ' + f.remedy if f.remedy else ''}")
    sys.exit(3 if any(f.level == "refuse" for f in findings) else 0)
