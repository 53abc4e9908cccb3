"""The few calls to GitHub that the workflows need: which pull request, who opened it, one comment, one merge.

REST: https://docs.github.com/en/rest (version 2022-11-28); automatic merging exists in GraphQL alone.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from typing import Any

import requests
import urllib3
from requests.adapters import HTTPAdapter

from evaluator.errors import EngineError, UsageError
from evaluator.text import printable

TIMEOUT = (10, 30)
AGAIN = "Run the job again."
REFUSALS = (405, 409, 422)
"""What GitHub answers where it could, but will not: a branch that is protected, has changed, or conflicts."""
PATIENCE = urllib3.Retry(
    total=3,
    connect=1,
    backoff_factor=0.5,
    status_forcelist=(429, *range(500, 600)),
    allowed_methods=("GET", "PATCH"),  # what else there is must not be done twice
    respect_retry_after_header=False,  # often a minute or more: the job itself is run again
    raise_on_status=False,
)
MARKER = "<!-- apb: verdict -->"
BOT = "github-actions[bot]"
MERGE = "squash"
AUTO_MERGE = """mutation($id: ID!, $sha: GitObjectID!, $title: String!, $body: String!) {
  enablePullRequestAutoMerge(input: {
    pullRequestId: $id, expectedHeadOid: $sha, mergeMethod: SQUASH, commitHeadline: $title, commitBody: $body
  }) { pullRequest { number } }
}"""


def _login(found: dict[str, Any]) -> str:
    """The login of who wrote something; `ghost`, as GitHub itself says, where the account is gone."""
    return str((found.get("user") or {}).get("login") or "ghost")


def _said(response: requests.Response) -> str:
    """GitHub's own reason for a refusal, such as a review that is missing."""
    try:
        message = str(response.json()["message"])
    except (requests.JSONDecodeError, LookupError, TypeError):
        return ""
    return f" ({printable(message, 200).rstrip('.')})"


