"""The command line of the reference models."""

from __future__ import annotations

import os
import shutil
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import click

from baselines.catalogue.commands import recommend, stats
from baselines.errors import DataError
from baselines.few_shot.meta.commands import few_shot_report, meta_train
from baselines.package import DEFAULT_BASE, PackageError
from baselines.similarity.commands import retrieval
from baselines.training.data import SOURCES

if TYPE_CHECKING:
    from baselines.backbones.embedder import Precision

FOLDER = click.Path(file_okay=False, path_type=Path)
FILE = click.Path(dir_okay=False, path_type=Path)


def _example(line: str) -> str:
    """The end of a command's help, kept as written."""
    return f"\b\nExample:\n  {line}"


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
def app() -> None:
    """Reference models: fetch training data, train, and package as images that enter the benchmark.

    \b
    Examples:
      apb-zoo fetch boughter --out data/boughter_vh.csv
      apb-zoo fetch-weights antiberty
      apb-zoo train model=antiberty classifier=svm
      apb-zoo train --multirun model=composition,antiberty classifier=logreg,svm data.test=[hidden/jain]
      apb-zoo package antiberty svm --model models/checkpoints/antiberty/svm
    """


@app.command(epilog=_example("apb-zoo fetch boughter --out data/boughter_vh.csv"))
@click.argument("name", type=click.Choice(sorted(SOURCES)))
@click.option("--out", type=FILE, help="[default: data/<name>_vh.csv]")
@click.option("--from", "local", type=FILE, help="A local copy, as published or as this command writes it.")
def fetch(name: str, out: Path | None, local: Path | None) -> None:
    """Download a public training set and check its hash."""
    from baselines.training.data import fetch as run

    target = run(name, out or Path("data") / f"{name}_vh.csv", local)
    click.echo(f"{target}: verified; cite {SOURCES[name].citation}")


@app.command(epilog=_example("apb-zoo synthetic --out train.csv --n 200"))
@click.option("--out", type=FILE, required=True, help="Where to write sequence_id,sequence,label.")
@click.option("--n", type=click.IntRange(20, 1_000_000), default=400, show_default=True)
@click.option("--seed", type=int, default=1, show_default=True)
def synthetic(out: Path, n: int, seed: int) -> None:
    """Make a synthetic training set: it looks like antibodies and says nothing about them."""
    from baselines.training.synthetic import antibodies

    out.parent.mkdir(parents=True, exist_ok=True)
    antibodies(n, seed).to_csv(out, index=False, lineterminator="\n")
    click.echo(f"{out}: {n} synthetic sequences")


@app.command(epilog=_example("apb-zoo fetch-weights antiberty"))
@click.argument("name", type=click.Choice(["antiberty", "sapiens"]))
@click.option("--to", "folder", type=FOLDER, help="[default: APB_WEIGHTS, else ~/.cache/apb-zoo/weights]")
@click.option("--from", "wheel", type=FILE, help="A copy of the package's wheel; nothing is downloaded then.")
def fetch_weights(name: str, folder: Path | None, wheel: Path | None) -> None:
    """Take an antibody language model's weights out of its package on PyPI; the package is not installed.

    Its hash is checked, and nothing that it holds is run.
    """
    _require_extra()
    from baselines.backbones.wheels import PACKAGES
    from baselines.backbones.wheels import fetch as run

    package = PACKAGES[name]
    for path in run(name, folder, wheel):
        click.echo(f"{path}: verified, {package.licence}; cite {package.citation}")


OUT = click.option("--out", type=FOLDER, default=Path("models"), show_default=True, help="Where everything goes.")
PRECISION = click.option("--precision", type=click.Choice(["fp32", "bf16", "fp16"]), default="fp32", show_default=True)
DEVICE = click.option("--device", type=click.Choice(["auto", "cpu", "cuda"]), default="auto", show_default=True)
CACHE = click.option("--cache", type=FOLDER, help="Keep embeddings in this folder.")
MISSING = "The extra 'baselines' is not installed: pip install '.[baselines]'"


