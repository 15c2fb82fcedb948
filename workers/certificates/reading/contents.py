"""Reading the certificates out of one file's bytes, whatever its form and name. Pure.

PEM with any text around and any number of blocks, DER, PKCS #7 bundles in either form, and bare
base64: told apart by content alone. One bad entry never stops the rest. Private keys are seen,
never decoded.
"""

import binascii
import codecs
import re

from workers.certificates.reading.der import SEQUENCE, Element, MalformedError, read_element
from workers.certificates.reading.entries import ANY_FORM, Entries
from workers.certificates.reading.found import FileReading
from workers.certificates.reading.pem import PemBlock, find_pem_blocks
from workers.certificates.reading.pkcs7 import certificates_in_bundle
from workers.certificates.reading.shapes import Shape, shape_of

_CERTIFICATE_LABELS = ("CERTIFICATE", "X509 CERTIFICATE", "TRUSTED CERTIFICATE")
_BUNDLE_LABELS = ("PKCS7", "PKCS #7 SIGNED DATA", "CMS")
_STRANGER_LABELS = {
    "CERTIFICATE REQUEST": Shape.REQUEST,
    "NEW CERTIFICATE REQUEST": Shape.REQUEST,
    "X509 CRL": Shape.REVOCATION_LIST,
    "PUBLIC KEY": Shape.PUBLIC_KEY,
    "RSA PUBLIC KEY": Shape.PUBLIC_KEY,
}
_PADDING = re.compile(rb"[\0\r\n\x1a ]*\Z")
_JAVA_KEYSTORES = (b"\xfe\xed\xfe\xed", b"\xce\xce\xce\xce")  # JKS, JCEKS


def read_certificates(data: bytes, *, source: str) -> FileReading:
    """Read every certificate in ``data``; never raises, every fault is in the result.

    ``source`` names the file in faults and certificates.
    """
    entries = Entries(source)
    text = _as_text(data)
    der = data if _looks_like_der(data) else _from_bare_base64(text)
    if der is not None:
        _read_der(entries, der)
    elif data.startswith(_JAVA_KEYSTORES):
        entries.add_stranger(Shape.JAVA_KEYSTORE)
    else:
        for block in find_pem_blocks(text):
            if entries.are_hopeless:
                break
            _read_block(entries, block)
    return entries.result()


def _read_block(entries: Entries, block: PemBlock) -> None:
    label, line = block.label, block.line
    if "PRIVATE KEY" in label:
        entries.add_private_key()
    elif label in _CERTIFICATE_LABELS or label in _BUNDLE_LABELS:
        try:
            # What a TRUSTED CERTIFICATE says after the certificate is left unread.
            element = read_element(block.decode())
        except MalformedError as error:
            entries.add_broken(error, line)
        else:
            _read_element(entries, element, line)
    elif label in _STRANGER_LABELS:
        entries.add_stranger(_STRANGER_LABELS[label], line)
    elif not label.endswith("PARAMETERS"):  # those of a key are no news beside it
        name = "".join(each if each.isprintable() else "·" for each in label)
        entries.add_stranger(f"a block labelled “{name}”", line)


def _read_der(entries: Entries, data: bytes) -> None:
    at = 0
    while not _PADDING.match(data, at):
        try:
            element = read_element(data, at)
        except MalformedError as error:
            # Anything may begin like DER; a certificate and what holds some go on like this.
            if at == 0 and _content(data).startswith((b"\x30", b"\x06\x09")):
                entries.add_broken(error)
                return
            element = Element(data, 0, at, at, len(data), len(data))
        if at > 0 and shape_of(element) is not Shape.CERTIFICATE:
            entries.add_fault("what follows here is no certificate", ANY_FORM)
            return
        _read_element(entries, element)
        at = element.end


def _read_element(entries: Entries, element: Element, line: int | None = None) -> None:
    shape = shape_of(element)
    if shape is Shape.CERTIFICATE:
        entries.add_certificate(element.encoded, line)
    elif shape is Shape.BUNDLE:
        _read_bundle(entries, element, line)
    elif shape is Shape.PRIVATE_KEY:
        entries.add_private_key()
    elif line is None:
        entries.add_stranger(shape)
    else:
        entries.add_wrong(shape, line)


def _read_bundle(entries: Entries, bundle: Element, line: int | None) -> None:
    is_empty = True
    try:
        for certificate in certificates_in_bundle(bundle):
            is_empty = False
            if entries.are_hopeless:
                return
            entries.add_certificate(certificate.encoded, line)
    except MalformedError as error:
        entries.add_broken(error, line)
    else:
        if is_empty:
            entries.add_fault(
                "the PKCS #7 bundle holds no certificates", "export it with them", line
            )


def _as_text(data: bytes) -> str:
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):  # as PowerShell writes
        text = data.decode("utf-16", errors="replace")
    else:
        # Every byte is a character: no encoding of the text around can be wrong.
        text = data.removeprefix(codecs.BOM_UTF8).decode("latin-1")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _looks_like_der(data: bytes) -> bool:
    """Tell a SEQUENCE from text: no text has a second byte that begins a long length."""
    if len(data) <= 2 or data[0] != SEQUENCE:  # noqa: PLR2004  # tag and length
        return False
    return 0x80 <= data[1] <= 0x84 or data[1] == len(data) - 2  # noqa: PLR2004  # X.690 §8.1.3.5


def _content(data: bytes) -> bytes:
    return data[2 + (data[1] & 0x7F) :]


def _from_bare_base64(text: str) -> bytes | None:
    """Return the DER that ``text`` is the base64 of, without any -----BEGIN line."""
    if not re.fullmatch(r"\s*MI[A-Za-z0-9+/=\s]+", text, re.ASCII):
        return None
    try:
        data = binascii.a2b_base64("".join(text.split()), strict_mode=True)
    except binascii.Error:
        return None
    return data if _looks_like_der(data) else None
