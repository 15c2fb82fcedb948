"""What a piece of DER is, told by its shape alone. Pure."""

import re
from contextlib import suppress
from enum import StrEnum
from itertools import islice

from workers.certificates.reading.der import Element, MalformedError

_SIGNED_DATA = bytes.fromhex("2a864886f70d010702")  # 1.2.840.113549.1.7.2


class Shape(StrEnum):
    """What something is, in words that finish the sentence "this is …"."""

    CERTIFICATE = "a certificate"
    BUNDLE = "a PKCS #7 bundle"
    REQUEST = "a certificate request (CSR)"
    REVOCATION_LIST = "a revocation list (CRL)"
    PUBLIC_KEY = "a public key"
    PRIVATE_KEY = "a private key"
    KEYSTORE = "a PKCS #12 keystore"
    JAVA_KEYSTORE = "a Java keystore"
    UNKNOWN = "something other than a certificate"


# The tags of the children of the whole, then those of its first child; the first match decides.
# 02 INTEGER, 03 BIT STRING, 04 OCTET STRING, 06 OBJECT IDENTIFIER, 17 and 18 times, 30 SEQUENCE.
_SHAPES = (
    (Shape.CERTIFICATE, rb"\x30.*", rb"\xa0?\x02\x30\x30\x30.*"),
    (Shape.REQUEST, rb"\x30\x30\x03", rb"\x02\x30\x30\xa0?"),
    (Shape.REVOCATION_LIST, rb"\x30\x30\x03", rb"\x02?\x30\x30[\x17\x18].*"),
    (Shape.PUBLIC_KEY, rb"\x30\x03", rb"\x06.?"),
    (Shape.PUBLIC_KEY, rb"\x02\x02", rb""),  # PKCS #1
    (Shape.PRIVATE_KEY, rb"\x02{9}.*", rb""),  # PKCS #1
    (Shape.PRIVATE_KEY, rb"\x02\x30\x04.*", rb""),  # PKCS #8
    (Shape.PRIVATE_KEY, rb"\x30\x04", rb"\x06.?"),  # PKCS #8, encrypted
    (Shape.PRIVATE_KEY, rb"\x02\x04.*", rb""),  # RFC 5915
    (Shape.KEYSTORE, rb"\x02\x30\x30?", rb""),
)


def shape_of(element: Element) -> Shape:
    """Tell what ``element`` is, certificates with odd parts included."""
    children = _first_children(element)
    if [child.content for child in children[:1]] == [_SIGNED_DATA]:
        return Shape.BUNDLE
    tags = bytes(child.tag for child in children)
    constructed = bool(children) and children[0].tag == 0x30  # noqa: PLR2004  # see above
    inner = bytes(child.tag for child in _first_children(children[0])) if constructed else b""
    for shape, outer_pattern, inner_pattern in _SHAPES:
        if re.fullmatch(outer_pattern, tags, re.DOTALL) and re.fullmatch(
            inner_pattern, inner, re.DOTALL
        ):
            return shape
    return Shape.UNKNOWN


def _first_children(element: Element) -> list[Element]:
    """Return up to ten children, and those before the first that cannot be read."""
    children: list[Element] = []
    with suppress(MalformedError):
        for child in islice(element.children(), 10):
            children.append(child)  # noqa: PERF402  # keeps those before the broken one
    return children
