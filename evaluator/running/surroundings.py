"""What programs ask of their surroundings: who they run as, how many cores are theirs, whether output is held back."""

from __future__ import annotations

from collections.abc import Iterable

HOSTNAME = "sandbox"
USER = "sandbox"
NAMES = {HOSTNAME: "127.0.0.1"}
"""Host names beside `localhost`: Java and Spark look their own up before they do anything."""
RESOLVER = "127.0.0.1"
"""Where nobody answers, so that a look-up fails at once; otherwise the engine writes its own host's resolvers there."""
THREADS = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "BLIS_NUM_THREADS",
    "NUMBA_NUM_THREADS",
    "NUMEXPR_MAX_THREADS",
    "LOKY_MAX_CPU_COUNT",
    "RAYON_NUM_THREADS",
    "POLARS_MAX_THREADS",
    "JULIA_NUM_THREADS",
    "GOMAXPROCS",
    "MC_CORES",
    "PYTHON_CPU_COUNT",
)
"""Where libraries look for a number of threads before they count the machine's cores, most of which are not theirs."""


def environment(task: str, cpus: float, image: Iterable[str] = ()) -> dict[str, str]:
    """The environment of a run but for its paths.

    Args:
        cpus: how many cores it may use.
        image: the image's own environment, `NAME=value` each: user, threads and buffering stay as its author set them.
    """
    cores = str(max(int(cpus), 1))
    usual = {"USER": USER, "LOGNAME": USER, "PYTHONUNBUFFERED": "1", **dict.fromkeys(THREADS, cores)}
    own = {entry.partition("=")[0] for entry in image}
    return {**{name: value for name, value in usual.items() if name not in own}, "TASK": task}
