"""Does what is published follow from what was recorded, and has anybody changed a record? And what cannot be told?"""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Literal

from pydantic import ValidationError

from evaluator.contract import submissions, tracks
from evaluator.contract.labels import TrackData, load_data
from evaluator.contract.tracks import Track
from evaluator.contract.work import Limits, run_key
from evaluator.errors import BenchmarkError, EvaluatorError, SubmissionError
from evaluator.files import whole_lines
from evaluator.integrity import disclosure, erasure, freshness, signing
from evaluator.scoring import metrics
from evaluator.scoring.scored import Scored
from evaluator.settings import Repository
from evaluator.store import intake
from evaluator.store.results import CARD, Results
from evaluator.store.schemas import Link, Result, Scope, TaskValue
from evaluator.store.state import State

Level = Literal["ok", "FAIL", "unknown"]
SHOWN = 10
LIMITS = {"memory", "pids", "output", "output_inodes", "seconds", "cpus"}


@dataclass(frozen=True)
class Check:
    """One thing looked at: it holds, it does not, or it cannot be told here."""

    level: Level
    what: str


def examine(
    repository: Repository,
    *,
    site: Path | None,
    rebuild: Callable[[Path], None],
    hidden: Path | None = None,
    state: State | None = None,
) -> Iterator[Check]:
    """Look at every record, the chain, its signature and the site's data.

    Args:
        site: a built site to compare with; None where there is none.
        rebuild: builds the site anew into a folder.
        hidden: hidden data; with `state`, every metric is computed again from kept predictions.
    """
    results = Results(repository.results)
    records: list[Result] = []
    yield from _records(repository, results, records)
    yield from _chain(results)
    yield from _signature(results, repository)
    yield from _side_files(repository, results)
    with suppress(EvaluatorError):  # a file that cannot be read has been told of
        yield from _erased(repository, results)
    yield from _rankings(repository, results)
    yield from _site(site, rebuild)
    if hidden and not hidden.is_dir():
        yield Check("unknown", f"the metrics themselves: {hidden} is no folder")
    elif hidden and state:
        yield from _scores(repository, records, hidden, state)
    else:
        yield Check("unknown", "the metrics themselves: they follow from private predictions (--hidden and --state)")
    yield Check("unknown", "that an image predicts what is recorded: only running its digest again can tell")


def _records(repository: Repository, results: Results, found: list[Result]) -> Iterator[Check]:
    """Every record against its schema, its place, its own key, its lock and its track."""
    known, faults, stale, moved = tracks.load_all(repository.tracks), [], [], []
    for path in sorted(results.folder.glob("*/*.json")):
        name = f"{path.parent.name}/{path.name}"
        try:
            record = Result.model_validate_json(path.read_bytes())
        except ValidationError as error:
            faults.append(f"{name} does not fit the schema ({error.error_count()} errors)")
            continue
        found.append(record)
        faults += [f"{name}: {fault}" for fault in _record(record, path)]
        lock = results.lock(record.submission, record.image.reference)
        if record.status == "ok" and lock and lock.digest != record.image.digest:
            moved.append(name)
        if record.track not in tracks.former_ids(known.values()) and _other_data(record, known.get(record.track)):
            stale.append(name)
    yield from _told(faults, f"{len(found)} records fit the schema, their places and their own keys")
    yield from _dates(found)
    if moved:
        yield Check("unknown", f"records of another image than is locked now: {', '.join(moved[:SHOWN])}")
    if stale:
        yield Check("unknown", f"records on other data than the track files name now: {', '.join(stale[:SHOWN])}")


def _dates(records: list[Result]) -> Iterator[Check]:
    """Whether the clock that dated the records was right, as far as this one can tell."""
    tomorrow = (datetime.now(UTC) + timedelta(days=1)).date().isoformat()
    ahead = [f"{r.submission} on {r.track} ({r.evaluated_at})" for r in records if r.evaluated_at > tomorrow]
    if ahead:
        yield Check(
            "unknown", f"when {len(ahead)} records were made, in the future by this clock: {', '.join(ahead[:SHOWN])}"
        )


def _record(record: Result, path: Path) -> Iterator[str]:
    if (record.submission, record.track) != (path.parent.name, path.stem):
        yield f"is of {record.submission} on {record.track}"
    if (record.status == "ok") == (record.failure is not None):
        yield "is neither a success nor a failure"
    if record.status == "ok" and not set(record.limits) >= LIMITS:
        yield f"lacks {', '.join(sorted(LIMITS - set(record.limits)))} among its limits"
    elif record.status == "ok":
        key = run_key(record.image.digest, record.given or record.sequences_sha256, _limits(record), record.sandbox)
        if key != record.run_key:
            yield "run_key does not follow from image, data and limits"
    counts = record.confusion
    if counts and sum(vars(counts).values()) != record.n:
        yield "the confusion matrix does not add up to n"
    accuracy = record.metrics.get("accuracy")
    if counts and accuracy and accuracy.value is not None:
        expected = (counts.tn + counts.tp) / record.n
        if abs(expected - accuracy.value) > disclosure.ROUNDING:
            yield f"accuracy is {accuracy.value}, its confusion matrix says {expected:.4f}"


