"""Key material keeps itself to itself; what is derived from it is what the standards say."""

import copy
import hmac
import json
import pickle
import subprocess
from dataclasses import asdict, dataclass
from uuid import UUID

import pytest
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from workers.keys.cleartext_key_material import CleartextKey, secret_hash

MATERIAL = bytes(range(32))
FIELD = UUID("00112233-4455-6677-8899-aabbccddeeff")


@dataclass
class Holder:
    """Something that has a key, as a cache entry does."""

    key: CleartextKey


@pytest.mark.parametrize("length", [0, 16, 24, 31, 33, 64])
def test_only_32_bytes_are_a_key(length: int) -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        CleartextKey(bytes(length))


@pytest.mark.parametrize("show", [repr, str, "{}".format, "{!r}".format, ascii])
def test_a_key_does_not_show_itself(show: object) -> None:
    assert callable(show)
    for shown in (show(CleartextKey(MATERIAL)), show(Holder(CleartextKey(MATERIAL)))):
        assert "a cleartext key" in shown
        assert MATERIAL.hex() not in shown
        assert repr(MATERIAL)[2:-1] not in shown


def test_a_key_has_no_attribute_that_a_dump_would_find() -> None:
    key = CleartextKey(MATERIAL)
    assert not hasattr(key, "__dict__")
    with pytest.raises(AttributeError):
        key.extra = 1  # type: ignore[attr-defined]
    with pytest.raises(TypeError):
        json.dumps(key)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_key_stays_in_its_process(protocol: int) -> None:
    with pytest.raises(TypeError, match="stays in its process"):
        pickle.dumps(CleartextKey(MATERIAL), protocol)


def test_a_key_is_not_copied_by_the_way() -> None:
    for duplicate in (copy.copy, copy.deepcopy):
        with pytest.raises(TypeError, match="stays in its process"):
            duplicate(CleartextKey(MATERIAL))
    with pytest.raises(TypeError, match="stays in its process"):
        asdict(Holder(CleartextKey(MATERIAL)))


def test_keys_are_equal_by_their_bytes_and_to_nothing_else() -> None:
    assert CleartextKey(MATERIAL) == CleartextKey(MATERIAL)
    assert CleartextKey(MATERIAL) != CleartextKey(bytes(32))
    assert CleartextKey(MATERIAL) != MATERIAL
    with pytest.raises(TypeError, match="unhashable"):
        hash(CleartextKey(MATERIAL))


def test_new_keys_differ() -> None:
    assert len({CleartextKey.generate().reveal() for _ in range(100)}) == 100


def test_openssl_computes_the_same_check_value() -> None:
    shown = subprocess.run(
        [
            *("openssl", "mac", "-cipher", "AES-256-CBC"),
            *("-macopt", f"hexkey:{MATERIAL.hex()}", "-binary", "CMAC"),
        ],
        input=bytes(16),
        capture_output=True,
        check=True,
    ).stdout
    assert CleartextKey(MATERIAL).check_value() == shown[:5]


def test_the_fingerprint_is_of_the_key_alone() -> None:
    expected = hmac.digest(MATERIAL, b"keywright master key fingerprint v1", "sha256")
    assert CleartextKey(MATERIAL).fingerprint() == expected
    assert CleartextKey(bytes(32)).fingerprint() != expected


def test_openssl_derives_the_same_field_key() -> None:
    info = b"keywright field key v1" + (7).to_bytes(8, "big") + FIELD.bytes
    derived = subprocess.run(
        [
            *("openssl", "kdf", "-keylen", "32", "-kdfopt", "digest:SHA2-256"),
            *("-kdfopt", "mode:EXPAND_ONLY", "-kdfopt", f"hexkey:{MATERIAL.hex()}"),
            *("-kdfopt", f"hexinfo:{info.hex()}", "-binary", "HKDF"),
        ],
        capture_output=True,
        check=True,
    ).stdout
    # RFC 5869 §2.3 by hand: one block is all that 32 bytes take.
    assert derived == hmac.digest(MATERIAL, info + b"\x01", "sha256")
    sealed = AESGCM(derived).encrypt(bytes(12), b"value", b"place")
    field_key = CleartextKey(MATERIAL).field_key(7, FIELD)
    assert field_key.decrypt(bytes(12), sealed, b"place") == b"value"


@pytest.mark.parametrize(
    ("organization_id", "field_id"), [(8, FIELD), (7, UUID(int=FIELD.int ^ 1))]
)
def test_every_field_of_every_organization_has_a_key_of_its_own(
    organization_id: int, field_id: UUID
) -> None:
    key = CleartextKey(MATERIAL)
    sealed = key.field_key(7, FIELD).encrypt(bytes(12), b"value", b"place")
    with pytest.raises(InvalidTag):
        key.field_key(organization_id, field_id).decrypt(bytes(12), sealed, b"place")


def test_the_hash_of_a_secret_is_what_sha256sum_prints() -> None:
    shown = subprocess.run(["sha256sum"], input=MATERIAL, capture_output=True, check=True).stdout
    assert shown.decode().split()[0] == secret_hash(MATERIAL).hex()
