from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from tests.unit.encryption import by_hand
from workers.encryption.associated_data import associated_data_prefix, with_length

PLACES = st.tuples(st.integers(1, 2**32 - 1), st.integers(-(2**63), 2**63 - 1), st.uuids())


@given(PLACES)
def test_the_prefix_is_as_described(place: tuple[int, int, UUID]) -> None:
    assert associated_data_prefix(*place) == by_hand.associated_data(*place, b"")


@given(PLACES, PLACES)
def test_no_two_places_share_a_prefix(
    one: tuple[int, int, UUID], other: tuple[int, int, UUID]
) -> None:
    assert (associated_data_prefix(*one) == associated_data_prefix(*other)) == (one == other)


def test_elements_say_their_length() -> None:
    assert with_length(b"") == bytes(4)
    assert with_length(b"abc") == b"\0\0\0\x03abc"
