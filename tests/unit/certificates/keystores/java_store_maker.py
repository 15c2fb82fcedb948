"""Java keystores put together byte by byte, with whatever is odd about them, for tests."""

import struct
from hashlib import sha1
from pathlib import Path

from jks.sun_crypto import SUN_JCE_ALGO_ID, SUN_JKS_ALGO_ID, jks_pkey_encrypt

from tests.unit.certificates.certificate_maker import oid, sequence, tlv

VECTORS = Path(__file__).parents[3] / "vectors/keystores"
VECTORS_PASSWORD = "changeit-25"
PASSWORD = "correct-horse-battery"
JKS, JCEKS = b"\xfe\xed\xfe\xed", b"\xce\xce\xce\xce"
JCE_PROTECTION = oid(".".join(map(str, SUN_JCE_ALGO_ID)))
JKS_PROTECTION = oid(".".join(map(str, SUN_JKS_ALGO_ID)))


def java_store(*entries: bytes, magic: bytes = JKS, count: int | None = None) -> bytes:
    """Encode a keystore; its integrity holds, whatever ``count`` claims."""
    content = magic + struct.pack(">II", 2, len(entries) if count is None else count)
    return signed(content + b"".join(entries))


def signed(content: bytes, password: str = PASSWORD) -> bytes:
    """Append what shows the integrity of a keystore."""
    return content + sha1(password.encode("utf-16-be") + b"Mighty Aphrodite" + content).digest()


def java_trusted(alias: bytes, certificate: bytes) -> bytes:
    """Encode a certificate that stands alone; the alias as it is to stand there."""
    return struct.pack(">I", 2) + _text(alias) + bytes(8) + _certificate(certificate)


def java_key(alias: bytes, protected: bytes, *chain: bytes) -> bytes:
    """Encode a private key entry."""
    return (
        struct.pack(">I", 1)
        + _text(alias)
        + bytes(8)
        + _data(protected)
        + struct.pack(">I", len(chain))
        + b"".join(map(_certificate, chain))
    )


def protect(private_key: bytes, password: str = PASSWORD) -> bytes:
    """Encrypt a key the way of JKS, without the parameters, like JDK 20 and later."""
    return sequence(sequence(JKS_PROTECTION), tlv(4, jks_pkey_encrypt(private_key, password)))


def jce_protected(iterations: int, salt: bytes = b"12345678") -> bytes:
    """Encode a key as in JCEKS that no password opens, but only after so many iterations."""
    count = iterations.to_bytes(9, "big").lstrip(b"\0") or b"\0"
    count = b"\0" + count if count[0] & 0x80 else count
    parameters = sequence(tlv(4, salt), tlv(2, count))
    return sequence(sequence(JCE_PROTECTION, parameters), tlv(4, bytes(64)))


def _text(text: bytes) -> bytes:
    return struct.pack(">H", len(text)) + text


def _data(data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + data


def _certificate(der: bytes) -> bytes:
    return _text(b"X.509") + _data(der)
