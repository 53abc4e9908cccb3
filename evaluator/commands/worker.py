"""`apb worker`: a machine that offers itself."""

from __future__ import annotations

import time
from pathlib import Path

import click

from evaluator.commands.options import FOLDER, Command, For
from evaluator.commands.where import cluster_libraries
from evaluator.errors import EvaluatorError
from evaluator.text import printable

ONCE_SECONDS = 30.0
"""With --once: how long a scheduler is waited for."""


@click.command(
    cls=Command,
    group=For.CLUSTER,
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
def command(
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

    with cluster_libraries():
        from evaluator.cluster.certificates import security, security_of
        from evaluator.cluster.worker import Station, default_state, serve

    certificates = security(ca, cert, key) if ca and cert and key else security_of(tls, address, insecure=insecure)
    require_fit(runtime)
    folder = state or default_state()
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    station = Station(
        address=address,
        security=certificates,
        slots=slots or max(len(granted()[:gpus]), 1),
        state=folder.resolve(),
        memory_gb=memory_gb,
        cpus=cpus,
        gpus=gpus,
        tars=images,
        name=name,
        once=ONCE_SECONDS if once and death_timeout is None else death_timeout,
        until=None if walltime is None else time.time() + walltime,
        host=host,
        ports=ports,
    )
    click.echo(f"{station.slots} at a time for {address}; Ctrl-C ends it", err=True)
    if not serve(station, lambda line: click.echo(printable(line, 500), err=True)):
        raise EvaluatorError(
            f"No scheduler answered at {address}.", "Is it there, and does it have the same certificates?"
        )
