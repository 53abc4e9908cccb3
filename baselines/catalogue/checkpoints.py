"""Models in a folder: what each is, or why it is not looked at any closer; one that is unreadable stops no other."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from baselines.catalogue import arrays
from baselines.errors import DataError
from baselines.predicting import store
from baselines.predicting.features import DESCRIPTORS, LIGHT

WEIGHTS = {".safetensors", ".skops", *arrays.WOULD_RUN}
NOT_SAID = "not said"


@dataclass(frozen=True)
class Described:
    """One model.

    Attributes:
        name: its path in the folder, or its id on a board.
        type: head, attention head, fine-tuned, few-shot network, backbone; of a board image or published predictions.
        task: what it answers.
        dataset: what it was trained on.
        architecture: the family of its backbone.
        parameters: numbers in its own files, backbones that are only named left out; on a board what the entry says.
        missing: what its metadata leave out.
    """

    name: str
    type: str
    task: str
    dataset: str
    architecture: str
    backbone: str
    head: str
    parameters: int | None
    missing: tuple[str, ...]


@dataclass(frozen=True)
class Refused:
    """One that could not be read, and why."""

    name: str
    why: str


def described(folder: Path) -> tuple[list[Described], list[Refused]]:
    """Every model below a folder, by its path.

    Raises:
        DataError: the folder is none.
    """
    if not folder.is_dir():
        raise DataError(f"{folder} is no folder; apb-zoo train writes models/checkpoints/.")
    found: list[Described] = []
    refused: list[Refused] = []
    for path in models(folder):
        name = path.relative_to(folder).as_posix() if path != folder else path.resolve().name
        try:
            found.append(describe(path, name))
        except DataError as error:
            refused.append(Refused(name, str(error)))
        except (OSError, ValueError, KeyError, TypeError, AttributeError, MemoryError, RuntimeError) as error:
            refused.append(Refused(name, f"{path} cannot be read: {error!r}"[:300]))
    return found, refused


def models(folder: Path) -> list[Path]:
    """Folders that hold metadata or weights; what lies within such a folder is a part of it."""
    found: list[Path] = []
    of_models = (p for p in folder.rglob("*") if p.name == store.METADATA or p.suffix.lower() in WEIGHTS)
    for path in sorted({p.parent for p in of_models}):
        if not any(path.is_relative_to(other) for other in found):
            found.append(path)
    return found


def describe(folder: Path, name: str) -> Described:
    """What one model is, from its metadata and its files, each looked at before it is loaded.

    Raises:
        DataError: a file would run code, does not fit its metadata, or holds numbers that are none.
    """
    arrays.refuse_pickles(folder)
    count = sum(arrays.count_safetensors(p) for p in sorted(folder.rglob("*.safetensors")))
    count += sum(arrays.count_skops(p) for p in sorted(folder.rglob("*.skops")))
    if not (folder / store.METADATA).is_file():
        return _backbone(folder, name, count)
    from baselines.few_shot import store as few_shot

    try:
        metadata = store.read_metadata(folder) or {}
        is_head = "classifier" in metadata
    except DataError:
        is_head = True  # it says what is wrong
    if is_head:
        return _head(store.load(folder), name, count)
    return _few_shot(few_shot.read_metadata(folder), folder, name, count)


def _head(trained: store.Trained, name: str, count: int) -> Described:
    metadata = trained.metadata
    parts = [str(part["name"]) for part in metadata["backbone"]]
    known: Mapping[str, Any] = metadata.get("training") or {}
    kind = "attention head" if metadata["classifier"].get("class") == "Attention" else "head"
    if any((trained.folder / part).is_dir() for part in parts):
        kind = "fine-tuned"
    wanted = {
        "training set": known.get("set"),
        "hash of the training set": known.get("sha256"),
        "seed": metadata.get("seed"),
        "versions": metadata.get("versions"),
        "cross-validation": metadata.get("cross_validation"),
        "configuration": metadata.get("configuration"),
    }
    return Described(
        name,
        kind,
        str(metadata.get("task") or ("ordinal flags" if known.get("flags") else "classes")),
        str(known.get("set") or NOT_SAID),
        _architecture(parts),
        "+".join(parts),
        str(metadata["classifier"].get("type") or NOT_SAID),
        count,
        tuple(what for what, value in wanted.items() if value is None),
    )


def _few_shot(metadata: Mapping[str, Any], folder: Path, name: str, count: int) -> Described:
    from baselines.few_shot import store as few_shot

    settings = metadata["settings"]
    simple = settings.get("type") in {"ridge", "gp"}
    if not simple:
        few_shot.trained(folder)
    wanted = {"training": metadata.get("training"), "hash": metadata.get("model_sha256")}
    return Described(
        name,
        "few-shot model" if simple else "few-shot network",
        "few-shot",
        "+".join(map(str, metadata.get("meta_training") or ())) or "none",
        _architecture([settings["backbone"]]) if settings.get("backbone") else "descriptors",
        str(settings.get("backbone") or "none"),
        str(settings.get("type") or NOT_SAID),
        count,
        () if simple else tuple(what for what, value in wanted.items() if value is None),
    )


def _backbone(folder: Path, name: str, count: int) -> Described:
    """A language model's checkpoint, without a head."""
    from baselines.backbones.checkpoint import Checkpoint

    if not (folder / "config.json").is_file():
        raise DataError(f"{folder} has weights and no {store.METADATA}, nor a config.json: nobody knows what they are.")
    known = Checkpoint(folder, folder.resolve().name)
    family = str(known.shape.family)
    return Described(name, "backbone", "embeddings", NOT_SAID, family, known.name, "none", count, ("training set",))


def _architecture(parts: list[str]) -> str:
    """The families of backbones, by their names; what has no name here is told by its own."""
    families = []
    for part in parts:
        plain = Path(part).name.removesuffix(LIGHT)
        family = "descriptors" if plain == DESCRIPTORS else plain.partition("_")[0]
        families.append(family)
    return "+".join(dict.fromkeys(families))
