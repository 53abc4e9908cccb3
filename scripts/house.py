"""The map of the house in README.md and CONTRIBUTING.md, written from the tree: `python -m scripts.house`."""

from __future__ import annotations

import ast
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FLOORS = (
    ("contract",),
    ("scoring", "store", "preparing"),
    ("running", "integrity", "pull_requests"),
    ("rounds", "checking", "comparing"),
    ("cluster",),
    ("commands",),
)
"""Folders of evaluator/ from the ground up: each imports from floors below it only; nothing within a floor."""
GROUND = ("errors", "text", "files", "settings", "git", "processes")
"""Files that every folder may use; they use none."""


def says(path: Path) -> str:
    """What a module says of itself, in the first line of its docstring."""
    return (ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or "").partition("\n")[0].rstrip(".")


def doors(room: str) -> set[str] | None:
    """The files of a folder that others may import, as its docstring names them; None where that is all."""
    text = ast.get_docstring(ast.parse((ROOT / "evaluator" / room / "__init__.py").read_text())) or ""
    found = re.search(r"Doors: ([^.]+)\.", text)
    return set(found[1].split()) if found else None


def rooms() -> str:
    """The folders of evaluator/, the top floor first, as a block of text."""
    lines = [f"{'evaluator/':<20}{says(ROOT / 'evaluator' / '__init__.py')}"]
    for number in range(len(FLOORS), 0, -1):
        lines += [
            f"  {number} {room + '/':<16}{says(ROOT / 'evaluator' / room / '__init__.py')}"
            for room in FLOORS[number - 1]
        ]
    lines.append(f"  0 {' '.join(GROUND)}")
    return "\n".join(lines)


def files() -> str:
    """Every file of evaluator/ by its folder, as a list in markdown."""
    lines = []
    for floor in reversed(FLOORS):
        for room in floor:
            folder = ROOT / "evaluator" / room
            lines.append(f"- `{room}/`: {says(folder / '__init__.py')}.")
            lines += [f"  - `{p.name}`: {says(p)}" for p in sorted(folder.glob("*.py")) if p.stem != "__init__"]
    return "\n".join(lines)


def written(text: str) -> str:
    """A page with its maps made anew, each between two comments that name it."""
    for name, block in (("rooms", f"```\n{rooms()}\n```"), ("files", files())):
        start, end = f"<!-- map: {name} -->\n", "<!-- end -->"
        before, found, rest = text.partition(start)
        if found:
            text = f"{before}{start}{block}\n{end}{rest.partition(end)[2]}"
    return text


def main() -> None:
    """Write both pages."""
    for name in ("README.md", "CONTRIBUTING.md"):
        path = ROOT / name
        path.write_text(written(path.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
