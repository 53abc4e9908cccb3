"""Commands of `apb-zoo` for few-shot models."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import click

from baselines.errors import DataError


@click.command(
    "meta-train",
    context_settings={"ignore_unknown_options": True},
    epilog="\b\nExample:\n  apb-zoo meta-train preset=sparse-cpu preset.cpu_seconds=300\n"
    "  apb-zoo meta-train preset=reptile preset.cpu_seconds=null preset.steps=2000 seed=3",
)
@click.argument("overrides", nargs=-1, metavar="[KEY=VALUE]...")
def meta_train(overrides: tuple[str, ...]) -> None:
    """Meta-train a few-shot model on made-up landscapes and panels; writes <out>/<preset>/, nothing in it can run.

    Presets are sparse-cpu, reptile, metalic, metalic_code and tiny-dense; any value can be given: preset.layers=2,
    preset.steps=, preset.cpu_seconds=, tasks.panels=0, out=, seed=, threads=. Killed, it goes on where it was.
    """
    if flags := [o for o in overrides if o.startswith("-")]:
        raise click.UsageError(f"There is no option {flags[0]}. Write preset=, preset.steps=, out=, seed=.")
    try:
        from baselines.few_shot.meta import configuration, training
    except ImportError as error:
        raise DataError(f"The extra 'baselines' is not installed: pip install '.[baselines]' ({error})") from error
    folder = training.train(configuration.composed(overrides), partial(click.echo, err=True))
    click.echo(folder)


@click.command(
    "few-shot-report",
    epilog="\b\nExample:\n  apb-zoo few-shot-report models/few_shot/sparse-cpu models/few_shot/reptile",
)
@click.argument("models", nargs=-1, type=click.Path(file_okay=False, path_type=Path))
@click.option("--tasks", "count", type=click.IntRange(2), default=100, show_default=True, help="Of each kind.")
@click.option(
    *("--kind", "kinds"),
    type=click.Choice(["single", "multiple", "combinations", "panels"]),
    multiple=True,
    default=["single", "multiple"],
    show_default=True,
)
def few_shot_report(models: tuple[Path, ...], count: int, kinds: tuple[str, ...]) -> None:
    """Compare meta-trained models with the simple ones on made-up tasks that none of them has seen."""
    from baselines.few_shot.meta import report

    found = report.compared(report.methods(models), count, kinds, say=partial(click.echo, err=True))
    click.echo(report.table(found))
