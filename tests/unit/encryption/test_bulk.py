import os
from collections.abc import Sequence
from typing import Any, Literal
from uuid import UUID

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given, settings
from hypothesis import strategies as st

from workers.encryption.associated_data import associated_data_prefix
from workers.encryption.bulk import Fault, FieldKey, Resealed, Resealer
from workers.encryption.ciphertext import (
    ColumnType,
    Stored,
    from_stored,
    open_sealed,
    parse,
    seal,
    to_stored,
)
from workers.encryption.row_keys import columns_encoder

FIELD = UUID("3f2504e0-4f89-41d3-9a0c-0305e82c3301")
KEYS = {
    number: FieldKey(AESGCM(bytes([number]) * 32), associated_data_prefix(number, 7, FIELD))
    for number in (1, 2, 3)
}
TARGET = 3
BOTH: tuple[ColumnType, ...] = ("bytea", "text")

in_both_kinds_of_column = pytest.mark.parametrize("kind", BOTH)


def row_keys(count: int) -> list[bytes]:
    return columns_encoder(["bigint"])([list(range(count))])


def sealed(plaintext: Stored, number: int, row: int, kind: ColumnType) -> Stored:
    """Return a value as its column holds it."""
    key = KEYS[number]
    binary = plaintext.encode() if isinstance(plaintext, str) else plaintext
    place = key.prefix + row_keys(row + 1)[row]
    value = seal(key.aead, binary, place, key_number=number, nonce=os.urandom(12))
    return to_stored(value, kind)


def opened(stored: Stored, row: int) -> tuple[int, bytes]:
    """Return the key number and the plaintext of a value."""
    value = from_stored(stored)
    number = parse(value).key_number
    key = KEYS[number]
    return number, open_sealed(key.aead, value, key.prefix + row_keys(row + 1)[row])


def reseal(
    kind: ColumnType,
    stored: Sequence[Stored | None],
    purpose: Literal["reencrypt", "encrypt", "decrypt"] = "reencrypt",
) -> Resealed:
    return resealer(kind, purpose).reseal(
        row_keys(len(stored)), stored, os.urandom(12 * len(stored))
    )


def resealer(kind: ColumnType, purpose: str = "reencrypt") -> Resealer:
    return Resealer(
        column_type=kind,
        sources=KEYS,
        unusable={8: "destroyed_key", 9: "suspended_key"},
        target_number=None if purpose == "decrypt" else TARGET,
        takes_plaintext=purpose != "reencrypt",
    )


def plain(text: str, kind: ColumnType) -> Stored:
    return text if kind == "text" else text.encode()


def under(number: int, kind: ColumnType) -> Stored:
    """Return something that names a key that we do not have."""
    value = b"\x93\x01" + number.to_bytes(4, "big") + bytes(28)
    return to_stored(value, kind)


@in_both_kinds_of_column
def test_values_move_to_the_target_and_stay_what_they_were(kind: ColumnType) -> None:
    stored = [sealed(f"value {row}", 1 + row % 2, row, kind) for row in range(20)]
    done = reseal(kind, stored)
    assert done.faults == []
    for row, value in enumerate(done.new_values):
        assert value is not None
        assert opened(value, row) == (TARGET, f"value {row}".encode())


@in_both_kinds_of_column
def test_what_is_there_already_and_null_are_left_as_they_are(kind: ColumnType) -> None:
    stored = [sealed("a", TARGET, 0, kind), None, sealed("c", 1, 2, kind)]
    done = reseal(kind, stored)
    assert [value is None for value in done.new_values] == [True, True, False]
    assert done.faults == []


@in_both_kinds_of_column
def test_the_result_of_a_batch_has_nothing_left_to_do(kind: ColumnType) -> None:
    done = reseal(kind, [sealed("a", 1, 0, kind), sealed("b", 2, 1, kind)])
    assert reseal(kind, done.new_values) == Resealed([None, None], [])
    assert resealer(kind).verify(row_keys(2), done.new_values) == []


@in_both_kinds_of_column
def test_no_nonce_is_used_twice(kind: ColumnType) -> None:
    done = reseal(kind, [sealed("a", 1, row, kind) for row in range(50)])
    nonces = [from_stored(value)[6:18] for value in done.new_values if value is not None]
    assert len(set(nonces)) == 50


