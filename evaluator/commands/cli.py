"""The command line: options in, one plain function called, an exit status out.

0 done; 1 the submission's fault; 2 wrong usage; 3 our machine's fault.
"""

from __future__ import annotations

import signal
import sys
from pathlib import Path
from typing import Any, NoReturn

import click

from evaluator.commands.cluster_commands import machinery_of, plan, status, worker
from evaluator.commands.flow import commit, gate, intake, report
from evaluator.commands.options import FILE, FOLDER, LEVEL, Command, add_text, print_json, repository_of
from evaluator.commands.upkeep import compare, doctor, fetch, prepare, sign
from evaluator.errors import BenchmarkError
from evaluator.settings import software_version
from evaluator.text import printable


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(software_version(), prog_name="apb")
@click.option("--root", type=FOLDER, help="The benchmark's clone.  [default: the one around this folder]")
@click.pass_context
def app(context: click.Context, root: Path | None) -> None:
    """Antibody Polyreactivity Benchmark: check, run, score and publish predictors packed as Docker images.

    Contributors need `new`, `check` and `score`; maintainers `doctor`, `fetch`, `prepare`, `evaluate`, `compare`,
    `verify` and `publish`, on many machines also `plan`, `worker` and `status`; workflows `gate`, `report`, `intake`,
    `sign` and `commit`.
    """
    context.obj = root


@app.command(
    cls=Command,
    examples="apb new my-model\ncd my-model && docker build -t docker.io/your-account/my-model:0.1 . && apb check",
)
@click.argument("name")
@click.option("--in", "parent", type=FOLDER, default=Path(), help="Where to put the folder.  [default: here]")
def new(name: str, parent: Path) -> None:
    """Write a folder NAME with a YAML, a Dockerfile and a predict.py that pass `apb check` as they are."""
    from evaluator.checking.scaffold import scaffold

    folder = scaffold(name, parent)
    click.echo(f"{folder}/ is ready; its README.md says what comes next.")


