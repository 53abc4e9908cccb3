"""What was merged, and by whom.

An id's first line says who owns it. Logins come from GitHub alone: what a commit says of its author is only a claim.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

from evaluator.contract import submissions
from evaluator.contract.models import ID
from evaluator.contract.strict_yaml import MAX_BYTES
from evaluator.contract.submissions import Submission
from evaluator.errors import EvaluatorError, SubmissionError
from evaluator.git import git
from evaluator.pull_requests.github import GitHub
from evaluator.settings import Repository
from evaluator.store import intake
from evaluator.store.intake import Intake

DECIDES = ("docker_image", "resources", "tracks", "withdrawn")
"""Fields of a submission that decide what is run."""
CHECKED = re.compile(r"^Checked-image: (sha256:[0-9a-f]{64})$", re.MULTILINE)
"""In the message of a merge: the digest of the image that passed the check."""
_PATH = re.compile(rf"submissions/({ID})\.yaml")
_NUMBERED = re.compile(r"\(#\d+\)\s*$")
LoginOf = Callable[[str], str | None]


def merged(repository: Repository, hub: GitHub) -> list[Intake]:
    """Every merged submission: those written down, and those merged since.

    Raises:
        EngineError: GitHub does not do its part.
    """

    def login_of(commit: str) -> str | None:
        pulls = [p for p in hub.pulls_of(commit) if p.merged and p.merge_sha == commit]
        return pulls[0].login if pulls else None

    known = intake.read(repository.intake)
    new, gone = merged_since(repository.root, known, login_of), intake.are_erased(known)
    return [*known, *(line for line in new if line.id not in gone)]


def merged_since(root: Path, known: Sequence[Intake], login_of: LoginOf) -> list[Intake]:
    """What the checked-out branch has gained since the last line, oldest first.

    Args:
        known: what is noted already.
        login_of: the author of the pull request that a commit came by; None where it came by none, as a maintainer's
            own commits do, which are not noted.
    """
    last = next((line.commit for line in reversed(known) if line.commit), None)
    span = f"{last}..HEAD" if last else "HEAD"
    commits = git(root, "log", "--first-parent", "--reverse", "--format=%H", span, "--", "submissions").decode().split()
    found: list[Intake] = []
    for commit in commits:
        changed = _submissions_of(root, commit)
        login = login_of(commit) if changed else None
        if login is None and changed and _NUMBERED.search(_message(root, commit).splitlines()[0]):
            break  # it came by a pull request that GitHub does not tell of yet: the next time
        if login is None:
            continue
        seconds = int(git(root, "show", "--no-patch", "--format=%ct", commit))
        for entry_id in changed:
            before, after = read_at(root, f"{commit}~1", entry_id), read_at(root, commit, entry_id)
            new_run = after is not None and asks_for_runs(before, after)
            when = datetime.fromtimestamp(seconds, UTC).date()
            found.append(Intake(date=when, id=entry_id, login=login.lower(), new_run=new_run, commit=commit))
    return found


def asks_for_runs(before: Submission | None, after: Submission) -> bool:
    """Whether a new or changed submission makes evaluations due, which is what quotas count."""
    if after.withdrawn:
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
