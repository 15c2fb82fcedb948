"""Telling a keystore's format by its content; names and endings lie. Pure."""

import codecs
import re

from workers.certificates.keystores.entries import Format
from workers.certificates.keystores.errors import KeystoreError
from workers.certificates.reading.der import MalformedError, read_element
from workers.certificates.reading.shapes import Shape, shape_of

_JKS, _JCEKS = b"\xfe\xed\xfe\xed", b"\xce\xce\xce\xce"
_SEQUENCE = b"\x30"
_UTF_16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_REMEDIES = {
    Shape.CERTIFICATE: "a single certificate is uploaded as such, without a keystore",
    Shape.BUNDLE: "a bundle of certificates is uploaded as such, without a keystore",
    Shape.PRIVATE_KEY: "put it into a PKCS #12 file together with its certificates",
}
_ANY_REMEDY = "give a JKS, JCEKS, PKCS #12 or PEM file"


def sniff_format(data: bytes) -> Format:
    """Return the format of a keystore.

    Raises:
        KeystoreError: it is none that can be read; the text says what it is instead.
    """
    if not data:
        raise KeystoreError("The keystore is empty; give the whole file.")
    if data.startswith(_JKS):
        return "jks"
    if data.startswith(_JCEKS):
        return "jceks"
    if data.startswith(_SEQUENCE) and _looks_like_der(data):
        return _der_format(data)
    if data.startswith(_UTF_16) or re.search(rb"-----(BEGIN|END) ", data):
        return "pem"
    raise KeystoreError(f"This is no keystore of a known format; {_ANY_REMEDY}.")


def as_text(data: bytes) -> str:
    """Return the text of a PEM file, its lines ending in LF, in whatever encoding it came."""
    if data.startswith(_UTF_16):  # as PowerShell writes
        text = data.decode("utf-16", errors="replace")
    else:
        text = data.removeprefix(codecs.BOM_UTF8).decode("latin-1")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _looks_like_der(data: bytes) -> bool:
    # No text has a second byte that begins a long length; no keystore is short.
    return len(data) > 2 and data[1] >= 0x80  # noqa: PLR2004  # X.690 §8.1.3.5


def _der_format(data: bytes) -> Format:
    try:
        shape = shape_of(read_element(data))
    except MalformedError as error:
        raise KeystoreError(
            f"The keystore is damaged: {error}; copy it again as a whole."
        ) from error
    if shape is Shape.KEYSTORE:
        return "pkcs12"
    what = shape if shape is not Shape.UNKNOWN else "no keystore of a known format"
    raise KeystoreError(f"This is {what}; {_REMEDIES.get(shape, _ANY_REMEDY)}.")
