"""Writing keystores: the door to JKS, PKCS #12 and PEM, for keys with their chains and truststores.

PKCS #12 is the one to recommend; see docs/explanation/keystores.md for what JKS is worth.
"""

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_der_private_key,
)

from workers.certificates.keystores.aliases import check_aliases
from workers.certificates.keystores.entries import Format, KeyEntry, TrustedEntry
from workers.certificates.keystores.errors import KeystoreError
from workers.certificates.keystores.java_writing import write_jks
from workers.certificates.keystores.passwords import check_password
from workers.certificates.keystores.pem_writing import write_certificates, write_pem
from workers.certificates.keystores.pkcs12_writing import write_pkcs12
from workers.keys.new_file import new_private_file


def write_keystore(
    store_format: Format,
    *,
    keys: Sequence[KeyEntry],
    trusted: Sequence[TrustedEntry] = (),
    password: str,
    key_password: str | None = None,
) -> bytes:
    """Return a keystore with these entries, whose keys have the password of the store.

    Only JKS may have another one for the keys.

    Raises:
        KeystoreError: an alias or a password is not acceptable, a key does not belong to its
            certificate, or the format is only read.
    """
    check_aliases([*(each.alias for each in keys), *(each.alias for each in trusted)])
    password = check_password(password, store_format)
    key_password = password if key_password is None else check_password(key_password, store_format)
    for each in keys:
        _check_pair(each)
    if store_format == "jks":
        return write_jks(keys, trusted, password=password, key_password=key_password)
    if key_password != password:
        raise KeystoreError(
            "key_password: only JKS keeps another password for its keys; leave it out."
        )
    if store_format == "pkcs12":
        return write_pkcs12(keys, trusted, password)
    if store_format == "pem":
        return write_pem(keys, trusted, password)
    raise KeystoreError("format: JCEKS is only read; write PKCS #12 or JKS.")


def write_truststore(
    store_format: Literal["jks", "pkcs12", "pem"],
    trusted: Sequence[TrustedEntry],
    *,
    password: str,
) -> bytes:
    """Return a keystore of certificates to be trusted, such as Java's ``cacerts``.

    PEM is plain text; the password is not used then.

    Raises:
        KeystoreError: an alias or the password is not acceptable.
    """
    if store_format != "pem":
        return write_keystore(store_format, keys=(), trusted=trusted, password=password)
    check_aliases([each.alias for each in trusted])
    return write_certificates(trusted).encode("ascii")


def write_file(path: Path, data: bytes) -> None:
    """Write a file that only its owner may read, whole or not at all, and never over another.

    Raises:
        ConflictError: there is a file of this name.
        InvalidRequestError: it cannot be written there.
    """
    with new_private_file(path) as write:
        write(data)


def _check_pair(entry: KeyEntry) -> None:
    """Refuse what pyjks would write without a word, and no TLS server could use."""
    if not entry.chain:
        raise KeystoreError(f"The key “{entry.alias}” has no certificate; give it with its chain.")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of a certificate's oddities
            certified = x509.load_der_x509_certificate(entry.chain[0]).public_key()
        # Its primes were checked when it came in.
        key = load_der_private_key(entry.private_key, None, unsafe_skip_rsa_key_validation=True)
        own, theirs = (
            each.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
            for each in (key.public_key(), certified)
        )
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise KeystoreError(
            f"The key “{entry.alias}” or its certificate cannot be read; make it again."
        ) from None
    if own != theirs:
        raise KeystoreError(
            f"The key “{entry.alias}” does not belong to the first certificate of its chain; put"
            " its own certificate first."
        )
