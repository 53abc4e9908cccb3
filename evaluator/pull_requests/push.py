"""What a job has recorded, committed and pushed: the records and the intake, and nothing else."""

from __future__ import annotations

import re
from pathlib import Path

from evaluator.contract.models import ID
from evaluator.errors import EvaluatorError
from evaluator.files import write_bytes
from evaluator.git import commit_of, git
from evaluator.settings import Repository
from evaluator.store import intake
from evaluator.store.results import CARD, Results
from evaluator.store.schemas import Behaviour, CardRecord, Result
from evaluator.text import printable

RESULTS = "leaderboard/results/"
PATHS = (RESULTS.rstrip("/"), "leaderboard/intake.jsonl")
IDENTITY = (
    "-c",
    "user.name=github-actions[bot]",
    "-c",
    "user.email=41898282+github-actions[bot]@users.noreply.github.com",
)
TRIES = 5


def commit(repository: Repository, message: str) -> str | None:
    """Commit what has changed of the records; the new commit, or None where nothing has."""
    root = repository.root
    there = [path for path in PATHS if (root / path).exists()]
    if there:
        git(root, "add", "--", *there)
    changed = git(root, "diff", "--cached", "--name-only", "-z", "--", *PATHS)
    if not changed.strip(b"\0"):
        return None
    git(root, *IDENTITY, "commit", "--quiet", "--message", message, "--only", "--", *there)
    return git(root, "rev-parse", "HEAD").decode().strip()


def push(repository: Repository, branch: str, environment: dict[str, str]) -> list[str] | None:
    """Push to `origin`; where others have pushed meanwhile, what we have recorded goes on top of theirs.

    Returns:
        None, as a rule. Where our records had to be joined with others', what of ours was left out (see `rejoin`);
        rankings are then to be made anew, and a signature given again.

    Raises:
        EvaluatorError: it does not work; the commits stay here.
    """
    root = repository.root
    joined: list[str] | None = None
    for left in reversed(range(TRIES)):
        try:
            git(root, "push", "--quiet", "origin", f"HEAD:refs/heads/{branch}", environment=environment)
        except EvaluatorError:
            if not left:
                raise
            git(root, "fetch", "--quiet", "origin", f"refs/heads/{branch}", environment=environment)
            try:
                git(root, *IDENTITY, "rebase", "--quiet", "--autostash", "FETCH_HEAD")
            except EvaluatorError:
                git(root, "rebase", "--abort")
                ours = commit_of(root, "HEAD")
                left_out = rejoin(repository, commit_of(root, "FETCH_HEAD"))
                if left_out:  # nothing is lost: all that was ours stays on a branch of its own
                    rescue = f"records-{ours[:12]}"
                    git(root, "push", "--quiet", "origin", f"{ours}:refs/heads/{rescue}", environment=environment)
                    left_out.append(f"what was left out stands on the branch {rescue}")
                joined = [*(joined or []), *left_out]
        else:
            return joined
    return joined


def rejoin(repository: Repository, theirs: str) -> list[str]:
    """Record again, on top of what others have pushed, what our commits have recorded since both parted.

    Files that only grow cannot be merged by their text: each of our records is put once more, so that history and chain
    go on from theirs. Of a pair that both have recorded the later record stays; theirs where both are of one day.
    Rankings are not joined: they are made anew from the records of both.

    Args:
        theirs: the commit to go on from.

    Returns:
        A line on each thing of ours that was left out.

    Raises:
        EvaluatorError: our commits hold more than records and intake.
    """
    root, results = repository.root, Results(repository.results)
    ours = git(root, "rev-parse", "HEAD").decode().strip()
    start = git(root, "merge-base", ours, theirs).decode().strip()
    changed = _names(root, start, ours)
    _require_joinable(root, start, ours, changed)
    message = git(root, "log", "-1", "--format=%s", ours).decode().strip()
    lines = intake.read(repository.intake)
    git(root, "reset", "--quiet", "--keep", theirs)
    known = intake.read(repository.intake)
    gone = {erased.submission for erased in results.erased()} | intake.are_erased(known)
    told: dict[str, None] = {}
    for name in changed:
        owner = name.removeprefix(RESULTS).partition("/")[0]
        if owner in gone:
            told[f"{owner} was erased by others; nothing of it is recorded"] = None
        elif line := _put_again(repository, name, git(root, "show", f"{ours}:{name}"), _blob(root, start, name)):
            told[line] = None
    if new := [line for line in lines if line not in known and line.id not in gone]:
        intake.write(repository.intake, [*known, *new])
    commit(repository, message)
    return list(told)


