"""Meta-training: settings that are held against types, the same weights after a kill, and images of what comes out."""

from __future__ import annotations

import os
import pickle
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from click.testing import CliRunner, Result
from safetensors.torch import load_file

from baselines import few_shot_images, package
from baselines.cli import app
from baselines.errors import DataError
from baselines.few_shot import episodes, store
from baselines.few_shot.meta import batches, learners, report, training
from baselines.few_shot.meta.configuration import composed
from baselines.few_shot.simple import Simple, zero_shot
from tests.baselines.test_few_shot import Planted
from tests.support import esm, few_shot

QUICK = {
    "sparse-cpu": ["preset.layers=1", "preset.width=16", "preset.inner=16", "preset.cpu_seconds=null"],
    "reptile": ["preset.width=16", "preset.cpu_seconds=null"],
    "tiny-dense": ["preset.queries=6", "preset.support=[0,4]", "preset.width=16"],
}


def quick(name: str, out: Path, steps: int = 6, *more: str) -> list[str]:
    return [f"preset={name}", f"out={out}", f"preset.steps={steps}", "preset.batch=2", *QUICK[name], *more]


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(a) for a in arguments])


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("models")
    for name in QUICK:
        done = run("meta-train", *quick(name, out))
        assert done.exit_code == 0, done.output
        assert "trainable parameters" in done.stderr and done.stdout.strip() == str(out / name)
    return out


class Killed(Exception):  # noqa: N818 - it is no error
    pass


