"""What else stands on the site, and the site itself."""

from __future__ import annotations

import csv
import json
import re
from collections import Counter
from pathlib import Path

import numpy as np

from evaluator.contract import tables
from evaluator.errors import BenchmarkError
from evaluator.integrity import data_audit, verify
from leaderboard.build import build
from leaderboard.pages import COVERAGE
from scripts import ceiling, results
from scripts.rebuilding.board import Board
from scripts.rebuilding.found import Found, numbers

CEILINGS = {"vhh48": ("low_throughput_polyspecificity_scores_w_exp.csv", r"Biorep \d")}
"""Of which published file's columns a track's ceiling is made."""
BUILT_FROM = re.compile(rb"[0-9a-f]{12} of \d{4}-\d\d-\d\d")
"""The commit of the checkout, which stands on every page."""


def of_audits(board: Board) -> Found:
    """What the pages of the datasets say that audits found."""
    found = Found("audits of the tracks' data")
    for path in sorted((board.repository.public_data / "audits").glob("*.json")):
        told, data = json.loads(path.read_bytes()), board.data(path.stem)
        if data is None:
            found.leave("the tables are not here: HIDDEN=dir or PUBLISHED=dir names them", len(numbers(told)))
            continue
        if not board.train:
            found.leave("the training sets are not here: TRAIN=file names them", len(numbers(told.pop("trained"))))
        audit = data_audit.audit(data_audit.of_track(data), board.train)
        again = audit.model_dump(mode="json")
        found.compare(f"the audit of {path.stem}", told, again if board.train else {**again, "trained": None})
    return found


def of_ceilings(board: Board) -> Found:
    """What replicates of an assay agree on."""
    found = Found("ceilings")
    for track in board.tracks.values():
        if track.ceiling is None:
            continue
        name, columns = CEILINGS.get(track.id, ("", ""))
        paths = [*board.find(name), *(board.work / "downloads").rglob(name or "-")]
        told = track.ceiling.model_dump(include={"value", "low", "high"})
        if not paths:
            found.leave("the published file is not here: PUBLISHED=dir names it", len(told))
            continue
        table = tables.read_csv(paths[0])
        replicates = [np.array(cells, dtype=np.float64) for c, cells in table.items() if re.match(columns, c)]
        again = dict(zip(("value", "low", "high"), ceiling.agreement(replicates), strict=True))
        found.compare(f"the ceiling of {track.id}", told, {k: round(v, 4) for k, v in again.items()})
    return found


def of_coverage() -> Found:
    """How often intervals hold the true value."""
    with COVERAGE.open(encoding="utf-8") as source:
        cells = [cell for row in csv.reader(source) for cell in row]
    count = sum(bool(re.fullmatch(r"-?\d+(\.\d+)?", cell)) for cell in cells)
    return Found(
        "coverage of the intervals",
        left=Counter({"it is simulated, which takes long: python -m benchmarks.coverage": count}),
    )


def of_page(board: Board) -> Found:
    """docs/results.md, from the records."""
    found, path = Found("docs/results.md"), board.repository.root / results.PAGE
    if path.is_file():
        told, again = path.read_text(encoding="utf-8").splitlines(), results.text(board.repository.root).splitlines()
        for number in range(max(len(told), len(again))):
            old, new = "".join(told[number : number + 1]), "".join(again[number : number + 1])
            if old == new:
                found.equal += len(re.findall(r"\d+(?:\.\d+)?", old))
            else:
                found.differs.append(f"{results.PAGE} line {number + 1}: {old!r}, rebuilt {new!r}")
    return found


def of_site(board: Board) -> Found:
    """The whole site from the records, file by file, but for the commit that its pages name."""
    found, site, fresh = Found("site (files)"), board.repository.site, board.work / "site"
    where = board.repository
    try:
        build(where, submissions=where.submissions, results=where.results, out=fresh)
    except BenchmarkError as error:
        found.differs.append(f"the site cannot be built of these records: {error}")
        return found
    new = {p.relative_to(fresh).as_posix() for p in fresh.rglob("*") if p.is_file()}
    if not site.is_dir():
        found.leave(f"no built site is in {site} to compare with; it can be built", len(new))
        return found
    for name in sorted(new | {p.relative_to(site).as_posix() for p in site.rglob("*") if p.is_file()}):
        old, made = (_plain(folder / name) for folder in (site, fresh))
        if old == made:
            found.equal += 1
        else:
            found.differs.append(f"{name} of the site is not what the records give")
    return found


def _plain(path: Path) -> bytes | None:
    return BUILT_FROM.sub(b"", path.read_bytes()) if path.is_file() else None


def of_chain(board: Board) -> Found:
    """What `apb verify` looks at: schemas, places and keys of the records, the chain, its signature."""
    found = Found("checks of apb verify")
    for check in verify.examine(board.repository, site=None, rebuild=lambda _: None):
        if check.level == "FAIL":
            found.differs.append(check.what)
        found.equal += check.level == "ok"
    return found
