"""The house: arrows between its folders run down only, and its walls hold. A new file needs no line here."""

from __future__ import annotations

import ast
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

from scripts import house
from scripts.house import FLOORS, GROUND

ROOT = Path(__file__).resolve().parents[1]
OWNERS = {
    "docker": "running",
    "dask": "cluster",
    "distributed": "cluster",
    "dask_jobqueue": "cluster",
    "click": "commands",
}
WALLS = [
    ("leaderboard", "running"),  # a site is built without Docker
    ("pull_requests", "running"),  # what has the right to merge runs nothing
    ("running", "contract.labels"), ("cluster", "contract.labels"),  # a worker never sees a label ...
    ("running", "store.state"), ("cluster", "store"),  # ... nor anybody's predictions
    ("contract", "settings"),
]  # fmt: skip
MAY_REACH_LEADERBOARD = {"commands.publish", "commands.verify"}


def modules(package: str) -> dict[str, Path]:
    """Modules of a package by their names within it, such as `running.sandbox`."""
    paths = (p for p in (ROOT / package).rglob("*.py") if not {"templates", "images"} & set(p.parts[:-1]))
    return {".".join(p.relative_to(ROOT / package).with_suffix("").parts): p for p in sorted(paths)}


@cache
def imports(path: Path) -> set[str]:
    """Names that a module imports, wherever in it, with all that is taken out of each."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def within(name: str, place: str) -> bool:
    return f"{name}.".startswith(f"{place}.")


EVALUATOR, LEADERBOARD, BASELINES = modules("evaluator"), modules("leaderboard"), modules("baselines")
ROOMS = {name.partition(".")[0] for name in EVALUATOR if "." in name}


def test_every_folder_has_its_floor_and_every_file_a_folder() -> None:
    assert {room for floor in FLOORS for room in floor} == ROOMS and len(FLOORS) <= 6
    assert {name for name in EVALUATOR if "." not in name} == {*GROUND, "__init__", "__main__"}


@pytest.mark.parametrize("name", EVALUATOR)
def test_arrows_run_down(name: str) -> None:
    room = name.partition(".")[0]
    below = {*GROUND} if room in GROUND else {room, *GROUND}.union(*FLOORS[: floor(room)])
    for target in imports(EVALUATOR[name]):
        package, _, rest = target.partition(".")
        if package == "evaluator" and name != "__main__":
            assert rest.partition(".")[0] in below, f"{name} imports {target}, which is not below it"
        assert package not in OWNERS or OWNERS[package] == room, (
            f"{name} imports {package}, which is {OWNERS[package]}'s"
        )
        assert package != "leaderboard" or name in MAY_REACH_LEADERBOARD, f"{name} imports {target}"


def floor(room: str) -> int:
    return next((k for k, rooms in enumerate(FLOORS) if room in rooms), len(FLOORS))


@pytest.mark.parametrize("room", sorted(ROOMS))
def test_a_folder_is_entered_by_its_doors(room: str) -> None:
    doors = house.doors(room)
    outside = {**EVALUATOR, **LEADERBOARD}
    used = {
        target.split(".")[2]
        for name, path in outside.items()
        if not within(name, room)
        for target in imports(path)
        if within(target, f"evaluator.{room}")
    }
    assert doors is None or used == doors


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md"])
def test_the_maps_are_of_this_tree(page: str) -> None:
    text = (ROOT / page).read_text()
    assert "<!-- map: " in text and house.written(text) == text, "run python -m scripts.house"


@pytest.mark.parametrize(("room", "wall"), WALLS)
def test_walls(room: str, wall: str) -> None:
    inside = LEADERBOARD if room == "leaderboard" else {n: p for n, p in EVALUATOR.items() if within(n, room)}
    through = [(n, t) for n, p in inside.items() for t in imports(p) if within(t, f"evaluator.{wall}")]
    assert inside and not through


def test_the_zoo_and_the_evaluator_never_know_each_other() -> None:
    assert not [
        (n, t) for n, p in BASELINES.items() for t in imports(p) if within(t, "evaluator") or within(t, "leaderboard")
    ]
    both = {**EVALUATOR, **{f"leaderboard.{n}": p for n, p in LEADERBOARD.items()}}
    assert not [(n, t) for n, p in both.items() for t in imports(p) if within(t, "baselines") or within(t, "torch")]


@pytest.mark.parametrize("path", [*EVALUATOR.values(), *LEADERBOARD.values()], ids=str)
def test_kinds_of_task_are_told_apart_in_one_table(path: Path) -> None:
    told = {n.value for n in ast.walk(ast.parse(path.read_text())) if isinstance(n, ast.Constant)}
    assert path.stem == "task_types" or not told & {"classification", "regression", "few_shot"}


@pytest.mark.parametrize("package", ["evaluator", "leaderboard", "baselines"])
def test_modules_stay_small_and_folders_say_what_they_are(package: str) -> None:
    long = {n: len(p.read_text().splitlines()) for n, p in modules(package).items()}
    assert {n: lines for n, lines in long.items() if lines > 350} == {}
    assert all(ast.get_docstring(ast.parse(p.read_text())) for p in modules(package).values())


def test_a_task_and_the_site_need_neither_docker_nor_dask_nor_scipy() -> None:
    code = "import evaluator.rounds.task, leaderboard.build, sys; print(*{m.partition('.')[0] for m in sys.modules})"
    loaded = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert not {"docker", "dask", "distributed", "scipy"} & set(loaded.split())
