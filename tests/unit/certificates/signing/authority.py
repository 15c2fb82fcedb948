"""Certification authorities that issue whatever a test asks for, right or wrong."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache, cached_property
from hashlib import sha256
from typing import TypeAlias

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import (
    SECP256R1,
    EllipticCurvePrivateKey,
    generate_private_key,
)
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import AuthorityInformationAccessOID, NameOID

DAY = timedelta(days=1)
NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
BEGINNING = NOW - 10 * DAY
SERVER, CLIENT = "1.3.6.1.5.5.7.3.1", "1.3.6.1.5.5.7.3.2"

Key: TypeAlias = EllipticCurvePrivateKey | RSAPrivateKey | Ed25519PrivateKey


@cache
def key(label: str) -> EllipticCurvePrivateKey:  # noqa: ARG001  # what the cache goes by
    """Return the P-256 key of that label, the same throughout a run."""
    return generate_private_key(SECP256R1())


def name(common_name: str) -> x509.Name:
    """Make a name that has a common name only."""
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


@dataclass(frozen=True)
class Issued:
    """A certificate with the key that it is for."""

    certificate: x509.Certificate
    key: Key

    @cached_property
    def der(self) -> bytes:
        """The certificate as DER."""
        return self.certificate.public_bytes(Encoding.DER)

    @cached_property
    def pem(self) -> bytes:
        """The certificate as PEM."""
        return self.certificate.public_bytes(Encoding.PEM)

    @property
    def public_key(self) -> bytes:
        """Its SubjectPublicKeyInfo."""
        return public_bytes(self.key)


def public_bytes(private_key: Key) -> bytes:
    """Return the SubjectPublicKeyInfo that belongs to a private key."""
    return private_key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def key_hash(private_key: Key) -> bytes:
    """Return SHA-256 over the SubjectPublicKeyInfo."""
    return sha256(public_bytes(private_key)).digest()


def key_usage(**given: bool) -> x509.KeyUsage:
    """Make a key usage that has what is given, and nothing else."""
    usages = (
        *("digital_signature", "content_commitment", "key_encipherment", "data_encipherment"),
        *("key_agreement", "key_cert_sign", "crl_sign", "encipher_only", "decipher_only"),
    )
    return x509.KeyUsage(**dict.fromkeys(usages, False) | given)


def extended(*usages: str) -> x509.ExtendedKeyUsage:
    """Make an extended key usage."""
    return x509.ExtendedKeyUsage([x509.ObjectIdentifier(each) for each in usages])


def issuer_at(url: str) -> x509.AuthorityInformationAccess:
    """Say where the issuer's certificate is."""
    place = x509.UniformResourceIdentifier(url)
    kind = AuthorityInformationAccessOID.CA_ISSUERS
    return x509.AuthorityInformationAccess([x509.AccessDescription(kind, place)])


def dns(*hosts: str) -> x509.SubjectAlternativeName:
    """Make alternative names of hosts."""
    return x509.SubjectAlternativeName([x509.DNSName(each) for each in hosts])


def issue(
    common_name: str,
    *extensions: x509.ExtensionType,
    issuer: Issued | None = None,
    signer: Key | None = None,
    own_key: Key | None = None,
    subject_key: object = None,
    ca: bool = False,
    path_length: int | None = None,
    not_before: datetime = BEGINNING,
    not_after: datetime = NOW + 90 * DAY,
    critical: Sequence[type[x509.ExtensionType]] = (),
) -> Issued:
    """Issue a certificate; without ``issuer`` it signs itself, ``signer`` signs in its stead.

    ``subject_key`` is a public key that it is for, of a kind that has no place in ``own_key``.
    """
    private_key = own_key or key(common_name)
    issuer_name = issuer.certificate.subject if issuer else name(common_name)
    builder = (
        x509.CertificateBuilder()
        .subject_name(name(common_name))
        .issuer_name(issuer_name)
        .public_key(subject_key or private_key.public_key())  # type: ignore[arg-type]
        .serial_number(x509.random_serial_number())
        .not_valid_before(not_before)
        .not_valid_after(not_after)
    )
    if ca:
        basic = x509.BasicConstraints(ca=True, path_length=path_length)
        builder = builder.add_extension(basic, critical=True)
    for each in extensions:
        builder = builder.add_extension(each, critical=type(each) in critical)
    signing_key = signer or (issuer.key if issuer else private_key)
    digest = None if isinstance(signing_key, Ed25519PrivateKey) else SHA256()
    return Issued(builder.sign(signing_key, digest), private_key)


ROOT = issue("Root", ca=True, not_after=NOW + 3650 * DAY)
MIDDLE = issue("Middle", issuer=ROOT, ca=True, path_length=1, not_after=NOW + 1000 * DAY)
ISSUING = issue("Issuing", issuer=MIDDLE, ca=True, path_length=0, not_after=NOW + 500 * DAY)
LEAF = issue("leaf.example.org", issuer=ISSUING)
CHAIN = (LEAF, ISSUING, MIDDLE, ROOT)
