"""A made-up store of entries and results, for tests of the site, its benchmark and its screenshots; nothing real.

python -m scripts.example_store FOLDER --entries 50
"""

from __future__ import annotations

import argparse
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import yaml

from evaluator.contract import submissions
from evaluator.contract import tracks as track_files
from evaluator.contract.labels import find_panel
from evaluator.contract.work import CONTRACT_VERSION
from evaluator.integrity import freshness
from evaluator.scoring import curves, metrics, ranking, scorer
from evaluator.scoring.scored import Scored
from evaluator.scoring.similarity import Behaviours, error_agreement
from evaluator.settings import Repository
from evaluator.store.results import Results
from evaluator.store.schemas import Alike, Behaviour, ImageRecord, Pairs, Standing, Standings, Value

ROOT = Path(__file__).resolve().parent.parent
BACKBONES = ("esm1v", "esm2_650m", "antiberty", "ablang2", "none")
HEADS = ("logreg", "svm", "mlp", "xgboost", "random forest")
DATES = ("2026-05-03", "2026-06-14", "2026-07-02", "2026-08-21", "2026-09-05")
RANKED = 300
NOTICE = "Made up: no entry and no figure on these pages is real. They show how a large board looks."


def make(folder: Path, entries: int, tracks: tuple[str, ...] = ("jain", "shehata"), seed: int = 0) -> Repository:
    """Write `test_data/`, `submissions/` and `leaderboard/results/` with so many entries into a folder."""
    repository = Repository(folder)
    shutil.copytree(ROOT / "test_data", folder / "test_data", dirs_exist_ok=True)
    repository.submissions.mkdir(parents=True, exist_ok=True)
    (folder / "pyproject.toml").write_text(f'[tool.apb]\nnotice = "{NOTICE}"\n')
    rng = np.random.default_rng(seed)
    ids = [_submit(repository, k, rng) for k in range(entries)]
    known = {p.stem: yaml.safe_load(p.read_text()) for p in repository.tracks.glob("*.yaml")}
    history = []
    for track in tracks:
        history += _results(repository, known[track], ids, rng)
    if entries <= RANKED:
        _ask(repository, ids, rng)
    (repository.results / "history.jsonl").write_text("".join(f"{json.dumps(h)}\n" for h in history))
    return repository


def _ask(repository: Repository, ids: list[str], rng: np.random.Generator) -> None:
    """Answers to the panel, alike where the backbone is the same; the last entry is a near copy of the one before."""
    panel = find_panel(repository.panel)
    assert panel is not None
    of_backbone = rng.normal(size=(len(BACKBONES), panel.track.n))
    for k, entry_id in enumerate(ids):
        if k < len(ids) - 1:
            raw = of_backbone[k % len(BACKBONES)] + 0.5 * rng.normal(size=panel.track.n)
        Results(repository.results).put_behaviour(
            Behaviour(
                submission=entry_id, panel=panel.track.id, status="ok", evaluated_at=DATES[0],
                image=ImageRecord(reference="docker.io/lab/model:1.0", digest=f"sha256:{k:064x}"),
                sequences_sha256=panel.sequences_sha256 or "", software="0", run_key=f"{k:032x}",
                scores=tuple(float(f"{x:.6g}") for x in 1 / (1 + np.exp(-raw))),
            )
        )  # fmt: skip


