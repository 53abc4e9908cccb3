"""Whatever a hostile image does, its record says so, nothing hidden comes out, and the host is as it was."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future

import pytest

from tests.support.attack_harness import Attack, Outcome, carried_out, load_all

Futures = dict[str, Future[Outcome]]


@pytest.fixture(scope="module")
def futures(request: pytest.FixtureRequest) -> Iterator[Futures]:
    params = (item.callspec.params for item in request.session.items if hasattr(item, "callspec"))
    attacks: list[Attack] = [own["attack"] for own in params if isinstance(own.get("attack"), Attack)]
    with carried_out(attacks) as found:
        yield found


@pytest.mark.parametrize("attack", load_all(), ids=lambda a: a.name)
def test_attack(futures: Futures, attack: Attack) -> None:
    assert futures[attack.name].result().faults == []
