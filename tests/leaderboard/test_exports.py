"""Exports: whole, the other side's own validator takes them, and it refuses one that is broken."""

from __future__ import annotations

import atexit
import csv
import functools
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import mlcroissant
import pytest
import yaml
from huggingface_hub import ModelCard
from rocrate.rocrate import ROCrate

from evaluator.contract import tracks
from evaluator.settings import Repository
from evaluator.store.schemas import Change
from leaderboard import exports
from leaderboard.build import build
from leaderboard.exporting import croissant, zenodo
from leaderboard.exports import Published
from scripts import citation
from tests.conftest import REAL_DATA, ROOT, Workspace
from tests.support.sites import METRIC_NAMES, publish, put

SCHEMAS = Path(__file__).parent / "schemas"
EEE_SCHEMA = json.loads((SCHEMAS / "every_eval_ever-0.3.0.schema.json").read_text())
ZENODO_SCHEMA = {
    "type": "object",
    "required": [
        "upload_type", "publication_date", "title", "creators", "description", "access_right", "license", "version",
    ],
    "properties": {
        "upload_type": {"const": "dataset"},
        "publication_date": {"pattern": r"^\d{4}-\d\d-\d\d$"},
        "title": {"type": "string", "minLength": 1},
        "creators": {"type": "array", "minItems": 1, "items": {"required": ["name"]}},
        "description": {"type": "string", "minLength": 1},
        "access_right": {"enum": ["open", "embargoed", "restricted", "closed"]},
        "license": {"type": "string", "minLength": 1},
        "version": {"type": "string"},
        "keywords": {"type": "array", "items": {"type": "string"}},
        "notes": {"type": "string"},
        "related_identifiers": {
            "type": "array",
            "items": {
                "required": ["identifier", "relation"],
                "properties": {"relation": {"enum": ["isDerivedFrom", "isDocumentedBy", "references", "isPartOf"]}},
            },
        },
    },
    "additionalProperties": False,
}  # fmt: skip
"""What https://developers.zenodo.org/#deposit-metadata asks of a dataset; Zenodo publishes no validator."""


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`data/v1/` of the committed records."""
    root = tmp_path_factory.mktemp("board")
    for name in ("leaderboard/results", "submissions", "test_data"):
        shutil.copytree(ROOT / name, root / name)
    repository = Repository(root)
    build(repository, submissions=repository.submissions, results=repository.results, out=root / "site")
    return root / "site" / "data" / "v1"


# --- the validators --------------------------------------------------------------------------------------------------


def check_croissant(path: Path) -> None:
    dataset = mlcroissant.Dataset(path)
    found = dataset.metadata
    assert not found.ctx.issues.warnings
    for told in (found.data_biases, found.data_limitations, found.data_use_cases, found.personal_sensitive_information):
        assert told
    assert found.data_social_impact and found.data_collection and found.data_release_maintenance_plan


def check_citation(path: Path) -> None:
    """By `cffconvert --validate`."""
    command = [sys.executable, "-c", "from cffconvert.cli.cli import cli; cli()", "--validate", "--infile", str(path)]
    environment = {**os.environ, "PYTHONPATH": str(cffconvert())}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@functools.cache
def cffconvert() -> Path:
    """A folder with cffconvert, whose jsonschema is too old to stand beside ours."""
    folder = Path(tempfile.mkdtemp(prefix="apb-cffconvert-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    pip = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
        "--no-compile",
        "--no-deps",
    ]
    wanted = ["--no-build-isolation", "--target", str(folder), "--requirement", str(SCHEMAS / "cffconvert.txt")]
    subprocess.run([*pip, *wanted], check=True)
    return folder


def check_every_eval_ever(path: Path) -> None:
    record = json.loads(path.read_text())
    jsonschema.Draft7Validator(EEE_SCHEMA).validate(record)
    for result in record["evaluation_results"]:
        about, score = result["metric_config"], result["score_details"]["score"]
        assert about["min_score"] <= score <= about["max_score"]
    collection, developer, model, name = path.parts[-4:]
    assert path.parts[-5] == "data" and collection == "antibody-polyreactivity"
    assert record["model_info"]["id"] == f"{developer}/{model}" and uuid.UUID(Path(name).stem).version == 4


def check_model_card(path: Path) -> None:
    card: Any = ModelCard(path.read_text())
    assert card.data.eval_results and card.text.lstrip().startswith("# ")


def check_zenodo(path: Path) -> None:
    jsonschema.Draft202012Validator(ZENODO_SCHEMA).validate(json.loads(path.read_text()))


def check_ro_crate(path: Path) -> None:
    crate = ROCrate(path.parent)
    assert crate.root_dataset["license"] and crate.root_dataset["datePublished"] and crate.name and crate.description
    parts = [part.id for part in crate.root_dataset["hasPart"]]
    assert parts and all((path.parent / part).exists() for part in parts)


CHECKS: dict[str, Callable[[Path], None]] = {
    "exports/croissant/*.json": check_croissant,
    "exports/CITATION.cff": check_citation,
    "exports/every_eval_ever/data/**/*.json": check_every_eval_ever,
    "exports/model_cards/*.md": check_model_card,
    "exports/zenodo/*.json": check_zenodo,
    "ro-crate-metadata.json": check_ro_crate,
}


def test_the_repositorys_citation_is_valid() -> None:
    check_citation(ROOT / "CITATION.cff")


@pytest.mark.parametrize("files", CHECKS)
def test_every_file_is_valid(data: Path, files: str) -> None:
    found = sorted(data.glob(files))
    assert found
    for path in found:
        CHECKS[files](path)


REFUSALS = (mlcroissant.ValidationError, jsonschema.ValidationError, ValueError, KeyError, AssertionError)
BROKEN = [
    ("exports/croissant/*.json", '"contentUrl"', '"contentAddress"'),
    ("exports/croissant/*.json", '"sha256"', '"sha255"'),
    ("exports/croissant/*.json", '"rai:dataBiases"', '"rai:dataBias"'),
    ("exports/CITATION.cff", "authors:", "writers:"),
    ("exports/CITATION.cff", "date-released: '2", "date-released: 'x"),
    ("exports/every_eval_ever/data/**/*.json", '"lower_is_better"', '"lower_is_worse"'),
    ("exports/every_eval_ever/data/**/*.json", '"score":0.', '"score":7.'),
    ("exports/model_cards/*.md", '"value":', '"number":'),
    ("exports/model_cards/*.md", '"dataset":', '"data":'),
    ("exports/zenodo/*.json", '"upload_type"', '"uploaded_type"'),
    ("ro-crate-metadata.json", '"about"', '"around"'),
    ("ro-crate-metadata.json", "index.json", "contents.json"),
]


@pytest.mark.parametrize(("files", "what", "by"), BROKEN)
def test_a_broken_file_is_refused(data: Path, files: str, what: str, by: str) -> None:
    path = sorted(data.glob(files))[-1]
    before = path.read_text()
    assert what in before
    path.write_text(before.replace(what, by))
    try:
        with pytest.raises(REFUSALS):
            CHECKS[files](path)
    finally:
        path.write_text(before)


# --- what is in them -------------------------------------------------------------------------------------------------


def test_the_index_and_the_page_name_them_all(data: Path) -> None:
    index = json.loads((data / "index.json").read_text())
    listed = {one["paths"] for one in index["exports"]}
    assert len(listed) == len(CHECKS)
    page = (data.parent.parent / "data" / "index.html").read_text()
    named = {
        "track": [t["id"] for t in index["tracks"]],
        "submission": json.loads((data / "exports/every_eval_ever/records.json").read_text()),
        "round": {c["date"] for c in json.loads((data / "history.json").read_text())["changes"]},
    }
    for one in index["exports"]:
        assert one["standard"] in page
        [what] = re.findall(r"{(\w+)}", one["paths"]) or [""]
        for name in named.get(what, [""]):
            assert (data / one["paths"].replace(f"{{{what}}}", name)).is_file()
    records = json.loads((data / "exports/every_eval_ever/records.json").read_text())
    assert all((data / "exports/every_eval_ever" / path).is_file() for path in records.values())


def test_croissant_reads_the_tables(tmp_path: Path) -> None:
    known = tracks.load_all(ROOT / "test_data" / "tracks")
    folders = {name: ROOT / "test_data" / name for name in ("smoke", "smoke-panels")}
    if REAL_DATA.is_dir():
        folders["jain"] = REAL_DATA / "hidden" / "jain"
    for name, folder in folders.items():
        (tmp_path / "it.json").write_bytes(
            json.dumps(croissant.description(known[name], Published([], [], []), None)).encode()
        )
        tables = {f"{table}.csv": folder / f"{table}.csv" for table in ("sequences", "labels")}
        dataset = mlcroissant.Dataset(tmp_path / "it.json", mapping=tables)
        for table in ("sequences", "labels"):
            with (folder / f"{table}.csv").open() as stream:
                expected = list(csv.DictReader(stream))
            found = list(dataset.records(table))
            assert len(found) == len(expected)
            for theirs, ours in zip(found, expected, strict=True):
                for column, cell in ours.items():
                    value = theirs[f"{table}/{column}"]
                    plain = value.decode() if isinstance(value, bytes) else value
                    assert plain == (float(cell) if isinstance(plain, int | float) else cell or None)


def test_of_a_hidden_track_no_table_and_no_hash(tmp_path: Path) -> None:
    open_track = tracks.load_all(ROOT / "test_data" / "tracks")["jain"]
    sha256 = open_track.sha256.model_copy(update={"labels": None})
    hidden = open_track.model_copy(update={"disclosure": "hidden", "sha256": sha256, "labels_hmac_sha256": "a" * 64})
    described = croissant.description(hidden, Published([], [], [], "https://example.org/"), "2026-01-01")
    (tmp_path / "it.json").write_text(json.dumps(described))
    check_croissant(tmp_path / "it.json")
    assert not re.search(r"[0-9a-f]{32}|FileObject|RecordSet", (tmp_path / "it.json").read_text().replace("cr:", ""))
    assert described["url"] == "https://example.org/datasets/jain/index.html"


def test_a_card_and_a_record_say_what_was_measured(data: Path) -> None:
    result = json.loads((ROOT / "leaderboard/results/net-charge/jain137.json").read_text())
    expected = result["metrics"]["roc_auc"]
    card: Any = ModelCard((data / "exports/model_cards/net-charge.md").read_text())
    [found] = [r for r in card.data.eval_results or () if (r.dataset_name, r.metric_type) == ("Jain 137", "roc_auc")]
    assert found.metric_value == round(expected["value"], 4) and (found.metric_args or {})["level"] == 0.95
    listed = json.loads((data / "exports/every_eval_ever/records.json").read_text())
    record = json.loads((data / "exports/every_eval_ever" / listed["net-charge"]).read_text())
    [told] = [r for r in record["evaluation_results"] if r["evaluation_result_id"] == "jain137/roc_auc"]
    assert told["score_details"]["score"] == expected["value"]
    interval = told["score_details"]["uncertainty"]["confidence_interval"]
    assert (interval["lower"], interval["upper"]) == (expected["low"], expected["high"])
    assert record["source_metadata"]["evaluator_relationship"] == "first_party"


@pytest.mark.parametrize("name", ["<b>*x*</b>", "--- # [a](https://b.c)", 'x": 1, {[', "é 🧬 ${{ x }}"])
def test_strangers_names_are_text(workspace: Workspace, name: str) -> None:
    text = json.dumps(name, ensure_ascii=False)
    image = f"docker_image: docker.io/me/x:1\nauthor: {text}\ndescription: {text}\nlicense: MIT OR Apache-2.0\n"
    (workspace.root / "submissions" / "entry.yaml").write_text(f"name: {text}\n{image}")
    put(workspace, "entry", metrics={metric: {"value": 0.00001234} for metric in METRIC_NAMES})
    data = publish(workspace) / "data" / "v1"
    card: Any = ModelCard((data / "exports/model_cards/entry.md").read_text())
    assert card.data.model_name == name and card.data.license == "other"
    assert all(isinstance(result.metric_value, float) for result in card.data.eval_results or ())
    assert not re.search(r"<b>|\*x\*|\]\(|\$\{", card.text)
    [record] = (data / "exports/every_eval_ever/data").rglob("*.json")
    check_every_eval_ever(record)
    assert json.loads(record.read_text())["model_info"]["name"] == name


def test_what_failed_or_was_withdrawn_is_in_no_export(workspace: Workspace) -> None:
    workspace.submit("fails", "docker.io/me/x:1")
    workspace.submit("taken-back", "docker.io/me/x:1", withdrawn="wrong weights")
    put(workspace, "fails", status="failed", failure="TIMEOUT", metrics={})
    put(workspace, "taken-back")
    data = publish(workspace) / "data" / "v1"
    assert json.loads((data / "exports/every_eval_ever/records.json").read_text()) == {}
    assert not (data / "exports/model_cards").exists()


def test_every_round_has_its_deposit() -> None:
    history = [
        Change(date=day, kind="new", submission=f"a-{k}", track="jain", status="ok", scorer=(None, "1"), metrics={})
        for k, day in enumerate(["2026-01-02", "2026-01-02", "2026-03-04"])
    ]
    found = dict(zenodo.files(Published([], [], history, "https://example.org/")))
    assert list(found) == ["exports/zenodo/2026-01-02.json", "exports/zenodo/2026-03-04.json"]
    first = json.loads(found["exports/zenodo/2026-01-02.json"])
    assert "2 new" in first["description"] and first["related_identifiers"][-1]["identifier"] == "https://example.org/"


def test_the_repository_says_how_to_cite_it(tmp_path: Path) -> None:
    assert (ROOT / citation.FILE).read_bytes() == citation.text(ROOT), "run python -m scripts.citation"
    check_citation(ROOT / citation.FILE)
    told = yaml.safe_load((ROOT / citation.FILE).read_text())
    dois = {t.source.doi for t in tracks.load_all(ROOT / "test_data" / "tracks").values() if t.source.doi}
    assert {reference["doi"] for reference in told["references"] if "doi" in reference} == dois


def test_formats_are_found_by_their_files() -> None:
    assert len(exports.formats()) == len(list((ROOT / "leaderboard" / "exporting").glob("[!_]*.py")))
