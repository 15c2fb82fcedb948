"""How worn a key is."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.keys.usage import (
    FIRST_BLOCK,
    LIMIT,
    NEXT_BLOCK,
    ROTATE,
    WARN,
    Wear,
    rotation_key,
    wear,
)


@pytest.mark.parametrize(
    ("uses", "expected"),
    [
        (0, Wear.FRESH),
        (2**31 - 1, Wear.FRESH),
        (2**31, Wear.WORN),
        (3_865_470_565, Wear.WORN),
        (3_865_470_566, Wear.DUE),
        (2**32 - 1, Wear.DUE),
        (2**32, Wear.EXHAUSTED),
    ],
)
def test_a_key_wears_from_fresh_to_exhausted(uses: int, expected: Wear) -> None:
    assert wear(uses) is expected


def test_the_limit_is_that_of_random_nonces() -> None:
    # SP 800-38D §8.3, and nine tenths of it as the barrier of Vault has it.
    assert (LIMIT, WARN, ROTATE) == (4_294_967_296, 2_147_483_648, 3_865_470_566)


def test_a_warning_comes_long_before_the_rotation_and_that_before_the_limit() -> None:
    assert FIRST_BLOCK < NEXT_BLOCK < WARN < ROTATE < LIMIT - 1000 * NEXT_BLOCK


@given(uses=st.integers(0, LIMIT), more=st.integers(0, LIMIT))
def test_a_key_never_gets_fresher(uses: int, more: int) -> None:
    order = list(Wear)
    assert order.index(wear(uses)) <= order.index(wear(uses + more))


def test_rotations_of_different_keys_are_different_jobs() -> None:
    assert rotation_key(7) == "after-7"
    assert len({rotation_key(number) for number in range(100)}) == 100
