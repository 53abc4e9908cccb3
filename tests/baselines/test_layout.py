"""Arrows run down only: from the commands to few-shot models, training, predicting, backbones and the errors."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import baselines

ROOT = Path(baselines.__file__).parent
FLOORS = [{"errors", "conf"}, {"backbones"}, {"predicting"}, {"training"}, {"few_shot", "similarity"},
          {"speed", "package", "catalogue"}, {"few_shot_images"}, {"cli"}]  # fmt: skip
ABOVE = {name: set().union(*FLOORS[k + 1 :]) for k, floor in enumerate(FLOORS) for name in floor}
FILES = [path for path in sorted(ROOT.rglob("*.py")) if "images" not in path.relative_to(ROOT).parts]


def rooms(path: Path) -> set[str]:
    """The parts of the package that a file imports from."""
    return {name.split(".")[1] for name in imported(path) if name.startswith("baselines.")}


def imported(path: Path) -> set[str]:
    """Every name that a file imports."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_nothing_of_the_benchmark_itself_is_imported(path: Path) -> None:
    assert "evaluator" not in {name.split(".")[0] for name in imported(path)}


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_a_module_imports_only_from_floors_below(path: Path) -> None:
    room = path.relative_to(ROOT).with_suffix("").parts[0]
    assert room == "__init__" or not rooms(path) & ABOVE[room]
