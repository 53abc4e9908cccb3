"""Whatever a hostile image does, its record says so, nothing hidden comes out, and the host is as it was."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.support.attack_harness import Attack, Outcome, apart, load_all


@pytest.fixture(scope="session")
def carry_out() -> Iterator[Callable[[Attack], Outcome]]:
    with apart() as found:
        yield found


@pytest.mark.timeout(900)  # it may have to wait until nobody else is testing
@pytest.mark.parametrize("attack", load_all(), ids=lambda a: a.name)
def test_attack(carry_out: Callable[[Attack], Outcome], attack: Attack) -> None:
    assert carry_out(attack).faults == []
