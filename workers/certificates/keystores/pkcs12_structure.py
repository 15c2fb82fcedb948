"""The parts of a PKCS #12 file (RFC 7292 §4), DER or BER. Pure; nothing is decrypted here."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice

from workers.certificates.keystores.errors import KeystoreError
from workers.certificates.keystores.password_encryption import algorithm_parts, octets
from workers.certificates.reading.der import (
    CONTEXT_0,
    INTEGER,
    OID,
    SEQUENCE,
    SET,
    Element,
    MalformedError,
    oid_text,
    read_element,
)

KEY_BAG, SHROUDED_KEY_BAG, CERTIFICATE_BAG, CRL_BAG, SECRET_BAG, SAFE_BAG = (
    f"1.2.840.113549.1.12.10.1.{number}" for number in range(1, 7)
)
FRIENDLY_NAME, LOCAL_KEY_ID = "1.2.840.113549.1.9.20", "1.2.840.113549.1.9.21"
# Java's mark of a certificate to be trusted, and what it is to be trusted for: anything.
TRUSTED_KEY_USAGE = "2.16.840.1.113894.746875.1.1"
DATA, SIGNED_DATA, ENVELOPED_DATA, ENCRYPTED_DATA = (
    f"1.2.840.113549.1.7.{number}" for number in (1, 2, 3, 6)
)
X509_CERTIFICATE = "1.2.840.113549.1.9.22.1"
SHA256 = "2.16.840.1.101.3.4.2.1"

_VERSION = 3


@dataclass(frozen=True, kw_only=True)
class Mac:
    """What shows that a file is intact: ``algorithm`` is the AlgorithmIdentifier."""

    algorithm: Element
    value: bytes
    salt: bytes
    iterations: Element | None


@dataclass(frozen=True, kw_only=True)
class Content:
    """SafeContents in the clear (``algorithm`` None), or encrypted."""

    algorithm: Element | None
    value: bytes = field(repr=False)


@dataclass(frozen=True, kw_only=True)
class Bag:
    """One entry: ``kind`` is an OID, ``value`` what it says; the name and the id may be missing."""

    kind: str
    value: Element
    name: str | None
    key_id: bytes | None
    trusted: bool


def open_file(data: bytes) -> tuple[bytes, Mac]:
    """Return the authenticated part of a file, and its MAC.

    Raises:
        KeystoreError: it is protected by something else than a password.
        MalformedError: it is no such file.
    """
    version, content_info, *rest = parts(read_element(data), 2)
    if version.tag != INTEGER or version.content != bytes([_VERSION]):
        raise MalformedError("it is no PKCS #12 file of version 3")
    kind, content = _content(content_info)
    if kind == SIGNED_DATA:
        raise KeystoreError(
            "The keystore is protected by a signature; write it again with a password."
        )
    if kind != DATA:
        raise MalformedError("it has an unknown kind of content")
    if not rest:
        raise KeystoreError(
            "The keystore has no MAC, so nothing shows that it is intact; write it again with one,"
            " as keytool and openssl do by default."
        )
    digest_info, salt, *iterations = parts(rest[0], 2)
    algorithm, value = parts(digest_info, 2)[:2]
    mac = Mac(
        algorithm=algorithm,
        value=octets(value),
        salt=octets(salt),
        iterations=iterations[0] if iterations else None,
    )
    return octets(content), mac


def contents(authenticated: bytes) -> Iterator[Content]:
    """Yield the SafeContents of a file.

    Raises:
        KeystoreError: one is encrypted to somebody's key.
        MalformedError: the next one cannot be read.
    """
    for content_info in parts(read_element(authenticated), 0):
        kind, content = _content(content_info)
        if kind == DATA:
            yield Content(algorithm=None, value=octets(content))
        elif kind == ENCRYPTED_DATA:
            _, encrypted = parts(content, 2)[:2]
            _, algorithm, ciphertext = parts(encrypted, 3)[:3]
            algorithm_parts(algorithm)
            yield Content(algorithm=algorithm, value=octets(ciphertext))
        elif kind == ENVELOPED_DATA:
            raise KeystoreError(
                "The keystore is encrypted to somebody's key; write it again with a password."
            )
        else:
            raise MalformedError("it has an unknown kind of content")


def bags(safe_contents: bytes) -> Iterator[Bag]:
    """Yield the bags of SafeContents in the clear.

    Raises:
        MalformedError: the next one cannot be read.
    """
    safe = read_element(safe_contents)
    if safe.tag != SEQUENCE or safe.end != len(safe_contents):
        raise MalformedError("its entries cannot be read")
    for bag in safe.children():
        kind, value, *attributes = parts(bag, 2)
        known = _attributes(attributes[0]) if attributes else {}
        yield Bag(
            kind=_oid(kind),
            value=inner(value),
            name=_name(known.get(FRIENDLY_NAME)),
            key_id=_key_id(known.get(LOCAL_KEY_ID)),
            trusted=TRUSTED_KEY_USAGE in known,
        )


def certificate_in(value: Element) -> bytes | None:
    """Return the DER of the certificate in a bag; None if it is of another kind than X.509.

    Raises:
        MalformedError: it cannot be read.
    """
    kind, wrapped = parts(value, 2)[:2]
    return octets(inner(wrapped)) if _oid(kind) == X509_CERTIFICATE else None


def parts(element: Element, least: int) -> list[Element]:
    """Return the elements of a SEQUENCE, which has so many at least.

    Raises:
        MalformedError: it is no such sequence.
    """
    found = list(element.children()) if element.tag == SEQUENCE else []
    if element.tag != SEQUENCE or len(found) < least:
        raise MalformedError("its structure is not that of a PKCS #12 file")
    return found


def inner(element: Element) -> Element:
    """Return what stands under an explicit [0].

    Raises:
        MalformedError: nothing does.
    """
    found = list(islice(element.children(), 1)) if element.tag == CONTEXT_0 else []
    if not found:
        raise MalformedError("its structure is not that of a PKCS #12 file")
    return found[0]


def _content(content_info: Element) -> tuple[str, Element]:
    kind, content = parts(content_info, 2)[:2]
    return _oid(kind), inner(content)


def _attributes(attributes: Element) -> Mapping[str, Element | None]:
    """Return the first value of each attribute."""
    if attributes.tag != SET:
        raise MalformedError("an entry's attributes cannot be read")
    known: dict[str, Element | None] = {}
    for attribute in attributes.children():
        kind, values = parts(attribute, 2)[:2]
        known.setdefault(_oid(kind), next(values.children(), None))
    return known


def _name(value: Element | None) -> str | None:
    # A BMPString; characters outside of the basic plane come as two surrogates.
    return (
        value.content.decode("utf-16-be", errors="replace").strip("\0") or None if value else None
    )


def _key_id(value: Element | None) -> bytes | None:
    return octets(value) if value else None


def _oid(element: Element) -> str:
    if element.tag != OID:
        raise MalformedError("an object identifier is missing")
    return oid_text(element.content)
