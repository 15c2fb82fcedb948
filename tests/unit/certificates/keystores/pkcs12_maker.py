"""PKCS #12 files put together part by part, with whatever is odd about them, for tests."""

import hmac
from collections.abc import Sequence
from hashlib import pbkdf2_hmac

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC

from tests.unit.certificates.certificate_maker import oid, sequence, tlv
from tests.unit.certificates.keystores.material import PASSWORD
from workers.certificates.keystores.entries import KeyEntry
from workers.certificates.keystores.pkcs12_derivation import Use, derive

DATA, ENCRYPTED = "1.2.840.113549.1.7.1", "1.2.840.113549.1.7.6"
KEY_BAG, SHROUDED, CERTIFICATE, CRL, SECRET, SAFE = (
    f"1.2.840.113549.1.12.10.1.{number}" for number in range(1, 7)
)
_PBES2, _PBKDF2 = "1.2.840.113549.1.5.13", "1.2.840.113549.1.5.12"
_HMAC_SHA256, _AES128 = "1.2.840.113549.2.9", "2.16.840.1.101.3.4.1.2"
_SHA256 = "2.16.840.1.101.3.4.2.1"
_SALT = b"saltsalt"


def octets(value: bytes) -> bytes:
    return tlv(4, value)


def integer(value: int) -> bytes:
    return tlv(2, value.to_bytes(value.bit_length() // 8 + 1, "big"))


def content_info(kind: str, content: bytes) -> bytes:
    return sequence(oid(kind), tlv(0xA0, content))


def attributes(name: str | None, key_id: bytes | None) -> list[bytes]:
    found = []
    if name is not None:
        text = tlv(0x1E, name.encode("utf-16-be"))
        found.append(sequence(oid("1.2.840.113549.1.9.20"), tlv(0x31, text)))
    if key_id is not None:
        found.append(sequence(oid("1.2.840.113549.1.9.21"), tlv(0x31, octets(key_id))))
    return [tlv(0x31, *found)] if found else []


def bag(kind: str, value: bytes, *, name: str | None = None, key_id: bytes | None = None) -> bytes:
    return sequence(oid(kind), tlv(0xA0, value), *attributes(name, key_id))


def certificate_bag(
    certificate: bytes, *, name: str | None = None, key_id: bytes | None = None
) -> bytes:
    value = sequence(oid("1.2.840.113549.1.9.22.1"), tlv(0xA0, octets(certificate)))
    return bag(CERTIFICATE, value, name=name, key_id=key_id)


def encrypt(clear: bytes, *, password: str = PASSWORD, iterations: int = 1) -> tuple[bytes, bytes]:
    """Return the AlgorithmIdentifier, claiming so many iterations, and what one gave."""
    key = pbkdf2_hmac("sha256", password.encode(), _SALT, 1, 16)
    padding = 16 - len(clear) % 16
    encryptor = Cipher(AES(key), CBC(bytes(16))).encryptor()
    prf = sequence(oid(_HMAC_SHA256), tlv(5))
    derivation = sequence(oid(_PBKDF2), sequence(octets(_SALT), integer(iterations), prf))
    scheme = sequence(oid(_AES128), octets(bytes(16)))
    return (
        sequence(oid(_PBES2), sequence(derivation, scheme)),
        encryptor.update(clear + bytes([padding]) * padding),
    )


def key_bag(
    entry: KeyEntry,
    *,
    name: str | None = None,
    key_id: bytes | None = None,
    password: str = PASSWORD,
    iterations: int = 1,
) -> bytes:
    algorithm, ciphertext = encrypt(entry.private_key, password=password, iterations=iterations)
    value = sequence(algorithm, octets(ciphertext))
    return bag(SHROUDED, value, name=name, key_id=key_id)


def in_the_clear(*bags: bytes) -> bytes:
    return content_info(DATA, octets(sequence(*bags)))


def encrypted(*bags: bytes, iterations: int = 1) -> bytes:
    algorithm, ciphertext = encrypt(sequence(*bags), iterations=iterations)
    content = sequence(oid(DATA), algorithm, tlv(0x80, ciphertext))
    return content_info(ENCRYPTED, sequence(integer(0), content))


def mac_of(authenticated: bytes, *, password: str = PASSWORD, iterations: int = 1) -> bytes:
    """Return MacData, claiming so many iterations, of what one gives."""
    key = derive("sha256", Use.MAC, password, _SALT, iterations=1, size=32)
    value = octets(hmac.digest(key, authenticated, "sha256"))
    stated = [] if iterations == 1 else [integer(iterations)]  # DER leaves out the default
    return sequence(sequence(sequence(oid(_SHA256), tlv(5)), value), octets(_SALT), *stated)


def pbmac1_of(authenticated: bytes, *, key_length: int | None = 32) -> bytes:
    """Return MacData by PBMAC1 (RFC 9579 §4)."""
    key = pbkdf2_hmac("sha256", PASSWORD.encode(), _SALT, 1, key_length or 32)
    hmac_sha256 = sequence(oid(_HMAC_SHA256), tlv(5))
    length = [] if key_length is None else [integer(key_length)]
    derivation = sequence(octets(_SALT), integer(1), *length, hmac_sha256)
    algorithm = sequence(
        oid("1.2.840.113549.1.5.14"), sequence(sequence(oid(_PBKDF2), derivation), hmac_sha256)
    )
    value = octets(hmac.digest(key, authenticated, "sha256"))
    return sequence(sequence(algorithm, value), octets(b"NOT USED"), integer(1))


def file_of(safes: Sequence[bytes], *, mac: bytes | None = None) -> bytes:
    """Return a file with a MAC, unless another one, or none (empty), is given."""
    authenticated = sequence(*safes)
    proof = mac_of(authenticated) if mac is None else mac
    return sequence(integer(3), content_info(DATA, octets(authenticated)), proof)