def _limits(record: Result) -> Limits:
    whole = {name: int(record.limits[name]) for name in ("memory", "pids", "output", "output_inodes")}
    return Limits(seconds=record.limits["seconds"], cpus=record.limits["cpus"], **whole)


def _other_data(record: Result, track: Track | None) -> bool:
    if track is None:
        return True
    return (record.sequences_sha256, record.labels_hash) != (track.sha256.sequences, track.labels_hash)


def _chain(results: Results) -> Iterator[Check]:
    """Each line names the hash of the line before; each file is what its last line says; history is what it names."""
    faults, last, told = [], dict[str, str](), set[str]()
    if results.chain.is_file() and not results.chain.read_bytes().endswith(b"\n"):
        faults.append("the chain's last line is torn")
    before = None
    lines = whole_lines(results.chain)
    for number, line in enumerate(lines, start=1):
        try:
            link = Link.model_validate_json(line)
        except ValidationError:
            faults.append(f"line {number} of the chain is no link")
            continue
        if link.previous != before:
            faults.append(f"line {number} of the chain does not follow from the line before")
        before = hashlib.sha256(line).hexdigest()
        last[link.record] = link.sha256
        told |= {link.history} if link.history else set()
    faults += erasure.settle(results, last)
    there = {p.relative_to(results.folder).as_posix(): p for p in results.chained_files()}
    for name, expected in last.items():
        if name not in there:
            faults.append(f"{name} was recorded and has vanished: restore it from git, or apb erase its entry")
        elif hashlib.sha256(there[name].read_bytes()).hexdigest() != expected:
            faults.append(f"{name} is not as it was recorded")
    yield from _told(faults, f"the chain of {len(lines)} lines is whole, and {len(last)} files are as it says")
    if missing := [name for name in there if name not in last]:
        shown = ", ".join(missing[:SHOWN])
        yield Check("unknown", f"{len(missing)} files that the chain does not know, such as {shown}")
    yield from _history(results, told)


def _history(results: Results, told: set[str]) -> Iterator[Check]:
    """Every line of history that the chain names is there, and no other since it names them."""
    written = [hashlib.sha256(line).hexdigest() for line in whole_lines(results.history_file)]
    gone = told - set(written) - erasure.lines_taken_out(results)
    faults = [f"{len(gone)} lines of the history were changed or removed"] if gone else []
    known = [k for k, line in enumerate(written) if line in told]
    added = [k + 1 for k, line in enumerate(written) if line not in told and known and k > known[0]]
    if added:
        faults.append(f"line {added[0]} of the history was added or changed by hand, or left by a crash")
    yield from _told(faults, f"the {len(written)} lines of the history are as the chain says")
    if written and not known:
        yield Check("unknown", "the history: it was written before the chain told of it")


def _erased(repository: Repository, results: Results) -> Iterator[Check]:
    """Whether anything is left of the entries that were erased."""
    erased = sorted(erasure.tombstones(results))
    left = {entry: found for entry in erased if (found := erasure.remains(repository, results, entry))}
    if erased:
        faults = [
            f"{entry} was erased, and is in {', '.join(found)}: apb erase it again" for entry, found in left.items()
        ]
        yield from _told(faults, f"nothing is left of {len(erased)} erased entries but their ids")


def _signature(results: Results, repository: Repository) -> Iterator[Check]:
    if repository.settings.signer == "none":
        yield Check("unknown", "who wrote the records: no signer is configured ([tool.apb] signer), they are unsigned")
        return
    try:
        fault = signing.verify(results.chain, repository.settings)
    except EvaluatorError as error:
        yield Check("unknown", f"the signature: {error}")
        return
    who = repository.settings.signer
    yield Check("FAIL", f"signature: {fault}") if fault else Check("ok", f"the chain is signed ({who})")


def _side_files(repository: Repository, results: Results) -> Iterator[Check]:
    """Standings, pairs, cards, history and intake can at least be read."""
    faults = []
    readers: list[Callable[[], object]] = [results.history, results.erased, lambda: intake.read(repository.intake)]
    readers += [partial(results.card, path.parent.name) for path in results.folder.glob(f"*/{CARD}")]
    for track in tracks.load_all(repository.tracks):
        readers += [partial(results.standings, track), partial(results.pairs, track)]
    for read in readers:
        try:
            read()
        except BenchmarkError as error:
            faults.append(str(error))
    yield from _told(faults, "history, intake, cards, standings and pairs fit their schemas")


