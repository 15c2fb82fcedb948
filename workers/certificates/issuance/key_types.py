"""The key types that certificates are made with, and their key pairs: rule 5. Pure."""

from typing import get_args

from cryptography.hazmat.primitives.asymmetric.ec import (
    SECP256R1,
    SECP384R1,
    EllipticCurvePrivateKey,
    EllipticCurvePublicKey,
    generate_private_key,
)
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key as generate_rsa_key
from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes
from cryptography.hazmat.primitives.hashes import SHA256, SHA384
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from workers.certificates.private_keys import PrivateKey
from workers.contract.certificates import KeyType

KEY_TYPES: tuple[KeyType, ...] = get_args(KeyType)
RSA_KEY_TYPES: tuple[KeyType, ...] = ("RSA-2048", "RSA-3072", "RSA-4096")

_DESCRIPTIONS: dict[KeyType, tuple[str, int | None]] = {
    "RSA-2048": ("RSA", 2048),
    "RSA-3072": ("RSA", 3072),
    "RSA-4096": ("RSA", 4096),
    "P-256": ("EC P-256", None),
    "P-384": ("EC P-384", None),
    "Ed25519": ("Ed25519", None),
}


def generate_key(key_type: KeyType) -> PrivateKey:
    """Return a new private key; an RSA one takes its time, during which other threads go on."""
    match key_type:
        case "P-256":
            return generate_private_key(SECP256R1())
        case "P-384":
            return generate_private_key(SECP384R1())
        case "Ed25519":
            return Ed25519PrivateKey.generate()
        case _:
            return generate_rsa_key(65537, rsa_bits(key_type))


def describe(key_type: KeyType) -> tuple[str, int | None]:
    """Return algorithm and bits as a certificate read from a file has them."""
    return _DESCRIPTIONS[key_type]


def rsa_bits(key_type: KeyType) -> int:
    """Return the size of an RSA key type."""
    return int(key_type.removeprefix("RSA-"))


def key_type_of(key: PublicKeyTypes) -> KeyType | None:
    """Return the key type of a public key; None where it is none of ours."""
    match key:
        case RSAPublicKey():
            return next((each for each in RSA_KEY_TYPES if rsa_bits(each) == key.key_size), None)
        case EllipticCurvePublicKey(curve=SECP256R1()):
            return "P-256"
        case EllipticCurvePublicKey(curve=SECP384R1()):
            return "P-384"
        case Ed25519PublicKey():
            return "Ed25519"
        case _:
            return None


def signature_hash(key: PrivateKey) -> SHA256 | SHA384 | None:
    """Return what a key signs certificates with; None where the algorithm says it (RFC 8410)."""
    if isinstance(key, Ed25519PrivateKey):
        return None
    is_p384 = isinstance(key, EllipticCurvePrivateKey) and isinstance(key.curve, SECP384R1)
    return SHA384() if is_p384 else SHA256()


def private_der(key: PrivateKey) -> bytes:
    """Return PKCS #8 DER, not encrypted: to be kept by ``PrivateKeys`` and nowhere else."""
    return key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())


def public_der(key: PrivateKey) -> bytes:
    """Return SubjectPublicKeyInfo DER."""
    return key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
