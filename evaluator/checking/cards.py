"""The reproducibility cards of the benchmark's entries, held against their images and recorded for the board."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta

from evaluator.checking.check import check
from evaluator.contract import submissions
from evaluator.contract.observed import in_brief
from evaluator.contract.references import Image
from evaluator.contract.submissions import Submission
from evaluator.errors import EvaluatorError, SubmissionError, UsageError
from evaluator.files import set_torn_end_aside
from evaluator.integrity.card import CARD_VERSION
from evaluator.running import images
from evaluator.running.engine import connect
from evaluator.running.pinning import Pinning
from evaluator.running.scratch import Scratch
from evaluator.settings import Repository, software_version
from evaluator.store.results import Results
from evaluator.store.schemas import CardRecord

HOLDS_FOR = timedelta(days=90)
"""What was verified once, such as that a repository is there, is looked at again after so long."""


@dataclass
class Cards:
    """What became of the cards of a benchmark.

    Attributes:
        held: ids whose card was held against its entry now.
        unchanged: ids whose card and image are as they were.
        without: ids that have none.
        left: why a card was left as it is, which is not its fault, by id.
    """

    held: list[str] = field(default_factory=list)
    unchanged: list[str] = field(default_factory=list)
    without: list[str] = field(default_factory=list)
    left: dict[str, str] = field(default_factory=dict)


def record(
    repository: Repository, ids: Sequence[str], *, scratch: Scratch, force: bool, say: Callable[[str], None]
) -> Cards:
    """Hold every card that is due against its entry's own image, and write down what became of it.

    Args:
        ids: entries to look at; none for all.
        force: hold those again that are up to date.

    Raises:
        UsageError: an entry is unknown.
        EvaluatorError: nothing can be written.
    """
    results, done = Results(repository.results), Cards()
    paths = {path.stem: path for path in sorted(repository.submissions.glob("*.yaml"))}
    if unknown := [entry_id for entry_id in ids if entry_id not in paths]:
        raise UsageError(f"There is no submission {', '.join(unknown)}.", f"Look into {repository.submissions}.")
    set_torn_end_aside(results.chain)
    for entry_id in ids or paths:
        try:
            entry = submissions.load(paths[entry_id])
        except SubmissionError:
            continue  # such a file is on no board
        if entry.card is None:
            done.without.append(entry_id)
        elif entry.withdrawn or (not force and _holds(results, entry)):
            done.unchanged.append(entry_id)
        else:
            _hold(repository, results, entry, scratch, done, say)
    return done


def _hold(
    repository: Repository,
    results: Results,
    entry: Submission,
    scratch: Scratch,
    done: Cards,
    say: Callable[[str], None],
) -> None:
    assert entry.card is not None
    path, before = repository.submissions / f"{entry.id}.yaml", results.card(entry.id)
    try:
        with _its_image(repository, results, entry, scratch) as exact:
            verdict = check(repository, path, image=None, scratch=scratch, say=lambda _: None, exact=exact)
    except EvaluatorError as error:
        done.left[entry.id] = str(error)
        say(f"{entry.id}: left as it is, not its fault: {error}")
        return
    made = CardRecord(
        submission=entry.id,
        card=entry.card.sha256,
        digest=verdict.digest,
        checked_at=datetime.now(UTC).date().isoformat(),
        checker=CARD_VERSION,
        software=software_version(),
        variables=verdict.card,
    )
    if entry.archived and before and _is_recent(before) and made.variables == before.variables:
        done.unchanged.append(entry.id)
        return
    results.put_card(made)
    done.held.append(entry.id)
    say(f"{entry.id}: {in_brief(made.variables)}")


@contextmanager
def _its_image(repository: Repository, results: Results, entry: Submission, scratch: Scratch) -> Iterator[Image | None]:
    """The image that an entry is evaluated by; one that is pulled for this is given up afterwards.

    None where there is none: of archived predictions, and where the check itself will say what is wrong with it.
    """
    exact = None
    if not entry.archived:
        with suppress(SubmissionError):
            exact = Pinning(repository.settings, results).resolve(entry)
    if exact is None or exact.pull is None:
        yield exact
        return
    with scratch.using(exact.pull):
        yield exact
    scratch.give_up(exact.pull, lambda name: images.discard(name, connect()))


def _holds(results: Results, entry: Submission) -> bool:
    """Whether the card and the image are those that were looked at, not long ago and by the same rules.

    Of archived predictions it costs nothing to look again.
    """
    before, lock = results.card(entry.id), results.lock(entry.id, entry.docker_image)
    if before is None or entry.card is None or entry.archived:
        return False
    its = {lock.digest} if lock else {record.image.digest for record in results.of(entry.id)}
    same = (before.card, before.checker) == (entry.card.sha256, CARD_VERSION)
    return same and (not its or before.digest in its) and _is_recent(before)


def _is_recent(before: CardRecord) -> bool:
    return datetime.now(UTC).date() - date.fromisoformat(before.checked_at) < HOLDS_FOR
