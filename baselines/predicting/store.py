"""A trained model on disk: `model.skops` or `model.safetensors`, and `metadata.json`; no pickle, the same bytes for the
same model.

skops writes a pipeline as a zip of arrays and a description in JSON. Reading one makes objects of the types that it
names, so only those that our own heads are made of are allowed.
"""

from __future__ import annotations

import hashlib
import io
import json
import math
import re
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import sklearn
import skops.io
from sklearn.pipeline import Pipeline

from baselines.errors import DataError
from baselines.predicting.features import LIGHT, Features

if TYPE_CHECKING:
    from baselines.predicting.attention import Attention

MODEL, WEIGHTS, METADATA = "model.skops", "model.safetensors", "metadata.json"
SCHEMA_VERSION = "1"
ALLOWED = {
    "sklearn.calibration._CalibratedClassifier",
    "sklearn.calibration._SigmoidCalibration",
    "sklearn.model_selection._split.StratifiedKFold",
    "sklearn.neural_network._stochastic_optimizers.AdamOptimizer",
    "sklearn.tree._tree.Tree",
    "sklearn.utils._bunch.Bunch",
    "xgboost.core.Booster",
    "xgboost.sklearn.XGBClassifier",
}


@dataclass(frozen=True, eq=False)
class Trained:
    """A fitted model, a pipeline of scikit-learn or an `Attention`, and everything that is known of it."""

    model: Any
    metadata: dict[str, Any]
    folder: Path


def classifier(model: Pipeline | Attention) -> Any:
    """What classifies in a model: the last step of a pipeline, or the model itself."""
    return model[-1] if isinstance(model, Pipeline) else model


def parameters(model: Pipeline | Attention) -> dict[str, Any]:
    """Every parameter of a model's classifier as plain JSON, nested ones by their path."""
    return {
        name: value if isinstance(value, bool | int | str | None) or _finite(value) else str(value)
        for name, value in sorted(classifier(model).get_params(deep=True).items())
        if not isinstance(value, list)
    }


def _finite(value: object) -> bool:
    return isinstance(value, float) and math.isfinite(value)


def file_of(metadata: Mapping[str, Any]) -> str:
    """The name of the file that a model is in."""
    return WEIGHTS if metadata.get("classifier", {}).get("class") == "Attention" else MODEL


