"""Comparing distinguished names (RFC 5280 §7.1). Pure."""

from workers.certificates.reading.der import Element, MalformedError, read_element

# UTF8String, NumericString, PrintableString, TeletexString, IA5String, UniversalString, BMPString.
_ENCODINGS = {
    0x0C: "utf-8",
    0x12: "latin-1",
    0x13: "latin-1",
    0x14: "latin-1",
    0x16: "latin-1",
    0x1C: "utf-32-be",
    0x1E: "utf-16-be",
}


def same_name(one: bytes, other: bytes) -> bool:
    """Whether two names, as DER, mean the same: kinds of string, case and blanks do not matter."""
    if one == other:
        return True
    try:
        return _plain(one) == _plain(other)
    except (MalformedError, ValueError):
        return False


def begins_with(name: bytes, beginning: bytes) -> bool:
    """Whether a name, as DER, lies below another one."""
    try:
        first, whole = _plain(beginning), _plain(name)
    except (MalformedError, ValueError):
        return False
    return whole[: len(first)] == first


def _plain(name: bytes) -> list[frozenset[tuple[bytes, bytes | str]]]:
    return [
        frozenset(_attribute(attribute) for attribute in relative.children())
        for relative in read_element(name).children()
    ]


def _attribute(attribute: Element) -> tuple[bytes, bytes | str]:
    kind, value = attribute.children()
    encoding = _ENCODINGS.get(value.tag)
    if encoding is None:
        return kind.content, value.encoded
    return kind.content, " ".join(value.content.decode(encoding).casefold().split())