def _put_again(repository: Repository, name: str, ours: bytes, start: bytes) -> str:
    """One file of ours on top of others'; what was left out, in words, if anything.

    Args:
        start: the file's hash when both parted.
    """
    root, results = repository.root, Results(repository.results)
    if match := _RECORD.fullmatch(name):
        record, before = Result.model_validate_json(ours), results.get(match[1], match[2])
        both = before and start != _blob(root, "HEAD", name)
        if both and before and record.evaluated_at <= before.evaluated_at:
            return f"{match[1]} on {match[2]} was recorded by others too; theirs stays"
        results.put(record)
    elif name.endswith(f"/{CARD}"):
        _put_later(results, CardRecord.model_validate_json(ours))
    elif _PANEL.fullmatch(name):
        _answer_later(results, Behaviour.model_validate_json(ours))
    elif name.endswith("/image.lock"):
        if not (root / name).exists():
            write_bytes(root / name, ours)
        elif (root / name).read_bytes() != ours:
            return f"{Path(name).parent.name} was locked by others to another image; theirs stays"
    return ""


def _put_later(results: Results, card: CardRecord) -> None:
    """Of a card that both have looked into, the later word stays; theirs where both are of one day."""
    theirs = results.card(card.submission)
    if theirs is None or theirs.checked_at < card.checked_at:
        results.put_card(card)


def _answer_later(results: Results, answer: Behaviour) -> None:
    """The same of what an entry said of a panel."""
    theirs = results.behaviour(answer.submission, answer.panel)
    if theirs is None or theirs.evaluated_at < answer.evaluated_at:
        results.put_behaviour(answer)


def _require_joinable(root: Path, start: str, ours: str, changed: list[str]) -> None:
    """Refuse what cannot be done once more on top of others' commits."""
    if other := [name for name in changed if not name.startswith(PATHS)]:
        raise EvaluatorError(
            f"These commits change more than records, such as {printable(other[0], 120)}, and others have recorded "
            "something meanwhile.",
            "Push those changes by a pull request of their own, then run this again.",
        )
    if _names(root, start, ours, "D") or "leaderboard/results/erased.jsonl" in changed:
        raise EvaluatorError(
            "These commits erase an entry or delete records, and others have recorded something meanwhile.",
            "Take them back (git reset --hard FETCH_HEAD), and run apb erase again on top of theirs.",
        )


_RECORD = re.compile(rf"{RESULTS}({ID})/({ID})\.json")
_PANEL = re.compile(rf"{RESULTS}({ID})/panel/({ID})\.json")


def _names(root: Path, start: str, end: str, kinds: str = "AM") -> list[str]:
    """Files that differ between two commits: added to the second or modified there, or (`D`) deleted."""
    options = ("--name-only", "-z", "--no-renames", f"--diff-filter={kinds}")
    found = git(root, "diff", *options, start, end).decode("utf-8", "surrogateescape")
    return [name for name in found.split("\0") if name]


def _blob(root: Path, commit_name: str, path: str) -> bytes:
    """Hash of a file in a commit; empty where it has none."""
    return git(root, "ls-tree", commit_name, "--", path)


def bring_up_to_date(root: Path, branch: str, environment: dict[str, str]) -> None:
    """Move a clean checkout to the branch's newest commit: others may have been merged since it was made.

    Raises:
        EvaluatorError: it cannot be had, or the checkout has commits of its own.
    """
    git(root, "fetch", "--quiet", "origin", f"refs/heads/{branch}", environment=environment)
    git(root, "merge", "--quiet", "--ff-only", "FETCH_HEAD")