def _submit(repository: Repository, k: int, rng: np.random.Generator) -> str:
    backbone, head = BACKBONES[k % len(BACKBONES)], HEADS[(k // len(BACKBONES)) % len(HEADS)]
    if k < 2:
        name, entry_id, image = (("Random", "random"), ("Net charge", "net-charge"))[k] + (f"apb/example-{k}:1.0",)
    else:
        name, entry_id = f"{backbone} {head} {k}", f"lab-{backbone.replace('_', '-')}-{k}"
        image = f"docker.io/lab{k % 40}/model:{k}.0"
    sets = [["none"], ["boughter"], ["undisclosed"], ["boughter", "gdpa1"], ["boughter"]][k % 5] if k > 1 else ["none"]
    entry = {
        "name": name, "docker_image": image, "author": f"Laboratory {k % 40}", "training_data": sets,
        "description": "A made-up entry.", "license": "MIT",
        "model": {"backbone": backbone, "head": head, "parameters": int(rng.integers(1, 650)) * 10**6},
    }  # fmt: skip
    if k % 3 == 0:
        entry["code"] = f"https://example.org/lab{k % 40}/model"
    (repository.submissions / f"{entry_id}.yaml").write_text(yaml.safe_dump(entry, sort_keys=False))
    return entry_id


def _results(
    repository: Repository, track: dict[str, Any], ids: list[str], rng: np.random.Generator
) -> list[dict[str, Any]]:
    n1, n0 = track["classes"]["positive"], track["classes"]["negative"]
    truth = np.r_[np.ones(n1), np.zeros(n0)].astype(np.int8)
    shared, rows, history, scored_ids = rng.normal(size=n1 + n0), [], [], []
    patterns = [_scores(truth, shared, 0.15 * k, rng) for k in range(12)]
    made: dict[int, dict[str, Any]] = {}
    for k, entry_id in enumerate(ids):
        if len(ids) > RANKED:  # measuring thousands anew would only take time
            which = int(rng.integers(0, len(patterns)))
            record = made.setdefault(which, _record(truth, patterns[which], track))
        else:
            scores = _scores(truth, shared, 0.0 if k == 0 else float(rng.uniform(0, 1.6)), rng)
            record = _record(truth, scores, track)
            rows.append(scores)
            scored_ids.append(entry_id)
        failed = k > 4 and k % 17 == 3
        date = DATES[k % len(DATES)]
        content = {
            **record, "submission": entry_id, "evaluated_at": date, "run_key": f"{k:032x}",
            "image": {"reference": "docker.io/lab/model:1.0", "digest": f"sha256:{k:064x}", "size_mb": 900 + k % 400},
            "runtime": {"seconds": float(f"{rng.uniform(1, 900):.2g}"), "peak_memory_mb": int(rng.integers(100, 9000))},
        }  # fmt: skip
        if failed:
            content.update(status="failed", failure="TIMEOUT", metrics={}, curves=None, confusion=None)
        if k % 23 != 22:  # some have not been run yet
            path = Results(repository.results).path(entry_id, track["id"])
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps(content))
            history.append(_change(content))
        if failed or k % 23 == 22 or (k > 1 and k % 5 == 3 and "gdpa1" in track["same_labels"]):
            rows, scored_ids = (
                rows[: len(rows) - (len(ids) <= RANKED)],
                scored_ids[: -1 if len(ids) <= RANKED else None],
            )
    if rows:
        _rank(repository, track, truth, scored_ids, np.array(rows))
    return history


def _scores(
    truth: npt.NDArray[np.int8], shared: npt.NDArray[np.float64], strength: float, rng: np.random.Generator
) -> npt.NDArray[np.float64]:
    raw = strength * truth + 0.8 * shared + 0.6 * rng.normal(size=len(truth)) - strength / 2
    return np.asarray(1 / (1 + np.exp(-raw)))


def _record(truth: npt.NDArray[np.int8], scores: npt.NDArray[np.float64], track: dict[str, Any]) -> dict[str, Any]:
    predicted = (scores > 0.5).astype(np.int8)
    found = metrics.score(truth, scores, predicted)
    assert found.confusion is not None
    return {
        "track": track["id"], "status": "ok", "failure": None, "sequences_sha256": "0" * 64, "labels_hash": "0" * 64,
        "contract": CONTRACT_VERSION, "scorer": scorer.SCORER_VERSION, "software": "0", "commit": None, "limits": {},
        "hardware": {"cpu": None, "cpus": 4.0, "memory_gb": 32, "gpu": None}, "sandbox": "docker", "n": len(truth),
        "confusion": vars(found.confusion), "metrics": {k: e.as_dict() for k, e in found.metrics.items()},
        "curves": curves.full(Scored(truth, scores, predicted), 100),
    }  # fmt: skip


def _change(record: dict[str, Any]) -> dict[str, Any]:
    return {
        "date": record["evaluated_at"], "kind": "new", "submission": record["submission"], "track": record["track"],
        "status": record["status"], "failure": record["failure"], "digest": record["image"]["digest"],
        "scorer": [None, record["scorer"]], "metrics": {k: [None, v["value"]] for k, v in record["metrics"].items()},
    }  # fmt: skip


def _alike(truth: npt.NDArray[np.int8], ids: list[str], rows: npt.NDArray[np.float64]) -> Alike:
    said = Behaviours.of({i: row.tolist() for i, row in zip(ids, rows, strict=True)})
    wrong = ((said.scores > 0.5) != truth).astype(np.float64)
    observed, beyond = ([row[:i].tolist() for i, row in enumerate(m)] for m in error_agreement(wrong))
    below = [row[:i].tolist() for i, row in enumerate(said.spearman)]
    return Alike.model_validate(
        {"submissions": said.ids, "spearman": below, "agreement": observed, "consistency": beyond}
    )


def _rank(
    repository: Repository,
    track: dict[str, Any],
    truth: npt.NDArray[np.int8],
    ids: list[str],
    rows: npt.NDArray[np.float64],
) -> None:
    compared = ranking.compare(truth, rows)
    ranks, tiers = ranking.rank(compared), track["ranked"] == "tiers"
    order = np.argsort(-compared.value, kind="stable")
    deviation = compared.deviation()[np.ix_(order, order)]
    store = Results(repository.results)
    store.put_pairs(
        Pairs(
            track=track["id"],
            metric="roc_auc",
            freedom=compared.freedom,
            submissions=tuple(ids[k] for k in order),
            value=tuple(float(compared.value[k]) for k in order),
            deviation=tuple(tuple(float(d) for d in deviation[i, :i]) for i in range(len(order))),
            alike=_alike(truth, ids, rows),
        )
    )
    floor = ids.index("net-charge")
    value, low, high = compared.against(floor, ranking.ALPHA)
    entries = {
        name: Standing(
            tier=int(ranks.tier[k]) if tiers else None, rank_low=int(ranks.rank_low[k]) if tiers else None,
            rank_high=int(ranks.rank_high[k]) if tiers else None,
            to_best=Value(
                value=float(ranks.to_best[k]), low=float(ranks.to_best_low[k]), high=float(ranks.to_best_high[k])
            ),
            to_floor=None
            if k == floor
            else Value(value=float(value[k]), low=float(low[k]), high=float(high[k])),
        )
        for k, name in enumerate(ids)
    }  # fmt: skip
    described = track_files.load_all(repository.tracks)[track["id"]]
    known = {path.stem: submissions.load(path) for path in repository.submissions.glob("*.yaml")}
    records = freshness.ranked_records(described, known, lambda entry: store.scope(entry, described.id))
    store.put_standings(
        Standings(
            track=track["id"],
            metric="roc_auc",
            detectable=ranks.detectable,
            entries=entries,
            made_from=freshness.made_from(described, records, repository.settings.level),
        )
    )


def main() -> None:
    """Write a store."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--entries", type=int, default=50)
    options = parser.parse_args()
    make(options.folder, options.entries)
    print(f"apb --root {options.folder} publish")


if __name__ == "__main__":
    main()
