"""Is this machine fit to evaluate strangers' images? Every finding comes with its remedy."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from evaluator import images

Level = Literal["ok", "warn", "refuse"]
OLDEST_ENGINE = (20, 10)
FREE_DISK_GB = 20


@dataclass(frozen=True)
class Finding:
    """One thing looked at."""

    level: Level
    what: str
    remedy: str = ""


def examine() -> list[Finding]:
    """Look at the engine and its machine.

    Raises:
        EngineError: no engine answers.
    """
    engine = images.connect()
    return list(_findings(engine.info(), engine.version()))


def _findings(info: dict[str, Any], version: dict[str, Any]) -> Iterator[Finding]:
    numbers = tuple(int(n) for n in re.findall(r"\d+", str(version.get("Version")))[:2])
    shown = f"engine {version.get('Version')}, cgroup v{info.get('CgroupVersion', '1')}, {info.get('Driver')}"
    yield Finding(
        "ok" if numbers >= OLDEST_ENGINE else "refuse",
        shown,
        "" if numbers >= OLDEST_ENGINE else "Install Docker 20.10 or newer.",
    )
    platform = f"{info.get('OSType')}/{info.get('Architecture')}"
    fits = platform == "linux/x86_64"
    yield Finding("ok" if fits else "refuse", f"platform {platform}", "" if fits else "Use a linux/amd64 machine.")
    security = " ".join(info.get("SecurityOptions") or [])
    confined = "seccomp" in security and "seccomp,profile=unconfined" not in security
    yield Finding(
        "ok" if confined else "refuse",
        f"seccomp {'on' if confined else 'off'}",
        "" if confined else "Start dockerd with its default seccomp profile.",
    )
    for name, title in (("MemoryLimit", "memory"), ("PidsLimit", "process"), ("CpuCfsQuota", "cpu")):
        has = bool(info.get(name))
        yield Finding(
            "ok" if has else "refuse",
            f"{title} limits {'work' if has else 'do not work'}",
            "" if has else "Turn the cgroup controller on in the kernel.",
        )
    remapped = "userns" in security or "rootless" in security
    yield Finding(
        "ok" if remapped else "warn",
        f"user namespaces {'on' if remapped else 'off'}",
        "" if remapped else 'Consider "userns-remap": "default" in /etc/docker/daemon.json.',
    )
    yield from _disk(Path(str(info.get("DockerRootDir", "/"))))


def _disk(root: Path) -> Iterator[Finding]:
    place = next(p for p in (root, *root.parents) if p.exists())
    free = shutil.disk_usage(place).free / 1e9
    enough = free >= FREE_DISK_GB
    yield Finding(
        "ok" if enough else "warn",
        f"{free:,.0f} GB free under {root}",
        "" if enough else "Free some: docker system prune.",
    )
