"""What came of rebuilding a part of the board: numbers that are equal, that differ, and that were not rebuilt."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

EXACT = 1e-9


@dataclass
class Found:
    """What came of rebuilding one part of the board.

    Attributes:
        equal: numbers that are what they were.
        differs: those that are not, in words.
        left: how many were not rebuilt, by the reason.
    """

    what: str
    equal: int = 0
    differs: list[str] = field(default_factory=list)
    left: Counter[str] = field(default_factory=Counter)

    def leave(self, why: str, count: int) -> None:
        """So many numbers were not rebuilt."""
        if count:
            self.left[why] += count

    def compare(self, where: str, told: object, rebuilt: object, near: float = EXACT) -> int:
        """Hold every number of what is told against its like in what was rebuilt; returns how many there are."""
        old, new = numbers(told), numbers(rebuilt)
        names = {**old, **new}
        for name in names:
            a, b = old.get(name), new.get(name)
            if a is not None and b is not None and abs(a - b) <= near:
                self.equal += 1
            else:
                self.differs.append(f"{where}: {name} is {a}, rebuilt {b}")
        return len(names)


def numbers(value: object, name: str = "") -> dict[str, float]:
    """Every number in a JSON value, by its path."""
    if isinstance(value, Mapping):
        parts: Iterable[tuple[object, object]] = value.items()
    elif isinstance(value, list | tuple):
        parts = enumerate(value)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        return {name: float(value)}
    else:
        return {}
    return {k: v for key, part in parts for k, v in numbers(part, f"{name}.{key}".lstrip(".")).items()}
