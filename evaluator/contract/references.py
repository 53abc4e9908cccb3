"""Image references, parsed, and exact images: what they are called, without asking any engine or registry.

`apb/<name>:<version>` are the benchmark's own reference images: they are built on this machine and never pulled.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from evaluator.errors import SubmissionError
from evaluator.text import printable

REFERENCE_NAMESPACE = "apb"
MAX_LENGTH = 300

_HOST = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?(?::\d{1,5})?", re.ASCII)
_PART = r"[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*"
_NAME = re.compile(
    rf"(?P<path>{_PART}(?:/{_PART})*)(?::(?P<tag>\w[\w.-]{{0,127}}))?(?:@(?P<digest>sha256:[0-9a-f]{{64}}))?", re.ASCII
)


@dataclass(frozen=True)
class Reference:
    """A parsed image reference; `registry` is None for the benchmark's own local images."""

    registry: str | None
    repository: str
    tag: str | None
    digest: str | None

    def __str__(self) -> str:
        name = self.repository if self.registry is None else f"{self.registry}/{self.repository}"
        return name + (f":{self.tag}" if self.tag else "") + (f"@{self.digest}" if self.digest else "")

    @property
    def local(self) -> bool:
        """Whether this is one of the benchmark's own images."""
        return self.registry is None


def parse(text: str) -> Reference:
    """Split a reference by the grammar of the distribution project; a name without registry means docker.io.

    Raises:
        SubmissionError: `IMAGE_REFERENCE`.
    """
    head, slash, rest = text.partition("/")
    # Docker's own rule: what stands before the first slash is a host if it has a dot or a port.
    host = head if slash and ("." in head or ":" in head or head == "localhost") else None
    match = _NAME.fullmatch(rest if host else text)
    if not match or len(text) > MAX_LENGTH or (host and not _HOST.fullmatch(host)):
        raise SubmissionError(
            "IMAGE_REFERENCE",
            f"'{printable(text, 100)}' is not an image reference.",
            "Write registry/repository:tag, for example docker.io/user/model:1.0, with the repository in lower case.",
        )
    path, tag, digest = match["path"], match["tag"], match["digest"]
    if not tag and not digest:
        raise SubmissionError("IMAGE_REFERENCE", f"'{text}' names no version.", "Add :tag, or better @sha256:digest.")
    if host is None and path.startswith(f"{REFERENCE_NAMESPACE}/") and not digest:
        return Reference(None, path, tag, None)
    host = (host or "docker.io").lower()
    host = "docker.io" if host in {"index.docker.io", "registry-1.docker.io"} else host
    if host == "docker.io" and "/" not in path:
        path = f"library/{path}"
    reference = Reference(host, path, tag, digest)
    if len(str(reference)) > MAX_LENGTH:
        raise SubmissionError(
            "IMAGE_REFERENCE", f"The reference is longer than {MAX_LENGTH} characters.", "Shorten it."
        )
    return reference


@dataclass(frozen=True)
class Image:
    """One exact image.

    Attributes:
        reference: as the author wrote it.
        digest: of the manifest for linux/amd64; of the image's configuration where the image is local.
        pull: `registry/repository@digest`, or None for a local image.
    """

    reference: str
    digest: str
    pull: str | None
