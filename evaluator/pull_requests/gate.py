"""What a pull request may change: exactly one submission, its author's own, and nothing else.

Only git's own objects are looked at, never a working tree: nothing of a pull request is checked out, opened or run.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from evaluator.contract import submissions
from evaluator.contract.models import ID
from evaluator.errors import Problem, SubmissionError, UsageError
from evaluator.git import commit_of, git
from evaluator.pull_requests.merged import asks_for_runs, blob, read_at
from evaluator.store.intake import Intake, is_by
from evaluator.text import markdown, printable

PLAIN = "100644"
MODES = {"120000": "a symbolic link", "160000": "a submodule", "100755": "executable", "040000": "a folder"}
_PATH = re.compile(rf"submissions/({ID})\.yaml".encode())
_LOGIN = re.compile(r"[a-z0-9_-]{1,39}")
"""As GitHub has given them over the years: `artur-` and `a--b` are old ones, an organisation's own have a `_`."""
WEEK = timedelta(days=7)
SHOWN = 5


@dataclass(frozen=True)
class Judgement:
    """What the gate says.

    Attributes:
        id: of the submission, where exactly one is changed.
        new: whether it is new.
        new_run: whether it makes evaluations due.
        content: of its file, where that is a valid submission.
        problems: why it is refused; none if it may pass.
    """

    id: str | None
    new: bool
    new_run: bool
    problems: tuple[Problem, ...]
    content: bytes | None = None

    @property
    def passed(self) -> bool:
        """Whether the pull request may pass."""
        return not self.problems

    def as_json(self) -> dict[str, Any]:
        """For programs."""
        return {
            "id": self.id,
            "new": self.new,
            "new_run": self.new_run,
            "passed": self.passed,
            "problems": [vars(p) for p in self.problems],
        }

    def as_markdown(self) -> str:
        """For a page and a comment; whatever a stranger wrote is shown as plain characters."""
        name = markdown(self.id or "this pull request")
        if self.passed:
            return f"## Gate: {name} may pass\n"
        lines = [f"## Gate: {name} is refused", ""]
        for p in self.problems:
            where = f"{markdown(p.where)}: " if p.where else ""
            lines.append(f"- **{markdown(p.code)}** {where}{markdown(p.what, 600)} {markdown(p.remedy, 400)}".rstrip())
        return "\n".join(lines) + "\n"


@dataclass(frozen=True)
class _Change:
    old_mode: str
    new_mode: str
    status: str
    path: bytes

    @property
    def shown(self) -> str:
        return printable(self.path.decode("utf-8", "backslashreplace"), 120)


def judge(
    root: Path,
    base: str,
    head: str,
    author: str,
    *,
    account: int | None = None,
    intake: Sequence[Intake] = (),
    maintainers: Sequence[int] = (),
    quota: int = 3,
    pending: int = 0,
    today: date,
) -> Judgement:
    """Judge the commits of `head` that are not in `base`.

    Args:
        root: a clone that has both.
        author: login of the pull request's author; a new id begins with it.
        account: GitHub's number of the author, by which entries are owned; None where it is not known.
        intake: every merged submission so far.
        maintainers: accounts that may change any submission.
        quota: evaluations that an author may ask for in seven days.
        pending: evaluations that the author has asked for and that are about to be merged.

    Raises:
        UsageError: a commit is not known, or the login is none.
    """
    login = author.lower()
    if not is_login(login):
        raise UsageError(f"'{printable(author, 60)}' is no login.")
    start = git(root, "merge-base", commit_of(root, base), commit_of(root, head)).decode().strip()
    changes = _changes(root, start, commit_of(root, head))
    problems = [*_kinds(changes)]
    if problems:
        return Judgement(None, new=False, new_run=False, problems=tuple(problems))
    change = changes[0]
    found = _PATH.fullmatch(change.path)
    assert found is not None
    entry_id, new = found[1].decode(), change.status == "A"
    if not new and _blob(root, start, entry_id) != _blob(root, commit_of(root, base), entry_id):
        remedy = "Merge or rebase onto the current main branch: what is judged must be what is merged."
        problems.append(Problem("STALE", f"{entry_id} has changed in the meantime.", remedy))
    before = None if new else read_at(root, commit_of(root, base), entry_id)
    try:
        content = blob(root, commit_of(root, head), entry_id)
        after = submissions.parse(content, entry_id)
    except SubmissionError as error:
        return Judgement(entry_id, new=new, new_run=True, problems=error.problems)
    new_run = asks_for_runs(before, after)
    if before and (before.archived is None) != (after.archived is None):
        remedy = "Its records are of the one kind; make a new entry for the other."
        problems.append(Problem("ARCHIVED", f"{entry_id} changes between an image and archived predictions.", remedy))
    if account is None or account not in maintainers:
        if after.archived:
            what = "'archived' is for predictions that were published elsewhere; maintainers alone add such entries."
            problems.append(Problem("ARCHIVED", what, "Name a 'docker_image' that makes the predictions."))
        problems += _ownership(root, base, entry_id, login, account, intake, new=new)
        asked = [line for line in intake if line.new_run and today - line.date < WEEK]
        spent = pending + sum(is_by(line, login, account) for line in asked)
        if new_run and spent >= quota:
            what = f"{login} has asked for {spent} evaluations in the last seven days."
            problems.append(Problem("QUOTA", what, "Come back in a week."))
    elif new and _known(root, base, entry_id, intake):
        problems.append(_reused(entry_id))
    return Judgement(entry_id, new=new, new_run=new_run, problems=tuple(problems), content=content)


