"""A certificate of an uploaded file, as far as a strict reader understands it. Pure."""

import warnings
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from typing import TypeVar

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from workers.certificates.reading.fields import public_key_info, subject_and_issuer
from workers.certificates.reading.found import FoundCertificate
from workers.certificates.signing.names import same_name

_Extension = TypeVar("_Extension", bound=x509.ExtensionType)


@dataclass(frozen=True, eq=False)
class Candidate:
    """A certificate that may stand somewhere in the chain.

    ``certificate`` and ``extensions`` are None where the strict reader refuses them; ``flaw`` says
    so then.
    """

    found: FoundCertificate
    certificate: x509.Certificate | None
    extensions: x509.Extensions | None
    flaw: str | None

    @classmethod
    def of(cls, found: FoundCertificate) -> "Candidate":
        """Read what was found once more, strictly."""
        with warnings.catch_warnings():
            # Of oddities that do not matter here, such as a negative serial number.
            warnings.simplefilter("ignore")
            try:
                certificate = x509.load_der_x509_certificate(found.der)
                _ = certificate.signature_algorithm_oid
            except (ValueError, TypeError, x509.InvalidVersion):
                return cls(found, None, None, "it is not well-formed")
            try:
                extensions = certificate.extensions
            except x509.DuplicateExtension:
                return cls(found, certificate, None, "it has one extension twice")
            except (ValueError, TypeError, x509.UnsupportedGeneralNameType):
                return cls(found, certificate, None, "its extensions are not well-formed")
        return cls(found, certificate, extensions, None)

    @cached_property
    def names(self) -> tuple[bytes, bytes]:
        """Its subject and its issuer, as DER."""
        return subject_and_issuer(self.found.der)

    @cached_property
    def is_self_issued(self) -> bool:
        """Whether it names itself as its issuer."""
        subject, issuer = self.names
        return same_name(subject, issuer)

    @cached_property
    def public_key(self) -> CertificatePublicKeyTypes | None:
        """Its key; None if the library does not know such a one."""
        with suppress(ValueError, TypeError, UnsupportedAlgorithm):
            if self.certificate is not None:
                return self.certificate.public_key()
        return None

    @cached_property
    def key_hashes(self) -> frozenset[bytes]:
        """SHA-256 over its SubjectPublicKeyInfo, as written and as we would write it."""
        return frozenset(self._public_keys)

    def public_key_with(self, key_hash: bytes) -> bytes:
        """Return its SubjectPublicKeyInfo in the form that has that hash."""
        return self._public_keys[key_hash]

    @cached_property
    def _public_keys(self) -> dict[bytes, bytes]:
        written = {public_key_info(self.found.der)}
        if self.public_key is not None:
            written.add(
                self.public_key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
            )
        return {sha256(each).digest(): each for each in written}

    def extension(self, kind: type[_Extension]) -> _Extension | None:
        """Return an extension; None if it has none such."""
        if self.extensions is None:
            return None
        try:
            return self.extensions.get_extension_for_class(kind).value
        except x509.ExtensionNotFound:
            return None

    @property
    def is_ca(self) -> bool:
        """Whether it says that it may sign certificates (RFC 5280 §4.2.1.9)."""
        constraints = self.extension(x509.BasicConstraints)
        return constraints is not None and constraints.ca

    def names_as_issuer(self, issuer: "Candidate") -> bool:
        """Whether its issuer has the name of ``issuer``."""
        return same_name(self.names[1], issuer.names[0])
