"""From a finished check of a pull request to one comment on it, and to a merge where everything passed.

This runs with the right to write, so it believes nothing that the pull request could have made up. The check's own
workflow file comes with the pull request, and so does its artifact. Only where the gate, run again here on git's own
objects, finds that the commit changes one submission file and nothing else, was the check the one that we wrote.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from pydantic import BaseModel, ValidationError

from evaluator.contract import verdicts
from evaluator.contract.verdicts import Verdict
from evaluator.errors import EngineError, UsageError
from evaluator.git import authorized, commit_of, git
from evaluator.pull_requests import gate
from evaluator.pull_requests.gate import Judgement, is_login
from evaluator.pull_requests.github import GitHub, Pull, RefusedError
from evaluator.settings import Repository
from evaluator.store.intake import Intake
from evaluator.text import markdown, printable, whole_lines

WORKFLOW = ".github/workflows/submission.yml"
ROOM = 60_000
"""Characters of a comment's account of the check: GitHub takes 65,536 for a whole comment."""
_DRAFT = "this is a draft, which GitHub does not merge: mark it as ready for review."
_NOBODY = """## This pull request has no author who could own an entry

It was opened by a bot, or by an account that is gone. Open it again from an account of your own on GitHub.
"""
_REFUSED = """
The gate and the check passed, but it is **not merged**: {} A maintainer can merge it, or run this again. It is not
evaluated before it is merged.
"""


class _Owner(BaseModel):
    login: str


class _Head(BaseModel):
    owner: _Owner


class _Run(BaseModel):
    event: str
    conclusion: str | None
    path: str
    head_sha: str
    head_branch: str | None
    head_repository: _Head | None


class _Base(BaseModel):
    default_branch: str


class Event(BaseModel):
    """What GitHub says of a finished workflow run; the rest of it is not looked at."""

    workflow_run: _Run
    repository: _Base


@dataclass(frozen=True)
class Outcome:
    """What was done.

    Attributes:
        number: of the pull request; none where nothing was to be done.
        page: the comment.
        merge: what became of the merge; none where it was not asked for.
        failure: GitHub did not do its part of the merge, for reasons that are not the pull request's.
    """

    said: str
    number: int | None = None
    page: str = ""
    merge: str | None = None
    failure: EngineError | None = None


def read_event(path: Path) -> Event:
    """GitHub's own account of the event.

    Raises:
        UsageError: it is none of a finished workflow run.
    """
    try:
        return Event.model_validate(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, ValidationError) as error:
        raise UsageError(f"{path} is not the event of a finished workflow run.") from error


def report(repository: Repository, hub: GitHub, event: Event, folder: Path, intake: Sequence[Intake]) -> Outcome:
    """Comment on the pull request whose check has finished, and have it merged if all is well.

    Args:
        repository: a full clone of the default branch.
        folder: the check's artifact, `check.json` in it; hostile.
        intake: every merged submission, those not yet written down too.

    Raises:
        EngineError: GitHub does not do its part.
    """
    run, base = event.workflow_run, event.repository.default_branch
    if run.event != "pull_request" or run.path != WORKFLOW or not run.head_repository or not run.head_branch:
        return Outcome("this run is no check of a pull request")
    if run.conclusion not in ("success", "failure", "timed_out"):
        return Outcome(f"the check was {run.conclusion}, which says nothing")
    pulls = hub.open_pulls(base, f"{run.head_repository.owner.login}:{run.head_branch}")
    pull = next((p for p in pulls if p.sha == run.head_sha), None)
    if pull is None:
        return Outcome("no open pull request has this commit as its last")
    if not is_login(pull.login) or pull.account is None:
        hub.comment(pull.number, _NOBODY)
        return Outcome(f"pull request {pull.number} is by {printable(pull.login, 60)}, which is no person's account")
    _fetch(repository.root, hub, pull)
    waiting = [p for p in hub.open_pulls(base) if p.auto_merge and p.number != pull.number]
    judged = gate.judge(
        repository.root,
        "HEAD",
        pull.sha,
        pull.login,
        account=pull.account,
        intake=intake,
        maintainers=repository.settings.maintainers,
        quota=repository.settings.weekly_quota,
        pending=sum(p.account == pull.account for p in waiting),
        today=datetime.now(UTC).date(),
    )
    verdict, why = _verdict(judged, folder) if judged.passed else (None, "")
    passed = verdict is not None and verdict.passed and run.conclusion == "success"
    page, merge = whole_lines(_found(judged, verdict, why), ROOM), None
    failure = None
    if passed and not pull.draft:
        assert verdict is not None
        try:
            body = f"Checked-image: {verdict.digest}" if verdict.digest else "Nothing to run: published predictions."
            merge = hub.merge(pull, f"Add or change {judged.id} (#{pull.number})", body)
            page += f"\nThe gate and the check passed. It {merge}, and is evaluated in the weekly round after that.\n"
        except EngineError as error:
            page += _REFUSED.format(markdown(str(error), 600))
            failure = None if isinstance(error, RefusedError) else error
    else:
        page += _what_next(judged, verdict, pull, passed=passed)
    hub.comment(pull.number, page)
    return Outcome(f"commented on pull request {pull.number}", pull.number, page, merge, failure)


def _fetch(root: Path, hub: GitHub, pull: Pull) -> None:
    """The pull request's objects, and nothing of them in the working tree."""
    reference = f"refs/pull/{pull.number}/head"
    git(root, "fetch", "--no-tags", "--quiet", "origin", reference, environment=authorized(hub.server, hub.token))
    commit_of(root, pull.sha)


def _verdict(judged: Judgement, folder: Path) -> tuple[Verdict | None, str]:
    """The check's verdict, if it is one on this very file; else why not."""
    try:
        found = verdicts.read(folder / "check.json")
    except UsageError:
        return None, "The check left no readable verdict."
    if found is None:
        return None, "The check did not come to an end. Its log says why; a maintainer can run it again."
    if found.submission != judged.id or found.sha256 not in (None, _sha256(judged)):
        return None, "The check's verdict is not on this file. A maintainer can run it again."
    if found.passed and found.sha256 is None:
        return None, "The check's verdict does not say on which file. A maintainer can run it again."
    return found, ""


def _sha256(judged: Judgement) -> str:
    return hashlib.sha256(judged.content or b"").hexdigest()


def _found(judged: Judgement, verdict: Verdict | None, why: str) -> str:
    if not judged.passed:
        return judged.as_markdown()
    return verdict.as_markdown() if verdict else f"## Check of {markdown(str(judged.id))}: no verdict\n\n{why}\n"


def _what_next(judged: Judgement, verdict: Verdict | None, pull: Pull, *, passed: bool) -> str:
    """What its author can do; nothing is promised that depends on a merge."""
    if passed:
        return f"\nThe gate and the check passed, but {_DRAFT} It is then checked again, and merged if all is well.\n"
    if not judged.passed:
        text = "\n"
    elif verdict and verdict.passed:
        text = "\nThe check passed, but its run did not end well; a maintainer can run it again.\n"
    else:
        text = (
            "\nPush a mended commit, or a mended image and an empty commit, to this branch; failed checks are free.\n"
        )
    return text + (f"\nAlso, {_DRAFT}\n" if pull.draft else "")
