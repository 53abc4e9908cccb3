"""Where a round runs: the options of `apb evaluate` that say it, and what they come to."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from evaluator.commands.options import FILE, FOLDER, gathered
from evaluator.errors import EvaluatorError, UsageError

if TYPE_CHECKING:
    from evaluator.rounds.job import Job
    from evaluator.rounds.machinery import Machinery


@contextmanager
def cluster_libraries() -> Iterator[None]:
    """What needs Dask says so where it is not installed.

    Raises:
        EvaluatorError: with how to install it.
    """
    try:
        yield
    except ImportError as error:
        raise EvaluatorError(f"This needs libraries: {error}.", "pip install -e '.[cluster]'") from error


@dataclass(frozen=True)
class Where:
    """This machine, or workers; what each means stands in the options' help."""

    jobs: int
    executor: str
    workers: int | None
    scheduler: str | None
    slurm: Path | None
    tls: Path | None
    insecure: bool
    images: Path | None
    patience: float | None

    def machinery(self, job: Job) -> Machinery:
        """What runs the images.

        Raises:
            UsageError: options that contradict each other, or no encryption.
            EvaluatorError: the libraries for it are not installed.
        """
        given = {n: v for n, v in vars(self).items() if n not in ("jobs", "executor") and v not in (None, False)}
        if self.executor == "local":
            if given:
                raise UsageError(f"--{next(iter(given))} needs --executor dask.")
            from evaluator.rounds.machinery import Here

            return Here(job, self.jobs)
        self._require_one_cluster(job, given)
        with cluster_libraries():
            from evaluator.cluster import fleet, slurm
        options = fleet.Options(
            workers=self.workers or (0 if self.scheduler or self.slurm else 2),
            scheduler=self.scheduler or "",
            slurm=slurm.load(self.slurm) if self.slurm else None,
            tls=self.tls,
            insecure=self.insecure,
            images=self.images,
            patience=self.patience,
        )
        return fleet.Fleet(job, options)

    def _require_one_cluster(self, job: Job, given: dict[str, object]) -> None:
        sources = [name for name in ("workers", "scheduler", "slurm") if name in given]
        if len(sources) > 1:
            raise UsageError(f"Name one of {', '.join(f'--{name}' for name in sources)}.")
        if self.jobs != 1 or job.unsandboxed:
            what = "--unsandboxed" if job.unsandboxed else "--jobs"
            raise UsageError(f"{what} is for this machine, not for --executor dask.")
        if ("tls" in given or "insecure" in given) and "scheduler" not in given:
            raise UsageError(
                "--tls and --insecure are for --scheduler; other connections have certificates of their own."
            )


WHERE = gathered(
    "where",
    Where,
    click.option(
        "--jobs", type=click.IntRange(1, 256), default=1, show_default=True, help="Runs at a time, on this machine."
    ),
    click.option(
        "--executor",
        type=click.Choice(["local", "dask"]),
        default="local",
        show_default=True,
        envvar="APB_EXECUTOR",
        help="Run here, or on workers: --workers, --scheduler or --slurm; without these on two workers here.",
    ),
    click.option("--workers", type=click.IntRange(1, 256), help="dask: so many worker processes on this machine."),
    click.option(
        "--scheduler",
        metavar="ADDRESS",
        envvar="APB_SCHEDULER",
        help="dask: the workers of a running cluster, tls://HOST:PORT.",
    ),
    click.option(
        "--slurm", type=FILE, envvar="APB_SLURM", help="dask: jobs of SLURM, as this YAML file says (docs/cluster.md)."
    ),
    click.option(
        "--tls", type=FOLDER, envvar="APB_TLS", help="With --scheduler: folder with ca.pem, cert.pem and key.pem."
    ),
    click.option("--insecure", is_flag=True, help="With --scheduler: speak to a tcp:// address, without encryption."),
    click.option(
        "--images",
        type=FOLDER,
        envvar="APB_IMAGES",
        help="dask: folder that all machines see, for tars of our own images.",
    ),
    click.option(
        "--patience",
        type=click.FloatRange(0),
        metavar="SECONDS",
        help="dask: give up after so long without any worker.  [default: 300; with --slurm never]",
    ),
)
