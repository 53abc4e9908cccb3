"""Whether what a card points at is there: a commit, a file at a commit, a DOI; asked of a few public addresses alone.

Addresses come from strangers, so a stranger never decides whom this machine speaks to: hosts and the form of every
address are in the table below, redirections are not followed, and time and size are bounded. No answer, or another one
than yes and no, says nothing about the card.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import quote, urlsplit

import requests
import urllib3

from evaluator.contract.observed import Looked
from evaluator.contract.reproducibility import Evidence

TIMEOUT = (5, 10)
SECONDS = 60.0
"""For all that one card points at."""
MAX_CONTENT = 1024 * 1024


@dataclass(frozen=True)
class Forge:
    """Where a public host of repositories shows a commit, and a file as it was at one."""

    commit: str
    file: str


FORGES = {
    "github.com": Forge(
        "https://github.com/{repository}/commit/{commit}",
        "https://raw.githubusercontent.com/{repository}/{commit}/{path}",
    ),
    "gitlab.com": Forge(
        "https://gitlab.com/{repository}/-/commit/{commit}", "https://gitlab.com/{repository}/-/raw/{commit}/{path}"
    ),
    "codeberg.org": Forge(
        "https://codeberg.org/{repository}/commit/{commit}",
        "https://codeberg.org/{repository}/raw/commit/{commit}/{path}",
    ),
    "huggingface.co": Forge(
        "https://huggingface.co/{repository}/commit/{commit}", "https://huggingface.co/{repository}/raw/{commit}/{path}"
    ),
}
DOI = "https://doi.org/{doi}"
_THERE = {False: (200,), True: (200, 301, 302, 303, 307, 308)}
"""What says that something is there; the resolver of DOIs says it by sending on to it."""
_GONE = (404, 410)


@dataclass
class Lookup:
    """Looks for what one card points at, for a minute at most.

    Attributes:
        servers: by the beginning of an address, such as `https://github.com`, another one that stands in for it.
    """

    servers: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._until = time.monotonic() + SECONDS
        self._session = requests.Session()
        self._session.auth = _anonymous  # what a maintainer's .netrc opens is not public

    def commit(self, repository: str, commit: str) -> Looked:
        """Whether a repository has a commit."""
        host = urlsplit(repository).hostname
        forge = FORGES.get(host or "")
        if forge is None:
            return Looked("unknown", f"only {', '.join(FORGES)} are asked")
        return self._look(forge.commit.format(repository=_path(repository), commit=commit))

    def evidence(self, evidence: Evidence) -> Looked:
        """Whether there is what a piece of evidence outside of the image names, and what is in it."""
        if evidence.doi:
            return self._look(DOI.format(doi=quote(evidence.doi, safe="/:;()")), sends_on=True)
        if not evidence.repository:
            return Looked("unknown", "addresses with a sha256 are left to the reader")
        forge = FORGES.get(urlsplit(evidence.repository).hostname or "")
        if forge is None:
            return Looked("unknown", f"only {', '.join(FORGES)} are asked")
        path = quote(str(evidence.path))
        return self._look(forge.file.format(repository=_path(evidence.repository), commit=evidence.commit, path=path))

    def _look(self, address: str, *, sends_on: bool = False) -> Looked:
        if time.monotonic() > self._until:
            return Looked("unknown", "there was no time left")
        for beginning, server in self.servers.items():
            if address.startswith(f"{beginning}/"):
                address = server + address.removeprefix(beginning)
        try:
            with self._session.get(address, timeout=TIMEOUT, stream=True, allow_redirects=False) as answer:
                if answer.status_code in _GONE:
                    return Looked("gone")
                if answer.status_code not in _THERE[sends_on]:
                    return Looked("unknown", f"the answer was {answer.status_code}")
                return Looked("there") if sends_on else self._content(answer)
        except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
            return Looked("unknown", f"no answer ({type(error).__name__})")

    def _content(self, answer: requests.Response) -> Looked:
        """The beginning, as much as comes in time: it may come a byte at a time."""
        found = bytearray()
        for chunk in answer.iter_content(64 * 1024):
            found += chunk
            if len(found) > MAX_CONTENT or time.monotonic() > self._until:
                return Looked("there", content=bytes(found[:MAX_CONTENT]), truncated=True)
        return Looked("there", content=bytes(found))


def _path(repository: str) -> str:
    return urlsplit(repository).path.strip("/")


def _anonymous(request: requests.PreparedRequest) -> requests.PreparedRequest:
    return request
