"""What this machine's processor can compute in, as far as it says so itself."""

from __future__ import annotations

from pathlib import Path

CPUINFO = Path("/proc/cpuinfo")
ARITHMETIC = {
    "bf16": {"avx512_bf16", "amx_bf16", "bf16"},
    "fp16": {"avx512_fp16", "amx_fp16", "asimdhp"},
}
"""Linux's names for what multiplies in half precision, on x86 and on ARM."""

INSTRUCTIONS = (
    *("avx2", "fma", "avx512f", "avx512_bf16", "avx512_fp16", "amx_tile", "amx_bf16"),
    *("asimd", "asimdhp", "sve", "bf16"),
)


def _features() -> tuple[str, set[str]]:
    """The processor's name and its features; both empty where Linux does not tell them."""
    try:
        lines = CPUINFO.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return "", set()
    fields = [(key.strip(), value.strip()) for key, _, value in (line.partition(":") for line in lines)]
    name = next((value for key, value in fields if key == "model name"), "")
    return name, next((set(value.split()) for key, value in fields if key in {"flags", "Features"}), set())


def name() -> str:
    """What the processor is called; `an unknown processor` where that is not told."""
    return _features()[0] or "an unknown processor"


def instructions() -> list[str]:
    """Of those that products are made of, what this processor has, in Linux's names."""
    has = _features()[1]
    return [name for name in INSTRUCTIONS if name in has]


def is_narrow() -> bool:
    """Whether this is an x86 processor without AVX-512, where oneDNN's products are no faster than torch's own."""
    has = _features()[1]
    return "avx2" in has and "avx512f" not in has


def lacks(precision: str) -> str:
    """Why a precision is no use on this processor; empty where it has it, or does not say what it has."""
    called, has = _features()
    if not has or precision not in ARITHMETIC or ARITHMETIC[precision] & has:
        return ""
    return (
        f"{called or 'This processor'} has no {precision} arithmetic: it would be emulated, several times slower than "
        "fp32. Take fp32, or a GPU."
    )


def allowed_cpus() -> int:
    """How many CPUs this container may use; 0 where nothing limits it.

    Libraries would start a thread for each core of the machine.
    """
    for path, parts in (("/sys/fs/cgroup/cpu.max", 2), ("/sys/fs/cgroup/cpu/cpu.cfs_quota_us", 1)):
        try:
            text = Path(path).read_text().split()
            period = text[1] if parts == 2 else Path(path).with_name("cpu.cfs_period_us").read_text()
            allowed = int(text[0]) / int(period)
        except (OSError, ValueError, IndexError):
            continue
        if allowed > 0:
            return max(1, round(allowed))
    return 0
