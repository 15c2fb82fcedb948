"""Sealing, against the vectors of RFC 9180, another library, and what is no published key."""

import json
import re
from pathlib import Path
from typing import Any

import cryptography_vectors
import pytest
from Cryptodome.Cipher import AES
from Cryptodome.Protocol import HPKE
from Cryptodome.Protocol.DH import import_x25519_private_key, import_x25519_public_key
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from workers.contract import ExportKeystore
from workers.contract.secrets import purpose_of
from workers.errors import InvalidRequestError
from workers.keys.sealing import SUITE, PublishedKey, decode, encode, seal

SECRET = "Marker-1d02-sealed"
PLACE = {"organization": "Größe & Co", "kind": "keystore.export", "argument": "password"}
VECTORS = Path(cryptography_vectors.__file__).parent / "HPKE" / "test-vectors.json"


def vector() -> dict[str, Any]:
    """Return the vector of RFC 9180's own set for our suite, in base mode."""
    [found] = [
        each
        for each in json.loads(VECTORS.read_text("utf-8"))
        if (each["mode"], each["kem_id"], each["kdf_id"], each["aead_id"]) == (0, 0x20, 1, 2)
    ]
    return {
        name: bytes.fromhex(value) for name, value in found.items() if isinstance(value, str)
    } | {"encryptions": found["encryptions"]}


def key_pair() -> tuple[X25519PrivateKey, PublishedKey]:
    """Make a key and what would be published of it."""
    private_key = X25519PrivateKey.generate()
    public_key = private_key.public_key().public_bytes_raw()
    return private_key, PublishedKey(sealing_key_id="0123456789abcdef", public_key=public_key)


def test_what_is_encrypted_under_the_key_and_nonce_of_the_vector_opens() -> None:
    known = vector()
    text = bytes.fromhex(known["encryptions"][0]["pt"])
    # The vectors authenticate data beside the text, and we have none: the same key, without it.
    cipher = AES.new(known["key"], AES.MODE_GCM, nonce=known["base_nonce"])
    ciphertext, tag = cipher.encrypt_and_digest(text)
    private_key = X25519PrivateKey.from_private_bytes(known["skRm"])
    assert private_key.public_key().public_bytes_raw() == known["pkRm"]
    assert SUITE.decrypt(known["enc"] + ciphertext + tag, private_key, known["info"]) == text


def test_what_the_vector_authenticates_beside_the_text_does_not_open_without() -> None:
    known = vector()
    private_key = X25519PrivateKey.from_private_bytes(known["skRm"])
    for each in known["encryptions"][:3]:
        with pytest.raises(InvalidTag):
            SUITE.decrypt(known["enc"] + bytes.fromhex(each["ct"]), private_key, known["info"])


@given(st.text(min_size=1, max_size=1024).filter(lambda text: "\0" not in text))
def test_another_library_opens_what_is_sealed(secret: str) -> None:
    try:
        secret.encode()
    except UnicodeEncodeError:
        return
    private_key, published = key_pair()
    sealed = seal(published, secret, **PLACE)
    ExportKeystore(password=sealed)
    data = decode(sealed.rpartition(":")[2])
    recipient = HPKE.new(
        receiver_key=import_x25519_private_key(private_key.private_bytes_raw()),
        aead_id=HPKE.AEAD.AES256_GCM,
        enc=data[:32],
        info=purpose_of(**PLACE),
    )
    assert recipient.unseal(data[32:]).decode() == secret


def test_what_another_library_seals_opens() -> None:
    private_key, published = key_pair()
    sender = HPKE.new(
        receiver_key=import_x25519_public_key(published.public_key),
        aead_id=HPKE.AEAD.AES256_GCM,
        info=purpose_of(**PLACE),
    )
    data = sender.enc + sender.seal(SECRET.encode())
    assert SUITE.decrypt(data, private_key, purpose_of(**PLACE)) == SECRET.encode()


def test_no_two_are_alike_and_none_shows_the_secret() -> None:
    _, published = key_pair()
    sealed = [seal(published, SECRET, **PLACE) for _ in range(100)]
    assert len(set(sealed)) == 100
    assert not [each for each in sealed if "Marker" in each]


@pytest.mark.parametrize("secret", ["", "x" * 1025, "a\0b", "\ud800"])
def test_what_is_no_secret_is_not_sealed(secret: str) -> None:
    _, published = key_pair()
    with pytest.raises(InvalidRequestError, match=r"^secret: ") as refused:
        seal(published, secret, **PLACE)
    assert secret == "" or secret not in str(refused.value)


def test_the_longest_secret_of_the_widest_characters_fits_the_contract() -> None:
    _, published = key_pair()
    longest = PublishedKey(sealing_key_id="0" * 32, public_key=published.public_key)
    ExportKeystore(password=seal(longest, "\U0001f511" * 1024, **PLACE))


def test_a_published_key_reads_as_it_was_written() -> None:
    _, published = key_pair()
    written = published.as_json()
    assert re.fullmatch("[A-Za-z0-9_-]{43}", written["public_key"])
    assert PublishedKey.from_json(json.dumps(written)) == published


@pytest.mark.parametrize(
    "change",
    [
        {"suite": "DHKEM(P-256, HKDF-SHA256), HKDF-SHA256, AES-128-GCM"},
        {"sealing_key_id": "x:y"},
        {"sealing_key_id": 12345678},
        {"public_key": encode(bytes(32))},  # of low order
        {"public_key": encode(bytes(31))},
        {"public_key": 7},
        {"public_key": "+/" * 20},
    ],
    ids=str,
)
def test_what_is_no_published_key_is_refused(change: dict[str, object]) -> None:
    _, published = key_pair()
    with pytest.raises(InvalidRequestError, match="no published sealing key"):
        PublishedKey.from_json(json.dumps(published.as_json() | change))


@pytest.mark.parametrize("text", ["", "{}", "[]", "null", "7", '"x"', "[" * 100_000], ids=len)
def test_what_is_no_json_object_of_the_kind_is_refused(text: str) -> None:
    with pytest.raises(InvalidRequestError, match="no published sealing key"):
        PublishedKey.from_json(text)


@given(st.binary(max_size=200))
def test_base64url_reads_back(data: bytes) -> None:
    assert decode(encode(data)) == data
