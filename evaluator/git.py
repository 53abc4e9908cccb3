"""Git as a subprocess, without hooks, filters or settings of the checkout that could start programs."""

from __future__ import annotations

import base64
import os
import subprocess
from pathlib import Path

from evaluator.errors import EvaluatorError, UsageError
from evaluator.text import printable

SAFE = ("-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null", "-c", "commit.gpgSign=false")


def git(root: Path, *arguments: str, environment: dict[str, str] | None = None, timeout: float = 120) -> bytes:
    """What a git command prints.

    Raises:
        EvaluatorError: it fails.
    """
    command = ["git", "--no-pager", "-C", str(root), *SAFE, *arguments]
    env = {**os.environ, "GIT_TERMINAL_PROMPT": "0", **(environment or {})}
    try:
        return subprocess.run(command, capture_output=True, check=True, timeout=timeout, env=env).stdout
    except subprocess.CalledProcessError as error:
        said = printable(error.stderr.decode("utf-8", "replace").strip(), 300)
        raise EvaluatorError(f"git {arguments[0]} failed: {said}", "Is this a full clone?") from error
    except (OSError, subprocess.TimeoutExpired) as error:
        raise EvaluatorError(f"git {arguments[0]} failed: {error}") from error


def commit_of(root: Path, name: str) -> str:
    """The full hash of a commit; a name that looks like an option is none.

    Raises:
        UsageError: there is no such commit.
    """
    try:
        return git(root, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}").decode().strip()
    except EvaluatorError as error:
        raise UsageError(f"{printable(name, 80)} is no commit of {root}.") from error


def software_commit(root: Path) -> str | None:
    """The checkout's commit, with `-dirty` behind it where tracked files of the code differ; None outside git."""
    try:
        commit = git(root, "rev-parse", "HEAD", timeout=10).decode().strip()
        status = git(root, "status", "--porcelain", "--untracked-files=no", "--", "evaluator", timeout=30)
    except EvaluatorError:
        return None
    return commit + ("-dirty" if status.strip() else "")


def commit_and_day(root: Path) -> str:
    """`1a2b3c4d5e6f of 2026-03-01` for a checkout's commit; empty outside git."""
    try:
        return git(root, "show", "--no-patch", "--format=%h of %cs", "--abbrev=12", "HEAD", timeout=10).decode().strip()
    except EvaluatorError:
        return ""


def authorized(server: str, token: str) -> dict[str, str]:
    """Environment in which git shows a token to this server alone; on a command line others could read it."""
    if not token:
        return {}
    basic = base64.b64encode(f"x-access-token:{token}".encode()).decode()
    return {
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": f"http.{server.rstrip('/')}/.extraheader",
        "GIT_CONFIG_VALUE_0": f"AUTHORIZATION: basic {basic}",
    }
