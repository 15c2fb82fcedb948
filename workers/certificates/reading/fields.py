"""The fields of one certificate (RFC 5280 §4.1) that keywright keeps. Pure.

Read by ourselves, and no more than is needed: strict readers refuse a whole certificate for an
odd extension, a version 4, a serial that is not minimal or an unknown key, and a certificate that
is in use somewhere ends whether it is well-formed or not. Signatures are not looked at.
"""

import hashlib
from itertools import islice

from workers.certificates.reading.alternative_names import first_alternative_name
from workers.certificates.reading.der import (
    CONTEXT_0,
    CONTEXT_3,
    INTEGER,
    SEQUENCE,
    Element,
    MalformedError,
    read_element,
)
from workers.certificates.reading.distinguished_names import read_name
from workers.certificates.reading.found import FoundCertificate
from workers.certificates.reading.public_keys import describe_public_key
from workers.certificates.reading.validity import read_validity

MAX_CERTIFICATE_BYTES = 256 * 1024
# RFC 5280 §4.1.2.2 allows 20; some authorities went over it.
_MAX_SERIAL_BYTES = 64


def read_certificate(
    der: bytes, *, source: str, position: int, line: int | None = None
) -> FoundCertificate:
    """Read one certificate; ``der`` is exactly its bytes.

    Raises:
        MalformedError: something that keywright needs cannot be read; the text names it.
    """
    if len(der) > MAX_CERTIFICATE_BYTES:
        raise MalformedError(f"it is larger than {MAX_CERTIFICATE_BYTES // 1024} KiB")
    signed = _signed_part(der)
    serial, issuer_name, validity, subject_name, key_info = _parts_needed(signed)
    not_before, not_after = read_validity(validity)
    issuer = read_name(issuer_name)
    subject = read_name(subject_name)
    key_algorithm, key_size = describe_public_key(key_info)
    serial_text = _read_serial(serial)
    return FoundCertificate(
        source=source,
        position=position,
        line=line,
        der=der,
        not_before=not_before,
        not_after=not_after,
        serial=serial_text,
        fingerprint=hashlib.sha256(der).digest(),
        subject=subject.text,
        issuer=issuer.text,
        key_algorithm=key_algorithm,
        key_size=key_size,
        common_name=subject.common_name,
        # A certificate with names in its extension alone need not have any in its subject.
        display_name=subject.common_name
        or first_alternative_name(_extensions(signed))
        or subject.first_value
        or f"serial {serial_text}",
        is_self_issued=issuer_name.encoded == subject_name.encoded,
    )


def subject_and_issuer(der: bytes) -> tuple[bytes, bytes]:
    """Return both names of a certificate that was read before, as DER."""
    _, issuer, _, subject, _ = _parts_needed(_signed_part(der))
    return subject.encoded, issuer.encoded


def public_key_info(der: bytes) -> bytes:
    """Return the SubjectPublicKeyInfo of a certificate that was read before, as DER."""
    return _parts_needed(_signed_part(der))[4].encoded


def _signed_part(der: bytes) -> Element:
    signed = next(read_element(der).children(), None)
    if signed is None:
        raise MalformedError("it is empty")
    return signed


def _parts_needed(signed: Element) -> tuple[Element, Element, Element, Element, Element]:
    """Return serial, issuer, validity, subject and key; what follows is left unread."""
    parts = signed.children()
    first = next(parts, None)
    serial = next(parts, None) if first and first.tag == CONTEXT_0 else first
    names = list(islice(parts, 5))
    if serial is None or [each.tag for each in names] != [SEQUENCE] * 5:
        raise MalformedError("it lacks a serial number, name, date or key")
    _, issuer, validity, subject, key_info = names
    return serial, issuer, validity, subject, key_info


def _read_serial(serial: Element) -> str:
    if serial.tag != INTEGER or not 0 < len(serial.content) <= _MAX_SERIAL_BYTES:
        raise MalformedError("its serial number cannot be read")
    number = int.from_bytes(serial.content, "big", signed=True)
    digits = f"{abs(number):x}"
    return ("-" if number < 0 else "") + digits.zfill(len(digits) + len(digits) % 2)


def _extensions(signed: Element) -> Element | None:
    try:
        return next((part for part in signed.children() if part.tag == CONTEXT_3), None)
    except MalformedError:
        return None