@app.command(
    context_settings={"ignore_unknown_options": True},
    epilog=_example(
        "apb-zoo train model=antiberty classifier=svm classifier.C=3 data.train=data/boughter_vh.csv\n"
        "  apb-zoo train --multirun model=composition,antiberty classifier=logreg,svm data.test=[hidden/jain]"
    ),
)
@click.argument("overrides", nargs=-1, metavar="[KEY=VALUE]...")
@click.option("--multirun", "-m", is_flag=True, help="Train the cross product of values like a,b, and compare.")
@click.option("--config-dir", "own", type=FOLDER, help="A folder with groups of one's own, such as model/mine.yaml.")
def train(overrides: tuple[str, ...], own: Path | None, multirun: bool) -> None:
    """Cross-validate and train a head; writes <out>/checkpoints/<backbone>/<head>/, nothing in it can run.

    Hydra composes what is trained: model=, classifier= and data= choose a file of the group, and any value can be
    given: classifier.C=0.01, classifier.tune=true, data.train=, data.test=[...], out=, cache=, seed=, device=.
    Heads are trained one after the other, or by sweep=processes or sweep=slurm, sweep.jobs of them at a time.
    Folds are made twice: stratified, and so that near copies stay on one side. What is finished is kept.
    """
    if flags := [o for o in overrides if o.startswith("-")]:
        raise click.UsageError(
            f"There is no option {flags[0]}. Write model=, classifier=, data.train=, data.test=[...]."
        )
    try:
        from baselines.training import configuration
    except ImportError as error:
        raise DataError(f"{MISSING} ({error})") from error
    configs = configuration.sweep(overrides, own) if multirun else [configuration.composed(overrides, own)]
    for config in configs:
        configuration.require_files(config)
    if not multirun and configs[0].sweep.launcher != "serial":
        raise DataError(f"sweep={configs[0].sweep.launcher} is for many heads: add --multirun.")
    _require_extra()  # after what is quickly told: it takes seconds
    from baselines.training import sweep as sweeps

    if multirun:
        done = sweeps.sweep(configs, say=click.echo)
        if len(done.table):
            click.echo((Path(configs[0].out) / "comparison.md").read_text(encoding="utf-8"))
        if done.failed:
            raise DataError(f"{len(done.failed)} of {len(configs)} failed: {', '.join(done.failed)}.")
        return
    for line in sweeps.alone(configs[0], say=partial(click.echo, err=True)):
        click.echo(line)


@app.command(epilog=_example("apb-zoo test --model models/checkpoints/esm1v/logreg --test hidden/jain"))
@click.option("--model", type=FOLDER, required=True, help="A folder that apb-zoo train wrote.")
@click.option(
    "--test", "tests", type=click.Path(path_type=Path), multiple=True, required=True, help="A CSV, or a folder."
)
@OUT
@click.option("--backbone", default="", help="Where the backbone's weights are.  [default: by the model's metadata]")
@DEVICE
@CACHE
def test(model: Path, tests: tuple[Path, ...], out: Path, backbone: str, device: str, cache: Path | None) -> None:
    """Score datasets; writes <out>/benchmarks/<backbone>/<head>/<dataset>/."""
    _require_extra()
    from baselines.predicting import store
    from baselines.training.data import read_dataset
    from baselines.training.test import test as run

    trained = store.load(model)
    features = store.features_of(trained, backbone, device=device, cache=cache)
    for path in tests:
        dataset = read_dataset(path)
        found = run(trained, features.seen(dataset.sequences, dataset.light, progress=True), dataset, out)
        click.echo(f"{dataset.name}: " + ", ".join(f"{k} {_shown(v)}" for k, v in found.items()))