@dataclass(frozen=True)
class Pull:
    """A pull request.

    Attributes:
        login: of its author, as it is now.
        account: GitHub's number of the author, which stays through a change of the login; None where it is gone.
        base: the commit of the main branch that it was made on.
        draft: whether its author says that it is not ready; GitHub merges none that is.
        sha: of its last commit.
        auto_merge: whether it is merged as soon as its conditions are met.
        merge_sha: the commit that it was merged as.
    """

    number: int
    node_id: str
    login: str
    sha: str
    auto_merge: bool
    merge_sha: str | None
    merged: bool
    account: int | None = None
    base: str | None = None
    draft: bool = False

    @classmethod
    def of(cls, found: dict[str, Any]) -> Pull:
        """From GitHub's JSON.

        Raises:
            EngineError: it is no pull request.
        """
        try:
            return cls(
                int(found["number"]),
                str(found["node_id"]),
                _login(found),
                str(found["head"]["sha"]),
                bool(found.get("auto_merge")),
                found.get("merge_commit_sha"),
                bool(found.get("merged_at")),
                (found.get("user") or {}).get("id"),
                (found.get("base") or {}).get("sha"),
                bool(found.get("draft")),
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise EngineError("GitHub answered with something that is no pull request.", AGAIN) from error


class RefusedError(EngineError):
    """GitHub has understood what was asked for and will not do it, as things stand."""


class GitHub:
    """One repository on GitHub, as the environment of a workflow describes it.

    Raises:
        UsageError: the environment does not name a repository and a token.
    """

    def __init__(self) -> None:
        self.token = os.environ.get("GITHUB_TOKEN", "")
        self.repository = os.environ.get("GITHUB_REPOSITORY", "")
        self.server = os.environ.get("GITHUB_SERVER_URL", "https://github.com")
        self.api = os.environ.get("GITHUB_API_URL", "https://api.github.com")
        self.graphql = os.environ.get("GITHUB_GRAPHQL_URL", "https://api.github.com/graphql")
        if not self.token or not re.fullmatch(r"[\w.-]+/[\w.-]+", self.repository):
            raise UsageError("Set GITHUB_TOKEN and GITHUB_REPOSITORY (owner/name), as a workflow's run has them.")
        self.session = requests.Session()
        for scheme in ("http://", "https://"):
            self.session.mount(scheme, HTTPAdapter(max_retries=PATIENCE))
        self.session.headers.update(
            {
                "Authorization": f"Bearer {self.token}",
                "Accept": "application/vnd.github+json",
                "X-GitHub-Api-Version": "2022-11-28",
            }
        )

    def open_pulls(self, base: str, head: str = "") -> list[Pull]:
        """Open pull requests for a branch; those from `owner:branch` alone, where `head` is given."""
        query = {"state": "open", "base": base, "per_page": "100", **({"head": head} if head else {})}
        return [Pull.of(found) for found in self._pages("pulls", query)]

    def pulls_of(self, commit: str) -> list[Pull]:
        """Pull requests that brought a commit."""
        return [Pull.of(found) for found in self._pages(f"commits/{commit}/pulls", {"per_page": "100"})]

    def comment(self, number: int, text: str) -> None:
        """Write our one comment on a pull request, or change it."""
        body = {"body": f"{MARKER}\n{text}"}
        comments = self._pages(f"issues/{number}/comments", {"per_page": "100"})
        ours = [c for c in comments if _login(c) == BOT and str(c.get("body")).startswith(MARKER)]
        if ours:
            self._call("PATCH", f"issues/comments/{int(ours[0]['id'])}", json=body)
        else:
            self._call("POST", f"issues/{number}/comments", json=body)

    def merge(self, pull: Pull, title: str, body: str) -> str:
        """Have exactly this commit merged: once every condition is met, at once where there is none left.

        Args:
            title: of the merge's commit; what its author wrote does not get there.
            body: of its message.
        """
        values = {"id": pull.node_id, "sha": pull.sha, "title": title, "body": body}
        query = {"query": AUTO_MERGE, "variables": values}
        answer = self._json(self._send("POST", self.graphql, json=query))
        if not isinstance(answer, dict):
            raise EngineError("GitHub answered a request to merge with something that is no answer.", AGAIN)
        if not answer.get("errors"):
            return "will be merged as soon as the other conditions are met"
        merge = {"sha": pull.sha, "commit_title": title, "commit_message": body}
        self._call("PUT", f"pulls/{pull.number}/merge", json={**merge, "merge_method": MERGE})
        return "is merged"

    def _pages(self, path: str, query: dict[str, str]) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        url, params = self._url(path), query
        while url and len(found) < 10_000:
            response = self._send("GET", url, params=params)
            page = self._json(response)
            if not isinstance(page, list) or not all(isinstance(one, dict) for one in page):
                raise EngineError(f"GitHub answered {url} with something that is no list.", AGAIN)
            found += page
            url, params = response.links.get("next", {}).get("url", ""), {}
        return found

    def _call(self, method: str, path: str, **content: Any) -> Any:
        return self._json(self._send(method, self._url(path), **content))

    def _url(self, path: str) -> str:
        return f"{self.api}/repos/{self.repository}/{path}"

    def _send(self, method: str, url: str, **content: Any) -> requests.Response:
        try:
            response = self.session.request(method, url, timeout=TIMEOUT, **content)
        except requests.RequestException as error:
            raise EngineError(f"GitHub cannot be reached: {type(error).__name__}.", AGAIN) from error
        if response.status_code >= requests.codes.bad_request:
            spent = response.headers.get("X-RateLimit-Remaining") == "0"
            why = "; its rate limit is used up for now" if spent else ""
            kind = RefusedError if response.status_code in REFUSALS else EngineError
            raise kind(
                f"GitHub answered {method} {response.url} with {response.status_code}{why}{_said(response)}.", AGAIN
            )
        return response

    @staticmethod
    def _json(response: requests.Response) -> Any:
        try:
            return response.json()
        except requests.JSONDecodeError as error:
            raise EngineError(f"GitHub answered {response.url} with something that is not JSON.", AGAIN) from error
