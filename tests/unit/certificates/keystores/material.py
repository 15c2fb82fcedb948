"""Keys of every type with real chains, to put into keystores."""

from datetime import UTC, datetime, timedelta
from functools import cache
from ipaddress import ip_address
from typing import TypeAlias

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_der_private_key,
)
from cryptography.x509.oid import NameOID

from workers.certificates.keystores.entries import KeyEntry, TrustedEntry
from workers.certificates.private_keys import PrivateKey

PASSWORD = "correct-horse-battery"
KEY_TYPES = ("rsa2048", "p256", "ed25519")


def pkcs8(key: PrivateKey) -> bytes:
    """Encode a private key."""
    return key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())


def same_form(private_key: bytes) -> bytes:
    """Encode a key again: Java and openssl differ in what PKCS #8 leaves open."""
    key = load_der_private_key(private_key, None, unsafe_skip_rsa_key_validation=True)
    assert isinstance(
        key, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey
    )
    return pkcs8(key)


@cache
def new_key(key_type: str) -> PrivateKey:
    """Make a key, once in a run for each type."""
    if key_type == "rsa2048":
        return rsa.generate_private_key(65537, 2048)
    if key_type == "ed25519":
        return ed25519.Ed25519PrivateKey.generate()
    return ec.generate_private_key(ec.SECP256R1())


Authority: TypeAlias = tuple[x509.Certificate, PrivateKey]


@cache
def root() -> Authority:
    """Make the authority that is to be trusted."""
    key = ec.generate_private_key(ec.SECP256R1())
    return sign("Root", key, issuer=None, is_authority=True), key


@cache
def intermediate() -> Authority:
    """Make the authority that issues."""
    key = ec.generate_private_key(ec.SECP256R1())
    return sign("Intermediate", key, issuer=root(), is_authority=True), key


def sign(
    name: str, key: PrivateKey, *, issuer: Authority | None, is_authority: bool = False
) -> x509.Certificate:
    """Make a certificate for ``localhost``, or for an authority."""
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    start = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=1)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer[0].subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(start + timedelta(days=30))
        .add_extension(x509.BasicConstraints(ca=is_authority, path_length=None), critical=True)
    )
    if not is_authority:
        names = [x509.DNSName("localhost"), x509.IPAddress(ip_address("127.0.0.1"))]
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    signer = issuer[1] if issuer else key
    digest = None if isinstance(signer, ed25519.Ed25519PrivateKey) else hashes.SHA256()
    return builder.sign(signer, digest)


def der(certificate: x509.Certificate) -> bytes:
    """Encode a certificate."""
    return certificate.public_bytes(Encoding.DER)


@cache
def key_entry(key_type: str) -> KeyEntry:
    """Make a key with a chain of three: leaf, intermediate, root."""
    key = new_key(key_type)
    leaf = sign(key_type, key, issuer=intermediate())
    chain = tuple(der(each) for each in (leaf, intermediate()[0], root()[0]))
    return KeyEntry(alias=key_type, private_key=pkcs8(key), chain=chain)


@cache
def trusted_entry() -> TrustedEntry:
    """Return the root as a certificate to be trusted."""
    return TrustedEntry(alias="root", certificate=der(root()[0]))
