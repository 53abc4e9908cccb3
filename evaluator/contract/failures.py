"""What a record's failure code means, and what its author can do: the part of the guide's table that the site shows."""

from __future__ import annotations

from typing import NamedTuple


class Advice(NamedTuple):
    """One row of the guide's table, without its code."""

    meaning: str
    remedy: str


BAD_FORMAT = "BAD_FORMAT"
ADVICE = {
    "IMAGE_NOT_FOUND": Advice("the registry has no such image for everybody", "push it, make it public"),
    "IMAGE_NOT_PUBLIC": Advice("the registry has no such image for everybody", "push it, make it public"),
    "IMAGE_PLATFORM": Advice("it is not for linux/amd64", "`docker build --platform linux/amd64`"),
    "IMAGE_TOO_LARGE": Advice("over 20 GB", "multi-stage build, no caches"),
    "IMAGE_NO_COMMAND": Advice(
        "nothing to start, or it cannot be started", "check `CMD`, the executable bit, the shebang"
    ),
    "IMAGE_COMMAND": Advice(
        "nothing to start, or it cannot be started", "check `CMD`, the executable bit, the shebang"
    ),
    "IMAGE_VOLUME": Advice("a `VOLUME` lies inside /data, /output, /tmp or a system folder", "remove it"),
    "IMAGE_CONFIG": Advice(
        "the engine refuses the image as it is configured",
        "check `WORKDIR`, `STOPSIGNAL`, `ENV`; /data, /output and /tmp must not be files",
    ),
    "TIMEOUT": Advice("not done within `timeout_minutes`", "be faster, or ask for more"),
    "OUT_OF_MEMORY": Advice("it, or a child of it, used more than `memory_gb`", "smaller batches, or ask for more"),
    "EXIT_NONZERO": Advice("the exit status was not 0", "read the log that `apb check` prints"),
    "NO_OUTPUT": Advice("no `/output/predictions.csv`", "write to the path in `$OUTPUT`"),
    BAD_FORMAT: Advice("the predictions file is not as it should be", "`apb check` names the rows"),
}


def advice(code: str | None) -> Advice | None:
    """What a code means and what to do; None for one that the table has no row for."""
    return ADVICE.get((code or "").partition(":")[0])