def _site(site: Path | None, rebuild: Callable[[Path], None]) -> Iterator[Check]:
    """The site's data, built again from the records, file by file."""
    if site is None:
        yield Check("unknown", "the site's data: no built site is here to compare with")
        return
    with tempfile.TemporaryDirectory() as folder:
        fresh = Path(folder) / "site"
        try:
            rebuild(fresh)
        except BenchmarkError as error:
            yield Check("FAIL", f"the site cannot be built from these records: {error}")
            return
        ours, theirs = _hashes(fresh / "data"), _hashes(site / "data")
    names = sorted({name for name, _ in ours.items() ^ theirs.items()})
    faults = [f"data/{name} is not what the records give" for name in names]
    yield from _told(faults, f"{len(ours)} data files of the site follow from the records")


def _hashes(folder: Path) -> dict[str, str]:
    files = (p for p in folder.rglob("*") if p.is_file() and p.suffix != ".html")  # its page names today's commit
    return {p.relative_to(folder).as_posix(): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


def _scores(repository: Repository, records: list[Result], hidden: Path, state: State) -> Iterator[Check]:
    """Every metric again from kept predictions and the labels."""
    known = tracks.load_all(repository.tracks)
    data: dict[str, TrackData | None] = {}
    faults, done, unkept = [], 0, 0
    for record in records:
        if record.track not in data:
            try:
                data[record.track] = load_data(known[record.track], hidden) if record.track in known else None
            except EvaluatorError as error:
                data[record.track] = None
                yield Check("unknown", f"the metrics on {record.track}: {error}")
        rows, kept = data[record.track], state.predictions(record.run_key)
        if record.status != "ok" or rows is None or kept is None or rows.labels_hash != record.labels_hash:
            unkept += record.status == "ok"
            continue
        done += 1
        scored = Scored.on(rows, kept.score, kept.prediction, record.level)
        scores = metrics.measure(scored)
        tolerance = disclosure.tolerance(rows.track)
        for name, found in scores.metrics.items():
            recorded = record.metrics.get(name)
            if recorded is None or not _alike(recorded.value, found.value, tolerance):
                faults.append(f"{record.submission} on {record.track}: {name} is {found.value} from its predictions")
        told, again = record.tasks or (), disclosure.told_tasks(scored, rows.track) or ()
        if len(told) != len(again) or not all(_same(*pair, tolerance) for pair in zip(told, again, strict=True)):
            faults.append(f"{record.submission} on {record.track}: its tasks have other values from its predictions")
    yield from _told(faults, f"the metrics of {done} records follow from their predictions")
    if unkept:
        yield Check("unknown", f"the metrics of {unkept} records: their predictions or labels are not here")


def _scope(results: Results, track: str, submission: str) -> Scope | None:
    return results.scope(submission, track)


def _rankings(repository: Repository, results: Results) -> Iterator[Check]:
    """Whether every ranking is of today's records, submissions and track files."""
    entries = {}
    for path in sorted(repository.submissions.glob("*.yaml")):
        with suppress(SubmissionError):  # such a file has no rank
            entries[path.stem] = submissions.load(path)
    faults, fresh = [], 0
    for track in tracks.load_all(repository.tracks).values():
        record_of = partial(_scope, results, track.id)
        try:
            standings = results.standings(track.id)
            stale = standings and not freshness.is_fresh(
                standings, track, entries, record_of, repository.settings.level
            )
        except EvaluatorError as error:
            faults.append(f"the ranking of {track.id}: {error}")
            continue
        fresh += standings is not None
        if stale:
            faults.append(f"the ranking of {track.id} is not of today's records: apb evaluate makes it anew")
    yield from _told(faults, f"{fresh} rankings are of today's records, submissions and track files")


def _same(a: TaskValue, b: TaskValue, tolerance: float) -> bool:
    ends = ((a.value, b.value), (a.low, b.low), (a.high, b.high))
    return (a.task, a.size) == (b.task, b.size) and all(_alike(*pair, tolerance) for pair in ends)


def _alike(a: float | None, b: float | None, tolerance: float) -> bool:
    return a is b if a is None or b is None else abs(a - b) <= tolerance


def _told(faults: list[str], well: str) -> Iterator[Check]:
    if not faults:
        yield Check("ok", well)
    for fault in faults[:SHOWN]:
        yield Check("FAIL", fault)
    if len(faults) > SHOWN:
        yield Check("FAIL", f"and {len(faults) - SHOWN} more")
