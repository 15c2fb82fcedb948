"""Checking what was read from a keystore, whatever its format; runs in the child process.

This is the one time that the primes of an RSA key are tested: afterwards keys are kept under
authenticated encryption. What is wrong with an entry is said all at once, and takes it out.
"""

from dataclasses import replace
from itertools import pairwise
from typing import TypeAlias

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_der_private_key,
)
from cryptography.x509 import Certificate, load_der_x509_certificate

from workers.certificates.keystores import faults
from workers.certificates.keystores.entries import (
    EntryFault,
    KeyEntry,
    KeystoreReading,
    TrustedEntry,
)
from workers.certificates.keystores.errors import KeystoreError
from workers.certificates.keystores.limits import Limits
from workers.certificates.reading.der import (
    INTEGER,
    OCTET_STRING,
    SEQUENCE,
    MalformedError,
    read_element,
)

_OwnKey: TypeAlias = RSAPrivateKey | EllipticCurvePrivateKey | Ed25519PrivateKey

_MOST_RSA_BITS = max(faults.RSA_SIZES)  # of larger ones, the tests would take minutes


def check_entries(reading: KeystoreReading, limits: Limits) -> KeystoreReading:
    """Return the reading with every entry that is no good among the faults.

    The private keys that remain are in PKCS #8 as keywright writes it.

    Raises:
        KeystoreError: there are more entries than allowed.
    """
    for what, count, allowed in (
        ("entries", len(reading.keys) + len(reading.trusted), limits.max_entries),
        ("private keys", len(reading.keys), limits.max_keys),
    ):
        if count > allowed:
            raise KeystoreError(
                f"The keystore has {count:,} {what}; {allowed:,} are allowed: divide it."
            )
    keys: list[KeyEntry] = []
    trusted: list[TrustedEntry] = []
    found = list(reading.faults)
    for entry in reading.keys:
        checked, wrong = _check_key_entry(entry, limits)
        found += wrong
        if checked is not None and not wrong:
            keys.append(checked)
    for each in reading.trusted:
        if _certificate(each.certificate) is None:
            found.append(faults.bad_trusted_certificate(each.alias))
        else:
            trusted.append(each)
    return replace(reading, keys=tuple(keys), trusted=tuple(trusted), faults=tuple(found))


def public_bytes(key: _OwnKey | Certificate) -> bytes | None:
    """Return the SubjectPublicKeyInfo of a key, or None if the library cannot make it out."""
    try:
        return key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    except (ValueError, UnsupportedAlgorithm):
        return None


def has_signed(issuer: Certificate, subject: Certificate) -> bool:
    """Tell whether ``issuer`` signed ``subject``; a signature too old to check counts as one."""
    if issuer.subject != subject.issuer:
        return False
    try:
        subject.verify_directly_issued_by(issuer)
    except (InvalidSignature, ValueError, TypeError):
        return False
    except UnsupportedAlgorithm:
        pass
    return True


def _check_key_entry(entry: KeyEntry, limits: Limits) -> tuple[KeyEntry | None, list[EntryFault]]:
    if len(entry.chain) > limits.max_chain_length:
        length = len(entry.chain)
        return None, [faults.long_chain(entry.alias, length, limits.max_chain_length)]
    key = _load(entry)
    chain = [_certificate(der) for der in entry.chain]
    wrong = [
        faults.bad_certificate(entry.alias, position)
        for position, each in enumerate(chain, start=1)
        if each is None
    ]
    if isinstance(key, EntryFault):
        return None, [key, *wrong]
    if not chain:
        wrong.append(faults.no_certificate(entry.alias))
    if wrong:
        return None, wrong
    whole = [each for each in chain if each is not None]
    wrong = _check_chain(entry.alias, public_bytes(key), whole)
    private_key = key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    return replace(entry, private_key=private_key), wrong


def _check_chain(
    alias: str, public_key: bytes | None, chain: list[Certificate]
) -> list[EntryFault]:
    matching = [
        position for position, each in enumerate(chain, start=1) if public_bytes(each) == public_key
    ]
    if 1 not in matching:
        # Of a chain that begins elsewhere, the order is not worth a word.
        return [faults.mismatch(alias, matching[0] if matching else None)]
    wrong = [
        faults.broken_chain(alias, position)
        for position, (each, issuer) in enumerate(pairwise(chain), start=1)
        if not has_signed(issuer, each)
    ]
    last = chain[-1]
    if last.subject == last.issuer and not has_signed(last, last):
        wrong.append(faults.altered_certificate(alias, len(chain)))
    return wrong


def _load(entry: KeyEntry) -> _OwnKey | EntryFault:
    if not _is_pkcs8(entry.private_key):
        return faults.not_pkcs8(entry.alias)
    try:
        key = load_der_private_key(entry.private_key, None, unsafe_skip_rsa_key_validation=True)
    except UnsupportedAlgorithm:
        return faults.unsupported_key(entry.alias, "of a type that is not supported")
    except (ValueError, TypeError):
        return faults.bad_numbers(entry.alias)
    if isinstance(key, RSAPrivateKey):
        if key.key_size > _MOST_RSA_BITS:
            return faults.wrong_key_size(entry.alias, key.key_size)
        try:
            load_der_private_key(entry.private_key, None)
        except ValueError:
            return faults.bad_numbers(entry.alias)
        return key
    if isinstance(key, EllipticCurvePrivateKey | Ed25519PrivateKey):
        return key
    kind = type(key).__name__.removesuffix("PrivateKey").lstrip("_")
    return faults.unsupported_key(entry.alias, f"of the type {kind}")


def _is_pkcs8(der: bytes) -> bool:
    """Tell PKCS #8 from PKCS #1 and SEC 1, which the library would take as well (RFC 5958 §2)."""
    try:
        children = [
            child.tag for child, _ in zip(read_element(der).children(), range(3), strict=False)
        ]
    except MalformedError:
        return False
    return children == [INTEGER, SEQUENCE, OCTET_STRING]


def _certificate(der: bytes) -> Certificate | None:
    try:
        return load_der_x509_certificate(der)
    except ValueError:
        return None
