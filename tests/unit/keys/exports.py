"""What the tests of exports share: one key, whom it belongs to, and files that hold it."""

from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key
from cryptography.x509.oid import NameOID

from workers.keys.cleartext_key_material import CleartextKey
from workers.keys.export_file import ExportedKey
from workers.keys.export_sealing import (
    ScryptCost,
    describe,
    seal_to_certificate,
    seal_with_passphrase,
)
from workers.keys.rsa_keys import read_recipient

VECTORS = Path(__file__).parent / "vectors"
NOW = datetime(2026, 11, 24, 12, 30, 15, tzinfo=UTC)
PASSPHRASE = "correct horse battery stapleß"
KEY = CleartextKey(bytes(range(32)))
SALT = bytes(range(16))
NONCE = bytes(range(12))
EPHEMERAL_KEY = bytes(range(100, 132))
CHEAP = ScryptCost(n=2**4)


def about(key: CleartextKey = KEY, *, organization_id: int = 7, key_number: int = 3) -> ExportedKey:
    """Say which key it is."""
    return describe(
        key,
        organization_id=organization_id,
        key_number=key_number,
        created_at=datetime(2026, 1, 2, 3, 4, 5, 678, tzinfo=UTC),
        exported_at=NOW,
    )


def with_passphrase(cost: ScryptCost = CHEAP) -> str:
    """Return a file that opens with the passphrase."""
    return seal_with_passphrase(KEY, about(), PASSPHRASE, salt=SALT, nonce=NONCE, cost=cost)


@cache
def to_certificate() -> str:
    """Return a file that opens with the private key among the vectors."""
    recipient = read_recipient(certificate_of(private_key()), now=NOW)
    return seal_to_certificate(KEY, about(), recipient, ephemeral_key=EPHEMERAL_KEY)


@cache
def private_key() -> rsa.RSAPrivateKey:
    """Return the private key among the vectors. It protects nothing."""
    encoded = (VECTORS / "private-key.pem").read_bytes()
    loaded = load_pem_private_key(encoded, None)
    assert isinstance(loaded, rsa.RSAPrivateKey)
    return loaded


def certificate_of(
    key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey,
    *,
    until: datetime = NOW + timedelta(days=365),
    encoding: Encoding = Encoding.PEM,
) -> bytes:
    """Return a self-signed certificate for a key."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Key custodian")])
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(until - timedelta(days=730))
        .not_valid_after(until)
        .sign(key, SHA256())
        .public_bytes(encoding)
    )
