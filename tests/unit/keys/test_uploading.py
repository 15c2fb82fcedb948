"""Which secrets are taken as master keys, and from what they are read."""

import os
from base64 import b64encode
from hashlib import sha256

import pytest
from cryptography.hazmat.primitives.asymmetric.padding import MGF1, OAEP
from cryptography.hazmat.primitives.hashes import SHA1, SHA256, SHA512, HashAlgorithm

from tests.unit.keys.exports import private_key
from workers.errors import InvalidRequestError
from workers.keys.uploading import read_secret, unwrap_secret

SECRET = sha256(b"as good as random").digest()


def announced(material: bytes) -> str:
    return b64encode(sha256(material).digest()).decode()


def wrapped(algorithm: HashAlgorithm, material: bytes = SECRET) -> bytes:
    padding = OAEP(MGF1(algorithm), algorithm, label=None)
    return private_key().public_key().encrypt(material, padding)


@pytest.mark.parametrize(
    "content", [SECRET, b64encode(SECRET), b64encode(SECRET) + b"\n", b64encode(SECRET) + b"\r\n"]
)
def test_a_secret_is_read_as_it_is_or_in_base64(content: bytes) -> None:
    assert read_secret(content, announced_hash=announced(SECRET)).reveal() == SECRET


def test_random_secrets_are_not_taken_for_weak_ones() -> None:
    for _ in range(1000):
        material = os.urandom(32)
        read_secret(material, announced_hash=announced(material))


@pytest.mark.parametrize(
    ("material", "says"),
    [
        (bytes(32), "repeats itself"),
        (b"\xff" * 32, "repeats itself"),
        (bytes(range(32)), "repeats itself"),
        (bytes(range(64, 32, -1)), "repeats itself"),
        (SECRET[:8] * 4, "repeats itself"),
        (b"correct-horse-battery-staple-123", "text and not 256 random bits"),
        (sha256(b"").hexdigest()[:32].encode(), "repeats itself"),
    ],
)
def test_a_weak_secret_is_refused(material: bytes, says: str) -> None:
    with pytest.raises(InvalidRequestError, match=says):
        read_secret(material, announced_hash=announced(material))


@pytest.mark.parametrize(
    "content", [b"", SECRET[:31], SECRET + b"\n", b64encode(SECRET[:24]) + b"\n", os.urandom(4096)]
)
def test_a_secret_of_another_length_is_refused(content: bytes) -> None:
    with pytest.raises(InvalidRequestError, match=r"^secret: the file holds \d+ bytes"):
        read_secret(content, announced_hash=announced(content))


@pytest.mark.parametrize(
    ("announced_hash", "says"),
    [
        (announced(SECRET[::-1]), "not that of the secret"),
        (announced(b64encode(SECRET)), "not that of the secret"),
        ("", "in base64"),
        ("not base64", "in base64"),
        ("ä" * 44, "in base64"),
        (sha256(SECRET).hexdigest(), "in base64"),
    ],
)
def test_a_secret_that_is_not_the_announced_one_is_refused(announced_hash: str, says: str) -> None:
    with pytest.raises(InvalidRequestError, match=f"^hash: .*{says}") as caught:
        read_secret(SECRET, announced_hash=announced_hash)
    assert SECRET.hex() not in str(caught.value)


@pytest.mark.parametrize("algorithm", [SHA256(), SHA512()])
def test_a_secret_may_come_encrypted_for_a_private_key(algorithm: HashAlgorithm) -> None:
    for content in (wrapped(algorithm), b64encode(wrapped(algorithm)) + b"\n"):
        assert unwrap_secret(content, private_key()) == SECRET


@pytest.mark.parametrize(
    "content", [b"", SECRET, wrapped(SHA1()), wrapped(SHA256())[:-1], b"A" * 384, os.urandom(384)]
)
def test_what_the_private_key_does_not_open_is_refused(content: bytes) -> None:
    with pytest.raises(InvalidRequestError, match="does not open it"):
        unwrap_secret(content, private_key())
