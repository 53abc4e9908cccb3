"""What a record's failure code means, and what its author can do: the part of the guide's table that the site shows."""

from __future__ import annotations

from typing import NamedTuple


class Advice(NamedTuple):
    """One row of the guide's table, without its code."""

    meaning: str
    remedy: str


BAD_FORMAT = "BAD_FORMAT"
ADVICE = {
    "IMAGE_NOT_FOUND": Advice(
        "the registry says that it has no such image for everybody",
        "push it, make it public; the registry is asked again every week",
    ),
    "IMAGE_NOT_PUBLIC": Advice(
        "the registry says that it has no such image for everybody",
        "push it, make it public; the registry is asked again every week",
    ),
    "IMAGE_INCOMPLETE": Advice(
        "the registry has lost a layer or another part of it",
        "push it again; the registry is asked again every week",
    ),
    "IMAGE_MANIFEST": Advice(
        "its manifest is of an old or unknown form, or larger than 4 MiB", "push it with a current Docker"
    ),
    "IMAGE_LAYERS": Advice(
        "over 125 layers, zstd, or a layer that is no archive or not the one that the configuration names",
        "join `RUN` lines; build it anew and push it with `docker push`",
    ),
    "IMAGE_PLATFORM": Advice(
        "it is not for linux/amd64, or for a variant such as amd64/v3, which not every machine can run",
        "`docker build --platform linux/amd64`",
    ),
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