@app.command(epilog=_example("apb-zoo report --board leaderboard/results --to docs/model-zoo.md"))
@OUT
@click.option("--board", type=FOLDER, help="Records of a board: net charge and published predictions stand beside.")
@click.option("--to", "target", type=FILE, help="[default: <out>/report.md]")
def report(out: Path, board: Path | None, target: Path | None) -> None:
    """All trained models on one page: cross-validation, families left out, and every test set, with intervals."""
    _require_extra()
    from baselines.training.report import text

    path = target or out / "report.md"
    path.write_text(text(out, board), encoding="utf-8")
    click.echo(path)


@app.command(epilog=_example("apb-zoo predict --model models/checkpoints/esm1v/logreg --input in.csv --output out.csv"))
@click.option("--model", type=FOLDER, required=True, help="A folder that apb-zoo train wrote.")
@click.option(
    "--input", "source", type=FILE, envvar="INPUT", required=True, help="CSV with sequence_id,sequence, or FASTA."
)
@click.option("--output", "target", type=FILE, envvar="OUTPUT", required=True, help="Gets predictions and scores.")
@click.option("--backbone", default="", help="Where the backbone's weights are.  [default: by the model's metadata]")
def predict(model: Path, source: Path, target: Path, backbone: str) -> None:
    """Score sequences by the container contract."""
    _require_extra()
    from baselines.predicting.predict import predict as run

    click.echo(f"{target}: {run(model, source, target, backbone=backbone, progress=True)} rows")


@app.command(epilog=_example("apb-zoo package esm1v logreg --model models/checkpoints/esm1v/logreg"))
@click.argument("backbone")
@click.argument("head", required=False)
@click.option(
    "--model", type=click.Path(path_type=Path), help="What train or meta-train wrote: the folder, or model.json."
)
@click.option("--weights", default="", help="The backbone's checkpoint.  [default: BACKBONE]")
@click.option("--base-image", default=DEFAULT_BASE, show_default=True, help="A Debian-like image with Python 3.11.")
@click.option("--torch-index", default="", help="Package index with CPU builds of torch, where PyPI's are for CUDA.")
@click.option("--gpu", is_flag=True, help="Build the variant for a GPU, with PyPI's own torch.")
@click.option(
    "--context", type=FOLDER, default=Path("build/images"), show_default=True, help="Where the files are gathered."
)
@click.option("--submissions", type=FOLDER, help="Also write <name>.yaml here.")
@click.option("--no-build", is_flag=True, help="Only gather the files.")
def package(
    backbone: str,
    head: str | None,
    model: Path | None,
    weights: str,
    base_image: str,
    torch_index: str,
    gpu: bool,
    context: Path,
    submissions: Path | None,
    no_build: bool,
) -> None:
    """Build a reference image apb/<name>:<version> in the local engine, with its weights in it.

    BACKBONE HEAD is one of the zoo's models (esm1v logreg); one argument alone is an image without a backbone
    (net-charge, random, composition-logreg), or a few-shot model (few-shot-ridge, in-context-sparse).
    """
    from baselines import few_shot_images
    from baselines import package as packages

    if head is None and few_shot_images.is_one(backbone):
        folder = few_shot_images.lay_out(backbone, context, model, weights=weights, torch_index=torch_index)
        text = packages.submission(backbone, folder)
    elif head is None:
        folder = packages.lay_out(backbone, context, model)
        text = packages.submission(backbone, folder)
    else:
        if model is None:
            raise PackageError(f"{backbone} {head} needs a trained model: apb-zoo train, then --model FOLDER.")
        folder = packages.lay_out_esm(
            backbone, head, context, model, weights=weights or backbone, gpu=gpu, torch_index=torch_index
        )
        text = packages.esm_submission(folder)
    if submissions:
        submissions.mkdir(parents=True, exist_ok=True)
        (submissions / f"{folder.name}.yaml").write_text(text, encoding="utf-8")
    click.echo(f"{folder} laid out" if no_build else f"{packages.build(folder, base_image)} built")


