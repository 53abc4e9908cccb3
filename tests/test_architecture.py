"""Arrows run down only: cli, then commands, then what they share, then parts, then the ground."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

FLOORS = [
    {
        "errors",
        "text",
        "files",
        "settings",
        "metrics",
        "intervals",
        "influence",
        "scored",
        "curves",
        "executors",
        "registry",
        "git",
        "github",
        "progress",
        "gpus",
        "tables",
        "sequences",
        "__init__",
    },
    {"containers", "slurm", "dask_engine", "certificates"},
    {"output", "memory"},
    {"accounts"},
    {"submission", "tracks", "images", "sandbox", "predictions", "results", "state", "ranking"},
    {"work", "durations", "tars"},
    {"plan", "pinning", "audit", "doctor", "standings", "rescoring", "verdict", "forecast", "signing"},
    {"runs", "summary", "parts"},
    {"records", "survey", "unsandboxed", "workers", "watch", "dispatch"},
    {"machinery", "fleet", "sizing"},
    {"intake"},
    {"evaluate", "check", "gate", "new", "prepare", "score", "deliver", "locks", "fetch"},
    {"report", "verify"},
    {"sides"},
    {"compare"},
    {"validation_report"},
    {"options"},
    {"upkeep", "flow", "cluster_commands"},
    {"cli", "__main__"},
]
# Within the ground, and nowhere else, one module may use another.
GROUND = FLOORS[0]


def imports(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found


def modules(package: str) -> list[Path]:
    return sorted(p for p in (ROOT / package).glob("*.py"))


def floor(name: str) -> int:
    return next(i for i, names in enumerate(FLOORS) if name in names)


@pytest.mark.parametrize("path", modules("evaluator"), ids=lambda p: p.stem)
def test_a_module_imports_only_from_floors_below(path: Path) -> None:
    here = floor(path.stem)
    for name in imports(path):
        package, _, rest = name.partition(".")
        target = rest.partition(".")[0]
        if package != "evaluator" or not any(target in names for names in FLOORS):
            continue
        below = floor(target) < here or (here == 0 and target in GROUND) or path.stem == "__main__"
        assert below, f"{path.name} imports {name}, which is not below it"


@pytest.mark.parametrize("path", modules("evaluator"), ids=lambda p: p.stem)
def test_only_the_command_line_reaches_into_the_leaderboard(path: Path) -> None:
    names = {name.partition(".")[0] for name in imports(path)}
    assert not names & {"torch", "transformers", "baselines"}
    assert path.stem == "cli" or "leaderboard" not in names


def test_few_modules_know_docker() -> None:
    users = {p.stem for p in modules("evaluator") if any(n.partition(".")[0] == "docker" for n in imports(p))}
    assert users <= {
        "accounts",
        "containers",
        "memory",
        "output",
        "images",
        "pinning",
        "tars",
        "sandbox",
        "runs",
        "check",
    }


@pytest.mark.parametrize("path", sorted((ROOT / "baselines").rglob("*.py")), ids=lambda p: p.name)
def test_baselines_never_import_the_evaluator(path: Path) -> None:
    assert not {name.partition(".")[0] for name in imports(path)} & {"evaluator", "leaderboard"}


@pytest.mark.parametrize("package", ["evaluator", "leaderboard", "baselines"])
def test_modules_stay_small(package: str) -> None:
    long = {p.name: len(p.read_text().splitlines()) for p in modules(package)}
    assert {name: lines for name, lines in long.items() if lines > 350} == {}
