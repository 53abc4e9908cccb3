"""Is this machine fit to evaluate strangers' images? Every finding comes with its remedy.

`refuse`: a run would not be contained, or not be fair. `warn`: a further line of defence is missing.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from evaluator.errors import EvaluatorError
from evaluator.running import hardware
from evaluator.running.engine import connect, speaks_podman

Level = Literal["ok", "warn", "refuse"]
OLDEST = {"docker": (20, 10), "podman": (4, 3)}
FREE_DISK_GB = 20
LIMITS = {"MemoryLimit": "memory", "SwapLimit": "swap", "PidsLimit": "process", "CpuCfsQuota": "cpu"}


@dataclass(frozen=True)
class Fitness:
    """One thing looked at."""

    level: Level
    what: str
    remedy: str = ""


def examine(runtime: str | None = None) -> list[Fitness]:
    """Look at the engine and its machine.

    Args:
        runtime: the OCI runtime that rounds will use; default the engine's own.

    Raises:
        EngineError: no engine answers.
    """
    engine = connect()
    info, version = engine.info(), engine.version()
    return judge(info, version, runtime)


def judge(info: dict[str, Any], version: dict[str, Any], runtime: str | None = None) -> list[Fitness]:
    """What the engine's own account of itself means."""
    return [
        *_engine(info, version),
        *_confinement(info),
        *_limits(info),
        *_runtimes(info, runtime),
        *_disk(Path(str(info.get("DockerRootDir", "/")))),
        *_graphics(info),
    ]


def require_fit(runtime: str | None = None) -> None:
    """Refuse to run strangers' images on a machine that would not contain them.

    Raises:
        EvaluatorError: with everything that `examine` refuses.
    """
    refused = [f for f in examine(runtime) if f.level == "refuse"]
    if refused:
        raise EvaluatorError(
            "This machine is not fit: " + "; ".join(f.what for f in refused) + ".", " ".join(f.remedy for f in refused)
        )


def _judge(good: bool, what: str, remedy: str, otherwise: Level = "refuse") -> Fitness:
    return Fitness("ok", what) if good else Fitness(otherwise, what, remedy)


def _engine(info: dict[str, Any], version: dict[str, Any]) -> Iterator[Fitness]:
    kind = "podman" if speaks_podman(version) else "docker"
    numbers = tuple(int(n) for n in re.findall(r"\d+", str(version.get("Version")))[:2])
    oldest = ".".join(map(str, OLDEST[kind]))
    shown = f"{kind} {version.get('Version')}, cgroup v{info.get('CgroupVersion') or '1'}, {info.get('Driver')}"
    yield _judge(numbers >= OLDEST[kind], shown, f"Install {kind} {oldest} or newer.")
    platform = f"{info.get('OSType')}/{info.get('Architecture')}"
    native = platform in {"linux/x86_64", "linux/amd64"}
    yield _judge(
        native, f"platform {platform}", "Use a linux/amd64 machine; emulated runs are neither fair nor contained alike."
    )
    if kind == "podman":
        yield Fitness("warn", "podman's Docker socket", "Read docs/podman.md: what holds and what differs.")


def _confinement(info: dict[str, Any]) -> Iterator[Fitness]:
    options = [str(o) for o in info.get("SecurityOptions") or []]
    profile = next((o.partition("profile=")[2] or "default" for o in options if "seccomp" in o), "none")
    remedy = "Start the engine with its default seccomp profile."
    if profile in {"default", "builtin"}:
        yield Fitness("ok", "seccomp on")
    elif profile in {"none", "unconfined"}:
        yield Fitness("refuse", "seccomp off", remedy)
    else:
        yield Fitness("warn", f"seccomp with a profile of its own ({profile})", f"See that it is strict. {remedy}")
    separate = any("userns" in o or "rootless" in o for o in options)
    yield _judge(
        separate,
        f"user namespaces {'on' if separate else 'off'}",
        'Set "userns-remap": "default" in /etc/docker/daemon.json, or run the engine rootless.',
        "warn",
    )
    guarded = any("apparmor" in o or "selinux" in o for o in options)
    yield _judge(
        guarded, f"AppArmor or SELinux {'on' if guarded else 'off'}", "Turn one of them on in the kernel.", "warn"
    )


def _limits(info: dict[str, Any]) -> Iterator[Fitness]:
    # Podman's compatible API leaves some of these out; what is not denied is tested by the attack suite.
    for name, title in LIMITS.items():
        works = info.get(name, True)
        level: Level = "warn" if name == "SwapLimit" else "refuse"
        remedy = "Turn the cgroup controller on (v1: boot with cgroup_enable=memory swapaccount=1; v2: delegate it)."
        yield _judge(bool(works), f"{title} limits {'work' if works else 'do not work'}", remedy, level)


def _runtimes(info: dict[str, Any], wanted: str | None) -> Iterator[Fitness]:
    # Podman also lists runtimes that are not installed.
    runtimes = {name: str(r.get("path", "")) for name, r in (info.get("Runtimes") or {}).items()}
    known = sorted(name for name, path in runtimes.items() if not path.startswith("/") or Path(path).exists())
    if wanted:
        yield _judge(
            wanted in known, f"runtime {wanted}", f"The engine knows {', '.join(known)}; add it to daemon.json."
        )
    elif "runsc" in known:
        yield Fitness("ok", "gVisor is installed; use it with apb evaluate --runtime runsc")
    else:
        yield Fitness(
            "warn", "no gVisor (runsc)", "For secrets that matter install it, or use a machine that is thrown away."
        )


def _disk(root: Path) -> Iterator[Fitness]:
    place = next(p for p in (root, *root.parents) if p.exists())
    free = shutil.disk_usage(place).free / 1e9
    remedy = "Free some: docker image prune --all; or give the engine a disk of its own."
    yield _judge(free >= FREE_DISK_GB, f"{free:,.0f} GB free under {root}", remedy, "refuse" if free < 2 else "warn")


def _graphics(info: dict[str, Any]) -> Iterator[Fitness]:
    found = hardware.present()
    if not found:
        yield Fitness("ok", "no GPU; entries that need one are left for another machine")
        return
    ready = "nvidia" in (info.get("Runtimes") or {}) or bool(info.get("CDISpecDirs"))
    remedy = "Install nvidia-container-toolkit and run: nvidia-ctk runtime configure --runtime=docker"
    yield _judge(ready, f"{len(found)} GPU; one entry has one at a time, by UUID", remedy, "warn")
