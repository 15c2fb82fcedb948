"""The bytes of a wrap, and what binds it to its place."""

from contextlib import suppress
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.keys.root_keys import WrappedKeyError
from workers.keys.root_keys.envelope import associated_data, join, split

contexts = st.dictionaries(st.text(max_size=3), st.text(max_size=3), max_size=3)


@given(one=contexts, other=contexts)
def test_two_contexts_never_give_the_same_bytes(one: dict[str, str], other: dict[str, str]) -> None:
    assert (associated_data(one) == associated_data(other)) == (one == other)


def test_parts_that_join_alike_are_told_apart() -> None:
    alike = [{"a": "bc"}, {"ab": "c"}, {"abc": ""}, {"": "abc"}, {"a": "b", "c": ""}]
    assert all(associated_data(a) != associated_data(b) for a, b in combinations(alike, 2))


def test_the_order_of_a_context_does_not_matter() -> None:
    assert associated_data({"a": "1", "b": "2"}) == associated_data({"b": "2", "a": "1"})


def test_the_bytes_stay_as_they_are_stored() -> None:
    # Changing these would make every wrap unreadable.
    assert associated_data({"organization": "7", "key-number": "1"}).hex() == (
        "0000001f" + b"keywright wrapped master key v1".hex()
        + "0000000a" + b"key-number".hex() + "00000001" + b"1".hex()
        + "0000000c" + b"organization".hex() + "00000001" + b"7".hex()
    )  # fmt: skip
    assert join(b"n" * 12, b"s" * 48) == b"\x01" + b"n" * 12 + b"s" * 48


@given(st.binary(max_size=100))
def test_no_bytes_lead_to_anything_but_a_wrap_or_a_refusal(content: bytes) -> None:
    with suppress(WrappedKeyError):
        assert join(*split(content, "file:x")) == content


@pytest.mark.parametrize("first", [0, 2, 255])
def test_other_formats_are_refused(first: int) -> None:
    with pytest.raises(WrappedKeyError, match=f"is of format {first}"):
        split(bytes([first]) + bytes(60), "file:x")
