"""What a job has recorded, committed and pushed: the records and the intake, and nothing else."""

from __future__ import annotations

from pathlib import Path

from evaluator.errors import EvaluatorError
from evaluator.git import git
from evaluator.settings import Repository

PATHS = ("leaderboard/results", "leaderboard/intake.jsonl")
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


def push(repository: Repository, branch: str, environment: dict[str, str]) -> None:
    """Push to `origin`; where others have pushed meanwhile, our commits go on top of theirs.

    Raises:
        EvaluatorError: it does not work; the commits are on a branch of their own, or stay here.
    """
    root = repository.root
    for left in reversed(range(TRIES)):
        try:
            git(root, "push", "--quiet", "origin", f"HEAD:refs/heads/{branch}", environment=environment)
        except EvaluatorError:
            if not left:
                raise
            git(root, "fetch", "--quiet", "origin", f"refs/heads/{branch}", environment=environment)
            try:
                git(root, *IDENTITY, "rebase", "--quiet", "--autostash", "FETCH_HEAD")
            except EvaluatorError as error:
                git(root, "rebase", "--abort")
                rescue = f"records-{git(root, 'rev-parse', '--short', 'HEAD').decode().strip()}"
                git(root, "push", "--quiet", "origin", f"HEAD:refs/heads/{rescue}", environment=environment)
                raise EvaluatorError(
                    f"Others have changed the same records; these are on the branch {rescue}.",
                    f"Merge it into {branch}.",
                ) from error
        else:
            return


def bring_up_to_date(root: Path, branch: str, environment: dict[str, str]) -> None:
    """Move a clean checkout to the branch's newest commit: others may have been merged since it was made.

    Raises:
        EvaluatorError: it cannot be had, or the checkout has commits of its own.
    """
    git(root, "fetch", "--quiet", "origin", f"refs/heads/{branch}", environment=environment)
    git(root, "merge", "--quiet", "--ff-only", "FETCH_HEAD")
