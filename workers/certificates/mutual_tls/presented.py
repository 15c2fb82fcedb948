"""Reading which certificate a caller presented from what a listener says in a header. Pure.

Only a header that the listener itself sets may be read: it has to drop what a caller sends under
that name, as the generated snippets do.
"""

import binascii
import re
from base64 import b64decode
from urllib.parse import unquote_to_bytes

from workers.certificates.mutual_tls.decision import PresentedCertificate
from workers.certificates.reading.contents import read_certificates
from workers.errors import InvalidRequestError

_MOST_CHARACTERS = 64 * 1024
_BASE64 = re.compile(r"[A-Za-z0-9+/]+={0,2}", re.ASCII)
_ENVOY_HASH = re.compile(r"(?:^|;)Hash=([0-9a-f]{64})(?=;|$)", re.ASCII)


def read_header(value: str) -> PresentedCertificate | None:
    """Return the certificate that a listener reports, None for an empty value.

    It is what nginx has in ``$ssl_client_escaped_cert``, HAProxy in ``ssl_c_der,base64``, or
    Envoy in ``x-forwarded-client-cert``.

    Raises:
        InvalidRequestError: it is none of these; such a call has to be refused.
    """
    if not value:
        return None
    if len(value) > _MOST_CHARACTERS:
        raise _unreadable()
    if value.startswith("-----BEGIN"):
        return _only_certificate(unquote_to_bytes(value))
    if _BASE64.fullmatch(value):
        try:
            return _only_certificate(b64decode(value, validate=True))
        except binascii.Error:
            raise _unreadable() from None
    # An element for each proxy on the way: with more than one, nobody knows whose word it is.
    hashes = _ENVOY_HASH.findall(value) if "," not in value else []
    if len(hashes) != 1:
        raise _unreadable()
    return PresentedCertificate(bytes.fromhex(hashes[0]))


def _only_certificate(data: bytes) -> PresentedCertificate:
    reading = read_certificates(data, source="the header")
    if len(reading.certificates) != 1 or reading.faults or reading.strangers:
        raise _unreadable()
    return PresentedCertificate(reading.certificates[0].fingerprint)


def _unreadable() -> InvalidRequestError:
    return InvalidRequestError(
        "The header with the client certificate cannot be read; have the listener set it as its"
        " generated snippet does."
    )
