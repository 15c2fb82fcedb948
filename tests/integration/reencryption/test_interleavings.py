"""No interleaving of writers, rotations, runs, deaths and keys that come and go loses a value."""

from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.integration.reencryption.ground import Ground
from tests.integration.reencryption.interleavings import Interleavings
from workers.reencryption import order, steps


@pytest.mark.usefixtures("small_pieces")
def test_no_interleaving_loses_a_value_or_leaves_one_unreadable(
    ground: Ground, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(steps, "FENCE_SECONDS", 0.01)
    divide = order.in_strides
    current: list[Interleavings] = []

    def in_strides(count: int) -> Any:
        for indices in divide(count):
            current[-1].before_transaction()
            yield indices

    def make() -> Interleavings:
        machine = Interleavings(ground)
        current[:] = [machine]
        return machine

    monkeypatch.setattr(order, "in_strides", in_strides)
    run_state_machine_as_test(
        make,  # type: ignore[arg-type]  # anything that makes a machine will do
        settings=settings(
            max_examples=12,
            stateful_step_count=25,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            phases=(Phase.explicit, Phase.generate),
        ),
    )
