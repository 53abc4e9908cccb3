"""Build the site: results + tracks + submissions -> `data/v1/` + HTML. The same input gives the same bytes."""

from __future__ import annotations

import gc
import json
import multiprocessing
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path

from evaluator.contract import submissions as submission_files
from evaluator.contract import tracks as track_files
from evaluator.contract.labels import find_panel
from evaluator.contract.submissions import Submission
from evaluator.errors import EvaluatorError, SubmissionError
from evaluator.git import commit_and_day
from evaluator.integrity import freshness, relatives
from evaluator.settings import Repository
from evaluator.store.results import Results
from evaluator.store.schemas import Change, Result
from leaderboard import audits, data, exports, pages
from leaderboard.board import board
from leaderboard.cards import shown
from leaderboard.pages import Content
from leaderboard.similar import Similar

HERE = Path(__file__).resolve().parent


@dataclass(frozen=True)
class Site:
    """What was built, and how much of it."""

    index: Path
    pages: int
    entries: int
    records: int


@contextmanager
def _without_collection() -> Iterator[None]:
    """All that is read lives until the end: looking for garbage in it takes a third of the time and finds none."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()


@_without_collection()
def build(repository: Repository, *, submissions: Path, results: Path, out: Path) -> Site:
    """Write the whole site to `out`, in place of what was there.

    Raises:
        EvaluatorError: a record or a track is not valid, or an entry that was published once is gone.
    """
    out.parent.mkdir(parents=True, exist_ok=True)
    fresh = Path(tempfile.mkdtemp(dir=out.parent, prefix=f".{out.name}."))
    read = partial(_read, repository, submissions, results, out)
    try:
        # A second process reads again: for thousands of entries that is quicker than to share what the first has read.
        with _beside(_write_data, fresh / "data", read):
            site = read()
            _write(fresh, ((f"static/{p.name}", p.read_bytes()) for p in sorted((HERE / "static").iterdir())))
            count = _write(fresh, pages.files(site))
        fresh.chmod(0o755)
        if out.exists():
            shutil.rmtree(out)
        fresh.rename(out)
    except BaseException:
        shutil.rmtree(fresh, ignore_errors=True)
        raise
    return Site((out / "index.html").resolve(), count, len(site.entries), sum(len(r) for r in site.results.values()))


@contextmanager
def _beside(action: Callable[..., object], *arguments: object) -> Iterator[None]:
    """Do a part of the work in a process of its own."""
    context = multiprocessing.get_context("fork")
    faults, to_us = context.Pipe(duplex=False)
    process = context.Process(target=_telling, args=(to_us, action, *arguments))
    process.start()
    to_us.close()
    try:
        yield
    except BaseException:
        process.terminate()
        raise
    else:
        with suppress(EOFError):  # it has nothing to tell
            raise faults.recv()
    finally:
        process.join()
        faults.close()
    if process.exitcode:
        raise EvaluatorError("A part of the site could not be written.", "Publish again.")


def _telling(to_first: Connection, action: Callable[..., object], *arguments: object) -> None:
    """Hand what goes wrong to the first process, which tells it in one line, as everything else."""
    try:
        action(*arguments)
    except (OSError, EvaluatorError) as error:
        to_first.send(error)


def _write_data(folder: Path, read: Callable[[], Content]) -> None:
    site = read()
    offered = exports.offered()
    _write(
        folder / "v1",
        data.files(
            site.boards, site.entries, site.results, site.history, site.similar, site.erased, offered, site.cards
        ),
    )
    _write(folder / "v1", exports.files(exports.Published(site.boards, site.entries, site.history, site.url)))
    (folder / "v1.zip").write_bytes(data.archive(folder / "v1"))


def _read(repository: Repository, submissions: Path, results: Path, out: Path) -> Content:
    store = Results(results)
    records, history = store.all(), store.history()
    entries = _entries(submissions)
    erased = store.erased()
    _require_all(entries, records, history, out, {e.submission for e in erased})
    by_submission: dict[str, dict[str, Result]] = {}
    by_track: dict[str, dict[str, Result]] = {}
    for record in records:
        by_submission.setdefault(record.submission, {})[record.track] = record
        by_track.setdefault(record.track, {})[record.submission] = record
    known = track_files.load_all(repository.tracks)
    on_site = [t for t in known.values() if t.purpose == "benchmark" or t.id in by_track]
    by_id, level = {e.id: e for e in entries}, repository.settings.level
    cards = {}
    for entry in entries:
        of_entry = by_submission.get(entry.id, {}).values()
        if card := shown(entry, known.values(), store.card(entry.id), of_entry):
            cards[entry.id] = card
    boards, compared = [], relatives.load(repository.public_data / "relatives")
    for track in on_site:
        found, standings, pairs = by_track.get(track.id, {}), store.standings(track.id), store.pairs(track.id)
        stale = standings is not None and not freshness.is_fresh(standings, track, by_id, found.get, level)
        ranked = (None, None) if stale else (standings, pairs)
        boards.append(board(track, entries, found, *ranked, stale=stale, cards=cards, known=compared))
    settings, built_from = repository.settings, commit_and_day(repository.root)
    audited = audits.load(repository.public_data / "audits")
    panel = find_panel(repository.panel)
    asked = store.behaviours(panel.track.id) if panel else {}
    similar = Similar.of(panel.track if panel else None, asked, entries, boards, level)
    return Content(
        boards,
        entries,
        by_submission,
        history,
        settings.site_url,
        similar,
        erased,
        settings.notice,
        built_from,
        audited,
        settings.source_url,
        cards,
    )


def _write(folder: Path, files: Iterable[tuple[str, bytes]]) -> int:
    """Plainly, since the folder takes the old one's place as a whole; returns how many."""
    count = 0
    for name, content in files:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        count += 1
    return count


def _entries(folder: Path) -> list[Submission]:
    """Every valid submission; an invalid one cannot have been merged."""
    found = []
    for path in sorted(folder.glob("*.yaml")):
        try:
            found.append(submission_files.load(path))
        except SubmissionError:
            continue
    return found


def _require_all(
    entries: list[Submission], records: list[Result], history: list[Change], out: Path, erased: set[str]
) -> None:
    """No entry that was published once may vanish, but for those that were erased."""
    before = {r.submission for r in records} | {c.submission for c in history}
    index = out / "data" / "v1" / "index.json"
    if index.is_file():
        try:
            before |= set(json.loads(index.read_text())["submissions"])
        except (ValueError, KeyError, TypeError) as error:
            raise EvaluatorError(f"{index} is not valid.", f"Remove {out} and publish again.") from error
    gone = sorted(before - {e.id for e in entries} - erased)
    if gone:
        raise EvaluatorError(
            f"{len(gone)} published entries have no valid submission file any more: {', '.join(gone[:5])}.",
            f"Restore their files from git (git log -p -- submissions/{gone[0]}.yaml); to take one back, add a line "
            "'withdrawn: why' to its file; where the law asks for it to be gone: apb erase.",
        )
