"""What the keystores of the benchmark hold: keys with chains of three, and real roots."""

import warnings
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal, TypeAlias

import certifi
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from workers.certificates.keystores.entries import KeyEntry, TrustedEntry

Key: TypeAlias = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey
_START = datetime(2026, 1, 1, tzinfo=UTC)


def make_keys(key_type: Literal["rsa2048", "p256"], count: int) -> list[KeyEntry]:
    """Make keys, each with a certificate of its own under one intermediate and one root."""
    root_key, key = _new_key("p256"), _new_key("p256")
    root = _sign("Root", root_key, "Root", root_key)
    intermediate = _sign("Intermediate", key, "Root", root_key)
    entries = []
    for number in range(count):
        own = _new_key(key_type)
        leaf = _sign(f"leaf-{number}", own, "Intermediate", key)
        private_key = own.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
        chain = (leaf, intermediate, root)
        entries.append(KeyEntry(alias=f"leaf_{number}", private_key=private_key, chain=chain))
    return entries


def make_trusted(count: int) -> list[TrustedEntry]:
    """Make so many entries of the roots that browsers trust, over and over."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # one of them has an odd serial number
        certificates = x509.load_pem_x509_certificates(Path(certifi.where()).read_bytes())
    roots = [
        TrustedEntry(alias="root", certificate=each.public_bytes(Encoding.DER))
        for each in certificates
    ]
    return [replace(roots[number % len(roots)], alias=f"root_{number}") for number in range(count)]


def _new_key(key_type: str) -> Key:
    if key_type == "rsa2048":
        return rsa.generate_private_key(65537, 2048)
    return ec.generate_private_key(ec.SECP256R1())


def _sign(name: str, key: Key, issuer: str, signer: Key) -> bytes:
    certificate = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
        .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer)]))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(_START)
        .not_valid_after(_START + timedelta(days=365))
        .sign(signer, hashes.SHA256())
    )
    return certificate.public_bytes(Encoding.DER)
