"""Encoding DER (X.690 §10): just what keystores need."""

INTEGER, OCTET_STRING, NULL, OID = 0x02, 0x04, 0x05, 0x06
BMP_STRING, SEQUENCE, SET = 0x1E, 0x30, 0x31
_CONTEXT_0, _IMPLICIT_0 = 0xA0, 0x80
_LONG_FORM = 0x80


def encode(tag: int, *parts: bytes) -> bytes:
    """Encode one value with everything within it."""
    content = b"".join(parts)
    size = len(content)
    if size < _LONG_FORM:
        return bytes((tag, size)) + content
    length = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes((tag, _LONG_FORM | len(length))) + length + content


def sequence(*parts: bytes) -> bytes:
    """Encode a SEQUENCE."""
    return encode(SEQUENCE, *parts)


def set_of(*parts: bytes) -> bytes:
    """Encode a SET OF, whose elements are in the order of their encodings (§11.6)."""
    return encode(SET, *sorted(parts))


def explicit(value: bytes) -> bytes:
    """Encode a value under an explicit [0]."""
    return encode(_CONTEXT_0, value)


def implicit_octets(value: bytes) -> bytes:
    """Encode an OCTET STRING under an implicit [0]."""
    return encode(_IMPLICIT_0, value)


def octets(value: bytes) -> bytes:
    """Encode an OCTET STRING."""
    return encode(OCTET_STRING, value)


def integer(value: int) -> bytes:
    """Encode an INTEGER that is not negative."""
    return encode(INTEGER, value.to_bytes(value.bit_length() // 8 + 1, "big"))


def null() -> bytes:
    """Encode NULL."""
    return encode(NULL)


def oid(dotted: str) -> bytes:
    """Encode an object identifier."""
    first, second, *rest = (int(each) for each in dotted.split("."))
    encoded = b""
    for number in (first * 40 + second, *rest):
        digits = [number & 0x7F]
        while number := number >> 7:
            digits.append(number & 0x7F | 0x80)
        encoded += bytes(reversed(digits))
    return encode(OID, encoded)