@in_both_kinds_of_column
def test_each_fault_has_its_class_and_stops_nobody(kind: ColumnType) -> None:
    def cut(value: Stored) -> Stored:
        return value[:30]

    def spoiled(value: Stored) -> Stored:
        binary = bytearray(from_stored(value))
        binary[-1] ^= 1
        return to_stored(bytes(binary), kind)

    stored = [
        sealed("good", 1, 0, kind),
        spoiled(sealed("b", 1, 1, kind)),
        sealed("of another row", 1, 7, kind),
        under(4, kind),
        under(8, kind),
        under(9, kind),
        cut(sealed("g" * 40, 1, 6, kind)),
        cut(under(4, kind)),
        plain("plaintext", kind),
        plain("", kind),
        sealed("good", 2, 10, kind),
    ]
    done = reseal(kind, stored)
    assert done.faults == [
        Fault(1, "tag_mismatch", 1),
        Fault(2, "tag_mismatch", 1),
        Fault(3, "unknown_key", 4),
        Fault(4, "destroyed_key", 8),
        Fault(5, "suspended_key", 9),
        Fault(6, "malformed", 1),
        Fault(7, "malformed", None),
        Fault(8, "plaintext_found", None),
        Fault(9, "plaintext_found", None),
    ]
    assert [row for row, value in enumerate(done.new_values) if value is not None] == [0, 10]
    assert resealer(kind).verify(row_keys(len(stored)), stored) == done.faults


@in_both_kinds_of_column
def test_plaintext_is_encrypted_where_it_is_expected(kind: ColumnType) -> None:
    # One that looks like a ciphertext of a key that never was is plaintext, too.
    texts = ["first", "", "kwanza", "kwEAAAAB broken", "Grüße 🔑"]
    stored: list[Stored | None] = [plain(text, kind) for text in texts]
    stored += [under(4, kind), None, sealed("old", 1, 7, kind)]
    done = reseal(kind, stored, "encrypt")
    faulty = {3} if kind == "text" else set()  # the header of key 1, and no ciphertext behind it
    assert {fault.position for fault in done.faults} == faulty
    for row, value in enumerate(done.new_values):
        if row in faulty or stored[row] is None:
            assert value is None
            continue
        assert value is not None
        expected = b"old" if row == 7 else binary(stored[row])
        assert opened(value, row) == (TARGET, expected)


def binary(value: Stored | None) -> bytes:
    assert value is not None
    return value.encode() if isinstance(value, str) else value


@in_both_kinds_of_column
def test_a_value_of_a_lost_key_is_no_plaintext_to_encrypt(kind: ColumnType) -> None:
    done = reseal(kind, [under(8, kind), under(9, kind)], "encrypt")
    assert done.new_values == [None, None]
    assert [fault.fault_class for fault in done.faults] == ["destroyed_key", "suspended_key"]


@in_both_kinds_of_column
def test_ciphertext_becomes_plaintext_again_and_plaintext_stays(kind: ColumnType) -> None:
    stored = [
        sealed("first", 1, 0, kind),
        plain("second", kind),
        None,
        sealed("", 3, 3, kind),
        sealed("moved", 1, 9, kind),
    ]
    done = reseal(kind, stored, "decrypt")
    assert done.new_values == [plain("first", kind), None, None, plain("", kind), None]
    assert done.faults == [Fault(4, "tag_mismatch", 1)]


def test_what_no_text_column_could_hold_is_not_decrypted_into_one() -> None:
    stored = [sealed(b"\xff\xfe", 1, 0, "text"), sealed(b"a\0", 1, 1, "text")]
    done = reseal("text", stored, "decrypt")
    assert done.new_values == [None, None]
    assert done.faults == [Fault(0, "malformed", 1), Fault(1, "malformed", 1)]


def test_too_few_nonces_encrypt_nothing() -> None:
    with pytest.raises(ValueError, match="zip"):
        resealer("bytea").reseal(row_keys(2), [b"", b""], os.urandom(12))


STORED_BYTES = (
    st.none() | st.binary(max_size=60) | st.binary(max_size=60).map(lambda b: b"\x93\x01" + b)
)
STORED_TEXT = st.none() | st.text(max_size=60) | st.text(max_size=60).map(lambda t: "kwEAAAAB" + t)


@settings(max_examples=200)
@given(
    stored=st.one_of(st.lists(STORED_BYTES, max_size=8), st.lists(STORED_TEXT, max_size=8)),
    purpose=st.sampled_from(["reencrypt", "encrypt", "decrypt"]),
)
def test_any_values_at_all_are_resealed_or_reported(stored: list[Any], purpose: Any) -> None:
    kind: ColumnType = "text" if any(isinstance(each, str) for each in stored) else "bytea"
    stored = [None if isinstance(each, str) and not encodable(each) else each for each in stored]
    done = reseal(kind, stored, purpose)
    assert len(done.new_values) == len(stored)
    for fault in done.faults:
        assert done.new_values[fault.position] is None
        assert stored[fault.position] is not None
    for value in done.new_values:
        assert value is None or isinstance(value, str if kind == "text" else bytes)


def encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
