"""Opens an issue that says that the newest versions fail the tests, or comments on the one that is open.

`python3 -m scripts.tell` is the last step of `.github/workflows/newest.yml`. It needs the standard library alone, since
its job may write to issues: nothing that was installed runs there.
"""

from __future__ import annotations

import json
import os
import urllib.request
from typing import Any

TITLE = "The newest versions of our dependencies fail the tests"
BODY = """{run}

Everything was installed in its newest version, without the lock; its log ends with the versions. What is locked is not
touched by this. docs/releasing.md says what to do.
"""


def call(path: str, body: dict[str, str] | None = None) -> Any:
    """What GitHub answers: to a POST where there is a body, else to a GET."""
    request = urllib.request.Request(  # noqa: S310 - the runner names the address
        f"{os.environ['GITHUB_API_URL']}/repos/{os.environ['GITHUB_REPOSITORY']}{path}",
        data=None if body is None else json.dumps(body).encode(),
        headers={
            "Accept": "application/vnd.github+json", "Content-Type": "application/json",
            "Authorization": f"Bearer {os.environ['GITHUB_TOKEN']}",
        },
    )  # fmt: skip
    with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310 - as above
        return json.load(answer)


def main() -> None:
    """One issue stays open until a maintainer closes it, with a comment for every week that failed."""
    server, repository, run = (os.environ[f"GITHUB_{name}"] for name in ("SERVER_URL", "REPOSITORY", "RUN_ID"))
    body = BODY.format(run=f"{server}/{repository}/actions/runs/{run}")
    ours = call("/issues?state=open&creator=github-actions%5Bbot%5D&per_page=100")
    number = next((issue["number"] for issue in ours if issue["title"] == TITLE), None)
    if number is None:
        answer = call("/issues", {"title": TITLE, "body": body})
    else:
        answer = call(f"/issues/{number}/comments", {"body": body})
    print(answer["html_url"])


if __name__ == "__main__":
    main()