def is_login(name: str) -> bool:
    """Whether this is the login of a person on GitHub: not of a bot, nor of an account that is gone."""
    return _LOGIN.fullmatch(name.lower()) is not None and name != "ghost"


def prefix(login: str) -> str:
    """What the ids of a login's new entries begin with: an id has no `_`, and no hyphen at its beginning."""
    return login.lower().replace("_", "-").lstrip("-") + "-"


def _kinds(changes: Sequence[_Change]) -> list[Problem]:
    """Whether it is one plain submission file that is added or changed."""
    if not changes:
        return [Problem("NO_CHANGE", "The pull request changes nothing.", "Add submissions/<login>-<model>.yaml.")]
    problems = []
    for change in changes:
        where = change.shown
        if not _PATH.fullmatch(change.path):
            remedy = "Change nothing but submissions/<id>.yaml; an id has 3 to 64 of a-z, 0-9 and -."
            if change.status == "A" and change.path.lower().endswith((b".yaml", b".yml")):
                remedy = f"If it is your submission, move it to submissions/<login>-<model>.yaml. {remedy}"
            problems.append(Problem("OTHER_FILE", f"{where} is no submission file.", remedy, where))
        elif change.status == "D":
            remedy = "Entries never vanish: add a line 'withdrawn: why' to the file."
            problems.append(Problem("DELETED", f"{where} is deleted or renamed.", remedy, where))
        elif change.new_mode != PLAIN or change.old_mode not in (PLAIN, "000000"):
            kind = MODES.get(change.new_mode, f"of mode {change.new_mode}")
            problems.append(Problem("NOT_PLAIN", f"{where} is {kind}.", "Commit a plain file.", where))
    if len(changes) > 1 and not problems:
        remedy = "One pull request is for one submission."
        problems.append(Problem("SEVERAL", f"{len(changes)} submissions are changed.", remedy))
    if len(problems) > SHOWN:
        problems = [*problems[:SHOWN], Problem("OTHER_FILE", f"and {len(problems) - SHOWN} more.")]
    return problems


def _ownership(
    root: Path, base: str, entry_id: str, login: str, account: int | None, intake: Sequence[Intake], *, new: bool
) -> list[Problem]:
    if not new:
        owner = next((line for line in intake if line.id == entry_id), None)
        if owner and is_by(owner, login, account):
            return []
        who = "has no recorded owner" if owner is None else f"belongs to the account that was called {owner.login}"
        return [Problem("OWNER", f"{entry_id} {who}, not to {login}.", "Only its owner may change an entry.")]
    if not entry_id.startswith(prefix(login)):
        remedy = f"Name it submissions/{prefix(login)}<model>.yaml."
        return [Problem("PREFIX", f"{entry_id} does not begin with your login.", remedy)]
    return [_reused(entry_id)] if _known(root, base, entry_id, intake) else []


def _reused(entry_id: str) -> Problem:
    return Problem("REUSED", f"The id {entry_id} was used before.", "Ids are never used again; choose another.")


def _known(root: Path, base: str, entry_id: str, intake: Sequence[Intake]) -> bool:
    """Whether an id was ever used: in the intake, in the records, or anywhere in the history."""
    paths = [f"submissions/{entry_id}.yaml", f"leaderboard/results/{entry_id}"]
    seen = git(root, "log", "--format=%H", "-1", commit_of(root, base), "--", *paths)
    return bool(seen.strip()) or any(i.id == entry_id for i in intake)


def _blob(root: Path, commit: str, entry_id: str) -> bytes:
    """Hash of a submission's file in a commit; empty where it has none."""
    return git(root, "ls-tree", commit, "--", f"submissions/{entry_id}.yaml")


def _changes(root: Path, start: str, end: str) -> list[_Change]:
    """What differs, as git's trees have it: no renames guessed, names as bytes."""
    raw = git(root, "diff-tree", "-r", "-z", "--raw", "--no-renames", "--no-ext-diff", start, end).split(b"\0")
    found = []
    for meta, path in zip(raw[::2], raw[1::2], strict=False):
        old_mode, new_mode, _, _, status = meta.decode().lstrip(":").split(" ")
        found.append(_Change(old_mode, new_mode, status[0], path))
    return found
