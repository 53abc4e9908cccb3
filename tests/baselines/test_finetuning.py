"""Fine-tuned backbones: what is trained, what is written, and that the merged engine says what was trained."""

from __future__ import annotations

import json
import pickle
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from peft import PeftModel
from safetensors.torch import load_file, save_file

from baselines import package
from baselines.backbones import adapted
from baselines.backbones.checkpoint import Checkpoint, find
from baselines.backbones.embedder import Embedder
from baselines.backbones.stock import StockModel
from baselines.errors import DataError
from baselines.predicting import store
from baselines.predicting.predict import predict
from baselines.training import configuration, sweep
from baselines.training.finetuning import FineTuned, FineTuner, made_from
from baselines.training.schema import Finetune
from tests.support import esm

TEXTS = [letters[:k] + "WWWW" * (j % 2) + letters[k:] for j, letters in enumerate(esm.sequences(*[25, 31] * 12))
         for k in (9,)]  # fmt: skip
LABELS = np.array([j % 2 for j in range(len(TEXTS))])
EVERY = np.arange(len(TEXTS))
FAST = {"layers": 1, "epochs": 4, "batch": 8, "rank": 4, "alpha": 8, "learning_rate": 5e-3}


@pytest.fixture(scope="module", params=esm.FAMILIES)
def base(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return esm.make(tmp_path_factory.mktemp(request.param) / "small", request.param)


def tuner(base: Path, method: str, **settings: float) -> FineTuner:
    return FineTuner(Checkpoint(base, "small"), TEXTS, Finetune(method=method, **{**FAST, **settings}), seed=3)  # type: ignore[arg-type]


def saved(base: Path, method: str, folder: Path) -> tuple[Path, np.ndarray]:
    made = tuner(base, method)
    found = made.trained(EVERY, LABELS)
    found.save(folder, made_from(str(base), made.checkpoint, made.settings, 3, "0" * 64, "cpu"))
    return folder, found.matrix()


@pytest.mark.parametrize("method", ["lora", "full"])
def test_the_merged_engine_says_what_was_trained(base: Path, tmp_path: Path, method: str) -> None:
    folder, trained = saved(base, method, tmp_path / "tuned")
    embedder = Embedder(str(folder))
    assert embedder.engine != "stock" and embedder.checkpoint.name == "tuned"
    np.testing.assert_allclose(embedder.embed(TEXTS).vectors, trained, atol=2e-5)
    assert np.abs(Embedder(str(base)).embed(TEXTS).vectors - trained).max() > 1e-2
    assert embedder.checkpoint.sha256 != find(str(base)).sha256


def test_the_adapter_is_pefts_own(base: Path, tmp_path: Path) -> None:
    folder, trained = saved(base, "lora", tmp_path / "tuned")
    stock = StockModel(find(str(base)))
    stock.model = PeftModel.from_pretrained(stock.model, folder).merge_and_unload()
    np.testing.assert_allclose(stock.means(TEXTS), trained, atol=2e-5)


@pytest.mark.parametrize("method", ["lora", "full"])
def test_only_the_last_layers_change_and_the_same_seed_repeats(base: Path, tmp_path: Path, method: str) -> None:
    folder, first = saved(base, method, tmp_path / "one")
    again, second = saved(base, method, tmp_path / "two")
    np.testing.assert_array_equal(first, second)
    for name in (adapted.ADAPTER, adapted.TUNED):
        assert (folder / name).read_bytes() == (again / name).read_bytes()
    before, after = find(str(base)).tensors(), find(str(folder)).tensors()
    changed = {name for name in before if not torch.equal(before[name].float(), after[name].float())}
    assert changed and all(name.startswith("encoder.layer.2.") for name in changed)


def test_rows_that_are_held_out_teach_nothing(base: Path) -> None:
    made = tuner(base, "lora")
    learned = EVERY[:16]
    found = made.trained(learned, LABELS).matrix()
    turned = LABELS.copy()
    turned[16:] = 1 - turned[16:]
    np.testing.assert_array_equal(found, made.trained(learned, turned).matrix())
    x = FineTuned(lambda: made, LABELS, found)
    assert x.on(EVERY) is found
    assert x.on(learned) is x.on(learned)


def test_it_learns(base: Path) -> None:
    x = tuner(base, "full", epochs=20, layers=2).trained(EVERY, LABELS).matrix()
    ones, zeros = x[LABELS == 1], x[LABELS == 0]
    apart = np.linalg.norm(ones.mean(0) - zeros.mean(0)) / np.sqrt(ones.var(0).sum() + zeros.var(0).sum())
    plain = Embedder(str(base)).embed(TEXTS).vectors
    ones, zeros = plain[LABELS == 1], plain[LABELS == 0]
    assert apart > 1.5 * np.linalg.norm(ones.mean(0) - zeros.mean(0)) / np.sqrt(ones.var(0).sum() + zeros.var(0).sum())


def test_both_chains_go_through_one_backbone(base: Path, tmp_path: Path) -> None:
    train, target = tmp_path / "train.csv", tmp_path / "out.csv"
    heavy = [t[:5] + "ACDE"[k % 4] * (k % 5 + 2) + t[5:] for k, t in enumerate(TEXTS * 2)]
    rows = [f"s{k},{text},{text[::-1]},{LABELS[k % 24]}" for k, text in enumerate(heavy)]
    train.write_text("\n".join(["sequence_id,sequence,light_sequence,label", *rows, ""]))
    given = ["model=checkpoint", f"model.backbone={base}+{base}_light", "model.finetune.method=lora", "data=file"]
    given += [f"data.train={train}", f"out={tmp_path / 'out'}", "model.finetune.epochs=1"]
    config = configuration.composed(given)
    list(sweep.alone(config, say=lambda _: None))
    folder = tmp_path / "out" / "checkpoints" / "small_lora+small_lora_light" / "logreg"
    trained = store.load(folder)
    assert [p.get("chain") for p in trained.metadata["backbone"]] == [None, "light"]
    assert predict(folder, train, target) == len(heavy)
    before = pd.read_csv(target)["score"]
    rows = [f"s{k},{text},{text}" for k, text in enumerate(heavy)]
    train.write_text("\n".join(["sequence_id,sequence,light_sequence", *rows, ""]))
    predict(folder, train, target)
    assert (pd.read_csv(target)["score"] - before).abs().max() > 1e-3


class Evil:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (Path("/tmp/apb-evil-adapter").touch, ())  # type: ignore[return-value]  # noqa: S108


@pytest.mark.parametrize("name", [adapted.ADAPTER, adapted.ADAPTER_CONFIG, adapted.TUNED])
def test_a_pickle_in_place_of_any_file_is_refused_and_not_run(base: Path, tmp_path: Path, name: str) -> None:
    folder, _ = saved(base, "lora", tmp_path / "tuned")
    (folder / name).write_bytes(pickle.dumps(Evil()))
    with pytest.raises(DataError):
        Embedder(str(folder))
    assert not Path("/tmp/apb-evil-adapter").exists()  # noqa: S108


def test_an_adapter_that_does_not_fit_is_refused(base: Path, tmp_path: Path) -> None:
    folder, _ = saved(base, "lora", tmp_path / "tuned")

    def broken(**changed: object) -> Path:
        copy = Path(shutil.copytree(folder, tmp_path / f"copy{len(list(tmp_path.iterdir()))}"))
        for key, value in changed.items():
            path = copy / (adapted.TUNED if key == "base_sha256" else adapted.ADAPTER_CONFIG)
            path.write_text(json.dumps({**json.loads(path.read_text()), key: value}))
        return copy

    for changed, told in (
        ({"base_sha256": "0" * 64}, "not these"),
        ({"use_dora": True}, "use_dora"),
        ({"r": 0}, "LoRA"),
    ):
        with pytest.raises(DataError, match=told):
            Embedder(str(broken(**changed)))
    tensors = load_file(folder / adapted.ADAPTER)
    odd = broken()
    name = next(iter(tensors))
    for other in (
        {k: v for k, v in tensors.items() if k != name},
        {**{k: v for k, v in tensors.items() if k != name}, name: tensors[name][:, :3].contiguous()},
        {k.replace("layer.2", "layer.9"): v for k, v in tensors.items()},
    ):
        save_file(other, odd / adapted.ADAPTER)
        with pytest.raises(DataError, match="adapter"):
            Embedder(str(odd))


def test_what_cannot_be_tuned_is_told(base: Path) -> None:
    with pytest.raises(DataError, match=r"finetune\.layers is 3"):
        tuner(base, "lora", layers=3)
    given = ["model=antiberty_lora", "data=file", "data.train=x.csv"]
    assert configuration.name(configuration.composed(given)) == "antiberty_lora"
    for wrong, told in (
        ("classifier=attention", "pooled by the mean"),
        ("model.pooling=cls", "pooled by the mean"),
        ("classifier.tune=true", "has learned"),
        ("model.finetune.method=qlora", "Known are: none, lora, full"),
        ("model.finetune.rnk=3", "rnk"),
    ):
        with pytest.raises(DataError, match=told):
            configuration.composed([*given, wrong])


@pytest.mark.parametrize("kind", ["lora", "attention", "pair"])
def test_an_image_s_files_score_as_the_model_does_with_neither_peft_nor_transformers(tmp_path: Path, kind: str) -> None:
    first, second = (esm.make(tmp_path / name, name, seed=k) for k, name in enumerate(esm.FAMILIES))
    train, sequences = tmp_path / "train.csv", tmp_path / "sequences.csv"
    varied = [(k, t[:5] + "ACDE"[k % 4] * (k % 5 + 2) + t[5:], LABELS[k % 24]) for k, t in enumerate(TEXTS * 2)]
    train.write_text("sequence_id,sequence,label\n" + "".join(f"s{k},{text},{y}\n" for k, text, y in varied))
    sequences.write_text("sequence_id,sequence\n" + "".join(f"s{k},{text}\n" for k, text, _ in varied))
    asked = {
        "lora": [f"model.backbone={first}", "model.finetune.method=lora", "model.finetune.epochs=1"],
        "attention": [f"model.backbone={first}", "classifier=attention", "classifier.epochs=2"],
        "pair": [f"model.backbone={first}+{second}", "classifier=cross_stacking"],
    }[kind]
    given = ["model=checkpoint", "data=file", f"data.train={train}", f"out={tmp_path / 'out'}", *asked]
    config = configuration.composed(given)
    list(sweep.alone(config, say=lambda _: None))
    folder = next((tmp_path / "out" / "checkpoints").glob("*/*"))
    backbone = "" if kind == "lora" else config.model.backbone
    predict(folder, sequences, tmp_path / "here.csv", backbone=backbone)
    image = tmp_path / "image"
    package._copy_model(folder, store.features_of(store.load(folder), backbone), image / "model")
    package.copy_code(image / "app" / "baselines")
    named = {"MODEL": image / "model", "INPUT": sequences, "OUTPUT": tmp_path / "image.csv"}
    without = "import sys; sys.modules.update(transformers=None, peft=None);"
    alone = f"{without} from baselines.predicting import predict; predict.main()"
    subprocess.run(
        [sys.executable, "-c", alone], cwd=image / "app", check=True,
        env={"PYTHONPATH": ".", "PATH": "/usr/bin", **{name: str(path) for name, path in named.items()}},
    )  # fmt: skip
    here, there = (pd.read_csv(tmp_path / name) for name in ("here.csv", "image.csv"))
    assert here["sequence_id"].equals(there["sequence_id"])
    np.testing.assert_allclose(here["score"], there["score"], atol=1e-5)
    assert here["score"].nunique() > 10
