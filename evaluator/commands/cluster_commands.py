"""Commands for rounds on many machines: a worker, how a round goes, and how large one will be."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from evaluator.commands.options import FOLDER, Command, print_json, repository_of
from evaluator.errors import EvaluatorError, UsageError
from evaluator.text import printable

ONCE_SECONDS = 30.0

if TYPE_CHECKING:
    from evaluator.rounds.job import Job
    from evaluator.rounds.machinery import Machinery


@contextmanager
def _cluster_libraries() -> Iterator[None]:
    try:
        yield
    except ImportError as error:
        raise EvaluatorError(f"This needs libraries: {error}.", "pip install -e '.[cluster]'") from error


def machinery_of(job: Job, executor: str, jobs: int, **options: Any) -> Machinery:
    """What the options of `apb evaluate` name: this machine, or workers.

    Args:
        options: of `fleet.Options`, but `slurm` is a file.

    Raises:
        UsageError: options that contradict each other, or no encryption.
        EvaluatorError: the libraries for it are not installed.
    """
    from evaluator.rounds.machinery import Here

    given = {name: value for name, value in options.items() if value not in (None, False)}
    sources = [name for name in ("workers", "scheduler", "slurm") if name in given]
    if executor == "local":
        if given:
            raise UsageError(f"--{next(iter(given))} needs --executor dask.")
        return Here(job, jobs)
    if len(sources) > 1:
        raise UsageError(f"Name one of {', '.join(f'--{name}' for name in sources)}.")
    if jobs != 1 or job.unsandboxed:
        raise UsageError(
            f"{'--unsandboxed' if job.unsandboxed else '--jobs'} is for this machine, not for --executor dask."
        )
    if ("tls" in given or "insecure" in given) and "scheduler" not in given:
        raise UsageError("--tls and --insecure are for --scheduler; other connections have certificates of their own.")
    with _cluster_libraries():
        from evaluator.cluster import fleet, slurm
    if "slurm" in given:
        given["slurm"] = slurm.load(given["slurm"])
    return fleet.Fleet(job, fleet.Options(**(given if sources else {**given, "workers": 2})))


@click.command(
    cls=Command,
    examples="apb worker tls://head:8786 --tls certificates\n"
    "apb worker tls://head:8786 --tls certificates --slots 4 --memory-gb 120",
)
@click.argument("address")
@click.option("--tls", type=FOLDER, help="Folder with ca.pem, cert.pem and key.pem.")
@click.option("--tls-ca-file", "ca", hidden=True)
@click.option("--tls-cert", "cert", hidden=True)
@click.option("--tls-key", "key", hidden=True)
@click.option("--insecure", is_flag=True, help="Speak to a tcp:// address, without encryption.")
@click.option("--slots", type=click.IntRange(1, 256), help="Tasks at a time.  [default: one per GPU, at least 1]")
@click.option("--memory-gb", type=click.FloatRange(0, min_open=True), help="For all tasks.  [default: the machine's]")
@click.option(
    "--cpus", type=click.FloatRange(0, min_open=True), help="Cores per task at most.  [default: the machine's]"
)
@click.option("--gpus", type=click.IntRange(0), help="GPUs for all tasks, one each.  [default: all that are visible]")
@click.option("--images", type=FOLDER, help="Folder with tars of the benchmark's own images.")
@click.option(
    "--state", type=FOLDER, help="Folder on a local disk for inputs of runs.  [default: in the temporary one]"
)
@click.option("--host", help="Address by which others reach this machine.  [default: found out]")
@click.option("--ports", metavar="FIRST:LAST", help="Where others reach it.  [default: any]")
@click.option("--runtime", help="OCI runtime that rounds will ask for, such as runsc: is it here?")
@click.option("--once", is_flag=True, help="End when the scheduler goes, instead of waiting for it to come back.")
@click.option("--death-timeout", type=float, hidden=True)
@click.option("--walltime", type=float, hidden=True)
@click.option("--name", hidden=True)
@click.option(  # dask-jobqueue says these to every worker; ours knows better
    "--nthreads",
    "--memory-limit",
    "--protocol",
    "--interface",
    "--local-directory",
    "_ignored",
    multiple=True,
    hidden=True,
)
def worker(
    address: str,
    tls: Path | None,
    ca: str | None,
    cert: str | None,
    key: str | None,
    insecure: bool,
    slots: int | None,
    memory_gb: float | None,
    cpus: float | None,
    gpus: int | None,
    images: Path | None,
    state: Path | None,
    host: str | None,
    ports: str | None,
    runtime: str | None,
    once: bool,
    death_timeout: float | None,
    walltime: float | None,
    name: str | None,
    _ignored: tuple[str, ...],
) -> None:
    """Offer this machine to the scheduler at ADDRESS, after a look at whether it is fit.

    It works for every round of that scheduler until it is stopped, and never sees a label.
    """
    from evaluator.running.doctor import require_fit
    from evaluator.running.hardware import granted

    with _cluster_libraries():
        from evaluator.cluster.certificates import security, security_of
        from evaluator.cluster.worker import Station, default_state, serve

    certificates = security(ca, cert, key) if ca and cert and key else security_of(tls, address, insecure=insecure)
    require_fit(runtime)
    folder = state or default_state()
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    station = Station(
        address=address, security=certificates, slots=slots or max(len(granted()[:gpus]), 1), state=folder.resolve(),
        memory_gb=memory_gb, cpus=cpus, gpus=gpus, tars=images, name=name,
        once=ONCE_SECONDS if once and death_timeout is None else death_timeout,
        until=None if walltime is None else time.time() + walltime, host=host, ports=ports,
    )  # fmt: skip
    click.echo(f"{station.slots} at a time for {address}; Ctrl-C ends it", err=True)
    if not serve(station, lambda line: click.echo(printable(line, 500), err=True)):
        raise EvaluatorError(
            f"No scheduler answered at {address}.", "Is it there, and does it have the same certificates?"
        )


@click.command(cls=Command, examples="apb status\napb status --state /srv/state --json")
@click.option("--state", type=FOLDER, envvar="APB_STATE", help="The round's private state.  [default: <root>/.apb]")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.pass_context
def status(context: click.Context, state: Path | None, as_json: bool) -> None:
    """How is the round going, or how did the last one end? Exit status 3 where it was cut short."""
    from evaluator.rounds.watch import as_text, last_round
    from evaluator.store.state import State

    found = last_round(State(state or repository_of(context).root / ".apb"))
    if as_json:
        print_json(found)
    else:
        click.echo(printable(as_text(found), 100_000, keep="\n"))
    sys.exit(3 if found["cut_short"] else 0)


@click.command(
    cls=Command,
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
@click.option("--tracks", default="", help="Comma-separated tracks.  [default: every benchmark track]")
@click.option("--state", type=FOLDER, envvar="APB_STATE", help="Private state.  [default: <root>/.apb]")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.pass_context
def plan(
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
    repository = repository_of(context)
    wanted = [t for t in tracks.split(",") if t]
    if entries is None:
        assert hidden is not None
        job = Job(
            repository, hidden, repository.submissions, Results(repository.results),
            State(state or repository.root / ".apb"), track_ids=wanted,
        )  # fmt: skip
        size = sizing.of_due(job, seconds_per_1000)
    else:
        size = sizing.of_new(repository, wanted, entries, seconds_per_1000, gpu=gpu)
    counts = [workers] if workers else [1, 2, 4, 8, 16, 32, 64]
    if as_json:
        print_json(size.as_json(counts))
    else:
        click.echo(printable(size.as_text(counts), 100_000, keep="\n"))
