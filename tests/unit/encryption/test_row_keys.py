from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.encryption import by_hand
from workers.encryption.row_keys import (
    KEY_TYPES,
    RowKeyError,
    columns_encoder,
    row_encoder,
    same_encoding,
)

VECTORS = by_hand.vectors("row_keys.json")

NAIVE = datetime(2026, 3, 1)  # noqa: DTZ001  # as a timestamp without a time zone is

each_vector = pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["name"])

KEYS: dict[str, st.SearchStrategy[Any]] = {
    "bigint": st.integers(-(2**63), 2**63 - 1),
    "text": st.text(max_size=20),
    "uuid": st.uuids(),
    "bytea": st.binary(max_size=20),
    "date": st.dates(),
    "timestamp": st.datetimes(),
    "timestamptz": st.datetimes(
        timezones=st.sampled_from([UTC, timezone(timedelta(hours=-9, minutes=-30))])
    ).filter(lambda moment: date.min.year < moment.year < date.max.year),
    "numeric": st.decimals(allow_nan=False, allow_infinity=False, max_value=10**40),
    "boolean": st.booleans(),
}


@each_vector
def test_the_published_row_keys_are_what_we_encode(vector: dict[str, Any]) -> None:
    row = by_hand.row_of(vector["types"], vector["values"])
    assert row_encoder(vector["types"])(row).hex() == vector["encoded"]
    columns = [[value] for value in row]
    assert columns_encoder(vector["types"])(columns) == [bytes.fromhex(vector["encoded"])]


@each_vector
def test_the_description_leads_to_the_same_bytes(vector: dict[str, Any]) -> None:
    assert by_hand.row_key(vector["types"], vector["values"]).hex() == vector["encoded"]


def test_every_type_has_a_published_vector() -> None:
    assert {kind for vector in VECTORS for kind in vector["types"]} == set(KEY_TYPES)


@given(data=st.data())
def test_different_keys_are_different_bytes_and_equal_ones_the_same(data: st.DataObject) -> None:
    types = data.draw(st.lists(st.sampled_from(sorted(KEYS)), min_size=1, max_size=3))
    rows = st.tuples(*(KEYS[kind] for kind in types))
    one, other = data.draw(rows), data.draw(rows)
    encode = row_encoder(types)
    assert (encode(one) == encode(other)) == (one == other)
    columns = [[a, b] for a, b in zip(one, other, strict=True)]
    assert columns_encoder(types)(columns) == [encode(one), encode(other)]


@given(one=KEYS["text"], other=KEYS["text"], more=st.text(min_size=1, max_size=5))
def test_a_text_that_moves_to_the_next_column_is_another_key(
    one: str, other: str, more: str
) -> None:
    encode = row_encoder(["text", "text"])
    assert encode((one + more, other)) != encode((one, more + other))


@given(KEYS["numeric"])
def test_numbers_that_postgres_calls_equal_are_the_same_key(number: Decimal) -> None:
    encode = row_encoder(["numeric"])
    assert encode((number,)) == encode(
        (Decimal(f"{number:f}0" if "." in f"{number:f}" else f"{number:f}.0"),)
    )
    assert encode((-Decimal(0),)) == encode((0,))


def test_the_zone_in_which_an_instant_is_told_does_not_matter_and_a_missing_one_does() -> None:
    noon = datetime(2026, 3, 1, 12, tzinfo=UTC)
    encode = row_encoder(["timestamptz"])
    assert encode((noon,)) == encode((noon.astimezone(timezone(timedelta(hours=5.5))),))
    naive = row_encoder(["timestamp"])((noon.replace(tzinfo=None),))
    assert naive != encode((noon,))


@pytest.mark.parametrize(
    ("types", "row"),
    [
        (["bigint"], ("42",)),
        (["bigint"], (True,)),
        (["bigint"], (4.0,)),
        (["bigint"], (2**63,)),
        (["bigint"], (None,)),
        (["text"], (42,)),
        (["text"], (b"42",)),
        (["text"], ("\ud800",)),
        (["uuid"], ("00112233-4455-6677-8899-aabbccddeeff",)),
        (["bytea"], ("42",)),
        (["bytea"], (3,)),
        (["date"], (NAIVE,)),
        (["date"], ("2026-03-01",)),
        (["timestamp"], (datetime(2026, 3, 1, tzinfo=UTC),)),
        (["timestamptz"], (NAIVE,)),
        (["timestamptz"], (date(2026, 3, 1),)),
        (["numeric"], (Decimal("NaN"),)),
        (["numeric"], (Decimal("Infinity"),)),
        (["numeric"], (Decimal("1E+999999"),)),
        (["numeric"], (1.5,)),
        (["numeric"], (True,)),
        (["boolean"], (1,)),
        (["bigint"], ()),
        (["bigint"], (1, 2)),
        (["bigint", "text"], (1,)),
        (["text"], "a"),
        (["text", "text"], "ab"),
        (["bytea"], b"a"),
    ],
)
def test_what_is_no_key_of_the_table_is_refused(types: list[str], row: Any) -> None:
    with pytest.raises(RowKeyError, match=r"^row: "):
        row_encoder(types)(row)


def test_a_refusal_says_what_to_give_and_nothing_of_the_key() -> None:
    with pytest.raises(RowKeyError) as refusal:
        row_encoder(["text", "uuid"])(("ada@example.org", "ada@example.org"))
    assert "give a uuid.UUID" in str(refusal.value)
    assert "ada" not in str(refusal.value)
    with pytest.raises(RowKeyError, match=r"tuple of 2; .*\(text, uuid\)"):
        row_encoder(["text", "uuid"])(("ada@example.org",))


def test_a_widened_key_column_keeps_its_encoding() -> None:
    assert same_encoding(["integer", "varchar"], ["bigint", "text"])
    assert not same_encoding(["integer"], ["numeric"])
    assert not same_encoding(["text"], ["bpchar"])
    assert not same_encoding(["text"], ["text", "text"])


def test_a_uuid_is_itself_whatever_its_version() -> None:
    assert row_encoder(["uuid"])((UUID(int=0),)) == bytes.fromhex("0000001103") + bytes(16)
