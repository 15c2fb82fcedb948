"""Reading an uploaded file, which has to be PEM and may hold nothing but certificates. Pure."""

import re

from workers.certificates.mutual_tls.findings import UploadFault
from workers.certificates.reading.contents import read_certificates
from workers.certificates.reading.found import FoundCertificate

MOST_BYTES = 1024 * 1024  # rule 20

_BEGIN = re.compile(rb"-----BEGIN (?:X509 |TRUSTED )?CERTIFICATE-----")


def read_pem(
    data: bytes, *, source: str
) -> tuple[tuple[FoundCertificate, ...], tuple[UploadFault, ...]]:
    """Return the certificates of a PEM file (rule 32), and everything that is wrong with the file.

    ``source`` names it in faults.
    """
    if len(data) > MOST_BYTES:
        return (), (
            _fault(
                source,
                "too_large",
                f"it is larger than {MOST_BYTES // 1024} KiB",
                "upload one certificate with its issuers",
            ),
        )
    reading = read_certificates(data, source=source)
    faults = [UploadFault.of(fault) for fault in (*reading.faults, *reading.strangers)]
    if not _BEGIN.search(data):
        faults = [
            _fault(
                source,
                "not_pem",
                "this is no PEM file with certificates",
                "write it as PEM: openssl x509 -inform DER -in FILE, or openssl pkcs7 -print_certs",
            )
        ]
        return (), tuple(faults)
    if reading.holds_private_key:
        faults.append(
            _fault(
                source,
                "private_key",
                "it holds a private key, which nobody but the client may have",
                "upload the certificates alone, and have a new key made if others saw this file",
            )
        )
    return reading.certificates, tuple(faults)


def _fault(source: str, code: str, what: str, how_to_fix: str) -> UploadFault:
    return UploadFault(code=code, source=source, what=what, how_to_fix=how_to_fix)