def save(folder: Path, model: Pipeline | Attention, metadata: dict[str, Any]) -> None:
    """Write both files; metadata go last, so that a model without them is one that is not finished."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / METADATA).unlink(missing_ok=True)
    content = _canonical(skops.io.dumps(model)) if isinstance(model, Pipeline) else model.to_bytes()
    (folder / file_of(metadata)).write_bytes(content)
    whole = {
        **metadata,
        "schema_version": SCHEMA_VERSION,
        "model_sha256": hashlib.sha256(content).hexdigest(),
        "sklearn": sklearn.__version__,
    }
    (folder / METADATA).write_text(json.dumps(whole, indent=1, sort_keys=True, allow_nan=False) + "\n")


def read_metadata(folder: Path) -> dict[str, Any] | None:
    """What is known of a finished model; None where there is none.

    Raises:
        DataError: the file is not valid.
    """
    path = folder / METADATA
    if not path.is_file():
        return None
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(found, dict) or found.get("schema_version") != SCHEMA_VERSION:
            raise ValueError("not metadata of this version")
    except (ValueError, UnicodeDecodeError, RecursionError) as error:
        raise DataError(f"{path} is not valid: {error}") from error
    return found


def load(folder: Path) -> Trained:
    """Read a model, held against its metadata.

    Raises:
        DataError: a file is missing, is not what the metadata say, or names types that no head of ours is made of.
    """
    metadata = read_metadata(folder)
    path = folder / file_of(metadata or {})
    if metadata is None or not path.is_file():
        raise DataError(f"{folder} needs {path.name} and {METADATA}; train a model with apb-zoo train.")
    content = path.read_bytes()
    found = hashlib.sha256(content).hexdigest()
    if found != metadata.get("model_sha256"):
        raise DataError(f"{path} (sha256 {found}) is not the model of its metadata.")
    if sklearn.__version__.split(".")[:2] != str(metadata.get("sklearn")).split(".")[:2]:
        raise DataError(f"{path} was written by scikit-learn {metadata.get('sklearn')}, here is {sklearn.__version__}.")
    known = metadata.get("classifier", {})
    model = _attention(path, known) if path.name == WEIGHTS else _pipeline(path, content, known)
    if parameters(model) != known.get("parameters"):
        raise DataError(f"{path} holds no {known.get('type')} with the parameters that its metadata name.")
    width = (min if path.name == WEIGHTS else sum)(part["width"] for part in metadata["backbone"])
    if model.n_features_in_ != width:
        raise DataError(f"{path} takes {model.n_features_in_} features, its metadata name {width}.")
    return Trained(model, metadata, folder)


def _attention(path: Path, known: Mapping[str, Any]) -> Attention:
    from baselines.predicting.attention import Attention  # torch: not for models on plain descriptors

    return Attention.read(path, known.get("parameters") or {})


def _pipeline(path: Path, content: bytes, known: Mapping[str, Any]) -> Pipeline:
    try:
        if strange := sorted(set(skops.io.get_untrusted_types(data=content)) - ALLOWED):
            raise DataError(f"{path} names types that are not allowed: {', '.join(strange)[:200]}")
        model = skops.io.loads(content, trusted=sorted(ALLOWED))
    except (zipfile.BadZipFile, KeyError, ValueError, TypeError, AttributeError, OSError) as error:
        raise DataError(f"{path} is no model in skops' format: {error!r}"[:300]) from error
    expected = known.get("class")
    if not isinstance(model, Pipeline) or type(model[-1]).__name__ != expected:
        raise DataError(f"{path} holds no {expected}, which its metadata name.")
    return model


def require_backbone(trained: Trained, features: Features) -> None:
    """Refuse features that a model was not trained on.

    Raises:
        DataError: backbone, weights, precision or descriptors differ.
    """
    wanted, found = trained.metadata["backbone"], features.describe()
    compared = ("sha256", "precision", "pooling", "numbering", "width", "features", "chain")
    if [[p.get(k) for k in compared] for p in wanted] != [[p.get(k) for k in compared] for p in found]:
        raise DataError(f"The model was trained on {_short(wanted)}, not on {_short(found)}.")


def features_of(trained: Trained, backbone: str | Sequence[str] = "", **options: Any) -> Features:
    """The features that a model was trained on, in the precision that its metadata name.

    Args:
        backbone: where its weights are; default beside the model where it was fine-tuned, else by the name in the
            metadata.
        options: for `Features`.

    Raises:
        DataError: these are not what it was trained on.
    """
    parts = trained.metadata["backbone"]
    precision: Any = next((p["precision"] for p in parts if "precision" in p), "fp32")
    pooling: Any = next((p["pooling"] for p in parts if "pooling" in p), "mean")
    own = trained.folder / str(parts[0]["name"])  # fine-tuned: of both chains it is one
    here = [f"{own}{LIGHT}" if p.get("chain") == "light" else str(own) for p in parts] if own.is_dir() else None
    spec = backbone or here or [p["name"] for p in parts]
    features = Features(spec, precision=precision, pooling=pooling, emulated=True, **options)
    require_backbone(trained, features)
    return features


def _short(parts: Sequence[Mapping[str, Any]]) -> str:
    return " + ".join(f"{p['name']} ({str(p.get('sha256', ''))[:12]}, {p.get('precision', 'exact')})" for p in parts)


def _canonical(archive: bytes) -> bytes:
    """The same archive without what differs from run to run: addresses in memory as names, and times."""
    with zipfile.ZipFile(io.BytesIO(archive)) as before:
        members = {name: before.read(name) for name in before.namelist()}
    schema = members.pop("schema.json").decode()
    numbers = {old: str(new) for new, old in enumerate(dict.fromkeys(re.findall(r'"__id__": (\d+)', schema)), start=1)}
    schema = re.sub(r'("__id__": )(\d+)', lambda m: m[1] + numbers[m[2]], schema)
    order = dict.fromkeys(re.findall(r'"file": "([^"]+)"', schema))
    names = {old: f"{place}{Path(old).suffix}" for place, old in enumerate(order, start=1)}
    schema = re.sub(r'("file": ")([^"]+)"', lambda m: f'{m[1]}{names[m[2]]}"', schema)
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as after:
        for name, content in sorted([("schema.json", schema.encode()), *((names[n], c) for n, c in members.items())]):
            after.writestr(zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0)), content, zipfile.ZIP_DEFLATED)
    return out.getvalue()
