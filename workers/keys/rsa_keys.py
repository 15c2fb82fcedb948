"""RSA keys that people hand over: to whom a key is sealed, and with what it is opened. Pure."""

from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_der_private_key,
    load_pem_private_key,
)
from cryptography.x509 import load_der_x509_certificate, load_pem_x509_certificate

from workers.errors import InvalidRequestError

SMALLEST_BITS = 3072
LARGEST_BITS = 8192

_PEM = b"-----BEGIN"


@dataclass(frozen=True)
class Recipient:
    """The holder of an RSA private key, to whom something is sealed."""

    public_key: RSAPublicKey

    @property
    def identifier(self) -> bytes:
        """SHA-256 over the SubjectPublicKeyInfo."""
        encoded = self.public_key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        return sha256(encoded).digest()


def read_recipient(certificate: bytes, *, now: datetime) -> Recipient:
    """Return whom a certificate (PEM or DER) names, if a key may be sealed to it.

    Raises:
        InvalidRequestError: it is no certificate, holds no RSA key, one of a size that is not
            taken, or is not valid at ``now``.
    """
    load = load_pem_x509_certificate if _PEM in certificate else load_der_x509_certificate
    try:
        loaded = load(certificate)
        public_key = loaded.public_key()
    except (ValueError, UnsupportedAlgorithm):
        raise InvalidRequestError(
            "certificate: the file holds no X.509 certificate that can be read, in PEM or DER."
        ) from None
    if not isinstance(public_key, RSAPublicKey):
        raise InvalidRequestError(
            "certificate: its key is not RSA; keys are exported to RSA certificates, best of"
            " 4096 bits."
        )
    if not SMALLEST_BITS <= public_key.key_size <= LARGEST_BITS:
        raise InvalidRequestError(
            f"certificate: its RSA key has {public_key.key_size} bits; use one of"
            f" {SMALLEST_BITS} to {LARGEST_BITS} bits, best of 4096."
        )
    if not loaded.not_valid_before_utc <= now <= loaded.not_valid_after_utc:
        raise InvalidRequestError(
            f"certificate: it is valid from {loaded.not_valid_before_utc:%Y-%m-%d} to"
            f" {loaded.not_valid_after_utc:%Y-%m-%d}, which is not now; use one that is."
        )
    return Recipient(public_key)


def read_private_key(encoded: bytes, passphrase: str | None = None) -> RSAPrivateKey:
    """Read an RSA private key (PEM or DER); ``passphrase`` opens it where it is encrypted itself.

    Raises:
        InvalidRequestError: it is none, or does not open.
    """
    password = None if passphrase is None else passphrase.encode()
    load = load_pem_private_key if _PEM in encoded else load_der_private_key
    try:
        key = load(encoded, password)
    except TypeError:
        # How the library says that a password is missing, or was given where none is needed.
        raise InvalidRequestError(
            "private key: it is encrypted; name the file with its passphrase (--passphrase-file)."
            if passphrase is None
            else "private key: it is not encrypted; leave its passphrase out."
        ) from None
    except (ValueError, UnsupportedAlgorithm):
        raise InvalidRequestError(
            "private key: the file holds none that can be read, in PEM or DER, or its passphrase"
            " is wrong."
        ) from None
    if not isinstance(key, RSAPrivateKey):
        raise InvalidRequestError("private key: it is not an RSA key.")
    return key