@pytest.mark.parametrize("name", QUICK)
def test_what_was_killed_goes_on_and_ends_the_same(
    name: str, trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = composed(quick(name, tmp_path, 6, "checkpoint_seconds=0"))
    drawn = batches.drawn

    def killing(seed: tuple[int, int], *rest: object) -> batches.Batch:
        if seed[1] == 4:
            raise Killed
        return drawn(seed, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(batches, "drawn", killing)
    with pytest.raises(Killed):
        training.train(config)
    assert (tmp_path / name / training.STATE).is_file() and not (tmp_path / name / store.METADATA).exists()
    monkeypatch.setattr(batches, "drawn", drawn)
    folder = training.train(config)
    first, second = (load_file(path / store.WEIGHTS) for path in (folder, trained / name))
    assert first.keys() == second.keys() and all(torch.equal(first[key], second[key]) for key in first)
    assert not (folder / training.STATE).exists()


def test_other_settings_and_strange_checkpoints_are_refused(trained: Path, tmp_path: Path) -> None:
    done = run("meta-train", *quick("reptile", trained, 6, "seed=5"))
    assert isinstance(done.exception, DataError) and "other settings" in str(done.exception)
    assert run("meta-train", *quick("reptile", trained)).exit_code == 0
    folder = tmp_path / "reptile"
    folder.mkdir()
    (folder / training.STATE).write_bytes(pickle.dumps(Planted(tmp_path / "trace")))
    done = run("meta-train", *quick("reptile", tmp_path))
    assert isinstance(done.exception, DataError) and "no checkpoint" in str(done.exception)
    assert not (tmp_path / "trace").exists()


@pytest.mark.parametrize(
    ("overrides", "told"),
    [
        (["preset=nope"], "Available options in 'preset'"),
        (["preset.laers=3"], "layers, width, heads, inner"),
        (["tasks.singel=3"], "tasks.single"),
        (["sed=3"], "preset, tasks, out, seed"),
        (["device=cuda"], "Known are: cpu"),
        (["+preset.more=1"], "none is added"),
        (["preset.layers=many"], "many"),
        (["preset.loss=none"], "ranking, regression"),
        (["preset.steps=5"], "set the other to null"),
        (["preset.batch=0"], "batch must be above 0"),
        (["preset=tiny-dense", "tasks.single=0", "tasks.multiple=0", "tasks.combinations=0"], "one at least"),
        (["preset.support=[9,4]"], "preset.support"),
        (["preset.warmup=1"], "warmup"),
        (["preset.heads=5"], "heads must divide"),
        (["preset=reptile", "preset.support=[1,4]"], "begins at 2"),
        (["preset.layers=1", "out=/proc/none"], "give another out"),
        (["threads=0"], "threads"),
    ],
)
def test_what_cannot_be_is_told(overrides: list[str], told: str) -> None:
    done = run("meta-train", *overrides)
    assert isinstance(done.exception, DataError) and re.search(told, str(done.exception))


def test_a_backbone_embeds_for_the_published_network(tmp_path: Path) -> None:
    backbone = esm.make(tmp_path / "esm", "esm2", width=16, layers=2)
    config = composed(quick("tiny-dense", tmp_path, 1, f"preset.backbone={backbone}", "preset.layer=1"))
    folder = training.train(config)
    assert store.read_metadata(folder)["settings"]["embedded"] == 16 and store.load(folder)


def test_a_budget_of_time_ends(tmp_path: Path) -> None:
    folder = training.train(
        composed(["preset=reptile", "preset.width=16", "preset.cpu_seconds=0.3", f"out={tmp_path}"])
    )
    assert 0.3 <= store.read_metadata(folder)["training"]["cpu_seconds"] < 5


def test_batches_of_every_kind_are_balanced_and_follow_from_their_seed() -> None:
    kinds = set()
    for step in range(40):
        config = composed(["preset=sparse-cpu", "preset.batch=4"])
        first, second = (batches.drawn((1, step), config.preset, config.tasks) for _ in range(2))
        assert (first.targets == second.targets).all() and np.isfinite(first.targets).all()
        assert 4 <= first.support <= 64 and torch.isfinite(first.tokens.described).all()
        kinds.add((first.landscapes is None, first.tokens.wild.shape[2] if first.tokens.wild.shape[2] < 5 else "more"))
    assert kinds == {(True, 1), (False, 1), (False, 4), (False, "more")}


def test_models_are_compared_in_one_table(trained: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report, "SUPPORTS", dict.fromkeys(("single", "panels"), (16,)))
    done = run(
        "few-shot-report",
        "--tasks",
        2,
        "--kind",
        "single",
        "--kind",
        "panels",
        trained / "sparse-cpu",
        trained / "reptile",
    )
    assert done.exit_code == 0, done.output
    for name in ("Random", "Ridge, one-hot", "No meta-training", "sparse-cpu", "reptile"):
        assert f"| {name} |" in done.stdout
    assert "| Less Ridge, one-hot | single 16 | panels 16 |" in done.stdout


def test_standard_errors_are_those_of_a_mean() -> None:
    values = np.random.default_rng(0).standard_normal(400)
    assert report.standard_error(values) == pytest.approx(values.std() / 20, rel=0.1)


IMAGES = sorted(p.parent.name for p in package.IMAGES.glob("*/config.yaml") if few_shot_images.is_one(p.parent.name))


def test_all_few_shot_models_have_an_image() -> None:
    simple = {f"few-shot-{kind}{more}" for kind in ("ridge", "gp") for more in ("", "-antiberty")}
    assert set(IMAGES) == {*simple, "in-context-sparse", "in-context-reptile", "in-context-metalic"}


@pytest.mark.parametrize("name", IMAGES)
def test_a_submission_names_its_tracks_and_what_it_was_meta_trained_on(name: str, tmp_path: Path) -> None:
    entry = yaml.safe_load(package.submission(name, tmp_path))
    learned = name.startswith("in-context")
    assert entry["tracks"] == ["fewshot-poly", "fewshot-cr6261"] and entry["docker_image"] == f"apb/{name}:1.0"
    assert entry["few_shot"] == {"mode": "inductive", "meta_training": ["synthetic"] if learned else []}
    assert entry["training_data"] == (["synthetic"] if learned else ["none"])


def test_stated_sizes_are_the_real_ones() -> None:
    presets = {"in-context-sparse": "sparse-cpu", "in-context-reptile": "reptile", "in-context-metalic": "metalic"}
    for name, preset in presets.items():
        embedded = ["preset.embedded=320"] if preset == "metalic" else []  # of ESM-2 8M
        network = store.network(vars(composed([f"preset={preset}", *embedded]).preset))
        count = sum(p.numel() for p in network.parameters())
        assert package.config(name)["submission"]["model"]["parameters"] == count


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    """Packages are not downloaded."""
    monkeypatch.setattr(package, "wheels", lambda folder, *_, **__: folder.mkdir())


@pytest.mark.parametrize("name", ["few-shot-gp", "in-context-sparse", "in-context-reptile"])
def test_a_packaged_model_answers_by_itself(name: str, trained: Path, tmp_path: Path, offline: None) -> None:
    model = {"in-context-sparse": trained / "sparse-cpu", "in-context-reptile": trained / "reptile"}.get(name)
    context = few_shot_images.lay_out(name, tmp_path / "images", model)
    source = few_shot.folder(tmp_path / "run")
    assert {p.name for p in context.iterdir()} == {"Dockerfile", "config.yaml", "app", "model", "wheels"}
    environment = {"MODEL": context / "model", "INPUT": source, "OUTPUT": tmp_path / "out.csv"}
    subprocess.run(
        [sys.executable, "-m", "baselines.few_shot.predict"],
        cwd=context / "app",
        env={**os.environ, "PYTHONPATH": ".", **{key: str(value) for key, value in environment.items()}},
        check=True,
    )
    assert len(few_shot.scores(tmp_path / "out.csv")) == 28


def test_an_image_takes_its_backbone_along(tmp_path: Path, offline: None) -> None:
    backbone = esm.make(tmp_path / "esm", "esm2", width=16, layers=1)
    context = few_shot_images.lay_out("few-shot-ridge-antiberty", tmp_path / "images", None, weights=str(backbone))
    model = store.load(context / "model")
    assert getattr(model, "backbone") == str(context / "model" / "weights" / "antiberty")  # noqa: B009
    assert (context / "model" / "weights" / "antiberty" / "selftest.npy").is_file()


@pytest.mark.parametrize("backbone", ["one_hot", "esm2"])
def test_the_published_network_is_packaged_with_what_embeds_residues(
    tmp_path: Path, offline: None, backbone: str
) -> None:
    named = str(esm.make(tmp_path / "esm", "esm2", width=16, layers=1)) if backbone == "esm2" else backbone
    model = training.train(composed(quick("tiny-dense", tmp_path, 1, f"preset.backbone={named}", "preset.layer=1")))
    context = few_shot_images.lay_out("in-context-metalic", tmp_path / "images", model)
    shutil.rmtree(tmp_path / "esm", ignore_errors=True)
    [task, *_] = episodes.read(few_shot.folder(tmp_path / "run"))
    assert np.isfinite(store.load(context / "model").scores(task)).all()


@pytest.mark.parametrize("preset", ["sparse-cpu", "tiny-dense"])
def test_a_network_that_learnt_from_no_support_is_asked_without_one(tmp_path: Path, preset: str) -> None:
    tasks = episodes.read(few_shot.folder(tmp_path / "run", support=0))
    embedded = ["preset.embedded=21"] if preset == "tiny-dense" else []
    for least in (0, 1):
        settings = vars(composed([f"preset={preset}", f"preset.support=[{least},4]", *embedded]).preset)
        torch.manual_seed(0)
        model = store.answering(store.network(settings).eval(), settings)
        for task in tasks[:2]:
            scores = model.scores(task)
            assert np.isfinite(scores).all() and (scores == zero_shot(task)).all() == (least == 1)
            alone = np.concatenate([model.scores(part) for part in task.parts(1)])
            assert np.abs(alone - scores).max() < 1e-5


def test_a_support_from_none_to_many_is_drawn_from_none_to_many() -> None:
    config = composed(["preset=sparse-cpu", "preset.support=[0,8]", "preset.batch=2"])
    drawn = [batches.drawn((1, step), config.preset, config.tasks) for step in range(80)]
    assert {batch.support for batch in drawn} == set(range(9))
    learner = learners.made(config.preset)
    for batch in drawn[:12]:
        assert np.isfinite(learner.backward(batch))


def test_what_an_image_needs_is_told(trained: Path, tmp_path: Path, offline: None) -> None:
    with pytest.raises(package.PackageError, match="apb-zoo meta-train"):
        few_shot_images.lay_out("in-context-sparse", tmp_path, None)
    with pytest.raises(package.PackageError, match="holds a reptile network"):
        few_shot_images.lay_out("in-context-sparse", tmp_path, trained / "reptile")


@pytest.mark.parametrize("networks", [True, False])
def test_the_code_of_an_image_stands_on_its_own_and_simple_models_load_no_torch(tmp_path: Path, networks: bool) -> None:
    few_shot_images.copy_code(tmp_path / "baselines", networks=networks)
    files = [p.relative_to(tmp_path) for p in (tmp_path / "baselines" / "few_shot").rglob("*.py")]
    modules = [".".join(path.with_suffix("").parts).removesuffix(".__init__") for path in files]
    assert "baselines.few_shot.predict" in modules and not any(".meta." in f"{name}." for name in modules)
    subprocess.run([sys.executable, "-c", f"import {', '.join(modules)}"], cwd=tmp_path, check=True)
    light = "import sys, baselines.few_shot.predict; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", light], cwd=tmp_path, check=True)


def test_seconds_of_meta_training_rank_landscapes_better_than_ridge(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    others = ["tasks.multiple=0", "tasks.combinations=0", "tasks.panels=0"]
    budget = ["preset.cpu_seconds=null", "preset.steps=200", f"out={tmp_path}"]
    folder = training.train(composed(["preset=sparse-cpu", *others, *budget]))
    monkeypatch.setattr(report, "SUPPORTS", {"single": (16,)})
    methods = {"in context": store.load(folder), "ridge": Simple("ridge")}
    (found,) = report.compared(methods, 40, ["single"]).values()
    gained = found["in context"] - found["ridge"]
    assert gained.mean() > 2 * report.standard_error(gained)
