"""How a table is divided."""

from itertools import pairwise

import pytest

from workers.reencryption.planning import RANGES, shares


@pytest.mark.parametrize("pieces", range(1, RANGES + 1))
def test_shares_rise_from_nothing_to_all_and_leave_nothing_out(pieces: int) -> None:
    bounds = [0.0, *shares(pieces), 1.0]
    assert all(lower < upper for lower, upper in pairwise(bounds))
    assert max(upper - lower for lower, upper in pairwise(bounds)) <= 1 / pieces + 1e-9


def test_the_last_ranges_of_a_large_table_are_the_smallest() -> None:
    bounds = [0.0, *shares(8), 1.0]
    sizes = [round(upper - lower, 6) for lower, upper in pairwise(bounds)]
    assert sizes == [1 / 8] * 6 + [1 / 32] * 8


def test_a_small_table_is_divided_evenly() -> None:
    assert shares(1) == []
    assert shares(2) == [0.5]
