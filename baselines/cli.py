"""The command line of the reference models."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import NoReturn

import click

from baselines.data import SOURCES, DataError
from baselines.package import DEFAULT_BASE, PackageError

FOLDER = click.Path(file_okay=False, path_type=Path)
FILE = click.Path(dir_okay=False, path_type=Path)


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
def app() -> None:
    """Reference models: fetch training data, train, and package as images that enter the benchmark.

    \b
    Examples:
      apb-zoo fetch boughter --out data/boughter_vh.csv
      apb-zoo train --backbone composition --head logreg --data data/boughter_vh.csv
      apb-zoo package composition-logreg --model models/composition/logreg/model.json
    """


@app.command()
@click.argument("name", type=click.Choice(sorted(SOURCES)))
@click.option("--out", type=FILE, help="[default: data/<name>_vh.csv]")
@click.option("--from", "local", type=FILE, help="A local copy, as published or as this command writes it.")
def fetch(name: str, out: Path | None, local: Path | None) -> None:
    """Download a public training set and check its hash."""
    from baselines.data import fetch as run

    target = run(name, out or Path("data") / f"{name}_vh.csv", local)
    click.echo(f"{target}: verified; cite {SOURCES[name].citation}")


@app.command()
@click.option("--out", type=FILE, required=True, help="Where to write sequence_id,sequence,label.")
@click.option("--n", type=click.IntRange(20, 1_000_000), default=400, show_default=True)
@click.option("--seed", type=int, default=1, show_default=True)
def synthetic(out: Path, n: int, seed: int) -> None:
    """Make a synthetic training set: it looks like antibodies and says nothing about them."""
    from baselines.synthetic import antibodies

    out.parent.mkdir(parents=True, exist_ok=True)
    antibodies(n, seed).to_csv(out, index=False, lineterminator="\n")
    click.echo(f"{out}: {n} synthetic sequences")


@app.command()
@click.option("--backbone", type=click.Choice(["composition"]), default="composition", show_default=True)
@click.option("--head", type=click.Choice(["logreg"]), default="logreg", show_default=True)
@click.option("--data", type=FILE, required=True, help="CSV with the columns sequence,label.")
@click.option(
    "--out", type=FOLDER, default=Path("models"), show_default=True, help="Writes <out>/<backbone>/<head>/model.json."
)
def train(backbone: str, head: str, data: Path, out: Path) -> None:
    """Train a reference model; what is stored is numbers in JSON, nothing that can run."""
    from baselines.data import read_training_set
    from baselines.train import TRAINERS, save

    model = TRAINERS[backbone, head](read_training_set(data))
    path = save(model, out / backbone / head / "model.json")
    training = model["training"]
    click.echo(
        f"{path}: {training['n']} sequences of '{training['set']}', 10-fold ROC-AUC {training['cv_roc_auc_10_fold']}"
    )


@app.command()
@click.argument("name")
@click.option("--model", type=FILE, help="The trained model, for images that need one.")
@click.option("--base-image", default=DEFAULT_BASE, show_default=True, help="A Debian-like image with Python 3.")
@click.option(
    "--context", type=FOLDER, default=Path("build/images"), show_default=True, help="Where the files are gathered."
)
@click.option("--submissions", type=FOLDER, help="Also write <name>.yaml here.")
@click.option("--no-build", is_flag=True, help="Only gather the files.")
def package(
    name: str, model: Path | None, base_image: str, context: Path, submissions: Path | None, no_build: bool
) -> None:
    """Build a reference image apb/<name>:<version> in the local engine."""
    from baselines.package import build, lay_out, submission

    folder = lay_out(name, context, model)
    if submissions:
        submissions.mkdir(parents=True, exist_ok=True)
        (submissions / f"{name}.yaml").write_text(submission(name, folder), encoding="utf-8")
    click.echo(f"{folder} laid out" if no_build else f"{build(folder, base_image)} built")


def main() -> NoReturn:
    """Run `apb-zoo`."""
    try:
        app.main(standalone_mode=False)
    except click.exceptions.Abort:
        sys.exit(130)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except DataError as error:
        click.echo(f"apb-zoo: {error}", err=True)
        sys.exit(1)
    except PackageError as error:
        click.echo(f"apb-zoo: {error}", err=True)
        sys.exit(3)
    sys.exit(0)
