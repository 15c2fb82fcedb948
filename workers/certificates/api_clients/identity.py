"""The certificate that a client presents, with its chain and, where it may leave, its key. Pure."""

from dataclasses import dataclass, field
from datetime import datetime
from ssl import DER_cert_to_PEM_cert

from cryptography import x509
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from workers.certificates.private_keys import load_own_key
from workers.certificates.reading.fields import subject_and_issuer
from workers.errors import InvalidRequestError


@dataclass(frozen=True, kw_only=True)
class Identity:
    """A certificate version; DER throughout, ``private_key`` PKCS #8.

    ``not_after`` is the earliest end in the chain.
    """

    unique_name: str
    version_number: int
    not_after: datetime
    certificate: bytes
    chain: tuple[bytes, ...]
    private_key: bytes | None = field(default=None, repr=False)

    @property
    def presented(self) -> tuple[bytes, ...]:
        """The leaf and its issuers as they are sent: without the root, which the far end has."""
        between = (der for der in self.chain if len(set(subject_and_issuer(der))) > 1)
        return (self.certificate, *between)

    @property
    def presented_pem(self) -> bytes:
        """The same as PEM."""
        return "".join(DER_cert_to_PEM_cert(der) for der in self.presented).encode("ascii")


def private_key_pem(private_key: bytes) -> bytes:
    """Return a private key (PKCS #8 DER) as PEM, not encrypted."""
    return load_own_key(private_key).private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
    )


def read_private_key(pem: bytes, certificate: bytes) -> bytes:
    """Return a client's own private key as PKCS #8 DER; ``certificate`` (DER) is what it is for.

    Raises:
        InvalidRequestError: it is none, has a passphrase, or belongs to another certificate.
    """
    try:
        key = load_pem_private_key(pem, password=None)
        public = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        encoded = key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    except TypeError:
        raise InvalidRequestError(
            "--key-file: the private key has a passphrase; name a file of yours without one."
        ) from None
    except ValueError:
        raise InvalidRequestError("--key-file: it is no private key in PEM form.") from None
    certified = x509.load_der_x509_certificate(certificate).public_key()
    if public != certified.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo):
        raise InvalidRequestError("--key-file: the private key belongs to another certificate.")
    return encoded