@app.command(
    cls=Command,
    examples="apb check submissions/me-my-model.yaml\napb check               (the only .yaml file of this folder)\n"
    "apb check my-model.yaml --image my-model:dev",
)
@click.argument("file", type=click.Path(path_type=Path), required=False)
@click.option("--image", metavar="REF", help="Check this image of the local engine instead of the one in the file.")
@click.option("--state", type=FOLDER, default=Path(".apb"), show_default=True, help="Folder for the inputs of the run.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.option("--report", type=FILE, help="Write the same JSON object to this file.")
@click.option(
    "--summary", "page", type=FILE, envvar="GITHUB_STEP_SUMMARY", help="Add a summary in markdown to this file."
)
@click.pass_context
def check(
    context: click.Context,
    file: Path | None,
    image: str | None,
    state: Path,
    as_json: bool,
    report: Path | None,
    page: Path | None,
) -> None:
    """Check one submission: its file, its image, a run on public data. Exactly what CI runs.

    FILE may be a folder that holds one .yaml file.
    """
    from evaluator.checking.check import check as run_check
    from evaluator.contract.verdicts import duration
    from evaluator.files import write_json
    from evaluator.running.scratch import Scratch

    say = (lambda _line: None) if as_json else click.echo
    path = _only_yaml(file or Path()) if file is None or file.is_dir() else file
    verdict = run_check(repository_of(context), path, image=image, scratch=Scratch(state), say=say)
    if report:
        write_json(report, verdict.as_json())
    if page:
        add_text(page, verdict.as_markdown())
    if as_json:
        print_json(verdict.as_json())
    else:
        for note in verdict.notes:
            click.echo(f"note {note}")
        if verdict.forecast:
            click.echo("about what the tracks will take, judged by this machine:")
        for f in verdict.forecast:
            memory = "" if f.memory_mb is None else f", {f.memory_mb:,.0f} of {f.limit_mb:,.0f} MB"
            click.echo(f"     {f.track}: {duration(f.seconds)} of {duration(f.limit_seconds)}{memory}")
        if verdict.log and not verdict.passed:
            click.echo("---- what the container printed, last lines\n" + verdict.log + "\n----")
        for problem in verdict.problems:
            click.echo(f"FAIL {problem}", err=True)
        click.echo(f"{verdict.submission}: {'PASSED' if verdict.passed else f'FAILED ({verdict.code})'}")
    sys.exit(0 if verdict.passed else 1)


def _only_yaml(folder: Path) -> Path:
    found = sorted(folder.glob("*.yaml"))
    if len(found) != 1:
        raise click.UsageError(f"The folder has {len(found)} .yaml files; name one: apb check FILE.yaml")
    return found[0]


@app.command(
    cls=Command,
    examples="apb evaluate --all --hidden /srv/hidden --summary summary.md\n"
    "apb evaluate --all --hidden /srv/hidden --dry-run\n"
    "apb evaluate net-charge random --hidden /srv/hidden --tracks jain,shehata --jobs 4\n"
    "apb evaluate --all --hidden /srv/hidden --executor dask --slurm slurm.yaml",
)
@click.argument("ids", nargs=-1)
@click.option("--all", "everything", is_flag=True, help="Look at every submission.  [default, where no ID is given]")
@click.option(
    "--hidden", type=FOLDER, required=True, envvar="APB_HIDDEN", show_envvar=True,
    help="Folder with <track>/sequences.csv and <track>/labels.csv.",
)  # fmt: skip
@click.option("--tracks", default="", help="Comma-separated tracks.  [default: every benchmark track]")
@click.option(
    "--jobs", type=click.IntRange(1, 256), default=1, show_default=True, help="Runs at a time, on this machine."
)
@click.option(
    "--executor", type=click.Choice(["local", "dask"]), default="local", show_default=True, envvar="APB_EXECUTOR",
    help="Run here, or on workers: --workers, --scheduler or --slurm; without these on two workers here.",
)  # fmt: skip
@click.option("--workers", type=click.IntRange(1, 256), help="dask: so many worker processes on this machine.")
@click.option(
    "--scheduler", metavar="ADDRESS", envvar="APB_SCHEDULER",
    help="dask: the workers of a running cluster, tls://HOST:PORT.",
)  # fmt: skip
@click.option(
    "--slurm", type=FILE, envvar="APB_SLURM", help="dask: jobs of SLURM, as this YAML file says (docs/cluster.md)."
)
@click.option(
    "--tls", type=FOLDER, envvar="APB_TLS", help="With --scheduler: folder with ca.pem, cert.pem and key.pem."
)
@click.option("--insecure", is_flag=True, help="With --scheduler: speak to a tcp:// address, without encryption.")
@click.option(
    "--images", type=FOLDER, envvar="APB_IMAGES", help="dask: folder that all machines see, for tars of our own images."
)
@click.option(
    "--patience", type=click.FloatRange(0), metavar="SECONDS",
    help="dask: give up after so long without any worker.  [default: 300; with --slurm never]",
)  # fmt: skip
@click.option("--force", is_flag=True, help="Run again what has not changed.")
@click.option("--dry-run", is_flag=True, help="Print what would be run as JSON, and run nothing.")
@click.option(
    "--summary", "page", type=FILE, envvar="GITHUB_STEP_SUMMARY", help="Add a summary in markdown to this file."
)
@click.option(
    "--state", type=FOLDER, envvar="APB_STATE", help="Private state: predictions, logs, ledger.  [default: <root>/.apb]"
)
@click.option("--submissions", type=FOLDER, help="[default: <root>/submissions]")
@click.option("--results", type=FOLDER, help="[default: <root>/leaderboard/results]")
@click.option(
    "--unsandboxed", type=FOLDER, metavar="CONTEXTS", help="No engine: run only reference models, as plain processes."
)
@click.option("--runtime", help="OCI runtime of the engine, such as runsc.  [default: the engine's]")
@click.option("--json", "as_json", is_flag=True, help="Print the summary as one JSON object.")
@click.pass_context
def evaluate(
    context: click.Context,
    ids: tuple[str, ...],
    everything: bool,
    hidden: Path,
    tracks: str,
    jobs: int,
    executor: str,
    workers: int | None,
    scheduler: str | None,
    slurm: Path | None,
    tls: Path | None,
    insecure: bool,
    images: Path | None,
    patience: float | None,
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
    where something is left undone because of this machine.
    """
    from evaluator.commands.progress import ProgressLines
    from evaluator.rounds import round as rounds
    from evaluator.rounds.job import Job
    from evaluator.store.results import Results
    from evaluator.store.state import State

    if everything and ids:
        raise click.UsageError("Name submissions, or --all, not both.")
    repository = repository_of(context)
    job = Job(
        repository, hidden, submissions or repository.submissions, Results(results or repository.results),
        State(state or repository.root / ".apb"), ids=ids, track_ids=[t for t in tracks.split(",") if t], force=force,
        unsandboxed=unsandboxed, runtime=runtime,
    )  # fmt: skip
    with ProgressLines().shown() as progress:
        if dry_run:
            plan = rounds.dry_run(job, progress)
            print_json(plan.as_json())
            sys.exit(3 if plan.ours else 0)
        machinery = machinery_of(
            job, executor, jobs, workers=workers, scheduler=scheduler, slurm=slurm, tls=tls, insecure=insecure,
            images=images, patience=patience,
        )  # fmt: skip
        summary = rounds.evaluate(job, progress, machinery)
    if page:
        add_text(page, summary.as_markdown())
    if as_json:
        print_json({**vars(summary), "exit_code": summary.exit_code})
    else:
        click.echo(str(summary))
        for name, reason in [*summary.failed.items(), *summary.ours.items()]:
            click.echo(f"  {printable(name, 150)}: {printable(reason, 300)}")
        if summary.rescoring:
            click.echo(f"what rescoring changed: {summary.rescoring}")
    sys.exit(summary.exit_code)


@app.command(
    cls=Command,
    examples="apb score predictions.csv --labels labels.csv\n"
    "apb score predictions.csv.gz --labels labels.csv.gz --json",
)
@click.argument("predictions", type=FILE)
@click.option("--labels", type=FILE, required=True, help="CSV with sequence_id,label (0/1) or sequence_id,target.")
@click.option("--level", type=LEVEL, default=0.95, show_default=True, help="Of the intervals.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def score(predictions: Path, labels: Path, level: float, as_json: bool) -> None:
    """Score one predictions file on its own (.csv or .csv.gz).

    A column `family` in the labels says which rows belong together; intervals then allow for that.
    """
    from evaluator.scoring.files import as_text, score_files

    scores, table = score_files(predictions, labels, level)
    for note in table.notes:
        click.echo(f"note {note}", err=True)
    if as_json:
        print_json(scores.as_json())
    else:
        click.echo(as_text(scores, level))


@app.command(cls=Command, examples="apb publish\napb publish --out /tmp/site")
@click.option("--out", type=FOLDER, help="[default: <root>/leaderboard/site]")
@click.option("--submissions", type=FOLDER, help="[default: <root>/submissions]")
@click.option("--results", type=FOLDER, help="[default: <root>/leaderboard/results]")
@click.pass_context
def publish(context: click.Context, out: Path | None, submissions: Path | None, results: Path | None) -> None:
    """Build the website and its data files from the records."""
    from leaderboard.build import build

    repository = repository_of(context)
    site = build(
        repository, submissions=submissions or repository.submissions, results=results or repository.results,
        out=out or repository.site,
    )  # fmt: skip
    click.echo(f"{site.pages} pages, {site.entries} entries, {site.records} records: {site.index}")


@app.command(cls=Command, examples="apb verify\napb verify --hidden /srv/hidden --state /srv/state --json")
@click.option("--site", type=FOLDER, help="A built site to compare with.  [default: <root>/leaderboard/site, if there]")
@click.option("--hidden", type=FOLDER, help="Hidden data: metrics are computed again from kept predictions.")
@click.option("--state", type=FOLDER, envvar="APB_STATE", help="Private state.  [default: <root>/.apb]")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON list.")
@click.pass_context
def verify(context: click.Context, site: Path | None, hidden: Path | None, state: Path | None, as_json: bool) -> None:
    """Check every record against its schema and the hash chain, and the site's data against the records.

    Also says what cannot be verified. Exit status 3 where something does not hold.
    """
    from evaluator.integrity.verify import verify as look
    from evaluator.store.state import State
    from leaderboard.build import build

    repository = repository_of(context)

    def rebuild(out: Path) -> None:
        build(repository, submissions=repository.submissions, results=repository.results, out=out)

    built = site or (repository.site if repository.site.is_dir() else None)
    private = State(state or repository.root / ".apb")
    checks = list(look(repository, site=built, rebuild=rebuild, hidden=hidden, state=private))
    if as_json:
        print_json([vars(c) for c in checks])
    else:
        for check in checks:
            click.echo(f"{check.level:<9}{printable(check.what, 1000)}")
    sys.exit(3 if any(c.level == "FAIL" for c in checks) else 0)


for command in (gate, report, intake, commit, sign, compare, fetch, prepare, doctor, worker, status, plan):
    app.add_command(command)


def _terminated(_signal: int, _frame: Any) -> NoReturn:
    raise SystemExit(143)  # unwinds like Ctrl-C: containers are removed on the way out


def main() -> NoReturn:
    """Run `apb`; the one place where errors become messages."""
    signal.signal(signal.SIGTERM, _terminated)
    try:
        app.main(standalone_mode=False)
    except click.exceptions.Abort:
        click.echo("stopped", err=True)
        sys.exit(130)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except BenchmarkError as error:
        click.echo(f"apb: {printable(str(error), 4000, keep=chr(10))}", err=True)
        sys.exit(error.exit_code)
    sys.exit(0)