@app.command(epilog=_example("apb-zoo speed --random-weights --layers 3"))
@click.option("--num-sequences", type=click.IntRange(1), default=100, show_default=True)
@click.option("--num-runs", type=click.IntRange(1), default=3, show_default=True, help="Timed runs; the median counts.")
@click.option(
    "--warmup", type=click.IntRange(0), default=10, show_default=True, help="Passes on a few sequences before."
)
@click.option("--report-dir", type=FOLDER, default=Path("reports"), show_default=True)
@click.option("--fastesm-only", is_flag=True, help="Leave the 3B model out.")
@click.option(
    "--sequences", type=FILE, help="FASTA, or CSV with a column sequence.  [default: random, 100 to 500 long]"
)
@click.option("--heavy-chains", is_flag=True, help="Random ones as long as antibodies' heavy domains: 113 to 130.")
@click.option("--fast", default="fastesm2_650", show_default=True, help="A backbone, or the path of a checkpoint.")
@click.option("--large", default="esm2_3b", show_default=True, help="What it is compared with.")
@click.option("--random-weights", is_flag=True, help="Checkpoints of the real shapes with random weights; no download.")
@click.option("--layers", type=click.IntRange(1), help="With --random-weights: so many layers only.")
@PRECISION
@DEVICE
def speed(
    num_sequences: int,
    num_runs: int,
    warmup: int,
    report_dir: Path,
    fastesm_only: bool,
    sequences: Path | None,
    heavy_chains: bool,
    fast: str,
    large: str,
    random_weights: bool,
    layers: int | None,
    precision: Precision,
    device: str,
) -> None:
    """Measure how fast backbones embed; writes <report-dir>/speed_benchmark.md. PASSED or FAILED at 2x."""
    _require_extra()
    import torch

    from baselines.speed import loads, measure, report

    device = ("cuda" if torch.cuda.is_available() else "cpu") if device == "auto" else device
    if sequences:
        texts = loads.read_sequences(sequences, num_sequences)
    else:
        texts = loads.heavy_chains(num_sequences) if heavy_chains else loads.mixed(num_sequences)
    names = [fast] if fastesm_only else [fast, large]
    with loads.checkpoints(names, random_weights=random_weights, layers=layers) as (paths, weights):
        found = measure.compare(
            texts, paths, precision=precision, device=device, runs=num_runs, warmup=warmup, say=click.echo
        )
    missing = {Path(name).name: why for name, why in found.missing.items()}
    if fastesm_only:
        missing[Path(large).name] = "left out by --fastesm-only"
    found = measure.Comparison(found.measured, found.agreements, missing)
    lines = report.verdicts(found, Path(fast).name, Path(large).name)
    path = report.write(report_dir, found, lines, weights=weights, device=device)
    click.echo("\n" + report.table(found.measured) + "\n\n" + "\n".join(lines) + f"\n{path}")


def _require_extra() -> None:
    """Say what to install, before anything is imported that needs it."""
    try:
        import baselines.training.sweep  # noqa: F401
    except ImportError as error:
        raise DataError(f"{MISSING} ({error})") from error


def _shown(value: object) -> str:
    return "undefined" if value is None else f"{value:.3f}" if isinstance(value, float) else str(value)


for command in (stats, recommend, retrieval, meta_train, few_shot_report):
    app.add_command(command)


def main() -> NoReturn:
    """Run `apb-zoo`; errors become a message and an exit status here, and nowhere else."""
    try:
        try:
            app.main(standalone_mode=False)
        finally:
            sys.stdout.flush()  # what cannot be written is told here, not when Python ends
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
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # what is left to be written goes nowhere
        where = f": {error.filename}" if error.filename else ""
        what = (
            error.args[0][0][-1] if isinstance(error, shutil.Error) else error.strerror or error
        )  # of a folder: each file
        click.echo(f"apb-zoo: {what}{where}", err=True)
        sys.exit(3)
    sys.exit(0)
