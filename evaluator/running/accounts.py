"""An image's account tables, which the engine itself reads before it starts a container."""

from __future__ import annotations

import docker
import docker.models.containers

from evaluator.errors import SubmissionError
from evaluator.running.containers import UID
from evaluator.running.output import look, read_file

MAX_ACCOUNTS_BYTES = 1024**2
_plain: set[str] = set()
"""Ids of images that were looked at and found well."""


def require_plain(engine: docker.DockerClient, job: docker.models.containers.Container) -> None:
    """Refuse an image whose /etc/passwd or /etc/group is no small plain file, or would change who the job is.

    The engine itself opens both, as root, when it starts a container, even for a numeric user: a named pipe there
    blocks it for good, an endless file fills its memory, and an entry *named* 65532 may stand for root. What an image
    holds is fixed by its id, so that one look at each image is enough.
    """
    image = str(job.attrs["Image"])
    if image in _plain:
        return
    tables = []
    for path in ("/etc/passwd", "/etc/group"):
        found = look(engine, job, path)
        if found and found.link:
            path = found.link  # noqa: PLW2901 - resolved within the container by the engine
            found = look(engine, job, path)
        if found and (found.oddity or found.size > MAX_ACCOUNTS_BYTES):
            what = found.oddity or f"larger than {MAX_ACCOUNTS_BYTES >> 10} KiB"
            raise SubmissionError("IMAGE_CONFIG", f"The image's {path} is {what}.", "Make it a small plain file.")
        content = read_file(job, path, MAX_ACCOUNTS_BYTES) if found else b""
        tables.append([line.split(b":") for line in content.replace(b"\r", b"\n").split(b"\n")])
    if _gives_other_rights(*tables):
        raise SubmissionError(
            "IMAGE_CONFIG",
            f"The image's /etc/passwd or /etc/group gives user {UID} other rights.",
            f"Remove entries named {UID}, and take user {UID} out of all groups.",
        )
    _plain.add(image)


def _gives_other_rights(passwd: list[list[bytes]], group: list[list[bytes]]) -> bool:
    """Whether an account table makes user 65532 anybody else, or a member of any group."""
    uid = str(UID).encode()
    ours = {uid}
    for fields in passwd:
        numbers = [f.strip() for f in fields[2:4]]
        if fields[0].strip() == uid and numbers != [uid, uid]:
            return True
        if uid in numbers[:1]:
            ours.add(fields[0].strip())
    for fields in group:
        named, number = fields[0].strip() == uid, fields[2:3] == [uid]
        members = {m.strip() for m in (fields[3].split(b",") if len(fields) > 3 else [])}
        if (named and not number) or (members & ours and not number):
            return True
    return False
