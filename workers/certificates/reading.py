"""Reading the certificates out of one file's bytes, whatever its form and name. Pure.

PEM with any text around and any number of blocks, DER, PKCS #7 bundles in either form, and bare
base64: told apart by content alone. One bad entry never stops the rest. Private keys are seen,
never decoded.
"""

import codecs
import re

from workers.certificates.der import Element, MalformedError, read_element
from workers.certificates.fields import read_certificate
from workers.certificates.found import Fault, FileReading, FoundCertificate
from workers.certificates.pem import PemBlock, find_pem_blocks
from workers.certificates.pkcs7 import certificates_in_bundle
from workers.certificates.shapes import Shape, shape_of

MAX_FAULTS_PER_FILE = 1000

_CERTIFICATE_LABELS = ("CERTIFICATE", "X509 CERTIFICATE", "TRUSTED CERTIFICATE")
_BUNDLE_LABELS = ("PKCS7", "PKCS #7 SIGNED DATA", "CMS")
_STRANGER_LABELS = {
    "CERTIFICATE REQUEST": Shape.REQUEST,
    "NEW CERTIFICATE REQUEST": Shape.REQUEST,
    "X509 CRL": Shape.REVOCATION_LIST,
    "PUBLIC KEY": Shape.PUBLIC_KEY,
    "RSA PUBLIC KEY": Shape.PUBLIC_KEY,
}
_WHAT_TO_DO = {
    Shape.REQUEST: "have it signed and import the certificate that comes back",
    Shape.REVOCATION_LIST: "leave it out",
    Shape.PUBLIC_KEY: "import the certificate that holds it",
    Shape.PRIVATE_KEY: "import the certificate that belongs to it",
    Shape.KEYSTORE: "write its certificates out first, with openssl pkcs12 -nokeys -in FILE",
}
_ANY_FORM = "import certificates in PEM, DER or PKCS #7 form"
_JAVA_KEYSTORES = (b"\xfe\xed\xfe\xed", b"\xce\xce\xce\xce")
_BARE_BASE64 = re.compile(r"\s*MI[A-Za-z0-9+/=\s]+", re.ASCII)


def read_certificates(data: bytes, *, source: str) -> FileReading:
    """Read every certificate in ``data``; never raises, every fault is in the result.

    ``source`` names the file in faults and certificates.
    """
    file = _File(source)
    text = _as_text(data)
    if _looks_like_der(data):
        file.read_der(data)
    elif "-----BEGIN " in text or "-----END " in text:
        for block in find_pem_blocks(text):
            if file.is_hopeless():
                break
            file.read_block(block)
    elif _BARE_BASE64.fullmatch(text):
        file.read_block(PemBlock(label="CERTIFICATE", line=1, text=text))
    elif data.startswith(_JAVA_KEYSTORES):
        file.add_stranger(
            "this is a Java keystore",
            "write its certificates out first, with keytool -list -rfc -keystore FILE",
        )
    return file.result()


