"""What is written and read while a column turns from plaintext to ciphertext, and back."""

import pytest

from tests.integration.encryption.shop import FIELD, Shop
from workers.encryption import FieldCipher, MalformedCiphertextError, TagMismatchError
from workers.encryption.registry import FieldState


@pytest.mark.parametrize("state", ["plaintext", "decrypting"])
def test_where_plaintext_is_written_it_comes_back_unchanged(
    fields: Shop, state: FieldState
) -> None:
    fields.move(state)
    assert fields.encrypt((1,), b"4111") == b"4111"
    assert fields.decrypt((1,), b"4111") == b"4111"


@pytest.mark.parametrize("state", ["plaintext", "encrypting", "decrypting"])
def test_while_a_column_may_hold_both_kinds_both_are_read(fields: Shop, state: FieldState) -> None:
    value = fields.encrypt((1,), b"secret")
    fields.move(state)
    fresh = FieldCipher(fields.keyring, fields.pool)
    looks_like_one = b"\x93\x01\0\0\0\x63" + bytes(28)  # of a key that never was
    batch = [((1,), value), ((2,), b"4111"), ((3,), b""), ((4,), looks_like_one)]
    opened = fresh.decrypt_many(FIELD, organization_id=fields.acme, values=batch)
    assert opened == [b"secret", b"4111", b"", looks_like_one]


@pytest.mark.parametrize("state", ["encrypting", "decrypting"])
def test_a_damaged_ciphertext_is_not_passed_off_as_plaintext(
    fields: Shop, state: FieldState
) -> None:
    value = fields.encrypt((1,), b"secret")
    fields.move(state)
    fresh = FieldCipher(fields.keyring, fields.pool)
    batch = [((2,), value), ((1,), value[:-1]), ((1,), value[:10])]
    opened = fresh.decrypt_many(FIELD, organization_id=fields.acme, values=batch)
    assert [type(each) for each in opened] == [
        TagMismatchError,
        TagMismatchError,
        MalformedCiphertextError,
    ]


def test_in_a_column_of_plaintext_nothing_is_refused(fields: Shop) -> None:
    value = fields.encrypt((1,), b"secret")
    fields.move("plaintext")
    assert fields.decrypt((2,), value) == value


def test_what_a_process_remembers_of_a_state_makes_it_refuse_nothing(fields: Shop) -> None:
    value = fields.encrypt((1,), b"secret")
    assert fields.decrypt((1,), value) == b"secret"  # remembers: encrypted
    fields.move("decrypting")
    assert fields.decrypt((1,), b"4111") == b"4111"
    fields.move("plaintext")
    assert fields.decrypt((1,), b"4111") == b"4111"  # remembers: plaintext
    fields.move("encrypting")
    assert fields.decrypt((1,), value) == b"secret"
    with pytest.raises(TagMismatchError):
        fields.decrypt((2,), value)


def test_a_writer_knows_the_state_of_this_moment(fields: Shop) -> None:
    assert fields.encrypt((1,), b"4111") != b"4111"
    fields.move("plaintext")
    assert fields.encrypt((1,), b"4111") == b"4111"
    fields.move("encrypting")
    assert fields.encrypt((1,), b"4111") != b"4111"
