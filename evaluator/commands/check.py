"""`apb check`: one submission, as CI looks at it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from evaluator.commands.options import (
    FILE,
    FOLDER,
    JSON,
    PAGE,
    REPORT,
    Command,
    For,
    add_text,
    print_json,
    repository_of,
)

if TYPE_CHECKING:
    from evaluator.contract.verdicts import Verdict


@click.command(
    cls=Command,
    group=For.CONTRIBUTORS,
    examples="apb check submissions/me-my-model.yaml\napb check               (the only .yaml file of this folder)\n"
    "apb check my-model.yaml --image my-model:dev",
)
@click.argument("file", type=click.Path(path_type=Path), required=False)
@click.option("--image", metavar="REF", help="Check this image of the local engine instead of the one in the file.")
@click.option("--train", type=FILE, help="A copy of the training file that the submission names.")
@click.option("--hidden", type=FOLDER, help="Where tracks' sequences are, to look for relatives in that file.")
@click.option("--state", type=FOLDER, default=Path(".apb"), show_default=True, help="Folder for the inputs of the run.")
@JSON
@REPORT
@PAGE
@click.pass_context
def command(
    context: click.Context,
    file: Path | None,
    image: str | None,
    train: Path | None,
    hidden: Path | None,
    state: Path,
    as_json: bool,
    report: Path | None,
    page: Path | None,
) -> None:
    """Check one submission: its file, what it was trained on, its image, a run on public data. Exactly what CI runs.

    A training file that it names is downloaded, held against its sha256 and looked through for canaries of the
    benchmark. Relatives of a track's antibodies are looked for where its sequences are at hand; else they are unknown.

    FILE may be a folder that holds one .yaml file.
    """
    from evaluator.checking import check
    from evaluator.files import write_json
    from evaluator.running.scratch import Scratch

    say = (lambda _line: None) if as_json else click.echo
    path = _only_yaml(file or Path()) if file is None or file.is_dir() else file
    scratch, repository = Scratch(state), repository_of(context)
    verdict = check.check(repository, path, image=image, scratch=scratch, say=say, train=train, hidden=hidden)
    if report:
        write_json(report, verdict.as_json())
    if page:
        add_text(page, verdict.as_markdown())
    if as_json:
        print_json(verdict.as_json())
    else:
        _tell(verdict)
    sys.exit(0 if verdict.passed else 1)


def _tell(verdict: Verdict) -> None:
    """For a person at a terminal."""
    from evaluator.contract.observed import TITLES, in_brief
    from evaluator.contract.verdicts import duration

    for note in verdict.notes:
        click.echo(f"note {note}")
    if verdict.forecast:
        click.echo("about what the tracks will take, judged by this machine:")
    for f in verdict.forecast:
        memory = f", {f.memory} of {f.limit_mb:,.0f} MB" if f.memory else ""
        click.echo(f"     {f.track}: {f.time} of {duration(f.limit_seconds)}{memory}, judged by {f.basis}")
    if verdict.card:
        click.echo(f"reproducibility card: {in_brief(verdict.card)}")
    for name, found in verdict.card.items():
        click.echo(f"     {TITLES[name]}: {found.outcome}" + (f", {found.detail}" if found.detail else ""))
    if verdict.log and not verdict.passed:
        click.echo("---- what the container printed, last lines\n" + verdict.log + "\n----")
    for problem in verdict.problems:
        click.echo(f"FAIL {problem}")
    click.echo(f"{verdict.submission}: {'PASSED' if verdict.passed else f'FAILED ({verdict.code})'}")


def _only_yaml(folder: Path) -> Path:
    found = sorted(folder.glob("*.yaml"))
    if len(found) != 1:
        raise click.UsageError(f"The folder has {len(found)} .yaml files; name one: apb check FILE.yaml")
    return found[0]