class _File:
    """What has been found so far."""

    def __init__(self, source: str) -> None:
        self._source = source
        self._entries = 0
        self._certificates: list[FoundCertificate] = []
        self._faults: list[Fault] = []
        self._strangers: list[Fault] = []
        self._holds_private_key = False

    def result(self) -> FileReading:
        if not (self._certificates or self._faults or self._strangers):
            if self._holds_private_key:
                self._add_shape(Shape.PRIVATE_KEY)
            else:
                self.add_stranger("there is no certificate in it", _ANY_FORM)
        if self.is_hopeless():
            self._add_fault("there are too many faults in it to go on", _ANY_FORM, entry=False)
        return FileReading(
            certificates=tuple(self._certificates),
            faults=tuple(self._faults),
            strangers=tuple(self._strangers),
            holds_private_key=self._holds_private_key,
        )

    def is_hopeless(self) -> bool:
        return len(self._faults) + len(self._strangers) >= MAX_FAULTS_PER_FILE

    def read_block(self, block: PemBlock) -> None:
        label = block.label
        if "PRIVATE KEY" in label:
            self._holds_private_key = True
        elif label in _STRANGER_LABELS:
            self._add_shape(_STRANGER_LABELS[label], block.line)
        elif label in _CERTIFICATE_LABELS or label in _BUNDLE_LABELS:
            try:
                element = read_element(block.decode())
            except MalformedError as error:
                self._add_error(error, block.line)
            else:
                self._read_element(element, block.line)
        elif not label.endswith("PARAMETERS"):  # those of a key beside them are no news
            name = "".join(each if each.isprintable() else "·" for each in label)
            self.add_stranger(f"this is no certificate but “{name}”", _ANY_FORM, block.line)

    def read_der(self, data: bytes) -> None:
        try:
            element = read_element(data)
        except MalformedError as error:
            # Anything may begin like DER; a certificate, and what holds some, goes on like this.
            if data[2 + (data[1] & 0x7F) :].startswith((b"\x30", b"\x06\x09")):
                self._add_error(error)
            return
        self._read_element(element)
        while data[element.end :].strip(b"\0\r\n\x1a "):
            try:
                element = read_element(data, element.end)
            except MalformedError:
                element = element._replace(tag=0, end=len(data))
            if shape_of(element) is not Shape.CERTIFICATE:
                self._add_fault(
                    "what follows is something other than a certificate", _ANY_FORM, entry=True
                )
                return
            self._read_element(element)

    def add_stranger(self, what: str, how_to_fix: str, line: int | None = None) -> None:
        self._entries += 1
        self._strangers.append(
            Fault(
                source=self._source,
                position=self._entries if line else None,
                line=line,
                what=what,
                how_to_fix=how_to_fix,
            )
        )

    def _read_element(self, element: Element, line: int | None = None) -> None:
        shape = shape_of(element)
        if shape is Shape.CERTIFICATE:
            self._read_certificate(element, line)
        elif shape is Shape.BUNDLE:
            self._read_bundle(element, line)
        elif shape is Shape.PRIVATE_KEY:
            self._holds_private_key = True
        elif line is None:
            self._add_shape(shape)
        else:
            # Its label promised a certificate: no stranger but a fault, in a folder as well.
            self._add_fault(f"this is {shape}", _WHAT_TO_DO.get(shape, _ANY_FORM), line)

    def _read_bundle(self, bundle: Element, line: int | None) -> None:
        before = self._entries
        try:
            for entry in certificates_in_bundle(bundle):
                if self.is_hopeless():
                    return
                self._read_certificate(entry, line)
        except MalformedError as error:
            self._add_error(error, line)
        if self._entries == before:
            self._add_fault("the PKCS #7 bundle holds no certificates", "export it with them", line)

    def _read_certificate(self, element: Element, line: int | None) -> None:
        try:
            certificate = read_certificate(
                element.encoded, source=self._source, position=self._entries + 1, line=line
            )
        except MalformedError as error:
            self._add_error(error, line)
        else:
            self._entries += 1
            self._certificates.append(certificate)

    def _add_shape(self, shape: Shape, line: int | None = None) -> None:
        self.add_stranger(f"this is {shape}", _WHAT_TO_DO.get(shape, _ANY_FORM), line)

    def _add_error(self, error: MalformedError, line: int | None = None) -> None:
        self._add_fault(f"the certificate is broken: {error}", error.how_to_fix, line)

    def _add_fault(
        self, what: str, how_to_fix: str, line: int | None = None, *, entry: bool = True
    ) -> None:
        self._entries += entry
        self._faults.append(
            Fault(
                source=self._source,
                position=self._entries if entry else None,
                line=line,
                what=what,
                how_to_fix=how_to_fix,
            )
        )


def _as_text(data: bytes) -> str:
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):  # as PowerShell writes
        text = data.decode("utf-16", errors="replace")
    else:
        # Every byte is a character: no encoding of the text around can be wrong.
        text = data.removeprefix(codecs.BOM_UTF8).decode("latin-1")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _looks_like_der(data: bytes) -> bool:
    """Tell a SEQUENCE with a long length from text: no text has such a second byte."""
    return len(data) > 2 and data[0] == 0x30 and 0x80 <= data[1] <= 0x84  # noqa: PLR2004
