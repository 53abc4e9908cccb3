"""The command of `apb-zoo` for retrieval over models."""

from __future__ import annotations

from functools import partial

import click

from baselines.errors import DataError


@click.command(
    context_settings={"ignore_unknown_options": True},
    epilog="\b\nExample:\n  apb-zoo retrieval preset=report data.train=data/boughter_vh.csv\n"
    "  apb-zoo retrieval preset=small preset.training.num_epochs=20 out=reports/try",
)
@click.argument("overrides", nargs=-1, metavar="[KEY=VALUE]...")
def retrieval(overrides: tuple[str, ...]) -> None:
    """Find models of the same task by their weights or behaviour; writes <out>/retrieval.md, .json and plots.

    Hundreds of small networks are trained on tasks made from antibodies, and encoders of their weights compared: an
    equivariant graph network, transformers, principal components, and more, beside controls. Presets are report, brief
    and small; any value can be given: preset.models=, preset.training.hidden_dim=, data.train=, out=, seed=, jobs=.
    Stopped, it goes on where it was.
    """
    if flags := [o for o in overrides if o.startswith("-")]:
        raise click.UsageError(f"There is no option {flags[0]}. Write preset=, data.train=, out=, seed=, jobs=.")
    try:
        from baselines.similarity import configuration
    except ImportError as error:
        raise DataError(f"The extra 'baselines' is not installed: pip install '.[baselines]' ({error})") from error
    config = configuration.composed(overrides)
    from baselines.similarity import report  # after what is quickly told: torch takes seconds

    say = partial(click.echo, err=True)
    path = report.written(config, say)
    click.echo(path.read_text(encoding="utf-8"))
    say(str(path))
