"""Certificates put together byte by byte, with whatever is odd about them, for tests.

Their signatures are worthless, so that thousands are made in no time.
"""

import base64
from datetime import UTC, datetime

from workers.certificates.reading.contents import read_certificates
from workers.certificates.reading.found import FoundCertificate

COMMON_NAME = "2.5.4.3"
V3 = bytes.fromhex("a003020102")
BEGINNING = datetime(2026, 1, 1, tzinfo=UTC)
END = datetime(2027, 1, 1, tzinfo=UTC)


def tlv(tag: int, *parts: bytes) -> bytes:
    """Encode one value."""
    content = b"".join(parts)
    size = len(content)
    if size < 128:
        return bytes([tag, size]) + content
    length = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 | len(length)]) + length + content


def sequence(*parts: bytes) -> bytes:
    """Encode a SEQUENCE."""
    return tlv(0x30, *parts)


def oid(dotted: str) -> bytes:
    """Encode an object identifier."""
    first, second, *rest = (int(each) for each in dotted.split("."))
    encoded = b""
    for number in (first * 40 + second, *rest):
        digits = [number & 0x7F]
        while number := number >> 7:
            digits.append(number & 0x7F | 0x80)
        encoded += bytes(reversed(digits))
    return tlv(0x06, encoded)


def attribute(kind: str, tag: int, value: bytes) -> bytes:
    """Encode a relative distinguished name with one attribute."""
    return tlv(0x31, sequence(oid(kind), tlv(tag, value)))


def name(text: str) -> bytes:
    """Encode a name that has a common name only."""
    return sequence(attribute(COMMON_NAME, 0x0C, text.encode()))


def time(moment: datetime) -> bytes:
    """Encode a date the way RFC 5280 §4.1.2.5 wants it."""
    if moment.year < 2050:
        return tlv(0x17, f"{moment:%y%m%d%H%M%SZ}".encode())
    return tlv(0x18, f"{moment:%Y%m%d%H%M%SZ}".encode())


def rsa_key(bits: int = 2048) -> bytes:
    """Encode an RSA public key of some size; its numbers are nonsense."""
    modulus = (1 << (bits - 1) | 1).to_bytes(bits // 8 + 1, "big")
    numbers = sequence(tlv(0x02, modulus), tlv(0x02, b"\x01\x00\x01"))
    return sequence(sequence(oid("1.2.840.113549.1.1.1"), tlv(0x05)), tlv(0x03, b"\0", numbers))


def make_der(
    common_name: str = "example",
    *,
    version: bytes = V3,
    serial: bytes = b"\x01",
    issuer: bytes | None = None,
    not_before: bytes | datetime = BEGINNING,
    not_after: bytes | datetime = END,
    subject: bytes | None = None,
    key: bytes | None = None,
    rest: bytes = b"",
    signature: bytes = b"\x03\x02\x00\x01",
) -> bytes:
    """Encode a certificate; each part may be given as it is to stand there, encoded."""
    algorithm = sequence(oid("1.2.840.113549.1.1.11"), tlv(0x05))
    dates = [time(each) if isinstance(each, datetime) else each for each in (not_before, not_after)]
    subject = name(common_name) if subject is None else subject
    signed = sequence(
        version,
        tlv(0x02, serial),
        algorithm,
        subject if issuer is None else issuer,
        sequence(*dates),
        subject,
        rsa_key() if key is None else key,
        rest,
    )
    return sequence(signed, algorithm, signature)


def pem(der: bytes, label: str = "CERTIFICATE") -> bytes:
    """Encode as PEM."""
    return (
        f"-----BEGIN {label}-----\n".encode()
        + base64.encodebytes(der)
        + f"-----END {label}-----\n".encode()
    )


def make_found(
    common_name: str = "example",
    *,
    number: int = 1,
    not_before: datetime = BEGINNING,
    not_after: datetime = END,
) -> FoundCertificate:
    """Make a certificate as it is read from a file; another ``number`` is another certificate."""
    der = make_der(
        common_name,
        serial=number.to_bytes(8, "big"),
        not_before=not_before,
        not_after=not_after,
    )
    [found] = read_certificates(der, source=f"{common_name}.crt").certificates
    return found
