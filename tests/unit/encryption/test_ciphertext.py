from contextlib import suppress
from typing import Any
from uuid import UUID

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.encryption import by_hand
from workers.encryption.associated_data import associated_data_prefix
from workers.encryption.ciphertext import (
    OVERHEAD,
    DecryptionError,
    Header,
    MalformedCiphertextError,
    NotCiphertextError,
    TagMismatchError,
    from_stored,
    header,
    header_stored,
    header_text,
    named_key,
    open_sealed,
    parse,
    seal,
    text_of,
    to_stored,
)
from workers.encryption.row_keys import row_encoder
from workers.keys.cleartext_key_material import CleartextKey

VALUES = by_hand.vectors("values.json")
DAMAGED = by_hand.vectors("damaged.json")

AEAD = AESGCM(bytes(range(32)))
NONCE = bytes(12)
KEY_NUMBERS = st.integers(1, 2**32 - 1)

each_value = pytest.mark.parametrize("vector", VALUES, ids=lambda vector: vector["name"])


def field_aead(vector: dict[str, Any]) -> AESGCM:
    key = CleartextKey(bytes.fromhex(vector["master_key"]))
    return key.field_key(vector["organization_id"], UUID(vector["field_id"]))


def place(vector: dict[str, Any]) -> bytes:
    prefix = associated_data_prefix(
        vector["key_number"], vector["organization_id"], UUID(vector["field_id"])
    )
    row = by_hand.row_of(vector["types"], vector["values"])
    return prefix + row_encoder(vector["types"])(row)


@each_value
def test_the_published_values_are_what_we_write(vector: dict[str, Any]) -> None:
    sealed = seal(
        field_aead(vector),
        bytes.fromhex(vector["plaintext"]),
        place(vector),
        key_number=vector["key_number"],
        nonce=bytes.fromhex(vector["nonce"]),
    )
    assert place(vector).hex() == vector["associated_data"]
    assert sealed.hex() == vector["bytea"]
    assert to_stored(sealed, "bytea") == sealed
    assert to_stored(sealed, "text") == vector["text"]


@each_value
def test_the_published_values_are_what_we_read(vector: dict[str, Any]) -> None:
    for stored in (bytes.fromhex(vector["bytea"]), vector["text"]):
        value = from_stored(stored)
        assert parse(value) == Header(algorithm=1, key_number=vector["key_number"])
        opened = open_sealed(field_aead(vector), value, place(vector))
        assert opened.hex() == vector["plaintext"]


@each_value
def test_another_implementation_makes_the_same_of_the_description(vector: dict[str, Any]) -> None:
    row_key = by_hand.row_key(vector["types"], vector["values"])
    assert by_hand.sealed(vector, row_key).hex() == vector["bytea"]
    assert by_hand.in_text(by_hand.sealed(vector, row_key)) == vector["text"]


def open_in_the_first_place(vector: dict[str, Any]) -> str:
    """Open a value where the first of the published ones belongs; return why it is refused."""
    stored = vector["stored"]
    try:
        value = from_stored(bytes.fromhex(stored) if vector["column_type"] == "bytea" else stored)
        if parse(value).key_number != VALUES[0]["key_number"]:
            return "unknown-key"  # it is the key ring that says so
        open_sealed(field_aead(VALUES[0]), value, place(VALUES[0]))
    except DecryptionError as error:
        return error.code
    return "opened"


@pytest.mark.parametrize("vector", DAMAGED, ids=lambda vector: vector["name"])
def test_every_damaged_value_is_refused_by_its_reason(vector: dict[str, Any]) -> None:
    assert open_in_the_first_place(vector) == vector["refused"]


@given(plaintext=st.binary(max_size=300), place=st.binary(max_size=60), number=KEY_NUMBERS)
def test_what_was_sealed_opens_and_says_its_key(
    plaintext: bytes, place: bytes, number: int
) -> None:
    value = seal(AEAD, plaintext, place, key_number=number, nonce=NONCE)
    assert len(value) == len(plaintext) + OVERHEAD
    assert parse(value).key_number == number
    assert open_sealed(AEAD, value, place) == plaintext
    text = to_stored(value, "text")
    assert isinstance(text, str)
    assert from_stored(text) == value
    assert named_key(value) == named_key(text) == number


@given(number=KEY_NUMBERS, plaintext=st.binary(max_size=9))
def test_the_header_is_the_beginning_in_both_kinds_of_column(number: int, plaintext: bytes) -> None:
    value = seal(AEAD, plaintext, b"", key_number=number, nonce=NONCE)
    text = to_stored(value, "text")
    assert isinstance(text, str)
    assert value.startswith(header(number))
    assert text[:8] == header_text(number)
    assert text.startswith("kw")
    assert (header_stored(number, "bytea"), header_stored(number, "text")) == (value[:6], text[:8])


@given(data=st.data())
def test_a_value_with_any_bit_changed_does_not_open(data: st.DataObject) -> None:
    value = bytearray(seal(AEAD, b"secret", b"place", key_number=1, nonce=NONCE))
    position = data.draw(st.integers(6, len(value) - 1))
    value[position] ^= 1 << data.draw(st.integers(0, 7))
    with pytest.raises(TagMismatchError):
        open_sealed(AEAD, bytes(value), b"place")


def test_a_value_opens_in_no_other_place_and_under_no_other_key() -> None:
    value = seal(AEAD, b"secret", b"place", key_number=1, nonce=NONCE)
    for aead, where in ((AEAD, b"elsewhere"), (AESGCM(bytes(32)), b"place")):
        with pytest.raises(TagMismatchError):
            open_sealed(aead, value, where)


@given(st.binary(max_size=80) | st.binary(max_size=80).map(lambda rest: b"\x93\x01" + rest))
def test_any_bytes_parse_or_are_refused_in_our_words(value: bytes) -> None:
    with suppress(NotCiphertextError, MalformedCiphertextError):
        assert parse(value).key_number == named_key(value)


@given(st.text(max_size=80) | st.text(max_size=80).map(lambda rest: "kwE" + rest))
def test_any_text_is_read_or_refused_in_our_words(text: str) -> None:
    named_key(text)
    with suppress(NotCiphertextError, MalformedCiphertextError):
        assert to_stored(from_stored(text), "text") == text


@given(st.text(max_size=80))
def test_no_text_in_utf_8_is_taken_for_a_binary_ciphertext(text: str) -> None:
    with suppress(UnicodeEncodeError):
        assert named_key(text.encode()) is None


@pytest.mark.parametrize("number", [0, -1, 2**32])
def test_there_is_no_header_without_a_key(number: int) -> None:
    with pytest.raises(ValueError, match="key number"):
        header(number)


@pytest.mark.parametrize("length", [0, 11, 13, 16])
def test_a_nonce_has_twelve_bytes(length: int) -> None:
    with pytest.raises(ValueError, match="nonce"):
        seal(AEAD, b"", b"", key_number=1, nonce=bytes(length))


@pytest.mark.parametrize("plaintext", [b"\xff", b"a\0b", "\ud800".encode("utf-8", "surrogatepass")])
def test_what_no_text_column_can_hold_is_refused(plaintext: bytes) -> None:
    with pytest.raises(MalformedCiphertextError):
        text_of(plaintext)


def test_refusals_repeat_nothing_of_the_value() -> None:
    for stored in (b"\x93hunter2", "kwhunter2", b"hunter2", "hunter2"):
        with pytest.raises(DecryptionError) as refusal:
            parse(from_stored(stored))
        assert "hunter2" not in str(refusal.value)
