"""What was merged, and by whom.

An id's first line says who owns it. Accounts come from GitHub alone: what a commit says of its author is only a claim.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from evaluator.contract import submissions
from evaluator.contract.models import ID
from evaluator.contract.strict_yaml import MAX_BYTES
from evaluator.contract.submissions import Submission
from evaluator.errors import EvaluatorError, SubmissionError
from evaluator.git import git
from evaluator.pull_requests.github import GitHub, Pull
from evaluator.settings import Repository
from evaluator.store import intake
from evaluator.store.intake import Intake

DECIDES = ("docker_image", "resources", "tracks", "withdrawn")
"""Fields of a submission that decide what is run."""
CHECKED = re.compile(r"^Checked-image: (sha256:[0-9a-f]{64})$", re.MULTILINE)
"""In the message of a merge: the digest of the image that passed the check."""
_PATH = re.compile(rf"submissions/({ID})\.yaml")
_NUMBERED = re.compile(r"\(#\d+\)\s*$")
PullOf = Callable[[str], Pull | None]


def merged(repository: Repository, hub: GitHub) -> list[Intake]:
    """Every merged submission: those written down, and those merged since.

    Raises:
        EngineError: GitHub does not do its part.
    """

    def pull_of(commit: str) -> Pull | None:
        pulls = [p for p in hub.pulls_of(commit) if p.merged and p.merge_sha]
        return min(pulls, key=lambda p: p.merge_sha != commit, default=None)  # whose last commit it is, before others

    known = [_numbered(line, pull_of) for line in intake.read(repository.intake)]
    new, gone = merged_since(repository.root, known, pull_of), intake.are_erased(known)
    return [*known, *(line for line in new if line.id not in gone)]


def _numbered(line: Intake, pull_of: PullOf) -> Intake:
    """A line of old with its account's number, which GitHub tells of the pull request that it came by."""
    if line.account is not None or line.commit is None:
        return line
    pull = pull_of(line.commit)
    return line if pull is None else line.model_copy(update={"account": pull.account})


def merged_since(root: Path, known: Sequence[Intake], pull_of: PullOf) -> list[Intake]:
    """What the checked-out branch has gained since the last line, oldest first.

    Args:
        known: what is noted already.
        pull_of: the merged pull request that a commit came by, alone or as one of several; None where it came by none,
            as a maintainer's own commits do, which are not noted.
    """
    last = next((line.commit for line in reversed(known) if line.commit), None)
    span = f"{last}..HEAD" if last else "HEAD"
    commits = git(root, "log", "--first-parent", "--reverse", "--format=%H", span, "--", "submissions").decode().split()
    line_of_main = set(git(root, "rev-list", "--first-parent", span).decode().split())
    brought: dict[str, _Brought] = {}
    for commit in commits:
        changed = _submissions_of(root, commit)
        pull = pull_of(commit) if changed else None
        if pull is not None and pull.merge_sha not in line_of_main:
            pull = None  # merged elsewhere, or noted before
        if pull is None and changed and _NUMBERED.search(_message(root, commit).splitlines()[0]):
            break  # it came by a pull request that GitHub does not tell of yet: the next time
        if pull is None:
            continue
        assert pull.merge_sha is not None
        one = brought.setdefault(pull.merge_sha, _Brought(pull, pull.merge_sha, _base(root, pull, commit), {}))
        one.ids.update(dict.fromkeys(changed))
    return [line for one in brought.values() for line in one.lines(root)]


@dataclass(frozen=True)
class _Brought:
    """What a pull request has brought, in one commit of the main line or, merged by rebase, in several.

    Attributes:
        end: the last of them.
        base: the main line before the first of them.
        ids: of the submissions that they change, in order.
    """

    pull: Pull
    end: str
    base: str
    ids: dict[str, None]

    def lines(self, root: Path) -> Iterator[Intake]:
        when = datetime.fromtimestamp(int(git(root, "show", "--no-patch", "--format=%ct", self.end)), UTC).date()
        for entry_id in self.ids:
            before, after = read_at(root, self.base, entry_id), read_at(root, self.end, entry_id)
            yield Intake(
                date=when,
                id=entry_id,
                login=self.pull.login.lower(),
                account=self.pull.account,
                new_run=after is not None and asks_for_runs(before, after),
                commit=self.end,
            )


def _base(root: Path, pull: Pull, first: str) -> str:
    """The commit that a pull request is compared with: the one that it was made on, where the main line has it."""
    before = f"{first}~1"
    if pull.base is None:
        return before
    try:
        git(root, "merge-base", "--is-ancestor", "--", pull.base, before)
    except EvaluatorError:
        return before
    return pull.base


def asks_for_runs(before: Submission | None, after: Submission) -> bool:
    """Whether a new or changed submission makes evaluations due, which is what quotas count."""
    if after.withdrawn or after.archived:
        return False
    return before is None or any(getattr(before, name) != getattr(after, name) for name in DECIDES)


def _message(root: Path, commit: str) -> str:
    return git(root, "show", "--no-patch", "--format=%B", commit).decode("utf-8", "replace") + "\n"


def checked_image(root: Path, commit: str) -> str | None:
    """The digest that passed the check, as the merge's message has it; None where it has none."""
    found = CHECKED.findall(_message(root, commit))
    return found[-1] if found else None


def _submissions_of(root: Path, commit: str) -> list[str]:
    """Ids that a commit of the main line added or changed."""
    options = ("--first-parent", "--name-only", "-z", "--no-renames", "--diff-filter=AM", "--format=")
    names = git(root, "show", *options, commit, "--", "submissions").decode("utf-8", "replace").split("\0")
    return [match[1] for name in names if (match := _PATH.fullmatch(name.strip("\n")))]


def blob(root: Path, commit: str, entry_id: str) -> bytes:
    """A submission file as a commit has it, never checked out.

    Raises:
        SubmissionError: it is too large to be looked at.
        EvaluatorError: there is none.
    """
    spec = f"{commit}:submissions/{entry_id}.yaml"
    size = int(git(root, "cat-file", "-s", spec))
    if size > MAX_BYTES:
        raise SubmissionError("YAML_TOO_LARGE", f"The file has {size:,} bytes.", f"At most {MAX_BYTES:,} are read.")
    return git(root, "cat-file", "blob", spec)


def read_at(root: Path, commit: str, entry_id: str) -> Submission | None:
    """A submission as a commit has it; None where there is no valid one."""
    try:
        return submissions.parse(blob(root, commit, entry_id), entry_id)
    except (SubmissionError, EvaluatorError):
        return None
